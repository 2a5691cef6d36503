package main

import (
	"context"
	"time"

	"phonond/cluster/history"
	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// probeEvery is how often a probe writes.
const probeEvery = 150 * time.Millisecond

// probe is a client that does nothing but increment a counter of its own, so that
// a pause is seen where there is one. It never repeats: the counter says whether
// every acknowledged increment was done, once, over the whole run.
type probe struct {
	seat
	r     *rig
	conn  *proctest.Conn
	key   string
	acked int64
	maybe int64 // increments that may have been done or may yet be

	from time.Time // since when there was no write, or the seat ought to be served
}

// probes makes one for each node and group.
func (r *rig) probes() (list []func(context.Context)) {
	for _, k := range r.keepers {
		for _, g := range r.groups {
			p := &probe{seat: seat{k.node.ID, g}, r: r, key: tagOf(g) + "probe:" + k.node.ID}
			r.measure.mu.Lock()
			r.measure.seat(p.seat)
			r.measure.mu.Unlock()
			list = append(list, p.run)
		}
	}
	return list
}

func (p *probe) run(ctx context.Context) {
	defer p.disconnect()
	for p.r.clients.enter(ctx) {
		p.write()
		p.r.clients.gate.RUnlock()
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
		}
	}
}

func (p *probe) disconnect() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// write increments the counter once, and measures since when nobody could.
func (p *probe) write() {
	if since, ought := p.r.health.since(p.seat); ought && since.After(p.from) {
		p.from = since
	}
	done := p.incr()
	now := time.Now()
	if since, ought := p.r.health.since(p.seat); ought && !since.After(p.from) {
		p.r.measure.pause(p.seat, now.Sub(p.from))
	}
	if done {
		p.from = now
		p.r.measure.wrote(p.seat)
	}
}

func (p *probe) incr() bool {
	if p.conn == nil {
		c, err := p.r.keeper(p.node).node.Dial()
		if err != nil {
			return false
		}
		p.conn = c
	}
	v, err := p.conn.Do("INCR", p.key)
	switch history.Classify(v, err) {
	case history.Unknown:
		p.maybe++
	case history.Answered:
		if v.Kind != resp.Integer || v.Int <= p.acked || v.Int > p.acked+1+p.maybe {
			p.r.faults.add("INCR %s by %s is answered %v after %d, with %d whose outcome is unknown", p.key, p.node, v, p.acked, p.maybe)
			p.acked = v.Int
		}
		p.maybe -= v.Int - p.acked - 1
		p.acked = v.Int
	}
	if err != nil {
		p.disconnect()
	}
	return err == nil && v.Kind == resp.Integer
}
