package sim

// defects are mistakes that people make in systems like this one, some of them
// well known from others.
var defects = []defect{
	{
		name: "dedup-off", what: "a request that is sent again is executed again",
		file: "fsm/machine.go",
		old:  "if replies, ok := o.replies(r.Seq); ok {",
		new:  "if replies, ok := o.replies(r.Seq); ok && false {",
		most: 50,
	},
	{
		name: "dedup-not-in-snapshot", what: "a snapshot misses the table of requests that were executed",
		file: "fsm/snapshot.go",
		old:  "e.uvarint(uint64(o.done.Len()))\n\t\to.done.Scan(",
		new:  "e.uvarint(0)\n\t\tvar none btree.Map[uint64, []resp.Value]\n\t\tnone.Scan(",
		most: 100,
	},
	{
		name: "new-id", what: "a forwarder tries again with a new request id",
		file: "cluster/route/router.go",
		old:  "		a = r.try(w)\n	}\n}\n\n// wait waits",
		new: `		if !w.readOnly {
			if seq, err := r.outbox(w.group).begin(ctx); err == nil {
				defer r.outbox(w.group).finish(seq)
				req := fsm.Request{Kind: fsm.Run, Origin: r.origin, Seq: seq, Acked: r.outbox(w.group).ack(), Calls: w.calls}
				w.request = req.Append(nil)
			}
		}
		a = r.try(w)
	}
}

// wait waits`,
		most: 50,
	},
	{
		name: "read-without-barrier", what: "a leader answers reads without asking anybody",
		file: "cluster/group/read.go",
		old:  "	next := g.nextDeadline.Load()\n",
		new:  "	next := g.nextDeadline.Load()\n	if next >= 0 {\n		done(nil)\n		return\n	}\n",
		most: 100,
	},
	{
		name: "late-read-joins", what: "a read takes part in a round of questions that was under way when it came",
		file: "cluster/group/read.go",
		old:  "	g.rounds.waiting = append(g.rounds.waiting, done)\n",
		new:  "	if r := g.rounds.now; r != nil {\n		r.reads = append(r.reads, done)\n		g.rounds.mu.Unlock()\n		return\n	}\n	g.rounds.waiting = append(g.rounds.waiting, done)\n",
		most: 500,
	},
	{
		name: "vote-in-two-writes", what: "a vote is stored as two values, one after the other",
		file: "cluster/group/store.go",
		old:  "	if string(key) == keyVoteTerm {\n		w.term, w.hasTerm = n, true // written with the candidate, which comes next\n		return nil\n	}\n",
		new:  "",
		most: 500, flags: []string{"-faults=crash-at-write,cut"},
	},
	{
		name: "wall-stamps", what: "entries are stamped with the leader's own wall clock",
		file: "cluster/group/propose.go",
		old:  "Stamp: lead.now(),",
		new:  "Stamp: g.cfg.Wall().UnixMilli(),",
		most: 100,
	},
	{
		name: "local-expiry", what: "a read lets keys expire by the clock of the leader instead of that in the log",
		file: "cluster/group/read.go",
		old:  "clock || g.cfg.Ask == nil || next != 0 && lead.now() > next",
		new:  "clock || g.cfg.Ask == nil",
		most: 100,
	},
	{
		name: "map-order", what: "a command goes through a Go map",
		file: "fsm/list.go",
		old:  "	for _, element := range args[2:] {\n		l.push(at, string(element))\n	}\n",
		new:  "	order := map[int][]byte{}\n	for i, element := range args[2:] {\n		order[i] = element\n	}\n	for _, element := range order {\n		l.push(at, string(element))\n	}\n",
		most: 50,
	},
	{
		name: "uncertain-is-refused", what: "a write whose fate is not known is reported as not applied",
		file: "cluster/group/propose.go",
		old:  "	if err := raftError(f.Error()); err != nil {\n		g.lostLead(lead)\n",
		new:  "	if err := raftError(f.Error()); err != nil {\n		g.lostLead(lead)\n		if errors.Is(err, ErrUncertain) {\n			err = ErrNotLeader\n		}\n",
		most: 100,
	},
	{
		name: "failed-write-goes-on", what: "a write to the disk that failed counts as done",
		file: "cluster/group/store.go",
		old:  "	if err != nil {\n		w.fail(fmt.Errorf(\"%s in %s failed: %w\", what, w.path, err))\n	}\n	return err\n",
		new:  "	return nil\n",
		most: 100,
	},
	{
		name: "term-not-checked", what: "an entry of a deposed leader is applied as if its term still held",
		file: "fsm/machine.go",
		old:  "	if e.Term != term || e.Epoch != m.epoch {",
		new:  "	if e.Epoch != m.epoch {",
		most: 100,
	},
	{
		name: "no-first-entry", what: "a new leader serves before an entry of its term is applied",
		file: "cluster/group/leader.go",
		old:  "		if err := f.Error(); err != nil {\n			return // lost again, or a transfer is under way\n		}\n		if done, ok := f.Response().(applied); !ok || done.void {\n			return\n		}\n",
		new:  "",
		most: 200,
	},
	{
		name: "clock-leaps", what: "a new leader puts the clock two seconds ahead",
		file: "cluster/group/leader.go",
		old:  "		clock, start := g.agreeClock()\n",
		new:  "		clock, start := g.agreeClock()\n		clock += 2000\n",
		most: 200,
	},
	{
		name: "refused-on-retry", what: "a request that may have been applied is answered from the state it made itself",
		file: "cluster/route/router.go",
		old:  "if _, ok := g.Refuse(w.calls); !ok || w.maybe {",
		new:  "if _, ok := g.Refuse(w.calls); !ok {",
		most: 300,
	},
}
