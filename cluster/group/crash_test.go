package group

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// step is one thing that raft does to its storage, and what is there afterwards.
type step struct {
	name string
	do   func(w *watchedStore) error
	then func(c *contents)
}

// steps returns what raft does in some life: it appends, now and then one entry that
// is longer than a segment, votes, and cuts the log at either end.
func steps(rnd *rand.Rand, n int) (all []step) {
	var first, next, term uint64 = 1, 1, 1
	add := func(ls []*raft.Log) {
		all = append(all, step{fmt.Sprintf("append %d to %d", ls[0].Index, ls[len(ls)-1].Index),
			func(w *watchedStore) error { return w.StoreLogs(ls) },
			func(c *contents) {
				if c.First == 0 {
					c.First = ls[0].Index
				}
				for _, l := range ls {
					c.Entries[l.Index], c.Last = entryText(l), l.Index
				}
			}})
		next = ls[len(ls)-1].Index + 1
	}
	remove := func(from, to uint64) {
		all = append(all, step{fmt.Sprintf("remove %d to %d of %d to %d", from, to, first, next-1),
			func(w *watchedStore) error { return w.DeleteRange(from, to) },
			func(c *contents) {
				maps.DeleteFunc(c.Entries, func(i uint64, _ string) bool { return from <= i && i <= to })
				switch {
				case len(c.Entries) == 0:
					c.First, c.Last = 0, 0
				case from <= c.First:
					c.First = to + 1
				default:
					c.Last = from - 1
				}
			}})
	}
	add(entries(1, 1, 1, 10))
	for len(all) < n {
		switch rnd.IntN(12) {
		case 0:
			term++
			t, who := term, fmt.Sprintf("n%d", rnd.IntN(9))
			all = append(all, step{fmt.Sprintf("term %d", t),
				func(w *watchedStore) error { return w.SetUint64([]byte("CurrentTerm"), t) },
				func(c *contents) { c.Term = t }})
			all = append(all, step{fmt.Sprintf("vote for %s", who),
				func(w *watchedStore) error {
					if err := w.SetUint64([]byte(keyVoteTerm), t); err != nil {
						return err
					}
					return w.Set([]byte(keyVoteCand), []byte(who))
				},
				func(c *contents) { c.Vote = fmt.Sprintf("%d %s", t, who) }})
		case 1: // another leader has other entries
			if from := max(first+1, next-min(next-1, uint64(1+rnd.IntN(9)))); from < next {
				remove(from, next-1)
				next = from
				term++
				add(entries(next, 1+rnd.IntN(3), term, rnd.IntN(900)))
			}
		case 2: // a snapshot covers the older ones
			if next-first > 4 {
				to := first + uint64(rnd.Int64N(int64(next-first-1)))
				remove(first, to)
				first = to + 1
			}
		case 3: // a snapshot from elsewhere covers them all, and more
			remove(first, next-1)
			next += uint64(rnd.IntN(10))
			first = next
			add(entries(next, 1, term, 100))
		case 4:
			add(entries(next, 1, term, testSegment+rnd.IntN(testSegment)))
		default:
			add(entries(next, 1+rnd.IntN(4), term, rnd.IntN(900)))
		}
	}
	return all
}

// life takes the steps one after the other. before is called with what may be found
// from now on, and after with what must.
func life(t *testing.T, w *watchedStore, all []step, before func(step, ...contents), after func(contents)) {
	t.Helper()
	now := contents{Entries: map[uint64]string{}}
	for _, s := range all {
		then := now
		then.Entries = maps.Clone(now.Entries)
		s.then(&then)
		before(s, now, then)
		if err := s.do(w); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		after(then)
		now = then
	}
}

