package main

import (
	"bytes"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phonond/client/clienttest"
)

var update = flag.Bool("update", false, "rewrite testdata")

type m = clienttest.Map
type l = []any

// cluster is what the fake node answers.
var cluster = map[string]any{
	"PHONON.MEMBERS": l{
		m{"id", "use1-a", "region", "us-east-1", "status", "alive", "cluster_addr", "10.0.0.1:7379", "resp_addr", "10.0.0.1:6379",
			"gossip_addr", "10.0.0.1:7946", "version", "1.0.0", "incarnation", 3, "self", true},
		m{"id", "usw1-a", "region", "us-west-1", "status", "dead", "cluster_addr", "10.1.0.1:7379", "resp_addr", "10.1.0.1:6379",
			"gossip_addr", "", "version", "\x1b[2Jevil\t", "incarnation", 1, "self", false},
	},
	"PHONON.REGIONS": l{
		m{"name", "us-east-1", "goal", "node", "epoch", 1, "slots", "0-8191", "leader", "use1-a", "nodes", 2},
		m{"name", "us-west-1", "goal", "node", "epoch", 2, "slots", "8192-16383", "leader", "", "nodes", 2},
	},
	"PHONON.GROUPS": l{
		m{"group", "system", "epoch", 1, "leader", "use1-a", "leader_region", "us-east-1", "home_region", "us-east-1", "term", 4, "replicas", l{
			m{"node", "use1-a", "region", "us-east-1", "suffrage", "voter", "state", "leader", "last_log", 90, "applied", 90, "lag", 0, "last_contact_ms", 0},
			m{"node", "usw1-a", "region", "us-west-1", "suffrage", "learner", "state", "follower", "last_log", 88, "applied", 88, "lag", 2, "last_contact_ms", 71},
			m{"node", "usw1-b", "region", "us-west-1", "suffrage", "voter", "state", "unreachable", "last_log", 0, "applied", 0, "lag", -1, "last_contact_ms", -1},
		}},
		m{"group", "us-west-1", "epoch", 1, "leader", "", "leader_region", "", "home_region", "us-west-1", "term", 9},
	},
	"PHONON.STATUS": m{"node", "use1-a", "region", "us-east-1", "cluster", "prod", "cluster_id", "0b5c", "version", "1.0.0", "goal", "node",
		"uptime_seconds", 3661, "regions", 2, "nodes", 4, "groups", 3, "healthy", true, "warnings", l{"region us-west-1 has no leader"}},
	"PHONON.DIGEST": l{
		m{"group", "system", "node", "use1-a", "index", 90, "digest", "00000000000000ff"},
		m{"group", "system", "node", "usw1-a", "index", 88, "digest", "1111111111111111"},
		m{"group", "us-east-1", "node", "use1-a", "index", 90, "digest", "2222222222222222"},
		m{"group", "us-east-1", "node", "usw1-a", "index", 90, "digest", "2222222222222222"},
	},
	"PHONON.DIGEST us-west-1": l{
		m{"group", "us-west-1", "node", "use1-a", "index", 7, "digest", "00000000000000ff"},
		m{"group", "us-west-1", "node", "usw1-a", "index", 7, "digest", "1111111111111111"},
		m{"group", "us-west-1", "node", "usw1-b", "index", 7, "digest", "1111111111111111"},
	},
	"PHONON.DIGEST empty":                     l{},
	"PHONON.TRANSFER-LEADER system":           clienttest.Status("OK"),
	"PHONON.TRANSFER-LEADER system usw1-a":    clienttest.Status("OK"),
	"PHONON.TRANSFER-LEADER system learner":   clienttest.Error("ERR learner is no voter of system"),
	"PHONON.TRANSFER-LEADER us-west-1":        clienttest.Error("CLUSTERDOWN no leader for region us-west-1"),
	"PHONON.TRANSFER-LEADER us-west-1 usw1-b": clienttest.Error("TIMEOUT outcome unknown"),
}

func run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Run(args, &out, &err)
	return code, out.String(), err.String()
}

