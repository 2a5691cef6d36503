package route

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A link between two nodes carries frames, described in docs/formats.md:
//
//	length   uint32, of what follows
//	type     byte
//	id       uint64, chosen by the side that asks; the answer has the same
//	payload  the rest
type frameType byte

const (
	frameWrite  frameType = 1 + iota // group, then an encoded request
	frameRead                        // group, then encoded calls
	frameReply                       // status, hint, then replies
	frameQuery                       // name, then JSON
	framePing                        // nothing; answered by a reply
	frameAgain                       // a write of which an earlier attempt may have been applied
	framePulse                       // group; answered by its replica's term, clock and disk
	frameWait                        // whether it is over, how long it has been, group, then an encoded request; answered when it is served
	frameCancel                      // nothing; the frameWait with this id is over
	framePost                        // node, origin, then what its Post was given
)

// maxFrame bounds a frame: the largest query a client may send, and room.
const maxFrame = 80 << 20

// errFrame is returned for bytes that are not a frame.
var errFrame = errors.New("malformed frame")

type frame struct {
	kind    frameType
	id      uint64
	payload []byte
}

const frameHeader = 4 + 1 + 8

// appendFrame appends a frame whose payload is written by fill.
func appendFrame(b []byte, kind frameType, id uint64, fill func([]byte) []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(kind))
	b = binary.BigEndian.AppendUint64(b, id)
	b = fill(b)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// readFrame reads one frame. Its payload is the caller's to keep.
func readFrame(r *bufio.Reader) (frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := int64(binary.BigEndian.Uint32(head[:])) - (frameHeader - 4)
	if n < 0 || n > maxFrame {
		return frame{}, fmt.Errorf("%w: length %d", errFrame, n)
	}
	f := frame{kind: frameType(head[4]), id: binary.BigEndian.Uint64(head[5:])}
	if n <= 1<<20 {
		f.payload = make([]byte, n)
		_, err := io.ReadFull(r, f.payload)
		return f, err
	}
	// A long one is taken as it comes: the length may be a lie.
	var err error
	f.payload, err = io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(f.payload)) < n {
		err = io.ErrUnexpectedEOF
	}
	return f, err
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// cutString reads what appendString wrote and returns what follows.
func cutString(b []byte) (string, []byte, error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return "", nil, errFrame
	}
	b = b[used:]
	return string(b[:n]), b[n:], nil
}
