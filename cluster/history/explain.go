package history

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// explain makes a violation of a partition that no order explains, or for which
// none was found in time. It looks for the first reply with which the history
// cannot be explained any more, and shows what came before it.
func (c *check) explain(p *partition, m model, v verdict) *Violation {
	out := &Violation{Key: strings.Join(p.keys, " "), Why: "no order of the operations explains the replies"}
	culprit, known := c.culprit(p, m)
	if v == undecided {
		out.Why = fmt.Sprintf("not decided: the search took more than %d steps", c.o.MaxSteps)
	}
	ops := c.relevant(p.ops)
	if culprit != nil {
		ops = known
	}
	var b strings.Builder
	j := newJudge(m, ops, c.o.MaxSteps)
	_, order := j.search(true)
	c.tell(&b, j, order)
	c.show(&b, p, culprit)
	out.Text = b.String()
	return out
}

// culprit returns the operation whose reply was the first that makes the history
// impossible, with the history as it was known then. It is nil when the searches
// take too long.
func (c *check) culprit(p *partition, m model) (culprit *Op, known []*Op) {
	var replies []*Op
	for _, op := range p.ops {
		if op.Outcome == Answered {
			replies = append(replies, op)
		}
	}
	slices.SortStableFunc(replies, func(a, b *Op) int { return int(a.Return - b.Return) })
	// What is impossible stays so when more becomes known.
	low, high := 0, len(replies)
	for low < high {
		middle := (low + high) / 2
		ops := c.until(p, replies[middle].Return)
		if v, _ := newJudge(m, ops, c.o.MaxSteps).search(false); v == unexplained {
			culprit, known, high = replies[middle], ops, middle
		} else {
			low = middle + 1
		}
	}
	return culprit, known
}

// until is the history as it was known at a time: who had no reply yet might have
// done anything.
func (c *check) until(p *partition, t time.Duration) []*Op {
	var ops []*Op
	for _, op := range p.ops {
		if op.Call > t {
			continue
		}
		if op.Outcome == Answered && op.Return > t {
			waiting := *op
			waiting.Outcome, waiting.Return, waiting.Err = Unknown, Never, "no reply yet at that time"
			op = &waiting
		}
		ops = append(ops, op)
	}
	return c.relevant(ops)
}

// tell says how far an order goes, and what cannot follow.
func (c *check) tell(b *strings.Builder, j *judge, order []int) {
	state := j.model.start()
	placed := make([]bool, len(j.ops))
	var last []string
	for _, i := range order {
		placed[i] = true
		if _, next := j.model.step(state, j.ops[i]); next != nil {
			state = next
		}
		last = append(last, "  "+j.ops[i].String())
	}
	if n := len(last) - maxLast; n > 0 {
		last = append([]string{fmt.Sprintf("  (%d more)", n)}, last[n:]...)
	}
	fmt.Fprintf(b, "The longest order that fits, of %d operations, ends with\n%s\nand leaves: %s\n", len(order), strings.Join(last, "\n"), shorten(j.model.describe(state)))
	limit := Never // who was called later cannot be next
	for i, op := range j.ops {
		if !placed[i] && op.Outcome == Answered {
			limit = min(limit, op.Return)
		}
	}
	b.WriteString("None of these can follow:\n")
	for i, op := range j.ops {
		if !placed[i] && op.Outcome == Answered && op.Call <= limit {
			fmt.Fprintf(b, "  %s, where it should be %s\n", op, shorten(j.model.expected(state, op)))
		}
	}
}

// maxLast is how many operations of an order are printed.
const maxLast = 12

// show lists the partition's operations by their calls, as many as there is room for
// up to the culprit.
func (c *check) show(b *strings.Builder, p *partition, culprit *Op) {
	at := len(p.ops)
	if i := slices.Index(p.ops, culprit); i >= 0 {
		at = i + 1
	}
	upto := min(len(p.ops), at+maxLines/4)
	from := max(0, upto-maxLines)
	fmt.Fprintf(b, "Operations %d to %d of %d by their calls; > marks the first reply that cannot be explained:\n", from+1, upto, len(p.ops))
	for _, op := range p.ops[from:upto] {
		mark := " "
		if op == culprit {
			mark = ">"
		}
		fmt.Fprintf(b, "%s %s\n", mark, op)
	}
}
