package cluster

import (
	"encoding/binary"
	"errors"

	"phonond/redisproto"
)

// errBus is returned for bytes that are not messages, or not the answer to them.
var errBus = errors.New("malformed messages")

// appendMessages encodes messages as described in docs/formats.md.
func appendMessages(b []byte, messages []redisproto.Message) []byte {
	b = binary.AppendUvarint(b, uint64(len(messages)))
	for i := range messages {
		m := &messages[i]
		kind := byte(0)
		if m.Shard {
			kind = 1
		}
		b = append(b, kind)
		for _, s := range [...]string{m.Channel, m.Payload} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

func decodeMessages(b []byte) ([]redisproto.Message, error) {
	d := decoder{b: b}
	n := d.number()
	messages := make([]redisproto.Message, 0, min(n, 1024)) // the count may be a lie
	for range n {
		kind := d.take(1)
		if d.bad || kind[0] > 1 {
			return nil, errBus
		}
		messages = append(messages, redisproto.Message{Shard: kind[0] == 1, Channel: d.text(), Payload: d.text()})
	}
	return messages, d.end()
}

// appendCounts encodes how many subscribers each message got to.
func appendCounts(b []byte, counts []int) []byte {
	for _, n := range counts {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// decodeCounts reads the counts of so many messages.
func decodeCounts(b []byte, messages int) ([]int, error) {
	d := decoder{b: b}
	counts := make([]int, messages)
	for i := range counts {
		counts[i] = int(uint32(d.number()))
	}
	return counts, d.end()
}

// appendQuestion encodes the arguments of PUBSUB.
func appendQuestion(b []byte, question [][]byte) []byte {
	for _, arg := range question {
		b = binary.AppendUvarint(b, uint64(len(arg)))
		b = append(b, arg...)
	}
	return b
}

func decodeQuestion(b []byte) ([][]byte, error) {
	d := decoder{b: b}
	var question [][]byte
	for len(d.b) > 0 {
		question = append(question, d.take(d.number()))
	}
	return question, d.end()
}

// decoder reads what was appended. Once something is bad, all that follows is empty.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	n, used := binary.Uvarint(d.b)
	if used <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) text() string { return string(d.take(d.number())) }

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errBus
	}
	return nil
}
