package sim

// What violations say.
const (
	unexplained = `no order of the operations explains|` + miscounted // what clients saw cannot be
	differ      = `has the digest|this replica's state differs`
	miscounted  = `elements were lost, delivered twice, made up or kept back`
)

// defects are mistakes that people make in systems like this one, some of them
// well known from others.
var defects = []defect{
	{
		name: "dedup-off", what: "a request that is sent again is executed again",
		sign: unexplained,
		file: "fsm/request.go",
		edits: []edit{{
			"if replies, ok := o.replies(r.Seq); ok {",
			"if replies, ok := o.replies(r.Seq); ok && false {",
		}},
		most: 50,
	},
	{
		name: "dedup-not-in-snapshot", what: "a snapshot misses the table of requests that were executed",
		sign: unexplained + `|` + differ,
		file: "fsm/snapshot.go",
		edits: []edit{
			{"e.uvarint(uint64(o.done.Len()))", "e.uvarint(0)"},
			{"o.done.Scan(func(seq uint64, replies []resp.Value) bool {", "o.done.Scan(func(seq uint64, replies []resp.Value) bool {\nif true {\nreturn false\n}"},
		},
		most: 200,
	},
	{
		name: "new-id", what: "a forwarder tries again with a new request id",
		sign: unexplained,
		file: "cluster/route/router.go",
		edits: []edit{{
			"		a = r.try(w)\n	}\n}\n\n// outcome waits",
			`		if !w.readOnly {
			if seq, err := r.outbox(w.group).begin(ctx); err == nil {
				defer r.outbox(w.group).finish(seq)
				req := fsm.Request{Kind: fsm.Run, Origin: r.origin, Seq: seq, Acked: r.outbox(w.group).ack(), Calls: w.calls}
				w.request = req.Append(nil)
			}
		}
		a = r.try(w)
	}
}

// outcome waits`,
		}},
		most: 50,
	},
	{
		name: "read-without-barrier", what: "a leader answers reads without asking anybody",
		sign: `violated`,
		file: "cluster/group/read.go",
		edits: []edit{{
			"	next := g.nextDeadline.Load()\n",
			"	next := g.nextDeadline.Load()\n	if next >= 0 {\n		done(nil)\n		return\n	}\n",
		}},
		torture: []string{"-short", "-duration=20m", "-nemeses=pause-leader"},
	},
	{
		name: "vote-in-two-writes", what: "a vote is stored as two values, one after the other",
		sign: `votes for`,
		file: "cluster/group/store.go",
		edits: []edit{
			{"	if string(key) == keyVoteTerm {\n", "	if false {\n"},
			{"	if string(key) != keyVoteCand {\n		return w.write", "	if true {\n		return w.write"},
			{"	if string(key) != keyVoteTerm {\n", "	if true {\n"},
			{"	if string(key) != keyVoteCand {\n		return w.stable", "	if true {\n		return w.stable"},
		},
		most: 50,
	},
	{
		name: "wall-stamps", what: "entries are stamped with the leader's own wall clock",
		sign: unexplained,
		file: "cluster/group/propose.go",
		edits: []edit{{
			"Stamp: stamp,",
			"Stamp: wall,",
		}},
		most: 100,
	},
	{
		name: "local-expiry", what: "every replica lets keys expire by its own clock instead of that in the log",
		sign: unexplained + `|` + differ,
		file: "fsm/clock.go",
		edits: []edit{
			{"package fsm\n\n// slewPPM", "package fsm\n\nimport \"time\"\n\n// slewPPM"},
			{"e.deadline < m.clock }", "e.deadline < m.clock+time.Now().UnixMilli()-m.wall }"},
		},
		most: 100,
	},
	{
		name: "map-order", what: "a command goes through a Go map",
		sign: unexplained + `|` + differ,
		file: "fsm/list.go",
		edits: []edit{{
			"	for _, element := range args[2:] {\n		l.push(at, string(element))\n	}\n",
			"	order := map[int][]byte{}\n	for i, element := range args[2:] {\n		order[i] = element\n	}\n	for _, element := range order {\n		l.push(at, string(element))\n	}\n",
		}},
		most: 50,
	},
	{
		name: "uncertain-is-refused", what: "a write whose fate is not known is reported as not applied",
		sign: unexplained,
		file: "cluster/group/propose.go",
		edits: []edit{{
			"	if err := raftError(f.Error()); err != nil {\n		g.lostLead(lead)\n",
			"	if err := raftError(f.Error()); err != nil {\n		g.lostLead(lead)\n		if errors.Is(err, ErrUncertain) {\n			err = ErrNotLeader\n		}\n",
		}},
		most: 100,
	},
	{
		name: "failed-write-goes-on", what: "a write to the disk that failed counts as done",
		sign: unexplained + `|log not found|takes entry`,
		file: "cluster/group/store.go",
		edits: []edit{{
			"	err := w.tryWrite(what, f)\n	if err != nil {\n		w.failed(what, err)\n	}\n	return err\n",
			"	_ = w.tryWrite(what, f)\n	return nil\n",
		}},
		most: 100,
	},
	{
		name: "no-first-entry", what: "a new leader serves before an entry of its term is applied",
		sign: unexplained,
		file: "cluster/group/leader.go",
		edits: []edit{{
			"		if err := f.Error(); err != nil {\n			return // lost again\n		}\n		if done, ok := f.Response().(applied); !ok || done.void {\n			return\n		}\n",
			"		_ = f\n",
		}},
		most: 200,
	},
	{
		name: "clock-leaps", what: "a new leader puts the clock two seconds ahead",
		sign: unexplained,
		file: "cluster/group/leader.go",
		edits: []edit{{
			"		clock, start := g.agreeClock()\n",
			"		clock, start := g.agreeClock()\n		clock += 2000\n",
		}},
		most: 200,
	},
	{
		name: "refused-on-retry", what: "a request that may have been applied is answered from the state it made itself",
		sign: unexplained,
		file: "cluster/route/router.go",
		edits: []edit{{
			"if _, ok := g.Refuse(w.calls); !ok || w.maybe || len(w.watched) > 0 {",
			"if _, ok := g.Refuse(w.calls); !ok || len(w.watched) > 0 {",
		}},
		most: 300,
	},
	{
		name: "watch-ignored", what: "EXEC does not look at what was watched",
		sign: unexplained,
		file: "fsm/version.go",
		edits: []edit{{
			"return !slices.ContainsFunc(r.Reads, func(read command.KeyVersion) bool { return !m.Unchanged(read) })",
			"return !slices.ContainsFunc(r.Reads, func(command.KeyVersion) bool { return false })",
		}},
		most: 50,
	},
	{
		name: "script-stops-halfway", what: "a disk without room stops scripts that have written",
		sign: unexplained,
		file: "cluster/group/trial.go",
		edits: []edit{{
			"	if cmd.Has(command.DenyOOM) && !s.wrote {",
			"	if cmd.Has(command.DenyOOM) {",
		}},
		most: 200,
	},
	{
		name: "wait-with-new-id", what: "a blocking pop that is sent again is another",
		sign: miscounted,
		file: "cluster/route/wait.go",
		edits: []edit{{
			"	for first := true; ; first = false {\n",
			"	for first := true; ; first = false {\n		if !first {\n			w.wait = r.waitOutboxes.begin(name, c)\n		}\n",
		}},
		most: 200,
	},
	{
		name: "not-offered", what: "who comes to wait is not offered what is there",
		sign: miscounted,
		file: "cluster/group/wait.go",
		edits: []edit{{
			"	case ready:\n		g.queue.addOffers(awaitedKeys(w.Call)...)\n",
			"	case ready:\n",
		}},
		most: 50,
	},
}
