package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

var (
	seeds    = flag.Int("seeds", 12, "how many seeds to run")
	first    = flag.Uint64("first", 1, "the first seed; the others follow")
	duration = flag.Duration("for", 0, "run seeds for so long instead of a number of them")
	again    = flag.Int("again", 1, "how often to run each seed")
	keep     = flag.Bool("keep-going", false, "go on after a violation")
	kinds    = flag.String("faults", "", "only these kinds of faults, separated by commas")
	store    = flag.String("store", "", "only this log store: bolt or wal")
	shape    = flag.String("shape", "", "only this shape of cluster, such as 2+2")
	inTurn   = flag.Bool("in-turn", false, "one seed after the other, so that the number of them says something")
	one      = flag.Bool("one", false, "run the first seed in this process and print what came of it: what TestSeeds runs")
	dir      = flag.String("dir", "", "with -one, where the disks are")
)

// resultMark begins the line by which a process tells its parent what it found.
const resultMark = "RESULT "

const (
	// seedTimeout bounds one run, which takes a second or two when nothing hangs.
	seedTimeout = 2 * time.Minute
	// quitTimeout is how long a process may then take to say where it is.
	quitTimeout = 10 * time.Second
)

// TestSeeds runs seeds, each in a process of its own: what one breaks, be it
// the process itself, says nothing of the next.
func TestSeeds(t *testing.T) {
	if *one {
		runOne(t)
		return
	}
	sweepDisks()
	start := time.Now()
	total := tally{faults: map[string]int{}}
	jobs := make(chan uint64)
	var workers sync.WaitGroup
	atOnce := runtime.GOMAXPROCS(0)
	if *inTurn {
		atOnce = 1
	}
	for range atOnce {
		workers.Go(func() {
			for seed := range jobs {
				total.add(runSeed(t.Context(), seed))
			}
		})
	}
	for n := 0; (*duration > 0 || n < *seeds) && (*duration == 0 || time.Since(start) < *duration) && (*keep || total.failed() == 0); n++ {
		for range *again {
			jobs <- *first + uint64(n)
		}
		if n%200 == 199 {
			fmt.Printf("%v: %s\n", time.Since(start).Round(time.Second), total.String())
		}
	}
	close(jobs)
	workers.Wait()
	fmt.Printf("%s\nwall time %v on %d processors\n", total.String(), time.Since(start).Round(time.Second), atOnce)
	for _, text := range total.violations {
		t.Error(text)
	}
	if total.runs == 0 {
		t.Error("nothing was run")
	}
}

// runOne runs the first seed here.
func runOne(t *testing.T) {
	var only []string
	if *kinds != "" {
		only = strings.Split(*kinds, ",")
	}
	line, err := json.Marshal(Run(t, Options{Seed: *first, Faults: only, Store: *store, Shape: *shape, Dir: *dir}))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s%s\n", resultMark, line)
}

// runSeed runs a seed in another process. One processor makes it more likely that
// a run of the same seed goes the same way.
func runSeed(ctx context.Context, seed uint64) (Result, string) {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	res := Result{Seed: seed}
	disks, err := os.MkdirTemp(memory(), diskDir)
	if err != nil {
		return res, err.Error()
	}
	defer os.RemoveAll(disks)
	cmd := exec.Command(os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=0", "-one", fmt.Sprint("-first=", seed),
		"-faults="+*kinds, "-store="+*store, "-shape="+*shape, "-dir="+disks)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	p, err := proctest.StartProcess(cmd)
	if err != nil {
		return res, err.Error()
	}
	if err := await(ctx, cmd, p); err != nil {
		return res, err.Error()
	}
	out := said.Bytes()
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), resultMark); ok {
			if err := json.Unmarshal([]byte(text), &res); err != nil {
				return res, err.Error()
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		return res, fmt.Sprintf("VIOLATION seed %d does not end in %v: something turns in circles, or waits for what never comes; %s", seed, seedTimeout, where(seed, out))
	case p.Code() != 0:
		return res, fmt.Sprintf("seed %d: %v; %s\n%s\n%s", seed, cmd.ProcessState, where(seed, out), res.String(), tail(out))
	case len(res.Violations) > 0:
		said := res.Log
		res.Log = ""
		return res, fmt.Sprintf("%s\n%s", res.String(), where(seed, []byte(said)))
	}
	return res, ""
}

