package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var objectCommands = group("generic",
	container("object", "What is known of how a key's value is kept.",
		read("object|encoding", 3, 2, objectEncodingCmd, "key", "How Redis would keep the value.").since("2.2.3"),
		read("object|refcount", 3, 2, objectRefcountCmd, "key", "Always 1.").since("2.2.3"),
		read("object|idletime", 3, 2, objectIdletimeCmd, "key", "Always 0: reads leave no trace in the state.").since("2.2.3"),
		read("object|freq", 3, 2, objectFreqCmd, "key", "An error: reads are not counted.").since("4.0.0"),
		read("object|help", 2, 0, objectHelpCmd, "", "Lists the subcommands.").flags(command.Loading|command.Stale).since("6.2.0"),
	).since("2.2.3"),
)

// The sizes up to which Redis packs a value.
const (
	packedEntries = 512 // of a hash or a set of integers
	packedZSet    = 128
	packedBytes   = 64 // of one element
	embeddedBytes = 44
)

func objectEncodingCmd(v *View, args [][]byte) resp.Value {
	e := v.find(args[2])
	if e == nil {
		return resp.Null
	}
	if e.obj != nil {
		return resp.Str(e.obj.encoding())
	}
	if _, ok := parseInt(e.str); ok {
		return resp.Str("int")
	}
	if len(e.str) <= embeddedBytes {
		return resp.Str("embstr")
	}
	return resp.Str("raw")
}

func objectRefcountCmd(v *View, args [][]byte) resp.Value { return v.objectNumber(args[2], 1) }
func objectIdletimeCmd(v *View, args [][]byte) resp.Value { return v.objectNumber(args[2], 0) }

func (v *View) objectNumber(key []byte, n int) resp.Value {
	if v.find(key) == nil {
		return resp.Null
	}
	return resp.Int(n)
}

func objectFreqCmd(v *View, args [][]byte) resp.Value {
	if v.find(args[2]) == nil {
		return resp.Null
	}
	return resp.Err("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
}

func objectHelpCmd(*View, [][]byte) resp.Value {
	return helpReply("OBJECT",
		"ENCODING <key>",
		"    Return the encoding that Redis would use for the value.",
		"FREQ <key>",
		"    Return an error: accesses are not counted.",
		"IDLETIME <key>",
		"    Return 0: accesses are not recorded.",
		"REFCOUNT <key>",
		"    Return 1.",
	)
}

// helpReply makes the reply of a container's HELP.
func helpReply(name string, lines ...string) resp.Value {
	elems := []resp.Value{resp.Status(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")}
	for _, l := range append(lines, "HELP", "    Prints this help.") {
		elems = append(elems, resp.Status(l))
	}
	return resp.List(elems...)
}
