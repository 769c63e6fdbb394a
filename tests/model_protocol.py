"""The publish and reap protocol as a model small enough to be tried in full.

One content, one shard, two uploads of it, and a delete or a purge. Every order of their steps is walked; at each step
one process may be killed, all of them may be killed, or the power may fail. After that an upload and a purge run, again
in every order, and the power may fail once more. `python tests/model_protocol.py` prints the table.

Few bytes have a program of their own: their name is not made durable, and the commit of the row holds the bytes too. A
checkpoint makes the name and its bytes durable and removes such entries; whoever opens the store after a crash replays them.
All entries hold the right bytes, because there is one content; what is modelled of them is which there are, and their ids.

An upload in parts fits in: a part is a row of its own, which refers to a blob as a file does. Its completion is walked where
most can go wrong, with one part, whose bytes are those of the file: it publishes the file and then deletes the part.

What the model takes from the world:

* a name made or removed in a directory is certain only after an fsync of that directory; until then a power cut leaves
  any of the values it has had since;
* bytes of a file that was not fsynced are lost with the power;
* a commit in WAL mode is three steps: frames written, the log fsynced, the commit shown to others. A process that dies
  between the first and the last leaves a commit in doubt: nobody sees it, yet recovery brings it back when all
  processes are gone, unless another commit was written over it. A power cut keeps any state since the last fsync;
* a lock goes when its holder dies; a file staged with O_TMPFILE goes too;
* nothing orders the file system of the blobs and that of the database: the worst pair of the two is tried.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from helpers.walking import Report, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD = -1  # the row, and the staged file, of an upload of long ago
COUNT = -2  # the row of a reference count, in the design that has one
NOBODY = -3
IDLE = "idle"  # the mind of one that found nothing to do
EMPTY = -4  # the staged file of a name whose bytes the power took
DEAD = -1
#: Entries of the journal are rows from here on, by their ids; the highest id that was ever used is one too.
ENTRY, LAST = 100, 200
FILES, ENTRIES = frozenset(range(OLD, 10)), frozenset(range(ENTRY, LAST))
COMMIT = "sync_log show"

# The design. One word is one step that nothing can split.
UPLOAD = f"sync_blob lock link sync_dir begin insert {COMMIT} unlock answer"
REAP = f"lock begin touch look {COMMIT} unlink unlock"
DELETE = f"begin remove {COMMIT} {REAP} answer"
SWEEP = f"list {REAP} answer"
# The same with one commit less: the row goes under the shard's lock, in the transaction that looks.
DELETE_AT_ONCE = f"lock begin remove look {COMMIT} unlink unlock answer"
# The whole is staged and published as an upload is, then the part goes as a file does.
REAP_PART = REAP.replace("look", "look_at_all")
PUBLISH = f"sync_blob lock link sync_dir begin insert {COMMIT} unlock"
COMPLETE = f"{PUBLISH} begin remove_part {COMMIT} {REAP_PART} answer"
# Few bytes.
PUBLISH_FEW = f"lock link_few begin insert_with_bytes {COMMIT} unlock"
UPLOAD_FEW = f"{PUBLISH_FEW} answer"
CHECKPOINT = f"newest sync_all begin remove_entries {COMMIT}"
REPLAY = f"lock sync_blob heal sync_dir unlock {CHECKPOINT}"


class Design(NamedTuple):
    """The programs that are run against each other."""

    upload: str = UPLOAD
    delete: str = DELETE
    sweep: str = SWEEP
    complete: str = COMPLETE
    checkpoint: str = ""  # none where all bytes are many
    replay: str = ""


class Actor(NamedTuple):
    """One process: its steps, the row it makes or removes, and whether it runs before (0) or after (1) the crash."""

    steps: tuple[str, ...]
    row: int
    life: int


class State(NamedTuple):
    """Everything that decides what can happen next."""

    name: int | None  # the staged file that the blob's name leads to
    names: frozenset[int | None]  # what it may lead to after a power cut
    solid: frozenset[int]  # staged files whose bytes are on the disk
    rows: frozenset[int]  # what everyone reads
    log: frozenset[int]  # what recovery makes of the log as it is written
    logs: frozenset[frozenset[int]]  # what it may make of it after a power cut
    shard: int  # who holds the shard's lock
    writer: int  # who holds SQLite's write lock
    at: tuple[int, ...]  # how far each actor is
    mind: tuple[str | int, ...]  # what each actor remembers
    kills: int  # single processes that may still be killed
    life: int


# ---- the steps: each takes the state, who acts, and the actor; None means it has to wait


def changed(s: State, me: int, mind: str | int) -> tuple[str | int, ...]:
    return (*s.mind[:me], mind, *s.mind[me + 1 :])


def write(s: State, rows: frozenset[int]) -> State:
    return s._replace(log=rows, logs=s.logs | {rows})


def sync_blob(s: State, me: int, _: Actor) -> State:
    return s._replace(solid=s.solid | {me})


def lock(s: State, me: int, _: Actor) -> State | None:
    return s._replace(shard=me) if s.shard == NOBODY else None


def unlock(s: State, *_: object) -> State:
    return s._replace(shard=NOBODY)


def link(s: State, me: int, _: Actor) -> State:
    """The name leads to these bytes now: a link, or where there were some a rename."""
    mind = s.mind if s.name is None else changed(s, me, "hit")
    return s._replace(name=me, names=s.names | {me}, mind=mind)


def link_few(s: State, me: int, _: Actor) -> State:
    """A name that leads to these bytes stays; with other bytes it is replaced, durably."""
    if s.name == EMPTY:
        return s._replace(name=me, names=frozenset({me}), solid=s.solid | {me})
    return link_by_name(s, me, _)


def link_by_name(s: State, me: int, _: Actor) -> State:
    return link(s, me, _) if s.name is None else s._replace(mind=changed(s, me, "hit"))


def heal(s: State, me: int, _: Actor) -> State:
    """Of the replay: the bytes of an entry, where a row lacks them."""
    return link(s, me, _) if s.rows & ENTRIES and s.rows & FILES and s.name in (None, EMPTY) else s


def heal_if_gone(s: State, me: int, _: Actor) -> State:
    return s if s.name == EMPTY else heal(s, me, _)


def sync_all(s: State, *_: object) -> State:
    solid = s.solid if s.name in (None, EMPTY) else s.solid | {s.name}
    return s._replace(names=frozenset({s.name}), solid=solid)


def newest(s: State, me: int, _: Actor) -> State:
    """The newest entry; where there is none, there is nothing to do."""
    return s._replace(mind=changed(s, me, max(s.rows & ENTRIES, default=IDLE)))


def remove_entries(s: State, me: int, _: Actor) -> State:
    """Up to the one that was the newest; all, if nobody has looked for that."""
    last = s.mind[me] or LAST
    return write(s, s.rows - {row for row in s.rows & ENTRIES if row <= last})


def sync_dir(s: State, *_: object) -> State:
    return s._replace(names=frozenset({s.name}))


def sync_dir_if_new(s: State, me: int, _: Actor) -> State:
    return s if s.mind[me] == "hit" else sync_dir(s)


def begin(s: State, me: int, _: Actor) -> State | None:
    return s._replace(writer=me) if s.writer == NOBODY else None


def insert(s: State, _: int, actor: Actor) -> State:
    return write(s, s.rows | {actor.row})


def insert_with_bytes(s: State, _: int, actor: Actor) -> State:
    last = max(max(s.rows, default=0), LAST)
    return write(s, s.rows - {last} | {actor.row, last + 1, last + 1 - LAST + ENTRY})


def insert_with_bytes_if_new(s: State, me: int, actor: Actor) -> State:
    return insert(s, me, actor) if s.mind[me] == "hit" else insert_with_bytes(s, me, actor)


def insert_with_an_old_id(s: State, _: int, actor: Actor) -> State:
    return write(s, s.rows | {actor.row, max(s.rows & ENTRIES, default=ENTRY) + 1})


def add_bytes(s: State, *_: object) -> State:
    return write(s, s.rows | {ENTRY + 1})


def insert_and_count(s: State, _: int, actor: Actor) -> State:
    return write(s, s.rows | {actor.row, COUNT})


def remove(s: State, _: int, actor: Actor) -> State:
    return write(s, s.rows - {actor.row})


def remove_part(s: State, *_: object) -> State:
    return write(s, s.rows - {OLD})


def touch(s: State, *_: object) -> State:
    return write(s, s.rows)


def sync_log(s: State, *_: object) -> State:
    return s._replace(logs=frozenset({s.log}))


def show(s: State, *_: object) -> State:
    return s._replace(rows=s.log, writer=NOBODY)


def listed(s: State, me: int, _: Actor) -> State:
    return s._replace(mind=changed(s, me, "none" if s.name is None else ""))


def look(s: State, me: int, actor: Actor) -> State:
    if s.mind[me] == "none" or files(s.rows - {actor.row}):
        return s
    return s._replace(mind=changed(s, me, "free"))


def look_at_all(s: State, me: int, _: Actor) -> State:
    return s if files(s.rows) else s._replace(mind=changed(s, me, "free"))


def look_at_count(s: State, me: int, actor: Actor) -> State:
    return look(s, me, actor) if COUNT in s.rows else s


def unlink(s: State, me: int, _: Actor) -> State:
    if s.mind[me] != "free" or s.name is None:
        return s
    return s._replace(name=None, names=s.names | {None})


def answer(s: State, *_: object) -> State:
    return s


STEPS = {f.__name__: f for f in (sync_blob, lock, unlock, link, sync_dir, sync_dir_if_new, begin, insert,
                                 insert_and_count, insert_with_bytes, insert_with_bytes_if_new, insert_with_an_old_id,
                                 add_bytes, link_few, link_by_name, heal, heal_if_gone, sync_all, newest, remove_entries,
                                 remove, remove_part, touch, sync_log, show, look, look_at_all, look_at_count, unlink, answer)}
STEPS["list"] = listed


def files(rows: frozenset[int]) -> frozenset[int]:
    return rows & FILES


# ---- the walk


class World:
    """A design in one scenario: its actors, its first state and every way on."""

    def __init__(self, design: Design, third: str, stored: bool, kills: int = 3) -> None:
        """`third` is a word of SCENARIOS; `stored` says whether the content is there from the start."""
        third, _, beside = third.partition("_and_")
        second = {"purge": design.sweep, "checkpoint": design.checkpoint}.get(beside, design.upload)
        self.actors = (
            Actor(tuple(design.upload.split()), 0, 0),
            Actor(tuple(second.split()), NOBODY if beside else 1, 0),
            self.third(design, third),
            Actor(tuple(design.upload.split()), 3, 1),
            Actor(tuple(design.sweep.split()), NOBODY, 1),
            *([Actor(tuple(design.replay.split()), NOBODY, 1)] if design.replay else []),
        )
        self.uploads = [who for who, actor in enumerate(self.actors) if actor.row == who]
        self.after = {2: 0} if third == "delete_new" else {}
        self.after |= {3: REPLAYER, 4: REPLAYER} if design.replay else {}
        self.start = self.first(design, third, stored, kills)

    @staticmethod
    def third(design: Design, third: str) -> Actor:
        if third in ("purge", "checkpoint"):
            return Actor(tuple((design.sweep if third == "purge" else design.checkpoint).split()), NOBODY, 0)
        if third.startswith("complete"):
            return Actor(tuple(design.complete.split()), 2, 0)
        return Actor(tuple(design.delete.split()), 0 if third == "delete_new" else OLD, 0)

    def first(self, design: Design, third: str, stored: bool, kills: int) -> State:
        """`stored` with a purge is a blob that a crash left behind: bytes without a row.

        With a checkpoint there is the entry of a file that was deleted, and nothing else.
        """
        rows = frozenset({OLD}) if stored and third != "purge" else frozenset()
        rows |= {ENTRY + 1, LAST + 1} if third == "checkpoint" else frozenset()
        rows |= {COUNT} if rows and "insert_and_count" in design.upload else frozenset()
        name = OLD if stored else None
        return State(name, frozenset({name}), frozenset({OLD}), rows, rows, frozenset({rows}), NOBODY, NOBODY,
                     (0,) * len(self.actors), ("",) * len(self.actors), kills, 0)

    def ended(self, s: State, who: int) -> bool:
        return s.at[who] == len(self.actors[who].steps)

    def over(self, s: State, who: int) -> bool:
        return s.at[who] == DEAD or self.ended(s, who) or s.mind[who] == IDLE

    def acts(self, s: State, who: int) -> bool:
        """Whether it is this actor's life, it has not ended, and what it waits for (`after`) has been answered."""
        waits = self.after.get(who)
        return self.actors[who].life == s.life and not self.over(s, who) and (waits is None or self.done(s, waits))

    def done(self, s: State, who: int) -> bool:
        return self.over(s, who) and s.at[who] != DEAD

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        for who in range(len(self.actors)):
            if self.acts(s, who):
                yield from self.act(s, who)
        if s.life == 0:
            yield from self.crashes(s)

    def act(self, s: State, who: int) -> Iterator[tuple[str, State]]:
        actor = self.actors[who]
        word = actor.steps[s.at[who]]
        on = STEPS[word](s, who, actor)
        if on is not None:
            yield f"{who} {word}", on._replace(at=self.moved(s.at, who, s.at[who] + 1))
        if s.kills and s.life == 0 and s.at[who] > 0:
            yield f"{who} killed", self.kill(s, who)

    @staticmethod
    def moved(at: tuple[int, ...], who: int, to: int) -> tuple[int, ...]:
        return (*at[:who], to, *at[who + 1 :])

    def kill(self, s: State, who: int) -> State:
        return s._replace(
            at=self.moved(s.at, who, DEAD), mind=changed(s, who, ""), kills=s.kills - 1,
            shard=NOBODY if s.shard == who else s.shard, writer=NOBODY if s.writer == who else s.writer,
        )

    def crashes(self, s: State) -> Iterator[tuple[str, State]]:
        """All killed: caches stay as they are, unsynced. Power cut: one of what may be left is all there is."""
        yield "all killed", self.restart(s)._replace(rows=s.log)
        for name in s.names:
            for rows in s.logs:
                there = EMPTY if name not in s.solid and name is not None else name
                left = self.restart(s)._replace(name=there, rows=rows, log=rows)
                yield "power cut", left._replace(names=frozenset({there}), logs=frozenset({rows}))

    def restart(self, s: State) -> State:
        at = tuple(n if a.life or n == len(a.steps) else DEAD for n, a in zip(s.at, self.actors, strict=True))
        return s._replace(at=at, mind=("",) * len(at), shard=NOBODY, writer=NOBODY, kills=0, life=1)

    def resting(self, s: State, who: int) -> bool:
        """Whether nothing more need come of this actor: an upload that has not begun may never come."""
        return self.actors[who].life != s.life or self.over(s, who) or (who in self.uploads and s.at[who] == 0)

    # ---- what must hold

    def fault(self, s: State) -> str | None:
        """The first promise that this state breaks, now or by a crash in it; None if none."""
        seen = [(s.name, s.rows, False), (s.name, s.log, False)]
        seen += [(name, rows, True) for name in s.names for rows in s.logs]
        return next(filter(None, (self.broken(s, *view) for view in seen)), None) or self.unclean(s) or self.stuck(s)

    def broken(self, s: State, name: int | None, rows: frozenset[int], cut: bool) -> str | None:
        if files(rows) and (name in (None, EMPTY) or (cut and name not in s.solid)) and not self.kept(s, rows, cut):
            return "dangling row"
        if any(self.ended(s, who) and who not in rows and not self.removed(s, who) for who in self.uploads):
            return "upload lost"
        if 2 in self.uploads:
            return self.split(s, rows)
        third = self.actors[2].row
        return "delete undone" if self.ended(s, 2) and third != NOBODY and third in rows else None

    def kept(self, s: State, rows: frozenset[int], cut: bool) -> bool:
        """Whether a row may be without its bytes: after a power cut, as long as nothing has replayed the entry that has them."""
        replays = s.life == 1 and len(s.at) > REPLAYER and not self.done(s, REPLAYER)
        return bool(rows & ENTRIES) and (cut or replays)

    def split(self, s: State, rows: frozenset[int]) -> str | None:
        """Of a completion: the part or the file is there at every moment, and after the answer no part."""
        if not rows & {OLD, 2}:
            return "upload lost"
        return "delete undone" if self.ended(s, 2) and OLD in rows else None

    def removed(self, s: State, who: int) -> bool:
        return who != 2 and self.actors[2].row == who and s.at[2] != 0

    def unclean(self, s: State) -> str | None:
        """After the purge of the second life, or when nothing crashed: a blob without a row."""
        if not all(self.resting(s, who) for who in range(len(s.at))):
            return None
        if s.life == 0 and DEAD in s.at[:3]:
            return None
        if s.life == 1 and s.at[3] == 0 and s.rows & ENTRIES:
            return "leak"
        return "leak" if s.name is not None and not files(s.rows) else None

    def stuck(self, s: State) -> str | None:
        """Somebody still has work and nobody can go on."""
        waiting = [who for who in range(len(s.at)) if self.acts(s, who)]
        going = any(next(self.act(s._replace(kills=0), who), None) for who in waiting)
        return "stuck" if waiting and not going else None


