package route

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

func FuzzReadFrame(f *testing.F) {
	payload := func(b []byte) []byte { return append(b, "payload"...) }
	f.Add(appendFrame(appendFrame(nil, frameWrite, 7, payload), framePing, 0, func(b []byte) []byte { return b }))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 1, 1})
	f.Add([]byte{4, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1, 'x'}) // 64 MiB that do not come
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		var again []byte
		for {
			fr, err := readFrame(r)
			if err != nil {
				break
			}
			again = appendFrame(again, fr.kind, fr.id, func(b []byte) []byte { return append(b, fr.payload...) })
		}
		if !bytes.HasPrefix(b, again) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}

func TestFrameBounds(t *testing.T) {
	header := func(length uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, length), make([]byte, 9)...)
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want error
	}{
		{"too short", header(8), errFrame},
		{"too long", header(maxFrame + 10), errFrame},
		{"cut off in the header", header(9)[:6], io.ErrUnexpectedEOF},
		{"cut off in a short payload", append(header(9+5), "abc"...), io.ErrUnexpectedEOF},
		{"cut off in a long payload", append(header(9+2<<20), "abc"...), io.ErrUnexpectedEOF},
		{"nothing", nil, io.EOF},
		{"empty payload", header(9), nil},
	} {
		if _, err := readFrame(bufio.NewReader(bytes.NewReader(tc.in))); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, not %v", tc.name, err, tc.want)
		}
	}
	large := bytes.Repeat([]byte("x"), 3<<20)
	b := appendFrame(nil, frameRead, 1<<60, func(b []byte) []byte { return append(b, large...) })
	if f, err := readFrame(bufio.NewReader(bytes.NewReader(b))); err != nil || f.id != 1<<60 || f.kind != frameRead || !bytes.Equal(f.payload, large) {
		t.Errorf("a large frame comes back with %d bytes, id %d, kind %d (%v)", len(f.payload), f.id, f.kind, err)
	}
}

// FuzzDecodeAnswer: what cannot be read leaves the outcome open, and what can is
// what was sent.
func FuzzDecodeAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add(appendAnswer(nil, a))
	}
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		a := decodeAnswer(b)
		if a.err == nil && !sameAnswer(decodeAnswer(appendAnswer(nil, a)), a) {
			t.Errorf("%x: %+v does not survive", b, a)
		}
	})
}

var answers = []answer{
	{},
	{hint: "east-1", err: group.ErrNotLeader},
	{replies: []resp.Value{resp.OK, resp.Int(-3), resp.Str("x"), resp.Null, resp.List(resp.Int(1), resp.EmptyArray)}},
	{data: []byte(`{"group":"east"}`)},
}

// sameAnswer compares without telling nil from empty.
func sameAnswer(a, b answer) bool {
	return bytes.Equal(appendAnswer(nil, a), appendAnswer(nil, b)) && a.hint == b.hint
}

func TestAnswersSurviveTheWire(t *testing.T) {
	for _, a := range answers {
		if got := decodeAnswer(appendAnswer(nil, a)); !sameAnswer(got, a) || !errors.Is(got.err, a.err) {
			t.Errorf("%+v arrives as %+v", a, got)
		}
	}
	seen := map[error]bool{}
	for code, err := range wireErrors {
		if code == 0 || seen[err] {
			t.Errorf("error %d (%v) is not told apart", code, err)
		}
		seen[err] = true
		if got := decodeAnswer(appendAnswer(nil, answer{err: err})); !errors.Is(got.err, err) {
			t.Errorf("%v arrives as %v", err, got.err)
		}
	}
	if got := decodeAnswer(appendAnswer(nil, answer{err: io.EOF})); !errors.Is(got.err, group.ErrUncertain) {
		t.Errorf("an error without a number arrives as %v", got.err)
	}
}

func FuzzCutString(f *testing.F) {
	f.Add(append(appendString(nil, "east"), "rest"...))
	f.Add([]byte{0x80})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := cutString(b)
		if err == nil && !bytes.HasSuffix(b, append([]byte(s), rest...)) {
			t.Errorf("%x is cut into %q and %x", b, s, rest)
		}
	})
}

func FuzzDecodePulse(f *testing.F) {
	f.Add(appendPulse(nil, group.Pulse{Term: 3, Index: 99, Clock: 1 << 40, Space: group.Space{Level: group.SpaceLow, Free: 1 << 30, Room: 7}}))
	f.Add([]byte{0x80, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePulse(b)
		if err != nil {
			return
		}
		if again, err := decodePulse(appendPulse(nil, p)); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v does not survive: %+v, %v", p, again, err)
		}
	})
}
