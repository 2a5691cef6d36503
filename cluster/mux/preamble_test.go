package mux

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

var samplePreamble = Preamble{Service: Raft, Cluster: ClusterID{1, 2, 3}, Epoch: 1<<48 + 5,
	Group: "us-east-1", From: "node-1", Region: "us-east-1", To: "node-2"}

func TestPreambleBytes(t *testing.T) {
	const want = "PHND\x01\x01" + "\x01\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x01\x00\x00\x00\x00\x00\x05" + "\x09us-east-1" + "\x06node-1" + "\x09us-east-1" + "\x06node-2"
	b := samplePreamble.append(nil)
	if string(b) != want {
		t.Fatalf("%q\nwant %q", b, want)
	}
	rest := strings.NewReader(string(b) + "service")
	got, err := readPreamble(rest)
	if got != samplePreamble || err != nil || rest.Len() != len("service") {
		t.Fatalf("%+v, %v; %d bytes left", got, err, rest.Len())
	}
	for n := range len(b) {
		if _, err := readPreamble(bytes.NewReader(b[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

func TestPreambleCheck(t *testing.T) {
	for name, spoil := range map[string]func(*Preamble){
		"service 0":      func(p *Preamble) { p.Service = 0 },
		"service 9":      func(p *Preamble) { p.Service = 9 },
		"no caller":      func(p *Preamble) { p.From = "" },
		"no region":      func(p *Preamble) { p.Region = "" },
		"no target":      func(p *Preamble) { p.To = "" },
		"line in group":  func(p *Preamble) { p.Group = "a\nb" },
		"slash in name":  func(p *Preamble) { p.From = "a/b" },
		"dots for name":  func(p *Preamble) { p.From = ".." },
		"name too long":  func(p *Preamble) { p.To = strings.Repeat("x", MaxName+1) },
		"region in utf8": func(p *Preamble) { p.Region = "éu" },
	} {
		p := samplePreamble
		spoil(&p)
		if _, err := readPreamble(bytes.NewReader(p.append(nil))); !errors.Is(err, errPreamble) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusalTravels(t *testing.T) {
	for code, reason := range reasons[1:] {
		sent := &Refusal{Reason: reason, Epoch: 7, Text: "because\n" + strings.Repeat("x", 600)}
		b := sent.append(nil)
		if b[0] != byte(code+1) {
			t.Errorf("%v has code %d on the wire", reason, b[0])
		}
		var got *Refusal
		err := readAnswer(bytes.NewReader(b))
		if !errors.As(err, &got) || !errors.Is(err, reason) || !errors.Is(err, ErrRefused) || got.Epoch != 7 || !strings.HasPrefix(got.Text, `because\nxx`) {
			t.Errorf("%v came as %v", sent, err)
		}
	}
	if err := readAnswer(strings.NewReader("\xc8" + strings.Repeat("\x00", 10))); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("an unknown code: %v", err)
	}
	if err := readAnswer(strings.NewReader("\x01" + strings.Repeat("\xff", 10))); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("a text that is too long: %v", err)
	}
}

func FuzzReadPreamble(f *testing.F) {
	f.Add(samplePreamble.append(nil))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte("PHND\x01\x03" + strings.Repeat("\x00", 24) + "\x00\x01a\x01b\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := readPreamble(r)
		used := b[:len(b)-r.Len()]
		if len(used) > preambleHead+4*(1+MaxName) {
			t.Fatalf("read %d bytes", len(used))
		}
		if err == nil && !bytes.Equal(p.append(nil), used) {
			t.Fatalf("%q was read as %+v", used, p)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte{0})
	f.Add(refuse(ErrWrongNode, "this is node %s", "b").append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r *Refusal
		if err := readAnswer(bytes.NewReader(b)); errors.As(err, &r) && (r.Reason == nil || strings.ContainsAny(r.Text, "\n\x00\x1b")) {
			t.Fatalf("%q was read as %v", b, err)
		}
	})
}
