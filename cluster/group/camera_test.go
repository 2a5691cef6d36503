package group

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/types"
)

const (
	// testSegment makes segments change every few writes.
	testSegment = 4096
	// sector is what a disk writes whole or not at all.
	sector = 512
)

// reopen opens a storage with short segments. A camera sees all that is written to
// the segments and their list.
func reopen(kind, dir string, c *camera) (*Storage, error) {
	log := slog.New(slog.DiscardHandler)
	if kind == kindBolt {
		return OpenBolt(dir, log)
	}
	return openStorage(kindWAL, dir, log, func() (logStore, error) {
		conf := WALConfig{Dir: filepath.Join(dir, walDir), Log: log, SegmentBytes: testSegment}
		if c != nil {
			conf.Files, conf.Meta = cameraFiles{walfs.New(), c}, cameraMeta{&metadb.BoltMetaDB{}, c}
		}
		if err := os.MkdirAll(conf.Dir, 0o700); err != nil {
			return nil, err
		}
		if err := checkMeta(votesOf(kindWAL, dir)); err != nil {
			return nil, err
		}
		return NewWAL(conf)
	})
}

// camera keeps what the directory of a WAL holds before and after every write, and
// with a part of the write. The library writes on two goroutines.
type camera struct {
	t    *testing.T
	dir  string
	out  string // where the pictures are
	tear func(n int) [][]int

	mu   sync.Mutex
	name string
	may  []contents
	all  []picture
}

// picture is a directory as a crash would have left it.
type picture struct {
	dir, when string
	may       []contents
}

func (c *camera) allow(name string, may ...contents) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name != "" {
		c.name = name
	}
	c.may = may
}

// take takes a picture, in which change may change something.
func (c *camera) take(when string, change func(dir string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := picture{filepath.Join(c.out, fmt.Sprint(len(c.all))), fmt.Sprintf("%s, %s", c.name, when), c.may}
	if err := os.CopyFS(p.dir, os.DirFS(c.dir)); err != nil {
		c.t.Error(err)
		return
	}
	if change != nil {
		change(filepath.Join(p.dir, walDir))
	}
	c.all = append(c.all, p)
}

type cameraFiles struct {
	types.VFS
	c *camera
}

func (f cameraFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f.c.take("before making "+name, nil)
	w, err := f.VFS.Create(dir, name, size)
	f.c.take("after making "+name, nil)
	f.c.take("half-way of making "+name, func(dir string) {
		if err := os.Truncate(filepath.Join(dir, name), sector); err != nil {
			f.c.t.Error(err)
		}
	})
	return cameraFile{w, name, f.c}, err
}

func (f cameraFiles) Delete(dir, name string) error {
	f.c.take("before removing "+name, nil)
	return f.VFS.Delete(dir, name)
}

func (f cameraFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	w, err := f.VFS.OpenWriter(dir, name)
	return cameraFile{w, name, f.c}, err
}

type cameraFile struct {
	types.WritableFile
	name string
	c    *camera
}

// WriteAt is what a crash tears: until the sync any of its sectors may be lost.
func (f cameraFile) WriteAt(b []byte, at int64) (int, error) {
	for _, part := range f.c.tear(len(b)) {
		f.c.take(fmt.Sprintf("with bytes %d of %d at %d of %s", part, len(b), at, f.name), func(dir string) {
			w, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY, 0)
			if err != nil {
				f.c.t.Error(err)
				return
			}
			defer w.Close()
			for i := 0; i < len(part); i += 2 {
				if _, err := w.WriteAt(b[part[i]:part[i+1]], at+int64(part[i])); err != nil {
					f.c.t.Error(err)
				}
			}
		})
	}
	n, err := f.WritableFile.WriteAt(b, at)
	f.c.take("after writing "+f.name, nil)
	return n, err
}

type cameraMeta struct {
	types.MetaStore
	c *camera
}

func (m cameraMeta) CommitState(s types.PersistentState) error {
	m.c.take("before listing segments", nil)
	err := m.MetaStore.CommitState(s)
	m.c.take("after listing segments", nil)
	return err
}

func (m cameraMeta) SetStable(key, value []byte) error {
	m.c.take("before setting "+string(key), nil)
	err := m.MetaStore.SetStable(key, value)
	m.c.take("after setting "+string(key), nil)
	return err
}
