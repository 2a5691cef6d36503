package redisproto

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// serverCommands returns the rows of the commands about this node.
func serverCommands() []Command {
	const admin = own | command.Admin
	const looks = anyTime | command.Admin
	group := func(rows ...Command) []Command {
		for i := range rows {
			rows[i].Group = "server"
		}
		return rows
	}
	return group(
		row("role", 1, own|command.Fast, role, "2.8.12", "", "Always a master: any node takes writes."),
		early("lolwut", -1, command.Local|command.ReadOnly|command.Fast, lolwut, "5.0.0", "[VERSION version]", "Shows the version of Redis that this server is like."),
		row("debug", -2, admin, debugCmd, "1.0.0", "SLEEP seconds", "Waits. Refused unless the node is configured to allow it."),
		Command{
			Spec: container("slowlog", -2, "server", "2.2.12", "Commands that took long on this node."),
			Subs: []Command{
				row("slowlog|get", -2, looks, slowlogGet, "2.2.12", "[count]", "Shows the last slow commands."),
				row("slowlog|len", 2, looks, slowlogLen, "2.2.12", "", "Counts the entries of the slow log."),
				row("slowlog|reset", 2, looks, slowlogReset, "2.2.12", "", "Empties the slow log."),
			},
		},
		Command{
			Spec: container("latency", -2, "server", "2.8.13", "How long commands take on this node."),
			Subs: []Command{
				row("latency|doctor", 2, admin, latencyDoctor, "2.8.13", "", "Says what took long, for people."),
				row("latency|graph", 3, admin, latencyGraph, "2.8.13", "event", "Draws the samples of an event."),
				row("latency|histogram", -2, admin, latencyHistogram, "7.0.0", "[command [command ...]]", "Counts how long commands took."),
				row("latency|history", 3, admin, latencyHistory, "2.8.13", "event", "Shows the samples of an event."),
				row("latency|latest", 2, admin, latencyLatest, "2.8.13", "", "Shows the last sample of every event."),
				row("latency|reset", -2, admin, latencyReset, "2.8.13", "[event [event ...]]", "Forgets the samples of events."),
			},
		},
		Command{
			Spec: container("script", -2, "scripting", "2.6.0", "Commands about scripts."),
			Subs: []Command{
				row("script|debug", 3, command.Local|command.NoScript, scriptDebug, "3.2.0", "YES|SYNC|NO", "Ends the debugging of scripts, which there is none of."),
			},
		},
		Command{
			Spec: container("memory", -2, "server", "4.0.0", "Commands about memory."),
			Subs: []Command{
				row("memory|doctor", 2, command.Local, memoryDoctor, "4.0.0", "", "Says how this node is off for memory, for people."),
				row("memory|malloc-stats", 2, command.Local, memoryMallocStats, "4.0.0", "", "Shows the figures of the allocator."),
				row("memory|purge", 2, command.Local, memoryPurge, "4.0.0", "", "Gives free memory back to the system."),
				row("memory|stats", 2, command.Local, memoryStats, "4.0.0", "", "Shows what this node's memory is used for."),
			},
		},
	)
}

// SCRIPT DEBUG YES|SYNC|NO
func scriptDebug(c *Client, args [][]byte) resp.Value {
	switch mode := strings.ToUpper(string(args[2])); {
	case c.executing:
		return resp.Err("ERR SCRIPT DEBUG must be called outside a pipeline")
	case mode == "NO":
		return resp.OK
	case mode == "YES" || mode == "SYNC":
		return resp.Err("ERR scripts cannot be debugged: they are run by the leader of their keys' group")
	}
	return resp.Err("ERR Use SCRIPT DEBUG YES/SYNC/NO")
}

// ROLE
func role(*Client, [][]byte) resp.Value {
	return resp.List(resp.Str("master"), resp.Int(0), resp.EmptyArray)
}

// LOLWUT [VERSION version]
func lolwut(c *Client, _ [][]byte) resp.Value {
	return verbatim("Redis ver. " + c.srv.cfg.Version + "\n")
}

// maxSleep bounds DEBUG SLEEP.
const maxSleep = time.Hour

