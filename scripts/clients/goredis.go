package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"phonond/cluster/proctest"
)

// goRedis is what applications do through go-redis, in both versions of the
// protocol.
func goRedis(ctx context.Context, r *report) error {
	for _, protocol := range []int{2, 3} {
		resp := fmt.Sprintf("RESP%d ", protocol)
		options := redis.Options{Addr: r.node(), Protocol: protocol, MaxRetries: -1}
		c := &goClient{Client: redis.NewClient(&options), prefix: fmt.Sprintf("go:%d:", protocol)}
		options.Addr = r.other()
		c.other = redis.NewClient(&options)
		err := r.all(ctx, []check{
			{resp + "pipelines", c.pipelines},
			{resp + "TxPipelined", c.transactions},
			{resp + "WATCH", c.watch},
			{resp + "WATCH under contention", c.contention},
			{resp + "scripts", c.scripts},
			{resp + "Pub/Sub", c.pubSub},
			{resp + "sharded Pub/Sub", c.sharded},
			{resp + "blocking pops", c.blockingPops},
			{resp + "scan iterators", c.scans},
			{resp + "names and INFO", c.server},
		})
		c.Close()
		c.other.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// goClient is a client, and another one at another node.
type goClient struct {
	*redis.Client
	other  *redis.Client
	prefix string
}

// key returns a key of its own. Those with the same tag are in one group.
func (c *goClient) key(name string) string { return c.prefix + name }

func (c *goClient) pipelines(ctx context.Context) error {
	const n = 1000
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(ctx, c.key(strconv.Itoa(i)), i, time.Minute)
		}
		p.MGet(ctx, c.key("0"), c.key("none"), c.key("999"))
		return nil
	})
	if err != nil {
		return err
	}
	if got := cmds[n].(*redis.SliceCmd).Val(); fmt.Sprint(got) != "[0 <nil> 999]" {
		return fmt.Errorf("MGET: %v", got)
	}
	pipe := c.Pipeline()
	hash, wrong := pipe.HSet(ctx, c.key("h"), "a", 1, "b", "two"), pipe.LPush(ctx, c.key("h"), "x")
	all, members := pipe.HGetAll(ctx, c.key("h")), pipe.ZAdd(ctx, c.key("z"), redis.Z{Score: 1.5, Member: "m"})
	scores := pipe.ZRangeWithScores(ctx, c.key("z"), 0, -1)
	if _, err := pipe.Exec(ctx); err == nil || !strings.HasPrefix(wrong.Err().Error(), "WRONGTYPE") {
		return fmt.Errorf("LPUSH to a hash: %v", wrong.Err())
	}
	if hash.Val() != 2 || all.Val()["b"] != "two" || members.Val() != 1 || len(scores.Val()) != 1 || scores.Val()[0].Score != 1.5 {
		return fmt.Errorf("the other replies: %v, %v, %v, %v", hash, all, members, scores)
	}
	return nil
}

func (c *goClient) transactions(ctx context.Context) error {
	a, b := c.key("{tx}a"), c.key("{tx}b")
	var sum *redis.IntCmd
	var list *redis.StringSliceCmd
	_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, a, 1, 0)
		sum = p.IncrBy(ctx, a, 41)
		p.RPush(ctx, b, "x", "y")
		list = p.LRange(ctx, b, 0, -1)
		return nil
	})
	if err != nil {
		return err
	}
	if sum.Val() != 42 || !slices.Equal(list.Val(), []string{"x", "y"}) {
		return fmt.Errorf("replies: %v, %v", sum, list)
	}
	// An error of one command stops none of the others.
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, b)
		sum = p.Incr(ctx, a)
		return nil
	})
	if err == nil || sum.Val() != 43 {
		return fmt.Errorf("beside a WRONGTYPE: %v, %v", err, sum)
	}
	// One in the queue stops all.
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, a)
		p.Do(ctx, "nosuchcommand")
		return nil
	})
	if err == nil {
		return errors.New("an unknown command in a transaction is no error")
	}
	return c.holds(ctx, a, "43")
}

