package redisproto

import (
	"errors"
	"sync/atomic"
)

// errCrowded is returned when the commands and replies of all clients take too much
// memory for this one's.
var errCrowded = errors.New("redisproto: too much is kept for all clients together")

// bufferShare is what a client may have of the buffers even when all of them together
// have reached their limit: who reads slowly, but reads, is not to suffer for others.
const bufferShare = 128 << 10

// buffers bounds what all clients together keep in memory: commands that have not come
// to their end and replies that wait. A client's own limits allow it more than every
// client can have.
type buffers struct {
	limit atomic.Int64 // bytes; 0 for none
	held  atomic.Int64
}

// crowded reports whether a client that is to hold so many bytes, more than before,
// has to go.
func (b *buffers) crowded(own, more int64) bool {
	limit := b.limit.Load()
	return limit > 0 && own > bufferShare && b.held.Load()+more > limit
}
