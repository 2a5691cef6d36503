package group

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"phonond/fsm"
	"phonond/redisproto/resp"
)

// openSession opens a session at the leader.
func (n *replica) openSession(name, ttl string) (id string) {
	id = name + "@eu"
	n.must("SESSION.PUT", id, ttl, "", "", "", "", "0")
	return id
}

// keepAlive says that a session is in use, and returns what the client is told.
func (n *replica) keepAlive(id string) (resp.Value, error) {
	if !n.KeepAlive(id) {
		return resp.Value{}, ErrNotLeader
	}
	done := make(chan error, 1)
	n.Barrier(false, func(err error) { done <- err })
	if err := <-done; err != nil {
		return resp.Value{}, err
	}
	return n.Read(oneCall("SESSION.ALIVE", id))[0], nil
}

// TestSessionsLiveInTheLeadersMemory: many clients keep their sessions alive, for which
// there is no entry, and all end when they fall silent, not before.
func TestSessionsLiveInTheLeadersMemory(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		const sessions = 2000
		var ids []string
		for i := range sessions {
			ids = append(ids, n.openSession(fmt.Sprint("s-", i), "10000"))
		}
		index, _ := n.Digest()
		for range 20 {
			time.Sleep(3 * time.Second)
			for _, id := range ids {
				if v, err := n.keepAlive(id); err != nil || v.Kind != resp.Array || v.Elems[0].Int != 10000 {
					t.Fatalf("%s: %+v, %v", id, v, err)
				}
			}
		}
		if now, _ := n.Digest(); now != index {
			t.Errorf("%d entries to keep %d sessions for a minute", now-index, sessions)
		}
		time.Sleep(9900 * time.Millisecond)
		if c := n.sessions(); c != sessions {
			t.Fatalf("%d of %d sessions live shortly before their time is over", c, sessions)
		}
		time.Sleep(200 * time.Millisecond)
		if c := n.sessions(); c != 0 {
			t.Fatalf("%d sessions outlive their time", c)
		}
		if now, _ := n.Digest(); now-index > sessions/maxEnding+1 {
			t.Errorf("%d entries to end %d sessions", now-index, sessions)
		}
		if v, err := n.keepAlive(ids[0]); err != nil || !v.IsError() {
			t.Errorf("a session that has ended: %+v, %v", v, err)
		}
	})
}

func (n *replica) sessions() int {
	n.Group.mu.RLock()
	defer n.Group.mu.RUnlock()
	return n.machine.SessionCount()
}

// TestLocksOfASessionAreHandedOn: the entry that ends a session hands on all that it held,
// and who waits with a session that has ended is told so, wherever he stands.
func TestLocksOfASessionAreHandedOn(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		dying, going := n.openSession("dying", "5000"), n.openSession("going", "86400000")
		n.must("LOCK.ACQUIRE", "k", "me", "0", "SESSION", dying)
		n.must("LOCK.ACQUIRE", "l", "me", "0", "SESSION", dying)
		n.must("SEM.ACQUIRE", "s", "me", "0", "LIMIT", "1", "SESSION", dying)
		n.must("REF.ACQUIRE", "R", "me", "SESSION", dying)
		began := time.Now()
		first := n.waitFor(1, "LOCK.ACQUIRE", "k", "first", "60000", "WAIT", "0")
		dead := n.waitFor(2, "LOCK.ACQUIRE", "k", "dead", "0", "SESSION", dying, "WAIT", "0")
		last := n.waitFor(3, "LOCK.ACQUIRE", "k", "last", "60000", "WAIT", "0")
		both := n.waitFor(4, "LOCK.MULTI", "2", "l", "m", "both", "60000", "WAIT", "0")
		permit := n.waitFor(5, "SEM.ACQUIRE", "s", "other", "60000", "LIMIT", "1", "WAIT", "0")
		elected := n.waitFor(6, "REF.WAITLAST", "R", "heir", "SESSION", going, "WAIT", "0")
		index, _ := n.Digest()
		all := []*waitingTest{first, both, permit, elected}
		for len(first.got) == 0 {
			if time.Sleep(10 * time.Millisecond); time.Since(began) > time.Minute {
				t.Fatal("the lock is not handed on")
			}
		}
		if since := time.Since(began); since < 5*time.Second || since > 5500*time.Millisecond {
			t.Errorf("handed on after %v", since)
		}
		synctest.Wait()
		if now, _ := n.Digest(); now > index+3 { // it ends; who died is told; who comes behind him is looked at
			t.Errorf("%d entries", now-index)
		}
		for _, w := range all {
			if len(w.got) != 1 {
				t.Fatalf("wait %d has no answer", w.Seq)
			}
		}
		first.want(t, "60000")
		both.want(t, "60000")
		permit.want(t, "60000")
		if out := <-elected.got; out.err != nil || len(out.replies[0].Elems) != 4 {
			t.Errorf("nobody is elected: %+v", out)
		}
		dead.want(t, "NOSESSION the session is not known, or has ended")
		last.want(t, "")
		n.must("DEL", "k")
		last.want(t, "60000")
	})
}

