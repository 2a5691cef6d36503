package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"phonond/client"
)

var locksCommand = command{
	name: "locks", summary: "the locks and semaphores: --match, --older, --no-ttl",
	run: func(ctx context.Context, a *app, _ []string) error {
		locks, err := a.client.Admin().Locks(ctx, client.LockFilter{Match: a.o.match, Older: a.o.older, NoTTL: a.o.noTTL})
		if err != nil {
			return err
		}
		header := []string{"KEY", "MODE", "OWNER", "TOKEN", "HELD", "EXPIRES", "SESSION", "CLIENT"}
		return a.out.view(locks, header, func() (rows [][]string) {
			for _, l := range locks {
				rows = append(rows, holders(l)...)
			}
			return rows
		})
	},
}

// holders are the rows of a lock.
func holders(l client.LockInfo) (rows [][]string) {
	for _, h := range l.Holders {
		rows = append(rows, []string{l.Key, l.Mode, h.Owner, strconv.FormatUint(h.Token, 10), ago(h.HeldMs), until(h.ExpiresMs, h.Session), h.Session, h.Client})
	}
	if rows == nil { // its delay is not over, or it is kept
		rows = append(rows, []string{l.Key, l.Mode, "", "", "", until(l.FreeMs, ""), "", ""})
	}
	return rows
}

// ago shows a time that has passed, which may not be known.
func ago(ms int64) string {
	if ms < 0 {
		return ""
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

// until shows when something is lost.
func until(ms int64, session string) string {
	switch {
	case ms >= 0:
		return (time.Duration(ms) * time.Millisecond).String()
	case session != "":
		return "session"
	}
	return "never"
}

// lockInfo shows a lock, and who waits for it.
func lockInfo(ctx context.Context, a *app, key string) error {
	l, err := a.client.Admin().Lock(ctx, key)
	if client.IsNil(err) {
		return fmt.Errorf("nobody has %s", key)
	}
	if err != nil {
		return err
	}
	return a.out.view(l, []string{"", "OWNER", "TOKEN", "TIME", "EXPIRES", "SESSION", "CLIENT", "META"}, func() (rows [][]string) {
		for _, h := range l.Holders {
			rows = append(rows, []string{l.Mode, h.Owner, strconv.FormatUint(h.Token, 10), ago(h.HeldMs), until(h.ExpiresMs, h.Session), h.Session, h.Client, h.Meta})
		}
		for _, w := range l.Queue {
			rows = append(rows, []string{"waits, " + w.Mode, w.Owner, "", ago(w.AgeMs), "", w.Session, w.Client, ""})
		}
		return rows
	})
}

// lockForce takes a lock from the holder with a token.
func lockForce(ctx context.Context, a *app, key, token string) error {
	n, err := strconv.ParseUint(token, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no token: \"phononctl lock info %s\" shows it", token, key)
	}
	done, err := a.client.Admin().ForceLock(ctx, key, n, a.o.reason)
	if err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("nobody has %s with that token", key)
	}
	return a.out.view(map[string]any{"key": key, "token": n, "result": "taken"}, nil, func() [][]string {
		return [][]string{{key + " is taken from its holder."}}
	})
}

func lockAudit(ctx context.Context, a *app) error {
	list, err := a.client.Admin().Audits(ctx)
	if err != nil {
		return err
	}
	return a.out.view(list, []string{"TIME", "KEY", "OWNER", "TOKEN", "HOLDER", "REASON", "BY"}, func() (rows [][]string) {
		for _, e := range list {
			rows = append(rows, []string{
				time.UnixMilli(e.TimeMs).UTC().Format(time.RFC3339), e.Key, e.Owner, strconv.FormatUint(e.Token, 10), e.Holder, e.Reason, e.Client,
			})
		}
		return rows
	})
}

var sessionsCommand = command{
	name: "sessions", args: "[close ID]", max: 2, summary: "the sessions; or ends one",
	run: func(ctx context.Context, a *app, args []string) error {
		if len(args) > 0 {
			if len(args) != 2 || args[0] != "close" {
				return fmt.Errorf("usage: phononctl sessions [close ID]")
			}
			done, err := a.client.Admin().CloseSession(ctx, args[1])
			if err == nil && !done {
				err = fmt.Errorf("there is no session %s", args[1])
			}
			return err
		}
		list, err := a.client.Admin().Sessions(ctx)
		if err != nil {
			return err
		}
		return a.out.view(list, []string{"SESSION", "NAME", "TTL", "OPEN", "LOSSES", "CLIENT", "META"}, func() (rows [][]string) {
			for _, s := range list {
				rows = append(rows, []string{s.ID, s.Name, ago(s.TTLMs), ago(s.OpenMs), strconv.FormatInt(s.Losses, 10), s.Client, s.Meta})
			}
			return rows
		})
	},
}

var refsCommand = command{
	name: "refs", args: "[RESOURCE]", max: 1, summary: "who has references to a resource; or the resources to be completed",
	run: func(ctx context.Context, a *app, args []string) error {
		if len(args) == 0 {
			list, err := a.client.Admin().Pending(ctx)
			if err != nil {
				return err
			}
			return a.out.view(list, []string{"RESOURCE"}, func() (rows [][]string) {
				for _, r := range list {
					rows = append(rows, []string{r})
				}
				return rows
			})
		}
		r, err := a.client.Admin().References(ctx, args[0])
		if err != nil {
			return err
		}
		return a.out.view(r, []string{"", "PROCESS", "GENERATION", "HELD", "SESSION", "CLIENT"}, func() (rows [][]string) {
			for _, p := range r.Processes {
				rows = append(rows, []string{"reference", p.Process, strconv.FormatUint(r.Generation, 10), ago(p.HeldMs), p.Session, p.Client})
			}
			for _, c := range r.Completions {
				state := "to complete"
				if c.Executor != "" {
					state = "completing"
				}
				rows = append(rows, []string{state, c.Executor, strconv.FormatUint(c.Generation, 10), "", "", ""})
			}
			return rows
		})
	},
}
