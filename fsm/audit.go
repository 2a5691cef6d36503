package fsm

import (
	"slices"
	"strconv"

	"phonond/redisproto/resp"
)

// audit is a lock that an operator took from its holder.
type audit struct {
	wall                               int64 // unix ms
	db                                 int
	key, owner, reason, client, holder string // client forced it, holder lost it
	token                              uint64
}

// maxAudits is how many are kept.
const maxAudits = 1000

// audit adds to the trail. What clones share is not changed.
func (m *Machine) audit(list []audit) {
	if len(list) == 0 {
		return
	}
	for i := range list {
		m.sum.audit(&list[i])
	}
	all := slices.Concat(m.audits, list)
	m.audits = all[max(len(all)-maxAudits, 0):]
}

// LOCK.AUDIT [COUNT n]
func lockAuditCmd(v *View, args [][]byte) resp.Value {
	count, fault := countOption(args[1:])
	if fault.IsError() {
		return fault
	}
	list := []resp.Value{}
	for i := len(v.m.audits) - 1; i >= 0 && int64(len(list)) < count; i-- {
		a := &v.m.audits[i]
		list = append(list, resp.Pairs(
			resp.Str("time-ms"), resp.Int64(a.wall), resp.Str("key"), resp.Str(a.key), resp.Str("db"), resp.Int(a.db),
			resp.Str("owner"), resp.Str(a.owner), resp.Str("token"), resp.Str(strconv.FormatUint(a.token, 10)), resp.Str("holder"), resp.Str(a.holder),
			resp.Str("reason"), resp.Str(a.reason), resp.Str("client"), resp.Str(a.client),
		))
	}
	return resp.List(list...)
}

func (e *encoder) audits(m *Machine) {
	e.uvarint(m.journal.last)
	e.uvarint(uint64(len(m.audits)))
	for i := range m.audits {
		a := &m.audits[i]
		e.varint(a.wall)
		e.uvarint(uint64(a.db))
		e.uvarint(a.token)
		for _, s := range a.texts() {
			e.string(*s)
		}
	}
}

func (d *snapshotReader) audits(m *Machine) {
	last := d.uvarint()
	m.journal = &journal{last: last, base: last}
	for range d.count() {
		a := audit{wall: d.varint(), db: int(d.uvarint()), token: d.uvarint()}
		for _, s := range a.texts() {
			*s = d.string()
		}
		if d.err != nil {
			return
		}
		m.audits = append(m.audits, a)
	}
}

func (d *digest) audit(a *audit) {
	d.buf = append(d.buf, digestAudit, byte(a.db))
	d.number(uint64(a.wall))
	d.number(a.token)
	for _, s := range a.texts() {
		d.string(*s)
	}
}

func (a *audit) texts() []*string {
	return []*string{&a.key, &a.owner, &a.reason, &a.client, &a.holder}
}
