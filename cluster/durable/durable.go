// Package durable keeps small files: whatever happens while one is replaced, a crash,
// a loss of power or a full disk, the old or the new one is there, whole.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// unfinished ends the name under which a file is written before it takes the place
// of the old one. There is one such name for each file, so that crashes leave one at
// most.
const unfinished = ".tmp"

// Read returns a file, and removes what a crash has left of a new one.
func Read(path string) ([]byte, error) {
	if err := os.Remove(path + unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// Replace makes data the content of a file, which only its owner may read. After an
// error the file is the old or the new one, and nothing else is left.
func Replace(path string, data []byte) error {
	temp := path + unfinished
	err := write(temp, data)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp) // the disk may be full, and the room is wanted
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func write(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// SyncDir sees to it that new names in a directory are still there after a loss of power.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