// found opens what a crash left, checks that it is one of what may be there, and
// that the replica can go on from it, and closes it.
func found(t *testing.T, kind, dir, when string, may []contents) {
	t.Helper()
	s, err := reopen(kind, dir, nil)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	w := opened(t)(s, nil)
	got := contentsOf(t, w)
	if !slices.ContainsFunc(may, func(c contents) bool { return reflect.DeepEqual(c, got) }) {
		t.Errorf("%s: there is\n%+v\nand not one of\n%+v", when, got, may)
	}
	if got.First == 0 {
		got.First, got.Last = 7, 6
	}
	for _, l := range entries(got.Last+1, 2, 99, 300) {
		if err := w.StoreLog(l); err != nil {
			t.Fatalf("%s: the next entry: %v", when, err)
		}
		got.Last, got.Entries[l.Index] = l.Index, entryText(l)
	}
	must(t, vote(w, 99, "after"))
	got.Term, got.Vote = 99, "99 after"
	must(t, w.close())
	w = opened(t)(reopen(kind, dir, nil))
	if again := contentsOf(t, w); !reflect.DeepEqual(again, got) {
		t.Errorf("%s, then two entries and a vote: there is\n%+v\nand not\n%+v", when, again, got)
	}
	must(t, w.close())
}

// TestBoltCrashPoints: a bbolt file between two writes is one or the other, whatever
// part of the second is on the disk. Its pages are synced before one of the two that
// say where they are.
func TestBoltCrashPoints(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	dir, crashed := t.TempDir(), t.TempDir()
	file, copied := filepath.Join(dir, boltFile), filepath.Join(crashed, boltFile)
	w := opened(t)(reopen(kindBolt, dir, nil))
	var old []byte
	var may []contents
	var name string
	points := 0
	life(t, w, steps(rnd, 16), func(s step, c ...contents) {
		old, may, name = read(t, file), c, s.name
	}, func(now contents) {
		full := read(t, file)
		heads := 2 * os.Getpagesize()
		old = append(old, make([]byte, len(full)-len(old))...)
		changed := sectors(old, full, heads)
		check := func(when string, b []byte, may ...contents) {
			points++
			must(t, os.WriteFile(copied, b, 0o600))
			found(t, kindBolt, crashed, fmt.Sprintf("%s, %s", name, when), may)
		}
		b := slices.Clone(old)
		for range 3 {
			check("some pages", patch(old, full, pick(rnd, changed)), may[0])
		}
		b = patch(b, full, changed)
		check("all pages", b, may[0])
		for i := 0; i < heads; i += os.Getpagesize() {
			for n := boltMeta; n < boltMeta+boltMetaSize; n += 12 {
				copy(b[i:], full[i:i+n])
				check(fmt.Sprintf("%d bytes of head %d", n, i), b, may...)
			}
			copy(b[i:], full[i:i+os.Getpagesize()])
		}
		check("all", b, now)
	})
	must(t, w.close())
	t.Logf("%d crashes", points)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return b
}

// sectors returns where two files of the same length differ, from a place on.
func sectors(a, b []byte, from int) (at []int) {
	for i := from; i < len(b); i += sector {
		if end := min(i+sector, len(b)); string(a[i:end]) != string(b[i:end]) {
			at = append(at, i)
		}
	}
	return at
}

// patch returns a copy of a file with some sectors of another.
func patch(old, full []byte, at []int) []byte {
	b := slices.Clone(old)
	for _, i := range at {
		copy(b[i:], full[i:min(i+sector, len(full))])
	}
	return b
}

// pick returns some of them.
func pick(rnd *rand.Rand, all []int) (some []int) {
	for _, i := range all {
		if rnd.IntN(2) == 0 {
			some = append(some, i)
		}
	}
	return some
}

