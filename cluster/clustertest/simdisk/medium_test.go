package simdisk

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTornBolt: pages come before the meta page that refers to them.
func TestTornBolt(t *testing.T) {
	const page = 4096
	rng := rand.New(rand.NewPCG(1, 0))
	seen := map[string]int{}
	for range 3000 {
		before := bytes.Repeat([]byte{1}, page*(4+rng.IntN(3)))
		after := bytes.Repeat([]byte{1}, max(len(before), page*(4+rng.IntN(4))))
		var changed []int // sectors of the pages
		for i := 2 * page / sector; i < len(after)/sector; i++ {
			if i*sector >= len(before) || rng.IntN(2) == 0 {
				changed = append(changed, i)
				fill(after, i, 2)
			}
		}
		meta := rng.IntN(2) * page / sector
		fill(after, meta, 2)
		image := tornBolt(before, after, page, rng)
		if len(image) != len(before) && len(image) != len(after) {
			t.Fatalf("%d bytes of %d or %d", len(image), len(before), len(after))
		}
		there := 0
		for i := range len(image) / sector {
			got := image[i*sector : (i+1)*sector]
			old := make([]byte, sector)
			if i*sector < len(before) {
				old = before[i*sector : (i+1)*sector]
			}
			if isNew := bytes.Equal(got, after[i*sector:(i+1)*sector]); isNew && slices.Contains(changed, i) {
				there++
			} else if !isNew && !bytes.Equal(got, old) {
				t.Fatalf("sector %d is neither old nor new", i)
			}
		}
		switch isNew := image[meta*sector] == 2; {
		case isNew && (there < len(changed) || len(image) < len(after)):
			t.Fatalf("the meta page is there, and of the pages %d of %d", there, len(changed))
		case isNew:
			seen["done"]++
		case there == len(changed):
			seen["pages"]++
		case there > 0:
			seen["some"]++
		case len(image) > len(before):
			seen["length"]++
		default:
			seen["nothing"]++
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %v", seen)
	}
}

func fill(b []byte, i int, with byte) {
	copy(b[i*sector:(i+1)*sector], bytes.Repeat([]byte{with}, sector))
}

// TestFilesAfterACrash: sectors that were synced are there, others are old or new;
// a name is there once its file was synced.
func TestFilesAfterACrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	type sectors map[int]byte
	lost, kept, nameless := 0, 0, 0
	for range 300 {
		fs := newFiles()
		now, disk := map[string]sectors{}, map[string]sectors{} // of the files that have their names for good
		for range 40 {
			name := fmt.Sprint(rng.IntN(3))
			f, err := fs.OpenWriter("", name)
			if err != nil {
				if f, err = fs.Create("", name, 2*sector); err != nil {
					t.Fatal(err)
				}
				now[name] = sectors{}
			}
			switch n := rng.IntN(20); {
			case n < 12:
				i, v := rng.IntN(6), byte(1+rng.IntN(255))
				if _, err := f.WriteAt(bytes.Repeat([]byte{v}, sector), int64(i*sector)); err != nil {
					t.Fatal(err)
				}
				now[name][i] = v
			case n < 19:
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				disk[name] = maps.Clone(now[name])
			default: // for good, and so is that others exist
				if err := fs.Delete("", name); err != nil {
					t.Fatal(err)
				}
				delete(now, name)
				delete(disk, name)
				for other := range now {
					if disk[other] == nil {
						disk[other] = sectors{}
					}
				}
			}
		}
		states := fs.end()
		left := states[len(states)-1].afterCrash(rng)
		if _, err := fs.ListDir(""); err != ErrGone {
			t.Fatalf("what was open says %v", err)
		}
		names, err := left.ListDir("")
		if err != nil {
			t.Fatal(err)
		}
		for name := range disk {
			if !slices.Contains(names, name) {
				t.Fatalf("%s is gone", name)
			}
		}
		for name := range now {
			if !slices.Contains(names, name) {
				nameless++
			}
		}
		for _, name := range names {
			if now[name] == nil {
				t.Fatalf("%s is there", name)
			}
			f, err := left.OpenReader("", name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(io.NewSectionReader(f, 0, 6*sector))
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, make([]byte, 6*sector-len(b))...)
			for i := range 6 {
				got, old, last := b[i*sector], disk[name][i], now[name][i]
				if !bytes.Equal(b[i*sector:(i+1)*sector], bytes.Repeat([]byte{got}, sector)) || got != old && got != last {
					t.Fatalf("%s, sector %d: there is %d, want %d or %d", name, i, got, old, last)
				}
				if old != last && got == old {
					lost++
				} else if old != last {
					kept++
				}
			}
		}
	}
	if lost == 0 || kept == 0 || nameless == 0 {
		t.Errorf("of what was not synced %d sectors were lost, %d kept, and %d files", lost, kept, nameless)
	}
}
