package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"phonond/redisproto/resp"
)

// maxWord is how much of a long argument or reply is printed.
const maxWord = 200

// textOf returns a reply to a command so that two replies are equal if their texts
// are: whatever the client's protocol and library, a string is a string, nested
// pairs are flat, and what has no order is sorted.
func textOf(command string, v resp.Value) string {
	switch v.Kind {
	case resp.Array, resp.Map, resp.Set, resp.Push, resp.Tuples:
		elems := texts(nil, v)
		return "[" + strings.Join(sorted(elems, unordered[strings.ToLower(command)]), " ") + "]"
	case resp.Nil, resp.NilArray:
		return "nil"
	case resp.Integer, resp.Bool:
		return strconv.FormatInt(v.Int, 10)
	case resp.Error:
		return "error " + v.Str
	case resp.None:
		return "no reply"
	}
	return strconv.Quote(v.Str)
}

// texts appends the texts of a reply's elements, nested or not.
func texts(dst []string, v resp.Value) []string {
	for _, e := range v.Elems {
		switch e.Kind {
		case resp.Array, resp.Map, resp.Set, resp.Push, resp.Tuples:
			dst = texts(dst, e)
		default:
			dst = append(dst, textOf("", e))
		}
	}
	return dst
}

// word returns an argument as a person would type it.
func word(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
		return shorten(strconv.Quote(s))
	}
	return shorten(s)
}

func shorten(s string) string {
	if len(s) > maxWord {
		return fmt.Sprintf("%s...(%d bytes)", s[:maxWord], len(s))
	}
	return s
}

// instant prints a time since the start of the run.
func instant(t time.Duration) string {
	if t == Never {
		return "never"
	}
	return fmt.Sprintf("%.6f", t.Seconds())
}

// String returns the operation in one line: its times in seconds since the start
// of the run, who asked what where, and what became of it.
func (o *Op) String() string {
	line := fmt.Sprintf("%12s %12s  c%d@%s  %s -> ", instant(o.Call), instant(o.Return), o.Client, o.Node, o.asked())
	name := ""
	if len(o.Args) > 0 {
		name = o.Args[0]
	}
	switch {
	case o.Gone:
		line += "the client went away"
	case o.Err != "":
		line += o.Outcome.String() + ": " + shorten(o.Err)
	case o.Outcome != Answered:
		line += o.Outcome.String() + ": " + shorten(o.Reply.Str)
	default:
		line += shorten(textOf(name, o.Reply))
	}
	if o.Batch != 0 {
		line += fmt.Sprintf("  (pipeline %d)", o.Batch)
	}
	return line
}

// asked returns what the client asked.
func (o *Op) asked() string {
	line := words(o.Args)
	for _, args := range o.Calls {
		line += "; " + words(args)
	}
	for _, w := range o.Watched {
		line += fmt.Sprintf(" (watched: %s is %s)", words(w.Args), shorten(textOf(w.Args[0], w.Reply)))
	}
	return line
}

func words(args []string) string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = word(a)
	}
	return strings.Join(list, " ")
}
