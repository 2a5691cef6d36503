package proctest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"phonond/cluster/proctest"
)

// tool runs one of Redis's own programs against a node and returns what it
// prints.
func tool(t *testing.T, node *proctest.Node, stdin, name string, args ...string) string {
	t.Helper()
	cmd := command(t, within(t, patience), node, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func command(t *testing.T, ctx context.Context, node *proctest.Node, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs Redis 7.0's %s in PATH (make test installs it): %v", name, err)
	}
	host, port, err := net.SplitHostPort(node.RESP)
	must(t, err)
	return exec.CommandContext(ctx, path, append([]string{"-h", host, "-p", port}, args...)...)
}

// TestRedisCLI talks as redis-cli does: by hand, in a script, and in its modes.
func TestRedisCLI(t *testing.T) {
	c := start(t)
	node := c.Nodes()[3]

	// In a conversation it first asks for COMMAND DOCS.
	out := tool(t, node, "SET greeting hello\nGET greeting\nSELECT 1\nGET greeting\nHGETALL nothing\nNOSUCH x\n", "redis-cli")
	for _, want := range []string{"OK", `hello`, "ERR unknown command 'NOSUCH'"} {
		if !strings.Contains(out, want) {
			t.Errorf("redis-cli does not print %q:\n%s", want, out)
		}
	}
	docs := tool(t, node, "", "redis-cli", "--json", "COMMAND", "DOCS", "set", "lpush", "hset")
	for _, want := range []string{`"set"`, `"lpush"`, `"hset"`, `"summary"`, `"group"`} {
		if !strings.Contains(docs, want) {
			t.Errorf("COMMAND DOCS has no %s:\n%s", want, docs)
		}
	}

	const keys = 300
	var sets strings.Builder
	for i := range keys {
		fmt.Fprintf(&sets, "SET scanned:%d %d\n", i, i)
	}
	tool(t, node, sets.String(), "redis-cli", "-n", "1")
	found := strings.Fields(tool(t, node, "", "redis-cli", "-n", "1", "--scan", "--pattern", "scanned:*"))
	slices.Sort(found)
	if found = slices.Compact(found); len(found) != keys {
		t.Errorf("--scan finds %d keys of %d", len(found), keys)
	}
	if n := strings.TrimSpace(tool(t, node, "", "redis-cli", "-n", "1", "DBSIZE")); n != fmt.Sprint(keys) {
		t.Errorf("database 1 has %s keys, not %d", n, keys)
	}
	if n := strings.TrimSpace(tool(t, node, "", "redis-cli", "-n", "2", "DBSIZE")); n != "0" {
		t.Errorf("database 2 has %s keys", n)
	}
	if out := tool(t, node, "", "redis-cli", "-3", "HELLO", "3"); !strings.Contains(out, "standalone") {
		t.Errorf("HELLO 3: %s", out)
	}
	if out := tool(t, node, "", "redis-cli", "--bigkeys", "-i", "0"); !strings.Contains(out, "summary") {
		t.Errorf("--bigkeys: %s", out)
	}
	info := tool(t, node, "", "redis-cli", "INFO")
	for _, want := range []string{"redis_version:7.", "redis_mode:standalone", "role:master", "cluster_enabled:0", "db1:keys=300,", "connected_clients:", "used_memory:"} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO has no %s:\n%s", want, info)
		}
	}
}

// TestRedisCLIStat reads what redis-cli --stat prints, which it makes from INFO.
func TestRedisCLIStat(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(t, ctx, c.Nodes()[1], "redis-cli", "--stat", "-i", "0.01")
	out, err := cmd.StdoutPipe()
	must(t, err)
	p, err := proctest.StartProcess(cmd)
	must(t, err)
	t.Cleanup(func() { p.Kill() })
	// keys, memory, clients, blocked, requests (and how many more), connections
	row := regexp.MustCompile(`^\d+ +[\d.]+[KMG] +[1-9]\d* +\d+ +\d+ \(\+\d+\) +[1-9]\d*`)
	lines := bufio.NewScanner(out)
	rows := 0
	for rows < 3 && lines.Scan() {
		switch line := lines.Text(); {
		case row.MatchString(line):
			rows++
		case !strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "keys"):
			t.Fatalf("a line that is no statistics: %q", line)
		}
	}
	if rows < 3 {
		t.Errorf("%d rows: %v", rows, lines.Err())
	}
}

