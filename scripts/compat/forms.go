package main

import "strings"

// shapes reads a list of shapes, one a line.
func shapes(text string) (list []node) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		list = append(list, parse(strings.TrimSpace(line)))
	}
	return list
}

// Commands with one key at most.
var single = shapes(`
SET skey value < NX , XX , GET , KEEPTTL , EX ttl , PX ttlms , EXAT later , PXAT laterms >
SET skey value
SET ikey int
SET bkey value
SETNX skey value
SETEX skey ttl value
PSETEX skey ttlms value
GET key
GET skey
GETSET skey value
GETDEL skey
GETEX skey < EX ttl , PX ttlms , EXAT later , PXAT laterms , PERSIST , x >
INCR|DECR ikey
INCRBY|DECRBY ikey int
INCRBYFLOAT ikey float
APPEND skey value
STRLEN skey
SETRANGE skey offset value
GETRANGE|SUBSTR skey int int
SETBIT bkey bitat bit
GETBIT bkey bitat
BITCOUNT bkey
BITCOUNT bkey int int ( BYTE|BIT|x )
BITPOS bkey bit ( int ( int ( BYTE|BIT|x ) ) )
BITFIELD bkey GET bittype bitoffset ( OVERFLOW WRAP|SAT|FAIL|x ) SET|INCRBY bittype bitoffset bitvalue
BITFIELD bkey ( OVERFLOW WRAP|SAT|FAIL ) INCRBY bittype bitoffset bitvalue ( OVERFLOW WRAP|SAT|FAIL ) INCRBY bittype bitoffset bitvalue
BITFIELD_RO bkey ( GET bittype bitoffset ) GET bittype bitoffset
BITFIELD_RO bkey ( SET u8 0 1 )
TYPE key
EXPIRE key ttl ( NX|XX|GT|LT|x ) ( NX|XX|GT|LT )
PEXPIRE key ttlms ( NX|XX|GT|LT|x ) ( NX|XX|GT|LT )
EXPIREAT key later|later|past ( NX|XX|GT|LT|x )
PEXPIREAT key laterms|laterms|pastms ( NX|XX|GT|LT|x )
TTL|PTTL key
EXPIRETIME|PEXPIRETIME key
PERSIST key
MOVE key db
OBJECT ENCODING key
OBJECT REFCOUNT|IDLETIME|FREQ|HELP|x key
MEMORY USAGE key ( SAMPLES count )
HSET hkey field value ( field value )
HMSET hkey field value ( field value )
HSETNX hkey field value
HGET hkey field
HMGET hkey field...
HGETALL hkey
HDEL hkey field...
HEXISTS hkey field
HLEN hkey
HKEYS hkey
HVALS hkey
HINCRBY hkey field int
HINCRBYFLOAT hkey field float
HSTRLEN hkey field
HSCAN hkey cursor COUNT 1000 ( MATCH pattern )
HRANDFIELD hkey 0|100|x ( WITHVALUES|x )
SADD ekey member...
SREM ekey member...
SMEMBERS ekey
SCARD ekey
SISMEMBER ekey member
SMISMEMBER ekey member...
SPOP ekey 0|100|-1|x|
SRANDMEMBER ekey 0|100|x
SSCAN ekey cursor COUNT 1000 < MATCH pattern , x >
LPUSH|RPUSH|LPUSHX|RPUSHX lkey value...
LPOP|RPOP lkey ( count )
LRANGE lkey int int
LLEN lkey
LINDEX lkey int
LSET lkey int value
LREM lkey int value
LINSERT lkey BEFORE|AFTER|x value value
LTRIM lkey int int
LPOS lkey value < RANK rank , COUNT count , MAXLEN count >
ZADD zkey < NX , XX , GT , LT , CH , INCR > score member
ZADD zkey ( CH ) float member score member
ZADD zkey score member score member score member
ZADD Zkey 0 member 0 member 0 member
ZINCRBY zkey float member
ZSCORE zkey member
ZMSCORE zkey member...
ZREM zkey member...
ZCARD zkey
ZCOUNT zkey bound bound
ZLEXCOUNT Zkey lex lex
ZRANGE zkey int int < REV , WITHSCORES , BYSCORE , x >
ZRANGE zkey bound bound BYSCORE < REV , LIMIT int int , WITHSCORES >
ZRANGE Zkey lex lex BYLEX < REV , LIMIT int int , WITHSCORES >
ZREVRANGE zkey int int ( WITHSCORES )
ZRANGEBYSCORE|ZREVRANGEBYSCORE zkey bound bound < WITHSCORES , LIMIT int int >
ZRANGEBYLEX|ZREVRANGEBYLEX Zkey lex lex ( LIMIT int int )
ZRANK|ZREVRANK zkey member
ZREMRANGEBYRANK zkey int int
ZREMRANGEBYSCORE zkey bound bound
ZREMRANGEBYLEX Zkey lex lex
ZPOPMIN|ZPOPMAX zkey ( count )
ZRANDMEMBER zkey 0|100|x ( WITHSCORES|x )
ZSCAN zkey cursor COUNT 1000 ( MATCH pattern )
SORT lkey < LIMIT int int , ASC|DESC , ALPHA >
SORT_RO ekey < LIMIT int int , ASC|DESC , ALPHA >
RPUSH Lkey value...
LTRIM Lkey -5 -1
SORT_RO Lkey < LIMIT int int , ASC|DESC , ALPHA , BY value >
`)

