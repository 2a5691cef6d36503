package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// publishTimeout is how long a publisher waits for a node to say how many subscribers
// it has.
const publishTimeout = time.Second

// bus brings messages to the subscribers on all nodes, at most once, and those of one
// publisher in order.
type bus struct {
	node  *Node
	mu    sync.Mutex
	peers map[string]*peer
	// lost counts messages, for each node that has not confirmed them, and dropped the
	// events of keys that were more than could be published.
	lost, dropped atomic.Int64
}

// peer is another node as a place to send messages to.
type peer struct {
	id string
	// away is set when the node has not confirmed what it was sent last. It is sent
	// more, but nobody waits for it.
	away atomic.Bool
}

func newBus(n *Node) *bus { return &bus{node: n, peers: map[string]*peer{}} }

// others are the nodes to send to, none before this one has found its cluster.
func (b *bus) others() []*peer {
	state := b.node.state.Load()
	if b.node.router.Load() == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]*peer, 0, len(state.Nodes))
	for i := range state.Nodes {
		id := state.Nodes[i].ID
		if id == b.node.self.ID {
			continue
		}
		p := b.peers[id]
		if p == nil {
			p = &peer{id: id}
			b.peers[id] = p
		}
		list = append(list, p)
	}
	return list
}

// confirmation is a node's word on messages that it was sent.
type confirmation struct {
	from   *peer
	counts []int // of subscribers; nil if the node cannot be reached
}

// send sends messages to a node. It does not block, and calls done once, if that is not
// nil, with something that must not block.
func (b *bus) send(p *peer, body []byte, messages int, done func(confirmation)) {
	b.node.router.Load().Post(p.id, body, func(out []byte, err error) {
		var counts []int
		if err == nil {
			counts, err = decodeCounts(out, messages)
		}
		if err != nil {
			b.lost.Add(int64(messages))
		}
		p.away.Store(err != nil)
		if done != nil {
			done(confirmation{p, counts})
		}
	})
}

// publish sends messages to all nodes and returns how many subscribers each one got
// to, as far as the nodes say so in time.
func (b *bus) publish(ctx context.Context, messages []redisproto.Message) []int {
	others := b.others()
	confirmed := make(chan confirmation, len(others))
	awaited := map[*peer]bool{}
	if len(others) > 0 {
		body := appendMessages(nil, messages)
		for _, p := range others {
			var done func(confirmation)
			if !p.away.Load() {
				awaited[p] = true
				done = func(c confirmation) { confirmed <- c }
			}
			b.send(p, body, len(messages), done)
		}
	}
	total := b.node.resp.Deliver(messages)
	if len(awaited) == 0 {
		return total
	}
	timeout := time.NewTimer(publishTimeout)
	defer timeout.Stop()
	for len(awaited) > 0 {
		select {
		case c := <-confirmed:
			delete(awaited, c.from)
			for i, n := range c.counts {
				total[i] += n
			}
		case <-timeout.C:
			for p := range awaited {
				p.away.Store(true)
			}
			return total
		case <-ctx.Done():
			return total
		}
	}
	return total
}

// spread sends messages to all nodes and waits for none of them.
func (b *bus) spread(messages []redisproto.Message) {
	if others := b.others(); len(others) > 0 {
		body := appendMessages(nil, messages)
		for _, p := range others {
			b.send(p, body, len(messages), nil)
		}
	}
	b.node.resp.Deliver(messages)
}

// receive delivers what another node has sent.
func (b *bus) receive(in []byte) ([]byte, error) {
	messages, err := decodeMessages(in)
	if err != nil {
		return nil, err
	}
	return appendCounts(nil, b.node.resp.Deliver(messages)), nil
}

// ask asks all nodes what PUBSUB asks.
func (b *bus) ask(ctx context.Context, question [][]byte) []resp.Value {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	others := b.others()
	values := make([]*resp.Value, len(others))
	var all sync.WaitGroup
	for i, p := range others {
		all.Go(func() {
			out, err := b.node.router.Load().Query(ctx, p.id, "pubsub", appendQuestion(nil, question))
			if err != nil {
				return
			}
			if v, rest, err := resp.DecodeBinary(out); err == nil && len(rest) == 0 {
				values[i] = &v
			}
		})
	}
	answers := []resp.Value{b.node.resp.PubSub(question)}
	all.Wait()
	for _, v := range values {
		if v != nil {
			answers = append(answers, *v)
		}
	}
	return answers
}

// answer answers what another node asks.
func (b *bus) answer(in []byte) ([]byte, error) {
	question, err := decodeQuestion(in)
	if err != nil {
		return nil, err
	}
	return b.node.resp.PubSub(question).AppendBinary(nil), nil
}