// TestRedisBenchmark runs redis-benchmark: every test must end with a rate.
func TestRedisBenchmark(t *testing.T) {
	c := start(t)
	for _, node := range []*proctest.Node{c.Nodes()[0], c.Nodes()[3]} {
		out := tool(t, node, "", "redis-benchmark", "-n", "200", "-q",
			"-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset")
		var rates []string
		for line := range strings.FieldsFuncSeq(out, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if name, _, ok := strings.Cut(line, ": "); ok && strings.Contains(line, "requests per second") {
				rates = append(rates, strings.TrimSpace(name))
			} else if strings.Contains(strings.ToLower(line), "err") || strings.Contains(line, "WARN") {
				t.Errorf("redis-benchmark says: %s", line)
			}
		}
		if len(rates) != 20 {
			t.Errorf("%d rates, not 20: %q\n%s", len(rates), rates, out)
		}
	}
}

// TestGoRedis does through go-redis what applications do, in both versions of
// the protocol.
func TestGoRedis(t *testing.T) {
	c := start(t)
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			ctx := within(t, patience)
			rdb := redis.NewClient(&redis.Options{Addr: c.Nodes()[2].RESP, Protocol: protocol, DB: 1, MaxRetries: -1})
			t.Cleanup(func() { rdb.Close() })
			must(t, rdb.FlushDB(ctx).Err())

			must(t, rdb.Set(ctx, "k", "v", time.Minute).Err())
			if v, err := rdb.Get(ctx, "k").Result(); err != nil || v != "v" {
				t.Errorf("GET: %q, %v", v, err)
			}
			if _, err := rdb.Get(ctx, "none").Result(); err != redis.Nil {
				t.Errorf("GET of nothing: %v", err)
			}
			if ttl, err := rdb.TTL(ctx, "k").Result(); err != nil || ttl <= 0 || ttl > time.Minute {
				t.Errorf("TTL: %v, %v", ttl, err)
			}
			if ttl, err := rdb.PTTL(ctx, "k").Result(); err != nil || ttl < 50*time.Second || ttl > time.Minute {
				t.Errorf("PTTL: %v, %v", ttl, err)
			}

			pipe := rdb.Pipeline()
			incr, length := pipe.Incr(ctx, "n"), pipe.RPush(ctx, "l", "a", "b", "c")
			hash := pipe.HSet(ctx, "h", "f", "1", "g", "2")
			all, list := pipe.HGetAll(ctx, "h"), pipe.LRange(ctx, "l", 0, -1)
			_, err := pipe.Exec(ctx)
			must(t, err)
			if incr.Val() != 1 || length.Val() != 3 || hash.Val() != 2 || len(all.Val()) != 2 || all.Val()["g"] != "2" || !slices.Equal(list.Val(), []string{"a", "b", "c"}) {
				t.Errorf("pipeline: %v %v %v %v %v", incr, length, hash, all, list)
			}
			must(t, rdb.ZAdd(ctx, "z", redis.Z{Score: 1.5, Member: "a"}, redis.Z{Score: 2, Member: "b"}).Err())
			if zs, err := rdb.ZRangeWithScores(ctx, "z", 0, -1).Result(); err != nil || len(zs) != 2 || zs[0].Score != 1.5 {
				t.Errorf("ZRANGE WITHSCORES: %v, %v", zs, err)
			}
			lockFlow(t, ctx, rdb)
		})
	}
}

// releaseScript is how redsync, a Go library for locks, releases one.
const releaseScript = `
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	else
		return 0
	end
`

// lockFlow takes, refuses and releases a lock, as lock libraries do.
func lockFlow(t *testing.T, ctx context.Context, rdb *redis.Client) {
	t.Helper()
	release := redis.NewScript(releaseScript)
	for n := range 2 { // the second time the script is known
		if ok, err := rdb.SetNX(ctx, "lock", "mine", time.Minute).Result(); err != nil || !ok {
			t.Fatalf("take: %v, %v", ok, err)
		}
		if ok, err := rdb.SetNX(ctx, "lock", "yours", time.Minute).Result(); err != nil || ok {
			t.Errorf("take what is held: %v, %v", ok, err)
		}
		if got, err := release.Run(ctx, rdb, []string{"lock"}, "yours").Int(); err != nil || got != 0 {
			t.Errorf("release by another: %v, %v", got, err)
		}
		if got, err := release.Run(ctx, rdb, []string{"lock"}, "mine").Int(); err != nil || got != 1 {
			t.Errorf("release: %v, %v", got, err)
		}
		if n == 1 {
			if got, err := release.EvalSha(ctx, rdb, []string{"lock"}, "mine").Int(); err != nil || got != 0 {
				t.Errorf("EVALSHA of what is free: %v, %v", got, err)
			}
		}
	}
}
