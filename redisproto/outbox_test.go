package redisproto

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A listener's goroutine may still have its last replies when it says goodbye.
func TestOutboxSaysGoodbyeBehindWhatWaits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client := dial(t, ln.Addr().String())
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	var wg sync.WaitGroup
	defer wg.Wait()
	o := &outbox{Conn: conn, timeout: time.Minute, wg: &wg, ctx: t.Context(), stats: new(Stats), buffers: new(buffers), queued: true}
	o.limit.Store(1 << 20)
	for range 100 {
		if _, err := o.Write([]byte("+OK\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client.Reader); err != nil || len(got) != 500 {
		t.Errorf("%d bytes and then %v, want 500 and the end", len(got), err)
	}
}
