package main

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"
)

// muLocker is a contender that needs no server.
type muLocker struct{ mu *sync.Mutex }

func (l muLocker) lock(context.Context) error   { l.mu.Lock(); return nil }
func (l muLocker) unlock(context.Context) error { l.mu.Unlock(); return nil }
func (l muLocker) close()                       {}

func TestContend(t *testing.T) {
	var mu sync.Mutex
	c := contender{"mutex", func(context.Context, int, string) (locker, error) { return muLocker{&mu}, nil }}
	r, err := contend(context.Background(), c, 4, 200*time.Millisecond)
	if err != nil || r.acquisitions == 0 || r.perSecond > float64(time.Second/hold) || r.fairness < 1 || r.p99 < r.p50 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSummary(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	if r := summary(times); r.p50 != 51 || r.p99 != 100 {
		t.Errorf("%+v", r)
	}
	m := median([]result{{perSecond: 3, fairness: 1}, {perSecond: 1, fairness: 9}, {perSecond: 2, fairness: 2}})
	if m.perSecond != 2 || math.Abs(m.fairness-2) > 0 {
		t.Errorf("%+v", m)
	}
}
