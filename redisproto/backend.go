package redisproto

import (
	"context"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Backend is what lies behind the connections: the data, and the other nodes.
// Connections call its methods concurrently. Each has to return soon after ctx is
// cancelled, and all but Wait in bounded time in any case.
//
// Spec is set in every call, to the subcommand's for a container, and the number of
// arguments fits it. Nothing writes to calls and the arguments in them before a method
// returns. After that the slice of calls is used again. The bytes of the arguments are
// not, but one argument keeps a whole command in memory: copy what is kept.
type Backend interface {
	// Specs returns the specs of all data commands, always the same. It is
	// called once.
	Specs() []*command.Spec
	// Do executes calls in order and returns one reply for each.
	Do(ctx context.Context, calls []command.Call) []resp.Value
	// Watch returns the versions that keys have, for Exec. An error reply says why it
	// cannot.
	Watch(ctx context.Context, db int, keys [][]byte) (versions []command.KeyVersion, fault resp.Value)
	// Exec executes calls as one: nothing of others comes between them. The reply is
	// an array of theirs; [resp.NilArray] if a watched key has another version now, and
	// nothing was done; or an error, such as for keys of several groups.
	Exec(ctx context.Context, watched []command.KeyVersion, calls []command.Call) resp.Value
	// Timeout returns how long a call of a blocking command may wait, 0 for ever, and
	// below 0 if it does not: Do executes it. With a fault Do answers it with the right
	// error.
	Timeout(call command.Call) (timeout time.Duration, fault resp.Value)
	// Wait executes a call of a blocking command. While there is nothing for it, it
	// waits: those who wait for a key are served in the order in which they came. ok is
	// false when ctx ended first: then nothing was taken, and nothing will be.
	Wait(ctx context.Context, call command.Call) (reply resp.Value, ok bool)
	// Undo puts back what Wait took, for a client that is no more there to get it.
	Undo(call command.Call, reply resp.Value)
	// Replicas returns how many other nodes have every acknowledged write, at least.
	Replicas() int
	// Publish sends messages to the subscribers on all nodes, in order, this one
	// included ([Server.Deliver]), and returns for each how many got it.
	Publish(ctx context.Context, messages []Message) []int
	// PubSub asks every node, this one included, what its [Server.PubSub] answers.
	// Nodes that cannot be reached are left out.
	PubSub(ctx context.Context, question [][]byte) []resp.Value
}

// Message is what PUBLISH sends to a channel, or SPUBLISH to a shard channel.
type Message struct {
	Shard   bool
	Channel string
	Payload string
}
