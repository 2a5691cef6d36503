package route

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phonond/cluster/group"
)

// received keeps what nodes were posted, by node.
func (r *rig) received(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts[name])
}

func (r *rig) receive(name string, in []byte) ([]byte, error) {
	if string(in) == "garbage" {
		return nil, errors.New("what is this")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts[name] = append(r.posts[name], string(in))
	return append([]byte("got "), in...), nil
}

func (n *node) post(to, text string) <-chan answer {
	got := make(chan answer, 2) // room for a second one, which would be a defect
	n.Post(to, []byte(text), func(out []byte, err error) { got <- answer{data: out, err: err} })
	return got
}

// TestPostsComeInOrder posts from several goroutines at once, beside queries: what
// each goroutine posts comes in its order, and each is told of its own.
func TestPostsComeInOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		r.net.Latency("e", "x", 10*time.Millisecond)
		var wg sync.WaitGroup
		for who := range 4 {
			wg.Go(func() {
				var waiting []<-chan answer
				for i := range 200 {
					waiting = append(waiting, r.nodes["x"].post("e", fmt.Sprint(who, " ", i)))
				}
				for i, got := range waiting {
					if a := <-got; a.err != nil || string(a.data) != fmt.Sprint("got ", who, " ", i) {
						t.Errorf("post %d of %d: %q, %v", i, who, a.data, a.err)
					}
				}
			})
		}
		wg.Wait()
		next := map[int]int{}
		for _, text := range r.received("e") {
			var who, i int
			fmt.Sscan(text, &who, &i)
			if i != next[who] {
				t.Fatalf("%q where %d was to come", text, next[who])
			}
			next[who]++
		}
		if len(next) != 4 || next[0] != 200 {
			t.Errorf("received: %v", next)
		}
	})
}

// TestPostsAreNeverLateOrTwice: over connections that break, and from which something
// may arrive when the next one is long in use.
func TestPostsAreNeverLateOrTwice(t *testing.T) {
	lossily(t, 10, 4, func(t *testing.T, r *rig, l *lossy) {
		r.start("e", "x")
		confirmed := map[int]bool{}
		for i := range 300 {
			a := <-r.nodes["x"].post("e", fmt.Sprint(i))
			confirmed[i] = a.err == nil
			time.Sleep(50 * time.Millisecond)
		}
		l.end(r)
		last, came := -1, map[int]bool{}
		for _, text := range r.received("e") {
			var i int
			fmt.Sscan(text, &i)
			if i <= last {
				t.Fatalf("%d came after %d", i, last)
			}
			last, came[i] = i, true
		}
		lost := 0
		for i := range 300 {
			if confirmed[i] && !came[i] {
				t.Errorf("%d was confirmed and did not come", i)
			}
			if !came[i] {
				lost++
			}
		}
		if lost > 200 {
			t.Errorf("%d of 300 were lost", lost)
		}
	})
}

// TestANewRunPostsFromTheBeginning: its posts are not taken for old ones.
func TestANewRunPostsFromTheBeginning(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		for i := range 3 {
			<-r.nodes["x"].post("e", fmt.Sprint(i))
		}
		old := r.nodes["x"].Router
		old.Close()
		r.nodes["x"].Router = New(r.config("x", nil))
		if a := <-r.nodes["x"].post("e", "again"); a.err != nil {
			t.Error(a.err)
		}
		if got := r.received("e"); !slices.Equal(got, []string{"0", "1", "2", "again"}) {
			t.Errorf("received %q", got)
		}
	})
}

// TestPostsToASlowNodeAreBounded: what it does not confirm is refused beyond a bound,
// and there is room again when it has.
func TestPostsToASlowNodeAreBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		<-r.nodes["x"].post("e", "first")
		r.net.Cut("x", "e")
		text := strings.Repeat("x", 1<<20)
		var waiting []<-chan answer
		for range 40 {
			waiting = append(waiting, r.nodes["x"].post("e", text))
		}
		busy := 0
		for _, got := range waiting {
			if a := <-got; errors.Is(a.err, group.ErrBusy) {
				busy++
			} else if a.err == nil {
				t.Error("a node that is cut off confirms")
			}
		}
		if busy != 25 {
			t.Errorf("%d of 40 posts of 1 MiB were refused, of which less than 16 MiB may wait", busy)
		}
		r.net.HealAll()
		time.Sleep(time.Second)
		if a := <-r.nodes["x"].post("e", text); a.err != nil {
			t.Errorf("after that: %v", a.err)
		}
		if a := <-r.nodes["x"].post("e", strings.Repeat("x", maxFrame)); !errors.Is(a.err, ErrTooLarge) {
			t.Errorf("more than a frame: %v", a.err)
		}
	})
}

func TestPostsThatCannotBeReadAreRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		if a := <-r.nodes["x"].post("e", "garbage"); !errors.Is(a.err, ErrRefused) {
			t.Errorf("garbage: %v", a.err)
		}
		w := r.wire("e")
		for _, payload := range [][]byte{nil, appendString(nil, "x"), append(appendString(nil, "x"), 1, 2, 3), {0xff}} {
			if a := w.ask(framePost, payload); !errors.Is(a.err, ErrRefused) {
				t.Errorf("%x: %v", payload, a.err)
			}
		}
		whole := binary.BigEndian.AppendUint64(appendString(nil, "y"), 7)
		for i, want := range []error{nil, ErrRefused} { // the second has the id of the first
			if a := w.ask(framePost, append(whole, "text"...)); !errors.Is(a.err, want) {
				t.Errorf("post %d: %v", i, a.err)
			}
		}
		w.Close()
		if a := <-r.nodes["x"].post("nobody", "text"); !errors.Is(a.err, ErrUnreachable) {
			t.Errorf("to nobody: %v", a.err)
		}
		if got := r.received("e"); !slices.Equal(got, []string{"text"}) {
			t.Errorf("received %q", got)
		}
	})
}
