package fsm

import "phonond/redisproto/command"

const (
	zunionSyntax = "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]"
	zpageSyntax  = "[LIMIT offset count]"
)

var zsetCommands = group("sorted-set",
	write("zadd", -4, 1, zaddCmd, "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]", "Adds members to a sorted set, or changes their scores.").
		flags(command.DenyOOM|command.Fast).since("1.2.0"),
	write("zincrby", 4, 1, zincrbyCmd, "key increment member", "Adds to the score of a member.").
		flags(command.DenyOOM|command.Fast).since("1.2.0"),
	write("zrem", -3, 1, zremCmd, "key member [member ...]", "Removes members from a sorted set; how many were there.").
		flags(command.Fast).since("1.2.0"),
	read("zscore", 3, 1, zscoreCmd, "key member", "The score of a member, or nil.").
		flags(command.Fast).since("1.2.0"),
	read("zmscore", -3, 1, zmscoreCmd, "key member [member ...]", "The scores of several members.").
		flags(command.Fast).since("6.2.0"),
	read("zcard", 2, 1, zcardCmd, "key", "How many members a sorted set has.").
		flags(command.Fast).since("1.2.0"),
	read("zcount", 4, 1, zcountCmd, "key min max", "How many members have a score in a range.").
		flags(command.Fast).since("2.0.0"),
	read("zlexcount", 4, 1, zlexcountCmd, "key min max", "How many members are in a range of names.").
		flags(command.Fast).since("2.8.9"),
	read("zrank", 3, 1, zrankCmd, "key member", "The rank of a member from the lowest score, or nil.").
		flags(command.Fast).since("2.0.0"),
	read("zrevrank", 3, 1, zrevrankCmd, "key member", "The rank of a member from the highest score, or nil.").
		flags(command.Fast).since("2.0.0"),
	read("zscan", -3, 1, zscanCmd, "key cursor [MATCH pattern] [COUNT count]", "Some members of a sorted set, and the cursor to go on with.").since("2.8.0"),
	read("zrandmember", -2, 1, zrandmemberCmd, "key [count [WITHSCORES]]", "Members of a sorted set chosen at random.").since("6.2.0"),

	read("zrange", -4, 1, zrangeCmd, "key start stop [BYSCORE|BYLEX] [REV] "+zpageSyntax+" [WITHSCORES]", "The members of a range of ranks, scores or names.").since("1.2.0"),
	read("zrevrange", -4, 1, zrevrangeCmd, "key start stop [WITHSCORES]", "The members of a range of ranks, highest score first.").since("1.2.0"),
	read("zrangebyscore", -4, 1, zrangebyscoreCmd, "key min max [WITHSCORES] "+zpageSyntax, "The members of a range of scores.").since("1.0.5"),
	read("zrevrangebyscore", -4, 1, zrevrangebyscoreCmd, "key max min [WITHSCORES] "+zpageSyntax, "The members of a range of scores, highest first.").since("2.2.0"),
	read("zrangebylex", -4, 1, zrangebylexCmd, "key min max "+zpageSyntax, "The members of a range of names.").since("2.8.9"),
	read("zrevrangebylex", -4, 1, zrevrangebylexCmd, "key max min "+zpageSyntax, "The members of a range of names, last first.").since("2.8.9"),
	write("zrangestore", -5, 1, zrangestoreCmd, "dst src min max [BYSCORE|BYLEX] [REV] "+zpageSyntax, "Stores the members of a range.").
		lastKey(2, 1).flags(command.DenyOOM).since("6.2.0"),
	write("zremrangebyrank", 4, 1, zremrangebyrankCmd, "key start stop", "Removes the members of a range of ranks.").since("2.0.0"),
	write("zremrangebyscore", 4, 1, zremrangebyscoreCmd, "key min max", "Removes the members of a range of scores.").since("1.2.0"),
	write("zremrangebylex", 4, 1, zremrangebylexCmd, "key min max", "Removes the members of a range of names.").since("2.8.9"),

	write("zpopmin", -2, 1, zpopminCmd, "key [count]", "Removes the members with the lowest scores.").
		flags(command.Fast).since("5.0.0"),
	write("zpopmax", -2, 1, zpopmaxCmd, "key [count]", "Removes the members with the highest scores.").
		flags(command.Fast).since("5.0.0"),
	write("zmpop", -4, 0, zmpopCmd, "numkeys key [key ...] MIN|MAX [COUNT count]", "Removes members from the first sorted set that has any.").
		numKeys(1).since("7.0.0"),

	read("zunion", -3, 0, zunionCmd, zunionSyntax+" [WITHSCORES]", "The members of any of the sorted sets.").
		numKeys(1).since("6.2.0"),
	read("zinter", -3, 0, zinterCmd, zunionSyntax+" [WITHSCORES]", "The members of all of the sorted sets.").
		numKeys(1).since("6.2.0"),
	read("zdiff", -3, 0, zdiffCmd, "numkeys key [key ...] [WITHSCORES]", "The members of the first sorted set that are in none of the others.").
		numKeys(1).since("6.2.0"),
	write("zunionstore", -4, 1, zunionstoreCmd, "destination "+zunionSyntax, "Stores the union of sorted sets.").
		numKeys(2).flags(command.DenyOOM).since("2.0.0"),
	write("zinterstore", -4, 1, zinterstoreCmd, "destination "+zunionSyntax, "Stores the intersection of sorted sets.").
		numKeys(2).flags(command.DenyOOM).since("2.0.0"),
	write("zdiffstore", -4, 1, zdiffstoreCmd, "destination numkeys key [key ...]", "Stores the difference of sorted sets.").
		numKeys(2).flags(command.DenyOOM).since("6.2.0"),
	read("zintercard", -3, 0, zintercardCmd, "numkeys key [key ...] [LIMIT limit]", "How many members are in all of the sorted sets.").
		numKeys(1).since("7.0.0"),
)