func (c *goClient) watch(ctx context.Context) error {
	key := c.key("watched")
	if err := c.Set(ctx, key, 1, 0).Err(); err != nil {
		return err
	}
	change := func(meanwhile func()) error {
		return c.Watch(ctx, func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, key).Int()
			if err != nil {
				return err
			}
			meanwhile()
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key, n+1, 0)
				return nil
			})
			return err
		}, key)
	}
	if err := change(func() {}); err != nil {
		return err
	}
	if err := change(func() { c.other.Set(ctx, key, 10, 0) }); err != redis.TxFailedErr {
		return fmt.Errorf("after a change by another: %v", err)
	}
	return c.holds(ctx, key, "10")
}

// contention counts with WATCH, as its documentation shows it: nothing is lost.
func (c *goClient) contention(ctx context.Context) error {
	const workers, rounds = 8, 25
	key := c.key("counter")
	var failures atomic.Int64
	err := together(workers, func(worker int) error {
		rdb := c.Client
		if worker%2 == 1 {
			rdb = c.other
		}
		for done := 0; done < rounds; {
			err := rdb.Watch(ctx, func(tx *redis.Tx) error {
				n, err := tx.Get(ctx, key).Int()
				if err != nil && err != redis.Nil {
					return err
				}
				_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
					p.Set(ctx, key, n+1, 0)
					return nil
				})
				return err
			}, key)
			switch err {
			case nil:
				done++
			case redis.TxFailedErr:
				failures.Add(1)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if failures.Load() == 0 {
		return errors.New("nobody ever met another: this was no contention")
	}
	return c.holds(ctx, key, strconv.Itoa(workers*rounds))
}

func (c *goClient) scripts(ctx context.Context) error {
	key := c.key("script")
	add := redis.NewScript(`
		local n = redis.call("INCRBY", KEYS[1], ARGV[1])
		return {n, "by " .. ARGV[1], cjson.encode({n = n})}`)
	if err := c.ScriptFlush(ctx).Err(); err != nil {
		return err
	}
	if err := add.EvalSha(ctx, c, []string{key}, 3).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return fmt.Errorf("EVALSHA of an unknown script: %v", err)
	}
	for _, want := range []string{`[3 by 3 {"n":3}]`, `[6 by 3 {"n":6}]`} { // by EVAL, then by EVALSHA
		if got, err := add.Run(ctx, c, []string{key}, 3).Slice(); err != nil || fmt.Sprint(got) != want {
			return fmt.Errorf("%v, %w, want %s", got, err, want)
		}
	}
	// Another node knows the script too.
	if got, err := add.EvalSha(ctx, c.other, []string{key}, 1).Slice(); err != nil || fmt.Sprint(got) != `[7 by 1 {"n":7}]` {
		return fmt.Errorf("through another node: %v, %w", got, err)
	}
	if known, err := add.Exists(ctx, c.other).Result(); err != nil || !known[0] {
		return fmt.Errorf("SCRIPT EXISTS: %v, %w", known, err)
	}
	if err := c.Eval(ctx, `return redis.error_reply("MINE no")`, nil).Err(); err == nil || err.Error() != "MINE no" {
		return fmt.Errorf("an error of the script's own: %v", err)
	}
	return nil
}

func (c *goClient) blockingPops(ctx context.Context) error {
	first, second := c.key("{q}1"), c.key("{q}2")
	popped := make(chan error, 1)
	go func() {
		got, err := c.BLPop(ctx, 20*time.Second, first, second).Result()
		if err == nil && !slices.Equal(got, []string{second, "job"}) {
			err = fmt.Errorf("BLPOP: %q", got)
		}
		popped <- err
	}()
	if err := c.blocked(ctx, 1); err != nil {
		return err
	}
	if err := c.other.RPush(ctx, second, "job").Err(); err != nil {
		return err
	}
	if err := <-popped; err != nil {
		return err
	}
	if err := c.BRPop(ctx, time.Second, first).Err(); err != redis.Nil {
		return fmt.Errorf("BRPOP of nothing: %v", err)
	}
	// Each of many gets one.
	const clients = 10
	var sum atomic.Int64
	go func() {
		popped <- together(clients, func(int) error {
			got, err := c.BLPop(ctx, 20*time.Second, first).Result()
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(got[1])
			sum.Add(int64(n))
			return err
		})
	}()
	if err := c.blocked(ctx, clients); err != nil {
		return err
	}
	for i := range clients {
		if err := c.other.RPush(ctx, first, 1<<i).Err(); err != nil {
			return err
		}
	}
	if err := <-popped; err != nil {
		return err
	}
	if sum.Load() != 1<<clients-1 {
		return fmt.Errorf("the elements that were popped add up to %b", sum.Load())
	}
	return nil
}

// blocked waits until the node says that so many clients are blocked.
func (c *goClient) blocked(ctx context.Context, n int) error {
	return proctest.Until(ctx, func() error {
		info, err := c.Info(ctx, "clients").Result()
		if err == nil && !strings.Contains(info, fmt.Sprintf("blocked_clients:%d\r\n", n)) {
			err = fmt.Errorf("%d clients are not blocked:\n%s", n, info)
		}
		return err
	})
}

func (c *goClient) scans(ctx context.Context) error {
	const n = 300
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			name := strconv.Itoa(i)
			p.Set(ctx, c.key("scan:"+name), i, 0)
			p.HSet(ctx, c.key("fields"), name, i)
			p.ZAdd(ctx, c.key("members"), redis.Z{Score: float64(i), Member: name})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, scan := range []struct {
		name  string
		cmd   *redis.ScanCmd
		items int
	}{
		{"SCAN", c.Scan(ctx, 0, c.key("scan:*"), 20), n},
		{"SCAN TYPE", c.ScanType(ctx, 0, c.prefix+"*", 20, "zset"), 2}, // and that of the pipelines
		{"HSCAN", c.HScan(ctx, c.key("fields"), 0, "*", 20), 2 * n},
		{"ZSCAN", c.ZScan(ctx, c.key("members"), 0, "*", 20), 2 * n},
	} {
		var items []string
		it := scan.cmd.Iterator()
		for it.Next(ctx) {
			items = append(items, it.Val())
		}
		if it.Err() != nil {
			return it.Err()
		}
		if strings.HasPrefix(scan.name, "SCAN") { // others repeat values
			slices.Sort(items)
			items = slices.Compact(items)
		}
		if len(items) != scan.items {
			return fmt.Errorf("%s: %d items, not %d", scan.name, len(items), scan.items)
		}
	}
	return nil
}

func (c *goClient) server(ctx context.Context) error {
	named := redis.NewClient(&redis.Options{Addr: c.Options().Addr, Protocol: c.Options().Protocol, ClientName: "clients-go"})
	defer named.Close()
	if name, err := named.ClientGetName(ctx).Result(); err != nil || name != "clients-go" {
		return fmt.Errorf("CLIENT GETNAME: %q, %w", name, err)
	}
	info := c.InfoMap(ctx, "server", "keyspace")
	if !strings.HasPrefix(info.Item("Server", "redis_version"), "7.") || !strings.HasPrefix(info.Item("Keyspace", "db0"), "keys=") {
		return fmt.Errorf("INFO: %v", info)
	}
	commands, err := c.Command(ctx).Result()
	if err != nil {
		return err
	}
	if get := commands["get"]; get == nil || get.Arity != 2 || !get.ReadOnly {
		return fmt.Errorf("COMMAND says of GET: %+v", get)
	}
	return nil
}

// holds checks a key's value through the other node.
func (c *goClient) holds(ctx context.Context, key, want string) error {
	if got, err := c.other.Get(ctx, key).Result(); err != nil || got != want {
		return fmt.Errorf("%s is %q (%v), not %q", key, got, err, want)
	}
	return nil
}
