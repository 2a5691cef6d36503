package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"phonond/cluster/placement"
)

func TestTag(t *testing.T) {
	for key, want := range map[string]string{
		// braces, as in Redis Cluster
		"{user1000}.following":    "user1000",
		"foo{{bar}}zap":           "{bar",
		"foo{bar}{zap}":           "bar",
		"foo{}{bar}":              "foo{}{bar}",
		"foo{bar":                 "foo{bar",
		"}{":                      "}{",
		"a}b{c}":                  "c",
		"":                        "",
		"phonon_{a}b.nodelist":    "a",
		"{a}b.lock":               "a",
		"phonon_{}User.1.reflist": "{}User.1",

		// phonon's keys of one resource
		"User.1":                       "User.1",
		"phonon_User.1.nodelist":       "User.1",
		"phonon_User.1.refcount":       "User.1",
		"phonon_User.1.times_modified": "User.1",
		"phonon_User.1.reflist":        "User.1",
		"User.1.lock":                  "User.1",

		// a resource whose name begins with phonon_
		"phonon_Update.user.2":                 "phonon_Update.user.2",
		"phonon_phonon_Update.user.2.nodelist": "phonon_Update.user.2",
		"phonon_Update.user.2.lock":            "phonon_Update.user.2",

		// one layer only
		"phonon_User.1.lock.nodelist": "User.1.lock",
		"User.1.lock.lock":            "User.1.lock",

		// not phonon's
		"User.1.nodelist":       "User.1.nodelist",
		"phonon_User.1":         "phonon_User.1",
		"phonon_User.nodelist2": "phonon_User.nodelist2",
		"lock":                  "lock",
		"phonon.nodelist":       "phonon.nodelist",

		// nothing left
		".lock":            ".lock",
		"phonon_.nodelist": "phonon_.nodelist",
		"phonon_.lock":     "phonon_",
	} {
		if got := string(Tag([]byte(key))); got != want {
			t.Errorf("Tag(%q) = %q, want %q", key, got, want)
		}
	}
}

