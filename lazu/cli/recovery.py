"""`flask fsck`, `flask backup`, `flask restore`: a store that is damaged, lost or moved."""

from dataclasses import dataclass
from pathlib import Path

import click
from flask.cli import with_appcontext

from lazu.cli.output import Command, as_json_option, opened, progress, say_json
from lazu.errors import StoreError
from lazu.store import counts
from lazu.store.contents import STEPS, Copied, Problem
from lazu.store.opening import Store
from lazu.upkeep.backup import backup, restore

DIRECTORY = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))


@dataclass
class _Reported:
    problem: Problem
    repaired: str = ""

    def as_json(self) -> dict[str, str]:
        problem = self.problem
        return {"kind": problem.kind, "about": problem.about, "detail": problem.detail, "repaired": self.repaired}

    def line(self) -> str:
        problem = self.problem
        words = [f"{problem.kind:8}", problem.about, problem.detail, f"→ {self.repaired}" if self.repaired else ""]
        return "  ".join(word for word in words if word)


@click.command("fsck", cls=Command)
@click.option("--rehash", is_flag=True, help="Read every byte, to find what the disk has changed.")
@click.option("--repair", is_flag=True, help="Put right what can be; a file whose bytes are lost is deleted.")
@as_json_option
@with_appcontext
def fsck_command(rehash: bool, repair: bool, as_json: bool) -> None:
    """Compare files and bytes; leaves with 1 when they disagree, or did and could not be repaired.

    Safe while serving. A damaged blob is moved to quarantine by --repair, never served again. After a disk
    error the store stays stopped until this command finds it sound, or repairs it.

    Example: flask fsck --rehash
    """
    store = opened()
    if repair:
        store.contents.require_own()
        store.contents.recover()
    findings = _look(store, rehash)
    try:
        if repair and findings:
            _repair(store, findings)
    finally:  # what was deleted is named, whatever ended the rest
        _report(findings, as_json)
    if all(finding.repaired for finding in findings):
        store.contents.recover()
        return
    raise click.ClickException(_cure(findings, rehash, repair))


def _look(store: Store, rehash: bool) -> list[_Reported]:
    with progress("looking", STEPS) as tick:
        return [_Reported(problem) for problem in store.contents.look(rehash, tick)]


def _repair(store: Store, findings: list[_Reported]) -> None:
    with progress("repairing", len(findings)) as tick:
        for finding in findings:
            finding.repaired = store.contents.repair(finding.problem)
            tick()


def _report(findings: list[_Reported], as_json: bool) -> None:
    count = _count()
    if as_json:
        say_json({"files": count, "problems": [finding.as_json() for finding in findings]})
        return
    for finding in findings:
        click.echo(finding.line())
    files = "an unknown number of" if count is None else count
    click.echo(f"{files} files, {len(findings)} problems" if findings else f"{files} files, all sound")


def _count() -> int | None:
    """How many files there are; None if the database can't say: what was found is worth more than that."""
    try:
        return counts.count()
    except StoreError:
        return None


def _cure(findings: list[_Reported], rehash: bool, repair: bool) -> str:
    if any(finding.problem.kind == "database" for finding in findings):
        return "the database is damaged; docs/operations.md, A damaged database"
    again = "flask fsck --rehash --repair" if rehash else "flask fsck --repair"
    cure = "what is not repaired is above" if repair else f"'{again}' puts right what can be"
    return f"files and bytes disagree; {cure}"


@click.command("backup", cls=Command)
@DIRECTORY
@as_json_option
@with_appcontext
def backup_command(directory: Path, as_json: bool) -> None:
    """Make DIRECTORY a whole copy of the store, while it serves; an earlier backup in it is brought up to date.

    On the same file system it costs no space (hard links) and protects from mistakes, not from the disk.

    Example: flask backup /mnt/other-disk/lazu
    """
    store = opened()
    with progress("copying", STEPS) as tick:
        copied = backup(store, directory, tick)
    _tell("backed up", copied, as_json)


@click.command("restore", cls=Command)
@DIRECTORY
@as_json_option
@with_appcontext
def restore_command(directory: Path, as_json: bool) -> None:
    """Fill this store, which must be empty, from the backup in DIRECTORY, and verify every byte.

    Example: LAZU_STORAGE_DIR=/srv/lazu flask restore /mnt/other-disk/lazu
    """
    store = opened()
    with progress("copying and verifying", 2 * STEPS) as tick:
        copied = restore(store, directory, tick)
    _tell("restored", copied, as_json)


def _tell(verb: str, copied: Copied, as_json: bool) -> None:
    copies = {word: copied[word] for word in ("present", "linked", "cloned", "copied", "gone", "bytes")}
    if as_json:
        say_json({"files": counts.count(), **copies})
        return
    click.echo(f"{verb}: " + ", ".join(f"{count} {word}" for word, count in copies.items() if count or word == "bytes"))


COMMANDS = (fsck_command, backup_command, restore_command)
