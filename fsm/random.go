package fsm

// random is the generator of SPOP, SRANDMEMBER and their like: splitmix64, which
// is the same on every machine and with every version of Go.
type random struct{ state uint64 }

// random returns a generator. For a command in the log it starts from the state,
// so that every replica draws the same; for a read beside the log it starts from
// how many reads there were, so that no two draw the same.
func (v *View) random() *random {
	seed := v.m.cfg.Seed[0] ^ v.m.version
	if v.tx == nil {
		return &random{seed + v.m.reads.Add(1)<<32}
	}
	r := &random{seed}
	return &random{r.next() ^ v.m.index<<20 ^ uint64(v.m.clock)}
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1. The bias of the remainder is below
// 2^-32 for every n that memory allows.
func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// sample returns count different numbers from 0 to n-1 in no particular order.
// It takes time and memory for count, or for what is left out if that is less.
func (r *random) sample(n, count int) []int {
	chosen := make([]int, 0, count)
	if count > n/2 {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		for i := range count {
			j := i + r.below(n-i)
			all[i], all[j] = all[j], all[i]
		}
		return append(chosen, all[:count]...)
	}
	taken := make(map[int]struct{}, count)
	for len(chosen) < count {
		i := r.below(n)
		if _, ok := taken[i]; !ok {
			taken[i] = struct{}{}
			chosen = append(chosen, i)
		}
	}
	return chosen
}
