package client

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// LockInfo is a lock or a semaphore as operators see it.
type LockInfo struct {
	Key     string   `json:"key"`
	Mode    string   `json:"mode"` // exclusive, shared or semaphore
	Native  bool     `json:"native"`
	DelayMs int64    `json:"delay-ms"`
	Limit   int64    `json:"limit"`      // of a semaphore
	FreeMs  int64    `json:"free-in-ms"` // -1 if nothing but its holders, or the end of a session, will free it
	Holders []Holder `json:"holders"`
	Queue   []InLine `json:"queue"` // in order
}

// Holder is one that has a lock or permits. What a Redis client has taken is known by its
// value, the owner, alone.
type Holder struct {
	Owner     string `json:"owner"`
	Token     uint64 `json:"token"`
	Holds     int64  `json:"holds"`
	Session   string `json:"session"`
	Client    string `json:"client"` // address, and name
	Meta      string `json:"meta"`
	HeldMs    int64  `json:"held-ms"`       // -1 if that is not known
	ExpiresMs int64  `json:"expires-in-ms"` // -1 for never
	Renewals  int64  `json:"renewals"`
}

// InLine is one that waits.
type InLine struct {
	Owner   string `json:"owner"`
	Mode    string `json:"mode"`
	AgeMs   int64  `json:"age-ms"`
	Client  string `json:"client"`
	Session string `json:"session"`
}

// SessionInfo is a session as operators see it.
type SessionInfo struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Meta   string   `json:"meta"`
	TTLMs  int64    `json:"ttl-ms"`
	OpenMs int64    `json:"open-ms"`
	Client string   `json:"client"`
	Conn   bool     `json:"conn"`   // a connection keeps it
	Losses int64    `json:"losses"` // how much was taken from it
	Groups []string `json:"groups"` // that have a part of it
}

// ReferenceInfo is a resource with its references as operators see it.
type ReferenceInfo struct {
	Count         int64             `json:"count"`
	Generation    uint64            `json:"generation"`
	TimesModified int64             `json:"times-modified"`
	Processes     []ReferenceHolder `json:"processes"`
	Completions   []CompletionInfo  `json:"completions"`
}

// ReferenceHolder is a process that has a reference; those of phonon's own have no session.
type ReferenceHolder struct {
	Process string `json:"process"`
	Session string `json:"session"`
	Client  string `json:"client"`
	HeldMs  int64  `json:"held-ms"`
}

// CompletionInfo is a completion that is not done.
type CompletionInfo struct {
	Generation uint64 `json:"generation"`
	Last       string `json:"last"`     // the process that had the last reference
	Executor   string `json:"executor"` // empty if nobody executes it
	Token      uint64 `json:"token"`
}

// Audit is a lock that was taken by force.
type Audit struct {
	TimeMs int64  `json:"time-ms"` // unix time
	Key    string `json:"key"`
	DB     int    `json:"db"`
	Owner  string `json:"owner"`
	Token  uint64 `json:"token"`
	Holder string `json:"holder"` // the owner's client
	Reason string `json:"reason"`
	Client string `json:"client"` // who took it
}

// LockFilter says which locks are listed.
type LockFilter struct {
	Match string        // a pattern as in KEYS; empty: what was taken by LOCK.ACQUIRE and its like, and *.lock
	Older time.Duration // held for so long
	NoTTL bool          // that no time will free
}

// Locks lists locks and semaphores.
func (a Admin) Locks(ctx context.Context, f LockFilter) ([]LockInfo, error) {
	args := []any{"LOCK.LIST", "0", "COUNT", 1000}
	if f.Match != "" {
		args = append(args, "MATCH", f.Match)
	}
	if f.Older > 0 {
		args = append(args, "OLDER", f.Older.Milliseconds())
	}
	if f.NoTTL {
		args = append(args, "NOTTL")
	}
	all := []LockInfo{}
	for {
		v, err := a.c.read(ctx, args...)
		if err != nil {
			return nil, err
		}
		page, ok := v.([]any)
		if !ok || len(page) != 2 {
			return nil, errReply
		}
		var list []LockInfo
		if err := decode(reflect.ValueOf(&list).Elem(), page[1]); err != nil {
			return nil, err
		}
		all = append(all, list...)
		if args[1], ok = page[0].(string); !ok {
			return nil, errReply
		}
		if args[1] == "0" {
			return all, nil
		}
	}
}

// Lock describes a lock or semaphore. The error is redis.Nil if nobody has it.
func (a Admin) Lock(ctx context.Context, key string) (LockInfo, error) {
	l, err := readOne[LockInfo](ctx, a.c, "LOCK.INFO", key)
	l.Key = key
	return l, err
}

// ForceLock takes a lock from the holder with a token. It returns false if there is none.
func (a Admin) ForceLock(ctx context.Context, key string, token uint64, reason string) (bool, error) {
	n, err := number(a.c.Do(ctx, "LOCK.FORCE", key, strconv.FormatUint(token, 10), "REASON", reason))
	return n == 1, err
}

// Audits lists what was taken by force, the latest first.
func (a Admin) Audits(ctx context.Context) ([]Audit, error) {
	return readAll[Audit](ctx, a.c, "LOCK.AUDIT")
}

// Sessions lists the sessions.
func (a Admin) Sessions(ctx context.Context) ([]SessionInfo, error) {
	return readAll[SessionInfo](ctx, a.c, "SESSION.LIST")
}

// CloseSession ends a session. It returns false if there is none.
func (a Admin) CloseSession(ctx context.Context, id string) (bool, error) {
	n, err := number(a.c.Do(ctx, "SESSION.CLOSE", id))
	return n == 1, err
}

// References describes the references to a resource.
func (a Admin) References(ctx context.Context, resource string) (ReferenceInfo, error) {
	return readOne[ReferenceInfo](ctx, a.c, "REF.INFO", resource)
}

// Pending lists the resources with completions that nobody executes.
func (a Admin) Pending(ctx context.Context) (list []string, err error) {
	v, err := a.c.read(ctx, "REF.PENDING")
	if err != nil {
		return nil, err
	}
	return list, decode(reflect.ValueOf(&list).Elem(), v)
}

// readOne reads a mapping.
func readOne[T any](ctx context.Context, c *Client, args ...any) (one T, err error) {
	v, err := c.read(ctx, args...)
	if err != nil {
		return one, err
	}
	if v == nil {
		return one, redis.Nil
	}
	return one, decode(reflect.ValueOf(&one).Elem(), v)
}

// IsNil reports whether an error says that there is nothing to be described.
func IsNil(err error) bool { return errors.Is(err, redis.Nil) }
