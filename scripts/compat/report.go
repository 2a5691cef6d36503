package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"phonond/redisproto/resp"
)

// report gathers what differs.
type report struct {
	most    int
	seen    map[string]int // by signature
	excused map[string]int // by what differs
	total   int
}

// note counts a difference and reports whether it is the first of its kind.
func (r *report) note(server string, d difference) bool {
	r.total++
	r.seen[d.signature()]++
	return r.seen[d.signature()] == 1 && !(len(r.seen) > r.most)
}

func (r *report) excuse(d difference) { r.excused[d.name+": "+d.allowed.What]++ }

// full reports whether enough was seen.
func (r *report) full() bool { return len(r.seen) >= r.most }

// show prints a difference with what leads to it.
func (r *report) show(server, where string, steps []step, d difference) {
	fmt.Printf("\nDIFFERENCE %s: %s (%s)\n", server, d.name, where)
	for i, s := range steps {
		mark := " "
		if i == d.at {
			mark = "*"
		}
		fmt.Printf(" %s %.400s\n", mark, s)
	}
	if d.note != "" {
		fmt.Printf("   note: %s\n", d.note)
	}
	fmt.Printf("   want %.1000s\n   got  %.1000s\n", shown(d.want), shown(d.got))
}

// finish prints the sum.
func (r *report) finish() error {
	for _, what := range slices.Sorted(maps.Keys(r.excused)) {
		fmt.Printf("listed difference, %d times: %s\n", r.excused[what], what)
	}
	if r.total > 0 {
		return fmt.Errorf("%w: %d times, of %d kinds", errDiffers, r.total, len(r.seen))
	}
	fmt.Println("no difference that is not listed")
	return nil
}

// shown writes a reply on one line.
func shown(v resp.Value) string {
	switch v.Kind {
	case resp.None:
		return "nothing"
	case resp.Integer, resp.Bool:
		return fmt.Sprintf("%s%d", kindNamesOf[v.Kind], v.Int)
	case resp.Nil, resp.NilArray:
		return kindNamesOf[v.Kind]
	case resp.Array, resp.Map, resp.Set, resp.Push:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, shown(e))
		}
		return kindNamesOf[v.Kind] + "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprintf("%s%q", kindNamesOf[v.Kind], v.Str)
}

var kindNamesOf = map[resp.Kind]string{
	resp.Simple: "+", resp.Error: "-", resp.Integer: ":", resp.Bulk: "", resp.Nil: "nil", resp.NilArray: "nil array", resp.Array: "", resp.Map: "map",
	resp.Set: "set", resp.Double: "double ", resp.Bool: "bool ", resp.BigNumber: "big ", resp.Verbatim: "verbatim ", resp.Push: "push",
}

// fail counts and prints what failed otherwise.
func (r *report) fail(text string) {
	r.total++
	r.seen[text]++
	fmt.Println("DIFFERENCE", text)
}
