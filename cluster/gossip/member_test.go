package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
)

var sample = Member{ID: "node-1", Region: "us-east-1", ClusterAddr: "10.0.0.1:7379", RESPAddr: "[::1]:6379", Version: "1.2.3", Incarnation: 1<<40 + 5}

func TestMetaBytes(t *testing.T) {
	const want = "\x01\x01\x00\x00\x01\x00\x00\x00\x00\x05" + "\x06node-1" + "\x09us-east-1" + "\x0d10.0.0.1:7379" + "\x0a[::1]:6379" + "\x051.2.3"
	b, err := encodeMeta(sample, true)
	if string(b) != want || err != nil {
		t.Fatalf("%q, %v\nwant %q", b, err, want)
	}
	m, leaving, err := decodeMeta(b)
	if m != sample || !leaving || err != nil {
		t.Fatalf("%+v, %v, %v", m, leaving, err)
	}
}

func TestLargestMetaFits(t *testing.T) {
	name, addr := strings.Repeat("n", maxName), strings.Repeat("a", maxAddress-len(":65535"))+":65535"
	b, err := encodeMeta(Member{ID: name, Region: name, ClusterAddr: addr, RESPAddr: addr, Version: name}, true)
	if err != nil || len(b) > memberlist.MetaMaxSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
}

func TestMetaIsUntrusted(t *testing.T) {
	good, _ := encodeMeta(sample, false)
	for name, b := range map[string][]byte{
		"nothing":        nil,
		"cut short":      good[:len(good)-1],
		"too long":       append(bytes.Clone(good), 0),
		"huge":           make([]byte, 600),
		"another format": append([]byte{2}, good[1:]...),
		"unknown flag":   append([]byte{1, 2}, good[2:]...),
		"line in id":     bytes.Replace(good, []byte("node-1"), []byte("node\n1"), 1),
		"no port":        bytes.Replace(good, []byte(":7379"), []byte("-7379"), 1),
		"no id":          bytes.Replace(good, []byte("\x06node-1"), []byte("\x00"), 1),
	} {
		if m, _, err := decodeMeta(b); !errors.Is(err, errMember) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	node := &memberlist.Node{Name: "node-2@10000000005", Addr: net.IPv4(10, 0, 0, 1), Port: 7946, Meta: good}
	if err := newTable().NotifyAlive(node); !errors.Is(err, errMember) {
		t.Errorf("a node that calls itself two names: %v", err)
	}
	node.Name = "node-1@10000000005"
	if err := newTable().NotifyAlive(node); err != nil {
		t.Error(err)
	}
}

func TestMembersAreBounded(t *testing.T) {
	table := newTable()
	node := func(id string, incarnation uint64) *memberlist.Node {
		m := Member{ID: id, Region: "us", Incarnation: incarnation}
		meta, err := encodeMeta(m, false)
		if err != nil {
			t.Fatal(err)
		}
		return &memberlist.Node{Name: m.name(), Addr: net.IPv4(10, 0, 0, 1), Port: 7946, Meta: meta}
	}
	for i := range maxMembers {
		table.NotifyJoin(node(fmt.Sprintf("n%d", i), 1))
	}
	if n := len(table.members()); n != maxMembers {
		t.Fatalf("%d members", n)
	}
	if err := table.NotifyAlive(node("new", 1)); err == nil {
		t.Error("one too many was let in")
	}
	if err := table.NotifyAlive(node("n7", 2)); err != nil {
		t.Errorf("one who is known: %v", err)
	}
}

func TestLogLines(t *testing.T) {
	for line, want := range map[string]struct {
		level slog.Level
		text  string
	}{
		"[DEBUG] memberlist: Stream connection from=a\n":               {slog.LevelDebug, "gossip: Stream connection from=a"},
		"[INFO] memberlist: Suspect b":                                 {slog.LevelInfo, "gossip: Suspect b"},
		"[WARN] memberlist: odd":                                       {slog.LevelWarn, "gossip: odd"},
		"[ERR] memberlist: Failed":                                     {slog.LevelWarn, "gossip: Failed"},
		"[ERR] Failed to shutdown transport: x":                        {slog.LevelWarn, "gossip: Failed to shutdown transport: x"},
		"[WARN] memberlist: Got ping for unexpected node 'b@1' from=a": {slog.LevelDebug, "gossip: Got ping for unexpected node 'b@1' from=a"},
		"Err: no level":                                                {slog.LevelInfo, "gossip: Err: no level"},
	} {
		if level, text := judge(line); level != want.level || text != want.text {
			t.Errorf("%q: %v %q", line, level, text)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	good, _ := encodeMeta(sample, true)
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, leaving, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := encodeMeta(m, leaving)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q was read as %+v, which is %q, %v", b, m, again, err)
		}
	})
}