// TestSlotIsRedisClusters holds answers of CLUSTER KEYSLOT of Redis 7.0.15.
func TestSlotIsRedisClusters(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x31C3 {
		t.Errorf("CRC16 of 123456789 is %#x, want 0x31c3", got)
	}
	for key, want := range map[string]uint16{
		"123456789":            12739,
		"foo":                  12182,
		"{user1000}.following": 3443,
		"{user1000}.followers": 3443,
		"foo{}{bar}":           8363,
		"foo{{bar}}zap":        4015,
		"foo{bar}{zap}":        5061,
		"{}":                   15257,
		"{":                    4092,
		"}{":                   12793,
		"a}b{c}":               7365,
		"":                     0,
		"foo{":                 7673,
		"x{}":                  2608,
		"User.123":             6243,
		"phonon_User.123":      10879,
	} {
		if got := Slot([]byte(key)); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	ranges := placement.Slots([]string{"east", "west", "eu"})
	ranges[0], ranges[2] = ranges[2], ranges[0]
	table, err := NewTable(7, ranges, []placement.Rule{
		{Prefix: "eu:", Region: "eu"},
		{Prefix: "eu:archive:", Region: "west"},
		{Prefix: "phonon_heartbeat", Region: "east"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"x{slot0}":                         table.Owner(Slot([]byte("slot0"))),
		"":                                 "east", // slot 0
		"foo":                              "eu",   // slot 12182 of 16384
		"{user1000}.following":             "east", // slot 3443
		"User.123":                         "west", // slot 6243
		"eu:User.1":                        "eu",
		"phonon_eu:User.1.nodelist":        "eu",
		"eu:User.1.lock":                   "eu",
		"eu:archive:1":                     "west", // the longest prefix
		"phonon_phonon_heartbeat.nodelist": "east",
		"phonon_heartbeat.lock":            "east",
		"{eu:1}foo":                        "eu",
		"eu:{user1000}":                    "east", // the tag decides
		"eu":                               table.Owner(Slot([]byte("eu"))),
	} {
		if got := table.Region([]byte(key)); got != want {
			t.Errorf("Region(%q) = %q, want %q", key, got, want)
		}
	}
	for slot, want := range map[uint16]string{0: "east", 5460: "east", 5461: "west", 10921: "west", 10922: "eu", 16383: "eu"} {
		if got := table.Owner(slot); got != want {
			t.Errorf("Owner(%d) = %q, want %q", slot, got, want)
		}
	}
	if table.Epoch() != 7 || len(table.Ranges()) != 3 || table.Rules()[0].Prefix != "phonon_heartbeat" {
		t.Errorf("epoch %d, ranges %v, rules %v", table.Epoch(), table.Ranges(), table.Rules())
	}
}

func TestTableIsImmutable(t *testing.T) {
	ranges := placement.Slots([]string{"east", "west"})
	rules := []placement.Rule{{Prefix: "eu:", Region: "west"}}
	table, err := NewTable(1, ranges, rules)
	if err != nil {
		t.Fatal(err)
	}
	ranges[0].Region, rules[0].Region = "moon", "moon"
	table.Ranges()[1].Region = "moon"
	table.Rules()[0].Region = "moon"
	for _, key := range []string{"", "foo", "eu:1"} {
		if table.Region([]byte(key)) == "moon" {
			t.Errorf("the owner of %q was changed from outside", key)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	whole := []placement.Range{{First: 0, Last: 16383, Region: "a"}}
	tests := []struct {
		name   string
		ranges []placement.Range
		rules  []placement.Rule
		says   string
	}{
		{"no slots", nil, nil, "end with slot -1"},
		{"a gap", []placement.Range{{First: 0, Last: 9, Region: "a"}, {First: 11, Last: 16383, Region: "b"}}, nil, "after slot 9 comes"},
		{"an overlap", []placement.Range{{First: 0, Last: 9, Region: "a"}, {First: 9, Last: 16383, Region: "b"}}, nil, "after slot 9 comes"},
		{"an end too early", []placement.Range{{First: 0, Last: 16382, Region: "a"}}, nil, "end with slot 16382"},
		{"an end too late", []placement.Range{{First: 0, Last: 16384, Region: "a"}}, nil, "end with slot 16384"},
		{"a range backwards", []placement.Range{{First: 0, Last: 9, Region: "a"}, {First: 10, Last: 3, Region: "b"}}, nil, "10-3"},
		{"slots of nobody", []placement.Range{{First: 0, Last: 16383}}, nil, "no region"},
		{"an empty prefix", whole, []placement.Rule{{Region: "a"}}, "lacks a prefix"},
		{"a rule to nowhere", whole, []placement.Rule{{Prefix: "x"}}, "lacks a prefix or a region"},
		{"two rules for a prefix", whole, []placement.Rule{{Prefix: "x", Region: "a"}, {Prefix: "x", Region: "b"}}, `two rules for "x"`},
		{"too many rules", whole, make([]placement.Rule, MaxRules+1), "at most 256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewTable(1, tt.ranges, tt.rules)
			if !errors.Is(err, ErrTable) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestRoutingAllocatesNothing(t *testing.T) {
	table, err := NewTable(1, placement.Slots([]string{"a", "b"}), []placement.Rule{{Prefix: "eu:", Region: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{[]byte("foo"), []byte("eu:1"), []byte("{x}y"), []byte("phonon_User.1.nodelist"), []byte("User.1.lock")}
	if n := testing.AllocsPerRun(100, func() {
		for _, key := range keys {
			table.Region(key)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzTag: keys that phonon derives from a resource go where the resource goes.
func FuzzTag(f *testing.F) {
	for _, s := range []string{"User.1", "phonon_x", "{a}b", "x.lock", "a{", "", "}{", "{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, resource string) {
		if resource == "" {
			return
		}
		// A payload key that looks like a companion of another resource belongs to
		// that one, so its own companions are compared with each other only.
		want := Slot([]byte(fmt.Sprintf("phonon_%s.nodelist", resource)))
		for _, shape := range []string{"phonon_%s.refcount", "phonon_%s.times_modified", "phonon_%s.reflist", "%s.lock"} {
			if key := fmt.Sprintf(shape, resource); Slot([]byte(key)) != want {
				t.Errorf("%q is in slot %d, the node list in %d", key, Slot([]byte(key)), want)
			}
		}
	})
}

func BenchmarkRegion(b *testing.B) {
	table, err := NewTable(1, placement.Slots([]string{"a", "b", "c"}), nil)
	if err != nil {
		b.Fatal(err)
	}
	key := []byte("phonon_User.123456.times_modified")
	for b.Loop() {
		table.Region(key)
	}
}
