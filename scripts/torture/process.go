package main

import (
	"context"
	"syscall"
	"time"

	"phonond/cluster/proctest"
)

// processFaults are what happens to processes.
var processFaults = []*nemesis{
	{"kill-one", "kill -9 of a node; it comes back after a while", nothing, func(ctx context.Context, s *scene) error {
		return s.kill(ctx, []*keeper{s.someone()}, false)
	}},
	{"kill-leader", "kill -9 of a leader", nothing, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		return s.kill(ctx, []*keeper{k}, false)
	}},
	{"kill-some", "kill -9 of several nodes at once", nothing, func(ctx context.Context, s *scene) error {
		return s.kill(ctx, s.some(2), false)
	}},
	{"kill-all", "kill -9 of all nodes at once", nothing, func(ctx context.Context, s *scene) error {
		return s.kill(ctx, s.some(len(s.keepers)), false)
	}},
	{"move", "kill -9 of some or all, which come back with new addresses", nothing, func(ctx context.Context, s *scene) error {
		return s.kill(ctx, s.some(1), true)
	}},
	{"pause-leader", "SIGSTOP of a leader with requests queued, SIGCONT after up to a minute", nothing, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		s.pause(ctx, []*keeper{k})
		return nil
	}},
	{"pause-some", "SIGSTOP of some or all nodes", nothing, func(ctx context.Context, s *scene) error {
		s.pause(ctx, s.some(1))
		return nil
	}},
	{"restart", "SIGTERM of each node in turn, as in an upgrade", nothing, func(ctx context.Context, s *scene) error { return s.restartAll(ctx) }},
	{"restart-all", "SIGTERM of all nodes at once", nothing, func(ctx context.Context, s *scene) error { return s.restartAtOnce(ctx) }},
}

// kill kills nodes at once, and lets them come back.
func (s *scene) kill(ctx context.Context, list []*keeper, move bool) error {
	s.say("kill %s", names(list))
	for _, k := range list {
		k.leave(syscall.SIGKILL)
	}
	defer func() {
		for _, k := range list {
			k.back()
		}
	}()
	for _, k := range list {
		if err := k.awaitEnd(ctx); err != nil {
			if s.health.silentSince(k.node.ID, time.Now()) || ctx.Err() != nil {
				return nil // it hangs in the kernel with its disk: another fault's doing
			}
			return err
		}
	}
	if move {
		var nodes []*proctest.Node
		for _, k := range list {
			nodes = append(nodes, k.node)
		}
		if err := s.cluster.Move(nodes...); err != nil {
			return err
		}
	}
	s.last(ctx, time.Second, 25*time.Second)
	return nil
}

// pause stops processes, and lets them go on.
func (s *scene) pause(ctx context.Context, list []*keeper) {
	d := s.between(time.Second, time.Minute)
	s.say("stop %s for %v", names(list), d.Round(time.Millisecond))
	for _, k := range list {
		pid := k.pid()
		s.health.ail(k.node.ID, stopped)
		k.signal(pid, syscall.SIGSTOP)
		defer func() {
			k.signal(pid, syscall.SIGCONT)
			s.health.recover(k.node.ID, stopped)
		}()
	}
	wait(ctx, d)
}

// restartAll ends one node after the other in good order, each when the one before
// is back.
func (s *scene) restartAll(ctx context.Context) error {
	s.say("restart all nodes in turn")
	for _, k := range s.some(len(s.keepers)) {
		if err := s.terminate(ctx, []*keeper{k}); err != nil {
			return err
		}
		k.back()
		ready, cancel := context.WithTimeout(ctx, recoverWithin)
		err := proctest.Until(ready, func() error {
			if !s.health.isReady(k.node.ID) {
				return errNotReady
			}
			return nil
		})
		cancel()
		if err != nil && s.alone && ctx.Err() == nil {
			return err
		}
		s.last(ctx, 100*time.Millisecond, 3*time.Second)
	}
	return nil
}

// restartAtOnce ends all in good order.
func (s *scene) restartAtOnce(ctx context.Context) error {
	s.say("restart all nodes at once")
	if err := s.terminate(ctx, s.keepers); err != nil {
		return err
	}
	for _, k := range s.keepers {
		k.back()
	}
	return nil
}

// terminate has nodes end in good order and stay away. One that does not end in
// time is killed, as a supervisor would.
func (s *scene) terminate(ctx context.Context, list []*keeper) error {
	for _, k := range list {
		k.leave(syscall.SIGTERM)
	}
	var failed error
	for _, k := range list {
		err := k.awaitEnd(ctx)
		if err == nil {
			continue
		}
		if s.alone && ctx.Err() == nil {
			failed = err
		}
		k.end(syscall.SIGKILL)
	}
	return failed
}