#: The actor that replays.
REPLAYER = 5

SCENARIOS = [
    ("delete_old", True),  # of the row that was there; two uploads beside it
    ("delete_new", True),  # of the row that the first upload made
    ("delete_new", False),
    ("purge", True),  # with a blob that nothing refers to; two uploads beside it
    ("purge", False),
    ("delete_and_purge", True),  # and one upload
    ("complete", True),  # of the part that was there; two uploads beside it
    ("complete_and_purge", True),  # and one upload
]
#: For few bytes, where a checkpoint runs beside.
SCENARIOS_FEW = [
    ("delete_old", True),  # two uploads beside it
    ("checkpoint", False),  # two uploads beside it
    ("delete_old_and_checkpoint", True),
    ("delete_new_and_checkpoint", True),
    ("delete_new_and_checkpoint", False),
    ("purge_and_checkpoint", True),
    ("checkpoint_and_checkpoint", False),
    ("complete_and_checkpoint", True),
]


def try_design(design: Design, kills: int = 3) -> Report:
    """The design in each scenario: the states of all together, and the first fault."""
    states = 0
    for third, stored in SCENARIOS_FEW if design.replay else SCENARIOS:
        found = walk(World(design, third, stored, kills))
        states += found.states
        if found.fault:
            return found._replace(states=states, way=[f"[{third}, {'stored' if stored else 'empty'}]", *found.way])
    return Report(states, None, [])


