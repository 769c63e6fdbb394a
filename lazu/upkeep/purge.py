"""The purge: what has expired goes, rows first, bytes second; then whatever bytes nothing refers to.

Safe while serving: rows go in short transactions, bytes only through `Contents.sweep`.
"""

from lazu import clock
from lazu.errors import StorageFailed
from lazu.store import contents, counts, rows
from lazu.store.contents import Contents, Engine, Removed, Tick, no_tick
from lazu.store.opening import Store
from lazu.store.tables import Purge

#: Rows a transaction: holds the write lock for some 10 ms, so that uploads hardly wait.
BATCH = 500
#: A clock is suspected of a jump when no purge ran and no file came for that many seconds (the purge runs daily) …
GAP = 3 * clock.DAY
#: … and so many files, and more than half of all, would go.
MANY = 10
#: Seconds by which the clock of a box may be ahead of its database's: its purge would take files that much too early.
AHEAD = 60


class ClockJump(Exception):
    """The clock seems to have jumped ahead; the message says what was seen and what to do."""


def steps() -> int:
    """How often a purge that began now would call its `tick`, about."""
    return contents.STEPS + (counts.expired(clock.now()).files + BATCH - 1) // BATCH


def purge(store: Store, force: bool = False, adopt: bool = False, tick: Tick = no_tick) -> Removed | None:
    """Remove what has expired and what nothing refers to; None if another purge is at it.

    With nothing removed raises `StorageFailed`, `ClockJump` unless `force` is set, and for a copy of the rows
    `StorageMoved` unless it may `adopt` the bytes (`Contents.require_own`).
    """
    if store.contents.failed:
        raise StorageFailed
    with store.contents.alone() as alone:
        if not alone():
            return None
        store.contents.require_own(adopt)
        started = clock.now()
        if not force:
            _compare(store.engine)
            _require_no_jump(started)
        files = _expire(store.contents, started, tick)
        _end_uploads(store, started)
        removed = store.contents.sweep(tick)
        removed.files = files
        counted = {"files": files, "blobs": removed.blobs, "bytes": removed.bytes}
        run = Purge(started_at=started, finished_at=clock.now(), **counted)
        store.engine.write(lambda: counts.add_purge(run), frees=True)
        return removed


def preview(store: Store, adopt: bool = False) -> Removed:
    """Count everything that a purge would remove now; writes nothing, also if that purge is to `adopt` the bytes."""
    if not adopt:
        store.contents.require_own()
    now = clock.now()
    removed = store.contents.unreferred(since=now)
    removed.files = counts.expired(now).files
    return removed


def _compare(engine: Engine) -> None:
    """Raise `ClockJump` if this box alone believes that it is so late."""
    if (ahead := engine.ahead()) > AHEAD:
        raise ClockJump(
            f"the clock of this box is {ahead:.0f} s ahead of the database's, so files would go too early: correct it "
            "(timedatectl set-ntp true). If it is right and the other wrong, run 'flask purge --force'"
        )


def _require_no_jump(now: int) -> None:
    """Raise `ClockJump` if most files would go and the store's own history has a hole: what the clock says is new."""
    last, total, expired = counts.last_purge(), counts.count(), counts.expired(now).files
    if last is None or expired < MANY or expired * 2 <= total or _longest_gap(last.finished_at, now) < GAP:
        return
    raise ClockJump(
        f"{expired} of {total} files would go, but the purge last ran at {clock.shanghai(last.finished_at)} and now it "
        f"is {clock.shanghai(now)}: did the clock jump? If it is right, run 'flask purge --force'"
    )


def _longest_gap(last: int, now: int) -> int:
    """The longest time, in seconds, between `last` and `now` in which no file came."""
    longest = 0
    for moment in counts.creations(last, now):
        longest, last = max(longest, moment - last), moment
    return max(longest, now - last)


def _end_uploads(store: Store, now: int) -> None:
    """Delete what expired uploads left: parts batch by batch, then the uploads."""
    pace, more = clock.Pace(), True
    while more:
        with pace:
            more = bool(store.uploads.drop_dead(now))
    store.uploads.forget(now)


def _expire(contents: Contents, now: int, tick: Tick) -> int:
    """Delete expired rows, batch by batch; gives how many."""
    count, pace, more = 0, clock.Pace(), True
    while more:
        with pace:
            gone = contents.drop(lambda: rows.delete_expired(now, BATCH), "expiry", later=True)
        count, more = count + len(gone), bool(gone)
        tick()
    return count
