"""What applications do through redis-py: locks, pipelines, scripts, Pub/Sub.

Arguments: the nodes, HOST:PORT. The first one is used, the last is a second way
in. Ends with a code above 0 at the first check that fails.
"""

import sys
import threading
import time
import traceback

import redis
from redis.exceptions import LockError, LockNotOwnedError, ResponseError, WatchError

PATIENCE = 20  # seconds that any one wait may take
CHECKS = []


def check(run):
    """Registers a check, whose name is its function's."""
    CHECKS.append(run)
    return run


def client(addr):
    host, port = addr.rsplit(":", 1)
    return redis.Redis(host=host, port=int(port), decode_responses=True, socket_timeout=PATIENCE)


def until(condition):
    """Waits for a condition and returns what it returned."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError("what was waited for did not come")


def equal(got, want):
    assert got == want, f"{got!r}, not {want!r}"


def raises(kind, run, *args, **kwargs):
    try:
        got = run(*args, **kwargs)
    except kind as err:
        return str(err)
    raise AssertionError(f"{got!r}, not a {kind.__name__}")


@check
def values(r, other):
    r.set("py:s", "ünï", px=60_000)
    equal(other.get("py:s"), "ünï")
    assert 0 < r.pttl("py:s") <= 60_000
    r.hset("py:h", mapping={"a": 1, "b": "two"})
    equal(other.hgetall("py:h"), {"a": "1", "b": "two"})
    r.zadd("py:z", {"a": 1.5, "b": float("inf")})
    equal(r.zrange("py:z", 0, -1, withscores=True), [("a", 1.5), ("b", float("inf"))])
    assert "wrong kind" in raises(ResponseError, r.lpush, "py:h", "x")
    equal(r.getex("py:s", persist=True), "ünï")
    equal(r.ttl("py:s"), -1)
    assert r.info()["redis_version"].startswith("7.")


@check
def pipelines(r, other):
    for transaction in (True, False):
        with r.pipeline(transaction=transaction) as p:
            p.delete("py:{p}n", "py:{p}l").incr("py:{p}n").incrby("py:{p}n", 41)
            p.rpush("py:{p}l", "a", "b").lrange("py:{p}l", 0, -1).get("py:{p}none")
            equal(p.execute()[1:], [1, 42, 2, ["a", "b"], None])
            p.incr("py:{p}l").incr("py:{p}n")
            replies = p.execute(raise_on_error=False)
            assert isinstance(replies[0], ResponseError) and "wrong kind" in str(replies[0]), replies
            equal(replies[1], 43)
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.set(f"py:many:{i}", i)
        assert all(p.execute())
    equal(other.mget("py:many:0", "py:many:999"), ["0", "999"])


@check
def watch(r, other):
    r.set("py:w", 1)
    with r.pipeline() as p:
        p.watch("py:w")
        equal(p.get("py:w"), "1")
        other.set("py:w", 10)
        p.multi()
        p.set("py:w", 2)
        raises(WatchError, p.execute)
    equal(r.get("py:w"), "10")

    def double(p):
        value = int(p.get("py:w"))
        p.multi()
        p.set("py:w", 2 * value)

    equal(r.transaction(double, "py:w"), [True])
    equal(other.get("py:w"), "20")


@check
def watch_under_contention(r, other):
    workers, rounds = 6, 20
    r.set("py:wc", 0)

    def work(mine):
        def add(p):
            value = int(p.get("py:wc"))
            p.multi()
            p.set("py:wc", value + 1)

        for _ in range(rounds):
            mine.transaction(add, "py:wc", watch_delay=0.001)

    together(workers, lambda i: work((r, other)[i % 2]))
    equal(r.get("py:wc"), str(workers * rounds))


@check
def scripts(r, other):
    r.script_flush()
    add = r.register_script(
        "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) return {n, cjson.encode({n = n})}"
    )
    r.delete("py:sc")
    equal(add(keys=["py:sc"], args=[3]), [3, '{"n":3}'])
    equal(add(keys=["py:sc"], args=[3], client=other), [6, '{"n":6}'])
    with r.pipeline() as p:
        add(keys=["py:sc"], args=[1], client=p)
        p.get("py:sc")
        equal(p.execute(), [[7, '{"n":7}'], "7"])
    equal(r.script_exists(add.sha), [True])
    assert "MINE no" in raises(ResponseError, r.eval, "return redis.error_reply('MINE no')", 0)


@check
def lock(r, other):
    one = r.lock("py:lock", timeout=1)
    assert one.acquire()
    two = other.lock("py:lock", timeout=10)
    assert not two.acquire(blocking=False)
    raises(LockError, two.release)
    assert one.extend(59)
    assert 50_000 < other.pttl("py:lock") <= 60_000, other.pttl("py:lock")
    assert one.extend(30, replace_ttl=True)
    assert 20_000 < other.pttl("py:lock") <= 30_000, other.pttl("py:lock")
    assert one.reacquire()
    assert 0 < other.pttl("py:lock") <= 1000, other.pttl("py:lock")
    assert one.locked() and one.owned() and not two.owned()
    one.release()
    assert two.acquire(blocking_timeout=1) and not one.owned()
    raises(LockError, one.release)
    r.set("py:lock", "a thief")
    raises(LockNotOwnedError, two.extend, 1)
    raises(LockNotOwnedError, two.release)
    r.delete("py:lock")
    gone = r.lock("py:lock", timeout=0.05)
    assert gone.acquire()
    until(lambda: not other.exists("py:lock"))
    raises(LockNotOwnedError, gone.reacquire)


@check
def lock_under_contention(r, other):
    workers, rounds, inside, turns = 6, 10, [], []
    r.set("py:counter", 0)

    def work(i):
        mine = (r, other)[i % 2].lock("py:contended", timeout=10, sleep=0.01, blocking_timeout=PATIENCE)
        for _ in range(rounds):
            assert mine.acquire(), "not acquired in time"
            inside.append(i)
            equal(inside, [i])
            value = int(r.get("py:counter"))
            time.sleep(0.002)
            r.set("py:counter", value + 1)
            inside.remove(i)
            mine.release()
        turns.append(i)

    together(workers, work)
    equal(r.get("py:counter"), str(workers * rounds))
    equal(sorted(turns), list(range(workers)))


@check
def pubsub(r, other):
    with r.pubsub() as p:
        p.subscribe("py:news", "py:other")
        p.psubscribe("py:n?ws*")
        said = [until(lambda: p.get_message(timeout=1)) for _ in range(3)]
        equal([(m["type"], m["channel"], m["data"]) for m in said],
              [("subscribe", "py:news", 1), ("subscribe", "py:other", 2), ("psubscribe", "py:n?ws*", 3)])
        for publisher, text in ((r, "here"), (other, "there")):
            publisher.publish("py:news", text)
            got = [until(lambda: p.get_message(timeout=1)) for _ in range(2)]
            equal(sorted((m["type"], m["pattern"], m["channel"], m["data"]) for m in got if m),
                  [("message", None, "py:news", text), ("pmessage", "py:n?ws*", "py:news", text)])
        p.ping()
        equal(until(lambda: p.get_message(timeout=1))["type"], "pong")
    got = []
    with other.pubsub(ignore_subscribe_messages=True) as p:
        p.subscribe(**{"py:handled": lambda m: got.append(m["data"])})
        thread = p.run_in_thread(sleep_time=0.01)
        until(lambda: r.pubsub_numsub("py:handled")[0][1] or got or r.publish("py:handled", "probe"))
        r.publish("py:handled", "last")
        until(lambda: "last" in got)
        thread.stop()
        thread.join(PATIENCE)


@check
def blocking_pops(r, other):
    got = []
    thread = threading.Thread(target=lambda: got.append(r.blpop(["py:{q}1", "py:{q}2"], timeout=PATIENCE)))
    thread.start()
    other.rpush("py:{q}2", "job")
    thread.join(PATIENCE)
    equal(got, [("py:{q}2", "job")])
    equal(r.brpop("py:{q}1", timeout=0.05), None)


@check
def scans(r, other):
    with r.pipeline(transaction=False) as p:
        for i in range(250):
            p.set(f"py:scan:{i}", i)
            p.hset("py:scanned", f"f{i}", i)
        p.execute()
    equal(len(set(other.scan_iter(match="py:scan:*", count=50))), 250)
    equal(len(dict(r.hscan_iter("py:scanned"))), 250)


@check
def monitor(r, other):
    with r.monitor() as m:
        r.set("py:monitored", "yes")
        for command in m.listen():
            if command["command"] == "SET py:monitored yes":
                break


def together(workers, work):
    """Runs work(i) in threads, and raises what any of them raised."""
    errors = []

    def one(i):
        try:
            work(i)
        except BaseException as err:
            errors.append(err)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE)
    if errors:
        raise errors[0]
    assert not any(t.is_alive() for t in threads), "workers are not done"


def main(addrs):
    r, other = client(addrs[0]), client(addrs[-1])
    for run in CHECKS:
        name = run.__name__.replace("_", " ")
        try:
            run(r, other)
        except BaseException:
            print(f"FAILED {name}: {traceback.format_exc()}", file=sys.stderr)
            sys.exit(1)
        print(f"ok {name}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: redispy.py HOST:PORT...")
    main(sys.argv[1:])
