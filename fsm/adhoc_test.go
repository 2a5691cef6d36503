package fsm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestAdhocVectors(t *testing.T) {
	for _, f := range []string{"seed", "0.12", "2.0"} {
		r := newRig(t)
		r.checked = true
		file, _ := os.Open("/work/shared/vectors/phonon-" + f + ".jsonl")
		sc := bufio.NewScanner(file)
		sc.Buffer(make([]byte, 1<<20), 1<<26)
		dbs := map[int]int{}
		n, bad := 0, 0
		for sc.Scan() {
			var l struct {
				Conn  int
				Req   []any
				Reply any
			}
			if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
				t.Fatal(err)
			}
			if l.Req == nil { t.Log(sc.Text()); continue }
			var args []string
			for _, a := range l.Req {
				args = append(args, str(a))
			}
			n++
			var got resp.Value
			switch args[0] {
			case "SELECT":
				fmt.Sscan(args[1], new(int))
				d := 0
				fmt.Sscan(args[1], &d)
				dbs[l.Conn] = d
				continue
			case "PING":
				continue
			}
			c := command.Call{DB: dbs[l.Conn]}
			for _, a := range args {
				c.Args = append(c.Args, []byte(a))
			}
			got = r.call(c)
			w, g := canon(args[0], want(l.Reply)), canon(args[0], got)
			if args[0] == "SRANDMEMBER" {
				continue
			}
			if w != g {
				bad++
				if bad < 10 {
					t.Errorf("%s line %d %v: got %s want %s", f, n, args, g, w)
				}
			}
			r.clock += 3
		}
		t.Log(f, n, "bad", bad)
	}
}

func str(a any) string {
	switch x := a.(type) {
	case string:
		return x
	case map[string]any:
		var b []byte
		for _, r := range x["latin1"].(string) {
			b = append(b, byte(r))
		}
		return string(b)
	}
	return fmt.Sprint(a)
}

func want(a any) resp.Value {
	switch x := a.(type) {
	case nil:
		return resp.Null
	case string:
		return resp.Str(x)
	case float64:
		return resp.Int64(int64(x))
	case []any:
		var l []resp.Value
		for _, e := range x {
			l = append(l, want(e))
		}
		return resp.List(l...)
	case map[string]any:
		if s, ok := x["status"]; ok {
			return resp.Status(s.(string))
		}
		if s, ok := x["error"]; ok {
			return resp.Err(s.(string))
		}
		if _, ok := x["nil"]; ok {
			return resp.NullArray
		}
		return resp.Str(str(a))
	}
	panic(a)
}

func canon(cmd string, v resp.Value) string {
	switch v.Kind {
	case resp.Array, resp.Map, resp.Set:
		var l []string
		for _, e := range v.Elems {
			l = append(l, string(e.Append(nil, 2)))
		}
		if cmd == "HGETALL" {
			for i := 0; i+1 < len(l); i += 2 {
				l[i/2] = l[i] + l[i+1]
			}
			l = l[:len(l)/2]
		}
		if cmd == "HGETALL" || cmd == "HKEYS" || cmd == "SMEMBERS" {
			sort.Strings(l)
		}
		return strings.Join(l, "|")
	}
	return string(v.Append(nil, 2))
}

func splitCmd(s string) []string {
	var out []string
	cur, in, any := "", false, false
	for _, c := range s {
		switch {
		case c == '"':
			in = !in
			any = true
		case c == ' ' && !in:
			if any {
				out = append(out, cur)
			}
			cur, any = "", false
		default:
			cur += string(c)
			any = true
		}
	}
	if any {
		out = append(out, cur)
	}
	return out
}

func TestAdhocCTS(t *testing.T) {
	b, _ := os.ReadFile("/work/shared/vectors/cts.json")
	var cases []struct {
		Name          string
		Command       []string
		Result        []any
		Since         string
		Tags          string
		Sort_result   bool
		Command_binary bool
		Skipped       bool
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	pass, fail, lack := 0, 0, 0
	lacking := map[string]int{}
next:
	for _, c := range cases {
		if c.Since > "7.0.0" || c.Tags == "cluster" || c.Skipped {
			continue
		}
		r := newRig(t)
		for _, s := range c.Command {
			a := splitCmd(s)
			if _, ok := r.m.cfg.Table.byName[strings.ToLower(a[0])]; !ok {
				lack++
				lacking[strings.ToLower(a[0])]++
				continue next
			}
		}
		for i, s := range c.Command {
			a := splitCmd(s)
			got := r.do(a...)
			g, w := flat(got, c.Sort_result), flat(want2(c.Result[i]), c.Sort_result)
			if g != w {
				fail++
				t.Errorf("%s: %v: got %s want %s", c.Name, s, g, w)
				continue next
			}
			r.clock += 1
		}
		pass++
	}
	t.Log("pass", pass, "fail", fail, "lacking", lack, lacking)
}

func want2(a any) resp.Value { return want(a) }

func flat(v resp.Value, sorted bool) string {
	switch v.Kind {
	case resp.Simple, resp.Bulk, resp.Double:
		return v.Str
	case resp.Nil, resp.NilArray:
		return "nil"
	case resp.Integer:
		return fmt.Sprint(v.Int)
	case resp.Error:
		return "E:" + v.Str
	}
	var l []string
	for _, e := range v.Elems {
		l = append(l, flat(e, sorted))
	}
	if sorted {
		sort.Strings(l)
	}
	return "[" + strings.Join(l, ",") + "]"
}
