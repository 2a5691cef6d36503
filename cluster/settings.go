package cluster

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/cluster/placement"
	"phonond/fsm"
	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// notifySetting chooses the events of keys that are published. The system group keeps
// it for all nodes.
const notifySetting = "notify-keyspace-events"

// The pace at which nodes take over a change of what all share.
const (
	followTimeout = 2 * time.Second
	followPause   = 5 * time.Millisecond
)

// eventClasses are the classes of events that are published now, and the channels.
func (n *Node) eventClasses() fsm.EventClass { return fsm.EventClass(n.events.Load()) }

// wantedEvents are those that a machine has to tell of: none if there is no channel for
// them.
func (n *Node) wantedEvents() fsm.EventClass {
	classes := n.eventClasses()
	if classes&(fsm.KeyspaceChannel|fsm.KeyeventChannel) == 0 {
		return 0
	}
	return classes
}

// eventClassError is what Redis says of a letter that is none.
type eventClassError struct{}

func (eventClassError) Error() string {
	return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
}

// notifyRow is the row of CONFIG for the events of keys. When SET returns, all nodes that
// can be reached go by it.
func (n *Node) notifyRow() redisproto.Setting {
	return redisproto.Setting{
		Name: notifySetting,
		Get:  func() string { return n.eventClasses().String() },
		Set: func(value string) (func(context.Context) error, error) {
			classes, ok := fsm.ParseEventClasses(value)
			if !ok {
				return nil, eventClassError{}
			}
			return func(ctx context.Context) error { return n.changeSetting(ctx, notifySetting, classLetters(classes)) }, nil
		},
	}
}

// classLetters are what classes are kept as. Their String has no n behind an A.
func classLetters(c fsm.EventClass) string {
	letters := c.String()
	if c&fsm.EventNew != 0 && !strings.Contains(letters, "n") {
		letters += "n"
	}
	return letters
}

// changeSetting changes a setting of all nodes, for good.
func (n *Node) changeSetting(ctx context.Context, name, value string) error {
	r := n.router.Load()
	if r == nil {
		return errNotUp
	}
	replies, err := r.Run(ctx, placement.System, systemCall("SYS.SETTING", name, value))
	if err != nil {
		return err
	}
	if v := replies[0]; v.Kind != resp.Integer {
		return errors.New(v.Str)
	}
	n.followAll(ctx, uint64(replies[0].Int))
	return nil
}

// followAll waits until all nodes that can be reached go by a state.
func (n *Node) followAll(ctx context.Context, epoch uint64) {
	n.changing.Lock() // other nodes answer few queries at a time
	defer n.changing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	var all sync.WaitGroup
	for _, node := range n.state.Load().Nodes {
		if node.ID == n.self.ID {
			continue
		}
		all.Go(func() {
			if _, err := n.router.Load().Query(ctx, node.ID, "follow", strconv.AppendUint(nil, epoch, 10)); err != nil {
				n.log.Warn("a node may not go by a changed setting yet", "other", node.ID, "error", err)
			}
		})
	}
	n.followUntil(ctx, epoch)
	all.Wait()
}

// followUntil takes over what the replica of the system group here says until that is
// of an epoch. It returns false if ctx ends first.
func (n *Node) followUntil(ctx context.Context, epoch uint64) bool {
	pause := time.NewTicker(followPause)
	defer pause.Stop()
	for n.state.Load().Epoch < epoch {
		if local := n.groups[placement.System]; local != nil {
			n.follow(local.Read(systemCall("SYS.STATE"))[0])
		}
		select {
		case <-ctx.Done():
			return false
		case <-pause.C:
		}
	}
	return true
}
