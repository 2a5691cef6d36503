package resp

import (
	"bufio"
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// every is one value of every kind, with its bytes in both protocols.
var every = []struct {
	v            Value
	resp2, resp3 string
}{
	{OK, "+OK\r\n", "+OK\r\n"},
	{ErrSyntax, "-ERR syntax error\r\n", "-ERR syntax error\r\n"},
	{Int64(-7), ":-7\r\n", ":-7\r\n"},
	{Flag(true), ":1\r\n", ":1\r\n"},
	{Str("a\r\n"), "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"},
	{Null, "$-1\r\n", "_\r\n"},
	{NullArray, "*-1\r\n", "_\r\n"},
	{EmptyArray, "*0\r\n", "*0\r\n"},
	{Strs("a", ""), "*2\r\n$1\r\na\r\n$0\r\n\r\n", "*2\r\n$1\r\na\r\n$0\r\n\r\n"},
	{Pairs(Str("k"), Int(1)), "*2\r\n$1\r\nk\r\n:1\r\n", "%1\r\n$1\r\nk\r\n:1\r\n"},
	{Value{Kind: Set, Elems: []Value{Str("m")}}, "*1\r\n$1\r\nm\r\n", "~1\r\n$1\r\nm\r\n"},
	{Value{Kind: Push, Elems: []Value{Str("m")}}, "*1\r\n$1\r\nm\r\n", ">1\r\n$1\r\nm\r\n"},
	{Value{Kind: Double, Str: "1.5"}, "$3\r\n1.5\r\n", ",1.5\r\n"},
	{Value{Kind: Bool, Int: 1}, ":1\r\n", "#t\r\n"},
	{Value{Kind: Bool}, ":0\r\n", "#f\r\n"},
	{Value{Kind: BigNumber, Str: "99"}, "$2\r\n99\r\n", "(99\r\n"},
	{Value{Kind: Verbatim, Str: "hi"}, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
	{Twos(Str("m"), Int(1)), "*2\r\n$1\r\nm\r\n:1\r\n", "*1\r\n*2\r\n$1\r\nm\r\n:1\r\n"},
}

func TestBytesInBothProtocols(t *testing.T) {
	for _, tt := range every {
		if got := string(tt.v.Append(nil, 2)); got != tt.resp2 {
			t.Errorf("%+v in RESP2: %q", tt.v, got)
		}
		if got := string(tt.v.Append(nil, 3)); got != tt.resp3 {
			t.Errorf("%+v in RESP3: %q", tt.v, got)
		}
	}
}

func TestBinaryKeepsEveryKind(t *testing.T) {
	var all []byte
	for _, tt := range every {
		all = tt.v.AppendBinary(all)
	}
	rest := all
	for _, tt := range every {
		v, after, err := DecodeBinary(rest)
		if err != nil || !reflect.DeepEqual(v, tt.v) {
			t.Fatalf("%+v came back as %+v, %v", tt.v, v, err)
		}
		rest = after
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestBinaryBoundsNesting(t *testing.T) {
	v := Int(1)
	for range MaxDepth - 1 {
		v = Value{Kind: Array, Elems: []Value{v}}
	}
	if got, rest, err := DecodeBinary(v.AppendBinary(nil)); err != nil || len(rest) > 0 || !reflect.DeepEqual(got, v) {
		t.Errorf("what is nested %d deep: %v", MaxDepth, err)
	}
	v = Value{Kind: Array, Elems: []Value{v}}
	if _, _, err := DecodeBinary(v.AppendBinary(nil)); err != ErrBadValue {
		t.Errorf("what is nested deeper: %v", err)
	}
}

func TestReadReadsWhatAppendWrote(t *testing.T) {
	for _, tt := range every {
		for _, wire := range []string{tt.resp2, tt.resp3} {
			v, err := Read(bufio.NewReader(strings.NewReader(wire)))
			if err != nil {
				t.Errorf("%q: %v", wire, err)
				continue
			}
			if got := string(v.Append(nil, 3)); wire == tt.resp3 && got != wire {
				t.Errorf("%q was read as %q", wire, got)
			}
		}
	}
	for _, bad := range []string{"x\r\n", "$5\r\nab\r\n", "*-2\r\n", ":1x\r\n", "+no end", "$99999999999\r\n", "=2\r\nab\r\n"} {
		if v, err := Read(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q was read as %+v", bad, v)
		}
	}
}

// FuzzDecodeBinary: whatever the bytes, there is a value that is written back to
// the same bytes, or an error.
func FuzzDecodeBinary(f *testing.F) {
	for _, tt := range every {
		f.Add(tt.v.AppendBinary(nil))
	}
	f.Add([]byte{byte(Array), 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{byte(Integer), 0x80, 0x00})            // a number longer than need be
	f.Add([]byte{byte(Map), 1, byte(Nil)})              // a key without a value
	f.Add([]byte{byte(Tuples), 1, byte(Integer), 0x02}) // half of a pair
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeBinary(b)
		if err != nil {
			if !errors.Is(err, ErrBadValue) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if used := b[:len(b)-len(rest)]; !bytes.Equal(v.AppendBinary(nil), used) {
			t.Errorf("%q was read as %+v, which is written %q", used, v, v.AppendBinary(nil))
		}
		for proto := 2; proto <= 3; proto++ {
			if wire := v.Append(nil, proto); !strings.ContainsAny(lineTexts(v), "\r\n") {
				r := bufio.NewReader(bytes.NewReader(wire))
				if _, err := Read(r); err != nil || r.Buffered() > 0 {
					t.Errorf("%+v is %q in RESP%d: %v, %d bytes left", v, wire, proto, err, r.Buffered())
				}
			}
		}
	})
}

// lineTexts returns the texts in v that end with their line.
func lineTexts(v Value) string {
	text := ""
	switch v.Kind {
	case Simple, Error, Double, BigNumber:
		text = v.Str
	}
	for _, e := range v.Elems {
		text += lineTexts(e)
	}
	return text
}
