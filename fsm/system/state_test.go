package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// sample is a state with one of everything.
func sample() *State {
	return &State{
		Features: 1, Name: "prod", ID: strings.Repeat("ab", 16), Epoch: 3, Goal: "region",
		Regions: []Region{{"east", 1}, {"west", 2}}, Witnesses: []string{"north"},
		Nodes: []Node{
			{ID: "e1", Region: "east", Seat: "s1", Incarnation: 1, ClusterAddr: "127.0.0.1:1"},
			{ID: "w1", Region: "west", Seat: "s2"}, {ID: "n1", Region: "north"},
		},
		Slots: []Slots{{0, 8191, "east"}, {8192, 16383, "west"}}, Rules: []Rule{{"eu:", "west"}},
		Groups: []Group{
			{Name: "system", Home: "east", Voters: []string{"e1", "w1", "n1"}, Leaders: []string{"e1", "w1"}},
			{Name: "east", Home: "east", Voters: []string{"e1"}, Learners: []string{"w1"}, Leaders: []string{"e1"}},
		},
		Settings: map[string]string{"notify-keyspace-events": "AKE", "other": ""},
	}
}

func TestStateSurvivesItsText(t *testing.T) {
	text := sample().Encode()
	s, err := Decode(text)
	if err != nil || s.Encode() != text {
		t.Fatalf("%v: %s became %+v", err, text, s)
	}
}

