package redisproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

func TestPubSubAnswersLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	// ECHO, which ends a conversation, is not for those who have subscribed.
	end := func(commands ...string) string { return lines(append(commands, "RESET")...) }
	compare(t, mine, realRedis(t), []string{
		end("SUBSCRIBE", "SUBSCRIBE a", "GET a", "CLIENT ID", "MULTI", "EXEC", "nosuch", "get", "PING", "PING hi", "PING a b", "SUBSCRIBE a b b", "UNSUBSCRIBE b",
			"UNSUBSCRIBE", "UNSUBSCRIBE", "UNSUBSCRIBE zz yy", "GET a"),
		end("PSUBSCRIBE a* b", "PSUBSCRIBE a*", "SUBSCRIBE x", "PUNSUBSCRIBE b nosuch a*", "PUNSUBSCRIBE", "UNSUBSCRIBE x", "PUNSUBSCRIBE"),
		end("SSUBSCRIBE a b", "SSUBSCRIBE a", "GET a", "SUNSUBSCRIBE b a", "SUNSUBSCRIBE", "SUBSCRIBE x", "SSUBSCRIBE y", "SUNSUBSCRIBE y", "UNSUBSCRIBE"),
		end("HELLO 3", "SUBSCRIBE a", "PSUBSCRIBE a*", "SSUBSCRIBE a", "GET a", "PUBLISH a m", "SPUBLISH a m", "PUBLISH b m", "PING", "PING x", "HELLO 2",
			"PUBLISH a m", "PING", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PING"),
		end("HELLO 3", "SUBSCRIBE a", "CLIENT REPLY OFF", "PUBLISH a m", "UNSUBSCRIBE a", "CLIENT REPLY ON"),
		end("HELLO 3", "CLIENT REPLY SKIP", "SUBSCRIBE a b", "CLIENT REPLY SKIP", "PUBLISH a x", "PING"),
		end("CLIENT REPLY OFF", "SUBSCRIBE a", "RESET", "PING"),
		end("SUBSCRIBE a", "RESET", "GET a", "PUBLISH a x", "MULTI", "GET a", "DISCARD"), end("SUBSCRIBE a", "QUIT"),
		end("MULTI", "SUBSCRIBE a b", "PING", "EXEC", "GET a", "UNSUBSCRIBE b a", "GET a"),
		end("MULTI", "SSUBSCRIBE a", "UNSUBSCRIBE", "PUBLISH a b", "PUBSUB NUMSUB a", "MONITOR", "EXEC", "GET a"),
		end("MULTI", "SUBSCRIBE a", "PUBLISH nobody b", "UNSUBSCRIBE a", "GET nosuch", "EXEC", "GET a"),
		end("PUBSUB", "PUBSUB FOO", "PUBSUB CHANNELS", "PUBSUB CHANNELS a b", "PUBSUB NUMSUB", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT", "PUBSUB NUMPAT x",
			"PUBSUB SHARDCHANNELS", "PUBSUB SHARDCHANNELS a b", "PUBSUB SHARDNUMSUB", "PUBSUB SHARDNUMSUB a", "PUBSUB HELP x"),
		end("HELLO 3", "SUBSCRIBE a b", "PSUBSCRIBE a* z", "PSUBSCRIBE a*", "SSUBSCRIBE s", "PUBSUB CHANNELS b*", "PUBSUB NUMSUB a a x", "PUBSUB NUMPAT",
			"PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB s a", "PUBSUB CHANNELS s"),
		end("PUBLISH", "PUBLISH a", "PUBLISH a b c", "SPUBLISH a b", "PUBLISH a b", "SET a 1", "PUBLISH a b", "GET a", "CLIENT REPLY SKIP", "PUBLISH a b", "PING"),
	})
}

func message(channel, text string) string {
	return fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text)
}

