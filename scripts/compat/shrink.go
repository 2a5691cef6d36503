package main

import (
	"slices"
	"time"
)

// shrinkFor bounds how long one difference is made smaller.
const shrinkFor = 8 * time.Second

// shrink returns the fewest steps that it finds to end with a difference of the same
// signature, and the difference there.
func (l *lab) shrink(srv *server, s session, d difference) ([]step, difference) {
	steps := slices.Clone(s.steps[:min(len(s.steps), d.at+2)]) // the next one may be what it is compared with
	deadline := time.Now().Add(shrinkFor)
	if _, ok := l.again(srv, s.proto, steps, d); !ok {
		d.note += " (not seen again)"
		return steps[max(0, len(steps)-20):], d
	}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := len(steps) - size; at >= 0 && time.Now().Before(deadline); at -= size {
			fewer := slices.Delete(slices.Clone(steps), at, at+size)
			if found, ok := l.again(srv, s.proto, fewer, d); ok {
				steps, d = fewer[:min(len(fewer), found.at+2)], found
				at = min(at, len(steps))
			}
		}
	}
	return steps, d
}

// again reports whether the steps lead to a difference that looks the same.
func (l *lab) again(srv *server, proto int, steps []step, d difference) (found difference, ok bool) {
	if len(steps) == 0 {
		return found, false
	}
	want, err := play(l.redis, proto, steps, nil)
	if err != nil {
		return found, false
	}
	got, err := play(srv, proto, steps, want)
	judge(steps, want, got, func(f difference) bool {
		if f.allowed == nil && f.signature() == d.signature() {
			found, ok = f, true
		}
		return !ok
	})
	if err != nil && d.want.Kind == 0 && d.got.Kind == 0 && err.Error() == d.note {
		found = difference{at: min(len(got), len(steps)-1), note: d.note, name: d.name}
		ok = true
	}
	return found, ok
}