// TestWALCrashPoints: a batch of entries is there wholly or not at all, and so is a
// cut of the log, wherever a crash comes.
func TestWALCrashPoints(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	someSectors := func(n int) [][]int {
		var parts [][]int
		for range 2 {
			var part []int
			for at := 0; at < n; at += sector {
				if rnd.IntN(2) == 0 {
					part = append(part, at, min(at+sector, n))
				}
			}
			parts = append(parts, part, []int{0, rnd.IntN(n + 1)})
		}
		return parts
	}
	c := &camera{t: t, dir: t.TempDir(), out: t.TempDir(), tear: someSectors}
	c.allow("open", contents{Entries: map[uint64]string{}})
	w := opened(t)(reopen(kindWAL, c.dir, c))
	life(t, w, steps(rnd, 36), func(s step, may ...contents) { c.allow(s.name, may...) }, func(now contents) { c.allow("", now) })
	must(t, w.close())
	for _, p := range c.all {
		found(t, kindWAL, p.dir, p.when, p.may)
	}
	t.Logf("%d crashes", len(c.all))
}

// TestWALCrashAtEveryByte tears the append that seals a segment, and the first one of
// the next, of which not a byte is left out.
func TestWALCrashAtEveryByte(t *testing.T) {
	t.Parallel()
	every := 0
	c := &camera{t: t, dir: t.TempDir(), out: t.TempDir()}
	c.tear = func(n int) (parts [][]int) {
		for i := 0; i < n && every > 0; i += every {
			parts = append(parts, []int{0, i})
		}
		return parts
	}
	w := opened(t)(reopen(kindWAL, c.dir, c))
	must(t, vote(w, 1, "n1"))
	must(t, w.StoreLogs(entries(1, 3, 1, testSegment/4+100)))
	now, begun := contentsOf(t, w), len(c.all)
	for _, a := range []struct{ size, every int }{{testSegment / 8, 13}, {10, 1}} {
		every = a.every
		then := now
		then.Entries = maps.Clone(now.Entries)
		ls := entries(now.Last+1, 2, 1, a.size)
		for _, l := range ls {
			l.Extensions = likeFrames()
			then.Entries[l.Index], then.Last = entryText(l), l.Index
		}
		c.allow("append", now, then)
		must(t, w.StoreLogs(ls))
		c.allow("", then)
		now = then
	}
	must(t, w.close())
	for _, p := range c.all[begun:] {
		found(t, kindWAL, p.dir, p.when, p.may)
	}
	t.Logf("%d crashes", len(c.all)-begun)
}

// likeFrames returns data that holds, at any place in a segment, what looks like the end
// of a batch and the beginning of another.
func likeFrames() (b []byte) {
	for range frameHeader {
		b = append(b, frameCommit, 0, 0, 0, 0, 0, 0, 0, frameEntry, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return b
}

// TestWALFlippedBits: of damage to a batch that others follow nothing is lost without a
// word. Damage to the last one is taken for a crash within it, which takes that one only.
func TestWALFlippedBits(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprint(n, " batches"), func(t *testing.T) {
			t.Parallel()
			flipBits(t, n)
		})
	}
}

