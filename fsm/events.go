package fsm

import "strings"

// EventClass is a set of classes of keyspace events, as the setting
// notify-keyspace-events has them.
type EventClass uint32

// The classes, each with its letter. KeyspaceChannel and KeyeventChannel are not
// classes of events but the channels on which they are published.
const (
	KeyspaceChannel EventClass = 1 << iota // K: __keyspace@<db>__:<key>
	KeyeventChannel                        // E: __keyevent@<db>__:<event>
	EventGeneric                           // g: of commands for keys of any type
	EventString                            // $
	EventList                              // l
	EventSet                               // s
	EventHash                              // h
	EventZSet                              // z
	EventExpired                           // x: the key's time has come
	EventEvicted                           // e: never happens here
	EventStream                            // t: never happens here
	EventModule                            // d: never happens here
	EventMiss                              // m: of reads, which are beside the log; never happens here
	EventNew                               // n: a key came to be

	// EventAll is what A stands for.
	EventAll = EventGeneric | EventString | EventList | EventSet | EventHash | EventZSet |
		EventExpired | EventEvicted | EventStream | EventModule
)

// eventLetters are the letters in the order in which Redis lists them.
var eventLetters = []struct {
	letter byte
	class  EventClass
}{
	{'A', EventAll}, {'g', EventGeneric}, {'$', EventString}, {'l', EventList}, {'s', EventSet}, {'h', EventHash},
	{'z', EventZSet}, {'x', EventExpired}, {'e', EventEvicted}, {'t', EventStream}, {'d', EventModule}, {'n', EventNew},
	{'K', KeyspaceChannel}, {'E', KeyeventChannel}, {'m', EventMiss},
}

// ParseEventClasses reads the value of notify-keyspace-events; ok is false when a
// letter is none of them.
func ParseEventClasses(s string) (c EventClass, ok bool) {
	s, _, _ = strings.Cut(s, "\x00") // for Redis it is a string of C
next:
	for i := range len(s) {
		for _, l := range eventLetters {
			if l.letter == s[i] {
				c |= l.class
				continue next
			}
		}
		return 0, false
	}
	return c, true
}

// String returns the letters as CONFIG GET does. Behind an A it has no n, as Redis
// 7.0 has none.
func (c EventClass) String() string {
	var b strings.Builder
	if c&EventAll == EventAll {
		c &^= EventNew
	}
	for _, l := range eventLetters {
		if c&l.class == l.class {
			b.WriteByte(l.letter)
			if l.class == EventAll {
				c &^= EventAll
			}
		}
	}
	return b.String()
}

// Event is something that happened to a key, with Redis's name for it.
type Event struct {
	Class EventClass // one class
	Name  string
	DB    int
	Key   string
}

// TakeEvents returns the events of the last entry, in order, of the classes that
// [Config.Events] asked for, and forgets them. They are not part of the state: an
// entry that is applied again, from the log or behind a snapshot, has them again.
// The caller holds off Apply.
func (m *Machine) TakeEvents() []Event {
	events := m.events
	m.events = nil
	return events
}

// events returns the class of events of the commands for a type.
func (k kind) events() EventClass {
	return [...]EventClass{EventString, EventList, EventSet, EventZSet, EventHash}[k]
}

// gather starts the gathering of an entry's events.
func (m *Machine) gather() {
	m.events, m.wanted = nil, 0
	if m.cfg.Events != nil {
		m.wanted = m.cfg.Events()
	}
}

// notify tells of an event in the selected database, if the command is committed.
func (t *Tx) notify(class EventClass, name string, key []byte) { t.notifyIn(t.db, class, name, key) }

// notifyIn tells of an event in database db.
func (t *Tx) notifyIn(db int, class EventClass, name string, key []byte) {
	if t.m.wanted&class != 0 {
		t.events = append(t.events, Event{class, name, db, string(key)})
	}
}

// notifyNew tells that a key comes to be. Redis removes one whose time has come when
// a command looks it up; here it is still in the way.
func (t *Tx) notifyNew(db int, key []byte) {
	if t.m.wanted&(EventNew|EventExpired) == 0 {
		return
	}
	if old := t.lookup(db, key); old != nil && t.m.expired(&old.val) && t.staged(db, key) == nil {
		t.notifyIn(db, EventExpired, "expired", key)
	}
	t.notifyIn(db, EventNew, "new", key)
}