// TestOneEntryEndsASessionAndHandsItsLockOn: nobody can come between.
func TestOneEntryEndsASessionAndHandsItsLockOn(t *testing.T) {
	for _, end := range []string{"silence", "SESSION.END"} {
		t.Run(end, func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				id := n.openSession("s", "2000")
				n.must("LOCK.ACQUIRE", "k", "me", "0", "SESSION", id)
				next := n.waitFor(1, "LOCK.ACQUIRE", "k", "next", "60000", "WAIT", "0")
				index, _ := n.Digest()
				if end == "silence" {
					time.Sleep(2500 * time.Millisecond)
				} else {
					n.must("SESSION.END", id, "")
				}
				if got := next.answer(); got != "60000" {
					t.Errorf("got %q", got)
				}
				if now, _ := n.Digest(); now != index+1 {
					t.Errorf("%d entries", now-index)
				}
			})
		})
	}
}

// TestSessionsThroughAChangeOfLeaders: what the old leader was told last counts as if the
// new one had been told when it began.
func TestSessionsThroughAChangeOfLeaders(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		id := n.openSession("s", "5000")
		n.must("LOCK.ACQUIRE", "k", "me", "0", "SESSION", id)
		for range 4 {
			time.Sleep(4 * time.Second)
			if v, err := n.keepAlive(id); err != nil || v.IsError() {
				t.Fatalf("%+v, %v", v, err)
			}
		}
		heard := time.Now()
		time.Sleep(3 * time.Second)
		r.crash(n.name)
		next := r.leader(n.name)
		led := time.Now()
		for next.sessions() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if since := time.Since(heard); since < 5*time.Second {
			t.Errorf("it ended %v after the last sign of life", since)
		}
		if since := time.Since(led); since > 5*time.Second+500*time.Millisecond {
			t.Errorf("it ended %v after the new leader began", since)
		}
		if v, err := next.get("k"); err != nil || v.Kind != resp.Null.Kind {
			t.Errorf("its lock is held by %+v, %v", v, err)
		}
	})
}

// TestDeposedLeaderEndsNobody: a leader that is cut off hears of no client any more.
func TestDeposedLeaderEndsNobody(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		id := n.openSession("s", "2000")
		r.net.Isolate(n.name)
		next := r.leader(n.name)
		for range 30 {
			time.Sleep(500 * time.Millisecond)
			if v, err := next.keepAlive(id); err != nil || v.IsError() {
				t.Fatalf("%+v, %v", v, err)
			}
			if v, err := n.keepAlive(id); err == nil {
				t.Fatalf("the deposed leader answers %+v", v)
			}
		}
		r.net.HealAll()
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			if v, err := r.leader().keepAlive(id); err != nil || v.IsError() {
				t.Fatalf("%+v, %v", v, err)
			}
		}
	})
}

// TestKeeperThatDidNotRun: what passes while the process does not run is not counted
// against clients, who may have spoken meanwhile.
func TestKeeperThatDidNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsm.New(fsm.Config{Group: "eu", Table: fsm.DataCommands()})
		k := newKeeper()
		lead := &leadership{term: 1}
		k.begin(lead, m)
		k.changed(fsm.Session{ID: "s@eu", TTL: 5000}, false)
		time.Sleep(4 * time.Second)
		k.touch("s@eu")
		time.Sleep(30 * time.Second)
		k.overslept(29 * time.Second)
		if _, ended, _ := k.next(); len(ended) != 0 {
			t.Fatalf("%q end", ended)
		}
		time.Sleep(4 * time.Second)
		by, ended, nap := k.next()
		if !slices.Equal(ended, []string{"s@eu"}) || by != lead || nap != 0 {
			t.Fatalf("%q end, then sleep for %v", ended, nap)
		}
		if k.touch("s@eu") {
			t.Error("a session that is being ended is told to go on")
		}
		k.failed(ended)
		if !k.touch("s@eu") {
			t.Error("a session whose end has failed is not kept")
		}
		k.end(lead)
		if _, ended, nap := k.next(); len(ended) != 0 || nap != 0 {
			t.Errorf("%q end, sleep for %v: the lead is lost", ended, nap)
		}
	})
}
