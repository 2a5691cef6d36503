package simdisk

import (
	"os"
	"syscall"
	"time"

	"phonond/cluster/group"
)

// change is one write.
type change struct {
	on   part                      // of the volume that it changes
	room float64                   // how likely it needs room that is not the store's yet
	do   func() error              //
	half func()                    // leaves what a failure leaves, instead of do; may be nil
	done func(*group.Storage) bool // whether it is in what was opened after a power loss
	tell func(Observer)            // that it was done
}

// write does one write, in whatever way the disk does them now.
func (d *Disk) write(h *handle, c change) error {
	if err := d.wait(h); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.gone() {
		return ErrGone
	}
	if d.armed > 0 {
		if d.armed--; d.armed == 0 {
			d.last(h.volume, c)
			return ErrGone
		}
	}
	err, tried := d.fault, d.fault == nil || d.rng.IntN(2) == 0
	if d.full && d.rng.Float64() < c.room {
		err, tried = &os.PathError{Op: "write", Path: h.volume.log.path(), Err: syscall.ENOSPC}, false
	}
	if !tried {
		if c.half != nil {
			c.half()
		}
		return err
	}
	if err := c.do(); err != nil {
		h.volume.unsure = append(h.volume.unsure, c)
		return err
	}
	c.tell(d.observer)
	return err
}

// wait returns when the disk comes to a write, or with ErrGone if it never does.
// No lock is held meanwhile.
func (d *Disk) wait(h *handle) error {
	for slow := true; ; {
		d.mu.Lock()
		stall, delay := d.stall, time.Duration(0)
		if slow && stall == nil && d.max > 0 {
			delay = d.min + time.Duration(d.rng.Int64N(int64(max(d.max-d.min, 0))+1))
		}
		d.mu.Unlock()
		switch {
		case stall != nil:
			select {
			case <-stall:
			case <-h.over:
				return ErrGone
			}
		case delay > 0:
			t := time.NewTimer(delay)
			select {
			case <-t.C:
				slow = false
			case <-h.over:
				t.Stop()
				return ErrGone
			}
		default:
			return nil
		}
	}
}

// last does a write while the power fails.
func (d *Disk) last(v *volume, c change) {
	when, then := d.when, d.then
	c.on.begin()
	err := c.do()
	d.crash(when)
	if when == Done && err == nil || when != Lost && v.has(c) {
		c.tell(d.observer)
	}
	if then != nil {
		d.calls.Go(then)
	}
}
