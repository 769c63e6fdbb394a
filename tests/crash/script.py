"""What is done to a store before, at and after a crash, what was acknowledged of it, and what must be found then.

A script is three lists of words. `base` is done first and is whole; `victim` is done by the process that the crash
meets; `peer`, if there is any, by another process that has the store open all along and goes on when the first is dead
(or paused). The words: `+a` uploads the content a, `-a` deletes the newest file of the content a, `later` (only
in the base) goes 31 days ahead, `~a` loses and `%a` damages the blob of a (only in the base, without a peer); `<d`
sends the content d in parts, which are the contents a and b, `=d` completes the newest upload of d and `/d` cancels it;
`checkpoint` makes the blobs of the journal durable and empties it, `open` opens the store once more; `.a` takes the
name and `0a` the bytes of the blob of a, as a power cut may do before a checkpoint (only at the end of a base without
a peer); the others are commands of Lazu. The last word of a peer may end with a sign: with
`!` it is killed when it has removed the blob of a, with `?` when its commit is in the log and not yet announced, with
`^` when it has named its first blob.
"""

import random
from pathlib import Path
from typing import NamedTuple

import store


class Script(NamedTuple):
    """See above; each is a string of words."""

    base: str
    victim: str
    peer: str = ""


#: The stories that have a name: each verb alone, then with another process that goes on.
STORIES = [
    Script("", "+a"),
    Script("+b", "+c"),
    Script("+a", "+a"),
    Script("+a", "-a"),
    Script("+a +a", "-a"),
    Script("+a +b +b later +c", "purge"),
    Script("+a", "+b -a +a -b -a"),
    Script("+b", "+c -c"),
    Script("", "+a", "+a"),
    Script("", "+a", "purge"),
    Script("+a", "+a", "-a"),
    Script("+a", "-a", "+a"),
    Script("+a", "-a", "purge"),
    Script("+a +b later", "purge", "+a"),
    Script("+a +b later", "+a", "purge"),
    Script("", "+a", "purge!"),
    Script("+a", "-a", "+a?"),
    Script("", "+a", "+a^"),
    Script("+a +b .a 0b", ""),
    Script("+a .a", "+a"),
    Script("+b", "+a checkpoint -a +a"),
    Script("", "+b checkpoint", "checkpoint +a"),
    Script("", "+a checkpoint", "-a +a"),
    Script("+a", "-a +a", "checkpoint"),
    Script("+a", "-a checkpoint", "+a"),
    Script("", "+a", "open"),
    Script("+a", "-a", "open"),
    Script("+a checkpoint", "+a", "+b"),
    Script("", "+c", "+c^"),
    Script("", "<d", "checkpoint purge"),
    Script("+a +b later", "purge", "+a checkpoint"),
    Script("+a +b checkpoint %a", "+a"),
    Script("+a +b checkpoint ~a", "fsck_--repair"),
    Script("+a +b +a checkpoint %a", "fsck_--rehash_--repair"),
    Script("", "<d"),
    Script("<d", "=d"),
    Script("<d", "/d"),
    Script("+b <d later +a", "purge"),
    Script("+a", "<d", "-a"),
    Script("<d", "=d", "purge"),
    Script("<d", "=d", "/d"),
    Script("<d", "=d", "=d"),
]
#: What comes in parts: the content, and those of its parts.
PIECES = {"d": "ab"}
#: Those in which opening the store counts too: the first start, a later one, and two after a power cut.
OPENINGS = [*STORIES[:2], *(story for story in STORIES if story.base[-2:] in (".a", "0b"))]
WORDS = ("+a", "+b", "+c", "+a", "-a", "-b", "-c", "-a", "purge", "checkpoint")


def story(number: int) -> Script:
    """Script number `number`: those with a name, then as many as are asked for, each always the same."""
    if number < len(STORIES):
        return STORIES[number]
    draw = random.Random(number)
    base = " ".join(draw.choices((*WORDS, "later"), k=4))
    return Script(base, " ".join(draw.choices(WORDS, k=4)), " ".join(draw.choices(WORDS, k=draw.choice((0, 2)))))


