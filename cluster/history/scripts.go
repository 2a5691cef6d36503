package history

import (
	"crypto/sha1"
	"encoding/hex"
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

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Setup returns the commands that a workload needs to have been answered once, by
// any node.
func Setup() [][]string {
	return [][]string{{"SCRIPT", "LOAD", releaseText}, {"SCRIPT", "LOAD", extendText}}
}
