package group

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestSwappedDatabasesAreOfferedToThoseWhoWait(t *testing.T) {
	w := &waiterTable{}
	for db, key := range []string{"a", "b", "c"} {
		c := call("BLPOP", key, "0")
		c.DB = db
		w.add(&Wait{Origin: 1, Seq: uint64(db), Call: c}, nil, false, false)
	}
	w.changed(2, "c", false)
	w.swapped(0, 2)
	if want := map[dbKey]struct{}{{0, "a"}: {}, {2, "c"}: {}}; !maps.Equal(w.ready, want) {
		t.Fatalf("ready are %v, want %v", w.ready, want)
	}
}

// waitOrigin is the origin of the waits of these tests.
const waitOrigin = 1 << 41

// waitingTest is a wait of a test, and what came of it.
type waitingTest struct {
	*Wait
	got chan result
}

// openWaits makes the origin of waits known.
func (n *replica) openWaits() {
	n.rig.t.Helper()
	if out := <-n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: waitOrigin, Node: n.name}); out.err != nil {
		n.rig.t.Fatal(out.err)
	}
}

// waitFor begins wait number seq, and returns when the group has it.
func (n *replica) waitFor(seq uint64, args ...string) *waitingTest {
	w := newWait(seq, args...)
	n.Wait(w.Wait)
	return w
}

func newWait(seq uint64, args ...string) *waitingTest {
	w := &waitingTest{got: make(chan result, 2)}
	w.Wait = &Wait{Origin: waitOrigin, Seq: seq, Call: call(args...), Since: time.Now(), Reply: func(reply resp.Value, err error) {
		w.got <- result{[]resp.Value{reply}, err}
	}}
	return w
}

// answer is what a wait has got once nothing goes on any more, "" for nothing.
func (w *waitingTest) answer() string {
	synctest.Wait()
	select {
	case out := <-w.got:
		switch v := out.replies[0]; {
		case out.err != nil:
			return out.err.Error()
		case v.IsError():
			return v.Str
		case v.Kind == resp.Array && v.Elems[1].Kind == resp.Integer: // a lock, for how long
			return strconv.FormatInt(v.Elems[1].Int, 10)
		case v.Kind == resp.Array:
			return v.Elems[1].Str
		default:
			return v.Str
		}
	default:
		return ""
	}
}

// eventually is answer after a time.
func (w *waitingTest) eventually() string {
	time.Sleep(3 * time.Second)
	return w.answer()
}

func (w *waitingTest) want(t *testing.T, want string) {
	t.Helper()
	if got := w.eventually(); got != want {
		t.Errorf("wait %d got %q, want %q", w.Seq, got, want)
	}
}

// waitRig is a bubble whose leader knows the origin of waits.
func waitRig(t *testing.T, test func(r *rig, n *replica)) {
	t.Helper()
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "first", "request")
		n.openWaits()
		test(r, n)
	})
}

func TestThousandWaitersCostNoEntries(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		var all []*waitingTest
		index, _ := n.Digest()
		for i := range 1000 {
			all = append(all, n.waitFor(uint64(i+1), "BLPOP", "k", "0"))
		}
		time.Sleep(5 * time.Second)
		if now, _ := n.Digest(); now != index || n.Waiters() != 1000 {
			t.Fatalf("%d entries, %d wait", now-index, n.Waiters())
		}
		for i := range 5 {
			n.must("RPUSH", "k", fmt.Sprint(i))
			all[i].want(t, fmt.Sprint(i))
			if n.Waiters() != 999-i {
				t.Fatalf("%d wait after push %d", n.Waiters(), i)
			}
		}
		if now, _ := n.Digest(); now != index+5 {
			t.Errorf("%d entries for 5 pushes", now-index)
		}
		var args []string
		for i := range 995 {
			args = append(args, fmt.Sprint(5+i))
		}
		n.must(append([]string{"RPUSH", "k"}, args...)...)
		for i, w := range all[5:] {
			w.want(t, fmt.Sprint(i+5))
		}
		if now, _ := n.Digest(); now != index+6 {
			t.Errorf("%d entries for 6 pushes", now-index)
		}
		if len(n.waiters.byID)+len(n.waiters.byKey) != 0 {
			t.Errorf("the table has %d waiters and %d keys left", len(n.waiters.byID), len(n.waiters.byKey))
		}
		r.level()
	})
}

