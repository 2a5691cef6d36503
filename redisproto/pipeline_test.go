package redisproto

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestPipelineIsOneCallToTheBackendAndKeepsItsOrder(t *testing.T) {
	cfg := DefaultConfig()
	var seen []string
	cfg.Commands = []Command{{
		Spec: command.Spec{Name: "state", Arity: 1, Group: "server"},
		Run: func(c *Client, _ [][]byte) resp.Value {
			seen = append(seen, c.Name())
			return resp.Int(len(c.calls))
		},
	}}
	m := newMemory()
	_, addr := start(t, cfg, m)
	p := dial(t, addr)
	p.ask(cmd("SET", "k", "0")+cmd("PING")+cmd("GET", "k")+cmd("nosuch")+cmd("SELECT", "1")+cmd("GET", "k")+cmd("SET", "k", "1")+
		cmd("GET")+cmd("CLIENT", "SETNAME", "joe")+cmd("GET", "k")+cmd("STATE")+cmd("GET", "k")+cmd("ECHO", "end"),
		"+OK\r\n+PONG\r\n$1\r\n0\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n+OK\r\n$-1\r\n+OK\r\n"+
			"-ERR wrong number of arguments for 'get' command\r\n+OK\r\n$1\r\n1\r\n:0\r\n$1\r\n1\r\n$3\r\nend\r\n")
	if fmt.Sprint(m.calls, seen) != "[5 1] [joe]" {
		t.Errorf("stretches %v, seen %v", m.calls, seen)
	}
	// A change of protocol holds for what comes after it.
	p.send(cmd("GET", "nosuch") + cmd("HELLO", "3") + cmd("GET", "nosuch") + cmd("QUIT"))
	p.want("$-1\r\n%7\r\n")
	if rest, err := io.ReadAll(p); err != nil || !strings.HasSuffix(string(rest), "*0\r\n_\r\n+OK\r\n") {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestLongPipelinesAreNotCutByBuffers(t *testing.T) {
	m := newMemory()
	m.block, m.inside = make(chan struct{}), make(chan struct{}, 100)
	_, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	p.send(cmd("COUNT"))
	<-m.inside
	const n = 20000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(p.Conn, strings.Repeat(cmd("COUNT", "some", "arguments"), n))
	}()
	close(m.block)
	p.want(":1\r\n")
	p.want(strings.Repeat(":3\r\n", n))
	<-sent
	m.mu.Lock()
	defer m.mu.Unlock()
	most, sum := 0, 0
	for _, calls := range m.calls {
		most, sum = max(most, calls), sum+calls
	}
	if sum != n+1 || most < 200 || most > maxCalls {
		t.Errorf("%d calls, at most %d in one stretch", sum, most)
	}
}

// TestPipelinesMeetTheEndOfABuffer: wherever a pipeline comes to lie in the buffers,
// it is one call to the backend. In two, each may wait as long as one command.
func TestPipelinesMeetTheEndOfABuffer(t *testing.T) {
	m := newMemory()
	_, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	const pipelines = 3000
	for i := range pipelines {
		set := cmd("SET", "key", strings.Repeat("v", i%61))
		p.ask(set+"\r\n"+set, "+OK\r\n+OK\r\n")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) != pipelines {
		t.Errorf("%d pipelines were %d calls to the backend", pipelines, len(m.calls))
	}
}

func TestReplyForEveryCallEvenFromABrokenBackend(t *testing.T) {
	_, addr := start(t, DefaultConfig(), short{newMemory()})
	p := dial(t, addr)
	p.ask(cmd("GET", "a")+cmd("GET", "b"), "$-1\r\n-ERR internal error, the command was not applied\r\n")
}

type short struct{ *memory }

func (s short) Do(ctx context.Context, calls []command.Call) []resp.Value {
	return s.memory.Do(ctx, calls)[:len(calls)-1]
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	other, p := dial(t, addr), dial(t, addr)
	other.ask(cmd("PING"), "+PONG\r\n")
	p.send(cmd("BOOM"))
	p.wantEnd()
	other.ask(cmd("PING"), "+PONG\r\n")
	if n := srv.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestInternalCommandsAreUnknown(t *testing.T) {
	_, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	p.ask(cmd("expire-internally"), "-ERR unknown command 'expire-internally', with args beginning with: \r\n")
	p.ask(cmd("COMMAND", "INFO", "expire-internally"), "*1\r\n$-1\r\n")
}
