package route

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// wait is a call of a blocking command on its way.
type wait struct {
	origin, seq uint64
	done        []uint64 // earlier numbers whose replies have come
	call        command.Call
	since       time.Time
	over        bool        // the client waits no more
	at          *group.Wait // at the replica here
}

// append appends what a frame has of the wait before the name of the group.
func (w *wait) append(b []byte) []byte {
	over := byte(0)
	if w.over {
		over = 1
	}
	return binary.AppendUvarint(append(b, over), uint64(max(time.Since(w.since), 0).Microseconds()))
}

// request encodes the wait for a frame.
func (w *wait) request() []byte {
	r := fsm.Request{Kind: fsm.Wait, Origin: w.origin, Seq: w.seq, Done: w.done, Calls: []command.Call{w.call}}
	return r.Append(nil)
}

// prepare makes what a replica of this node gets.
func (w *wait) prepare(done func(answer)) *group.Wait {
	w.at = &group.Wait{
		Origin: w.origin, Seq: w.seq, Done: w.done, Call: w.call, Since: w.since, Over: w.over,
		Reply: func(reply resp.Value, err error) {
			if err != nil {
				done(answer{err: err})
				return
			}
			done(answer{replies: []resp.Value{reply}})
		},
	}
	return w.at
}

// waitOutboxes number this node's blocking calls. They have an origin of their own: a client
// may wait for days, and what is acknowledged one by one need not be kept meanwhile.
type waitOutboxes struct {
	origin uint64
	mu     sync.Mutex
	next   uint64
	boxes  map[string]*waitOutbox
}

// waitOutbox is what this node and one group have to do with each other's waits.
type waitOutbox struct {
	*outbox          // for opening the origin only
	done    []uint64 // numbers whose replies have come, of which the group may not know
}

// maxDone is how many of them one request tells of.
const maxDone = 128

func (ws *waitOutboxes) box(name string) *waitOutbox {
	b := ws.boxes[name]
	if b == nil {
		b = &waitOutbox{outbox: newOutbox(ws.origin)}
		if ws.boxes == nil {
			ws.boxes = map[string]*waitOutbox{}
		}
		ws.boxes[name] = b
	}
	return b
}

func (ws *waitOutboxes) begin(name string, c command.Call) *wait {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.next++
	b := ws.box(name)
	n := min(len(b.done), maxDone)
	told := slices.Clone(b.done[:n])
	b.done = append(b.done[n:], told...) // the next tells of others
	return &wait{origin: ws.origin, seq: ws.next, done: told, call: c, since: time.Now()}
}

// finish notes that a reply has come, and with it, unless it is an error, which may be
// none of the log's, that the group knows of those that came before.
func (ws *waitOutboxes) finish(name string, w *wait, reply resp.Value) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	b := ws.box(name)
	if !reply.IsError() && len(w.done) > 0 {
		told := make(map[uint64]bool, len(w.done))
		for _, seq := range w.done {
			told[seq] = true
		}
		b.done = slices.DeleteFunc(b.done, func(seq uint64) bool { return told[seq] })
	}
	b.done = append(b.done, w.seq)
}

// Wait executes a call of a blocking command. While there is nothing for it, it waits;
// ok is false when ctx ended before there was: then nothing was taken.
func (r *Router) Wait(ctx context.Context, c command.Call) (reply resp.Value, ok bool) {
	name, whole := r.owner(r.cfg.Table(), &c)
	if !whole {
		return resp.ErrCrossSlot, true
	}
	w := &work{group: name, calls: []command.Call{c}, wait: r.waitOutboxes.begin(name, c)}
	over, cancel := r.overtime(ctx)
	defer cancel()
	pause, opened := firstPause, false
	for first := true; ; first = false {
		// However short its time is, a call gets what is there when it comes.
		w.wait.over = !first && ctx.Err() != nil
		w.request = w.wait.request()
		a := r.try(w)
		replies, err := r.waitOutcome(ctx, over, w, a)
		switch {
		case err == nil:
			r.waitOutboxes.finish(name, w.wait, replies[0])
			return replies[0], true
		case errors.Is(err, group.ErrCancelled):
			return resp.Value{}, false
		case over.Err() != nil:
			return (&Error{Group: name, Maybe: true, Request: w.wait.seq, Cause: err}).Reply(), true
		case settled(err):
			return (&Error{Group: name, Cause: err}).Reply(), true
		case errors.Is(err, group.ErrUnknownOrigin) && !opened:
			opened = true
			r.waitOutboxes.mu.Lock()
			box := r.waitOutboxes.box(name).outbox
			r.waitOutboxes.mu.Unlock()
			r.open(over, box, name, a.began)
			continue
		}
		opened = false
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-over.Done():
		case <-t.C:
		case <-a.changed:
		}
		t.Stop()
		pause = min(pause*2, maxPause)
	}
}

// overtime returns a context that ends some time after ctx: by then what became of a
// wait that is over has to be found out.
func (r *Router) overtime(ctx context.Context) (context.Context, context.CancelFunc) {
	over, end := context.WithCancel(r.lingering)
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(r.cfg.Timeout, end)
		context.AfterFunc(over, func() { t.Stop() })
	})
	return over, func() { stop(); end() }
}

// waitOutcome waits for what becomes of one attempt of a wait, and cancels it when ctx ends.
func (r *Router) waitOutcome(ctx, over context.Context, w *work, a attempt) ([]resp.Value, error) {
	ended, changed := ctx.Done(), a.changed
	if w.wait.over {
		ended = nil
	}
	for {
		select {
		case got := <-a.answer:
			replies, _, err := r.take(w, a, got)
			return replies, err
		case <-changed:
			// As for other requests: the node that was asked may hang.
			g := r.cfg.Groups[w.group]
			changed = g.LeaderChanged()
			if leader := g.Leader(); leader != "" && leader != a.node && a.node != r.cfg.Node {
				return nil, group.ErrUncertain
			}
		case <-ended:
			ended = nil
			r.endWait(w, a)
		case <-over.Done():
			return nil, group.ErrUncertain
		}
	}
}

// endWait tells the replica where a wait is that it is over.
func (r *Router) endWait(w *work, a attempt) {
	switch {
	case a.node == r.cfg.Node:
		r.cfg.Groups[w.group].EndWait(w.wait.at)
	case a.frame != 0:
		if l := r.links.get(a.node); l != nil {
			l.cancel(a.frame)
		}
	}
}
