package fsm

import (
	"slices"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The commands by which nodes look after sessions in one group. What clients say,
// SESSION.OPEN and its like, the nodes translate: see package cluster.
var sessionCommands = group("session",
	write("session.put", 8, 0, sessionPutCmd, "id milliseconds name meta client bound grace", "Opens a session, or a part of one, if it is not open.").
		flags(command.Internal|command.DenyOOM),
	write("session.part", 4, 0, sessionPartCmd, "id group ASK|OPENED", "Lets a session have a part in another group.").
		flags(command.Internal).refuse(sessionPartRefuse),
	write("session.bind", 4, 0, sessionBindCmd, "id bound grace", "Binds a session to another connection.").
		flags(command.Internal),
	write("session.end", -3, 0, sessionEndCmd, "id reason [bound]", "Ends a session, with a reason if it is unclean; only while it is bound so.").
		flags(command.Internal).refuse(sessionEndRefuse),
	read("session.alive", 2, 0, sessionAliveCmd, "id", "The time to live of a session, what it lost, and where it has parts.").
		flags(command.Internal|command.KeepAlive),
	read("session.show", 2, 0, sessionShowCmd, "id", "What is known of a session.").
		flags(command.Internal),
	read("session.owns", 2, 0, sessionOwnsCmd, "id", "What a session holds here.").
		flags(command.Internal),
	read("session.all", 1, 0, sessionAllCmd, "", "What is known of all sessions of this group.").
		flags(command.Internal).scatter(command.AllGroups),
)

func sessionPutCmd(t *Tx, args [][]byte) resp.Value {
	ttl, _ := parseInt(args[2])
	grace, ok := parseInt(args[7])
	id := string(args[1])
	switch {
	case ttl < MinSessionTTL || ttl > MaxSessionTTL || !ok || SessionGroup(id) == "":
		return resp.ErrSyntax
	}
	if old := t.session(id); old != nil {
		if old.ttl != ttl {
			return resp.Err("ERR the session is open, with another time to live")
		}
		return resp.OK
	}
	t.putSession(session{
		id: id, ttl: ttl, name: string(args[3]), meta: string(args[4]), client: string(args[5]), bound: string(args[6]), grace: grace, opened: t.now(),
	})
	return resp.OK
}

// partPatience is for how many ms one node may be about to open a part before another
// does it.
const partPatience = 30_000

// sessionPartCmd answers ASK with what the part is made from for who is to open it, with
// 1 if it is open, and with nil while another opens it.
func sessionPartCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := sessionPartRefuse(&t.View, args); ok {
		return reply
	}
	s := *t.session(string(args[1]))
	s.parts = slices.Clone(s.parts)
	at := s.part(string(args[2]))
	if at < 0 {
		s.parts = append(s.parts, part{group: string(args[2])})
		at = len(s.parts) - 1
	}
	s.parts[at].since, s.parts[at].opened = t.now(), is(args[3], "OPENED")
	t.putSession(s)
	if s.parts[at].opened {
		return resp.Int(1)
	}
	return resp.List(resp.Int64(s.ttl), resp.Str(s.name), resp.Str(s.meta), resp.Str(s.client))
}

func sessionPartRefuse(v *View, args [][]byte) (resp.Value, bool) {
	s := v.session(string(args[1]))
	if s == nil {
		return errNoSession, true
	}
	at := s.part(string(args[2]))
	switch {
	case at < 0:
		return resp.Value{}, false
	case s.parts[at].opened:
		return resp.Int(1), true
	}
	return resp.NullArray, is(args[3], "ASK") && v.now()-s.parts[at].since < partPatience
}

// part returns the place of the part in a group, -1 for none.
func (s *session) part(group string) int {
	return slices.IndexFunc(s.parts, func(p part) bool { return p.group == group })
}

func sessionBindCmd(t *Tx, args [][]byte) resp.Value {
	old := t.session(string(args[1]))
	grace, ok := parseInt(args[3])
	switch {
	case old == nil:
		return errNoSession
	case !ok:
		return resp.ErrSyntax
	}
	s := *old
	s.bound = string(args[2])
	if grace >= 0 {
		s.grace = grace
	}
	t.putSession(s)
	return resp.Int64(s.grace)
}

func sessionEndCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := sessionEndRefuse(&t.View, args); ok {
		return reply
	}
	t.endSession(*t.session(string(args[1])), string(args[2]))
	return resp.Int(1)
}

func sessionEndRefuse(v *View, args [][]byte) (resp.Value, bool) {
	s := v.session(string(args[1]))
	return resp.Int(0), s == nil || len(args) > 3 && s.bound != string(args[3])
}

func sessionAliveCmd(v *View, args [][]byte) resp.Value {
	s := v.session(string(args[1]))
	if s == nil {
		return errNoSession
	}
	reply := []resp.Value{resp.Int64(s.ttl), resp.Int64(s.losses)}
	for _, p := range s.parts {
		if p.opened {
			reply = append(reply, resp.Str(p.group))
		}
	}
	return resp.List(reply...)
}

func sessionShowCmd(v *View, args [][]byte) resp.Value {
	if s := v.session(string(args[1])); s != nil {
		return v.sessionPairs(s)
	}
	return errNoSession
}

func (v *View) sessionPairs(s *session) resp.Value {
	groups := []resp.Value{resp.Str(SessionGroup(s.id))}
	for _, p := range s.parts {
		groups = append(groups, resp.Str(p.group))
	}
	return resp.Pairs(
		resp.Str("id"), resp.Str(s.id), resp.Str("name"), resp.Str(s.name), resp.Str("meta"), resp.Str(s.meta), resp.Str("ttl-ms"), resp.Int64(s.ttl),
		resp.Str("open-ms"), resp.Int64(v.now()-s.opened), resp.Str("client"), resp.Str(s.client), resp.Str("conn"), resp.Flag(s.bound != ""),
		resp.Str("losses"), resp.Int64(s.losses), resp.Str("groups"), resp.List(groups...),
	)
}

func sessionOwnsCmd(v *View, args [][]byte) resp.Value {
	var list []resp.Value
	for db := range Databases {
		v.m.ks[db].owned.each(string(args[1]), func(key string) {
			e := v.findIn(db, []byte(key))
			if e == nil || e.lock == nil {
				return
			}
			for i := range e.lock.holders {
				if h := &e.lock.holders[i]; h.session == string(args[1]) {
					list = append(list, resp.Pairs(
						resp.Str("db"), resp.Int(db), resp.Str("key"), resp.Str(key), resp.Str("mode"), resp.Str(e.lock.mode.String()),
						resp.Str("owner"), resp.Str(h.owner), resp.Str("token"), resp.Int64(int64(h.token)),
					))
				}
			}
		})
	}
	return resp.List(list...)
}

// sessionAllCmd leaves out parts: each session is listed where it lives.
func sessionAllCmd(v *View, _ [][]byte) resp.Value {
	list := []resp.Value{}
	v.m.sessions.each(func(id string, s session) bool {
		if SessionGroup(id) == v.m.cfg.Group {
			list = append(list, v.sessionPairs(&s))
		}
		return true
	})
	return resp.List(list...)
}
