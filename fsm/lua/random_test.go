package lua

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRandomScriptsAgainstRedis compares scripts that are made up.
func TestRandomScriptsAgainstRedis(t *testing.T) {
	server, host := redisAndHost(t, "2")
	e := New(Limits{})
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		parts := make([]string, 4)
		for i := range parts {
			parts[i] = "tostring(" + g.expr(3) + ")"
		}
		compare(t, e, server, host, []string{"local a, b, c = 3, 'x1', {1, 2, k = 'v'} return {" + strings.Join(parts, ", ") + "}"})
		if t.Failed() {
			return
		}
	}
}

// generator makes expressions.
type generator struct{ *rand.Rand }

func (g generator) pick(options ...string) string { return options[g.IntN(len(options))] }

func (g generator) expr(depth int) string {
	if depth == 0 {
		return g.pick("0", "1", "-1", "2.5", "1e15", "123456789", "0.1", "''", "'abc'", "'10'", "'0x1F'", "' 7 '", "'a,b'", "nil", "true",
			"a", "b", "c.k", "#c", "c[1]", "c[3]", "1e300", "'\\0'", "'%d+'", "2^53", "-0")
	}
	x, y := g.expr(depth-1), g.expr(depth-1)
	switch g.IntN(12) {
	case 0, 1, 2:
		return "(" + x + " " + g.pick("+", "-", "*", "/", "%", "..", "==", "~=", "<", "<=", ">") + " " + y + ")"
	case 3:
		return g.pick("not ", "- ", "#") + "(" + x + ")"
	case 4:
		return fmt.Sprintf("string.format('%%%s', %s)", g.pick("d", "5d", "-5d|", "05.1f", "g", "s", "10s", "x", "q", "e", ".3s", "c"), x)
	case 5:
		return fmt.Sprintf("string.%s(%s, %s)", g.pick("find", "match", "rep", "sub", "byte"), x, g.pick("1", "2", "-1", "'%a'", "'(.)'", "'x*'", "'%d+'", "'^%s*(.-)%s*$'"))
	case 6:
		return fmt.Sprintf("string.gsub(%s, %s, %s)", x, g.pick("'.'", "'%w'", "'(%a)(%d)'", "''", "'x-'", "'[^%d]'"), g.pick("'<%0>'", "'%1'", "c", "''", "string.upper"))
	case 7:
		return fmt.Sprintf("cjson.encode({%s, k = %s})", x, y)
	case 8:
		return fmt.Sprintf("tonumber(%s, %s)", x, g.pick("10", "16", "2", "36", "nil"))
	case 9:
		return fmt.Sprintf("select(2, pcall(function() return %s end))", x)
	case 10:
		return fmt.Sprintf("math.%s(%s)", g.pick("floor", "ceil", "abs", "sqrt"), x)
	}
	return fmt.Sprintf("bit.%s(%s, %s)", g.pick("band", "bor", "bxor", "lshift"), x, y)
}

// TestReplies3AgainstRedis compares what commands reply to scripts in RESP3, and booleans
// that such scripts return.
func TestReplies3AgainstRedis(t *testing.T) {
	server, host := redisAndHost(t, "3")
	compare(t, New(Limits{}), server, host, []string{
		"redis.call('hset', 'h', 'f', 'v') redis.call('sadd', 's', 'm') redis.call('zadd', 'z', 1.5, 'm') return 1",
		"redis.setresp(3) return redis.call('hgetall', 'h')",
		"redis.setresp(3) return redis.call('hgetall', 'h').map.f",
		"redis.setresp(3) return redis.call('smembers', 's')",
		"redis.setresp(3) return cjson.encode(redis.call('smembers', 's'))",
		"redis.setresp(3) return redis.call('zscore', 'z', 'm')",
		"redis.setresp(3) return redis.call('zscore', 'z', 'm').double",
		"redis.setresp(3) return redis.call('get', 'nosuch') == nil",
		"redis.setresp(3) return {true, false}",
	})
}
