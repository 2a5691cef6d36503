"""A process of a mixed fleet: takes a lock through redis-py over and over.

Arguments: a node, HOST:PORT, the key, and for how many seconds. Says "enter TOKEN" and
"leave" while it has the lock, and waits for a line after each.
"""

import random
import sys
import time

import redis

host, port = sys.argv[1].rsplit(":", 1)
key, until = sys.argv[2], time.monotonic() + float(sys.argv[3])
rdb = redis.Redis(host=host, port=int(port), decode_responses=True, socket_timeout=20)


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2])) if isinstance(reply, list) else reply


def say(line):
    print(line, flush=True)
    if not sys.stdin.readline():
        sys.exit(1)


while time.monotonic() < until:
    lock = rdb.lock(key, timeout=20, sleep=0.005)
    if not lock.acquire(blocking_timeout=1):
        continue
    holders = pairs(rdb.execute_command("LOCK.INFO", key))["holders"]
    say("enter %s" % pairs(holders[0])["token"])
    say("leave")
    lock.release()
    time.sleep(random.random() / 100)
