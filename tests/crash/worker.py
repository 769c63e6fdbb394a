"""Runs scripts with a crash at each boundary, a fork a point: `python worker.py JOB`, JSON in and out (see `Job`).

Started by run.py with the shim in LD_PRELOAD. This process imports Lazu once and never opens SQLite: no
connection crosses a fork.
"""

import dataclasses
import gc
import json
import math
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import mutants
import power
import script
import store
from shim import AFTER, BEFORE, COUNT, PAUSE, TORN, WRITES, Shim

#: A peer that was asleep at so many looks in a row, so many seconds apart, waits for the paused victim. It is not
#: asleep while it wants the processor or the disk, however busy they are.
LOOKS, APART = 6, 0.005

#: What is printed: points run and boundaries they stand on, processes killed at one, files whose upload and whose
#: deletion was acknowledged, what was wrong, and the boundaries of the last script (call, end of its path).
RESULT = ("points", "boundaries", "killed", "stored", "deleted", "faults", "calls")

Tell = Callable[..., None]


@dataclasses.dataclass
class Job:
    """What to run: every point of the scripts `stories` in turn, `points` in all; with `spread` some of each script.

    `how` is kill or pause; `power` is empty, or the power is cut when all of that is done, with blobs and database on
    the same file system or apart. `folder` is an empty directory, `mutant` a name in mutants.py.
    """

    folder: str
    how: str
    points: int
    stories: list[int]
    spread: bool = False
    mutant: str = ""
    power: str = ""
    first: bool = False  # stop at the first fault


