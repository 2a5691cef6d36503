package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// playCrossSlot checks that commands with keys of several groups, which are not
// among those that go to several, are refused, and change nothing.
func playCrossSlot(ctx context.Context, l *lab, o options, r *report) error {
	for _, srv := range l.others {
		if err := srv.clean(); err != nil {
			return err
		}
		apart := ""
		for i := range 64 {
			key := "{" + strconv.Itoa(i) + "}"
			if v, err := srv.ctl.do("SINTER", "{t}", key); err != nil {
				return err
			} else if strings.HasPrefix(v.Str, "CROSSSLOT") {
				apart = key
				break
			}
		}
		if apart == "" {
			continue // there is one group
		}
		d := newDrawer(o.seed)
		d.plain = true
		refused := 0
		for range 2000 {
			if err := ctx.Err(); err != nil {
				return err
			}
			args := draw(d, multiple).args
			keys, err := l.redis.ctl.do(append([]string{"COMMAND", "GETKEYS"}, args...)...)
			if err != nil {
				return err
			}
			if len(keys.Elems) < 2 || anywhere[nameOf(args)] {
				continue
			}
			last := keys.Elems[len(keys.Elems)-1].Str
			for i := len(args) - 1; i > 0; i-- {
				if args[i] == last {
					args[i] = apart + last
					break
				}
			}
			v, err := srv.ctl.do(args...)
			if err != nil {
				return err
			}
			if !v.IsError() { // or what is wrong with it otherwise
				r.fail(fmt.Sprintf("crossslot, %s: %q: %s", srv.name, args, shown(v)))
				return nil
			}
			refused++
		}
		if v, err := srv.ctl.must("DBSIZE"); err != nil || v.Int != 0 {
			r.fail(fmt.Sprintf("crossslot, %s: %d keys are there after commands that were refused, %v", srv.name, v.Int, err))
		}
		if err := inTransactions(srv, apart, r); err != nil {
			return err
		}
		fmt.Printf("crossslot: %s: %d commands with keys of two groups are refused\n", srv.name, refused)
	}
	return nil
}

// inTransactions checks that commands that go to several groups are refused in a
// transaction, and with them all of it.
func inTransactions(srv *server, apart string, r *report) error {
	for _, text := range []string{
		"DEL {t} @", "UNLINK {t} @", "EXISTS {t} @", "TOUCH @ {t}", "MGET {t} @", "MSET {t} 1 @ 2", "DBSIZE", "KEYS *",
		"SCAN 0", "RANDOMKEY", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1",
	} {
		args := strings.Fields(strings.ReplaceAll(text, "@", apart))
		want := []string{"OK", "QUEUED", "QUEUED", "CROSSSLOT"}
		replies, err := srv.ctl.pipe([][]string{{"MULTI"}, {"SET", "{t}", "1"}, args, {"EXEC"}})
		if err != nil {
			return err
		}
		for i, v := range replies {
			if !strings.HasPrefix(v.Str, want[i]) {
				r.fail(fmt.Sprintf("crossslot, %s: %q in a transaction: %s, not %s", srv.name, args, shown(v), want[i]))
			}
		}
	}
	v, err := srv.ctl.must("DBSIZE")
	if err == nil && v.Int != 0 {
		r.fail(fmt.Sprintf("crossslot, %s: %d keys are there after transactions that were refused", srv.name, v.Int))
	}
	return err
}

// anywhere are the commands whose keys may be in several groups.
var anywhere = map[string]bool{"del": true, "unlink": true, "exists": true, "touch": true, "mget": true, "mset": true}
