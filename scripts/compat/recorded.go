package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// playRecorded has the recorded conversations of phonon's clients with every server.
func playRecorded(ctx context.Context, l *lab, o options, r *report) error {
	if o.vectors == "" {
		fmt.Println("recorded: no directory; see -vectors")
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(o.vectors, "phonon-*.jsonl"))
	if err != nil {
		return err
	}
	for _, srv := range append([]*server{l.redis}, l.others...) {
		total := 0
		for _, path := range paths {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := srv.clean(); err != nil {
				return err
			}
			n, err := proctest.Replay(srv.addr, path)
			if total += n; err != nil {
				r.fail(fmt.Sprintf("recorded, %s: %v", srv.name, err))
			}
		}
		fmt.Printf("recorded: %s: %d replies of %d conversations\n", srv.name, total, len(paths))
	}
	return nil
}

// playTranscripts plays the commands of the state machine's transcripts to all
// servers, with keys that live together.
func playTranscripts(ctx context.Context, l *lab, o options, r *report) error {
	paths, err := filepath.Glob(filepath.Join(o.script, "*.txt"))
	if err != nil {
		return err
	}
	n := 0
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		steps, err := l.transcript(path)
		if err != nil {
			return err
		}
		n += len(steps)
		for proto := 2; proto <= 3; proto++ {
			if err := l.playSession(session{kind: filepath.Base(path), proto: proto, steps: steps}, o, r); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	fmt.Printf("transcripts: %d commands of %d files, in RESP2 and RESP3\n", n, len(paths))
	return nil
}

// transcript reads the commands in a transcript. See fsm's tests for its marks: those
// that are not for a real server, or are answered in other words, are left out.
func (l *lab) transcript(path string) (steps []step, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		mark, command, found := strings.Cut(strings.TrimSuffix(line, "\n"), "> ")
		if !found || strings.Trim(mark, "~3") != "" {
			continue
		}
		args, err := splitLine(command)
		if err != nil || len(args) == 0 {
			return nil, fmt.Errorf("%s: %q: %w", path, command, err)
		}
		s := step{}
		if s.args, err = l.together(soon(args)); err != nil {
			return nil, err
		}
		switch mark := strings.Trim(mark, "3"); {
		case rules[nameOf(args)] != nil:
		case mark == "~":
			s.rule = &rule{unordered: 1}
		case mark == "~~":
			s.rule = &rule{unordered: 2}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// together gives the keys among args a tag.
func (l *lab) together(args []string) ([]string, error) {
	v, err := l.redis.ctl.do(append([]string{"COMMAND", "GETKEYS"}, args...)...)
	if err != nil || v.Kind != resp.Array {
		return args, err
	}
	if strings.HasPrefix(strings.ToLower(args[0]), "sort") {
		for i := range args { // its patterns stand for keys as well
			if strings.Contains(args[i], "*") {
				args[i] = "{t}" + args[i]
			}
		}
	}
	at := 1
	for _, key := range v.Elems {
		for i := at; i < len(args); i++ {
			if args[i] == key.Str {
				args[i], at = "{t}"+key.Str, i+1
				break
			}
		}
	}
	return args, nil
}

// splitLine splits a line as redis-cli does.
func splitLine(line string) (args []string, err error) {
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return args, nil
		}
		if line[0] != '"' && line[0] != '\'' {
			word, rest, _ := strings.Cut(line, " ")
			args, line = append(args, word), rest
			continue
		}
		end := 1
		for end < len(line) && line[end] != line[0] {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(line) {
			return nil, fmt.Errorf("unbalanced quotes")
		}
		word, quoted := line[1:end], line[:end+1]
		if quoted[0] == '"' {
			if word, err = unquote(word); err != nil {
				return nil, err
			}
		} else {
			word = strings.ReplaceAll(word, `\'`, `'`)
		}
		args, line = append(args, word), line[end+1:]
	}
}
