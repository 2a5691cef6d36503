package group

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"phonond/fsm"
	"phonond/redisproto/command"
)

// FuzzOpen: whatever bytes the log store gives back, they are refused or they are an
// entry that survives its own bytes; and of what was sealed, a byte that has changed,
// or up to four in a row, is always noticed.
func FuzzOpen(f *testing.F) {
	e := &fsm.Entry{Epoch: 1, Term: 7, Stamp: 1000, Requests: []fsm.Request{
		{Kind: fsm.OpenOrigin, Origin: 1, Node: "n"},
		{Kind: fsm.Run, Origin: 1, Seq: 1, Calls: []command.Call{{Args: [][]byte{[]byte("SET"), []byte("k"), []byte("v")}}}},
	}}
	for i, b := range [][]byte{e.Append(nil), (&fsm.Entry{}).Append(nil), {}, seal(e.Append(nil)), make([]byte, 40)} {
		f.Add(b, uint16(10*i), uint32(1)<<i)
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, damage uint32) {
		sealed := seal(bytes.Clone(b))
		checkOpened(t, b)
		checkOpened(t, sealed)
		checkOpened(t, sealed[:int(at)%len(sealed)])
		if damage == 0 {
			return
		}
		one := bytes.Clone(sealed)
		one[int(at)%len(one)] ^= byte(damage | 1)
		if _, err := open(one); !errors.Is(err, errDamaged) {
			t.Fatalf("%x damaged to %x: error %v", sealed, one, err)
		}
		if len(b) < 4 {
			return
		}
		four := bytes.Clone(sealed)
		for i := range 4 {
			four[int(at)%(len(b)-3)+i] ^= byte(damage >> (8 * i))
		}
		if _, err := open(four); !errors.Is(err, errDamaged) {
			t.Fatalf("%x damaged to %x: error %v", sealed, four, err)
		}
	})
}

// checkOpened opens bytes and checks what comes of it.
func checkOpened(t *testing.T, data []byte) {
	t.Helper()
	e, err := open(data)
	if err != nil {
		if e != nil || !errors.Is(err, errDamaged) && !errors.Is(err, fsm.ErrEntry) {
			t.Fatalf("%x: entry %v, error %v", data, e, err)
		}
		return
	}
	again, err := open(seal(e.Append(nil)))
	if err != nil || !reflect.DeepEqual(again, e) {
		t.Fatalf("%+v became %+v: %v", e, again, err)
	}
}
