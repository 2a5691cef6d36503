package proctest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// marker is written into the log behind the last snapshot, so that a test finds
// an entry that is applied at the start.
const marker = "an-entry-to-be-damaged"

// What messages about damage say besides the file: all but the address book hold
// what must not be forgotten.
const (
	advice     = "leave the node off"
	bookAdvice = "remove it"
)

// refusal bounds how long a node takes to notice that it cannot run.
const refusal = 20 * time.Second

// damage is what befalls a file.
type damage struct {
	name string
	file string // pattern below the data directory; all that fit are damaged
	do   func([]byte) []byte
}

// someGroup is where the files of a group are.
const someGroup = "groups/us-east-1/"

// TestDamagedFilesStopTheNode damages one file of a node at a time. The node must
// end with a message that names the file and says what to do, and the others
// must go on; with the file as it was, the node must come back.
func TestDamagedFilesStopTheNode(t *testing.T) {
	stopsTheNode(t, "bolt", []damage{
		{"an identity that is not JSON", "node.json", overwrite(0, 16)},
		{"an identity cut off", "node.json", cut},
		{"a cluster file that is not JSON", "cluster.json", overwrite(0, 16)},
		{"a cluster file cut off", "cluster.json", cut},
		{"an empty cluster file", "cluster.json", empty},
		{"an address book cut off", "nodes.json", cut},
		{"a log without its head", someGroup + "raft.db", overwrite(0, 8192)},
		{"a log cut off", someGroup + "raft.db", cut},
		{"an empty log", someGroup + "raft.db", empty},
		{"a log of zeros", someGroup + "raft.db", zeros},
		{"a flipped byte in an entry", someGroup + "raft.db", flipMarker},
		{"a flipped byte in every snapshot", someGroup + "snapshots/*/state.bin", flipMiddle},
		{"snapshots cut off", someGroup + "snapshots/*/state.bin", cut},
	})
}

// TestDamagedSegmentsStopTheNode does the same to what is different with log_store:
// wal.
func TestDamagedSegmentsStopTheNode(t *testing.T) {
	stopsTheNode(t, "wal", []damage{
		{"a list without its head", someGroup + "wal/wal-meta.db", overwrite(0, 8192)},
		{"a list cut off", someGroup + "wal/wal-meta.db", cut},
		{"an empty list", someGroup + "wal/wal-meta.db", empty},
		{"a list of zeros", someGroup + "wal/wal-meta.db", zeros},
		{"a segment without its head", someGroup + "wal/*.wal", overwrite(0, 4096)},
		{"a segment cut off", someGroup + "wal/*.wal", func(b []byte) []byte { return b[:8192] }},
		{"an empty segment", someGroup + "wal/*.wal", empty},
		{"a flipped byte in an entry", someGroup + "wal/*.wal", flipMarker},
	})
}

func stopsTheNode(t *testing.T, store string, damages []damage) {
	t.Helper()
	c := start(t, "--snapshot-entries=64", "--log-store="+store)
	node, others := c.Node("us-east-1-2"), c.Nodes()[:1]
	fill(t, c, node)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			must(t, node.Kill())
			files, err := filepath.Glob(filepath.Join(node.DataDir, d.file))
			must(t, err)
			if len(files) == 0 {
				t.Fatalf("there is no %s", d.file)
			}
			restore := keep(t, node)
			defer func() {
				must(t, node.Kill())
				restore()
				must(t, node.Start())
				must(t, node.Ready(within(t, patience)))
				settled(t, c)
			}()
			for _, f := range files {
				b, err := os.ReadFile(f)
				must(t, err)
				damaged := d.do(bytes.Clone(b))
				if bytes.Equal(b, damaged) {
					t.Fatalf("%s: the damage changes nothing", f)
				}
				must(t, os.WriteFile(f, damaged, 0o600))
			}
			says := refuses(t, node)
			want := advice
			if d.file == "nodes.json" {
				want = bookAdvice
			}
			// A group's storage is named by its directory or by the file in it.
			named := filepath.Dir(d.file)
			if strings.HasPrefix(d.file, someGroup) {
				named = someGroup
			}
			if !strings.Contains(says, filepath.Join(node.DataDir, named)) || !strings.Contains(says, want) {
				t.Errorf("the message does not name %s, or not what to do:\n%s", d.file, says)
			}
			serves(t, others)
		})
	}
}

