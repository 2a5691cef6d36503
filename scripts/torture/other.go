package main

import (
	"context"
	"os"
	"time"
)

// otherFaults are what is left.
var otherFaults = []*nemesis{
	{"clock", "the wall clock of a node is an hour off, either way", nothing, func(ctx context.Context, s *scene) error {
		k, off := s.someone(), "+1h"
		if s.rng.IntN(2) == 0 {
			off = "-1h"
		}
		s.say("the clock of %s is off by %s", k.node.ID, off)
		set := func(off string) error { return os.WriteFile(s.wallFile(k.node.ID), []byte(off), 0o600) }
		if err := set(off); err != nil {
			return err
		}
		s.last(ctx, 5*time.Second, 30*time.Second)
		return set("0s")
	}},
	{"transfers", "leads are handed over, several a second", nothing, func(ctx context.Context, s *scene) error {
		s.say("hand leads over")
		for end := time.Now().Add(s.between(5*time.Second, 20*time.Second)); time.Now().Before(end) && ctx.Err() == nil; {
			to := s.someone()
			group := s.groups[s.rng.IntN(len(s.groups))]
			if c, err := to.node.Dial(); err == nil {
				c.Do("PHONON.TRANSFER-LEADER", group, to.node.ID) // it may be no voter, or the group busy
				c.Close()
			}
			wait(ctx, time.Duration(s.rng.IntN(500))*time.Millisecond)
		}
		return nil
	}},
}
