package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonond/cluster/proctest"
)

// diskFaults are what happens to disks.
var diskFaults = []*nemesis{
	{"disk-full", "the disk of one node fills up, and is freed", privileges, func(ctx context.Context, s *scene) error {
		return s.fillDisks(ctx, []*keeper{s.someone()})
	}},
	{"disk-full-all", "the disks of all nodes fill up, and are freed", privileges, func(ctx context.Context, s *scene) error {
		return s.fillDisks(ctx, s.keepers)
	}},
	{"disk-slow", "every sync of some nodes takes 50 to 500 ms", tracing, func(ctx context.Context, s *scene) error {
		delay := s.rng.IntN(450) + 50
		list := s.some(1)
		s.say("syncs of %s take %d ms more", names(list), delay)
		return s.trace(ctx, list, slow, fmt.Sprintf("delay_enter=%dms", delay), s.between(5*time.Second, 30*time.Second))
	}},
	{"disk-fails", "the syncs of a node fail: it has to end", tracing, func(ctx context.Context, s *scene) error {
		k := s.someone()
		s.say("syncs of %s fail", k.node.ID)
		before := k.ends()
		// No less with -short: strace takes its time, and the node has to sync something.
		d := 5*time.Second + time.Duration(s.rng.Int64N(int64(5*time.Second)))
		err := s.trace(ctx, []*keeper{k}, failing, "error=EIO", d)
		if err == nil && s.alone && ctx.Err() == nil && k.ends() == before {
			return fmt.Errorf("the syncs of %s failed and it did not end", k.node.ID)
		}
		return err
	}},
	{"disk-hangs", "the disk of a leader hangs for 40 s", threeNodes, func(ctx context.Context, s *scene) error { return s.hangDisk(ctx) }},
}

// refill is how often a full disk is filled up again.
const refill = 100 * time.Millisecond

// fillDisks keeps disks full for a while.
func (s *scene) fillDisks(ctx context.Context, list []*keeper) (err error) {
	d := s.between(10*time.Second, 40*time.Second)
	s.say("fill the disks of %s for %v", names(list), d.Round(time.Millisecond))
	for _, k := range list {
		s.health.ail(k.node.ID, full)
		defer func() {
			err = errors.Join(err, s.disks[k.node.ID].empty())
			s.health.recover(k.node.ID, full)
		}()
	}
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; wait(ctx, refill) {
		for _, k := range list {
			if err := s.disks[k.node.ID].fill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// detachTimeout is how long strace may take to let a process go, and goneTimeout how
// long it takes a keeper to hear that a process has ended.
const (
	detachTimeout = 10 * time.Second
	goneTimeout   = 3 * time.Second
)

// trace has strace tamper with the syncs of nodes for a while, through restarts. A
// process has one tracer at most: where another fault has it, this one waits.
func (s *scene) trace(ctx context.Context, list []*keeper, a ailment, inject string, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	errs := make([]error, len(list))
	var traced atomic.Bool
	var running sync.WaitGroup
	for i, k := range list {
		s.health.ail(k.node.ID, a)
		running.Go(func() {
			defer s.health.recover(k.node.ID, a)
			for ctx.Err() == nil && errs[i] == nil {
				if pid := k.pid(); pid != 0 && k.traced.TryLock() {
					errs[i] = s.tamper(ctx, k, pid, inject)
					k.traced.Unlock()
					traced.Store(true)
				}
				wait(ctx, refill)
			}
		})
	}
	running.Wait()
	if !traced.Load() {
		return errIdle
	}
	return errors.Join(errs...)
}

// tamper traces one process until it ends or ctx does.
func (s *scene) tamper(ctx context.Context, k *keeper, pid int, inject string) error {
	cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(pid),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+inject)
	var said bytes.Buffer
	cmd.Stderr = &said
	start := time.Now()
	p, err := proctest.StartProcess(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		if k.awaitOther(pid, goneTimeout) || s.health.silentSince(k.node.ID, start) {
			return nil // with the process, which may yet hang in the kernel with its disk
		}
		return fmt.Errorf("strace ended and %s did not: %s", k.node.ID, strings.TrimSpace(said.String()))
	case <-ctx.Done():
	}
	p.Terminate()
	select {
	case <-p.Done():
		return nil
	case <-time.After(detachTimeout):
		err := p.Kill()
		if s.health.silentSince(k.node.ID, start) {
			return err // the process hangs in the kernel, or is stopped, and cannot be let go
		}
		return errors.Join(errors.New("strace does not let go"), err)
	}
}

// hangFor is how long a disk hangs, and hangLimit within which a group must have
// another leader then.
const (
	hangFor   = 40 * time.Second
	hangLimit = 30 * time.Second
)

// hangDisk freezes the disk of a node that leads a group. The node sees its writes
// hang and ends, which it cannot before the disk thaws: the kernel holds it.
func (s *scene) hangDisk(ctx context.Context) (err error) {
	var can []*keeper
	for _, k := range s.keepers {
		if s.disks[k.node.ID].freeze {
			can = append(can, k)
		}
	}
	k := can[s.rng.IntN(len(can))]
	group := k.node.Region // it votes there
	leading, cancel := context.WithTimeout(ctx, recoverWithin)
	err = k.node.Lead(leading, group)
	cancel()
	if err != nil {
		if s.alone && ctx.Err() == nil {
			return err
		}
		s.say("%s does not lead: %v", k.node.ID, err)
	}
	s.say("the disk of %s, which leads %s, hangs", k.node.ID, group)
	s.health.ail(k.node.ID, hung)
	start := time.Now()
	if err := s.disks[k.node.ID].hang(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, thaw(s.disks[k.node.ID].mount))
		s.health.recover(k.node.ID, hung)
	}()
	if s.alone {
		took, err := s.otherLeader(ctx, k, group, start)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the disk of %s hangs: %w", k.node.ID, err)
		}
		s.say("group %s has another leader and takes writes %v after its disk hung", group, took.Round(time.Millisecond))
		s.measure.hang(took)
	}
	wait(ctx, hangFor-time.Since(start))
	return nil
}

// otherLeader waits until a group has another leader and a write through another
// node is done that was begun after that.
func (s *scene) otherLeader(ctx context.Context, hung *keeper, group string, start time.Time) (time.Duration, error) {
	ctx, cancel := context.WithDeadline(ctx, start.Add(hangLimit))
	defer cancel()
	err := proctest.Until(ctx, func() error {
		k := s.leaderOf(group)
		if k == nil || k == hung {
			return fmt.Errorf("group %s has no other leader", group)
		}
		since := time.Now()
		return proctest.Until(ctx, func() error {
			if !s.measure.lastWrite(seat{k.node.ID, group}).After(since) {
				return fmt.Errorf("no write through %s", k.node.ID)
			}
			return nil
		})
	})
	return time.Since(start), err
}
