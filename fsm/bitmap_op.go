package fsm

import "phonond/redisproto/resp"

func bitopCmd(t *Tx, args [][]byte) resp.Value {
	var combine func(a, b byte) byte
	switch op := args[1]; {
	case is(op, "AND"):
		combine = func(a, b byte) byte { return a & b }
	case is(op, "OR"):
		combine = func(a, b byte) byte { return a | b }
	case is(op, "XOR"):
		combine = func(a, b byte) byte { return a ^ b }
	case !is(op, "NOT"):
		return resp.ErrSyntax
	case len(args) != 4:
		return resp.Err("ERR BITOP NOT must be called with a single source key.")
	}
	sources, longest := make([]string, len(args)-3), 0
	for i, key := range args[3:] {
		var ok bool
		if sources[i], _, ok = getString(&t.View, key); !ok {
			return resp.ErrWrongType
		}
		longest = max(longest, len(sources[i]))
	}
	if longest == 0 {
		t.delete(args[2])
		return resp.Int(0)
	}
	result := grown(sources[0], longest)
	if combine == nil {
		for i := range result {
			result[i] = ^result[i]
		}
	}
	for _, s := range sources[1:] {
		for i := range result {
			other := byte(0) // shorter strings have zeros behind
			if i < len(s) {
				other = s[i]
			}
			result[i] = combine(result[i], other)
		}
	}
	t.setString(args[2], string(result), 0)
	return resp.Int(longest)
}
