package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"

	"phonond/cluster/proctest"
)

// inTerminal starts redis-cli in a terminal of its own and waits for its prompt.
func (r *report) inTerminal(ctx context.Context) (s *session, err error) {
	host, port, err := net.SplitHostPort(r.node())
	if err != nil {
		return nil, err
	}
	// script makes the terminal. One without a size would be asked for it.
	cmd := exec.CommandContext(ctx, "script", "-qefc", fmt.Sprintf("stty cols 200 rows 50; exec redis-cli -h %s -p %s", host, port), "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "REDISCLI_HISTFILE=/dev/null")
	if s, err = begin(cmd); err != nil {
		return nil, err
	}
	if err := s.sees(ctx, r.prompt()+"> "); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// prompt is how redis-cli begins its prompt, as a pattern.
func (r *report) prompt() string { return regexp.QuoteMeta(r.node()) }

// terminal is a person at redis-cli: what is typed is edited, and the prompt says
// where one is.
func (r *report) terminal(ctx context.Context) error {
	s, err := r.inTerminal(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	for _, turn := range []struct{ types, sees string }{
		{"SET term:a helo\x7flo", `\nOK`}, // a letter is taken back
		{"GET term:a", `\n"hello"`},
		{"GET term:none", `\n\(nil\)`},
		{"MULTI", `\nOK(?s:.*)\(TX\)> `},
		{"INCR term:n", `\nQUEUED`},
		{"EXEC", `\n1\) \(integer\) 1`},
		{"HGETALL term:a", `\n\(error\) WRONGTYPE`},
		{"HELLO 3", `\n1# "server" => "redis"`},
		{"HELLO 2", ` ?1\) "server"`},
		{"SELECT 1", `\nOK(?s:.*)` + r.prompt() + `\[1\]> `},
		{"GET term:a", `\n\(nil\)`},
		{"HELP GET", `summary:`},
		{"WATCH term:a", `\nOK`},
		{"quit", ""},
	} {
		if err := s.types(turn.types); err != nil {
			return err
		}
		if err := s.sees(ctx, turn.sees); err != nil {
			return fmt.Errorf("after %q: %w", turn.types, err)
		}
	}
	return s.ends()
}

// subscriber listens at a terminal until ctrl-C.
func (r *report) subscriber(ctx context.Context) error {
	s, err := r.inTerminal(ctx)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.types("SUBSCRIBE term:news"); err != nil {
		return err
	}
	if err := s.sees(ctx, `1\) "subscribe"\r\n2\) "term:news"\r\n3\) \(integer\) 1`); err != nil {
		return err
	}
	if _, err := proctest.Ask(r.other(), "PUBLISH", "term:news", "extra"); err != nil {
		return err
	}
	if err := s.sees(ctx, `1\) "message"\r\n2\) "term:news"\r\n3\) "extra"`); err != nil {
		return err
	}
	if _, err := s.stdin.Write([]byte{3}); err != nil { // ctrl-C
		return err
	}
	if err := s.sees(ctx, r.prompt()+"> "); err != nil {
		return err
	}
	if err := s.types("quit"); err != nil {
		return err
	}
	return s.ends()
}
