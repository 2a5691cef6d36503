package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var swapdbCommands = group("server",
	write("swapdb", 3, 0, swapdbCmd, "index1 index2", "Makes two databases change places.").
		flags(command.Fast).scatter(command.AllGroups).since("4.0.0"),
)

func swapdbCmd(t *Tx, args [][]byte) resp.Value {
	first, ok := parseInt32(args[1])
	if !ok {
		return resp.Err("ERR invalid first DB index")
	}
	second, ok := parseInt32(args[2])
	if !ok {
		return resp.Err("ERR invalid second DB index")
	}
	if min(first, second) < 0 || max(first, second) >= Databases {
		return resp.ErrDBIndex
	}
	t.swapped = [2]int{first, second}
	return resp.OK
}

// parseInt32 reads what is an int in C.
func parseInt32(arg []byte) (int, bool) {
	n, ok := parseInt(arg)
	return int(n), ok && n == int64(int32(n))
}
