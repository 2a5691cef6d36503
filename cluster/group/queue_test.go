package group

import (
	"errors"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// sized is a call whose request has n bytes; told counts how often Done ran.
func sized(n int, told *[]error) *Call {
	return &Call{Request: make([]byte, n), Done: func(_ []resp.Value, err error) { *told = append(*told, err) }}
}

func TestQueueRefusesAboveItsLimit(t *testing.T) {
	var told []error
	q := newQueue(1000)
	for i, step := range []struct {
		size int
		want error
	}{
		{5000, nil}, // alone it passes, however large: else it never could
		{1, ErrBusy},
	} {
		if err := q.addCall(sized(step.size, &told)); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v", i, err)
		}
	}
	q.take()
	for i, want := range []error{nil, nil, ErrBusy} {
		if err := q.addCall(sized(500, &told)); !errors.Is(err, want) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if err := q.addRead(func(err error) { told = append(told, err) }); err != nil {
		t.Errorf("a read: %v", err)
	}
	q.fail(ErrNotLeader)
	if len(told) != 3 {
		t.Errorf("%d of 3 were told that nothing came of it", len(told))
	}
	if err := q.addCall(sized(1000, &told)); err != nil {
		t.Errorf("the room of what failed was not given back: %v", err)
	}
	q.close(ErrStopped)
	if err := q.addCall(sized(1, &told)); !errors.Is(err, ErrStopped) {
		t.Errorf("a closed queue says %v", err)
	}
	if len(told) != 4 {
		t.Errorf("%d were told instead of 4", len(told))
	}
}

func TestEntriesAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name     string
		calls    int
		size     int
		requests int // in the first entry
	}{
		{"small", 100, 100, 100},
		{"many", 2*maxEntryRequests + 5, 1, maxEntryRequests},
		{"large", 100, maxEntryBytes / 10, 10},
		{"huge", 3, 2 * maxEntryBytes, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := newQueue(1 << 30)
			for range tc.calls {
				if err := q.addCall(sized(tc.size, new([]error))); err != nil {
					t.Fatal(err)
				}
			}
			left := tc.calls
			for first := true; left > 0; first = false {
				select {
				case <-q.wake:
				default:
					t.Fatalf("%d requests wait and nobody is woken", left)
				}
				calls, _, _ := q.take()
				if first && len(calls) != tc.requests || len(calls) == 0 || len(calls) > tc.requests {
					t.Fatalf("an entry has %d requests, at most %d belong in one", len(calls), tc.requests)
				}
				left -= len(calls)
			}
			if q.bytes != 0 {
				t.Errorf("%d bytes are still counted", q.bytes)
			}
		})
	}
}

// TestBusyGroupRefusesWithoutApplying holds the disk so that requests gather.
func TestBusyGroupRefusesWithoutApplying(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Limits.QueueBytes = 10_000 }
		n := r.open("v")
		r.leader()
		n.must("SET", "k", "")
		r.disks["v"].stall()
		var waiting []<-chan result
		refused := 0
		for range 100 {
			done := n.submit(n.request(call("APPEND", "k", strings.Repeat("x", 500))))
			select {
			case out := <-done:
				if !errors.Is(out.err, ErrBusy) {
					t.Errorf("a request above the limit was told %v", out.err)
				}
				refused++
			default:
				waiting = append(waiting, done)
			}
		}
		// The queue holds 20 at most, and so does each of the two entries on their way.
		if refused < 40 || refused > 85 {
			t.Errorf("%d of 100 were refused", refused)
		}
		r.disks["v"].repair()
		for _, done := range waiting {
			if out := <-done; out.err != nil {
				t.Errorf("a request that was taken was told %v", out.err)
			}
		}
		if v := n.must("STRLEN", "k"); v.Int != int64(500*len(waiting)) {
			t.Errorf("%d bytes were written by %d requests of 500", v.Int, len(waiting))
		}
	}, "v")
}