// Something comes with a call that does not say how much of it.
func TestAllThatComesAtOnceIsOffered(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		var args []string
		for i := range 300 {
			args = append(args, fmt.Sprint(i))
		}
		n.must(append([]string{"RPUSH", "from"}, args...)...)
		var all []*waitingTest
		for i := range 350 {
			all = append(all, n.waitFor(uint64(i+1), "BLPOP", "k", "0"))
		}
		n.must("RENAME", "from", "k")
		for i, w := range all[:300] {
			w.want(t, fmt.Sprint(i))
		}
		for _, w := range all[300:] {
			w.want(t, "")
		}
	})
}

func TestWhatWakesThoseWhoWait(t *testing.T) {
	for _, tt := range []struct {
		name string
		make []string // beforehand
		do   []string
		wait []string
		want string
	}{
		{"push", nil, []string{"LPUSH", "k", "a", "b"}, []string{"BLPOP", "k", "0"}, "b"},
		{"several keys", nil, []string{"RPUSH", "l", "a"}, []string{"BLPOP", "k", "l", "0"}, "a"},
		{"swapdb", []string{"RPUSH", "k", "a"}, []string{"SWAPDB", "0", "1"}, []string{"BLPOP", "k", "0"}, "a"},
		{"rename", []string{"RPUSH", "from", "a"}, []string{"RENAME", "from", "k"}, []string{"BLPOP", "k", "0"}, "a"},
		{"move", []string{"RPUSH", "k", "a"}, []string{"MOVE", "k", "1"}, []string{"BLPOP", "k", "0"}, "a"},
		{"copy", []string{"RPUSH", "from", "a"}, []string{"COPY", "from", "k"}, []string{"BLPOP", "k", "0"}, "a"},
		{"sort", []string{"RPUSH", "from", "2", "1"}, []string{"SORT", "from", "STORE", "k"}, []string{"BLPOP", "k", "0"}, "1"},
		{"lmove", []string{"RPUSH", "from", "a"}, []string{"LMOVE", "from", "k", "LEFT", "LEFT"}, []string{"BLPOP", "k", "0"}, "a"},
		{"zadd", nil, []string{"ZADD", "k", "1", "a"}, []string{"BZPOPMIN", "k", "0"}, "a"},
		{"zunionstore", []string{"ZADD", "from", "1", "a"}, []string{"ZUNIONSTORE", "k", "1", "from"}, []string{"BZPOPMAX", "k", "0"}, "a"},
		{"blmove", nil, []string{"RPUSH", "k", "a"}, []string{"BLMOVE", "k", "to", "LEFT", "RIGHT", "0"}, "a"},
		{"blmpop", nil, []string{"RPUSH", "k", "a"}, []string{"BLMPOP", "0", "2", "j", "k", "LEFT"}, ""},
		{"another type", nil, []string{"ZADD", "k", "1", "a"}, []string{"BLPOP", "k", "0"}, ""},
		{"a string", nil, []string{"SET", "k", "a"}, []string{"BLPOP", "k", "0"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				wait := newWait(1, tt.wait...)
				if tt.name == "swapdb" || tt.name == "move" { // it comes into the other one
					wait.Call.DB = 1
				}
				if tt.make != nil {
					n.must(tt.make...)
				}
				n.Wait(wait.Wait)
				wait.want(t, "")
				n.must(tt.do...)
				if tt.name == "blmpop" {
					time.Sleep(time.Second)
					if len(wait.got) != 1 {
						t.Error("it got nothing")
					}
					return
				}
				wait.want(t, tt.want)
			})
		})
	}
}

func TestRestoredListIsOffered(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		n.must("RPUSH", "from", "a")
		dump := n.Read(oneCall("DUMP", "from"))[0].Str
		w := n.waitFor(1, "BLPOP", "k", "0")
		n.must("RESTORE", "k", "0", dump)
		w.want(t, "a")
	})
}

// What somebody waits for may be there when the wait comes, or on its way.
func TestWhatIsThereWhenAWaitComes(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		n.must("RPUSH", "k", "there")
		n.waitFor(1, "BLPOP", "k", "0").want(t, "there")
		onItsWay := n.submit(n.request(call("RPUSH", "k", "late")))
		w := n.waitFor(2, "BLPOP", "k", "0")
		if out := <-onItsWay; out.err != nil {
			t.Fatal(out.err)
		}
		w.want(t, "late")
		n.waitFor(3, "BLPOP", "first", "0").want(t, resp.ErrWrongType.Str)
		if n.Waiters() != 0 {
			t.Errorf("%d wait", n.Waiters())
		}
	})
}

