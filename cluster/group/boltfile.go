package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The parts of a bbolt file that are needed to know how long it should be: two
// meta pages at its start, written in turn, in the byte order of the machine.
// (go.etcd.io/bbolt, internal/common/meta.go)
const (
	boltMeta     = 16         // bytes before the meta in its page
	boltMetaSize = 64         // bytes of it
	boltMagic    = 0xED0CDAED // its first four bytes
	boltPages    = 40         // where it counts the pages of the file
	boltTxID     = 48         // and the transactions so far
	boltSum      = 56         // FNV-1a of what is before
)

// checkLength returns an error when a bbolt file is shorter than its own count of
// pages. bbolt does not look, and panics later on a goroutine of its own, or reads
// beyond the end and is killed. A file that is not there is sound.
func checkLength(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var newest, pages uint64
	page := int64(os.Getpagesize())
	for i := range int64(2) {
		b := make([]byte, boltMetaSize)
		if _, err := f.ReadAt(b, i*page+boltMeta); err != nil && err != io.EOF {
			return err
		}
		sum := fnv.New64a()
		sum.Write(b[:boltSum])
		if binary.NativeEndian.Uint32(b) != boltMagic || binary.NativeEndian.Uint64(b[boltSum:]) != sum.Sum64() {
			continue // bbolt takes the other, and says so when neither is sound
		}
		if tx := binary.NativeEndian.Uint64(b[boltTxID:]); tx >= newest {
			newest, pages = tx, binary.NativeEndian.Uint64(b[boltPages:])
		}
	}
	if want := pages * uint64(page); uint64(info.Size()) < want {
		return fmt.Errorf("it is %d bytes long, and should be %d at least", info.Size(), want)
	}
	return nil
}
