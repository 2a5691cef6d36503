package history

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// The texts of the scripts of redis-py's lock (MIT licence), byte for byte: servers
// know them by their SHA1.
const (
	releaseText = `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    `
	extendText = `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        local expiration = redis.call('pttl', KEYS[1])
        if not expiration then
            expiration = 0
        end
        if expiration < 0 then
            return 0
        end

        local newttl = ARGV[2]
        if ARGV[3] == "0" then
            newttl = ARGV[2] + expiration
        end
        redis.call('pexpire', KEYS[1], newttl)
        return 1
    `
)

// script is a script of the workload, with what it does said a second time, for the
// model.
type script struct {
	text, sha string
	// do does it by call, which does one command. told is what the client was told, no
	// reply if that is not known.
	do func(call func(args ...string) resp.Value, keys, argv []string, told resp.Value) resp.Value
}

func newScript(text string, do func(call func(args ...string) resp.Value, keys, argv []string, told resp.Value) resp.Value) *script {
	return &script{text: text, sha: shaOf(text), do: do}
}

// The scripts of the workload.
var (
	// limitScript counts up to a limit.
	limitScript = newScript(`
		local n = tonumber(redis.call('GET', KEYS[1]) or '0')
		if n >= tonumber(ARGV[1]) then
			return -1
		end
		return redis.call('INCR', KEYS[1])
	`, func(call func(args ...string) resp.Value, keys, argv []string, _ resp.Value) resp.Value {
		limit, _ := strconv.Atoi(argv[0])
		if n, _ := strconv.Atoi(call("GET", keys[0]).Str); n >= limit {
			return resp.Int(-1)
		}
		return call("INCR", keys[0])
	})
	// moveScript moves a value from one key to another.
	moveScript = newScript(`
		local value = redis.call('GET', KEYS[1])
		if value then
			redis.call('DEL', KEYS[1])
			redis.call('SET', KEYS[2], value)
		end
		return value
	`, func(call func(args ...string) resp.Value, keys, _ []string, _ resp.Value) resp.Value {
		value := call("GET", keys[0])
		if !isNil(value) {
			call("DEL", keys[0])
			call("SET", keys[1], value.Str)
		}
		return value
	})
	// casScript replaces a value by another, if it is the one that is expected.
	casScript = newScript(`
		if redis.call('GET', KEYS[1]) == ARGV[1] then
			redis.call('SET', KEYS[1], ARGV[2])
			return 1
		end
		return 0
	`, func(call func(args ...string) resp.Value, keys, argv []string, _ resp.Value) resp.Value {
		if value := call("GET", keys[0]); isNil(value) || value.Str != argv[0] {
			return resp.Int(0)
		}
		call("SET", keys[0], argv[1])
		return resp.Int(1)
	})
	// timeScript asks for the time between reading and writing.
	timeScript = newScript(`
		local value = redis.call('GET', KEYS[1])
		local time = redis.call('TIME')
		if tonumber(time[1]) > 0 then
			redis.call('SET', KEYS[1], ARGV[1])
		end
		return value
	`, replaceValue)
	// peekScript reads what it could not know without the time.
	peekScript = newScript(`
		local time = redis.call('TIME')
		return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), #time}
	`, func(call func(args ...string) resp.Value, keys, _ []string, _ resp.Value) resp.Value {
		return resp.List(call("GET", keys[0]), call("GET", keys[1]), resp.Int(2))
	})
	// slowScript thinks for a while between reading and writing.
	slowScript = newScript(`
		local value, x = redis.call('GET', KEYS[1]), 0
		for i = 1, tonumber(ARGV[2]) do
			x = (x + i) % 7
		end
		redis.call('SET', KEYS[1], ARGV[1])
		return value
	`, replaceValue)
	// drawScript draws a member of a set, puts it back, and counts.
	drawScript = newScript(`
		local member = redis.call('SPOP', KEYS[1])
		if member then
			redis.call('SADD', KEYS[1], member)
			redis.call('INCR', KEYS[2])
		end
		return member
	`, func(call func(args ...string) resp.Value, keys, _ []string, told resp.Value) resp.Value {
		member := call("SRANDMEMBER", keys[0])
		if isNil(member) {
			return member
		}
		call("INCR", keys[1])
		if call("SISMEMBER", keys[0], told.Str).Int == 1 {
			return told
		}
		return member
	})
	// fillScript puts an element at each end of two lists. It is judged with those who
	// wait for them.
	fillScript = newScript(`
		redis.call('RPUSH', KEYS[1], ARGV[1])
		redis.call('LPUSH', KEYS[2], ARGV[2])
		return 2
	`, nil)
)

// replaceValue sets a key and returns what it was before.
func replaceValue(call func(args ...string) resp.Value, keys, argv []string, _ resp.Value) resp.Value {
	value := call("GET", keys[0])
	call("SET", keys[0], argv[0])
	return value
}

// modelled are the scripts that the model of values can do, by SHA1.
var modelled = func() map[string]*script {
	bySHA := map[string]*script{}
	for _, s := range []*script{limitScript, moveScript, casScript, timeScript, peekScript, slowScript, drawScript} {
		bySHA[s.sha] = s
	}
	return bySHA
}()

// shaIn returns the SHA1 of the script that a command runs, "" if it runs none.
func shaIn(args []string) string {
	switch {
	case len(args) < 3:
	case strings.EqualFold(args[0], "EVALSHA"):
		return strings.ToLower(args[1])
	case strings.EqualFold(args[0], "EVAL"):
		return shaOf(args[1])
	}
	return ""
}

// findScript returns the script that a command runs, nil if the model does not know it.
func findScript(args []string) *script { return modelled[shaIn(args)] }

// scriptArgs returns what a command gives its script.
func scriptArgs(args []string) (keys, argv []string) {
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 0 || n > len(args)-3 {
		return nil, nil
	}
	return args[3 : 3+n], args[3+n:]
}

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Setup returns the commands that a workload needs to have been answered once, by
// any node.
func Setup() [][]string {
	return [][]string{{"SCRIPT", "LOAD", releaseText}, {"SCRIPT", "LOAD", extendText}}
}
