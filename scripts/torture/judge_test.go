package main

import (
	"testing"
	"time"

	"phonond/cluster/history"
	"phonond/redisproto/resp"
)

// The reads at the end have to find a lock that is not given up in time, and
// everything has to be answered then.
func TestReadsAtTheEndAreJudged(t *testing.T) {
	w := &window{healed: 30 * time.Second}
	taken := history.Op{
		Args: []string{"SET", "l", "token", "NX", "PX", "1000"}, Reply: resp.Str("OK"),
		Call: w.healed - 20*time.Millisecond, Return: w.healed - 10*time.Millisecond,
	}
	at := w.healed + calmAfter
	for _, c := range []struct {
		name  string
		reply resp.Value
		good  bool
	}{
		{"it is free", resp.Null, true},
		{"it is still held", resp.Str("token"), false},
		{"no answer", resp.Err("CLUSTERDOWN no leader"), false},
	} {
		read := history.Op{Client: 1, Args: []string{"GET", "l"}, Reply: c.reply, Outcome: history.Classify(c.reply, nil), Call: at, Return: at + time.Millisecond}
		report := history.Check([]history.Op{taken, read}, w.checkOptions())
		if err := report.Err(); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
