package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"phonond/cluster/clustertest/simdisk"
	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/placement"
)

// faults are all kinds of faults, by the names that "make sim FAULTS=..." takes.
var faults = []fault{
	{"crash", crashSome},
	{"crash-all", crashAll},
	{"crash-at-write", crashAtWrite},
	{"move", moveAll},
	{"terminate", terminateSome},
	{"cut", cutOff},
	{"one-way", cutOneWay},
	{"bridge", bridge},
	{"region-cut", cutRegion},
	{"slow-replies", slowReplies},
	{"late-word", lateWord},
	{"reset", resetStreams},
	{"storm", storm},
	{"disk-stall", stallDisk},
	{"disk-slow", slowDisk},
	{"disk-fail", failDisk},
	{"disk-full", fillDisk},
	{"disk-low", scarceSpace},
	{"wall", jumpWall},
	{"transfer", transferLead},
}

// some returns a random part of the nodes, at least one and at most max.
func (r *run) some(rng *rand.Rand, max int) []string {
	names := r.cluster.Names()
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+rng.IntN(min(max, len(names)))]
}

// target returns a node: any, or one that leads something, where most happens.
func (r *run) target(rng *rand.Rand) string {
	groups := r.groups()
	if rng.IntN(3) > 0 {
		if leader := r.cluster.Leader(groups[rng.IntN(len(groups))]); leader != "" {
			return leader
		}
	}
	return r.anyNode(rng)
}

func (r *run) groups() []string {
	groups := []string{placement.System}
	for _, region := range r.plan.regions {
		groups = append(groups, region.Name)
	}
	return groups
}

func crashSome(r *run, rng *rand.Rand) bool {
	victims := []string{r.target(rng)}
	if rng.IntN(3) == 0 {
		victims = r.some(rng, len(r.nodes))
	}
	r.keepDown(victims, r.crash, between(rng, 0, 12*time.Second))
	return true
}

func crashAll(r *run, rng *rand.Rand) bool {
	r.keepDown(r.cluster.Names(), r.crash, between(rng, 0, 3*time.Second))
	return true
}

// crashAtWrite lets the power fail in the middle of a write.
func crashAtWrite(r *run, rng *rand.Rand) bool {
	n := r.nodes[r.target(rng)]
	crashed := make(chan struct{})
	tear := []simdisk.Tear{simdisk.Lost, simdisk.Torn, simdisk.Torn, simdisk.Done}[rng.IntN(4)]
	n.disk.Arm(1+rng.IntN(30), tear, func() { close(crashed) })
	select {
	case <-crashed:
	case <-time.After(10 * time.Second):
	case <-r.faults.over:
	}
	n.disk.Disarm()
	select {
	case <-crashed:
		r.keepDown([]string{n.name}, r.crash, between(rng, 0, 5*time.Second))
		return true
	default:
		return false
	}
}

// moveAll lets all nodes come back at once, and none at its old address.
func moveAll(r *run, rng *rand.Rand) bool {
	for _, n := range r.nodes {
		n.life.Lock()
		n.down++
		n.life.Unlock()
	}
	for name := range r.nodes {
		r.crash(name)
	}
	r.faults.pause(between(rng, 0, 3*time.Second))
	r.cluster.Move()
	for name, n := range r.nodes {
		n.life.Lock()
		n.down--
		n.life.Unlock()
		r.start(name)
	}
	return true
}

func terminateSome(r *run, rng *rand.Rand) bool {
	r.keepDown([]string{r.target(rng)}, r.stop, between(rng, 0, 5*time.Second))
	return true
}

// apart cuts the links between two sets of nodes for a while. Clients reach both.
func (r *run) apart(one, other []string, d time.Duration) {
	for _, a := range one {
		for _, b := range other {
			r.cluster.Net.Cut(a, b)
		}
	}
	r.faults.pause(d)
	for _, a := range one {
		for _, b := range other {
			r.cluster.Net.Heal(a, b)
		}
	}
}

