package command

import "strings"

// Complexity returns how the time that a command takes grows, beside finding its keys,
// which takes the logarithm of the number of keys. N is the number of elements, or of
// bytes, that the values named have, or the number of whatever is listed; M how many
// the command names, returns or changes. It is "" for an unknown name.
func Complexity(name string) string {
	if c := complexities[name]; c != "" {
		return c
	}
	if _, sub, ok := strings.Cut(name, "|"); ok && sub == "help" {
		return "O(1)"
	}
	return ""
}

var complexities = byName(map[string]string{
	"O(1)": `
		append decr decrby get getdel getex getset incr incrby incrbyfloat psetex set setex setnx strlen delex delifeq getbit
		hlen llen scard zcard expire expireat expiretime move persist pexpire pexpireat pexpiretime pttl ttl type rename renamenx
		object|encoding object|freq object|idletime object|refcount dbsize swapdb time
		auth hello quit reset ping echo select client|caching client|getname client|getredir client|id client|info client|no-evict client|no-touch
		client|pause client|reply client|setinfo client|setname client|tracking client|trackinginfo client|unblock client|unpause
		command|count config|resetstat config|rewrite monitor wait role lolwut debug
		slowlog|len latency|graph latency|history latency|doctor memory|doctor memory|malloc-stats memory|purge memory|stats
		multi pubsub|numpat cluster|info cluster|myid cluster|keyslot script|kill script|debug
		subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe
		lock.acquire lock.check lock.force lock.info lock.release lock.renew
		sem.acquire sem.check sem.info sem.limit sem.release sem.renew
		ref.acquire ref.count ref.done ref.info ref.release ref.touch ref.waitlast ref.yield
		session.open session.keepalive`,
	"O(M)": `
		mget mset msetnx getrange substr bitfield bitfield_ro del unlink exists touch flushall flushdb copy
		lpush lpushx rpush rpushx watch unwatch discard pubsub|numsub pubsub|shardnumsub
		command|docs command|getkeys command|getkeysandflags command|info config|get config|set slowlog|get slowlog|reset
		latency|histogram latency|latest latency|reset script|exists script|flush script|load exec
		lock.multi lock.audit lock.top events ref.pending session.close session.info session.list`,
	"O(log(N))": `
		hexists hget hincrby hincrbyfloat hsetnx hstrlen sismember smove zincrby zscore lmove rpoplpush blmove brpoplpush randomkey client|kill`,
	"O(M*log(N))": `
		hdel hmget hmset hset hrandfield sadd srem smismember spop srandmember zadd zrem zmscore zpopmax zpopmin zmpop bzmpop bzpopmax bzpopmin
		zrandmember lpop rpop lmpop blmpop blpop brpop`,
	"O(log(N)^2)": `
		zcount zlexcount zrank zrevrank`,
	"O(log(N)^2+M)": `
		zrange zrangebylex zrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrangestore`,
	"O(log(N)^2+M*log(N))": `
		zremrangebylex zremrangebyrank zremrangebyscore`,
	"O(N)": `
		setrange setbit bitcount bitop bitpos hgetall hkeys hvals lindex linsert lpos lrange lrem lset ltrim smembers dump restore keys memory|usage
		client|list command|list info pubsub|channels pubsub|shardchannels cluster|nodes cluster|shards cluster|slots publish spublish
		phonon.digest phonon.groups phonon.members phonon.regions phonon.status phonon.transfer-leader`,
	"O(N*log(N))": `
		sunion sunionstore sinter sinterstore sintercard sdiff sdiffstore zdiff zdiffstore zinter zintercard zinterstore zunion zunionstore sort sort_ro`,
	"O(N*M)": `
		lcs`,
	"O(M) a call, O(N) in all": `
		scan hscan sscan zscan lock.list`,
	"that of its commands": `
		eval eval_ro evalsha evalsha_ro`,
})

func byName(names map[string]string) map[string]string {
	all := map[string]string{}
	for complexity, list := range names {
		for name := range strings.FieldsSeq(list) {
			all[name] = complexity
		}
	}
	return all
}