func confirm(channel string, n int) string {
	return fmt.Sprintf("*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(channel), channel, n)
}

// Two servers have one backend, as the nodes of a cluster.
func TestMessagesReachTheClientsOfAllNodes(t *testing.T) {
	m := newMemory()
	_, here := start(t, DefaultConfig(), m)
	_, there := start(t, DefaultConfig(), m)
	near, far, p := dial(t, here), dial(t, there), dial(t, here)
	near.ask(cmd("SUBSCRIBE", "a"), confirm("a", 1))
	far.ask(cmd("SUBSCRIBE", "b", "a"), confirm("b", 1)+confirm("a", 2))
	far.ask(cmd("PSUBSCRIBE", "[ab]", "a*"), "*3\r\n$10\r\npsubscribe\r\n$4\r\n[ab]\r\n:3\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:4\r\n")
	p.ask(lines("PUBLISH a 1", "PING", "PUBLISH b 2", "SET k v", "PUBLISH c 3", "PUBSUB CHANNELS", "PUBSUB NUMSUB a c b", "PUBSUB NUMPAT"),
		":4\r\n+PONG\r\n:2\r\n+OK\r\n:0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*6\r\n$1\r\na\r\n:2\r\n$1\r\nc\r\n:0\r\n$1\r\nb\r\n:1\r\n:2\r\n")
	if got := fmt.Sprint(m.posts); got != "[2 1]" {
		t.Errorf("calls of Publish: %v", got)
	}
	near.want(message("a", "1"))
	far.want(message("a", "1"))
	far.Conn.Close()
	eventually(t, "the far client to go", func() bool {
		p.send(cmd("PUBLISH", "a", "2"))
		line, _ := p.ReadString('\n')
		return line == ":1\r\n"
	})
	if line := clientLine(t, p, 1); !strings.Contains(line, " flags=P db=0 sub=1 psub=0 ssub=0 ") {
		t.Errorf("CLIENT LIST: %s", line)
	}
	p.ask(cmd("CLIENT", "KILL", "TYPE", "pubsub"), ":1\r\n")
}

// Messages come while a client works, each whole and after the confirmation.
func TestMessagesComeWholeAndInOrder(t *testing.T) {
	m := newMemory()
	srv, addr := start(t, DefaultConfig(), m)
	server, config := certificate(t)
	tlsSrv, tlsAddr := startTLS(t, DefaultConfig(), server)
	const n = 400
	for name, tt := range map[string]struct {
		srv  *Server
		dial func() peer
	}{
		"plain": {srv, func() peer { return dial(t, addr) }},
		"TLS": {tlsSrv, func() peer {
			conn := tls.Client(dial(t, tlsAddr).Conn, withName(config))
			return peer{conn, bufio.NewReader(conn), t}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := tt.dial()
			p.send(cmd("HELLO", "3"))
			if _, err := resp.Read(p.Reader); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			stop := make(chan struct{})
			unread := make(chan struct{}, 1000) // messages: they have to fit into the outbox, too
			for publisher := range 2 {
				wg.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						if tt.srv.Deliver([]Message{{Channel: "c", Payload: fmt.Sprint(publisher, " ", i)}})[0] == 0 {
							i-- // not subscribed yet
							continue
						}
						select {
						case unread <- struct{}{}:
						case <-stop:
						}
					}
				})
			}
			ahead := make(chan struct{}, 50) // rounds whose replies were not read: they have to fit into the outbox
			wg.Go(func() {
				for range n {
					ahead <- struct{}{}
					p.send(cmd("SUBSCRIBE", "c") + cmd("MULTI") + cmd("FILL", "1000") + cmd("FILL", "70000") + cmd("EXEC") + cmd("FILL", "100000") + cmd("UNSUBSCRIBE", "c"))
				}
			})
			next := map[string]int{}
			on := false
			for done := 0; done < n; {
				v, err := resp.Read(p.Reader)
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case v.Kind == resp.Push && v.Elems[0].Str == "subscribe":
					on = true
				case v.Kind == resp.Push && v.Elems[0].Str == "unsubscribe":
					on = false
					done++
					<-ahead
				case v.Kind == resp.Push:
					var publisher string
					var i int
					fmt.Sscan(v.Elems[2].Str, &publisher, &i)
					if !on || i < next[publisher] {
						t.Fatalf("message %v, subscribed: %v, expected %d", v.Elems[2].Str, on, next[publisher])
					}
					next[publisher] = i + 1
					<-unread
				case v.IsError():
					t.Fatal(v.Str)
				case v.Kind == resp.Array && len(v.Elems) != 2:
					t.Fatalf("EXEC: %d replies", len(v.Elems))
				}
			}
			close(stop)
			wg.Wait()
		})
	}
}

func TestSlowSubscribersAreClosed(t *testing.T) {
	for name, limit := range map[string]func(*Config){
		"hard": func(c *Config) { c.MaxPubSubOutput, c.SoftPubSubOutput = 1<<20, 0 },
		"soft": func(c *Config) { c.SoftPubSubOutput, c.PubSubPatience = 1<<18, time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			limit(&cfg)
			srv, addr := start(t, cfg, newMemory())
			p := dial(t, addr)
			p.ask(cmd("SUBSCRIBE", "a"), confirm("a", 1))
			text := strings.Repeat("x", 100_000)
			eventually(t, "the client to be closed", func() bool {
				for range 10 {
					srv.Deliver([]Message{{Channel: "a", Payload: text}})
				}
				return srv.ClientCount() == 0
			})
			if n := srv.Stats().OutputLimit.Load(); n != 1 {
				t.Errorf("%d clients counted", n)
			}
		})
	}
}

func TestSubscribersMayBeSilent(t *testing.T) {
	cfg := DefaultConfig()
	cfg.IdleTimeout = 100 * time.Millisecond
	srv, addr := start(t, cfg, newMemory())
	p, q := dial(t, addr), dial(t, addr)
	p.ask(cmd("PING")+cmd("SUBSCRIBE", "a"), "+PONG\r\n"+confirm("a", 1))
	q.ask(cmd("PING"), "+PONG\r\n")
	q.wantEnd()
	srv.Deliver([]Message{{Channel: "a", Payload: "x"}})
	p.want(message("a", "x"))
	p.ask(cmd("UNSUBSCRIBE"), "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n")
	p.wantEnd()
}

// A subscriber that waits for a key gets messages meanwhile.
func TestMessagesReachBlockedClients(t *testing.T) {
	m := newMemory()
	srv, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	p.send(cmd("HELLO", "3"))
	if _, err := resp.Read(p.Reader); err != nil {
		t.Fatal(err)
	}
	p.send(cmd("SUBSCRIBE", "a") + cmd("BLPOP", "q", "0"))
	p.want(strings.Replace(confirm("a", 1), "*", ">", 1))
	eventually(t, "the client to wait", func() bool { return m.waits() == 1 })
	srv.Deliver([]Message{{Channel: "a", Payload: "x"}})
	p.want(strings.Replace(message("a", "x"), "*", ">", 1))
}

func TestSubscribersGoWithTheServer(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	p.ask(cmd("SUBSCRIBE", "a"), confirm("a", 1))
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	p.wantEnd()
	if n := srv.Deliver([]Message{{Channel: "a"}})[0]; n != 0 {
		t.Errorf("%d clients got a message", n)
	}
}
