package resp

// Err returns an error reply. The text starts with its prefix, such as "ERR ".
func Err(text string) Value { return Value{Kind: Error, Str: text} }

// The error texts of Redis, which clients compare by prefix and people search
// for by the whole text.
var (
	ErrWrongType     = Err("WRONGTYPE Operation against a key holding the wrong kind of value")
	ErrSyntax        = Err("ERR syntax error")
	ErrNotInteger    = Err("ERR value is not an integer or out of range")
	ErrNotPositive   = Err("ERR value is out of range, must be positive")
	ErrNotFloat      = Err("ERR value is not a valid float")
	ErrHashNotInt    = Err("ERR hash value is not an integer")
	ErrHashNotFloat  = Err("ERR hash value is not a float")
	ErrOverflow      = Err("ERR increment or decrement would overflow")
	ErrNaN           = Err("ERR increment would produce NaN or Infinity")
	ErrNoSuchKey     = Err("ERR no such key")
	ErrOutOfRange    = Err("ERR index out of range")
	ErrOffsetRange   = Err("ERR offset is out of range")
	ErrStringTooLong = Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
	ErrMinMaxFloat   = Err("ERR min or max is not a float")
	ErrNoScript      = Err("NOSCRIPT No matching script. Please use EVAL.")
	ErrNotBusy       = Err("NOTBUSY No scripts in execution right now.")
	ErrInvalidCursor = Err("ERR invalid cursor")
	ErrDBIndex       = Err("ERR DB index is out of range")
	ErrNoAuth        = Err("NOAUTH Authentication required.")
	ErrCrossSlot     = Err("CROSSSLOT Keys in request don't hash to the same slot")
	ErrNoMemory      = Err("OOM command not allowed when used memory > 'maxmemory'.")
	// ErrInternal stands for a defect: the command panicked and changed nothing.
	ErrInternal = Err("ERR internal error, the command was not applied")
)

// ErrArity is the reply to a command with too few or too many arguments.
func ErrArity(name string) Value {
	return Err("ERR wrong number of arguments for '" + name + "' command")
}

// ErrInvalidExpire is the reply to a time to live that is out of range.
func ErrInvalidExpire(name string) Value {
	return Err("ERR invalid expire time in '" + name + "' command")
}
