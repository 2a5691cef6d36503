package history

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// ErrNotSent is returned by those who send commands when nothing of a command left
// the client: it was certainly not done.
var ErrNotSent = errors.New("history: not sent")

// refusals are the error prefixes that stand for "not done". Clients repeat some of
// them by themselves. NOSCRIPT is one: nothing was run. EXECABORT is what EXEC says when
// a command was refused.
var refusals = map[string]bool{
	"CLUSTERDOWN": true, "TRYAGAIN": true, "LOADING": true, "READONLY": true, "MASTERDOWN": true,
	"NOREPLICAS": true, "MISCONF": true, "OOM": true, "BUSY": true, "NOSCRIPT": true,
	"EXECABORT": true, "NOAUTH": true, "WRONGPASS": true, "NOPERM": true, "CROSSSLOT": true,
}

// plainTexts are the starts of ERR texts that are about the way to a group, not
// about the command.
var plainTexts = []struct {
	start   string
	outcome Outcome
}{
	{"ERR the replies to this pipeline are larger", Unknown}, // it was done
	{"ERR the leader of group", Refused},
	{"ERR max number of clients", Refused},
}

// Classify says what a client knows of an operation that got the reply v or, if err
// is not nil, none. An error that is a reply, as go-redis returns it, is taken for
// that. Any other error leaves the outcome unknown, unless it wraps [ErrNotSent] or
// is of dialling. A client that tries again by itself must not be classified by the
// error of its last try alone: turn that off.
func Classify(v resp.Value, err error) Outcome {
	if err != nil {
		if v, err = FromRedis(nil, err); err != nil {
			return classifyBroken(err)
		}
	}
	if v.Kind == resp.None {
		return Unknown
	}
	if !v.IsError() {
		return Answered
	}
	prefix, _, _ := strings.Cut(v.Str, " ")
	if prefix == "TIMEOUT" {
		return Unknown
	}
	if refusals[prefix] {
		return Refused
	}
	for _, t := range plainTexts {
		if strings.HasPrefix(v.Str, t.start) {
			return t.outcome
		}
	}
	return Answered
}

func classifyBroken(err error) Outcome {
	var op *net.OpError
	if errors.Is(err, ErrNotSent) || errors.As(err, &op) && op.Op == "dial" {
		return Refused
	}
	return Unknown
}

// FromRedis makes a reply of the result of a go-redis command (Cmd.Result, or an
// element of it). Errors that are replies become error replies, redis.Nil the null
// reply; what is left is about the connection.
func FromRedis(result any, err error) (resp.Value, error) {
	var reply interface {
		error
		RedisError()
	}
	switch {
	case err == nil:
		return fromAny(result), nil
	case !errors.As(err, &reply):
		return resp.Value{}, err
	case reply.Error() == "redis: nil":
		return resp.Null, nil
	}
	return resp.Err(reply.Error()), nil
}

func fromAny(x any) resp.Value {
	switch x := x.(type) {
	case nil:
		return resp.Null
	case string:
		return resp.Str(x)
	case int64:
		return resp.Int64(x)
	case bool:
		return resp.Value{Kind: resp.Bool, Int: resp.Flag(x).Int}
	case float64:
		return resp.Value{Kind: resp.Double, Str: strconv.FormatFloat(x, 'g', 17, 64)}
	case error:
		return resp.Err(x.Error())
	case []any:
		v := resp.Value{Kind: resp.Array}
		for _, e := range x {
			v.Elems = append(v.Elems, fromAny(e))
		}
		return v
	case map[any]any:
		v := resp.Value{Kind: resp.Map}
		for k, e := range x {
			v.Elems = append(v.Elems, fromAny(k), fromAny(e))
		}
		return v
	}
	return resp.Str(fmt.Sprint(x))
}
