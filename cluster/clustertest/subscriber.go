package clustertest

import (
	"slices"
	"strings"
	"sync"

	"phonond/redisproto/resp"
)

// Subscriber is a client that subscribes and keeps what it gets.
type Subscriber struct {
	client *Client
	done   sync.WaitGroup

	mu  sync.Mutex
	got []string
}

// Subscribe connects to a node and sends it a command such as SUBSCRIBE. It returns when
// every channel or pattern of that is confirmed.
func (c *Cluster) Subscribe(name, command string, channels ...string) *Subscriber {
	c.t.Helper()
	s := &Subscriber{client: c.Client(name)}
	if _, err := s.client.conn.Write(resp.AppendCommand(nil, append([]string{command}, channels...)...)); err != nil {
		c.t.Fatal(err)
	}
	for range channels {
		v, err := resp.Read(s.client.r)
		if err != nil || v.IsError() || len(v.Elems) != 3 || !strings.EqualFold(v.Elems[0].Str, command) {
			c.t.Fatalf("%s %q at %s: %+v, %v", command, channels, name, v, err)
		}
	}
	s.done.Go(s.read)
	return s
}

// read keeps each message as its channel and its payload.
func (s *Subscriber) read() {
	for {
		v, err := resp.Read(s.client.r)
		if err != nil {
			return
		}
		words := []string{"not a message"}
		if n := len(v.Elems); n >= 3 && strings.HasSuffix(v.Elems[0].Str, "message") {
			words = []string{v.Elems[n-2].Str, v.Elems[n-1].Str}
		}
		s.mu.Lock()
		s.got = append(s.got, strings.Join(words, " "))
		s.mu.Unlock()
	}
}

// Got returns what has come, in order: for each message its channel, a space and its
// payload.
func (s *Subscriber) Got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Close ends the connection.
func (s *Subscriber) Close() {
	s.client.Close()
	s.done.Wait()
}