func TestWaitersAreServedByAge(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		young := newWait(1, "BLPOP", "a", "b", "0")
		old := newWait(2, "BLPOP", "b", "0")
		old.Since = old.Since.Add(-time.Hour) // it waited at another leader before
		oldest := newWait(3, "BLPOP", "b", "0")
		oldest.Since = old.Since.Add(-time.Hour)
		for _, w := range []*waitingTest{young, old, oldest} {
			n.Wait(w.Wait)
		}
		// The first call is about a key for which the youngest waits alone.
		out := <-n.submit(n.request(call("DEL", "a"), call("RPUSH", "b", "1"), call("RPUSH", "b", "2"), call("RPUSH", "b", "3")))
		if out.err != nil {
			t.Fatal(out.err)
		}
		oldest.want(t, "1")
		old.want(t, "2")
		young.want(t, "3")
	})
}

func TestWaitersSeeATransactionAsOne(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		w := n.waitFor(1, "BLPOP", "k", "0")
		v := n.waitFor(2, "BLPOP", "k", "0")
		req := n.request(call("RPUSH", "k", "a"), call("RPUSH", "k", "b"), call("LPUSH", "k", "c"), call("RPOP", "k"))
		req.Kind = fsm.Exec
		if out := <-n.submit(req); out.err != nil || out.replies[3].Str != "b" {
			t.Fatalf("%+v", out)
		}
		w.want(t, "c")
		v.want(t, "a")
		// As calls of a pipeline each is on its own.
		u := n.waitFor(3, "BLPOP", "k", "0")
		if out := <-n.submit(n.request(call("RPUSH", "k", "a"), call("LLEN", "k"))); out.err != nil || out.replies[1].Int != 0 {
			t.Fatalf("%+v", out)
		}
		u.want(t, "a")
	})
}

// A chain: what one takes is what another waits for.
func TestWaitersServeEachOther(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		last := n.waitFor(1, "BLPOP", "c", "0")
		first := n.waitFor(2, "BLMOVE", "a", "b", "LEFT", "LEFT", "0")
		middle := n.waitFor(3, "BLMOVE", "b", "c", "LEFT", "LEFT", "0")
		index, _ := n.Digest()
		n.must("RPUSH", "a", "x")
		for _, w := range []*waitingTest{last, first, middle} {
			w.want(t, "x")
		}
		if now, _ := n.Digest(); now != index+1 {
			t.Errorf("%d entries", now-index)
		}
	})
}

func TestCancelledWaitTakesNothing(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		w, v := n.waitFor(1, "BLPOP", "k", "0"), n.waitFor(2, "BLPOP", "k", "0")
		n.CancelWait(w.Wait)
		w.want(t, ErrCancelled.Error())
		n.must("RPUSH", "k", "a")
		v.want(t, "a")
		w.want(t, "") // nothing more

		// Cancelled while an entry has it: what it says is what is so.
		served, empty := n.waitFor(3, "BLPOP", "k", "0"), n.waitFor(4, "BLPOP", "j", "0")
		pushed, deleted := n.submit(n.request(call("RPUSH", "k", "b"))), n.submit(n.request(call("DEL", "j")))
		r.wait("the entry to be on its way", func() bool {
			n.waiters.mu.Lock()
			defer n.waiters.mu.Unlock()
			found := n.waiters.byID[waitID{waitOrigin, 3}]
			return found == nil || found.flying > 0
		})
		n.CancelWait(served.Wait)
		n.CancelWait(empty.Wait)
		<-pushed
		<-deleted
		served.want(t, "b")
		empty.want(t, ErrCancelled.Error())
		if n.Waiters() != 0 || len(n.waiters.byID) != 0 {
			t.Errorf("%d wait, %d in the table", n.Waiters(), len(n.waiters.byID))
		}
	})
}

// However short its time is, who waits gets what is there: it may be over while that is
// being offered.
func TestWaitThatIsOverAtOnceGetsWhatIsThere(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		n.must("RPUSH", "k", "a", "b", "c")
		ended, cancelled, again := n.waitFor(1, "BLPOP", "k", "0"), n.waitFor(2, "BLPOP", "k", "0"), newWait(3, "BLPOP", "k", "0")
		n.EndWait(ended.Wait)
		n.CancelWait(cancelled.Wait)
		n.waitFor(3, "BLPOP", "k", "0")
		again.Over = true
		n.Wait(again.Wait)
		ended.want(t, "a")
		cancelled.want(t, ErrCancelled.Error())
		again.want(t, "b")
		if v := n.must("LRANGE", "k", "0", "-1"); len(v.Elems) != 1 || n.Waiters() != 0 || len(n.waiters.byID) != 0 {
			t.Errorf("%d elements are left, %d wait, %d in the table", len(v.Elems), n.Waiters(), len(n.waiters.byID))
		}
	})
}

