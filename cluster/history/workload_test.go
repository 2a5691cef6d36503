package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"phonond/fsm"
	"phonond/redisproto/resp"
)

func newTestWorkload(o Options) *Workload { return NewWorkload(rand.New(rand.NewPCG(1, 2)), o) }

func TestScriptsHaveTheirSHA1(t *testing.T) {
	if shaOf(releaseText) != releaseSHA || shaOf(extendText) != extendSHA {
		t.Error("a script's text is not the one that servers know")
	}
}

// TestWorkCanBeJudged: every command of every kind has a model, and a value is
// written only once.
func TestWorkCanBeJudged(t *testing.T) {
	r := reader{fsm.DataCommands()}
	for _, kind := range Kinds() {
		c := newTestWorkload(Options{Kinds: []Kind{kind}}).Client(3)
		written := map[string]int{}
		for n := range 2000 {
			args := c.Next()
			op := Op{Args: args}
			p := &partition{ops: []*Op{&op}}
			if keys := r.keys(args); len(keys) == 0 || keys[0] != firstKey(args) || p.foreign(kind == Lock) != nil {
				t.Fatalf("%s: %v has the keys %v", kind, args, keys)
			}
			v := resp.OK
			if args[0] == "EVALSHA" {
				v = resp.Int(1)
			}
			c.Saw(args, v, nil)
			for _, a := range args[2:] {
				if at, ok := written[a]; ok && at != n && strings.HasPrefix(a, "c3-") && args[0] != "EVALSHA" {
					t.Fatalf("%s: %v writes what was written before", kind, args)
				}
				written[a] = n
			}
		}
	}
}

// TestKeysAreSharedByFew: each is used by clients of one crowd, and for a bounded
// number of operations.
func TestKeysAreSharedByFew(t *testing.T) {
	w := newTestWorkload(Options{Name: "t", Share: 3, KeyOps: 20, LongOps: 50})
	users, uses := map[string]map[int]bool{}, map[string]int{}
	var clients []*Client
	for n := range 7 {
		clients = append(clients, w.Client(n))
	}
	pipelines := 0
	for range 500 {
		for n, c := range clients {
			step := c.Step()
			if len(step) > 1 {
				pipelines++
			}
			if len(step) > maxPipeline {
				t.Fatalf("a pipeline of %d", len(step))
			}
			for _, args := range step {
				k := c.used[firstKey(args)].name
				if users[k] == nil {
					users[k] = map[int]bool{}
				}
				users[k][n/3] = true
				uses[k]++
			}
		}
	}
	for k, crowds := range users {
		if most := 80; len(crowds) != 1 || uses[k] > most || !strings.Contains(k, "t:") {
			t.Errorf("%s is used %d times by %d crowds", k, uses[k], len(crowds))
		}
	}
	if len(users) < 20 || pipelines < 250 {
		t.Errorf("%d keys, %d pipelines", len(users), pipelines)
	}
}

// TestKeyIsLeftWhenTooMuchIsUnknown: since that makes its history hard to judge.
func TestKeyIsLeftWhenTooMuchIsUnknown(t *testing.T) {
	for _, kind := range Kinds() {
		w := newTestWorkload(Options{Kinds: []Kind{kind}, MaxUnknown: 2, Pipeline: -1})
		c, uses := w.Client(0), map[string]int{}
		for range 500 {
			args := c.Step()[0]
			uses[c.used[firstKey(args)].name]++
			c.Saw(args, resp.Value{}, errors.New("broken"))
		}
		for k, n := range uses {
			if n > 2 {
				t.Errorf("%s was used %d times", k, n)
			}
		}
	}
}

// TestSameSeedSameWork: for one client; several meet at keys as they come.
func TestSameSeedSameWork(t *testing.T) {
	work := func() string {
		c := newTestWorkload(Options{}).Client(2)
		var steps []string
		for range 200 {
			steps = append(steps, fmt.Sprint(c.Step()))
		}
		return strings.Join(steps, "\n")
	}
	first := work()
	if again := work(); again != first {
		t.Error("it differs")
	}
}

// TestLockHolderUsesItsLock: it extends and releases with its own token, and sends
// a script's text when the script is not known.
func TestLockHolderUsesItsLock(t *testing.T) {
	c := newTestWorkload(Options{Kinds: []Kind{Lock}}).Client(0)
	var held []string
	did := map[lockAction]int{}
	text := 0
	for range 3000 {
		args := c.Next()
		call, _ := parseLock(args)
		did[call.action]++
		v := resp.Null
		switch call.action {
		case acquire:
			held, v = append(held, call.token), resp.OK
		case release, extend, replace:
			if !slices.Contains(held, call.token) {
				t.Fatalf("%v with a token of nobody", args)
			}
			v = resp.ErrNoScript
			if args[0] == "EVAL" {
				text++
				v = resp.Int(1)
			}
		}
		c.Saw(args, v, nil)
	}
	for a := acquire; a <= left; a++ {
		if did[a] < 50 {
			t.Errorf("action %d: %d times", a, did[a])
		}
	}
	if text < 50 {
		t.Errorf("the text was sent %d times", text)
	}
}
