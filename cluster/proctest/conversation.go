package proctest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"phonond/redisproto/resp"
)

// exchange is one line of a conversation: what client Conn asked and got.
type exchange struct {
	Conn  int    `json:"conn"`
	Req   []text `json:"req"`
	Reply any    `json:"reply"`
}

// text is a string, or {"latin1": "..."} for one whose bytes are not ASCII.
type text string

func (s *text) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	str, ok := bytesOf(v)
	*s = text(str)
	if !ok {
		return fmt.Errorf("%s is no string", b)
	}
	return nil
}

func bytesOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case map[string]any:
		latin1, ok := v["latin1"].(string)
		b := make([]byte, 0, len(latin1))
		for _, r := range latin1 {
			b = append(b, byte(r))
		}
		return string(b), ok
	}
	return "", false
}

// Replay has a recorded conversation, the file of that path, with a server that is
// empty and knows no script, and returns how many replies it compared. It ends at the
// first that is not the recorded one.
func Replay(addr, path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	conns := map[int]*Conn{}
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return n, fmt.Errorf("%s, line %d: %w", filepath.Base(path), n+1, err)
		}
		if conns[e.Conn] == nil {
			if conns[e.Conn], err = Dial(addr); err != nil {
				return n, err
			}
		}
		args := make([]string, len(e.Req))
		for i, a := range e.Req {
			args[i] = string(a)
		}
		got, err := conns[e.Conn].Do(args...)
		n++
		if err == nil {
			err = equal(args, e.Reply, got)
		}
		if err != nil {
			return n, fmt.Errorf("%s, line %d: %q: %w", filepath.Base(path), n, args, err)
		}
	}
	return n, lines.Err()
}

// equal compares a reply with the recorded one. The order of some replies is
// free, some are drawn by lot, and of errors the first word counts.
func equal(args []string, want any, got resp.Value) error {
	switch cmd := strings.ToUpper(args[0]); cmd {
	case "SRANDMEMBER":
		if list, ok := want.([]any); ok && len(list) != len(got.Elems) || !ok && (want == nil) != (got.Kind == resp.Nil) {
			return fmt.Errorf("got %v, recorded is %v", got, want)
		}
		return nil
	case "HGETALL", "HKEYS", "SMEMBERS":
		list, ok := want.([]any)
		if !ok || got.Kind != resp.Array {
			break
		}
		step := 1
		if cmd == "HGETALL" {
			step = 2
		}
		a, errA := groupsOf(list, step)
		b, errB := groupsOf(recorded(got).([]any), step)
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			return fmt.Errorf("got %v, recorded is %v", got, want)
		}
		return nil
	}
	a, errA := json.Marshal(firstWord(want))
	b, errB := json.Marshal(firstWord(recorded(got)))
	if errA != nil || errB != nil || string(a) != string(b) {
		return fmt.Errorf("got %s, recorded is %s", b, a)
	}
	return nil
}

// groupsOf returns the elements, step at a time, sorted.
func groupsOf(list []any, step int) ([]string, error) {
	var groups []string
	for group := range slices.Chunk(list, step) {
		b, err := json.Marshal(group)
		if err != nil {
			return nil, err
		}
		groups = append(groups, string(b))
	}
	slices.Sort(groups)
	return groups, nil
}

// recorded returns a reply as the conversations write it.
func recorded(v resp.Value) any {
	switch v.Kind {
	case resp.Simple:
		return map[string]any{"status": v.Str}
	case resp.Error:
		return map[string]any{"error": v.Str}
	case resp.Integer:
		return float64(v.Int)
	case resp.Nil:
		return nil
	case resp.NilArray:
		return map[string]any{"nil": "array"}
	case resp.Array:
		list := make([]any, len(v.Elems))
		for i, e := range v.Elems {
			list[i] = recorded(e)
		}
		return list
	}
	for _, b := range []byte(v.Str) {
		if b >= 0x80 {
			runes := make([]rune, len(v.Str))
			for i := range len(v.Str) {
				runes[i] = rune(v.Str[i])
			}
			return map[string]any{"latin1": string(runes)}
		}
	}
	return v.Str
}

// firstWord cuts the text of an error.
func firstWord(v any) any {
	if m, ok := v.(map[string]any); ok {
		if s, ok := m["error"].(string); ok {
			word, _, _ := strings.Cut(s, " ")
			return map[string]any{"error": word}
		}
	}
	return v
}
