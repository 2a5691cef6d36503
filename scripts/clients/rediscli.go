package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// redisCLI is what people and scripts do with redis-cli.
func redisCLI(ctx context.Context, r *report) error {
	return r.all(ctx, []check{
		{"commands from a pipe", r.piped},
		{"a session in a terminal", r.terminal},
		{"a subscriber in a terminal", r.subscriber},
		{"output formats", r.formats},
		{"--eval", r.eval},
		{"--pipe", r.massInsertion},
		{"--scan", r.scan},
		{"--bigkeys and --memkeys", r.bigKeys},
		{"--stat", r.stat},
		{"--latency", r.latency},
		{"MONITOR", r.monitor},
	})
}

func (r *report) piped(ctx context.Context) error {
	out, err := r.cli(ctx, `SET greeting "hello\tyou"
GET greeting
GET none
MULTI
INCR n
INCRBY n 41
EXEC
LPUSH n x
NOSUCH x
SELECT 1
GET greeting
`)
	if err != nil {
		return err
	}
	want := `OK
hello	you

OK
QUEUED
QUEUED
1
42
WRONGTYPE Operation against a key holding the wrong kind of value

ERR unknown command 'NOSUCH', with args beginning with: 'x' 

OK

`
	if out != want {
		return fmt.Errorf("redis-cli prints %q, not %q", out, want)
	}
	return nil
}

func (r *report) formats(ctx context.Context) error {
	if err := r.prints(ctx, "1\n1\n", "HSET cli:hash a 1\nZADD cli:zset 1.5 m\n"); err != nil {
		return err
	}
	for _, f := range []struct {
		want, stdin string
		args        []string
	}{
		{`"a","1"`, "", []string{"--csv", "HGETALL", "cli:hash"}},
		{`{"a":"1"}`, "", []string{"--json", "HGETALL", "cli:hash"}},
		{"1# \"a\" => \"1\"\n", "", []string{"-3", "--no-raw", "HGETALL", "cli:hash"}},
		{"1) \"a\"\n2) \"1\"\n", "", []string{"--no-raw", "HGETALL", "cli:hash"}},
		{"(double) 1.5\n", "", []string{"-3", "--no-raw", "ZSCORE", "cli:zset", "m"}},
		{"OK\n", "the last argument", []string{"-x", "SET", "cli:x"}},
		{"the last argument\n", "", []string{"GET", "cli:x"}},
		{"1\n2\n3\n", "", []string{"-r", "3", "INCR", "cli:repeated"}},
		{"OK\n", "", []string{"-n", "3", "SET", "cli:database", "three"}},
		{"\n", "", []string{"GET", "cli:database"}},
		{"three\n", "", []string{"-n", "3", "GET", "cli:database"}},
	} {
		if err := r.prints(ctx, f.want, f.stdin, f.args...); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) eval(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "phonond-eval-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "script.lua")
	if err := os.WriteFile(file, []byte(`redis.call("SET", KEYS[1], ARGV[1]) return {KEYS[1], redis.call("GET", KEYS[1]), #ARGV}`), 0o600); err != nil {
		return err
	}
	return r.prints(ctx, "cli:eval\none\n2\n", "", "--eval", file, "cli:eval", ",", "one", "two")
}

// inserted is how many keys redis-cli --pipe writes.
const inserted = 10_000

func (r *report) massInsertion(ctx context.Context) error {
	var b []byte
	for i := range inserted {
		b = resp.AppendCommand(b, "SET", fmt.Sprintf("cli:inserted:%d", i), fmt.Sprint(i))
	}
	if err := r.prints(ctx, fmt.Sprintf("errors: 0, replies: %d\n", inserted), string(b), "--pipe"); err != nil {
		return err
	}
	return r.prints(ctx, fmt.Sprint(inserted-1), "", "GET", fmt.Sprintf("cli:inserted:%d", inserted-1))
}

func (r *report) scan(ctx context.Context) error {
	out, err := r.cli(ctx, "", "--scan", "--pattern", "cli:inserted:*")
	if err != nil {
		return err
	}
	keys := strings.Fields(out)
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != inserted {
		return fmt.Errorf("--scan finds %d keys of %d", len(keys), inserted)
	}
	return nil
}

func (r *report) bigKeys(ctx context.Context) error {
	var items []string
	for i := range 60 {
		items = append(items, fmt.Sprintf("%d %d", i, i))
	}
	all := strings.Join(items, " ")
	long := strings.Repeat("x", 1000)
	if _, err := r.cli(ctx, fmt.Sprintf("RPUSH cli:big:list %s\nSADD cli:big:set %s\nHSET cli:big:hash %s\nZADD cli:big:zset %s\nSET cli:big:string %s\n", all, all, all, all, long)); err != nil {
		return err
	}
	out, err := r.cli(ctx, "", "--bigkeys")
	if err != nil {
		return err
	}
	for _, want := range []string{
		`Biggest   list found '"cli:big:list"' has 120 items`,
		`Biggest    set found '"cli:big:set"' has 60 members`,
		`Biggest   hash found '"cli:big:hash"' has 60 fields`,
		`Biggest   zset found '"cli:big:zset"' has 60 members`,
		`Biggest string found '"cli:big:string"' has 1000 bytes`,
	} {
		if !strings.Contains(out, want) {
			return fmt.Errorf("--bigkeys does not print %q:\n%.2000s", want, out)
		}
	}
	return r.prints(ctx, `Biggest string found '"cli:big:string"' has `, "", "--memkeys")
}

// stat reads what redis-cli --stat makes of INFO, until there are three rows.
func (r *report) stat(ctx context.Context) error {
	cmd, err := r.tool(ctx, "redis-cli", "--stat", "-i", "0.05")
	if err != nil {
		return err
	}
	s, err := begin(cmd)
	if err != nil {
		return err
	}
	defer s.end()
	for range 3 {
		// keys, memory, clients, blocked, requests (and how many more), connections
		if err := s.sees(ctx, `(?m)^[1-9]\d* +[\d.]+[KMG] +[1-9]\d* +\d+ +[1-9]\d* \(\+\d+\) +[1-9]\d* *$`); err != nil {
			return err
		}
	}
	return nil
}

// latency measures for a moment: the lowest, highest and mean time of a PING in
// ms, and how many there were.
func (r *report) latency(ctx context.Context) error {
	out, err := r.cli(ctx, "", "--raw", "--latency", "-i", "0.3")
	if err != nil {
		return err
	}
	var low, high, count int
	var mean float64
	if n, err := fmt.Sscan(out, &low, &high, &mean, &count); n != 4 || low > high || count < 1 {
		return fmt.Errorf("--latency prints %q (%v)", out, err)
	}
	return nil
}

// monitor sees what another client does at the same node.
func (r *report) monitor(ctx context.Context) error {
	cmd, err := r.tool(ctx, "redis-cli", "MONITOR")
	if err != nil {
		return err
	}
	s, err := begin(cmd)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.sees(ctx, `(?m)^OK$`); err != nil {
		return err
	}
	for _, args := range [][]string{{"SET", "cli:monitored", "a \"b\"\n"}, {"EVAL", "return redis.call('GET', KEYS[1])", "1", "cli:monitored"}} {
		if _, err := proctest.Ask(r.node(), args...); err != nil {
			return err
		}
	}
	for _, pattern := range []string{
		`(?m)^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "cli:monitored" "a \\"b\\"\\n"$`,
		`(?m)^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "EVAL" "return redis\.call\('GET', KEYS\[1\]\)" "1" "cli:monitored"$`,
	} {
		if err := s.sees(ctx, pattern); err != nil {
			return err
		}
	}
	return nil
}
