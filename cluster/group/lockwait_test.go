package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lockWait makes an owner wait for a lock. Its answer is for how many ms it gets it.
func (n *replica) lockWait(seq uint64, owner, ttl string, more ...string) *waitingTest {
	return n.waitFor(seq, slices.Concat([]string{"LOCK.ACQUIRE", "k", owner, ttl, "WAIT", "0"}, more)...)
}

// granted returns whose lock it is.
func (n *replica) granted() string { return n.must("GET", "k").Str }

// take takes the lock and returns its token.
func (n *replica) take(owner, ttl string, more ...string) string {
	v := n.must(slices.Concat([]string{"LOCK.ACQUIRE", "k", owner, ttl}, more)...)
	return strconv.FormatInt(v.Elems[0].Int, 10)
}

// holderToken returns the token of the n-th holder.
func (n *replica) holderToken(i int) string {
	info := n.must("LOCK.INFO", "k").Elems
	return strconv.FormatInt(info[len(info)-3].Elems[i].Elems[3].Int, 10)
}

func TestLocksAreHandedOnInOrder(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		token := n.take("first", "60000")
		var all []*waitingTest
		index, _ := n.Digest()
		for i := range 100 {
			all = append(all, n.lockWait(uint64(i+1), fmt.Sprint("w-", i), "60000"))
		}
		time.Sleep(5 * time.Second)
		if now, _ := n.Digest(); now != index || n.Waiters() != 100 {
			t.Fatalf("%d entries, %d wait", now-index, n.Waiters())
		}
		for i, w := range all {
			n.must("LOCK.RELEASE", "k", token)
			synctest.Wait()
			if len(w.got) != 1 || n.Waiters() != 99-i {
				t.Fatalf("waiter %d got %d answers, %d wait", i, len(w.got), n.Waiters())
			}
			out := <-w.got
			token = strconv.FormatInt(out.replies[0].Elems[0].Int, 10)
		}
		// One entry for each release, and with it the grant.
		if now, _ := n.Digest(); now-index != 100 {
			t.Errorf("%d entries for 100 grants", now-index)
		}
		n.must("LOCK.RELEASE", "k", token)
		if len(n.waiters.byID)+len(n.waiters.byKey)+len(n.waiters.lines) != 0 {
			t.Errorf("the table keeps %d waiters", len(n.waiters.byID))
		}
	})
}

// However a lock becomes free, the next gets it at once.
func TestAFreeLockGoesToTheNext(t *testing.T) {
	for _, how := range []string{
		"DEL k", "LOCK.FORCE k TOKEN", "FLUSHALL", "FLUSHDB", "PEXPIRE k 20", "RENAME k other", "SWAPDB 0 1", "SET k plain PX 20", "LOCK.RENEW k TOKEN 20",
		"MOVE k 1", "EVAL DEL k", "",
	} {
		t.Run(how, func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				ttl := "60000"
				if how == "" {
					ttl = "50" // it expires
				}
				token := n.take("first", ttl)
				w := n.lockWait(1, "next", "60000")
				if got := w.answer(); got != "" {
					t.Fatalf("it got %q while another has it", got)
				}
				switch how {
				case "EVAL DEL k":
					n.eval("DEL KEYS[1]", "k")
				case "":
				default:
					var args []string
					for _, a := range strings.Fields(how) {
						if a == "TOKEN" {
							a = token
						}
						args = append(args, a)
					}
					n.must(args...)
				}
				w.want(t, "60000")
				if n.granted() != "next" {
					t.Errorf("%q has it", n.granted())
				}
			})
		})
	}
}

