package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// fleetTime is for how long the fleet fights, unless -fleet says otherwise.
const fleetTime = 5 * time.Second

const (
	fleetKey = "fleet:lock"
	fleetTTL = 20 * time.Second // longer than anybody keeps it
	// fleetOfKind is how many there are of each kind.
	fleetOfKind = 2
)

// judge sees who has the lock. Clients tell it while they have it, so two that are in at
// the same time are two holders.
type judge struct {
	mu     sync.Mutex
	inside string
	token  int64
	grants map[string]int
	faults []error
}

func (j *judge) enter(kind string, token int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.inside != "" {
		j.faults = append(j.faults, fmt.Errorf("%s has the lock while %s has it", kind, j.inside))
	}
	if token <= j.token {
		j.faults = append(j.faults, fmt.Errorf("%s has token %d, the one before was %d", kind, token, j.token))
	}
	j.inside, j.token = kind, token
	j.grants[kind]++
}

func (j *judge) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.inside = ""
}

// fleet is clients of all kinds that fight for one lock through all nodes: redis-py,
// redsync, SET NX with a script, and native ones.
type fleet struct {
	*report
	judge
	until time.Time
	lasts time.Duration
}

func mixedFleet(ctx context.Context, r *report) error {
	f := &fleet{report: r, lasts: r.fleet, until: time.Now().Add(r.fleet)}
	f.grants = map[string]int{}
	kinds := []struct {
		name string
		run  func(ctx context.Context, rdb *redis.Client, node string) error
	}{{"redis-py", f.redisPy}, {"redsync", f.redSync}, {"SET NX", f.setNX}, {"native", f.native}}
	err := together(len(kinds)*fleetOfKind, func(i int) error {
		kind, node := kinds[i%len(kinds)], r.nodes[i%len(r.nodes)]
		rdb := redis.NewClient(&redis.Options{Addr: node, MaxRetries: -1, ReadTimeout: time.Minute})
		defer rdb.Close()
		if err := kind.run(ctx, rdb, node); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		return nil
	})
	if err = errors.Join(append(f.faults, err)...); err != nil {
		return err
	}
	for _, k := range kinds {
		if f.grants[k.name] == 0 {
			return fmt.Errorf("%s has never got the lock", k.name)
		}
	}
	r.ok(fmt.Sprintf("one holder at a time, with growing tokens, for %v: %v", f.lasts, f.grants))
	return nil
}

func (f *fleet) over(ctx context.Context) bool {
	return ctx.Err() != nil || !time.Now().Before(f.until)
}

// hold is what a client does while it has the lock. Who does not know its token asks for it.
func (f *fleet) hold(ctx context.Context, kind string, rdb *redis.Client, token int64) error {
	if token == 0 {
		v, err := rdb.Do(ctx, "LOCK.INFO", fleetKey).Result()
		info, ok := v.(map[any]any)
		if err != nil || !ok {
			return fmt.Errorf("LOCK.INFO of a lock that is held: %v, %w", v, err)
		}
		holders, _ := info["holders"].([]any)
		if len(holders) != 1 {
			return fmt.Errorf("holders: %v", holders)
		}
		token, _ = holders[0].(map[any]any)["token"].(int64)
	}
	f.enter(kind, token)
	pauseAbout(ctx, time.Millisecond)
	f.leave()
	return nil
}

// pauseAbout waits for up to twice the time given.
func pauseAbout(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(2 * d)):
	}
}

func (f *fleet) redSync(ctx context.Context, rdb *redis.Client, _ string) error {
	m := redsync.New(goredis.NewPool(rdb)).NewMutex(fleetKey, redsync.WithExpiry(fleetTTL), redsync.WithTries(1))
	for ; !f.over(ctx); pauseAbout(ctx, 5*time.Millisecond) {
		var taken *redsync.ErrTaken
		switch err := m.LockContext(ctx); {
		case errors.As(err, &taken):
			continue
		case err != nil:
			return err
		}
		if err := f.hold(ctx, "redsync", rdb, 0); err != nil {
			return err
		}
		if ok, err := m.UnlockContext(ctx); !ok || err != nil {
			return fmt.Errorf("unlock: %v, %w", ok, err)
		}
	}
	return nil
}

// releaseScript deletes the lock if it is still its owner's.
const releaseScript = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`

func (f *fleet) setNX(ctx context.Context, rdb *redis.Client, _ string) error {
	owner := fmt.Sprint("plain-", rand.Uint64())
	for ; !f.over(ctx); pauseAbout(ctx, 5*time.Millisecond) {
		ok, err := rdb.SetNX(ctx, fleetKey, owner, fleetTTL).Result()
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		}
		if err := f.hold(ctx, "SET NX", rdb, 0); err != nil {
			return err
		}
		if n, err := rdb.Eval(ctx, releaseScript, []string{fleetKey}, owner).Int(); n != 1 || err != nil {
			return fmt.Errorf("release: %d, %w", n, err)
		}
	}
	return nil
}

func (f *fleet) native(ctx context.Context, rdb *redis.Client, _ string) error {
	owner := fmt.Sprint("native-", rand.Uint64())
	for ; !f.over(ctx); pauseAbout(ctx, 20*time.Millisecond) { // while it waits no other gets a turn
		v, err := rdb.Do(ctx, "LOCK.ACQUIRE", fleetKey, owner, fleetTTL.Milliseconds(), "WAIT", 1000).Int64Slice()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return err
		}
		if err := f.hold(ctx, "native", rdb, v[0]); err != nil {
			return err
		}
		if n, err := rdb.Do(ctx, "LOCK.RELEASE", fleetKey, v[0]).Int(); n != 0 || err != nil {
			return fmt.Errorf("release: %d, %w", n, err)
		}
	}
	return nil
}

// redisPy runs a process that says when it has the lock.
func (f *fleet) redisPy(ctx context.Context, _ *redis.Client, node string) error {
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", filepath.Join(f.programs, "python/fleet.py"), node, fleetKey, fmt.Sprint(time.Until(f.until).Seconds()))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = f.listen(in, out)
	return errors.Join(err, cmd.Wait())
}

func (f *fleet) listen(in io.WriteCloser, out io.Reader) error {
	defer in.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "enter":
			token, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return err
			}
			f.enter("redis-py", token)
		case "leave":
			f.leave()
		default:
			return fmt.Errorf("redis-py says %q", lines.Text())
		}
		if _, err := io.WriteString(in, "\n"); err != nil {
			return err
		}
	}
	return nil
}
