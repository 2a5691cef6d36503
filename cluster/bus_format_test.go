package cluster

import (
	"bytes"
	"reflect"
	"testing"

	"phonond/redisproto"
)

func FuzzMessages(f *testing.F) {
	f.Add(appendMessages(nil, []redisproto.Message{{Channel: "news", Payload: "a\r\nb"}, {Shard: true}, {Channel: string(bytes.Repeat([]byte("x"), 300))}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0}) // a count that is a lie
	f.Add([]byte{1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := decodeMessages(b)
		if err != nil {
			return
		}
		again, err := decodeMessages(appendMessages(nil, messages))
		if err != nil || !reflect.DeepEqual(again, messages) {
			t.Errorf("%v does not survive: %v, %v", messages, again, err)
		}
	})
}

func FuzzQuestion(f *testing.F) {
	f.Add(appendQuestion(nil, [][]byte{[]byte("PUBSUB"), []byte("NUMSUB"), {}}))
	f.Add([]byte{5, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		question, err := decodeQuestion(b)
		if err != nil {
			return
		}
		again, err := decodeQuestion(appendQuestion(nil, question))
		if err != nil || !reflect.DeepEqual(again, question) {
			t.Errorf("%q does not survive: %q, %v", question, again, err)
		}
	})
}

func TestCounts(t *testing.T) {
	counts := []int{0, 3, 1 << 20}
	b := appendCounts(nil, counts)
	if got, err := decodeCounts(b, len(counts)); err != nil || !reflect.DeepEqual(got, counts) {
		t.Errorf("%v, %v", got, err)
	}
	for what, bad := range map[string][]byte{"one too few": b[:2], "one too many": append(b, 1), "none": nil} {
		if got, err := decodeCounts(bad, len(counts)); err == nil {
			t.Errorf("%s: %v", what, got)
		}
	}
}
