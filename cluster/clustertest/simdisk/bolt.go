package simdisk

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"

	"phonond/cluster/group"
)

// boltFile is the file of package group's bbolt store. bbolt has no seam at which
// it could be cut short, but an order that it keeps: a transaction makes the file
// longer and syncs it, writes pages that nothing refers to and syncs them, writes
// one of the two meta pages and syncs it. What a crash leaves is made of the file
// as it was before the transaction and as it is after it.
type boltFile struct {
	dir    string
	before []byte // the file before the last write; nil = the last write was another
}

func (b *boltFile) path() string { return b.dir }

func (b *boltFile) file() string { return filepath.Join(b.dir, "raft.db") }

func (b *boltFile) fill(bool) {}

func (b *boltFile) open() (*group.Storage, error) {
	return group.OpenBolt(b.dir, slog.New(slog.DiscardHandler))
}

func (b *boltFile) begin() {
	var err error
	b.before, err = os.ReadFile(b.file())
	must(err)
}

// crash puts another file in the place of the one that is open.
func (b *boltFile) crash(rng *rand.Rand, when Tear) {
	if b.before == nil {
		return // every transaction so far was synced
	}
	after, err := os.ReadFile(b.file())
	must(err)
	image := after
	switch when {
	case Lost:
		image = b.before
	case Torn:
		image = tornBolt(b.before, after, os.Getpagesize(), rng)
	}
	b.before = nil
	must(os.WriteFile(b.file()+".new", image, 0o600))
	must(os.Rename(b.file()+".new", b.file()))
}

// tornBolt returns what may be on the disk when the power fails within the
// transaction that makes after of before. Neither is changed.
func tornBolt(before, after []byte, page int, rng *rand.Rand) []byte {
	meta := 2 * page // where the other pages begin
	var image []byte
	switch rng.IntN(4) {
	case 0: // before the file was longer for good
		image = bytes.Clone(before)
	case 1: // the pages are not synced
		image = make([]byte, max(len(before), len(after)))
		copy(image, before)
		mix(image[meta:], after[meta:], rng)
	case 2: // the pages are synced, and nothing more happened
		image = bytes.Clone(after)
		copy(image[:meta], before)
	default: // the meta page is not synced
		image = bytes.Clone(after)
		copy(image[:meta], before)
		mix(image[:meta], after[:meta], rng)
	}
	return image
}

// mix copies some sectors of from, few or many, to the same places of to.
func mix(to, from []byte, rng *rand.Rand) {
	likely := rng.Float64()
	for i := 0; i < len(from); i += sector {
		end := min(i+sector, len(from))
		if rng.Float64() < likely {
			copy(to[i:end], from[i:end])
		}
	}
}
