package route

import (
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto/command"
)

// forwarded hands a request of another node to the replica here.
func (r *Router) forwarded(f frame, done func(answer)) {
	name, g, body, err := r.addressed(f.payload)
	switch {
	case err != nil:
		done(answer{err: err})
		return
	case !g.Leads():
		done(answer{err: group.ErrNotLeader, hint: g.Leader()})
		return
	}
	w := work{group: name, maybe: f.kind == frameAgain}
	if f.kind == frameRead {
		w.calls, body, err = fsm.DecodeCalls(body)
		w.readOnly = true
	} else {
		var req fsm.Request
		request := body
		req, body, err = fsm.DecodeRequest(body)
		w.calls, w.watched, w.decoded, w.request = req.Calls, req.Reads, req, request
	}
	if err != nil || len(body) > 0 || w.decoded.Kind == fsm.Lead || !r.known(name, w.calls) {
		done(answer{err: ErrRefused})
		return
	}
	r.local(g, &w, func(a answer) {
		switch {
		case a.at != nil:
			go func() { done(answer{replies: a.at.Read(w.calls)}) }()
			return
		case errors.Is(a.err, group.ErrNotLeader):
			a.hint = g.Leader()
		}
		done(a)
	})
}

// addressed cuts the name of a group off a frame's payload and returns the replica here.
func (r *Router) addressed(payload []byte) (name string, g *group.Group, body []byte, err error) {
	name, body, err = cutString(payload)
	if err != nil {
		return "", nil, nil, ErrRefused
	}
	if g = r.cfg.Groups[name]; g == nil {
		return "", nil, nil, ErrNoReplica
	}
	return name, g, body, nil
}

// servedWaits are the waits of one connection, by the ids of their frames.
type servedWaits struct {
	mu   sync.Mutex
	byID map[uint64]servedWait
}

type servedWait struct {
	group *group.Group
	wait  *group.Wait
}

func (ws *servedWaits) add(id uint64, w servedWait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.byID == nil {
		ws.byID = map[uint64]servedWait{}
	}
	ws.byID[id] = w
}

func (ws *servedWaits) remove(id uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.byID, id)
}

// end ends the wait with an id if it has no answer yet: its time is over.
func (ws *servedWaits) end(id uint64) {
	ws.mu.Lock()
	w, ok := ws.byID[id]
	ws.mu.Unlock()
	if ok {
		w.group.EndWait(w.wait)
	}
}

// cancelAll ends all waits: the connection is lost, and their node asks anew.
func (ws *servedWaits) cancelAll() {
	ws.mu.Lock()
	all := ws.byID
	ws.byID = nil
	ws.mu.Unlock()
	for _, w := range all {
		w.group.CancelWait(w.wait)
	}
}

// forwardedWait lets a wait of another node begin at the replica here.
func (r *Router) forwardedWait(ws *servedWaits, f frame, done func(answer)) {
	if len(f.payload) == 0 {
		done(answer{err: ErrRefused})
		return
	}
	over := f.payload[0] != 0
	age, n := binary.Uvarint(f.payload[1:])
	if n <= 0 {
		done(answer{err: ErrRefused})
		return
	}
	name, g, body, err := r.addressed(f.payload[1+n:])
	if err != nil {
		done(answer{err: err})
		return
	}
	req, body, err := fsm.DecodeRequest(body)
	if err != nil || len(body) > 0 || req.Kind != fsm.Wait || !r.known(name, req.Calls) || !req.Calls[0].Spec.Has(command.Blocking) {
		done(answer{err: ErrRefused})
		return
	}
	since := time.Now().Add(-time.Duration(min(age, maxAge)) * time.Microsecond)
	w := wait{origin: req.Origin, seq: req.Seq, done: req.Done, call: req.Calls[0], over: over}
	var ok bool
	if w.since, ok = r.waitConns.begun(&req, ws, f.id, since); !ok {
		done(answer{err: group.ErrUncertain})
		return
	}
	at := w.prepare(func(a answer) {
		ws.remove(f.id)
		if errors.Is(a.err, group.ErrNotLeader) {
			a.hint = g.Leader()
		}
		done(a)
	})
	ws.add(f.id, servedWait{g, at})
	g.Wait(at)
}

// maxAge bounds for how long another node may say that its client has waited, in µs.
const maxAge = 365 * 24 * 60 * 60 * 1e6

// waitConns are the connections that the waits of other nodes come on, by origin. What
// is left of a connection that broke may be read after the next one has brought what
// became of it: a wait that is over by then would begin anew, and take for nobody.
type waitConns struct {
	mu       sync.Mutex
	byOrigin map[uint64]waitConn
}

type waitConn struct {
	conn *servedWaits
	last uint64 // the id of its last frame: those of a node grow from one connection to the next
	at   time.Time

	seq   uint64    // the highest number of its waits
	since time.Time // when that one began
}

// staleConn is after what time an origin that has been silent is forgotten.
const staleConn = time.Hour

// begun returns since when a wait lasts; ok is false for a frame that comes on a
// connection that has a successor.
//
// The age that a frame tells leaves out its way here, which may take longer for one
// than for the next. No wait is older for that than one that its node numbered before.
func (wc *waitConns) begun(req *fsm.Request, conn *servedWaits, frame uint64, since time.Time) (time.Time, bool) {
	wc.mu.Lock()
	defer wc.mu.Unlock()
	now := time.Now()
	known, ok := wc.byOrigin[req.Origin]
	switch {
	case ok && known.conn != conn && frame <= known.last:
		return since, false
	case !ok:
		if wc.byOrigin == nil {
			wc.byOrigin = map[uint64]waitConn{}
		}
		maps.DeleteFunc(wc.byOrigin, func(_ uint64, c waitConn) bool { return now.Sub(c.at) > staleConn })
	}
	seq, began := known.seq, known.since
	if req.Seq > seq {
		if since.Before(began) {
			since = began
		}
		seq, began = req.Seq, since
	}
	wc.byOrigin[req.Origin] = waitConn{conn, frame, now, seq, began}
	return since, true
}