// where keeps what a run has said, and says where that is and how to run it again.
func where(seed uint64, said []byte) string {
	log := filepath.Join(os.TempDir(), fmt.Sprintf("phonond-sim-%d.log", seed))
	if err := os.WriteFile(log, said, 0o600); err != nil {
		log = err.Error()
	}
	return fmt.Sprintf("what it said: %s; run it again with: %s", log, command(seed))
}

// await waits for the end of a process. One that is late has to say where it is.
func await(ctx context.Context, cmd *exec.Cmd, p *proctest.Process) error {
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
	}
	cmd.Process.Signal(syscall.SIGQUIT) // it may be gone
	select {
	case <-p.Done():
		return nil
	case <-time.After(quitTimeout):
		return p.Kill()
	}
}

// command is what runs a seed again, with all that was decided for it.
func command(seed uint64) string {
	c := fmt.Sprint("make sim SEED=", seed)
	if *kinds != "" {
		c += " FAULTS=" + *kinds
	}
	var only []string
	for _, f := range []struct{ name, value string }{{"-store", *store}, {"-shape", *shape}} {
		if f.value != "" {
			only = append(only, f.name+"="+f.value)
		}
	}
	if only != nil {
		c += " ONLY='" + strings.Join(only, " ") + "'"
	}
	return c
}

// diskDir is how the names of directories with disks begin.
const diskDir = "phonond-sim-"

// memory is a directory in memory where there is one: what the disks lose is
// simulated, and nothing is gained by waiting for a real one.
func memory() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return os.TempDir()
}

// sweepDisks removes what runs have left behind that were killed.
func sweepDisks() {
	left, err := filepath.Glob(filepath.Join(memory(), diskDir+"*"))
	if err != nil {
		return
	}
	for _, d := range left {
		if info, err := os.Stat(d); err == nil && info.IsDir() && time.Since(info.ModTime()) > 2*seedTimeout {
			os.RemoveAll(d)
		}
	}
}

// tail is the end of what a process said.
func tail(out []byte) []byte {
	const most = 30_000
	return out[max(0, len(out)-most):]
}

// tally adds up results.
type tally struct {
	mu         sync.Mutex
	runs       int
	virtual    time.Duration
	sum        Result
	worst      time.Duration
	faults     map[string]int
	violations []string
}

func (y *tally) add(r Result, violation string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.runs++
	y.virtual += r.Virtual
	y.sum.Operations += r.Operations
	y.sum.Unknown += r.Unknown
	y.sum.Refused += r.Refused
	y.sum.Elements += r.Elements
	y.sum.Swallowed += r.Swallowed
	y.worst = max(y.worst, r.Recovery)
	for name, n := range r.Faults {
		y.faults[name] += n
	}
	if violation != "" {
		y.violations = append(y.violations, violation)
		fmt.Println(violation)
	}
}

func (y *tally) failed() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.violations)
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %.1f hours of clusters' lives, %d operations checked (%d of unknown outcome, %d refused), %d elements (%d swallowed), whole again after %v at most, %d violations; faults:",
		y.runs, y.virtual.Hours(), y.sum.Operations, y.sum.Unknown, y.sum.Refused, y.sum.Elements, y.sum.Swallowed, y.worst.Round(10*time.Millisecond), len(y.violations))
	for _, name := range slices.Sorted(maps.Keys(y.faults)) {
		fmt.Fprintf(&b, " %s %d", name, y.faults[name])
	}
	return b.String()
}
