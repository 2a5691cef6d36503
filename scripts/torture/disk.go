package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disk is a small file system that one node's data is on.
type disk struct {
	mount  string
	freeze bool // it can be frozen
}

// newTmpfs mounts a file system in memory.
func newTmpfs(mount string, size int64) (*disk, error) {
	if err := os.Mkdir(mount, 0o700); err != nil {
		return nil, err
	}
	return &disk{mount: mount}, command("", "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0700", size), "torture", mount)
}

// newImage mounts a file as a file system. Only such a one can be frozen.
func newImage(mount string, size int64) (*disk, error) {
	if err := os.Mkdir(mount, 0o700); err != nil {
		return nil, err
	}
	image := mount + ".img"
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	err = command("", "mkfs.ext4", "-q", "-m", "0", image)
	if err == nil {
		err = command("", "mount", "-o", "loop", image, mount)
	}
	return &disk{mount: mount, freeze: true}, err
}

// dataDir is where the node's data is: beside what fills the disk.
func (d *disk) dataDir() string { return filepath.Join(d.mount, "data") }

func (d *disk) filler() string { return filepath.Join(d.mount, "filler") }

// fill takes what space is left, to the last byte.
func (d *disk) fill() error {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return ignoreFull(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if err = ignoreFull(err); err != nil {
			return err
		}
	}
	return nil
}

func ignoreFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// empty gives the space back.
func (d *disk) empty() error {
	if err := os.Remove(d.filler()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// hang makes every write wait until it is thawed.
func (d *disk) hang() error { return command("", "fsfreeze", "-f", d.mount) }

// thaw lets writes go on. It is an error on a file system that is not frozen.
func thaw(mount string) error { return command("", "fsfreeze", "-u", mount) }

// close unmounts it. No process may use it.
func (d *disk) close() error { return command("", "umount", d.mount) }

// mountPoints lists what is mounted.
func mountPoints() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 {
			list = append(list, f[4])
		}
	}
	return list, nil
}
