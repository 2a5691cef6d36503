package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"phonond/fsm"
	"phonond/redisproto"
)

// The bounds of the events that wait to be published, in bytes, and of what is
// published at once.
const (
	maxEvents  = 8 << 20
	eventCost  = 64 // beside the key
	eventBatch = 256 << 10
)

// notifier publishes the events of one group's keys, in their order. What comes faster
// than it can be sent on is dropped.
type notifier struct {
	// channels are those on which events are wanted now.
	channels func() fsm.EventClass
	publish  func([]redisproto.Message)
	dropped  *atomic.Int64

	mu     sync.Mutex
	queued []fsm.Event
	size   int
	wake   chan struct{}
}

func newNotifier(channels func() fsm.EventClass, publish func([]redisproto.Message), dropped *atomic.Int64) *notifier {
	return &notifier{channels: channels, publish: publish, dropped: dropped, wake: make(chan struct{}, 1)}
}

// add takes the events of an entry. It does not block.
func (q *notifier) add(events []fsm.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, e := range events {
		size := len(e.Key) + eventCost
		if q.size > 0 && q.size+size > maxEvents {
			q.dropped.Add(int64(len(events) - i))
			break
		}
		q.size += size
		q.queued = append(q.queued, e)
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run publishes until ctx ends.
func (q *notifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		q.mu.Lock()
		events := q.queued
		q.queued, q.size = nil, 0
		q.mu.Unlock()
		q.publishAll(events)
	}
}

func (q *notifier) publishAll(events []fsm.Event) {
	channels := q.channels()
	var batch []redisproto.Message
	size := 0
	for _, e := range events {
		batch = appendEvent(batch, e, channels)
		if size += len(e.Key) + eventCost; size >= eventBatch {
			q.publish(batch)
			batch, size = nil, 0
		}
	}
	if len(batch) > 0 {
		q.publish(batch)
	}
}

// appendEvent makes messages of an event, as Redis does and in its order.
func appendEvent(messages []redisproto.Message, e fsm.Event, channels fsm.EventClass) []redisproto.Message {
	if channels&fsm.KeyspaceChannel != 0 {
		messages = append(messages, redisproto.Message{Channel: fmt.Sprintf("__keyspace@%d__:%s", e.DB, e.Key), Payload: e.Name})
	}
	if channels&fsm.KeyeventChannel != 0 {
		messages = append(messages, redisproto.Message{Channel: fmt.Sprintf("__keyevent@%d__:%s", e.DB, e.Name), Payload: e.Key})
	}
	return messages
}
