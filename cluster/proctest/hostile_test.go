package proctest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// The size of the attack.
const (
	halfOpen    = 40 // connections to each port that say something and then nothing
	attackers   = 2  // for each port and network
	maxGarbage  = 4096
	attackPause = 5 * time.Millisecond // between two blows, so that the test is not about the machine
)

// openings are how hostile input begins: what gets past the first checks of a
// port, with lengths that nobody should believe.
var openings = [][]byte{
	nil,
	// RESP
	[]byte("*1000000000\r\n"),
	[]byte("*2\r\n$3\r\nGET\r\n$2147483647\r\n"),
	[]byte("*-7\r\n"),
	[]byte("*3\r\n$-9\r\n"),
	[]byte("*1\r\n$99999999999999999999\r\n"),
	bytes.Repeat([]byte("*1\r\n"), 2000),
	bytes.Repeat([]byte("a"), 100<<10),
	[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	[]byte("*2\r\n$5\r\nHELLO\r\n$1\r\n9\r\n"),
	[]byte("*3\r\n$7\r\nEVALSHA\r\n$0\r\n\r\n$10\r\n9999999999\r\n"),
	// between nodes: magic, version, service, cluster, epoch, names
	[]byte("PHND"),
	append([]byte("PHND\x01\x03"), make([]byte, 24)...),
	append([]byte("PHND\x01\x01"), bytes.Repeat([]byte{0xff}, 60)...),
	append(append([]byte("PHND\x01\x03"), make([]byte, 24)...), "\x00\x01a\x09us-east-1\x00\xff\xff\xff\xff"...),
	append(append([]byte("PHND\x01\x02"), make([]byte, 24)...), "\x00\x0bus-east-1-1\x09us-east-1\x0bus-east-1-2\xff\xff\xff\xff"...),
	// memberlist: kinds of message, msgpack with long lengths
	{0}, {1}, {2, 0xdf, 0xff, 0xff, 0xff, 0xff}, {6, 0xdd, 0xff, 0xff, 0xff, 0xff}, {7, 0xff}, {9, 0x93},
	{12, 0xff, 0xff}, {244, 8, 'p', 'r', 'o', 'c', 't', 'e', 's', 't', 6, 0x83},
}

// blow returns one piece of hostile input.
func blow(r *rand.Rand) []byte {
	b := bytes.Clone(openings[r.IntN(len(openings))])
	tail := make([]byte, r.IntN(maxGarbage))
	for i := range tail {
		tail[i] = byte(r.Uint32())
	}
	if len(tail) > 8 && r.IntN(2) == 0 {
		binary.BigEndian.PutUint32(tail, r.Uint32()) // may be read as a length
	}
	return append(b, tail...)
}

// TestHostileInput sends garbage to every port of every node while clients
// count, PHONOND_SECONDS long. Nothing must crash, and no client notice.
func TestHostileInput(t *testing.T) {
	c := start(t)
	load, err := proctest.StartLoad(proctest.LoadOptions{Name: "hostile", Addrs: addrs(c.Nodes()), Clients: clients, Shared: shared})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(number(t, "PHONOND_SECONDS", 4))*time.Second)
	defer cancel()
	var attack sync.WaitGroup
	var blows atomic.Int64
	seed := uint64(0)
	for _, n := range c.Nodes() {
		for _, target := range []struct{ network, addr string }{
			{"tcp", n.RESP}, {"tcp", n.Cluster}, {"tcp", n.Gossip}, {"udp", n.Gossip},
		} {
			for range attackers {
				seed++
				r := rand.New(rand.NewPCG(seed, 0))
				attack.Go(func() { strike(ctx, r, target.network, target.addr, &blows) })
			}
			if target.network == "tcp" {
				attack.Go(func() { linger(ctx, target.addr) })
			}
		}
	}
	attack.Wait()
	must(t, load.Progress(within(t, patience), steady))
	if err := load.Stop(); err != nil {
		t.Errorf("a client noticed: %v", err)
	}
	must(t, load.Check(c.Nodes()[0].RESP))
	settled(t, c)
	for _, n := range c.Nodes() {
		if !n.Running() {
			t.Errorf("node %s has ended", n.ID)
		}
	}
	if blows.Load() == 0 {
		t.Error("nothing was sent")
	}
	t.Logf("%d blows, %d increments meanwhile", blows.Load(), load.Acked())
}

// strike sends one blow after the other.
func strike(ctx context.Context, r *rand.Rand, network, addr string, blows *atomic.Int64) {
	for ctx.Err() == nil {
		c, err := net.Dial(network, addr)
		if err == nil {
			b := blow(r)
			if network == "udp" {
				b = b[:min(len(b), 60<<10)]
			}
			c.SetDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(b); err == nil { // else it was cut off, as it should be
				blows.Add(1)
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(attackPause):
		}
	}
}

// linger holds connections that have said a little and go no further.
func linger(ctx context.Context, addr string) {
	for i := range halfOpen {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		defer c.Close()
		b := openings[i%len(openings)]
		fmt.Fprintf(c, "%s", b[:len(b)/2])
	}
	<-ctx.Done()
}

// TestSiege is a small "make hostile": what many clients do must not keep others from
// being served, nor take the memory.
func TestSiege(t *testing.T) {
	const limit = 512 << 20
	c := startRegions(t, []proctest.Region{{Name: "a", Nodes: 1}}, "--resp-max-buffers=32mb")
	siege := proctest.Siege{Idle: 300, Mute: 50, Garbage: 32 << 20, Scripts: 3}
	must(t, siege.Run(within(t, patience), c.Nodes()[0], func(p proctest.Phase) {
		t.Log(p)
		if p.Resident > limit {
			t.Errorf("more than %d MiB", limit>>20)
		}
	}))
}
