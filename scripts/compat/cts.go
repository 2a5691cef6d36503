package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// testCase is one of the cases of compatibility-test-suite-for-redis, a table of
// commands and the replies of Redis to them.
type testCase struct {
	Name       string   `json:"name"`
	Command    []string `json:"command"`
	Result     []any    `json:"result"`
	Since      string   `json:"since"`
	Tags       string   `json:"tags"`
	SortResult bool     `json:"sort_result"`
	Binary     bool     `json:"command_binary"`
	Skipped    bool     `json:"skipped"`
}

// applies reports whether a case holds for Redis 7.0.0. Some are for a server alone,
// others for one with several groups, whose keys have to live together.
func (c testCase) applies(groups bool) bool {
	var major, minor, patch int
	fmt.Sscanf(c.Since, "%d.%d.%d", &major, &minor, &patch)
	other := "cluster"
	if groups {
		other = "standalone"
	}
	return !c.Skipped && c.Tags != other && (major < 7 || major == 7 && minor == 0 && patch == 0)
}

// missing returns the first command of the case that phonond does not have.
func (c testCase) missing() string {
	for _, command := range c.Command {
		if name, _, _ := strings.Cut(command, " "); outOfScope(name) {
			return strings.ToLower(name)
		}
	}
	return ""
}

// playCases plays the cases to all servers; Redis itself has to pass those that are
// out of scope for phonond as well.
func playCases(ctx context.Context, l *lab, o options, r *report) error {
	if o.cts == "" {
		fmt.Println("cts: no file; see -cts")
		return nil
	}
	text, err := os.ReadFile(o.cts)
	if errors.Is(err, fs.ErrNotExist) && o.only == "" {
		fmt.Println("cts: there is no", o.cts)
		return nil
	}
	if err != nil {
		return err
	}
	var cases []testCase
	if err := json.Unmarshal(text, &cases); err != nil {
		return fmt.Errorf("%s: %w", o.cts, err)
	}
	for i, srv := range append([]*server{l.redis}, l.others...) {
		passed, failed, out := 0, 0, map[string]int{}
		for _, c := range cases {
			if !c.applies(srv.groups) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if name := c.missing(); name != "" && srv != l.redis {
				out[name]++
				continue
			}
			if err := c.play(srv); err != nil {
				failed++
				r.fail(fmt.Sprintf("cts, %s: %s: %v", srv.name, c.Name, err))
				continue
			}
			passed++
		}
		missing := 0
		for _, n := range out {
			missing += n
		}
		fmt.Printf("cts: %s: %d of %d cases pass, %d are out of scope\n", srv.name, passed, passed+failed, missing)
		if i == 1 { // the others have the same commands
			fmt.Print("\n| out of scope | cases |\n|---|--:|\n")
			for _, name := range slices.Sorted(maps.Keys(out)) {
				fmt.Printf("| %s | %d |\n", name, out[name])
			}
			fmt.Println()
		}
	}
	return nil
}

// play plays a case to a server that it empties before.
func (c testCase) play(srv *server) error {
	if _, err := srv.ctl.must("FLUSHALL"); err != nil {
		return err
	}
	conn, err := dial(srv.addr, 2)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i, command := range c.Command {
		args, err := splitCommand(command, c.Binary)
		if err != nil {
			return err
		}
		v, err := conn.do(args...)
		if err != nil {
			return fmt.Errorf("%q: %w", args, err)
		}
		want, got := c.Result[i], plain(v)
		if c.SortResult {
			want, got = inOrder(want), inOrder(got)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if string(a) != string(b) {
			return fmt.Errorf("%q: %s, not %s", args, b, a)
		}
	}
	return nil
}

var ctsWord = regexp.MustCompile(`"[^"]*"|[^ ]+`)

// splitCommand splits a command at spaces outside of double quotes. A binary one has
// the escapes of a string in Go.
func splitCommand(s string, binary bool) (args []string, err error) {
	for _, word := range ctsWord.FindAllString(s, -1) {
		word = strings.Trim(word, `"`)
		if binary {
			if word, err = strconv.Unquote(`"` + strings.ReplaceAll(word, `"`, `\"`) + `"`); err != nil {
				return nil, fmt.Errorf("%q: %w", s, err)
			}
		}
		args = append(args, word)
	}
	return args, nil
}

// plain returns a reply as the cases write it: a string is a status or a bulk string.
func plain(v resp.Value) any {
	switch v.Kind {
	case resp.Integer:
		return v.Int
	case resp.Nil, resp.NilArray:
		return nil
	case resp.Array:
		list := []any{}
		for _, e := range v.Elems {
			list = append(list, plain(e))
		}
		return list
	case resp.Error:
		return map[string]any{"error": v.Str}
	}
	return v.Str
}

// inOrder sorts lists, those inside as well.
func inOrder(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = inOrder(e)
	}
	slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}
