package client

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"phonond/client/clienttest"
)

type m = clienttest.Map
type l = []any

var views = map[string]any{
	"PHONON.MEMBERS": l{
		m{"id", "a1", "region", "a", "status", "alive", "cluster_addr", "h1:7379", "resp_addr", "h1:6379", "gossip_addr", "h1:7946",
			"version", "1.0", "incarnation", 3, "self", true, "shoe_size", 43},
		m{"id", "b1", "region", "b", "status", "dead", "self", false},
	},
	"PHONON.REGIONS": l{m{"name", "a", "goal", "node", "epoch", 2, "slots", "0-8191", "leader", "a1", "nodes", "2"}},
	"PHONON.GROUPS": l{m{"group", "a", "epoch", 1, "leader", "a1", "leader_region", "a", "home_region", "a", "term", 7, "replicas", l{
		m{"node", "a1", "region", "a", "suffrage", "voter", "state", "leader", "last_log", 90, "applied", 90, "lag", 0, "last_contact_ms", 0},
		m{"node", "b1", "region", "b", "suffrage", "learner", "state", "unreachable", "lag", -1, "last_contact_ms", -1},
	}}},
	"PHONON.STATUS": m{"node", "a1", "region", "a", "cluster", "prod", "cluster_id", "c-1", "version", "1.0", "goal", "node",
		"uptime_seconds", 61, "regions", 2, "nodes", 4, "groups", 3, "healthy", true, "warnings", l{"one", "two"}},
	"PHONON.DIGEST":                  l{m{"group", "a", "node", "a1", "index", 90, "digest", "00000000000000ff"}, m{"group", "b"}},
	"PHONON.DIGEST a":                l{m{"group", "a", "node", "a1", "index", 90, "digest", "00000000000000ff"}},
	"PHONON.TRANSFER-LEADER a":       clienttest.Status("OK"),
	"PHONON.TRANSFER-LEADER a b1":    clienttest.Status("OK"),
	"PHONON.TRANSFER-LEADER nosuch":  clienttest.Error("ERR no such group"),
	"PHONON.TRANSFER-LEADER a stuck": clienttest.Error("TRYAGAIN a transfer is under way"),
}

// TestViews reads every view in both protocols.
func TestViews(t *testing.T) {
	for name, options := range map[string][]clienttest.Option{"RESP3": nil, "RESP2": {clienttest.RESP2()}} {
		t.Run(name, func(t *testing.T) {
			node := clienttest.Start(t, views, options...)
			admin := open(t, Config{Addrs: []string{node.Addr}}).Admin()
			ctx := t.Context()

			members, err := admin.Members(ctx)
			check(t, err, members, []Member{
				{"a1", "a", "alive", "h1:7379", "h1:6379", "h1:7946", "1.0", 3, true},
				{ID: "b1", Region: "b", Status: "dead"},
			})
			regions, err := admin.Regions(ctx)
			check(t, err, regions, []Region{{"a", "node", 2, "0-8191", "a1", 2}})
			groups, err := admin.Groups(ctx)
			check(t, err, groups, []Group{{"a", 1, "a1", "a", "a", 7, []Replica{
				{"a1", "a", "voter", "leader", 90, 90, 0, 0},
				{Node: "b1", Region: "b", Suffrage: "learner", State: "unreachable", Lag: -1, LastContact: -1},
			}}})
			status, err := admin.Status(ctx)
			check(t, err, status, Status{"a1", "a", "prod", "c-1", "1.0", "node", 61, 2, 4, 3, true, []string{"one", "two"}})
			digests, err := admin.Digest(ctx, "a")
			check(t, err, digests, []Digest{{"a", "a1", 90, "00000000000000ff"}})
			if digests, err = admin.Digest(ctx, ""); err != nil || len(digests) != 2 {
				t.Errorf("all digests: %v, %v", digests, err)
			}
			if err := errors.Join(admin.TransferLeader(ctx, "a", ""), admin.TransferLeader(ctx, "a", "b1")); err != nil {
				t.Error(err)
			}
			if err := admin.TransferLeader(ctx, "nosuch", ""); err == nil || err.Error() != "ERR no such group" {
				t.Errorf("got %v", err)
			}
			if err := admin.TransferLeader(ctx, "a", "stuck"); !errors.Is(err, ErrNotApplied) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func check(t *testing.T, err error, got, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestStatusMayBeAListOfOne(t *testing.T) {
	for _, options := range [][]clienttest.Option{nil, {clienttest.RESP2()}} {
		node := clienttest.Start(t, map[string]any{"PHONON.STATUS": l{m{"node", "a1", "healthy", true}}}, options...)
		status, err := open(t, Config{Addrs: []string{node.Addr}}).Admin().Status(t.Context())
		check(t, err, status, Status{Node: "a1", Healthy: true, Warnings: []string{}})
	}
}

func TestRepliesOfAnotherShape(t *testing.T) {
	for says, reply := range map[string]any{
		"string instead of an array":              "PONG",
		"string instead of a mapping":             l{"id", "a1"},
		"3 elements are no pairs":                 l{l{"id", "a1", "region"}},
		"int64 for the name of a field":           l{l{1, "a1"}},
		"incarnation: client: unexpected reply":   l{m{"incarnation", "three"}},
		`"maybe" is no bool`:                      l{m{"self", "maybe"}},
		"id: client: unexpected reply: []interfa": l{m{"id", l{"a"}}},
	} {
		node := clienttest.Start(t, map[string]any{"PHONON.MEMBERS": reply})
		_, err := open(t, Config{Addrs: []string{node.Addr}}).Admin().Members(t.Context())
		if err == nil || !errors.Is(err, errReply) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: got %v, want it to say %q", reply, err, says)
		}
	}
}

func TestAViewIsAskedForAgainWhenTheAnswerWasLost(t *testing.T) {
	node := clienttest.Start(t, views, clienttest.Drop("PHONON.REGIONS", 1), clienttest.Drop("PHONON.TRANSFER-LEADER", 1))
	admin := open(t, Config{Addrs: []string{node.Addr}}).Admin()
	if regions, err := admin.Regions(t.Context()); err != nil || len(regions) != 1 {
		t.Errorf("got %v, %v", regions, err)
	}
	if err := admin.TransferLeader(t.Context(), "a", ""); !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("an action whose answer was lost: %v", err)
	}
	if got := strings.Join(node.Received(), ", "); got != "PHONON.REGIONS, PHONON.REGIONS, PHONON.TRANSFER-LEADER a" {
		t.Errorf("sent: %s", got)
	}
}
