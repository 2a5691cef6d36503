package history

import (
	"strings"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// queueHistories are of elements that are waited for; nothing is wrong from 1000 on.
// Ops end in an array of words, "nil", "gone", "?" or "!".
var queueHistories = []struct {
	name string
	good bool
	text string
}{
	{"delivered once", true, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 0 = {q}l a`},
	{"still there", true, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 0 = !
		3 2000-2001 LRANGE {q}l 0 -1 = a`},
	{"delivered twice", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 0 = {q}l a
		2 30-40 BLPOP {q}l 0 = {q}l a`},
	{"delivered and still there", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 0 = {q}l a
		3 2000-2001 LRANGE {q}l 0 -1 = a`},
	{"lost", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 1 = nil
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"with somebody who cannot tell", true, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 1 = ?
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"two with one who cannot tell", false, `
		1 0-10 RPUSH {q}l a b = 2
		2 0-20 BLPOP {q}l 1 = ?
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"each with another who cannot tell", true, `
		1 0-10 RPUSH {q}l a = 1
		1 0-10 RPUSH {q}m b = 1
		2 0-20 BLPOP {q}l {q}m 1 = ?
		2 0-20 BLPOP {q}l 1 = ?
		3 2000-2001 LRANGE {q}m 0 -1 =
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"refused, and taken all the same", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLPOP {q}l 1 = !
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"refused push, and delivered all the same", false, `
		1 0-10 RPUSH {q}l a = !
		2 0-20 BLPOP {q}l 0 = {q}l a`},
	{"half of an unknown push", false, `
		1 0-10 RPUSH {q}l a b = ?
		2 0-20 BLPOP {q}l 0 = {q}l a
		3 2000-2001 LRANGE {q}l 0 -1 =`},
	{"swallowed by one who went away just before", true, `
		1 2500-2510 RPUSH {q}l a = 1
		2 2000-2400 BLPOP {q}l 0 = gone
		3 9000-9001 LRANGE {q}l 0 -1 =`},
	{"swallowed by one who went away long before", false, `
		1 5500-5510 RPUSH {q}l a = 1
		2 2000-2400 BLPOP {q}l 0 = gone
		3 9000-9001 LRANGE {q}l 0 -1 =`},
	{"moved", true, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLMOVE {q}l {q}d LEFT RIGHT 0 = a
		3 2000-2001 LRANGE {q}l 0 -1 =
		3 2000-2001 LRANGE {q}d 0 -1 = a`},
	{"moved to nowhere", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLMOVE {q}l {q}d LEFT RIGHT 0 = a
		3 2000-2001 LRANGE {q}l 0 -1 =
		3 2000-2001 LRANGE {q}d 0 -1 =`},
	{"moved by one who cannot tell", true, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLMOVE {q}l {q}d LEFT RIGHT 0 = ?
		3 2000-2001 LRANGE {q}l 0 -1 =
		3 2000-2001 LRANGE {q}d 0 -1 = a`},
	{"moved by nobody", false, `
		1 0-10 RPUSH {q}l a = 1
		2 0-20 BLMOVE {q}l {q}d LEFT RIGHT 0 = !
		3 2000-2001 LRANGE {q}l 0 -1 =
		3 2000-2001 LRANGE {q}d 0 -1 = a`},
	{"kept from one who waits", false, `
		1 2000-2010 RPUSH {q}l a = 1
		2 2000-8000 BLPOP {q}l 0 = gone
		3 9000-9001 LRANGE {q}l 0 -1 = a`},
	{"kept from one who waits elsewhere", true, `
		1 2000-2010 RPUSH {q}l a = 1
		2 2000-8000 BLPOP {q}m 0 = gone
		4 0-10 BLPOP {q}l {q}m 1 = !
		3 9000-9001 LRANGE {q}m 0 -1 =
		3 9000-9001 LRANGE {q}l 0 -1 = a`},
	{"kept from one who waits with patience", false, `
		1 2000-2010 RPUSH {q}l a = 1
		2 2000-7000 BLPOP {q}l 5 = nil
		4 7500-7510 BLPOP {q}l 0 = {q}l a
		3 9000-9001 LRANGE {q}l 0 -1 =`},
}

func TestQueueVerdicts(t *testing.T) {
	for _, tt := range queueHistories {
		t.Run(tt.name, func(t *testing.T) {
			var ops []Op
			for line := range strings.Lines(strings.TrimSpace(tt.text)) {
				ops = append(ops, parseWait(t, line))
			}
			report := Check(ops, CheckOptions{Well: time.Second})
			if good := len(report.Violations) == 0; good != tt.good {
				t.Errorf("taken for good: %v. %v", good, report.Err())
			}
		})
	}
}

// parseWait reads one operation.
func parseWait(t *testing.T, line string) Op {
	asked, told, _ := strings.Cut(strings.TrimSpace(line), "=")
	told = strings.TrimSpace(told)
	v := resp.Value{Kind: resp.Array}
	for w := range strings.FieldsSeq(told) {
		v.Elems = append(v.Elems, resp.Str(w))
	}
	op := parse(t, asked+"= OK")[0]
	switch {
	case told == "gone":
		op.Outcome, op.Gone, op.Err = Unknown, true, "closed"
	case told == "?":
		op.Outcome, op.Err = Unknown, "broken"
	case told == "!":
		op.Outcome = Refused
	case told == "nil":
		op.Reply = resp.NullArray
	case moves(op.Args):
		op.Reply = v.Elems[0]
	default:
		op.Reply = v
	}
	return op
}

// TestDeliveriesInEachForm: RESP2 and RESP3 tell scores in other ways.
func TestDeliveriesInEachForm(t *testing.T) {
	pair := resp.List(resp.Str("m"), resp.Str("1"))
	for _, tt := range []struct {
		args  []string
		reply resp.Value
		want  string
	}{
		{cmd("BLPOP", "l", "0"), resp.List(resp.Str("l"), resp.Str("e")), "l e"},
		{cmd("BLMPOP", "0", "1", "l", "LEFT"), resp.List(resp.Str("l"), resp.List(resp.Str("e"), resp.Str("f"))), "l e, l f"},
		{cmd("BLMOVE", "l", "d", "LEFT", "RIGHT", "0"), resp.Str("e"), "l e"},
		{cmd("BZPOPMIN", "z", "0"), resp.List(resp.Str("z"), resp.Str("m"), resp.Value{Kind: resp.Double, Str: "1"}), "z m"},
		{cmd("BZMPOP", "0", "1", "z", "MIN"), resp.List(resp.Str("z"), resp.List(pair, pair)), "z m, z m"},
		{cmd("BLPOP", "l", "1"), resp.NullArray, ""},
	} {
		var got []string
		for _, i := range deliveries(&Op{Args: tt.args, Reply: tt.reply}) {
			got = append(got, i.key+" "+i.element)
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%v: %q", tt.args, text)
		}
	}
}
