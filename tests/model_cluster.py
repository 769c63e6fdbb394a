"""The publish and reap protocol of a cluster (PostgreSQL rows, S3 objects) as a model small enough to be tried in full.

One content; two uploads of it, or an upload and a purge, beside a delete or a purge; then all boxes die, and an upload and
a purge run. Every order of their steps is walked. At each step a process may be killed, its calls of S3 staying under way;
a call that is under way may be carried out at any later time or, when its caller is dead, never; a caller may give up
waiting at any time; the answer to a commit may be lost, so that its caller says it again, and with it what makes it durable
on the standby, though everybody sees it; and the database may crash and come back, or the standby in its place. An upload may be told that the object is lost, rightly or not (`lies`): then its own takes that one's place. `python tests/model_cluster.py` prints the table (minutes).

What the model takes from the world:

* a transaction is one step: all or nothing, in some order with all others on the same blob (the foreign key, row locks);
* a commit is durable when it returns, except where a word ends in `_async` (`synchronous_commit = off`): that is lost by
  a crash of the database unless a later commit was flushed. One whose answer was lost may be too: who finds done what it
  did commits as well (`Postgresql.surely`) before it goes on;
* an object is whole or absent; a PUT that was answered is durable, and seen by every GET and LIST after it. Nothing else
  is taken from S3: no lock, no condition, no order of calls.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from helpers.walking import Report, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = -1  # the row, and the object, of an upload of long ago
NOBODY = -9
DEAD = -1
GONE = -2  # the caller of a call that its upload waits for no more
END = "end"  # of an upload that succeeded; what follows is `failed`
CONTENT = 99  # the one name of the content, in designs that name objects by content alone
FIRST, SECOND, THIRD, LATE, LAST = range(5)
LIVES = (FIRST, SECOND, THIRD), (LATE, LAST)  # who acts before, and who after all boxes died


class Design(NamedTuple):
    """The three programs that are run against each other. One word is one step that nothing can split."""

    upload: str = "hit intend_async put wait land answer erase wait forget"
    delete: str = "remove answer erase wait forget"
    purge: str = "release revoke surely erase wait forget list strays surely erase wait answer"
    by_content: bool = False
    calm: bool = False  # nothing dies, times out or crashes
    #: Transactions that are retried when the answer to their COMMIT was lost. An intent is not: a purge may have revoked
    #: and forgotten it meanwhile, and its DELETE be under way, so what comes next needs another name.
    repeated: frozenset[str] = frozenset("hit land remove release revoke forget".split())
    #: What an upload does that fails: its PUT was not answered in time, or the COMMIT of its landing.
    failed: str = "doom_own erase wait forget"
    again: bool = False  # what is taken for lost is put again under its name


class Rows(NamedTuple):
    """What the database holds."""

    files: frozenset[int]
    blob: int | None  # the object that the content has
    loose: frozenset[tuple[int, bool]]  # name and doomed: objects that may be there and that no blob has


class State(NamedTuple):
    """Everything that decides what can happen next."""

    rows: Rows
    solid: Rows  # what a crash of the database leaves
    objects: frozenset[int]
    calls: frozenset[tuple[str, int, int]]  # verb, name, caller: under way at S3
    answered: frozenset[int]
    lock: int  # the advisory lock, in the design that has one
    at: tuple[int, ...]  # how far each actor is
    mind: tuple[object, ...]  # what each actor remembers: a word, or names it will erase
    luck: Luck
    life: int
    told: frozenset[tuple[int, int]] = frozenset()  # upload, and the object that it was told is lost


class Luck(NamedTuple):
    """How much may still go wrong."""

    kills: int = 2
    crashes: int = 1
    waits: int = 1  # callers that give up waiting
    doubts: int = 0  # answers to commits that are lost
    fails: int = 0  # uploads that fail, and clean up
    lies: int = 0  # objects of which an upload of their bytes is told that they are lost
    skips: int = 0  # contents that stay, because an upload has them whose transaction may yet fail


NO_LUCK = Luck(0, 0, 0)


class Trial(NamedTuple):
    """How long a walk gets: what may go wrong, and whether another upload comes after all boxes died.

    With `loses` somebody else has deleted the object of long ago, or will: files that have it can't be read, until an upload that
    was told so is answered.
    """

    luck: Luck
    late: bool = True
    loses: bool = False


class Refused(Exception):
    """A step fails, and the actor with it."""


def named(w: World, s: State, me: int) -> int:
    if w.design.again:
        return dict(s.told).get(me, me)
    return CONTENT if w.design.by_content else me


def think(s: State, me: int, mind: object) -> State:
    return s._replace(mind=(*s.mind[:me], mind, *s.mind[me + 1 :]))


def commit(s: State, rows: Rows) -> State:
    return s._replace(rows=rows, solid=rows)


def commit_async(s: State, rows: Rows) -> State:
    return s._replace(rows=rows)


def without(loose: frozenset[tuple[int, bool]], *names: int) -> frozenset[tuple[int, bool]]:
    return frozenset(each for each in loose if each[0] not in names)


# ---- steps of the database; each takes the model, the state and the actor


def hit(_: World, s: State, me: int) -> State:
    if s.rows.blob is None:
        return think(s, me, "miss")
    return think(commit(s, s.rows._replace(files=s.rows.files | {me})), me, "done")


def hit_look(_: World, s: State, me: int) -> State:
    return think(s, me, "miss" if s.rows.blob is None else "hit")


def hit_write(_: World, s: State, me: int) -> State:
    if s.mind[me] != "hit":
        return s
    return think(commit(s, s.rows._replace(files=s.rows.files | {me})), me, "done")


def intend(w: World, s: State, me: int, save: Callable = commit) -> State:
    if s.mind[me] != "miss":
        return s
    return save(s, s.rows._replace(loose=s.rows.loose | {(named(w, s, me), False)}))


def intend_async(w: World, s: State, me: int) -> State:
    return intend(w, s, me, commit_async)


def land(w: World, s: State, me: int, save: Callable = commit) -> State:
    if s.mind[me] != "miss":
        return think(s, me, "done")
    if me in s.rows.files:  # there already: the answer to the first COMMIT was lost
        return think(save(s, s.rows), me, "done")
    if (named(w, s, me), False) not in s.rows.loose:
        raise Refused
    return land_blind(w, s, me, save)


def land_blind(w: World, s: State, me: int, save: Callable = commit) -> State:
    if s.mind[me] != "miss":
        return s
    name, rows = named(w, s, me), s.rows
    loose, lost = without(rows.loose, name), dict(s.told).get(me)
    if lost is not None and lost == rows.blob != name:
        return think(save(s, Rows(rows.files | {me}, name, loose | {(lost, True)})), me, frozenset({lost}))
    if rows.blob in (None, name):
        return think(save(s, Rows(rows.files | {me}, name, loose)), me, "done")
    lost = Rows(rows.files | {me}, rows.blob, loose | {(name, True)})
    return think(save(s, lost), me, frozenset({name}))


def land_believed(w: World, s: State, me: int) -> State:
    return think(s, me, "done") if me in s.rows.files else land(w, s, me)


def land_async(w: World, s: State, me: int) -> State:
    return land(w, s, me, commit_async)


def remove(w: World, s: State, me: int, save: Callable = commit) -> State:
    rows = s.rows._replace(files=s.rows.files - {w.victim(me)})
    if rows.files or rows.blob is None:
        return think(save(s, rows), me, frozenset())
    gone = Rows(rows.files, None, rows.loose | {(rows.blob, True)})
    return think(save(s, gone), me, frozenset({rows.blob}))


def remove_async(w: World, s: State, me: int) -> State:
    return remove(w, s, me, commit_async)


def remove_believed(w: World, s: State, me: int) -> State:
    return remove(w, s, me) if w.victim(me) in s.rows.files else think(s, me, frozenset())


def remove_row(w: World, s: State, me: int) -> State:
    return commit(s, s.rows._replace(files=s.rows.files - {w.victim(me)}))


def remove_blob(_: World, s: State, me: int) -> State:
    rows = s.rows
    if rows.files or rows.blob is None:
        return think(s, me, frozenset())
    return think(commit(s, Rows(rows.files, None, rows.loose | {(rows.blob, True)})), me, frozenset({rows.blob}))


def release(w: World, s: State, me: int) -> State:
    """What it dooms is erased with all that is."""
    return think(remove_blob(w, s, me), me, "")


def look(_: World, s: State, me: int) -> State:
    return think(s, me, frozenset({s.rows.blob} if not s.rows.files and s.rows.blob is not None else ()))


def remove_blob_late(_: World, s: State, me: int) -> State:
    return commit(s, s.rows._replace(blob=None)) if s.mind[me] and not s.rows.files else s


def revoke(_: World, s: State, me: int) -> State:
    """With none to revoke it writes nothing, and waits for nobody."""
    names = frozenset(name for name, _ in s.rows.loose)
    rows = s.rows._replace(loose=frozenset((name, True) for name in names))
    return think(s if rows == s.rows else commit(s, rows), me, names)


def surely(w: World, s: State, me: int) -> State:
    """Asked once more, in a transaction that has something to commit."""
    needed = {s.rows.blob, *(name for name, doomed in s.rows.loose if not doomed)}
    return confirm(w, think(s, me, s.mind[me] - needed), me)


def confirm(_: World, s: State, __: int) -> State:
    return commit(s, s.rows)


def doom_own(w: World, s: State, me: int) -> State:
    """Only what is doomed may be deleted: an upload that was told nothing may have landed."""
    return doom_blind(w, s, me) if named(w, s, me) in {name for name, _ in s.rows.loose} else think(s, me, "done")


def doom_blind(w: World, s: State, me: int) -> State:
    name, loose = named(w, s, me), s.rows.loose
    doomed = without(loose, name) | {(name, True)} if (name, False) in loose else loose
    return think(commit(s, s.rows._replace(loose=doomed)), me, frozenset({name}))


def revoke_nothing(_: World, s: State, me: int) -> State:
    return think(s, me, frozenset(name for name, _ in s.rows.loose))


def forget(_: World, s: State, me: int) -> State:
    names = s.mind[me]
    return commit(s, s.rows._replace(loose=without(s.rows.loose, *names))) if isinstance(names, frozenset) else s


def known(rows: Rows) -> frozenset[int]:
    return frozenset({rows.blob, *(name for name, _ in rows.loose)} - {None})


def listed(_: World, s: State, me: int) -> State | None:
    return None if s.life and s.calls else think(s, me, s.objects)  # the last purge: when all calls have settled


def settle(_: World, s: State, __: int) -> State | None:
    return None if s.life and s.calls else s


def strays(_: World, s: State, me: int) -> State:
    return think(s, me, s.mind[me] - known(s.rows))


def rows_first(_: World, s: State, me: int) -> State:
    return think(s, me, known(s.rows))


def list_after(_: World, s: State, me: int) -> State | None:
    return None if s.life and s.calls else think(s, me, s.objects - s.mind[me])


def answer(_: World, s: State, me: int) -> State:
    return s._replace(answered=s.answered | {me})


# ---- the advisory lock of the design that has one


def lock(_: World, s: State, me: int) -> State | None:
    return s._replace(lock=me) if s.lock == NOBODY else None


def unlock(_: World, s: State, me: int) -> State:
    return held(s, me)._replace(lock=NOBODY)


def held(s: State, me: int) -> State:
    """The connection that held the lock may be gone: then the next statement fails."""
    if s.lock != me:
        raise Refused
    return s


def head(_: World, s: State, __: int) -> State:
    if CONTENT not in s.objects:
        raise Refused
    return s


def row_locked(_: World, s: State, me: int) -> State:
    return commit(held(s, me), s.rows._replace(files=s.rows.files | {me}, blob=CONTENT))


def look_locked(_: World, s: State, me: int) -> State:
    return think(held(s, me), me, frozenset({CONTENT} if not s.rows.files else ()))


def put_always(w: World, s: State, me: int) -> State:
    return think(put(w, think(s, me, "miss"), me), me, "locked")


# ---- S3


def put(w: World, s: State, me: int) -> State:
    return s._replace(calls=s.calls | {("put", named(w, s, me), me)}) if s.mind[me] == "miss" else s


def erase(_: World, s: State, me: int) -> State:
    names = s.mind[me]
    if not isinstance(names, frozenset):
        return s
    return s._replace(calls=s.calls | {("delete", name, me) for name in names})


def erase_lost(_: World, s: State, me: int) -> State:
    return s._replace(calls=s.calls | {("delete", name, me) for who, name in s.told if who == me})


def wait(_: World, s: State, me: int) -> State | None:
    return None if any(call[2] == me for call in s.calls) else s


STEPS = {f.__name__: f for f in (hit, hit_look, hit_write, intend, intend_async, land, land_blind, land_async, land_believed, remove,
                                 remove_async, remove_believed, surely, confirm, remove_row, remove_blob, release, look, remove_blob_late, revoke, revoke_nothing, forget, doom_own, doom_blind,
                                 settle, strays, rows_first, list_after, answer, lock, unlock, head, row_locked, look_locked,
                                 put_always, put, erase, erase_lost, wait)}  # fmt: skip
STEPS["list"] = listed


# ---- the walk


class World:
    """A design in one scenario: its actors, its first state and every way on."""

    def __init__(self, design: Design, third: str, stored: bool, trial: Trial) -> None:
        """`third` is a word of SCENARIOS; `stored` says whether the content is there from the start."""
        self.design = design
        purging = third in ("purge", "two_purges")
        second = design.purge if third in ("delete_and_purge", "two_purges") else design.upload
        programs = (design.upload, second, design.purge if purging else design.delete, design.upload, design.purge)
        failed = {design.upload: f" {END} {design.failed}"}
        self.programs = [f"{program}{failed.get(program, '')}".split() for program in programs]
        if not trial.late:
            self.programs[LATE] = []
        #: By actor, and how far it is: whether it does nothing any more. The last is DEAD's, too.
        self.over = [[*(word == END for word in program), True] for program in self.programs]
        self.uploads = [who for who in range(5) if programs[who] == design.upload]
        self.after = FIRST if third == "delete_new" else NOBODY
        self.removed = NOBODY if purging else FIRST if third == "delete_new" else OLD
        self.loses = trial.loses
        self.start = self.first(stored, purging, NO_LUCK if design.calm else trial.luck)

    def first(self, stored: bool, purging: bool, luck: Luck) -> State:
        """`stored` with a purge is an object that a crash left behind: bytes without a row."""
        name = CONTENT if self.design.by_content else OLD
        there = stored and not purging
        rows = Rows(frozenset({OLD} if there else ()), name if there else None, frozenset())
        objects = frozenset({name} if stored else ())
        calls = frozenset({("delete", OLD, GONE)} if there and self.loses else ())
        return State(rows, rows, objects, calls, frozenset(), NOBODY, (0,) * 5, ("",) * 5, luck, 0)

    def victim(self, me: int) -> int:
        return self.removed if me == THIRD else OLD

    def ended(self, s: State, who: int) -> bool:
        program, at = self.programs[who], s.at[who]
        return at >= len(program) or program[at] == END

    def acts(self, s: State, who: int) -> bool:
        """Whether this actor, whose life it is, has not ended, and what it waits for (`after`) has been answered."""
        waits = who == THIRD and self.after != NOBODY and self.after not in s.answered
        return not waits and not self.over[who][s.at[who]]

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        for who in LIVES[s.life]:
            if self.acts(s, who):
                yield from self.act(s, who)
        yield from self.arrivals(s)
        if s.life == 0:
            yield from self.crashes(s)

    def act(self, s: State, who: int) -> Iterator[tuple[str, State]]:
        word = self.programs[who][s.at[who]]
        try:
            on = STEPS[word](self, s, who)
        except Refused:
            yield f"{who} {word}: refused", self.die(s, who)
            return
        if on is not None:
            yield f"{who} {word}", on._replace(at=moved(s.at, who, s.at[who] + 1))
            if s.luck.doubts and word in self.design.repeated and on.rows != s.rows:
                for solid in {on.solid, s.solid}:
                    lost = s._replace(rows=on.rows, solid=solid, luck=less(s, doubts=1))
                    yield f"{who} {word}, answer lost", think(lost, who, "doubt") if word.startswith("remove") else lost
                    if word == "land" and s.luck.fails:
                        yield f"{who} land, answer lost, fails", self.fail(lost, who)
            if s.luck.skips and s.life == 0 and word in ("remove", "release") and on.rows.blob is None and s.rows.blob is not None:
                kept = commit(on, on.rows._replace(blob=s.rows.blob, loose=s.rows.loose))
                kept = kept._replace(at=moved(s.at, who, s.at[who] + 1), luck=less(s, skips=1))
                yield f"{who} {word}: an upload has the content", think(kept, who, frozenset())
        if word == "hit" and s.luck.lies and s.rows.blob is not None:
            told = s._replace(told=s.told | {(who, s.rows.blob)}, luck=less(s, lies=1), at=moved(s.at, who, s.at[who] + 1))
            yield f"{who} hit: told that {s.rows.blob} is lost", think(told, who, "miss")
        yield from self.mishaps(s, who, waiting=word == "wait" and on is None)

    def mishaps(self, s: State, who: int, waiting: bool) -> Iterator[tuple[str, State]]:
        if waiting and s.luck.waits:
            yield f"{who} gives up waiting", self.die(s, who)._replace(luck=less(s, waits=1))
            if s.mind[who] == "miss" and s.luck.fails:
                yield f"{who} gives its PUT up", self.fail(s._replace(luck=less(s, waits=1)), who)
        if s.luck.kills and s.life == 0 and s.at[who] > 0:
            yield f"{who} killed", self.die(s, who)._replace(luck=less(s, kills=1))

    def fail(self, s: State, who: int) -> State:
        """An upload fails; what it had called for may come later, or never."""
        left = frozenset((verb, name, GONE if caller == who else caller) for verb, name, caller in s.calls)
        return s._replace(calls=left, luck=less(s, fails=1), at=moved(s.at, who, self.programs[who].index(END) + 1))

    def arrivals(self, s: State) -> Iterator[tuple[str, State]]:
        """Calls that S3 carries out now, or never."""
        for call in s.calls:
            verb, name, who = call
            left = s._replace(calls=s.calls - {call})
            yield f"S3 {verb} {name} of {who}", left._replace(objects=s.objects | {name} if verb == "put" else s.objects - {name})
            if who == GONE or s.at[who] == DEAD:
                yield f"S3 {verb} {name} of {who} never", left

    def die(self, s: State, who: int) -> State:
        free = NOBODY if s.lock == who else s.lock
        return think(s._replace(at=moved(s.at, who, DEAD), lock=free), who, "")

    def crashes(self, s: State) -> Iterator[tuple[str, State]]:
        if s.luck.crashes:
            for rows in {s.solid, s.rows}:
                yield "database crashes", s._replace(rows=rows, solid=rows, lock=NOBODY, luck=less(s, crashes=1))
        if not self.design.calm:
            at = tuple(n if who in LIVES[1] or self.ended(s, who) else DEAD for who, n in enumerate(s.at))
            yield "all boxes die", s._replace(at=at, mind=("",) * 5, lock=NOBODY, luck=s.luck._replace(kills=0, crashes=0, fails=0), life=1)

    # ---- what must hold

    def fault(self, s: State) -> str | None:
        """The first promise that this state breaks, now or by a crash of the database in it; None if none."""
        return self.broken(s, s.rows) or self.broken(s, s.solid) or self.unclean(s) or self.stuck(s)

    def broken(self, s: State, rows: Rows) -> str | None:
        if rows.files and (rows.blob is None or rows.blob not in s.objects) and not self.lost(s, rows):
            return "dangling row"
        for who in self.uploads:
            deleted = self.removed == who and (s.at[THIRD] != 0 or s.mind[THIRD] == "doubt")
            if who in s.answered and who not in rows.files and not deleted:
                return "upload lost"
        return "delete undone" if THIRD in s.answered and self.removed in rows.files else None

    def lost(self, s: State, rows: Rows) -> bool:
        """Whether it is somebody else who has deleted the object, and no upload that was told so has been answered."""
        return self.loses and rows.blob == OLD and not any(who in s.answered & rows.files for who, _ in s.told)

    def unclean(self, s: State) -> str | None:
        """After the last purge, when no call is under way: an object or a record that nothing needs."""
        settled = self.ended(s, LAST) and (self.ended(s, LATE) or s.at[LATE] == 0) and not s.calls
        if not settled:
            return None
        if s.objects - frozenset({s.rows.blob} if s.rows.files else ()):
            return "leak"
        record = s.rows.loose or (not s.rows.files and s.rows.blob is not None)
        return "leak of a record" if record and "lock" not in self.programs[FIRST] else None

    def stuck(self, s: State) -> str | None:
        """Somebody still has work and nobody can go on."""
        if s.calls:
            return None
        waiting = [who for who in LIVES[s.life] if self.acts(s, who)]
        if not waiting:
            return None
        bare = s._replace(luck=NO_LUCK)
        return None if any(next(self.act(bare, who), None) for who in waiting) else "stuck"


def moved(at: tuple[int, ...], who: int, to: int) -> tuple[int, ...]:
    return (*at[:who], to, *at[who + 1 :])


def less(s: State, **spent: int) -> Luck:
    return s.luck._replace(**{kind: getattr(s.luck, kind) - count for kind, count in spent.items()})


SCENARIOS = [
    ("delete_old", True),  # of the row that was there; two uploads beside it
    ("delete_new", True),  # of the row that the first upload made
    ("delete_new", False),
    ("purge", True),  # with an object that nothing refers to; two uploads beside it
    ("purge", False),
    ("delete_and_purge", True),  # and one upload
    ("two_purges", True),
    ("two_purges", False),
]

FULL = Trial(Luck())
#: With an answer lost instead of a second kill.
DOUBT = Trial(Luck(kills=1, doubts=1))
#: Uploads fail for want of an answer, and clean up.
FAIL = Trial(Luck(kills=1, crashes=0, doubts=1, fails=1))
#: Objects are taken for lost, that are or are not.
LIE = Trial(Luck(kills=1, crashes=0, waits=0, lies=2))
LOSS = Trial(Luck(kills=1, crashes=0, fails=1, lies=1), loses=True)
#: Contents stay at their deletion, for an upload that may fail.
SKIP = Trial(Luck(kills=1, skips=2))
SHORT = Trial(Luck(kills=1), late=False)
SHORT_DOUBT = Trial(Luck(kills=1, crashes=0, waits=0, doubts=1), late=False)
SHORT_FAILOVER = Trial(Luck(kills=0, waits=0, doubts=1), late=False)
SHORT_FAIL = Trial(Luck(kills=0, crashes=0, waits=0, doubts=1, fails=1), late=False)

SHORT_LIE = Trial(Luck(kills=0, crashes=0, waits=0, doubts=1, lies=2), late=False)
SHORT_LOSS = Trial(Luck(kills=0, crashes=0, waits=0, lies=1), late=False, loses=True)
SHORT_SKIP = Trial(Luck(kills=1, crashes=0, waits=0, skips=1), late=False)


def try_design(design: Design, trial: Trial = FULL) -> Report:
    """The design in each scenario: the states of all together, and the first fault."""
    states = 0
    for third, stored in SCENARIOS:
        found = walk(World(design, third, stored, trial))
        states += found.states
        if found.fault:
            return found._replace(states=states, way=[f"[{third}, {'stored' if stored else 'empty'}]", *found.way])
    return Report(states, None, [])


DESIGN = Design()
_LOCKED = "lock look_locked erase wait unlock"
BY_LOCK = Design(
    "put_always wait lock head row_locked unlock answer", f"remove_row {_LOCKED} answer", f"settle {_LOCKED} answer", True
)
DESIGNS = {
    "names once, intents, foreign key": DESIGN,
    "the intent flushed": DESIGN._replace(upload=DESIGN.upload.replace("intend_async", "intend")),
    "the record forgotten before the object is deleted": DESIGN._replace(delete="remove answer forget erase wait"),
}
MUTANTS = {
    "named by content, advisory lock, HEAD before the row": BY_LOCK,
    "named by content, this protocol": DESIGN._replace(by_content=True),
    "no intent before the PUT": DESIGN._replace(upload="hit put wait land_blind answer erase wait forget"),
    "intent after the PUT": DESIGN._replace(upload="hit put wait intend land answer erase wait forget"),
    "the row does not look at its intent": DESIGN._replace(upload=DESIGN.upload.replace("land", "land_blind")),
    "the purge does not revoke intents": DESIGN._replace(purge=DESIGN.purge.replace("revoke surely", "revoke_nothing")),
    "the purge reads rows, then lists": DESIGN._replace(
        purge="release revoke surely erase wait forget rows_first list_after erase wait answer"
    ),
    "object deleted before its blob row": DESIGN._replace(delete="remove_row look erase wait remove_blob_late answer"),
    "a hit without the foreign key": DESIGN._replace(upload=DESIGN.upload.replace("hit", "hit_look hit_write", 1)),
    "row before the PUT is answered": DESIGN._replace(upload="hit intend_async put land answer wait erase wait forget"),
    "synchronous_commit off at landing": DESIGN._replace(upload=DESIGN.upload.replace("land", "land_async")),
    "synchronous_commit off at deleting": DESIGN._replace(delete=DESIGN.delete.replace("remove", "remove_async")),
    "an intent in doubt retried under its name": DESIGN._replace(
        upload=DESIGN.upload.replace("intend_async", "intend"), repeated=DESIGN.repeated | {"intend"}
    ),
    "an upload in doubt believes what it reads": DESIGN._replace(
        upload=DESIGN.upload.replace("land", "land_believed"), repeated=DESIGN.repeated | {"land_believed"}
    ),
    "a delete in doubt believes what it reads": DESIGN._replace(
        delete=DESIGN.delete.replace("remove", "remove_believed"), repeated=DESIGN.repeated | {"remove_believed"}
    ),
    "a purge believes what a delete in doubt did": DESIGN._replace(purge=DESIGN.purge.replace("surely ", "")),
    "a purge has another server confirm what it read": DESIGN._replace(purge=DESIGN.purge.replace("surely", "confirm")),
    "a failed upload deletes its object, landed or not": DESIGN._replace(failed="doom_blind erase wait forget"),
    "a lost object put again under its name": DESIGN._replace(again=True),
    "a lost object deleted before the new one is there": DESIGN._replace(
        upload=DESIGN.upload.replace("hit", "hit erase_lost wait")
    ),
    "the purge looks for no content without a row": DESIGN._replace(purge=DESIGN.purge.removeprefix("release ")),
    "nor that, with row and blob in two transactions": DESIGN._replace(
        delete="remove_row answer remove_blob erase wait forget", purge=DESIGN.purge.removeprefix("release ")
    ),
    "no LIST in the purge": DESIGN._replace(purge="release revoke surely erase wait forget answer"),
}  # fmt: skip
#: Why the lock looked good: it holds as long as nothing goes wrong.
FAIR_WEATHER = BY_LOCK._replace(calm=True)


def main() -> None:
    runs = [(name, FULL) for name in DESIGNS | MUTANTS] + [(name, trial) for name in DESIGNS for trial in (DOUBT, FAIL, LIE, LOSS, SKIP)]
    for name, trial in runs:
        found = try_design((DESIGNS | MUTANTS)[name], trial)
        sys.stdout.write(f"{name} {tuple(trial.luck)}: {found.states:,} states, {found.fault or 'no bad state'}\n")
        if found.fault:
            sys.stdout.write(f"    {', '.join(found.way)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