// TestLogWithOneHeadGoesOn overwrites one of the two pages with which a log file
// begins. They are written in turn, and a crash may leave one of them torn: the
// other counts.
func TestLogWithOneHeadGoesOn(t *testing.T) {
	c := start(t, "--log-store=bolt")
	node := c.Node("us-east-1-2")
	for _, from := range []int{0, os.Getpagesize()} {
		serves(t, c.Nodes())
		must(t, node.Kill())
		file := filepath.Join(node.DataDir, someGroup+"raft.db")
		b, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, overwrite(from, os.Getpagesize())(b), 0o600))
		must(t, node.Start())
		must(t, node.Ready(within(t, patience)))
		serves(t, c.Nodes())
		settled(t, c)
	}
}

// fill writes until the node has a snapshot, and an entry behind it.
func fill(t *testing.T, c *proctest.Cluster, node *proctest.Node) {
	t.Helper()
	conn := dial(t, c.Nodes()[0].RESP)
	key := keyOf(t, c, "us-east-1")
	for i := range 200 {
		do(t, conn, "SET", key, fmt.Sprint(i))
	}
	must(t, proctest.Until(within(t, patience), func() error {
		files, err := filepath.Glob(filepath.Join(node.DataDir, "groups/us-east-1/snapshots/*-*/state.bin"))
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("node %s has no snapshot", node.ID)
		}
		return err
	}))
	do(t, conn, "SET", key, marker)
	// What is damaged at the very end looks like a write that a crash has torn.
	for range 3 {
		do(t, conn, "INCR", key+":after")
	}
	settled(t, c)
}

// keyOf returns a key of the group: one after whose writing its index has grown.
func keyOf(t *testing.T, c *proctest.Cluster, group string) string {
	t.Helper()
	conn := dial(t, c.Nodes()[0].RESP)
	index := func() (n int64) {
		t.Helper()
		list, err := c.Settled(within(t, patience))
		must(t, err)
		for _, r := range list {
			if r.Group == group {
				n = r.Index
			}
		}
		return n
	}
	for i := range 32 {
		key := fmt.Sprintf("key%d", i)
		before := index()
		do(t, conn, "SET", key, "1")
		if index() > before {
			return key
		}
	}
	t.Fatalf("no key lives in group %s", group)
	return ""
}

// keep copies the node's data directory, and returns a function that brings the
// copy back.
func keep(t *testing.T, node *proctest.Node) (restore func()) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "data")
	must(t, os.CopyFS(copied, os.DirFS(node.DataDir)))
	return func() {
		t.Helper()
		must(t, os.RemoveAll(node.DataDir))
		must(t, os.CopyFS(node.DataDir, os.DirFS(copied)))
	}
}

// refuses starts a node that must end by itself with an exit code above 0, and
// returns what it says.
func refuses(t *testing.T, node *proctest.Node) string {
	t.Helper()
	before := len(node.Log())
	must(t, node.Start())
	code, err := node.Exit(within(t, refusal))
	if err != nil {
		t.Fatalf("%v\n%s", err, node.Log()[before:])
	}
	says := node.Log()[before:]
	if code <= 0 || strings.Contains(says, "goroutine ") {
		t.Errorf("exit code %d:\n%s", code, says)
	}
	return says
}

// serves checks that each node takes writes.
func serves(t *testing.T, nodes []*proctest.Node) {
	t.Helper()
	for _, n := range nodes {
		conn := dial(t, n.RESP)
		for i := range 16 {
			do(t, conn, "INCR", fmt.Sprintf("served:%d", i))
		}
		conn.Close()
	}
}

// The kinds of damage.

func overwrite(from, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		for i := from; i < min(from+n, len(b)); i++ {
			b[i] = 0xa5
		}
		return b
	}
}

func cut(b []byte) []byte   { return b[:len(b)/2] }
func empty([]byte) []byte   { return nil }
func zeros(b []byte) []byte { return make([]byte, len(b)) }

func flipMarker(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte(marker), []byte(strings.ToUpper(marker[:1])+marker[1:]))
}

func flipMiddle(b []byte) []byte {
	b[len(b)/2] ^= 0x20
	return b
}
