// Package system is the state of the system group: what the cluster is made of.
// Which nodes and regions there are, which region owns which slots, where the
// groups' replicas belong. It is small and rarely written; every node has a
// replica and acts on that. The rows here are commands of package fsm that only
// nodes send; package cluster sends them.
package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Features is the level of formats and commands that this program can replicate.
// A cluster runs at the level stored in its state, which is raised only when all
// nodes can follow.
const Features = 1

// State is the whole of it.
type State struct {
	Features  int      `json:"features"`
	Name      string   `json:"name"`
	ID        string   `json:"id"` // 32 hex digits
	Epoch     uint64   `json:"epoch"`
	Goal      string   `json:"goal"`
	Regions   []Region `json:"regions"`
	Witnesses []string `json:"witnesses,omitempty"`
	Nodes     []Node   `json:"nodes"`
	Slots     []Slots  `json:"slots"`
	Rules     []Rule   `json:"rules,omitempty"`
	Groups    []Group  `json:"groups"`
	// Settings are those that all nodes share, by name.
	Settings map[string]string `json:"settings,omitempty"`
}

// Region is a region that owns keys.
type Region struct {
	Name  string `json:"name"`
	Epoch uint64 `json:"epoch"` // raised when the region's group is brought back elsewhere
}

// Node is one seat in the cluster.
type Node struct {
	ID     string `json:"id"`
	Region string `json:"region"`
	// Seat is a random mark that the node made with its data directory. A node
	// that comes with the same id and another mark has lost its votes.
	Seat string `json:"seat"`
	// Incarnation counts the node's starts; what it says with a higher one is newer.
	Incarnation uint64 `json:"incarnation"`
	ClusterAddr string `json:"cluster_addr"`
	RESPAddr    string `json:"resp_addr"`
	GossipAddr  string `json:"gossip_addr"`
	Version     string `json:"version"`
}

// Slots is a range of slots and the region that owns it.
type Slots struct {
	First  uint16 `json:"first"`
	Last   uint16 `json:"last"`
	Region string `json:"region"`
}

// Rule sends keys to a region by prefix.
type Rule struct {
	Prefix string `json:"prefix"`
	Region string `json:"region"`
}

// Group is where the replicas of a group belong.
type Group struct {
	Name     string   `json:"name"`
	Home     string   `json:"home"`
	Voters   []string `json:"voters"`
	Learners []string `json:"learners,omitempty"`
	Leaders  []string `json:"leaders"` // the voters that should lead, the best first
}

// Node returns the node with the given id, or nil.
func (s *State) Node(id string) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].ID == id {
			return &s.Nodes[i]
		}
	}
	return nil
}

// Group returns the group with the given name, or nil.
func (s *State) Group(name string) *Group {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}
	return nil
}

// Replicas returns the nodes of the group, voters first.
func (g *Group) Replicas() []string {
	return append(append([]string{}, g.Voters...), g.Learners...)
}

// ErrState is returned when bytes are not a state this program can act on.
var ErrState = errors.New("system: not a state this program knows")

// errNotState and errNotNode are the replies to arguments that cannot be read. They
// do not say why: replies are part of the digest, and the words of encoding/json are
// not those of the next version of Go.
var (
	errNotState = resp.Err("ERR " + ErrState.Error())
	errNotNode  = resp.Err("ERR not what a node says of itself")

	errNotSetting = resp.Err("ERR not a setting, or one too many")
)

// Decode reads a state and checks that its parts fit each other. The error wraps
// [ErrState].
func Decode(text string) (*State, error) {
	s := new(State)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrState, err)
	}
	if s.Features > Features {
		return nil, fmt.Errorf("%w: the cluster runs at feature level %d, this program knows %d: upgrade it", ErrState, s.Features, Features)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, nil
}

// Encode returns the state's text.
func (s *State) Encode() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // there is nothing in it that cannot be written
	}
	return string(text)
}

// key is where the state is kept.
const key = "state"

// Commands are the commands of the system group.
func Commands() *fsm.Table {
	return fsm.NewTable([]fsm.Command{
		{Spec: spec("sys.init", 2, command.Write), Write: initialize},
		{Spec: spec("sys.node", 2, command.Write), Write: putNode},
		{Spec: spec("sys.setting", 3, command.Write), Write: putSetting},
		{Spec: spec("sys.state", 1, command.ReadOnly), Read: readState},
	})
}

func spec(name string, arity int, flags command.Flags) command.Spec {
	return command.Spec{Name: name, Arity: arity, Flags: flags | command.Internal, Group: "system"}
}

// SYS.INIT state gives the cluster its first state. The state that is there
// already is kept, if it is the same cluster's.
func initialize(t *fsm.Tx, args [][]byte) resp.Value {
	s, err := Decode(string(args[1]))
	if err != nil {
		return errNotState
	}
	if text, ok := t.String(key); ok {
		if old, err := Decode(text); err != nil || old.ID != s.ID {
			return resp.Err("ERR this system group belongs to another cluster")
		}
		return resp.OK
	}
	t.PutString(key, s.Encode())
	return resp.OK
}

// SYS.NODE node takes note of what a node says of itself. Older news than what
// is known, and strangers, are refused.
func putNode(t *fsm.Tx, args [][]byte) resp.Value {
	var n Node
	if err := json.Unmarshal(args[1], &n); err != nil {
		return errNotNode
	}
	text, _ := t.String(key)
	s, err := Decode(text)
	if err != nil {
		return errNotState
	}
	old := s.Node(n.ID)
	switch {
	case old == nil:
		return resp.Err("ERR node " + strconv.Quote(n.ID) + " has no seat in this cluster")
	case old.Seat != n.Seat || old.Region != n.Region:
		return resp.Err("ERR node " + n.ID + " has its seat in region " + old.Region + ", with another data directory")
	case n.Incarnation < old.Incarnation:
		return resp.Err("ERR node " + n.ID + " has been started again since")
	case n == *old:
		return resp.OK
	}
	*old = n
	if s.Epoch++; s.validate() != nil {
		return errNotState
	}
	t.PutString(key, s.Encode())
	return resp.OK
}

// SYS.SETTING name value changes a setting of all nodes. It returns the epoch of a state
// that has it.
func putSetting(t *fsm.Tx, args [][]byte) resp.Value {
	text, _ := t.String(key)
	s, err := Decode(text)
	if err != nil {
		return errNotState
	}
	name, value := string(args[1]), string(args[2])
	if old, ok := s.Settings[name]; ok && old == value {
		return resp.Int64(int64(s.Epoch))
	}
	if s.Settings == nil {
		s.Settings = map[string]string{}
	}
	s.Settings[name] = value
	if s.Epoch++; s.validate() != nil {
		return errNotSetting
	}
	t.PutString(key, s.Encode())
	return resp.Int64(int64(s.Epoch))
}

// SYS.STATE returns the state, nil before the first.
func readState(v *fsm.View, _ [][]byte) resp.Value {
	if text, ok := v.String(key); ok {
		return resp.Str(text)
	}
	return resp.Null
}
