"""Tries to begin a write transaction over and over: `python prober.py DATABASE TIMEOUT PAUSE`, until its input ends.

With TIMEOUT 0 it looks, every PAUSE seconds, whether the write lock is taken; the longest stretch of "taken" is how
long somebody held it. With a TIMEOUT it waits as any writer does. Prints JSON: seconds of the longest stretch or wait.
"""

import json
import select
import sys
import time

import pysqlite3


def main(path: str, timeout: float, pause: float) -> None:
    db = pysqlite3.connect(path, isolation_level=None, timeout=timeout)
    longest, since = 0.0, 0.0
    while not select.select([sys.stdin], [], [], pause)[0]:
        start = since or time.monotonic()
        since = 0.0 if begin(db) else start
        longest = max(longest, time.monotonic() - start)
    print(json.dumps(longest))


def begin(db: pysqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except pysqlite3.OperationalError:
        return False
    db.execute("ROLLBACK")
    return True


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
