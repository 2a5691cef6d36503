package main

import (
	"errors"
	"sync"
)

// together runs work for so many workers side by side, and returns what went
// wrong for any of them.
func together(workers int, work func(worker int) error) error {
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { errs[i] = work(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
