package route

import (
	"encoding/binary"
	"errors"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// Errors that a link adds to those of package group.
var (
	// ErrUnreachable is returned when a node could not be reached. Nothing was
	// sent to it.
	ErrUnreachable = errors.New("the node cannot be reached")
	// ErrNoReplica is returned by a node that has no replica of the group.
	ErrNoReplica = errors.New("the node has no replica of the group")
	// ErrRefused is returned by a node that could not read a request, or does not
	// know its command. Nothing was applied.
	ErrRefused = errors.New("the request was refused")
	// ErrTooLarge is returned by a node whose replies to a request do not fit into a
	// frame. What the request was to do is done.
	ErrTooLarge = errors.New("the replies are too large")
)

// wireErrors numbers the errors that a node may answer with. The numbers are
// part of the link's format.
var wireErrors = map[byte]error{
	1:           group.ErrNotLeader,
	2:           group.ErrUncertain,
	3:           group.ErrBusy,
	4:           group.ErrUnknownOrigin,
	5:           group.ErrConflict,
	6:           group.ErrStopped,
	7:           ErrNoReplica,
	8:           ErrRefused,
	9:           ErrTooLarge,
	codeNoSpace: group.ErrNoSpace,
	11:          group.ErrCancelled,
	12:          group.ErrNoMemory,
}

// codeNoSpace is followed by the level and the nodes of a [group.NoSpaceError].
const codeNoSpace = 10

// notApplied reports whether err says that this attempt applied nothing.
func notApplied(err error) bool {
	return !errors.Is(err, group.ErrUncertain) && !errors.Is(err, group.ErrStopped)
}

// settled reports whether err will not be another one if the request is sent again.
func settled(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrTooLarge) || errors.Is(err, group.ErrNoSpace) || errors.Is(err, group.ErrNoMemory)
}

// answer is what an attempt came back with.
type answer struct {
	replies []resp.Value
	err     error
	hint    string // the leader, as far as the answering node knows
	// at is set instead of replies when reads may now be answered by the replica
	// here: whoever waits does that itself, beside the others.
	at   *group.Group
	data []byte // of a query
}

// maxAnswer bounds the replies of one answer. It leaves room in a frame for what
// each of them takes besides its text.
const maxAnswer = 64 << 20

func appendAnswer(b []byte, a answer) []byte {
	size := int64(0)
	for _, v := range a.replies {
		size += v.Size()
	}
	if size > maxAnswer {
		a = answer{err: ErrTooLarge, hint: a.hint}
	}
	code := byte(0)
	if a.err != nil {
		code = 2 // an error without a number leaves the outcome open
		for c, err := range wireErrors {
			if errors.Is(a.err, err) {
				code = c
			}
		}
	}
	b = append(b, code)
	b = appendString(b, a.hint)
	switch code {
	case 0:
	case codeNoSpace:
		why, ok := errors.AsType[*group.NoSpaceError](a.err)
		if !ok {
			why = &group.NoSpaceError{Level: group.SpaceFull}
		}
		return append(append(b, byte(why.Level)), why.Where...)
	default:
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(a.replies)))
	for _, v := range a.replies {
		b = v.AppendBinary(b)
	}
	return append(b, a.data...)
}

func decodeAnswer(b []byte) answer {
	if len(b) == 0 {
		return answer{err: group.ErrUncertain}
	}
	code := b[0]
	hint, b, err := cutString(b[1:])
	if err != nil {
		return answer{err: group.ErrUncertain}
	}
	a := answer{hint: hint}
	if code != 0 {
		switch a.err = wireErrors[code]; {
		case a.err == nil, code == codeNoSpace && (len(b) == 0 || b[0] > byte(group.SpaceFull)):
			a.err = group.ErrUncertain
		case code == codeNoSpace:
			a.err = &group.NoSpaceError{Level: group.Level(b[0]), Where: string(b[1:])}
		}
		return a
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)) {
		return answer{err: group.ErrUncertain}
	}
	b = b[used:]
	// A reply takes far more memory than its bytes: the count may be a lie.
	if n > 0 {
		a.replies = make([]resp.Value, 0, min(n, maxCalls))
	}
	for range n {
		var v resp.Value
		if v, b, err = resp.DecodeBinary(b); err != nil {
			return answer{err: group.ErrUncertain}
		}
		a.replies = append(a.replies, v)
	}
	a.data = b
	return a
}