func TestStatesThatContradictThemselvesAreRefused(t *testing.T) {
	for what, spoil := range map[string]func(*State){
		"a newer level":            func(s *State) { s.Features = Features + 1 },
		"no level":                 func(s *State) { s.Features = 0 },
		"a negative level":         func(s *State) { s.Features = -1 },
		"a short id":               func(s *State) { s.ID = "abcd" },
		"an id of other letters":   func(s *State) { s.ID = strings.Repeat("xy", 16) },
		"an epoch past the last":   func(s *State) { s.Epoch = 1 << 63 },
		"a region before time":     func(s *State) { s.Regions[0].Epoch = 0 },
		"a region past its last":   func(s *State) { s.Regions[0].Epoch = 1 << 16 },
		"no goal":                  func(s *State) { s.Goal = "" },
		"a region twice":           func(s *State) { s.Regions[1] = s.Regions[0] },
		"a region and witness":     func(s *State) { s.Witnesses[0] = "east" },
		"a region without a name":  func(s *State) { s.Witnesses[0] = "" },
		"a node twice":             func(s *State) { s.Nodes[1].ID = "e1" },
		"a node nowhere":           func(s *State) { s.Nodes[1].Region = "south" },
		"a group twice":            func(s *State) { s.Groups[1].Name = "system" },
		"a group from nowhere":     func(s *State) { s.Groups[1].Home = "north" },
		"a group without voters":   func(s *State) { s.Groups[1].Voters = nil },
		"a stranger as voter":      func(s *State) { s.Groups[0].Voters[2] = "x1" },
		"a voter that learns":      func(s *State) { s.Groups[1].Learners[0] = "e1" },
		"a leader that never is":   func(s *State) { s.Groups[1].Leaders[0] = "w1" },
		"no slots":                 func(s *State) { s.Slots = nil },
		"slots from the second":    func(s *State) { s.Slots[0].First = 1 },
		"slots with a gap":         func(s *State) { s.Slots[1].First++ },
		"slots of two regions":     func(s *State) { s.Slots[0].Last++ },
		"slots without the last":   func(s *State) { s.Slots[1].Last-- },
		"slots beyond the last":    func(s *State) { s.Slots[1].Last++ },
		"slots the wrong way":      func(s *State) { s.Slots[1].Last = 0 },
		"slots of a witness":       func(s *State) { s.Slots[1].Region = "north" },
		"a rule for no region":     func(s *State) { s.Rules[0].Region = "" },
		"a setting without name":   func(s *State) { s.Settings[""] = "x" },
		"a setting of a long name": func(s *State) { s.Settings[strings.Repeat("x", maxSettingName+1)] = "x" },
		"a setting too long":       func(s *State) { s.Settings["x"] = strings.Repeat("x", maxSettingValue+1) },
		"a rule for another place": func(s *State) { s.Rules[0].Region = "south" },
	} {
		s := sample()
		spoil(s)
		if got, err := Decode(s.Encode()); !errors.Is(err, ErrState) || got != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, text := range []string{"", "null", "[]", "{", `{"features":1e99}`, sample().Encode() + "x", strings.Repeat("[", 100000),
		strings.Replace(sample().Encode(), "16383", "65536", 1), strings.Replace(sample().Encode(), `"epoch":3`, `"epoch":-3`, 1)} {
		if _, err := Decode(text); !errors.Is(err, ErrState) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// group is a machine of the system group.
type group struct {
	t *testing.T
	m *fsm.Machine
	n uint64
}

func newGroup(t *testing.T) *group {
	g := &group{t: t}
	g.m = fsm.New(g.config())
	g.apply(fsm.Request{Kind: fsm.OpenOrigin, Origin: 1, Node: "n"})
	return g
}

var table = Commands()

func (g *group) config() fsm.Config {
	return fsm.Config{Group: "system", Table: table, OnPanic: func(name string, panicked any) { g.t.Errorf("%s panicked: %v", name, panicked) }}
}

func (g *group) apply(r fsm.Request) fsm.Outcome {
	g.t.Helper()
	out, err := g.m.Apply(g.m.Index()+1, 1, &fsm.Entry{Epoch: 1, Term: 1, Requests: []fsm.Request{r}})
	if err != nil {
		g.t.Fatal(err)
	}
	return out[0]
}

// do applies one command. No reply may be of two lines.
func (g *group) do(args ...string) resp.Value {
	g.t.Helper()
	g.n++
	c := command.Call{}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	v := g.apply(fsm.Request{Kind: fsm.Run, Origin: 1, Seq: g.n, Acked: g.n, Calls: []command.Call{c}}).Replies[0]
	if v.IsError() && strings.ContainsAny(v.Str, "\r\n") {
		g.t.Fatalf("%q: the error %q", args, v.Str)
	}
	return v
}

func (g *group) state() *State {
	g.t.Helper()
	s, err := Decode(g.do("SYS.STATE").Str)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func TestTheFirstStateStays(t *testing.T) {
	g := newGroup(t)
	if v := g.do("SYS.STATE"); v.Kind != resp.Nil {
		t.Fatalf("before the first: %v", v)
	}
	if v := g.do("SYS.NODE", `{"id":"e1"}`); !v.IsError() {
		t.Fatalf("a node before the first: %v", v)
	}
	first, other := sample(), sample()
	other.ID = strings.Repeat("cd", 16)
	later := sample()
	later.Epoch = 9
	for _, step := range []struct {
		s  *State
		ok bool
	}{{first, true}, {first, true}, {later, true}, {other, false}} {
		if v := g.do("SYS.INIT", step.s.Encode()); v.IsError() == step.ok {
			t.Fatalf("%s: %v", step.s.Encode(), v)
		}
		if got := g.state(); got.Encode() != first.Encode() {
			t.Fatalf("the state is %s", got.Encode())
		}
	}
}

func TestNewsOfNodes(t *testing.T) {
	for what, c := range map[string]struct {
		news string
		want string // the start of the reply
	}{
		"an address":         {`{"id":"e1","region":"east","seat":"s1","incarnation":2,"resp_addr":"a:1"}`, "OK"},
		"nothing new":        {`{"id":"w1","region":"west","seat":"s2"}`, "OK"},
		"an older start":     {`{"id":"e1","region":"east","seat":"s1"}`, "ERR node e1 has been started again"},
		"another directory":  {`{"id":"e1","region":"east","seat":"s9","incarnation":5}`, "ERR node e1 has its seat in region east"},
		"another region":     {`{"id":"e1","region":"west","seat":"s1","incarnation":5}`, "ERR node e1 has its seat in region east"},
		"a stranger":         {`{"id":"x\r\ny"}`, `ERR node "x\r\ny" has no seat`},
		"no node":            {`[1]`, "ERR not what a node says"},
		"a negative number":  {`{"id":"e1","incarnation":-1}`, "ERR not what a node says"},
		"a number too large": {`{"id":"e1","incarnation":18446744073709551616}`, "ERR not what a node says"},
	} {
		g := newGroup(t)
		g.do("SYS.INIT", sample().Encode())
		if v := g.do("SYS.NODE", c.news); !strings.HasPrefix(v.Str, c.want) {
			t.Errorf("%s: %q", what, v.Str)
		}
		wantEpoch := uint64(3)
		if what == "an address" {
			wantEpoch = 4
		}
		if got := g.state().Epoch; got != wantEpoch {
			t.Errorf("%s: epoch %d", what, got)
		}
	}
}

func TestSettings(t *testing.T) {
	g := newGroup(t)
	if v := g.do("SYS.SETTING", "a", "1"); !v.IsError() {
		t.Fatalf("before the first state: %v", v)
	}
	first := sample()
	first.Settings = nil
	g.do("SYS.INIT", first.Encode())
	for _, step := range []struct {
		name, value string
		epoch       int64
	}{{"a", "1", 4}, {"a", "1", 4}, {"a", "2", 5}, {"b", "", 6}, {"b", "", 6}, {"c\r\n", strings.Repeat("x", maxSettingValue), 7}} {
		if v := g.do("SYS.SETTING", step.name, step.value); v.Int != step.epoch {
			t.Errorf("%s=%.9s: %v, not %d", step.name, step.value, v, step.epoch)
		}
		if s := g.state(); s.Settings[step.name] != step.value || s.Epoch != uint64(step.epoch) {
			t.Errorf("%s=%.9s: the state is %+v", step.name, step.value, s)
		}
	}
	before := g.state().Encode()
	for name, value := range map[string]string{
		"": "x", strings.Repeat("x", maxSettingName+1): "x", "long": strings.Repeat("x", maxSettingValue+1), "\xff": "x", "bytes": "\xff",
	} {
		if v := g.do("SYS.SETTING", name, value); !v.IsError() {
			t.Errorf("%.9q=%.9q: %v", name, value, v)
		}
	}
	if after := g.state().Encode(); after != before {
		t.Errorf("what was refused changed\n%s\nto\n%s", before, after)
	}
	for i := range 2 * maxSettings {
		v := g.do("SYS.SETTING", fmt.Sprint(i), "x")
		if room := i+3 < maxSettings; v.IsError() == room {
			t.Fatalf("setting %d: %v", i+3, v)
		}
	}
}

// FuzzSystem: whatever is sent as a first state and as news of a node, nothing panics,
// what is refused leaves no trace, and what is taken is a state that fits together and
// that survives a snapshot.
func FuzzSystem(f *testing.F) {
	first := sample().Encode()
	node, err := json.Marshal(Node{ID: "e1", Region: "east", Seat: "s1", Incarnation: 9, RESPAddr: "127.0.0.1:6379"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first, string(node))
	f.Add(first, `{"id":"e1","id":"w1","region":"west","seat":"s2","incarnation":18446744073709551615}`)
	f.Add(strings.Replace(first, `"epoch":3`, `"epoch":3,"epoch":18446744073709551615,"EPOCH":1`, 1), `{"id":"\ud800"}`)
	f.Add(strings.Replace(first, `"epoch":3`, `"epoch":9223372036854775807`, 1), string(node)) // the last
	f.Add(strings.Replace(first, `"last":8191`, `"last":-1`, 1), "null")
	f.Fuzz(func(t *testing.T, first, news string) {
		g := newGroup(t)
		if v := g.do("SYS.INIT", first); v.IsError() {
			if g.do("SYS.STATE").Kind != resp.Nil || g.do("SYS.INIT", sample().Encode()).IsError() {
				t.Fatalf("%q was refused and is in the way", first)
			}
		}
		before := g.state()
		if v := g.do("SYS.INIT", before.Encode()); v.IsError() {
			t.Fatalf("%q is not taken a second time: %v", first, v)
		}
		refused := g.do("SYS.NODE", news).IsError()
		after := g.state()
		if after.Epoch < before.Epoch || after.Encode() != before.Encode() && (refused || after.Epoch != before.Epoch+1) {
			t.Fatalf("%q made\n%s\nof\n%s", news, after.Encode(), before.Encode())
		}
		var b bytes.Buffer
		if _, err := g.m.Snapshot().WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		m, err := fsm.Restore(g.config(), &b)
		if err != nil || m.Snapshot().Sum() != g.m.Snapshot().Sum() {
			t.Fatalf("restored with another sum: %v", err)
		}
	})
}
