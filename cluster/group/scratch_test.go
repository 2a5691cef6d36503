package group

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

type sl struct{ net.Listener }

func (sl) Dial(a raft.ServerAddress, t time.Duration) (net.Conn, error) {
	return net.Dial("tcp", string(a))
}

func TestScratch(t *testing.T) {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	st, err := OpenBolt(t.TempDir(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	g, err := Open(Config{Name: "r", Node: "a", Machine: fsm.Config{Group: "r", Table: fsm.DataCommands()}, Storage: st, Stream: sl{ln},
		Servers: []raft.Server{{ID: "a", Address: "a"}}, Timing: DefaultTiming(), Limits: DefaultLimits(), Fatal: func(e error) { panic(e) }, Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	for !g.Leads() {
		<-g.LeaderChanged()
	}
	seq := uint64(0)
	var mu sync.Mutex
	do := func(r fsm.Request) ([]resp.Value, error) {
		ch := make(chan error, 1)
		var out []resp.Value
		g.Propose(&Call{Request: r.Append(nil), Done: func(rs []resp.Value, err error) { out = rs; ch <- err }})
		err := <-ch
		return out, err
	}
	do(fsm.Request{Kind: fsm.OpenOrigin, Origin: 1, Node: "a"})
	start := time.Now()
	var wg sync.WaitGroup
	for c := range 256 {
		wg.Go(func() {
			for i := range 200 {
				mu.Lock()
				seq++
				n := seq
				mu.Unlock()
				_, err := do(fsm.Request{Kind: fsm.Run, Origin: 1, Seq: n, Calls: []command.Call{{Args: [][]byte{[]byte("SET"), fmt.Appendf(nil, "k%d", c*1000+i), []byte("vvv")}}}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%v per s, %+v", 256*200/time.Since(start).Seconds(), g.Status())
	t.Log(g.Close(t.Context()))
}
