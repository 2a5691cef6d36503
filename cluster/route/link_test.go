package route

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/group"
)

// ask sends a query frame over a node's link and returns where the answer comes.
func (n *node) ask(to, text string) <-chan answer {
	got := make(chan answer, 2) // room for a second one, which would be a defect
	n.links.get(to).send(frameQuery, func(b []byte) []byte { return append(b, text...) }, func(a answer) { got <- a })
	return got
}

func echo(f frame) []byte { return appendAnswer(nil, answer{data: f.payload}) }

// TestAnswersFindTheirQuestions: they come in any order.
func TestAnswersFindTheirQuestions(t *testing.T) {
	bubble(t, func(r *rig) {
		var mu sync.Mutex
		held := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{}), "c": make(chan struct{})}
		ln, err := r.net.Host("p", "").Listen(addr("p"))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		r.start("x")
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			for {
				f, err := readFrame(in)
				if err != nil {
					c.Close()
					return
				}
				go func() {
					<-held[string(f.payload)]
					mu.Lock()
					defer mu.Unlock()
					c.Write(appendFrame(nil, frameReply, f.id, func(b []byte) []byte { return append(b, echo(f)...) }))
				}()
			}
		}()
		asked := map[string]<-chan answer{}
		for _, q := range []string{"a", "b", "c"} {
			asked[q] = r.nodes["x"].ask("p", q)
		}
		for _, q := range []string{"c", "a", "b"} {
			close(held[q])
			if a := <-asked[q]; string(a.data) != q || a.err != nil {
				t.Errorf("%s was answered %q, %v", q, a.data, a.err)
			}
		}
	})
}

func TestLinkFailures(t *testing.T) {
	for _, tc := range []struct {
		name string
		peer func(r *rig)
		want error
		// within which time
		least, most time.Duration
	}{
		{"refused", func(r *rig) {}, ErrUnreachable, 0, 0},
		{"dial hangs", func(r *rig) {
			r.peer("p", func(frame) ([]byte, bool) { return nil, true })
			r.net.Host("x", "")
			r.net.Cut("x", "p")
		}, ErrUnreachable, linkDial, linkDial},
		{"silence", func(r *rig) { r.peer("p", func(frame) ([]byte, bool) { return nil, true }) },
			group.ErrUncertain, linkDead, linkDead + 2*linkPing},
		{"connection lost", func(r *rig) { r.peer("p", func(frame) ([]byte, bool) { return nil, false }) },
			group.ErrUncertain, 0, 0},
		{"slow, but there", func(r *rig) {
			r.peer("p", func(f frame) ([]byte, bool) {
				if f.kind == framePing {
					return echo(f), true
				}
				return nil, true
			})
		}, nil, 30 * time.Second, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				tc.peer(r)
				r.start("x")
				began := time.Now()
				select {
				case a := <-r.nodes["x"].ask("p", "q"):
					if took := time.Since(began); tc.want == nil || !errors.Is(a.err, tc.want) || took < tc.least || took > tc.most {
						t.Errorf("%v after %v", a.err, took)
					}
				case <-time.After(30 * time.Second):
					if tc.want != nil {
						t.Error("no answer in 30 s")
					}
				}
			})
		})
	}
}

// TestLinkIsNotRedialledAtOnce: a node that is down costs the others little.
func TestLinkIsNotRedialledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		ls := links{byNode: map[string]*link{}, dial: func(context.Context, string) (net.Conn, error) {
			dials++
			return nil, errors.New("refused")
		}}
		ls.ctx, ls.cancel = context.WithCancel(context.Background())
		for range 1000 {
			ls.get("p").send(framePing, func(b []byte) []byte { return b }, func(a answer) {
				if !errors.Is(a.err, ErrUnreachable) {
					t.Errorf("%v", a.err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		if dials < 5 || dials > 10 {
			t.Errorf("%d dials in a second", dials)
		}
		ls.close()
	})
}

// TestCloseEndsWhatWaitsOnLinks: those who wait for an answer, and those who wait
// for a connection, at once.
func TestCloseEndsWhatWaitsOnLinks(t *testing.T) {
	bubble(t, func(r *rig) {
		r.peer("p", func(frame) ([]byte, bool) { return nil, true })
		r.peer("far", func(frame) ([]byte, bool) { return nil, true })
		r.start("x")
		x := r.nodes["x"]
		r.net.Cut("x", "far")
		began := time.Now()
		waiting := []<-chan answer{x.ask("p", "q"), x.ask("far", "q"), x.ask("p", "q")}
		time.Sleep(time.Millisecond)
		x.Close()
		for i, got := range waiting {
			if a := <-got; a.err == nil {
				t.Errorf("question %d: %+v", i, a)
			}
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		if x.links.get("p") != nil {
			t.Error("a closed router gives out links")
		}
	})
}

// TestLinkQueueIsBounded: a node that does not read does not fill our memory.
func TestLinkQueueIsBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		r.peer("p", func(frame) ([]byte, bool) { return nil, true })
		r.start("x")
		r.net.Cut("x", "p") // the dial hangs, so all of it waits
		large := strings.Repeat("x", 8<<20)
		var waiting []<-chan answer
		for range 12 {
			waiting = append(waiting, r.nodes["x"].ask("p", large))
		}
		busy := 0
		for _, got := range waiting {
			if a := <-got; errors.Is(a.err, group.ErrBusy) {
				busy++
			}
		}
		if busy < 2 || busy > 4 {
			t.Errorf("%d of 12 frames of 8 MiB were refused, of which 64 MiB may wait", busy)
		}
	})
}

func TestQuery(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		var wg sync.WaitGroup
		for i := range 3 * maxQueries { // more than run side by side
			wg.Go(func() {
				out, err := r.nodes["x"].Query(context.Background(), "e", "status", fmt.Append(nil, i))
				if err != nil || string(out) != fmt.Sprintf("status:%d", i) {
					t.Errorf("query %d: %q, %v", i, out, err)
				}
			})
		}
		wg.Wait()
	})
}
