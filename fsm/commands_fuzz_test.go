package fsm

import (
	"slices"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// maxFuzzCommands is how many commands one input is made into.
const maxFuzzCommands = 32

// FuzzCommands: a machine answers what a real redis-server answers, whatever the
// commands that came before. The first byte chooses the protocol version, the others
// the commands.
func FuzzCommands(f *testing.F) {
	for i := range uint64(16) {
		f.Add(randomTape(i, 200))
	}
	addr := proctest.RunRedis(f)
	all := slices.Concat(forms, moreForms(f))
	conns := []redisConn{connect(f, addr, 2), connect(f, addr, 3)}
	f.Fuzz(func(t *testing.T, program []byte) {
		choose := &tape{program}
		proto := choose.IntN(2)
		commands := [][]string{{"FLUSHALL"}, {"SCRIPT", "FLUSH"}}
		for choose.more() && len(commands) < maxFuzzCommands {
			commands = append(commands, draws(choose, pick(choose, all...)))
		}
		var sent [][]string
		for _, args := range commands {
			sent = append(sent, unwaiting(args)...)
		}
		replies, err := conns[proto].Pipe(sent)
		if err != nil {
			t.Fatalf("%q: %v", commands, err)
		}
		r := newRig(t)
		for i, args := range commands {
			r.clock = time.Now().UnixMilli() - testWall // the wall that Redis has, too
			n := len(unwaiting(args))
			got, want := onWire(t, r.do(args...), proto+2), answered(replies[:n])
			replies = replies[n:]
			if !alike(args, got, want) {
				t.Fatalf("%q\nafter %q\ngot  %s\nwant %s", args, commands[2:max(i, 2)], show(got), show(want))
			}
		}
	})
}

// moreForms are forms that would empty the long run of random commands too often, and
// the lock scripts whose texts are in a transcript, called as they are meant.
func moreForms(t testing.TB) []string {
	t.Helper()
	for _, s := range readTranscript(t, "testdata/script.txt") {
		args, err := splitArgs(s.command)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range args {
			if lockScripts[shaOf([]byte(text))] != nil {
				sample["script"] = append(sample["script"], text)
			}
		}
	}
	sample["lockttl"] = []string{"100000", "1000000", "0", "-1", ""}
	return strings.Split(strings.TrimSpace(`
FLUSHDB (ASYNC|SYNC|x)
FLUSHALL (ASYNC|SYNC|x)
RANDOMKEY
SCRIPT LOAD script
EVAL script 1 key value lockttl
EVAL script 1 key value lockttl
EVALSHA sha1 1 key value lockttl
EVALSHA sha1 1 key value lockttl
`), "\n")
}