// DEBUG SLEEP seconds
func debugCmd(c *Client, args [][]byte) resp.Value {
	if allowed := c.srv.cfg.Debug; allowed != "yes" && (allowed != "local" || !c.local()) {
		return resp.Err(`ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it ` +
			`from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`)
	}
	switch sub := args[1]; {
	case bytes.EqualFold(sub, []byte("SLEEP")) && len(args) == 3:
		seconds, err := strconv.ParseFloat(string(args[2]), 64)
		if err != nil || !(seconds > 0) { // NaN counts as nothing
			return resp.OK
		}
		select {
		case <-time.After(min(time.Duration(min(seconds, maxSleep.Seconds())*float64(time.Second)), maxSleep)):
		case <-c.ctx.Done():
		}
		return resp.OK
	case bytes.EqualFold(sub, []byte("HELP")) && len(args) == 2:
		var lines []resp.Value
		for _, line := range []string{"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
			"SLEEP <seconds>", "    Wait before the next command of this connection.", "HELP", "    Print this help."} {
			lines = append(lines, resp.Status(line))
		}
		return resp.List(lines...)
	}
	return resp.Err("ERR unknown subcommand or wrong number of arguments for " + quoted(echo(args[1], maxEcho)) + ". Try DEBUG HELP.")
}

// local reports whether the client is on this machine.
func (c *Client) local() bool {
	ap, err := netip.ParseAddrPort(c.addr)
	return err != nil || ap.Addr().Unmap().IsLoopback() // no address: a Unix socket
}

// Memory is what the process uses, in bytes.
type Memory struct {
	Heap     int64 // of objects, dead ones that were not collected yet included
	Idle     int64 // of the heap that holds nothing
	Overhead int64 // stacks, and what the runtime needs itself
	Mapped   int64 // all of what was asked of the system and not given back
}

// ReadMemory returns what the process uses now. It stops nothing.
func ReadMemory() Memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	m := Memory{Heap: n(0), Idle: n(1) + n(2), Mapped: n(4) - n(3)}
	m.Overhead = m.Mapped - m.Heap - m.Idle
	return m
}

// MEMORY DOCTOR
func memoryDoctor(*Client, [][]byte) resp.Value {
	m := ReadMemory()
	return verbatim(fmt.Sprintf("This node uses %d MiB: %d MiB for data and what comes and goes, %d MiB that are free for the next, "+
		"%d MiB for itself. Memory that was let go is collected by and by; MEMORY PURGE does it at once. MEMORY USAGE tells what a key takes.\n",
		m.Mapped>>20, m.Heap>>20, m.Idle>>20, m.Overhead>>20))
}

// MEMORY MALLOC-STATS
func memoryMallocStats(*Client, [][]byte) resp.Value {
	var b strings.Builder
	for _, d := range metrics.All() {
		if s := []metrics.Sample{{Name: d.Name}}; strings.HasPrefix(d.Name, "/memory/classes/") || strings.HasPrefix(d.Name, "/gc/") {
			if metrics.Read(s); s[0].Value.Kind() == metrics.KindUint64 {
				fmt.Fprintf(&b, "%s %d\n", d.Name, s[0].Value.Uint64())
			}
		}
	}
	return verbatim(b.String())
}

// MEMORY PURGE
func memoryPurge(*Client, [][]byte) resp.Value {
	debug.FreeOSMemory()
	return resp.OK
}

// MEMORY STATS
//
// Only what is known of one's own process: Redis counts each use of its memory.
func memoryStats(c *Client, _ [][]byte) resp.Value {
	m := ReadMemory()
	peak := max(c.srv.peakMemory.Load(), m.Heap)
	c.srv.peakMemory.Store(peak)
	ratio := func(a, b int64) resp.Value {
		return resp.Value{Kind: resp.Double, Str: strconv.FormatFloat(float64(a)/float64(max(b, 1)), 'g', 6, 64)}
	}
	return resp.Pairs(
		resp.Str("peak.allocated"), resp.Int64(peak),
		resp.Str("total.allocated"), resp.Int64(m.Heap),
		resp.Str("replication.backlog"), resp.Int(0),
		resp.Str("clients.slaves"), resp.Int(0),
		resp.Str("overhead.total"), resp.Int64(m.Overhead),
		resp.Str("dataset.bytes"), resp.Int64(m.Heap),
		resp.Str("allocator.allocated"), resp.Int64(m.Heap),
		resp.Str("allocator.active"), resp.Int64(m.Heap+m.Idle),
		resp.Str("allocator.resident"), resp.Int64(m.Mapped),
		resp.Str("fragmentation"), ratio(m.Mapped, m.Heap),
		resp.Str("fragmentation.bytes"), resp.Int64(m.Mapped-m.Heap),
	)
}
