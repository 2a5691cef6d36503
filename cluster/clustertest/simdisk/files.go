package simdisk

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/hashicorp/raft-wal/types"
)

// files is a directory of files in memory, for raft-wal, and what raft-wal keeps
// beside them. It knows what of it would survive a power loss.
type files struct {
	mu    sync.Mutex
	names map[string]*file // as the process sees it
	known map[string]*file // as it is on the disk
	// Both are replaced as a whole, by writes that are durable at once.
	list   types.PersistentState
	stable map[string][]byte

	full   bool
	gone   bool
	states []*files // copies: before the last write, and after each step of it
}

// file is what a name stands for.
type file struct {
	data  []byte         // written so far; zeros follow up to size
	size  int64          // allocated
	disk  int64          // the size on the disk
	dirty map[int][]byte // sectors written since the last sync, and what the disk has instead
}

func newFiles() *files {
	return &files{names: map[string]*file{}, known: map[string]*file{}, stable: map[string][]byte{}}
}

// do runs f unless the power has failed.
func (fs *files) do(f func() error) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.gone {
		return ErrGone
	}
	return f()
}

func (fs *files) fill(on bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.full = on
}

// record keeps the state as it is now, and after every step from now on.
func (fs *files) record() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.states = []*files{fs.clone()}
}

// step is called after every change.
func (fs *files) step() {
	if fs.states != nil {
		fs.states = append(fs.states, fs.clone())
	}
}

// end ends the use of fs and returns the states since record, the present one last.
func (fs *files) end() []*files {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.gone = true
	return append(fs.states, fs.clone())
}

func (fs *files) clone() *files {
	c := &files{names: map[string]*file{}, known: map[string]*file{}, list: fs.list, stable: fs.stable, full: fs.full}
	copies := map[*file]*file{}
	for _, dir := range []struct{ from, to map[string]*file }{{fs.names, c.names}, {fs.known, c.known}} {
		for name, f := range dir.from {
			if copies[f] == nil {
				copies[f] = &file{bytes.Clone(f.data), f.size, f.disk, maps.Clone(f.dirty)}
			}
			dir.to[name] = copies[f]
		}
	}
	return c
}

// afterCrash makes of fs, which nobody uses, what a power loss leaves of it. A name
// that was given or taken away and not synced may be there or not.
func (fs *files) afterCrash(rng *rand.Rand) *files {
	left := map[string]*file{}
	all := maps.Clone(fs.names)
	maps.Copy(all, fs.known)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, synced := fs.names[name], fs.known[name]
		if f != synced && rng.IntN(2) == 0 {
			f = synced
		}
		if f != nil {
			f.lose(rng)
			left[name] = f
		}
	}
	fs.names, fs.known = left, maps.Clone(left)
	return fs
}

// lose takes away some of what was not synced, little or much.
func (f *file) lose(rng *rand.Rand) {
	likely := rng.Float64()
	for _, i := range slices.Sorted(maps.Keys(f.dirty)) {
		if rng.Float64() < likely {
			at := f.data[i*sector : min((i+1)*sector, len(f.data))]
			clear(at[copy(at, f.dirty[i]):])
		}
	}
	if f.size != f.disk && rng.IntN(2) == 0 {
		f.size = f.disk
		f.data = f.data[:min(int64(len(f.data)), f.size)]
	}
	f.synced()
}

func (f *file) synced() {
	f.disk = f.size
	f.dirty = map[int][]byte{}
}

func (f *file) writeAt(b []byte, at int) {
	for i := at / sector; i*sector < at+len(b); i++ {
		if _, ok := f.dirty[i]; !ok {
			f.dirty[i] = bytes.Clone(f.data[min(i*sector, len(f.data)):min((i+1)*sector, len(f.data))])
		}
	}
	if n := at + len(b) - len(f.data); n > 0 {
		f.data = append(f.data, make([]byte, n)...)
	}
	copy(f.data[at:], b)
	f.size = max(f.size, int64(len(f.data)))
}

// types.VFS; there is one directory.

func (fs *files) ListDir(string) (names []string, err error) {
	err = fs.do(func() error {
		names = slices.Sorted(maps.Keys(fs.names))
		return nil
	})
	return names, err
}

func (fs *files) Create(_, name string, size uint64) (types.WritableFile, error) {
	f := &file{size: int64(size)}
	f.dirty = map[int][]byte{}
	err := fs.do(func() error {
		switch {
		case fs.names[name] != nil:
			return &os.PathError{Op: "create", Path: name, Err: os.ErrExist}
		case fs.full:
			return &os.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
		}
		fs.names[name] = f
		fs.step()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &opened{fs, f, name}, nil
}

func (fs *files) Delete(_, name string) error {
	return fs.do(func() error {
		if fs.names[name] == nil {
			return &os.PathError{Op: "remove", Path: name, Err: os.ErrNotExist}
		}
		delete(fs.names, name)
		fs.step()
		fs.known = maps.Clone(fs.names) // raft-wal syncs the directory
		fs.step()
		return nil
	})
}

func (fs *files) OpenReader(dir, name string) (types.ReadableFile, error) {
	return fs.OpenWriter(dir, name)
}

func (fs *files) OpenWriter(_, name string) (types.WritableFile, error) {
	var f *file
	err := fs.do(func() error {
		if f = fs.names[name]; f == nil {
			return &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &opened{fs, f, name}, nil
}

// opened is a file that is open.
type opened struct {
	fs   *files
	file *file
	name string
}

func (o *opened) Close() error { return nil }

func (o *opened) ReadAt(b []byte, at int64) (n int, err error) {
	err = o.fs.do(func() error {
		n = int(min(int64(len(b)), max(o.file.size-at, 0)))
		clear(b[:n])
		if at < int64(len(o.file.data)) {
			copy(b[:n], o.file.data[at:])
		}
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (o *opened) WriteAt(b []byte, at int64) (n int, err error) {
	err = o.fs.do(func() error {
		n = len(b)
		if o.fs.full {
			n = int(min(int64(n), max(o.file.size-at, 0)))
		}
		o.file.writeAt(b[:n], int(at))
		o.fs.step()
		if n < len(b) {
			return &os.PathError{Op: "write", Path: o.name, Err: syscall.ENOSPC}
		}
		return nil
	})
	return n, err
}

func (o *opened) Sync() error {
	return o.fs.do(func() error {
		o.file.synced()
		if o.fs.names[o.name] == o.file {
			o.fs.known = maps.Clone(o.fs.known)
			o.fs.known[o.name] = o.file
		}
		o.fs.step()
		return nil
	})
}
