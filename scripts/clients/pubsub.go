package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// pubSub subscribes through one node. What others publish arrives, through
// whichever node, in the order of each of them.
func (c *goClient) pubSub(ctx context.Context) error {
	const n = 100
	news := c.key("news")
	channels, patterns := c.Subscribe(ctx, news), c.PSubscribe(ctx, c.key("n?ws*"))
	defer channels.Close()
	defer patterns.Close()
	for _, sub := range []*redis.PubSub{channels, patterns} {
		if got, err := sub.Receive(ctx); err != nil {
			return fmt.Errorf("subscribe: %v, %w", got, err)
		}
	}
	publishers := []*redis.Client{c.Client, c.other}
	err := together(len(publishers), func(p int) error {
		for i := range n {
			if err := publishers[p].Publish(ctx, news, fmt.Sprintf("%d:%03d", p, i)).Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var want []string
	for p := range publishers {
		for i := range n {
			want = append(want, fmt.Sprintf("%d:%03d", p, i))
		}
	}
	for _, sub := range []*redis.PubSub{channels, patterns} {
		var got []string
		for range want {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				return fmt.Errorf("after %d messages: %w", len(got), err)
			}
			if m.Channel != news {
				return fmt.Errorf("a message of %s", m)
			}
			got = append(got, m.Payload)
		}
		// Only the publishers' shares may be mixed.
		slices.SortStableFunc(got, func(a, b string) int { return int(a[0]) - int(b[0]) })
		if !slices.Equal(got, want) {
			return fmt.Errorf("messages lost or out of order: %q", got)
		}
	}
	if err := channels.Ping(ctx, "here"); err != nil {
		return err
	}
	if pong, err := channels.Receive(ctx); err != nil || fmt.Sprint(pong) != "Pong<here>" {
		return fmt.Errorf("PING of a subscriber: %v, %w", pong, err)
	}
	return nil
}

// sharded does the same with a channel that has a slot: through one node it is
// subscribed to, through another it is published to.
func (c *goClient) sharded(ctx context.Context) error {
	name := c.key("shard")
	sub := c.SSubscribe(ctx, name)
	defer sub.Close()
	if got, err := sub.Receive(ctx); err != nil {
		return fmt.Errorf("subscribe: %v, %w", got, err)
	}
	for i := range 10 {
		if err := c.other.SPublish(ctx, name, i).Err(); err != nil {
			return err
		}
		if m, err := sub.ReceiveMessage(ctx); err != nil || m.Channel != name || m.Payload != fmt.Sprint(i) {
			return fmt.Errorf("message %d: %v, %w", i, m, err)
		}
	}
	return nil
}