def without(word: str, design: Design) -> Design:
    return Design(*(" ".join(w for w in steps.split() if w != word) for steps in design))


def instead(word: str, other: str, design: Design) -> Design:
    return Design(*(" ".join(other if w == word else w for w in steps.split()) for steps in design))


DESIGN = Design()
FEW = Design(UPLOAD_FEW, DELETE, SWEEP, COMPLETE.replace(PUBLISH, PUBLISH_FEW), CHECKPOINT, REPLAY)
DESIGNS = {
    "rows first, then reap": DESIGN,
    "row and look in one commit": Design(delete=DELETE_AT_ONCE),
    "few bytes": FEW,
}
MUTANTS = {
    "no fsync of the blob": without("sync_blob", DESIGN),
    "no fsync of the directory": without("sync_dir", DESIGN),
    "no fsync of the directory on a dedup hit": instead("sync_dir", "sync_dir_if_new", DESIGN),
    "synchronous=NORMAL": without("sync_log", DESIGN),
    "row before bytes": Design(upload=f"sync_blob lock begin insert {COMMIT} link sync_dir unlock answer"),
    "shard lock dropped before the commit": Design(
        upload=f"sync_blob lock link sync_dir unlock begin insert {COMMIT} answer"
    ),
    "no lock": Design(upload=f"sync_blob link sync_dir begin insert {COMMIT} answer"),
    "unlink inside the transaction": Design(delete=f"lock begin look unlink remove {COMMIT} unlock answer"),
    "unlink without the shard lock": Design(delete=f"begin remove {COMMIT} begin touch look {COMMIT} unlink answer"),
    "unlink after the commit without looking again": Design(
        delete=f"begin look remove {COMMIT} lock unlink unlock answer"
    ),
    "sweep without the lock": Design(sweep=f"list begin touch look {COMMIT} unlink answer"),
    "reference count": Design(
        upload=UPLOAD.replace("insert", "insert_and_count"), delete=DELETE_AT_ONCE,
        sweep=SWEEP.replace("look", "look_at_count"),
    ),
    "reap that only reads, after a delete": Design(delete=f"begin remove {COMMIT} lock look unlink unlock answer"),
    "parts removed before the file's commit": Design(complete=f"begin remove_part {COMMIT} {REAP_PART} {PUBLISH} answer"),
    "reap that only reads, in a sweep": Design(sweep="list lock look unlink unlock answer"),
    "no entry in the journal": instead("insert_with_bytes", "insert", FEW),
    "no entry on a dedup hit": instead("insert_with_bytes", "insert_with_bytes_if_new", FEW),
    "the row committed before its entry": FEW._replace(
        upload=f"lock link_few begin insert {COMMIT} begin add_bytes {COMMIT} unlock answer"
    ),
    "few bytes named after their row": FEW._replace(
        upload=f"lock begin insert_with_bytes {COMMIT} link_few unlock answer"
    ),
    "few bytes replace a blob without a sync": instead("link_few", "link", FEW),
    "a hit on a name without its bytes": instead("link_few", "link_by_name", FEW),
    "no replay": FEW._replace(replay=CHECKPOINT),
    "replay that trusts names": instead("heal", "heal_if_gone", FEW),
    "checkpoint before the replay": FEW._replace(replay=f"{CHECKPOINT} lock sync_blob heal sync_dir unlock"),
    "checkpoint without a sync": without("sync_all", FEW),
    "checkpoint that syncs after the removal": FEW._replace(
        checkpoint=f"newest begin remove_entries {COMMIT} sync_all"
    ),
    "checkpoint that removes what came meanwhile": FEW._replace(
        checkpoint=f"sync_all newest begin remove_entries {COMMIT}"
    ),
    "ids used twice": instead("insert_with_bytes", "insert_with_an_old_id", FEW),
}


def main() -> None:
    for name, design in {**DESIGNS, **MUTANTS}.items():
        found = try_design(design)
        sys.stdout.write(f"{name}: {found.states:,} states, {found.fault or 'no bad state'}\n")
        if found.fault:
            sys.stdout.write(f"    {', '.join(found.way)}\n")


if __name__ == "__main__":
    main()