func TestWaitThatComesAgainIsAnsweredWhereItComesFrom(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		before := n.waitFor(1, "BLPOP", "k", "0")
		again := newWait(1, "BLPOP", "k", "0")
		n.Wait(again.Wait)
		before.want(t, ErrUncertain.Error())
		n.CancelWait(before.Wait) // its connection is gone
		n.must("RPUSH", "k", "a")
		again.want(t, "a")
		// Whoever has not heard of it is told the same.
		third := newWait(1, "BLPOP", "k", "0")
		n.Wait(third.Wait)
		third.want(t, "a")
		over := newWait(1, "BLPOP", "k", "0")
		over.Over = true
		n.Wait(over.Wait)
		over.want(t, "a")
		// Its time may be over before it comes to any leader.
		n.must("RPUSH", "l", "a")
		for i, key := range []string{"l", "l", "first"} {
			late := newWait(uint64(2+i), "BLPOP", key, "0")
			late.Over = true
			n.Wait(late.Wait)
			late.want(t, []string{"a", ErrCancelled.Error(), resp.ErrWrongType.Str}[i])
		}
		if n.Waiters() != 0 || len(n.waiters.byID) != 0 {
			t.Errorf("%d wait, %d in the table", n.Waiters(), len(n.waiters.byID))
		}
	})
}

// An entry fails a waiter that the next, which is on its way, serves: who asks again must
// get what that took.
func TestOutcomeOfALaterEntryIsOfTheSameWait(t *testing.T) {
	reply := []resp.Value{resp.List(resp.Str("k"), resp.Str("a"))}
	for _, over := range []bool{false, true} {
		g := &Group{}
		first := newWait(1, "BLPOP", "k", "0")
		g.waiters.add(first.Wait, nil, false, false)
		g.queue = newQueue(1 << 20)
		var entries [][]*Call
		for range 2 {
			entries = append(entries, g.attend(nil, []dbKey{{0, "k"}}))
		}
		entries[0][0].Done(nil, ErrUnknownOrigin)
		if out := <-first.got; !errors.Is(out.err, ErrUnknownOrigin) {
			t.Fatalf("%+v", out)
		}
		again := newWait(1, "BLPOP", "k", "0")
		if known, _, _ := g.waiters.add(again.Wait, nil, false, false); !known {
			t.Fatal("it is forgotten while an entry has it")
		}
		if over {
			g.CancelWait(again.Wait)
		}
		if len(again.got) > 0 {
			t.Fatal("it is told before the entry is")
		}
		entries[1][0].Done(reply, nil)
		if out := <-again.got; out.err != nil || out.replies[0].Elems[1].Str != "a" {
			t.Fatalf("%+v", out)
		}
		if len(g.waiters.byID)+len(g.waiters.byKey) != 0 || g.Waiters() != 0 {
			t.Errorf("%d are left in the table", len(g.waiters.byID))
		}
	}
}

func TestWhoWaitsIsToldOfALostLead(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		var all []*waitingTest
		for i := range 10 {
			all = append(all, n.waitFor(uint64(i+1), "BLPOP", "k", "0"))
			time.Sleep(time.Millisecond)
		}
		r.net.Isolate(n.name)
		push := n.submit(n.request(call("RPUSH", "k", "lost"))) // with the first of them
		time.Sleep(time.Minute)
		if out := <-push; out.err == nil {
			t.Fatal("a leader that nobody hears has executed a command")
		}
		for _, w := range all {
			w.want(t, ErrNotLeader.Error())
		}
		late := n.waitFor(99, "BLPOP", "k", "0")
		late.want(t, ErrNotLeader.Error())

		next := r.leader(n.name)
		next.must("SET", "another", "request")
		for _, i := range []int{3, 1, 2, 0, 4} { // as they happen to come
			w := newWait(uint64(i+1), "BLPOP", "k", "0")
			w.Since = all[i].Since
			all[i] = w
			next.Wait(w.Wait)
		}
		next.must("RPUSH", "k", "0", "1", "2", "3", "4")
		for i, w := range all[:5] {
			w.want(t, fmt.Sprint(i))
		}
	})
}

