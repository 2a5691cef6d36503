package group

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"
)

// TestTailReadsAsTheLogDoes does to a log what raft does, and reads it with and
// without the tail.
func TestTailReadsAsTheLogDoes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	store := raft.NewInmemStore()
	tail := &tail{LogStore: store}
	next := uint64(1)
	for range 3000 {
		switch rnd.IntN(20) {
		default:
			var ls []*raft.Log
			for range 1 + rnd.IntN(20) {
				ls = append(ls, &raft.Log{Index: next, Term: uint64(rnd.IntN(1000)), Data: make([]byte, rnd.IntN(100))})
				next++
			}
			if err := tail.StoreLogs(ls); err != nil {
				t.Fatal(err)
			}
		case 0: // another leader has other entries
			if first, _ := store.FirstIndex(); first > 0 {
				from := max(first, next-min(next-1, uint64(1+rnd.IntN(700))))
				if err := tail.DeleteRange(from, next-1); err != nil {
					t.Fatal(err)
				}
				next = from
			}
		case 1: // a snapshot covers the older ones
			if first, _ := store.FirstIndex(); first > 0 && next-first > 2 {
				if err := tail.DeleteRange(first, first+uint64(rnd.Int64N(int64(next-first-1)))); err != nil {
					t.Fatal(err)
				}
			}
		case 2: // a snapshot from elsewhere covers them all, and more
			if first, _ := store.FirstIndex(); first > 0 {
				if err := tail.DeleteRange(first, next-1); err != nil {
					t.Fatal(err)
				}
				next += uint64(rnd.IntN(1000))
			}
		}
		for range 20 {
			i := max(next, 800) - uint64(rnd.IntN(800))
			var got, want raft.Log
			gotErr, wantErr := tail.GetLog(i, &got), store.GetLog(i, &want)
			if !errors.Is(gotErr, wantErr) || got.Index != want.Index || got.Term != want.Term || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("entry %d is %v (%v), not %v (%v)", i, got, gotErr, want, wantErr)
			}
		}
	}
}

func TestTailIsBounded(t *testing.T) {
	for _, size := range []int{0, 1 << 10, 1 << 20, tailBytes + 1} {
		tail := &tail{LogStore: newDisk()}
		kept := func() (n, bytes int) {
			for _, l := range tail.ring {
				if l != nil {
					n, bytes = n+1, bytes+len(l.Data)
				}
			}
			return n, bytes
		}
		data := make([]byte, size)
		for i := range min(2*tailEntries, 4*tailBytes/(size+1)) {
			if err := tail.StoreLog(&raft.Log{Index: uint64(i + 1), Data: data[:size:size]}); err != nil {
				t.Fatal(err)
			}
			n, bytes := kept()
			if n > tailEntries || bytes > tailBytes || bytes != tail.bytes || uint64(n) != tail.end-tail.first {
				t.Fatalf("with entries of %d bytes, %d of %d bytes are kept, by its own count %d of %d",
					size, n, bytes, tail.end-tail.first, tail.bytes)
			}
		}
		if n, bytes := kept(); size <= 1<<20 && n < tailEntries && bytes < tailBytes-size {
			t.Errorf("with entries of %d bytes only %d of %d bytes are kept", size, n, bytes)
		}
	}
	failing := newDisk()
	failing.breakDown()
	tail := &tail{LogStore: failing}
	if err := tail.StoreLog(&raft.Log{Index: 1}); !errors.Is(err, errDisk) || tail.end != 0 {
		t.Errorf("what was not written is kept: %v", err)
	}
}
