package redisproto

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func slot(db int, key []byte) string { return fmt.Sprint(db, " ", string(key)) }

func (m *memory) Watch(_ context.Context, db int, keys [][]byte) ([]command.KeyVersion, resp.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var versions []command.KeyVersion
	for _, key := range keys {
		if string(key) == "elsewhere" {
			return nil, resp.ErrCrossSlot
		}
		versions = append(versions, command.KeyVersion{DB: db, Key: key, Version: m.versions[slot(db, key)]})
	}
	return versions, resp.Value{}
}

func (m *memory) Exec(_ context.Context, watched []command.KeyVersion, calls []command.Call) resp.Value {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.execs = append(m.execs, len(calls))
	for _, w := range watched {
		if m.versions[slot(w.DB, w.Key)] != w.Version {
			return resp.NullArray
		}
	}
	replies := []resp.Value{}
	for _, call := range calls {
		if call.Spec.FirstKey > 0 && string(call.Args[call.Spec.FirstKey]) == "elsewhere" {
			return resp.ErrCrossSlot
		}
		replies = append(replies, m.one(call))
	}
	return resp.List(replies...)
}

func (m *memory) Timeout(call command.Call) (time.Duration, resp.Value) {
	seconds, err := strconv.ParseFloat(string(call.Args[len(call.Args)-1]), 64)
	switch {
	case err != nil:
		return 0, resp.Err("ERR timeout is not a float or out of range")
	case seconds < 0:
		return 0, resp.Err("ERR timeout is negative")
	}
	return time.Duration(seconds * float64(time.Second)), resp.Value{}
}

func (m *memory) Wait(ctx context.Context, call command.Call) (resp.Value, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting++
	defer func() { m.waiting-- }()
	for {
		if reply := m.one(call); reply.Kind != resp.NilArray {
			return reply, true
		}
		pushed := m.pushed
		m.mu.Unlock()
		select {
		case <-pushed:
		case <-ctx.Done():
		}
		m.mu.Lock()
		if ctx.Err() != nil {
			return resp.Value{}, false
		}
	}
}

// waits reports how many clients wait.
func (m *memory) waits() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

func (m *memory) Undo(call command.Call, reply resp.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.undone++
	list := slot(call.DB, []byte(reply.Elems[0].Str))
	m.lists[list] = append([]string{reply.Elems[1].Str}, m.lists[list]...)
}

func (m *memory) Replicas() int { return m.replicas }

// host adds a node.
func (m *memory) host(s *Server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.servers = append(m.servers, s)
}

func (m *memory) Publish(_ context.Context, messages []Message) []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts = append(m.posts, len(messages))
	counts := make([]int, len(messages))
	for _, s := range m.servers {
		for i, n := range s.Deliver(messages) {
			counts[i] += n
		}
	}
	return counts
}

func (m *memory) PubSub(_ context.Context, question [][]byte) []resp.Value {
	m.mu.Lock()
	defer m.mu.Unlock()
	var answers []resp.Value
	for _, s := range m.servers {
		answers = append(answers, s.PubSub(question))
	}
	return answers
}
