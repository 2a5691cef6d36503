package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// session is a conversation that a seed and a number decide.
type session struct {
	number int
	kind   string
	proto  int
	steps  []step
}

// drawSession draws session i of a seed.
func drawSession(o options, i int) session {
	d := newDrawer(0)
	d.Rand = rand.New(rand.NewPCG(o.seed, uint64(i)))
	s := session{number: i, proto: 2 + d.IntN(2)}
	list := kinds
	if at := slices.IndexFunc(kinds, func(k kind) bool { return k.name == o.only }); at >= 0 {
		list = kinds[at : at+1]
	}
	total := 0
	for _, k := range list {
		total += k.weight
	}
	n := d.IntN(total)
	for _, k := range list {
		if n -= k.weight; n < 0 {
			s.kind, s.steps = k.name, k.draw(d)
			s.steps = slices.DeleteFunc(s.steps, func(s step) bool {
				return o.without != nil && (o.without.MatchString(nameOf(s.args)) || s.op == opCopy && o.without.MatchString("dump"))
			})
			return s
		}
	}
	panic("unreachable")
}

// playRandom plays sessions until they had as many commands as are asked for.
func playRandom(ctx context.Context, l *lab, o options, r *report) error {
	if o.session >= 0 {
		return l.playSession(drawSession(o, o.session), o, r)
	}
	start, played, sessions := time.Now(), map[string]int{}, 0
	for n := 0; n < o.n && !r.full(); sessions++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := drawSession(o, sessions)
		if err := l.playSession(s, o, r); err != nil {
			return fmt.Errorf("session %d of %s: %w", s.number, s.kind, err)
		}
		n += len(s.steps)
		played[s.kind] += len(s.steps)
		played[""] += len(s.steps)
	}
	fmt.Printf("random: %d commands in %d sessions of seed %d, in %v\n", played[""], sessions, o.seed, time.Since(start).Round(time.Second))
	for _, k := range kinds {
		if played[k.name] > 0 {
			fmt.Printf("  %-9s %8d\n", k.name, played[k.name])
		}
	}
	return nil
}

// tidy leaves out the commands whose keys do not live together, which happens to
// commands that are spoiled: in several groups they are refused.
func (l *lab) tidy(s *session) error {
	var asked [][]string
	for _, st := range s.steps {
		asked = append(asked, append([]string{"COMMAND", "GETKEYS"}, st.args...))
	}
	var kept []step
	for i := 0; i < len(asked); i += maxPipeline {
		replies, err := l.redis.ctl.pipe(asked[i:min(i+maxPipeline, len(asked))])
		if err != nil {
			return err
		}
		for k, v := range replies {
			if st := s.steps[i+k]; st.op != opDo && st.op != opSend || s.livesTogether(st, v) {
				kept = append(kept, st)
			}
		}
	}
	s.steps = kept
	return nil
}

// livesTogether reports whether a command's keys are where the session's are.
func (s *session) livesTogether(st step, keys resp.Value) bool {
	if keys.Kind != resp.Array {
		return true // it has none, or is wrong
	}
	if s.kind == "untagged" {
		return len(keys.Elems) < 2 || anywhere[nameOf(st.args)]
	}
	apart := slices.ContainsFunc(keys.Elems, func(k resp.Value) bool { return !strings.HasPrefix(k.Str, "{t}") })
	if apart && strings.HasPrefix(strings.ToLower(st.args[0]), "sort") {
		return false // its patterns have the tag
	}
	return !apart || (s.kind == "data" || s.kind == "server") && len(keys.Elems) == 1
}

// playSession plays a session to all servers and reports what differs.
func (l *lab) playSession(s session, o options, r *report) error {
	if err := l.tidy(&s); err != nil {
		return err
	}
	want, err := play(l.redis, s.proto, s.steps, nil)
	if err != nil {
		return fmt.Errorf("redis-server, step %d %q: %w", len(want), s.steps[min(len(want), len(s.steps)-1)].args, err)
	}
	outs, errs := make([][]outcome, len(l.others)), make([]error, len(l.others))
	var wg sync.WaitGroup
	for i, srv := range l.others {
		wg.Go(func() { outs[i], errs[i] = play(srv, s.proto, s.steps, want) })
	}
	wg.Wait()
	for i, srv := range l.others {
		var news []difference
		judge(s.steps, want, outs[i], func(d difference) bool {
			if d.allowed != nil {
				r.excuse(d)
			} else if r.note(srv.name, d) {
				news = append(news, d)
			}
			return true
		})
		if errs[i] != nil {
			d := difference{at: min(len(outs[i]), len(s.steps)-1), note: errs[i].Error()}
			d.name = nameOf(s.steps[d.at].args)
			if r.note(srv.name, d) {
				news = append(news, d)
			}
		}
		for _, d := range news {
			steps, d := l.shrink(srv, s, d)
			r.show(srv.name, fmt.Sprintf("%s, RESP%d: -seed %d -session %d", s.kind, s.proto, o.seed, s.number)+onlyFlag(o), steps, d)
		}
	}
	return nil
}

func onlyFlag(o options) string {
	if o.only == "" {
		return ""
	}
	return " -only " + o.only
}
