//go:build unix

// Command worker is phonon's purpose in one file: processes on many machines consume a
// stream of events, each gathers what it sees of a user, and the totals are written once,
// whatever process dies at whatever moment.
//
// The stream is a file of lines "user amount", of which this process takes each --parts-th.
// The totals are files in a directory, one a user, with the number of the generation that was
// written last.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"phonond/client"
)

// amounts are what is known of a user: for each part of the stream the sums of its batches.
// A batch that is read again, after its reader has died, has the same number and sum.
type amounts map[string]map[int]int64

// merge leaves both as they are.
func merge(before, from amounts) amounts {
	all := amounts{}
	for _, one := range []amounts{before, from} {
		for part, batches := range one {
			if all[part] == nil {
				all[part] = map[int]int64{}
			}
			maps.Copy(all[part], batches)
		}
	}
	return all
}

// total is the file of a user.
type total struct {
	Amount     int64
	Generation uint64         // the last that was written
	Batches    map[string]int // the last of each part
}

// write adds what a completion brings to the user's file, once: not if its generation is
// there, and not the batches that are.
func write(dir, user string, done client.Completion, record amounts) error {
	// Who has lost his session may still be here: only one at a time looks and writes.
	guard, err := os.OpenFile(filepath.Join(dir, user+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer guard.Close()
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	path := filepath.Join(dir, user+".json")
	t := total{Batches: map[string]int{}}
	switch text, err := os.ReadFile(path); {
	case err == nil:
		if err := json.Unmarshal(text, &t); err != nil {
			return err
		}
	case !os.IsNotExist(err):
		return err
	}
	if done.Generation <= t.Generation {
		return nil
	}
	t.Generation = done.Generation
	for part, batches := range record {
		last := t.Batches[part]
		for batch, amount := range batches {
			if batch > last {
				t.Amount += amount
				t.Batches[part] = max(t.Batches[part], batch)
			}
		}
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// worker reads one part of the stream.
type worker struct {
	c           *client.Client
	cache       *client.Cache[amounts]
	part, parts int
	batch       int // lines
	every       int // batches between two notes of how far it has come
}

// position is the key with the last batch that is merged with those of all others.
func (w *worker) position() string { return fmt.Sprintf("worker:%d/%d", w.part, w.parts) }

// run reads the stream from where this part was left.
func (w *worker) run(ctx context.Context, input string) error {
	done, err := w.c.Redis().Get(ctx, w.position()).Int()
	if err != nil && !client.IsNil(err) {
		return err
	}
	f, err := os.Open(input)
	if err != nil {
		return err
	}
	defer f.Close()
	sums, lines, batch := map[string]int64{}, 0, 1
	flush := func() error {
		if batch > done {
			for user, sum := range sums {
				if err := w.cache.Set(ctx, user, amounts{strconv.Itoa(w.part): {batch: sum}}); err != nil {
					return err
				}
			}
			if batch%w.every == 0 {
				if err := w.note(ctx, batch); err != nil {
					return err
				}
			}
		}
		clear(sums)
		lines = 0
		batch++
		return nil
	}
	scan := bufio.NewScanner(f)
	for n := 0; scan.Scan(); n++ {
		if n%w.parts != w.part {
			continue
		}
		user, text, _ := strings.Cut(scan.Text(), " ")
		amount, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		sums[user] += amount
		if lines++; lines == w.batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := scan.Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return w.note(ctx, batch-1)
}

// note merges all that this process has gathered, and then says so.
func (w *worker) note(ctx context.Context, batch int) error {
	if err := w.cache.ExpireAll(ctx); err != nil {
		return err
	}
	return w.c.Redis().Set(ctx, w.position(), batch, 0).Err()
}

// drain waits until nothing is left to be completed, of those who died neither.
func (w *worker) drain(ctx context.Context) error {
	for {
		keys, err := w.c.Redis().Keys(ctx, "phonon_*").Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func main() {
	log.SetFlags(0)
	addrs := flag.String("addrs", "127.0.0.1:6379", "`HOST:PORT[,HOST:PORT]` of nodes")
	input := flag.String("input", "", "`FILE` with lines \"user amount\"")
	out := flag.String("out", ".", "`DIRECTORY` for the totals")
	part := flag.Int("part", 0, "the part of the lines that this process takes, from 0")
	parts := flag.Int("parts", 1, "how many parts there are")
	ttl := flag.Duration("ttl", 5*time.Second, "after what silence this process is taken for dead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := work(ctx, strings.Split(*addrs, ","), *input, *out, *part, *parts, *ttl); err != nil {
		log.Fatal("worker: ", err)
	}
}

func work(ctx context.Context, addrs []string, input, out string, part, parts int, ttl time.Duration) error {
	c, err := client.New(client.Config{Addrs: addrs})
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := c.OpenProcess(ctx, client.ProcessOptions{TTL: ttl, Meta: fmt.Sprintf("worker %d of %d", part, parts)})
	if err != nil {
		return err
	}
	cache, err := client.NewCache(p, client.Update[amounts]{
		Merge: merge,
		Execute: func(_ context.Context, user string, done client.Completion, record amounts) error {
			return write(out, user, done, record)
		},
	}, client.CacheOptions{})
	if err != nil {
		return err
	}
	w := &worker{c: c, cache: cache, part: part, parts: parts, batch: 50, every: 4}
	if err := w.run(ctx, input); err != nil {
		return err
	}
	if err := cache.Close(ctx); err != nil {
		return err
	}
	if err := w.drain(ctx); err != nil {
		return err
	}
	return p.Close(ctx)
}