class Process:
    """A child that does `action(tell, wait)` and dies; what it tells arrives as `events`."""

    def __init__(self, action: Callable[[Tell, Callable[[], None]], None]) -> None:
        self.events: list[list[str]] = []
        self.ended = False
        self._gone = False
        self._rest = b""
        self._out, out = os.pipe()
        go, self._go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            self.be(action, out, go)
        os.close(out)
        os.close(go)

    @staticmethod
    def be(action: Callable[[Tell, Callable[[], None]], None], out: int, go: int) -> None:
        try:
            action(lambda *event: os.write(out, json.dumps(event).encode() + b"\n"), lambda: os.read(go, 1))
            os._exit(0)
        except BaseException:  # noqa: BLE001  whatever it was, this process ends here and the parent is told
            os.write(out, json.dumps(["failed", traceback.format_exc()[-1500:]]).encode() + b"\n")
            os._exit(1)

    def go(self) -> None:
        """Let it past `wait`, once."""
        if not self._gone:
            self._gone = True
            os.write(self._go, b"g")

    def read(self, until: str = "", seconds: float = 30) -> bool:
        """Take in events until it has told `until` or is dead; False when that took too long."""
        limit = time.monotonic() + seconds
        while not self.ended and [until] not in self.events:
            if not select.select([self._out], [], [], max(0, limit - time.monotonic()))[0]:
                return False
            chunk = os.read(self._out, 65536)
            self.ended = not chunk
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self.events += [json.loads(line) for line in lines]
        return True

    def asleep(self) -> bool:
        """Whether it waits for something that is neither the processor nor the disk (proc(5))."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    def finish(self) -> list[str]:
        """Wait until it has told its end, and kill it; gives what failed. It may have been killed before."""
        self.read("end", 30)
        done = ["end"] in self.events
        code = self.kill()
        return [] if done or (self.ended and code == -signal.SIGKILL) else [f"the peer failed: {self.events[-1:]}"]

    def kill(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return self.end()

    def end(self) -> int:
        """Wait for its death; gives its exit code, below zero for a signal."""
        assert self.read(seconds=60), "a process hangs"
        os.close(self._out)
        os.close(self._go)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Runner:
    """Runs the points of a job and gathers what went wrong."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.shim = Shim()
        if job.how == "pause":
            self.shim.locks()
        self.folder = Path(job.folder, "store")
        self.kept = Path(job.folder, "kept")
        self.power = power.Power(Path(job.folder), job.power == "apart") if job.power else None
        self.faults: list[str] = []
        self.points = 0
        self.boundaries = 0
        self.killed = 0
        self.stored = 0
        self.deleted = 0
        self.calls: list[list[str]] = []

    def run(self) -> None:
        left = len(self.job.stories)
        for number in self.job.stories:
            share = (self.job.points - self.points) / left if self.job.spread else self.job.points
            self.tell_story(script.story(number), math.ceil(share))
            left -= 1

    def done(self) -> bool:
        return self.points >= self.job.points or (self.job.first and bool(self.faults))

    def tell_story(self, story: script.Script, share: int) -> None:
        """Count the boundaries of a story, then have a crash at each of them, or at `share` of them."""
        if self.points and self.done():
            return
        ledger = self.prepare(story.base)
        self.calls = self.count(story, ledger)
        self.boundaries += len(self.calls)
        places = list(self.plan(self.calls))
        for place in places[:: -max(1, len(places) // max(1, share))]:
            if not self.done():
                self.points += 1
                self.point(story, ledger, place)

    def plan(self, calls: list[list[str]]) -> Iterator[tuple[int, int]]:
        for at, (call, tail) in enumerate(calls, 1):
            if self.job.how == "pause":
                yield at, PAUSE
                continue
            yield at, BEFORE
            if call in WRITES:
                yield at, TORN
            # Else the next call's BEFORE finds the same, and more acknowledged; but a commit is in the log before
            # SQLite tells others of it, through memory.
            if at == len(calls) or (call == "fsync" and tail.endswith("-wal")):
                yield at, AFTER
        if self.power:
            yield 0, COUNT  # the power fails when all is answered

    def prepare(self, base: str) -> script.Ledger:
        """Make the store that a story begins with, in `kept`."""
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()

        def make(tell: Tell, _: Callable[[], None]) -> None:
            script.perform(store.Store(self.kept), base, tell)

        ledger = script.Ledger()
        if base:
            note(ledger, self.whole(Process(make)))
        return ledger

    def whole(self, process: Process) -> Process:
        assert process.end() == 0, process.events[-1:]
        return process

    def count(self, story: script.Script, ledger: script.Ledger) -> list[list[str]]:
        """The boundaries of the story's victim: the call, and the end of the path it was made on."""
        def act(tell: Tell, _: Callable[[], None]) -> None:
            self.victim(story, ledger, tell, (0, COUNT))
            tell("calls", self.shim.disarm())

        self.restore()
        peer = self.begin_peer(story, ledger) if story.peer else None
        calls = self.whole(Process(act)).events[-1][1]
        if peer:
            peer.kill()
        return calls

    def victim(self, story: script.Script, ledger: script.Ledger, tell: Tell, place: tuple[int, int]) -> None:
        """Do what the victim does, with a crash at `place`: from the opening of the store in some stories."""
        opening = story in script.OPENINGS
        if opening:
            self.shim.arm(str(self.folder), *place)
        lazu = store.Store(self.folder, ledger.later)
        if not opening:
            self.shim.arm(str(self.folder), *place)
        script.perform(lazu, story.victim, tell)

    def restore(self) -> None:
        """Make `store` what `kept` is."""
        refill(self.kept, self.folder)
        if self.power:
            self.power.sync()

    def point(self, story: script.Script, base: script.Ledger, place: tuple[int, int]) -> None:
        """One crash: at boundary `place[0]`, in mode `place[1]`."""
        self.restore()
        ledger = script.Ledger()
        ledger.__dict__ = {name: type(value)(value) for name, value in vars(base).items()}
        peer = self.begin_peer(story, ledger) if story.peer else None

        def act(tell: Tell, _: Callable[[], None]) -> None:
            self.victim(story, base, tell, place)

        found = self.meet(Process(act), peer, ledger)
        if self.power:
            self.power.cut()
            ledger.cut = True
        self.faults += [f"{story} {place}: {fault}" for fault in found + self.judge(ledger)]
        self.stored += len(ledger.stored)
        self.deleted += len(ledger.gone)

    def begin_peer(self, story: script.Script, ledger: script.Ledger) -> Process:
        """The other process: it has the store open, and used, before the victim begins."""
        death = script.DEATHS.get(story.peer[-1])

        def act(tell: Tell, wait: Callable[[], None]) -> None:
            lazu = store.Store(self.folder, ledger.later)
            lazu.newest("a")
            tell("ready")
            wait()
            if death:
                self.shim.only(*death)
                self.shim.arm(str(self.folder), 1, AFTER)
            script.perform(lazu, story.peer.rstrip("!?^"), tell)
            tell("end")
            wait()

        peer = Process(act)
        assert peer.read("ready"), peer.events
        assert not peer.ended, peer.events
        return peer

    def meet(self, victim: Process, peer: Process | None, ledger: script.Ledger) -> list[str]:
        """See both to their ends: the peer goes on when the victim is dead or paused. Gives what failed."""
        failed = []
        if self.job.how == "pause":
            self.pass_by(victim, peer)
        code = victim.end()
        self.killed += code == -signal.SIGKILL
        if code not in (0, -signal.SIGKILL):
            failed.append(f"the victim failed: {victim.events[-1:]}")
        note(ledger, victim)
        if peer:
            peer.go()
            failed += peer.finish()
            note(ledger, peer)
        return failed

    def pass_by(self, victim: Process, peer: Process) -> None:
        """While the victim is stopped at its boundary have the peer do all it can without it."""
        if stopped(victim):
            peer.go()
            asleep = 0
            while asleep < LOOKS and not peer.read("end", APART):
                asleep = asleep + 1 if peer.asleep() else 0
            os.kill(victim.pid, signal.SIGCONT)

    def judge(self, ledger: script.Ledger) -> list[str]:
        """Examine what is left, in a process of its own; gives what is wrong."""
        def act(tell: Tell, _: Callable[[], None]) -> None:
            tell(*script.examine(self.folder, ledger))

        process = Process(act)
        return process.events[-1] if process.end() == 0 else [f"the store can't be used: {process.events[-1:]}"]


def stopped(process: Process) -> bool:
    """Wait until it stops at its boundary; False if it ended without."""
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return state.si_code == os.CLD_STOPPED


def note(ledger: script.Ledger, process: Process) -> None:
    for event in process.events:
        ledger.note(event)


def refill(source: Path, target: Path) -> None:
    """Give `target` the files of `source`; each is a store, or empty.

    Shards stay, and so does the ballast: making them is what takes time.
    """
    for folder in folders(target):
        for path in loose(folder):
            os.unlink(path)
    for folder in folders(source):
        there = target / folder.relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for path in loose(folder):
            shutil.copy(path, there)


def loose(folder: Path) -> list[str]:
    return [entry.path for entry in os.scandir(folder) if entry.is_file() and entry.name != "ballast"]


def folders(root: Path) -> list[Path]:
    """Where files can be: the store's own folder and the shards of what is uploaded."""
    shards = [root / "blobs" / sha256[:2] for sha256 in store.DIGESTS.values()]
    return [folder for folder in [root, root / "blobs", root / "quarantine", root / "blobs/quarantine", *shards] if folder.is_dir()]


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    if job.mutant:
        mutants.MUTANTS[job.mutant]()
    store.Store.warm(Path(job.folder, "warm"))
    gc.freeze()
    runner = Runner(job)
    runner.run()
    result = {name: getattr(runner, name) for name in RESULT}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