// TestOutput compares every command's output, as a table and as JSON, in both
// versions of the protocol, with testdata; -update rewrites it.
func TestOutput(t *testing.T) {
	nodes := []*clienttest.Node{clienttest.Start(t, cluster), clienttest.Start(t, cluster, clienttest.RESP2())}
	for name, args := range map[string]string{
		"members": "members", "regions": "regions", "groups": "groups", "status": "status", "digest": "digest",
		"digest-empty": "digest empty", "transfer-leader": "transfer-leader system", "transfer-leader-to": "transfer-leader system usw1-a",
	} {
		for _, format := range []string{"table", "json"} {
			for _, node := range nodes {
				code, stdout, stderr := run(append([]string{"--addr", node.Addr, "-o", format}, strings.Fields(args)...)...)
				if code != exitOK || stderr != "" {
					t.Errorf("%s: exit code %d, %s", args, code, stderr)
				}
				golden(t, name+"."+format, stdout)
			}
		}
	}
	_, stdout, _ := run("help")
	golden(t, "help.txt", stdout)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestDigestsThatDifferFail(t *testing.T) {
	node := clienttest.Start(t, cluster)
	for _, format := range []string{"table", "json"} {
		code, stdout, stderr := run("--addr", node.Addr, "digest", "us-west-1", "-o", format)
		if code != exitFailed || !strings.Contains(stdout, "usw1-b") ||
			!strings.Contains(stderr, "replicas differ: group us-west-1 at index 7: use1-a has 00000000000000ff, usw1-a has 1111111111111111") {
			t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
		}
	}
}

func TestAnUnhealthyClusterFails(t *testing.T) {
	node := clienttest.Start(t, map[string]any{"PHONON.STATUS": m{"node", "a", "healthy", false}})
	code, stdout, stderr := run("--addr", node.Addr, "status")
	if code != exitFailed || !strings.Contains(stdout, "healthy") || !strings.Contains(stderr, "status: the cluster is not healthy") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	node := clienttest.Start(t, cluster).Addr
	locked := clienttest.Start(t, cluster, clienttest.Password("secret")).Addr
	redis := clienttest.Start(t, map[string]any{}).Addr
	noAdmin := clienttest.Start(t, map[string]any{"PHONON.STATUS": clienttest.Error("NOPERM User app has no permissions")}).Addr
	for _, tt := range []struct {
		args         string
		says, advice string
	}{
		{"--addr " + nobody + " status", "no node answered: " + nobody + ": dial tcp", "--addr HOST:PORT,HOST:PORT"},
		{"--addr " + locked + " status", "NOAUTH Authentication required.", "PHONONCTL_PASSWORD"},
		{"--addr " + locked + " --password guess status", "WRONGPASS", "PHONONCTL_PASSWORD"},
		{"--addr " + redis + " status", "ERR unknown command", "is no phonond"},
		{"--addr " + noAdmin + " status", "NOPERM", "--user"},
		{"--addr " + node + " transfer-leader system learner", "transfer-leader: ERR learner is no voter of system", ""},
		{"--addr " + node + " transfer-leader us-west-1", "not applied: CLUSTERDOWN no leader", "Nothing was done: try again."},
		{"--addr " + node + " transfer-leader us-west-1 usw1-b", "outcome unknown: TIMEOUT", "look at \"phononctl groups\""},
	} {
		code, stdout, stderr := run(strings.Fields(tt.args)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, tt.says) || !strings.Contains(stderr, tt.advice) {
			t.Errorf("%s: exit code %d\n%s\n%s", tt.args, code, stdout, stderr)
		}
	}
	// The next address is tried, and a password may come from the environment.
	t.Setenv("PHONONCTL_PASSWORD", "secret")
	if code, _, stderr := run("--addr", nobody+","+locked, "status"); code != exitOK {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	for args, says := range map[string]string{
		"":                              "Usage: phononctl [flags] COMMAND",
		"unlock":                        `there is no command "unlock"`,
		"members a":                     "usage: phononctl members",
		"digest a b":                    "usage: phononctl digest [GROUP]",
		"transfer-leader":               "usage: phononctl transfer-leader GROUP [NODE]",
		"transfer-leader a b c":         "usage: phononctl transfer-leader GROUP [NODE]",
		"-o yaml members":               "-o yaml: the output is table or json",
		"members --colour":              "flag provided but not defined: -colour",
		"--addr localhost members":      `the address "localhost" is not host:port`,
		"--timeout 0s members":          "--timeout must be more than 0",
		"--cacert /nowhere members":     "--cacert: open /nowhere",
		"--cacert main_test.go members": "main_test.go holds no certificate",
		"--cert a members":              "--cert, --key: open a",
	} {
		code, stdout, stderr := run(strings.Fields(args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d\n%s\n%s", args, code, stdout, stderr)
		}
	}
	for _, args := range []string{"help", "--help", "-h", "members --help"} {
		if code, stdout, stderr := run(strings.Fields(args)...); code != exitOK || stderr != "" || !strings.Contains(stdout, "transfer-leader GROUP [NODE]") {
			t.Errorf("%s: exit code %d\n%s\n%s", args, code, stdout, stderr)
		}
	}
}

func TestVersionNeedsNoNode(t *testing.T) {
	code, stdout, stderr := run("version", "-o", "json", "--addr", "127.0.0.1:1")
	if code != exitOK || stderr != "" || !strings.Contains(stdout, `"go": "go1.`) {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}