// Commands with several keys, which are to live together.
var multiple = shapes(`
MGET skey...
MSET skey value ( key value )
MSETNX skey value ( key value )
DEL|UNLINK key...
EXISTS|TOUCH key...
RENAME key key
RENAMENX key key
COPY key key < DB db , REPLACE >
BITOP AND|OR|XOR|NOT|x bkey bkey...
BITOP NOT bkey bkey
LCS skey skey < LEN , IDX , MINMATCHLEN small , WITHMATCHLEN >
SMOVE ekey ekey member
SUNION|SINTER|SDIFF ekey...
SUNIONSTORE|SINTERSTORE|SDIFFSTORE ekey ekey...
SINTERCARD #ekey ( LIMIT count )
LMOVE lkey lkey direction direction
RPOPLPUSH lkey lkey
LMPOP #lkey direction ( COUNT count )
ZRANGESTORE zkey zkey int int < REV , BYSCORE >
ZRANGESTORE zkey zkey bound bound BYSCORE < LIMIT int int , REV >
ZRANGESTORE zkey Zkey lex lex BYLEX ( LIMIT int int )
ZMPOP #zkey MIN|MAX|x ( COUNT count )
ZUNION|ZINTER #zkey < WEIGHTS float float , WEIGHTS score , AGGREGATE SUM|MIN|MAX|x , WITHSCORES >
ZUNION|ZINTER 2 zkey ekey < WEIGHTS float float , AGGREGATE SUM|MIN|MAX , WITHSCORES >
ZDIFF #zkey ( WITHSCORES|x )
ZUNIONSTORE|ZINTERSTORE zkey #zkey < WEIGHTS float float , AGGREGATE SUM|MIN|MAX|x >
ZUNIONSTORE|ZINTERSTORE zkey 2 zkey ekey < WEIGHTS score score , AGGREGATE SUM|MIN|MAX >
ZDIFFSTORE zkey #zkey
ZINTERCARD #zkey ( LIMIT count )
SORT ekey|zkey < LIMIT int int , ASC|DESC , ALPHA , GET sortget >
SORT ekey|zkey ALPHA < LIMIT int int , ASC|DESC , GET sortget , STORE lkey >
SORT Lkey < LIMIT int int , ASC|DESC , ALPHA , BY sortby , GET sortget , GET sortget >
SORT Lkey ALPHA < LIMIT int int , ASC|DESC , BY sortby , GET sortget , GET sortget , STORE lkey >
`)

