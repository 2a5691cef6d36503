package redisproto

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

// topic is one of the kinds of things to subscribe to.
type topic int

const (
	channels topic = iota
	patterns
	shards
	topics // how many there are
)

// hub knows which clients of this node get which messages.
type hub struct {
	mu       sync.RWMutex
	members  [topics]map[string]map[*Client]struct{} // by name
	monitors map[*Client]struct{}
	watched  atomic.Bool // there are monitors
}

func (h *hub) join(kind topic, name string, c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[kind] == nil {
		h.members[kind] = map[string]map[*Client]struct{}{}
	}
	if h.members[kind][name] == nil {
		h.members[kind][name] = map[*Client]struct{}{}
	}
	h.members[kind][name][c] = struct{}{}
}

// leave ends a subscription. When it returns no more messages come from it.
func (h *hub) leave(kind topic, name string, c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members[kind][name], c)
	if len(h.members[kind][name]) == 0 {
		delete(h.members[kind], name)
	}
}

// size counts the names of a kind that somebody of this node listens to.
func (h *hub) size(kind topic) int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return int64(len(h.members[kind]))
}

// Deliver gives messages to the clients of this node that have subscribed, in order,
// and returns for each how many got it. It does not wait for clients.
func (s *Server) Deliver(messages []Message) []int {
	counts := make([]int, len(messages))
	for i, m := range messages {
		counts[i] = s.hub.deliver(m)
	}
	return counts
}

func (h *hub) deliver(m Message) (count int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	kind, verb := channels, "message"
	if m.Shard {
		kind, verb = shards, "smessage"
	}
	if members := h.members[kind][m.Channel]; len(members) > 0 {
		f := newFrame(resp.Str(verb), resp.Str(m.Channel), resp.Str(m.Payload))
		for c := range members {
			c.post(f)
		}
		count += len(members)
	}
	if m.Shard {
		return count
	}
	for pattern, members := range h.members[patterns] {
		if !glob.Match(pattern, m.Channel) {
			continue
		}
		f := newFrame(resp.Str("pmessage"), resp.Str(pattern), resp.Str(m.Channel), resp.Str(m.Payload))
		for c := range members {
			c.post(f)
		}
		count += len(members)
	}
	return count
}

// PubSub answers, for the clients of this node, what PUBSUB asks: CHANNELS [pattern],
// NUMSUB [channel ...], SHARDCHANNELS [pattern] and SHARDNUMSUB [channel ...] as in
// Redis, and PATTERNS, the patterns that somebody has subscribed to.
func (s *Server) PubSub(question [][]byte) resp.Value {
	if len(question) == 0 {
		return resp.ErrSyntax
	}
	h := &s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	kind := channels
	what := question[0]
	if len(what) > 5 && bytes.EqualFold(what[:5], []byte("SHARD")) {
		kind, what = shards, what[5:]
	}
	switch strings.ToUpper(string(what)) {
	case "PATTERNS":
		return resp.Strs(slices.Collect(maps.Keys(h.members[patterns]))...)
	case "CHANNELS":
		var names []string
		for name := range h.members[kind] {
			if len(question) == 1 || glob.Match(string(question[1]), name) {
				names = append(names, name)
			}
		}
		return resp.Strs(names...)
	case "NUMSUB":
		var pairs []resp.Value
		for _, name := range question[1:] {
			pairs = append(pairs, resp.Str(string(name)), resp.Int(len(h.members[kind][string(name)])))
		}
		return resp.List(pairs...)
	}
	return resp.ErrSyntax
}