func flipBits(t *testing.T, batches int) {
	dir := t.TempDir()
	w := opened(t)(reopen(kindWAL, dir, nil))
	files, err := filepath.Glob(filepath.Join(dir, walDir, "*.wal"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the segments are %q (%v)", files, err)
	}
	var sound []byte
	var after []contents // each batch
	var ends []int
	for i := range batches {
		ls := entries(uint64(1+2*i), 2, 1, 10)
		if i > 1 {
			ls[0].Extensions = likeFrames()
		}
		must(t, w.StoreLogs(ls))
		sound = read(t, files[0])
		after, ends = append(after, contentsOf(t, w)), append(ends, findEnd(sound).offset)
	}
	must(t, w.close())
	whole, before := after[batches-1], after[batches-2]
	last, end := ends[batches-2], ends[batches-1]
	refused, taken := 0, 0
	for at := range end {
		for bit := range 8 {
			if last <= at && at < end-frameHeader && bit != at%8 {
				continue // these take their time, as they are opened
			}
			b := slices.Clone(sound)
			b[at] ^= 1 << bit
			must(t, os.WriteFile(files[0], b, 0o600))
			s, err := reopen(kindWAL, dir, nil)
			if err != nil {
				if !strings.Contains(err.Error(), Advice) {
					t.Fatalf("bit %d of byte %d: %v", bit, at, err)
				}
				if at >= last {
					refused++
				}
				continue
			}
			w := opened(t)(s, nil)
			got := contentsOf(t, w)
			must(t, w.close())
			switch {
			case at >= last && reflect.DeepEqual(got, before):
				taken++
			case !reflect.DeepEqual(got, whole):
				t.Errorf("bit %d of byte %d, with batches up to %v: there is %d to %d", bit, at, ends, got.First, got.Last)
			}
		}
	}
	t.Logf("damage to the last batch: %d refused, %d taken for a crash", refused, taken)
}

// TestWALCrashAfterACrash: of the batch that the first crash tore nothing may be
// left behind the one that is written over its beginning. Here its second half
// would follow the next batch as if it belonged there, and the library would take
// that for proof that the batch is whole.
func TestWALCrashAfterACrash(t *testing.T) {
	t.Parallel()
	torn := func(lost int) func(n int) [][]int {
		return func(n int) [][]int { return [][]int{{0, lost, lost + sector, n}} }
	}
	c := &camera{t: t, dir: t.TempDir(), out: t.TempDir(), tear: func(int) [][]int { return nil }}
	w := opened(t)(reopen(kindWAL, c.dir, c))
	must(t, w.StoreLogs(entries(1, 1, 1, 100)))
	want := contentsOf(t, w)
	c.tear = torn(sector)
	taken := len(c.all)
	must(t, w.StoreLogs(entries(2, 2, 1, 3*sector)))
	must(t, w.close())

	// The frame of the next batch ends where the second entry of the torn one began.
	dir := c.all[taken].dir
	c = &camera{t: t, dir: dir, out: t.TempDir(), tear: torn(sector)}
	w = opened(t)(reopen(kindWAL, dir, c))
	if got := contentsOf(t, w); !reflect.DeepEqual(got, want) {
		t.Fatalf("there is %+v, not %+v", got, want)
	}
	taken = len(c.all)
	must(t, w.StoreLogs(entries(2, 1, 2, 3*sector-frameHeader)))
	must(t, w.close())
	found(t, kindWAL, c.all[taken].dir, "twice", []contents{want})
}

// TestSnapshotCrashPoints: a snapshot that is being written is not there until it
// is whole, and what was before it is.
func TestSnapshotCrashPoints(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, open func(string) (*Storage, error)) {
		dir := t.TempDir()
		w := opened(t)(open(dir))
		must(t, w.StoreLogs(entries(1, 9, 1, 50)))
		must(t, vote(w, 1, "n1"))
		want := contentsOf(t, w)
		check := func(when string, index uint64) {
			t.Helper()
			crashed := t.TempDir()
			must(t, os.CopyFS(crashed, os.DirFS(dir)))
			w := opened(t)(open(crashed))
			defer w.close()
			if got := contentsOf(t, w); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: there is %+v, not %+v", when, got, want)
			}
			list, err := w.snapshots.List()
			must(t, err)
			if len(list) == 0 && index > 0 || len(list) > 0 && list[0].Index != index {
				t.Errorf("%s: the snapshots are %v, not of entry %d", when, list, index)
			}
			if left, _ := fs.Glob(os.DirFS(crashed), "snapshots/*.tmp"); len(left) > 0 {
				t.Errorf("%s: %v is left", when, left)
			}
		}
		var before uint64
		for _, index := range []uint64{4, 8} {
			sink, err := w.snapshots.Create(1, index, 1, raft.Configuration{}, 1, nil)
			must(t, err)
			check("begun", before)
			_, err = sink.Write(make([]byte, 1<<17))
			must(t, err)
			check("half written", before)
			must(t, sink.Close())
			check("whole", index)
			before = index
		}
		must(t, w.close())
	})
}
