package mux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrRefused is returned, inside a *Refusal, when the other node answered and
// would not have the connection. Nothing of the service's was decoded there. One
// of the errors below says why.
var ErrRefused = errors.New("mux: connection refused by the node")

var (
	// ErrBadPreamble is returned when the other side could not read our preamble:
	// it speaks another version, or is no phonond.
	ErrBadPreamble = errors.New("bad preamble")
	// ErrWrongCluster is returned when the node belongs to another cluster, or to none.
	ErrWrongCluster = errors.New("wrong cluster")
	// ErrWrongNode is returned when another node than the one meant lives at the address.
	ErrWrongNode = errors.New("wrong node")
	// ErrIdentity is returned when a certificate is not that of the node, region
	// and cluster in the preamble, by either side.
	ErrIdentity = errors.New("identity does not match the certificate")
	// ErrUnknownService is returned when the node does not serve that service or
	// group, or not yet.
	ErrUnknownService = errors.New("unknown service or group")
	// ErrStaleEpoch is returned when the node knows a newer epoch of the group
	// than the caller, which must stop acting for the group.
	ErrStaleEpoch = errors.New("stale epoch")
	// ErrBusy is returned when the node holds as many connections of the caller as it allows.
	ErrBusy = errors.New("too many connections")
)

// reasons are the refusals by their code on the wire, which is the place in the
// list. Zero is the code for yes.
var reasons = [...]error{nil, ErrBadPreamble, ErrWrongCluster, ErrWrongNode, ErrIdentity, ErrUnknownService, ErrStaleEpoch, ErrBusy}

// Refusal is why a node would not have a connection. errors.Is finds both
// ErrRefused and the reason in it.
type Refusal struct {
	Reason error  // one of the errors above
	Epoch  uint64 // the epoch of the group that the other node knows, with ErrStaleEpoch
	Text   string // for people
}

func (r *Refusal) Error() string   { return fmt.Sprintf("%v: %v: %s", ErrRefused, r.Reason, r.Text) }
func (r *Refusal) Unwrap() []error { return []error{ErrRefused, r.Reason} }

func refuse(reason error, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// maxText bounds a refusal's text on the wire, in bytes.
const maxText = 512

// The acceptor's answer is one byte: 0 for yes, or a code. After a code come
//
//	u64  the epoch of the group, big endian; 0 where it does not matter
//	u16  length of the text
//	     the text
func (r *Refusal) append(b []byte) []byte {
	for code, reason := range reasons {
		if reason == r.Reason {
			b = append(b, byte(code))
		}
	}
	text := r.Text[:min(len(r.Text), maxText)]
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

// readAnswer reads the acceptor's answer: nil for yes, a *Refusal, or what the
// reader failed with.
func readAnswer(r io.Reader) error {
	var code [1]byte
	if _, err := io.ReadFull(r, code[:]); err != nil {
		return err
	}
	if code[0] == 0 {
		return nil
	}
	var head [10]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint16(head[8:])
	if int(code[0]) >= len(reasons) || n > maxText {
		return fmt.Errorf("mux: answer %d is not one that this version knows", code[0])
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return &Refusal{Reason: reasons[code[0]], Epoch: binary.BigEndian.Uint64(head[:]), Text: printable(text)}
}

// printable makes another node's words fit for a log line.
func printable(text []byte) string {
	return strings.Trim(strconv.QuoteToASCII(string(text)), `"`)
}