class Ledger:
    """What was tried and what was acknowledged: the events of all processes, in order."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}  # id to content, acknowledged
        self.later = 0  # leaps of the clock
        self.expired: set[str] = set()  # must be gone after a purge
        self.doomed: set[str] = set()  # deletion tried, or expired: may be gone
        self.gone: set[str] = set()  # deletion acknowledged: must be gone
        self.harmed: set[str] = set()  # contents whose blob was lost or damaged: fsck has to be run
        self.cut = False  # the power: until the store is opened a row's bytes may be in the journal alone
        self.joining: dict[str, set[str]] = {}  # content to the parts of which its file is made, tried
        self.cancelling: set[str] = set()  # parts of uploads whose cancellation was tried

    def note(self, event: list[str]) -> None:
        """Take in one event of `perform`."""
        kind, what = event[0], event[-1]
        if kind == "stored":
            self.stored[what] = event[1]
        elif kind in ("joining", "cancelling", "parted"):
            self.note_parts(kind, event[1], set(what))
        elif kind == "deleting":
            self.doomed.add(what)
        elif kind == "deleted":
            self.gone.add(what)
        elif kind == "harmed":
            self.harmed.add(what)
            self.doomed |= {file_id for file_id, letter in self.stored.items() if letter == what}
        elif kind == "cut":
            self.cut = True
        elif kind == "later":
            self.later += 1
            self.expired = set(self.stored)
            self.doomed |= self.expired

    def note_parts(self, kind: str, letter: str, part_ids: set[str]) -> None:
        """The end of an upload in parts was tried, or acknowledged."""
        if kind == "parted":
            self.gone |= part_ids
        elif kind == "joining":
            self.joining[letter] = part_ids
        else:
            self.cancelling |= part_ids
        self.doomed |= part_ids


#: Where a peer dies whose words end so: the call after which, and the end of the path it is made on.
DEATHS = {"!": ("unlink", store.DIGESTS["a"][-8:]), "?": ("fsync", "-wal"), "^": ("link", "")}


def perform(lazu: store.Store, words: str, tell) -> None:
    """Do the words, telling of each what is tried and what was acknowledged."""
    for word in words.split():
        if word[0] in SIGNS:
            SIGNS[word[0]](lazu, word, tell)
        elif word == "later":
            lazu.later()
            tell("later")
        elif word == "checkpoint":
            lazu.checkpoint()
        elif word == "open":
            store.Store(lazu.folder)
        else:
            lazu.command(*word.split("_"))


def harm(lazu: store.Store, word: str, tell) -> None:
    store.harm(lazu.folder, word[1], word[0] == "~")
    tell("harmed", word[1])


def strip(lazu: store.Store, word: str, tell) -> None:
    store.strip(lazu.folder, word[1], word[0] == ".")
    tell("cut")


def upload(lazu: store.Store, word: str, tell) -> None:
    tell("stored", word[1], lazu.upload(word[1]))


def delete(lazu: store.Store, word: str, tell) -> None:
    file_id = lazu.newest(word[1])
    if file_id:
        tell("deleting", file_id)
        if lazu.delete(file_id):
            tell("deleted", file_id)


def send_parts(lazu: store.Store, word: str, tell) -> None:
    upload_id = lazu.begin(word[1], PIECES[word[1]])
    for piece in PIECES[word[1]]:
        tell("stored", piece, lazu.send(upload_id, piece))


def end(lazu: store.Store, word: str, tell) -> None:
    """Complete or cancel."""
    found = lazu.newest_upload(word[1])
    if not found:
        return
    upload_id, part_ids = found
    if word[0] == "/":
        tell("cancelling", word[1], part_ids)
        if lazu.cancel(upload_id):
            tell("parted", word[1], part_ids)
    else:
        tell("joining", word[1], part_ids)
        file_id = lazu.complete(upload_id, part_ids)
        if file_id:
            tell("stored", word[1], file_id)
            tell("parted", word[1], part_ids)


SIGNS = {"+": upload, "-": delete, "<": send_parts, "=": end, "/": end, "~": harm, "%": harm, ".": strip, "0": strip}


class Look(NamedTuple):
    """What is in a store: rows of files and parts (id to sha256), blobs (name to the sha256 of what is in them)."""

    rows: dict[str, str]
    blobs: dict[str, str]
    dead: set[str]  # parts of uploads that are over
    journal: list[tuple[str, str]]  # of each entry the hash it tells, and that of its bytes

    def faults(self, ledger: Ledger, replayed: bool = True) -> list[str]:
        """What contradicts what was acknowledged, and rows without their bytes; empty if nothing does.

        Where the power was cut and nothing `replayed` yet, bytes in the journal will do.
        """
        rows, stored = self.rows, ledger.stored
        kept = {told for told, actual in self.journal if told == actual and ledger.cut and not replayed}
        found = [f"{file_id} lost" for file_id in stored.keys() - ledger.doomed - rows.keys()]
        found += [f"{file_id} deleted and back" for file_id in ledger.gone & rows.keys()]
        found += [f"upload of {letter} lost" for letter, parts in ledger.joining.items() if self.lacks(letter, parts, ledger)]
        lacking = {sha256 for sha256 in rows.values() if self.blobs.get(sha256) != sha256} - kept
        found += [f"{file_id} dangling" for file_id, sha256 in rows.items() if sha256 in lacking]
        found += [f"entry of {told} altered" for told, actual in self.journal if told != actual]
        return found + [f"{i} altered" for i in stored.keys() & rows.keys() if rows[i] != store.DIGESTS[stored[i]]]

    def lacks(self, letter: str, parts: set[str], ledger: Ledger) -> bool:
        """Whether there is neither the file nor all parts of which it was to be made."""
        excused = parts & (ledger.cancelling | ledger.expired)
        return not excused and not parts <= self.rows.keys() and store.DIGESTS[letter] not in self.rows.values()

    def leaks(self, ledger: Ledger) -> list[str]:
        """What a purge ought to have removed."""
        found = [f"{name} left on disk" for name in self.blobs.keys() - set(self.rows.values())]
        found += [f"{part_id} left on disk" for part_id in self.dead]
        found += [f"entry of {told} left on disk" for told, _ in self.journal]
        return found + [f"{file_id} expired and there" for file_id in self.rows.keys() & ledger.expired]


def look(folder: Path) -> Look:
    rows, dead, journal = store.rows(folder)
    return Look(rows, store.blobs(folder), dead, journal)


def examine(folder: Path, ledger: Ledger) -> list[str]:
    """Look at the store, open it, purge once, look again, and use it once; gives what is wrong.

    A store that was harmed before is first repaired.
    """
    found = [] if ledger.harmed else look(folder).faults(ledger, replayed=False)
    lazu = store.Store(folder, ledger.later)
    if ledger.harmed:
        lazu.command("fsck", "--rehash", "--repair")
    lazu.command("purge")
    then = look(folder)
    found += [f"{fault} after a purge" for fault in then.faults(ledger)] + then.leaks(ledger)
    if not found:
        lazu.delete(lazu.upload("a"))
    return found
