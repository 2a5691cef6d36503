package gossip_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"phonond/cluster/gossip"
)

func TestStartRefusesWhatCannotWork(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*gossip.Config)
		want  error
		text  string
	}{
		"no key off loopback":    {func(c *gossip.Config) { c.BindAddr = "0.0.0.0:0" }, gossip.ErrKeyRequired, "0.0.0.0"},
		"advertised elsewhere":   {func(c *gossip.Config) { c.AdvertiseAddr = "192.0.2.1:7946" }, gossip.ErrKeyRequired, "192.0.2.1"},
		"a key of 15 bytes":      {func(c *gossip.Config) { c.Keys = [][]byte{make([]byte, 32), make([]byte, 15)} }, gossip.ErrKey, "number 2 has 15"},
		"no id":                  {func(c *gossip.Config) { c.Self.ID = "" }, nil, "no id"},
		"an address too long":    {func(c *gossip.Config) { c.Self.RESPAddr = strings.Repeat("x", 600) + ":1" }, nil, "host:port"},
		"an address with no end": {func(c *gossip.Config) { c.Self.ClusterAddr = "host" }, nil, "host:port"},
		"no cluster name":        {func(c *gossip.Config) { c.ClusterName = "" }, nil, "cluster name"},
		"not an address to bind": {func(c *gossip.Config) { c.BindAddr, c.Keys = "7946", [][]byte{make([]byte, 16)} }, nil, "bind address"},
	} {
		cfg := gossip.Config{Self: self("a", "us", 1), ClusterName: "test", BindAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
		test.spoil(&cfg)
		g, err := gossip.Start(cfg)
		if err == nil {
			g.Stop()
		}
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyringOnLoopback(t *testing.T) {
	key, old, wrong := []byte("0123456789abcdef"), []byte("fedcba9876543210"), make([]byte, 32)
	startReal := func(id string, seeds []string, keys ...[]byte) (*gossip.Gossip, chan []gossip.Member) {
		t.Helper()
		told := make(chan []gossip.Member, 100)
		g, err := gossip.Start(gossip.Config{
			Self: self(id, "us", 1), ClusterName: "test", BindAddr: "127.0.0.1:0", Keys: keys,
			Seeds: func() []string { return seeds }, RejoinInterval: 100 * time.Millisecond,
			Log: slog.New(slog.DiscardHandler), OnChange: func(m []gossip.Member) { told <- m },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Stop() })
		return g, told
	}
	a, toldA := startReal("a", nil, old, key)
	b, toldB := startReal("b", []string{"localhost" + a.Addr()[strings.Index(a.Addr(), ":"):]}, key, old) // as in the middle of a change of keys
	for _, told := range []chan []gossip.Member{toldA, toldB} {
		deadline := time.After(20 * time.Second)
		for found := []string(nil); !slices.Equal(found, []string{"a/1", "b/1"}); {
			select {
			case members := <-told:
				found = alive(members)
			case <-deadline:
				t.Fatalf("a sees %v, b sees %v", alive(a.Members()), alive(b.Members()))
			}
		}
	}

	// One with the wrong key, and one without any, get an answer that they cannot
	// use, and are not heard.
	stranger, _ := startReal("c", []string{a.Addr(), b.Addr()}, wrong)
	plain, _ := startReal("d", []string{a.Addr(), b.Addr()})
	deadline := time.After(time.Second) // ten attempts
	for {
		select {
		case members := <-toldA:
			if len(members) != 2 {
				t.Fatalf("a learned of %v", alive(members))
			}
			continue
		case <-deadline:
		}
		break
	}
	for _, g := range []*gossip.Gossip{stranger, plain} {
		if members := g.Members(); len(members) != 1 {
			t.Errorf("a stranger learned of %v", alive(members))
		}
	}
}