// Whatever becomes of a leader while it serves, one waits and one element comes: in the
// end it was delivered or is there.
func TestElementIsDeliveredOnceWhenALeaderIsLost(t *testing.T) {
	for after := range 8 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				first := n.waitFor(1, "BLPOP", "k", "0")
				const origin = 1 << 42
				<-n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: origin})
				push := fsm.Request{Kind: fsm.Run, Origin: origin, Seq: 1, Calls: oneCall("RPUSH", "k", "x")}
				n.submit(push)
				time.Sleep(time.Duration(after) * time.Millisecond / 2)
				r.crash(n.name)
				next := r.leader(n.name)
				if out := <-next.submit(push); out.err != nil {
					t.Fatal(out.err)
				}
				got := first.answer()
				again := newWait(1, "BLPOP", "k", "0")
				next.Wait(again.Wait)
				again.want(t, "x") // the same, be it the first answer or the second
				if got != "" && got != "x" && got != ErrNotLeader.Error() && got != ErrStopped.Error() {
					t.Errorf("the first answer was %q", got)
				}
				if left := next.must("LLEN", "k").Int; left != 0 {
					t.Errorf("%d are left", left)
				}
			})
		})
	}
}

func TestWaitsOnAFullDisk(t *testing.T) {
	bubble(t, func(r *rig) {
		var level atomic.Uint32
		r.config = func(c *Config) {
			c.Space = func() Space { return Space{Level: Level(level.Load()), Room: 1 << 30} }
		}
		n := r.open("v")
		r.leader()
		n.must("SET", "first", "request")
		n.openWaits()
		n.must("RPUSH", "there", "a")
		w := n.waitFor(1, "BLPOP", "k", "0")
		level.Store(uint32(SpaceFull))
		n.waitFor(2, "BLPOP", "there", "0").want(t, n.spaceFull().Error())
		n.waitFor(3, "BLPOP", "k", "0").want(t, n.spaceFull().Error())
		n.queue.addOffers(dbKey{0, "k"}) // as if there were something
		w.want(t, "")
		index, _ := n.Digest()
		level.Store(uint32(SpaceOK))
		w.want(t, "")
		if now, _ := n.Digest(); now != index+1 {
			t.Errorf("%d entries when there is room again, want the one that offers", now-index)
		}
		n.must("RPUSH", "k", "b")
		w.want(t, "b")
		n.must("RPUSH", "k", "c")
		level.Store(uint32(SpaceLow))
		n.waitFor(4, "BLMOVE", "k", "j", "LEFT", "LEFT", "0").want(t, n.refusal(n.cfg.Space()).Error())
		n.waitFor(5, "BLPOP", "k", "0").want(t, "c")
	}, "v")
}

func TestAttendanceIsBounded(t *testing.T) {
	g := &Group{queue: newQueue(1 << 20)}
	for i := range 10_000 {
		g.waiters.add(newWait(uint64(i), "BLPOP", "k", "0").Wait, []byte("request"), false, false)
	}
	var calls []*Call
	for range 4000 {
		calls = append(calls, &Call{Calls: oneCall("RPUSH", "k", "v")})
	}
	if got := g.attend(calls, nil); len(got) != maxAttended {
		t.Errorf("%d are in an entry", len(got))
	}
	if got := g.attend(calls[:3], nil); len(got) != maxAttended {
		t.Errorf("%d are in the next, which has to have those before", len(got))
	}
	if got := g.attend([]*Call{{Calls: []command.Call{call("GET", "k"), call("RPUSH", "other", "v")}}}, nil); len(got) != 0 {
		t.Errorf("%d are in an entry that brings nothing", len(got))
	}
	if !slices.IsSortedFunc(g.waiters.byKey[dbKey{0, "k"}], func(a, b *waiter) int { return a.Since.Compare(b.Since) }) {
		t.Error("the line is not in order")
	}
}

func BenchmarkAttendWhileOthersWait(b *testing.B) {
	g := &Group{queue: newQueue(1 << 20)}
	for i := range 10_000 {
		g.waiters.add(newWait(uint64(i), "BLPOP", fmt.Sprint("key-", i), "0").Wait, []byte("request"), false, false)
	}
	calls := []*Call{{Calls: oneCall("SET", "k", "v")}}
	for b.Loop() {
		g.attend(calls, nil)
	}
}

// What comes from another database is taken before the next command could.
func TestWhatComesFromAnotherDatabaseIsTakenAtOnce(t *testing.T) {
	for _, bring := range [][]string{{"SWAPDB", "0", "1"}, {"MOVE", "k", "1"}, {"COPY", "k", "k", "DB", "1"}} {
		t.Run(bring[0], func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				n.must("RPUSH", "k", "a")
				wait := newWait(1, "BLPOP", "k", "0")
				wait.Call.DB = 1
				n.Wait(wait.Wait)
				behind := call("LLEN", "k")
				behind.DB = 1
				out := <-n.submit(n.request(call(bring...), behind))
				if out.err != nil || out.replies[1].Int != 0 {
					t.Errorf("the next command finds %+v", out)
				}
				wait.want(t, "a")
			})
		})
	}
}