func (r *run) others(not ...string) []string {
	return slices.DeleteFunc(r.cluster.Names(), func(name string) bool { return slices.Contains(not, name) })
}

func outage(rng *rand.Rand) time.Duration { return between(rng, 100*time.Millisecond, 20*time.Second) }

func cutOff(r *run, rng *rand.Rand) bool {
	side := []string{r.target(rng)}
	if rng.IntN(2) == 0 {
		side = r.some(rng, len(r.nodes)-1)
	}
	r.apart(side, r.others(side...), outage(rng))
	return true
}

func cutOneWay(r *run, rng *rand.Rand) bool {
	victim := r.target(rng)
	others := r.others(victim)
	if rng.IntN(2) == 0 {
		others = others[:1+rng.IntN(len(others))]
	}
	out := rng.IntN(2) == 0
	for _, o := range others {
		if out {
			r.cluster.Net.CutOneWay(victim, o)
		} else {
			r.cluster.Net.CutOneWay(o, victim)
		}
	}
	r.faults.pause(outage(rng))
	for _, o := range others {
		r.cluster.Net.Heal(victim, o)
	}
	return true
}

// bridge leaves one node that sees all others, which are two halves.
func bridge(r *run, rng *rand.Rand) bool {
	names := r.others(r.target(rng))
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	if len(names) < 2 {
		return false
	}
	half := 1 + rng.IntN(len(names)-1)
	r.apart(names[:half], names[half:], outage(rng))
	return true
}

func cutRegion(r *run, rng *rand.Rand) bool {
	if len(r.plan.regions) < 2 {
		return false
	}
	lost := r.plan.regions[rng.IntN(len(r.plan.regions))].Name
	var inside []string
	for _, name := range r.cluster.Names() {
		if strings.HasPrefix(name, lost) {
			inside = append(inside, name)
		}
	}
	r.apart(inside, r.others(inside...), outage(rng))
	return true
}

// slowReplies delays what a node sends: requests to it arrive, its answers come
// late.
func slowReplies(r *run, rng *rand.Rand) bool {
	victim := r.target(rng)
	late := between(rng, 200*time.Millisecond, 4*time.Second)
	for _, o := range r.others(victim) {
		r.cluster.Net.Delay(victim, o, late)
	}
	r.faults.pause(outage(rng))
	for _, o := range r.others(victim) {
		r.cluster.Net.NoDelay(victim, o)
	}
	return true
}

// lateWord lets a leader hear late from the others, but soon enough to go on
// leading, while another is elected: it is not heard any more, or has to hand over
// the lead and is told late that it has.
func lateWord(r *run, rng *rand.Rand) bool {
	groups := r.groups()
	name := groups[rng.IntN(len(groups))]
	victim := r.cluster.Leader(name)
	if victim == "" {
		return false
	}
	others := r.others(victim)
	for _, o := range others {
		r.cluster.Net.Delay(o, victim, 300*time.Millisecond+between(rng, 0, 150*time.Millisecond))
	}
	r.faults.pause(time.Second)
	cut := rng.IntN(2) == 0
	if cut {
		for _, o := range others {
			r.cluster.Net.CutOneWay(victim, o)
		}
	} else {
		r.transfer(victim, name, others[rng.IntN(len(others))])
	}
	r.faults.pause(2 * time.Second)
	for _, o := range others {
		r.cluster.Net.NoDelay(o, victim)
		if cut {
			r.cluster.Net.Heal(victim, o)
		}
	}
	return true
}

// resetStreams breaks connections, some times one after the other: requests are
// sent again whose first copy has arrived.
func resetStreams(r *run, rng *rand.Rand) bool {
	for range 1 + rng.IntN(8) {
		a := r.target(rng)
		others := r.others(a)
		r.cluster.Net.Reset(a, others[rng.IntN(len(others))])
		r.faults.pause(between(rng, 0, time.Second))
	}
	return true
}