// Who comes does not overtake who waits: neither readers a writer, nor SET NX anybody.
func TestNobodyOvertakesWhoWaitsForALock(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		first := n.take("r1", "60000", "SHARED")
		second := n.take("r2", "60000", "SHARED")
		writer := n.lockWait(1, "w", "60000")
		r3 := n.lockWait(2, "r3", "60000", "SHARED")
		r4 := n.lockWait(3, "r4", "60000", "SHARED")
		last := n.lockWait(4, "w2", "60000")
		if v := n.must("LOCK.ACQUIRE", "k", "r5", "60000", "SHARED"); len(v.Elems) != 0 {
			t.Errorf("a reader overtook the writer that waits: %+v", v)
		}
		if v := n.must("LOCK.ACQUIRE", "k", "r1", "60000", "SHARED"); len(v.Elems) == 0 {
			t.Error("a holder that asked again was refused")
		}
		again := n.lockWait(5, "r2", "60000", "SHARED")
		again.want(t, "60000")
		for _, w := range []*waitingTest{writer, r3, r4, last} {
			w.want(t, "")
		}
		n.must("LOCK.RELEASE", "k", first)
		writer.want(t, "")
		n.must("LOCK.RELEASE", "k", second)
		writer.want(t, "60000")
		token := n.holderToken(0)
		n.must("LOCK.RELEASE", "k", token)
		r3.want(t, "60000") // all readers up to the next writer at once
		r4.want(t, "60000")
		last.want(t, "")
		a, b := n.holderToken(0), n.holderToken(1)
		n.must("LOCK.RELEASE", "k", a)
		n.must("LOCK.RELEASE", "k", b)
		last.want(t, "60000")
		waits := n.lockWait(6, "next", "60000")
		freed := n.submit(n.request(call("DEL", "k"), call("SET", "k", "thief", "NX")))
		<-freed
		waits.want(t, "60000")
		if n.granted() != "next" {
			t.Errorf("%q has it", n.granted())
		}
	})
}

func TestLockThatIsMadeSharedLetsReadersIn(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		n.take("me", "60000")
		reader := n.lockWait(1, "reader", "60000", "SHARED")
		n.take("me", "60000", "SHARED")
		reader.want(t, "60000")
	})
}

func TestALockIsNotGivenToWhoIsGone(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		token := n.take("me", "60000")
		gone, over, next := n.lockWait(1, "gone", "60000"), n.lockWait(2, "over", "60000"), n.lockWait(3, "next", "60000")
		n.CancelWait(gone.Wait)
		n.EndWait(over.Wait)
		gone.want(t, ErrCancelled.Error())
		over.want(t, ErrCancelled.Error())
		n.must("LOCK.RELEASE", "k", token)
		next.want(t, "60000")
	})
}

// A writer that waits no more does not keep the readers behind it waiting.
func TestReadersGoOnWhenAWriterGivesUp(t *testing.T) {
	for _, how := range []string{"cancelled", "over", "over at another connection"} {
		t.Run(how, func(t *testing.T) {
			waitRig(t, func(r *rig, n *replica) {
				n.take("r1", "60000", "SHARED")
				writer, reader, last := n.lockWait(1, "w", "60000"), n.lockWait(2, "r2", "60000", "SHARED"), n.lockWait(3, "w2", "60000")
				switch how {
				case "cancelled":
					n.CancelWait(writer.Wait)
				case "over":
					n.EndWait(writer.Wait)
				default:
					again := newWait(1, "LOCK.ACQUIRE", "k", "w", "60000", "WAIT", "0")
					again.Over = true
					n.Wait(again.Wait)
				}
				reader.want(t, "60000")
				last.want(t, "")
				n.CancelWait(last.Wait)
				n.lockWait(4, "r3", "60000", "SHARED").want(t, "60000")
			})
		})
	}
}

func TestFreeLockIsTakenAtOnce(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		index, _ := n.Digest()
		n.lockWait(1, "me", "60000").want(t, "60000")
		if now, _ := n.Digest(); now != index+1 {
			t.Errorf("it took %d entries", now-index)
		}
		n.lockWait(2, "me", "x").want(t, "ERR value is not an integer or out of range")
	})
}
