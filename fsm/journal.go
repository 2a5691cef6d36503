package fsm

// What may be told of a lock, of permits, of a reference or of a session.
const (
	granted      = "granted"
	released     = "released"
	expired      = "expired"
	forced       = "forced"
	sessionEnded = "session-ended"
)

// Told is one thing that happened to what is held.
type Told struct {
	Index   uint64 // counts what was told in the group, from 1
	Wall    int64  // the cluster's wall time, unix ms
	Event   string
	DB      int
	Key     string
	Owner   string
	Token   uint64
	Session string
	Reason  string
	Held    int64 // ms since the grant, -1 if that is not known
}

// journalSize is how much of what was told is kept.
const journalSize = 16384

// journal is the last of what was told. How much was told at all is part of the state,
// what is kept is not: a replica that began with a snapshot knows nothing from before.
type journal struct {
	last uint64
	base uint64 // last when nothing was kept
	kept []Told // a ring
}

// mark returns a journal that has told as much, and keeps nothing.
func (j *journal) mark() *journal { return &journal{last: j.last, base: j.last} }

func (j *journal) add(told []Told) {
	for _, e := range told {
		j.last++
		e.Index = j.last
		if len(j.kept) < journalSize {
			j.kept = append(j.kept, e)
			continue
		}
		*j.at(e.Index) = e
	}
}

// first returns the index of the oldest that is kept.
func (j *journal) first() uint64 { return j.last - uint64(len(j.kept)) + 1 }

// at returns what was told with an index that is kept.
func (j *journal) at(index uint64) *Told { return &j.kept[(index-j.base-1)%journalSize] }

// tell notes what happened to a holder of a key.
func (t *Tx) tell(event string, key []byte, h *holder, reason string) {
	held := int64(-1)
	if h.since != 0 {
		held = t.now() - h.since
	}
	t.told = append(t.told, Told{
		Wall: t.wallNow(), Event: event, DB: t.db, Key: string(key), Owner: h.owner, Token: h.token,
		Session: h.session, Reason: reason, Held: held,
	})
}

// Told calls f for what was told since an index, in order. The caller holds off Apply.
func (m *Machine) Told(since uint64, f func(*Told)) {
	for i := max(since+1, m.journal.first()); i <= m.journal.last; i++ {
		f(m.journal.at(i))
	}
}

// LastTold returns the index of the last thing told. The caller holds off Apply.
func (m *Machine) LastTold() uint64 { return m.journal.last }