// storm makes every link unsteady, and packets come twice, late, or not at all.
func storm(r *run, rng *rand.Rand) bool {
	r.cluster.Net.SetWeather(simnet.Weather{
		Rand: random(rng.Uint64(), "storm"), Jitter: between(rng, 10*time.Millisecond, time.Second), Loss: 0.3 * rng.Float64(), Duplicate: 0.3 * rng.Float64(),
	})
	r.faults.pause(outage(rng))
	r.cluster.Net.SetWeather(r.weather())
	return true
}

// onDisks does something to the disks of nodes for a while, which is an excuse to
// end, or none: "".
func (r *run) onDisks(names []string, why excuse, d time.Duration, begin, end func(*simdisk.Disk)) {
	for _, name := range names {
		if why != "" {
			r.nodes[name].trouble(why, 1)
		}
		begin(r.nodes[name].disk)
	}
	r.faults.pause(d)
	for _, name := range names {
		end(r.nodes[name].disk)
		if why != "" {
			r.nodes[name].trouble(why, -1)
		}
	}
}

func stallDisk(r *run, rng *rand.Rand) bool {
	r.onDisks([]string{r.target(rng)}, diskHangs, outage(rng), (*simdisk.Disk).Stall, (*simdisk.Disk).Resume)
	return true
}

func slowDisk(r *run, rng *rand.Rand) bool {
	worst := between(rng, 5*time.Millisecond, 2*time.Second)
	r.onDisks([]string{r.target(rng)}, "", outage(rng),
		func(d *simdisk.Disk) { d.Slow(worst/10, worst) }, func(d *simdisk.Disk) { d.Slow(0, 0) })
	return true
}

func failDisk(r *run, rng *rand.Rand) bool {
	r.onDisks([]string{r.target(rng)}, diskFails, between(rng, 10*time.Millisecond, 3*time.Second),
		func(d *simdisk.Disk) { d.Fail(syscall.EIO) }, func(d *simdisk.Disk) { d.Fail(nil) })
	return true
}

func fillDisk(r *run, rng *rand.Rand) bool {
	victims := r.some(rng, 1)
	if rng.IntN(2) == 0 {
		victims = r.cluster.Names()
	}
	r.onDisks(victims, diskFull, outage(rng), func(d *simdisk.Disk) { d.Fill(true) }, func(d *simdisk.Disk) { d.Fill(false) })
	return true
}

// scarceSpace leaves little room on one disk or on all, or hardly any.
func scarceSpace(r *run, rng *rand.Rand) bool {
	victims := r.some(rng, 1)
	if rng.IntN(2) == 0 {
		victims = r.some(rng, len(r.nodes))
	}
	room := []uint64{lowSpace, noSpace}[rng.IntN(2)]
	for _, name := range victims {
		r.nodes[name].room.Store(room)
	}
	r.faults.pause(outage(rng))
	for _, name := range victims {
		r.nodes[name].room.Store(0)
	}
	return true
}

// jumpWall makes a wall clock wrong by up to an hour and a half, either way, for
// good.
func jumpWall(r *run, rng *rand.Rand) bool {
	r.cluster.SetWall(r.target(rng), time.Duration(rng.Int64N(int64(3*time.Hour)))-90*time.Minute)
	return true
}

// transferLead asks for a transfer, whether that is possible now or not.
func transferLead(r *run, rng *rand.Rand) bool {
	groups := r.groups()
	return r.transfer(r.anyNode(rng), groups[rng.IntN(len(groups))], r.anyNode(rng))
}

// transfer asks a node to see to it that another leads a group.
func (r *run) transfer(ask, group, to string) bool {
	conn, err := r.dial(ask)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	_, err = conn.Try("PHONON.TRANSFER-LEADER", group, to)
	return err == nil
}
