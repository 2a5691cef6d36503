package docs_test

// What commands.md says of what is held.

const locks = `
A lock is a string key whose value is the owner: ` + "`SET NX`" + `, the lock scripts, ` + "`GET`, `PTTL` and `DEL`" + `
of other clients see it, and what they take is a lock here, with a token, too. All times are
milliseconds of the cluster clock.

* ` + "`LOCK.ACQUIRE`" + ` answers the fencing token, for how long the lock is held (-1 for ever) and how often
  it is to be released. The token is larger than that of any grant before it. An owner that
  asks again has the same grant, for as long as it asks for now if that is longer; with
  ` + "`REENTRANT`" + ` it is counted. Readers that ask for it ` + "`SHARED`" + ` have it together, each with its own
  token and time. An owner makes its lock shared with ` + "`SHARED`" + `; a shared one is not made
  exclusive (` + "`UPGRADE`" + `).
* ` + "`DELAY`" + ` is for how long nobody gets the lock after its holder has lost it by time or by
  ` + "`LOCK.FORCE`" + `. A lock that is released is free at once.
* ` + "`WAIT`" + ` is for how long the client waits for the lock, 0 for ever; without it, it does not. Who waits is
  served in the order in which they came, whoever comes meanwhile: by the same entry that frees the lock, one
  of them, or all readers up to the next that wants it alone. Only who holds it already gets it
  at once. A client that is gone gets nothing. In ` + "`MULTI`" + ` nothing waits.
* ` + "`LOCK.RENEW`, `LOCK.RELEASE`, `LOCK.CHECK` and `LOCK.FORCE`" + ` go by the token: a late one cannot
  touch a newer grant.
* ` + "`SESSION`" + ` lets the lock end with a [session](#sessions) as well as with its time; with 0 milliseconds
  it has no other. The same owner in another session is another owner.
* ` + "`LOCK.MULTI`" + ` takes all of its keys, or none, with one token; they have to live in one group.
  Who waits for several stands in the lines of all of them.
* ` + "`LOCK.INFO`" + ` shows who holds a lock of either dialect and who waits for it, ` + "`LOCK.LIST`" + ` shows locks, and
  strings whose names end in ` + "`.lock`" + ` or that a pattern asks for. ` + "`free-in-ms`" + ` is -1 for one that nothing but its
  holder, or a session's end, will free (` + "`NOTTL`" + ` lists those). Since when a lock is held is not known of one
  taken in the Redis dialect (-1), nor from where.
* ` + "`LOCK.FORCE`" + ` is remembered: ` + "`LOCK.AUDIT`" + ` shows the last 1000 of each group. The holder finds its token void,
  and its session says that it has lost something.
* A semaphore is a number of permits under a key, of which ` + "`LIMIT`" + ` says how many there are. The first who takes
  any sets the limit, another one is refused. It goes with the last permit, unless
  ` + "`SEM.LIMIT`" + ` has set the limit for good. Who waits for more than are free is not overtaken by who
  wants fewer.
* ` + "`EVENTS`" + ` tells in order what became of the locks, permits and references under a key of the database, or
  under all that begin with a prefix: ` + "`granted`, `released`, `expired`, `forced`" + `, and with ` + "`*`" + ` alone also
  ` + "`session-ended`" + `. It goes on from the cursor of the reply before, ` + "`0`" + ` is the oldest that is kept and ` + "`$`" + ` is now; ` + "`BLOCK`" + ` is for
  how long it waits for the first, 0 for ever. A group keeps the last 16384, and after a node was started only what came since
  its snapshot: who asks for earlier ones is answered ` + "`COMPACTED`" + `. What plain ` + "`SET NX`" + ` takes is not told, nor ` + "`FLUSHALL`" + `.
* ` + "`LOCK.TOP`" + ` shows the keys that were waited for longest since their leaders began to count, ` + "`INFO locks`" + ` how often on
  this node's groups something was granted, waited for, lost, and for how long it was waited and held.
* ` + "`META`" + ` is up to 4096 bytes that ` + "`LOCK.INFO`" + ` shows; at most 10000 hold one thing.
`

const sessions = `
A session is the lease of a client process. What it holds is released when it ends, all of it in one
step in each group: when it is closed, or when nobody has said for its time to live, of 1 second to 24 hours,
that it is in use. That costs no entry of the log: the group's leader keeps it in mind. A new
leader gives each session its time to live once more.

* A session lives in the region of the node that opened it, which its id names after the ` + "`@`" + `. Where it holds
  keys of other regions, the leaders there watch it as well: it ends everywhere when it ends in one place.
* ` + "`ID`" + ` is the first part of the id, of 1 to 64 letters, digits, ` + "`-`" + ` and ` + "`_`" + `: to open a session again that is open is no
  error, so that a client may repeat it. Without it the node makes one up.
* With ` + "`CONN`" + ` the node keeps it alive as long as the connection is open, and ends it ` + "`GRACE`" + ` milliseconds after
  that, unless another connection has said ` + "`SESSION.KEEPALIVE id CONN`" + ` meanwhile.
* The second number that ` + "`SESSION.KEEPALIVE`" + ` answers counts what was taken from the session: by
  ` + "`LOCK.FORCE`" + `, by commands such as ` + "`DEL`" + `, or because its time was over.
* ` + "`NOSESSION`" + ` is the error when there is no such session any more.
`

const references = `
References are those of phonon: the processes in the hash ` + "`phonon_R.nodelist`" + ` have one to R, and all its
generations share the count with who uses these commands; ` + "`phonon_R.refcount`" + ` is kept in step. The string
under the key R is the payload.

* Each time a resource gets its first reference begins a generation, with a number larger than any before.
* A reference with a session ends with it. If the last one was such, however it ended, a *completion* is
  kept: how often the resource was modified, and the payload, which is taken from the key R in the same step. Exactly one
  process executes it: the one that released the last reference, or else one that asks with
  ` + "`REF.WAITLAST`" + `. It says ` + "`REF.DONE`" + ` with its token in the end; when its session ends before that, another is elected.
  So a completion may be executed twice if a process dies between the two: whoever stores the
  result leaves out a generation that it has already.
* Completions of one resource are executed one after the other, the oldest first. A reference that is taken meanwhile
  belongs to the next generation.
* ` + "`REF.RELEASE`" + ` that is repeated by the last process answers the same as long as the completion is not done.
* The last reference without a session leaves no completion: the process was told, and the payload stays, as
  phonon has it.
`