// Commands that wait, a little.
var waiting = shapes(`
BLPOP|BRPOP lkey... 0.001|0.02|x|-1|nan|inf|
BLMOVE lkey lkey direction direction 0.001|0.02|x|-1
BRPOPLPUSH lkey lkey 0.001|0.02|x|-1
BLMPOP 0.001|0.02|x|-1 #lkey direction ( COUNT count )
BZPOPMIN|BZPOPMAX zkey... 0.001|0.02|x|-1
BZMPOP 0.001|0.02|x|-1 #zkey MIN|MAX|x ( COUNT count )
`)

// Commands on all keys.
var whole = shapes(`
KEYS pattern
SCAN cursor COUNT 1000 < MATCH pattern , TYPE type , x >
DBSIZE
RANDOMKEY
SWAPDB 0 1|2|0|x|16
SWAPDB 1 2
SELECT 0|0|0|1|x|16|-1|
`)

// Commands on all keys that change nothing, and leave the connection where it is.
var reading = shapes(`
KEYS pattern
SCAN cursor COUNT 1000 ( MATCH pattern )
DBSIZE
RANDOMKEY
`)

// Commands that touch no key, the replies of which do not depend on the server.
var serverForms = shapes(`
PING ( message ) ( message )
ECHO message
SELECT db
TIME
DBSIZE
CLIENT GETNAME
CLIENT SETNAME field
CLIENT ID|GETREDIR|x
CLIENT UNBLOCK int ( TIMEOUT|ERROR|x )
CLIENT NO-EVICT ON|OFF|x
CLIENT REPLY ON|x
CLIENT KILL ID 0|-1|x|9223372036854775807 ( SKIPME YES|NO|x )
CLIENT LIST TYPE x|master
CLIENT PAUSE x|-1|
CLIENT CACHING YES|x
COMMAND INFO cmdname
COMMAND DOCS nosuch
COMMAND LIST FILTERBY PATTERN nosuch*|z*|hs*|sm*
COMMAND GETKEYS nosuch|get|mset|eval|ping ( value ( value ) ) ( value )
COMMAND GETKEYSANDFLAGS get|set|mset value value
CONFIG GET databases|nosuch|maxmemory-policy|x*|
CONFIG SET nosuch value
CONFIG SET databases 3
CONFIG SET notify-keyspace-events KEA|Kx|AKE|g$|x!|
CONFIG RESETSTAT ( x )
DEBUG SLEEP 0
DEBUG JMAP
SLOWLOG GET x|-2|1.5
SLOWLOG RESET|HELP|x
LATENCY RESET|LATEST|HELP|x|DOCTOR
LATENCY HISTORY x
LATENCY HISTOGRAM nosuch
MEMORY HELP|x
OBJECT HELP|x
PUBSUB CHANNELS|NUMPAT|SHARDCHANNELS|x ( chpattern )
PUBSUB NUMSUB|SHARDNUMSUB ( channel... )
PUBLISH|SPUBLISH channel message
SCRIPT EXISTS sha1...
SCRIPT FLUSH SYNC|ASYNC|x|
SCRIPT LOAD field
SCRIPT KILL|HELP|x
SCRIPT DEBUG NO|YES|SYNC|x
EVALSHA|EVALSHA_RO sha1 numkeys key
WAIT 0 0
WAIT x|-1|0 x|-1|0
DISCARD
EXEC
UNWATCH
WATCH key...
UNSUBSCRIBE ( channel )
PUNSUBSCRIBE ( chpattern )
SUNSUBSCRIBE ( channel )
HELLO 1|4|x|03
HELLO 3 AUTH|SETNAME|x value
RESET x
nosuch field... value...
GEOPOS key x
XLEN key
PFCOUNT key
FUNCTION LIST
FCALL x 0
`)

// outOfScope are the commands of Redis 7.0 that phonond does not have: geo,
// streams, HyperLogLog, functions.
func outOfScope(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"geo", "pf", "function", "fcall"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, "x")
}
