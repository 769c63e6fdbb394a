"""`flask fsck`, `flask backup`, `flask restore`: the commands for the store as a whole."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from lazu import fsck, models
from lazu.backup import BackupProblem, Copied, backup, restore
from lazu.blobs import SHARDS
from lazu.errors import CannotStart
from lazu.files import Files
from lazu.models import File

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DIRECTORY = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))


def init_app(app: Flask) -> None:
    """Join the commands to `app`."""
    for command in (fsck_command, backup_command, restore_command):
        app.cli.add_command(command)


def _files() -> Files:
    models.connect()
    found: Files = current_app.extensions["lazu"].files
    return found


@dataclass(frozen=True)
class _Finding:
    problem: fsck.Problem
    repaired: str

    def as_json(self) -> dict[str, str]:
        problem = self.problem
        return {"kind": problem.kind, "about": problem.about, "detail": problem.detail, "repaired": self.repaired}

    def line(self) -> str:
        problem = self.problem
        words = [f"{problem.kind:8}", problem.about, problem.detail, f"→ {self.repaired}" if self.repaired else ""]
        return "  ".join(word for word in words if word)


@click.command("fsck")
@click.option("--rehash", is_flag=True, help="Read every byte, to find what the disk has changed.")
@click.option("--repair", is_flag=True, help="Put right what can be; a file whose bytes are lost is deleted.")
@AS_JSON
@with_appcontext
def fsck_command(rehash: bool, repair: bool, as_json: bool) -> None:
    """Compare files and bytes; leaves with 1 when they disagree, or did and could not be repaired.

    Safe while serving. A damaged blob is moved to storage/quarantine by --repair, never served again. After a disk
    error the store stays stopped until this command finds it sound, or repairs it.

    Example: flask fsck --rehash
    """
    files = _files()
    try:
        if repair:
            fsck.recover(files)
        findings = list(_findings(files, rehash, repair))
        sound = all(finding.repaired for finding in findings)
        if sound:
            fsck.recover(files)
    except (OSError, models.DatabaseError) as e:
        _fail(e)
    _report(findings, as_json)
    sys.exit(0 if sound else 1)


def _findings(files: Files, rehash: bool, repair: bool) -> Iterator[_Finding]:
    with _bar("looking") as tick:
        problems = list(fsck.check(files, rehash, tick))
    for problem in problems:
        yield _Finding(problem, fsck.repair(files, problem) if repair else "")


def _report(findings: list[_Finding], as_json: bool) -> None:
    count = File.select().count()
    if as_json:
        click.echo(json.dumps({"files": count, "problems": [finding.as_json() for finding in findings]}))
        return
    for finding in findings:
        click.echo(finding.line())
    click.echo(f"{count} files, {len(findings)} problems" if findings else f"{count} files, all sound")


@click.command("backup")
@DIRECTORY
@AS_JSON
@with_appcontext
def backup_command(directory: Path, as_json: bool) -> None:
    """Make DIRECTORY a whole copy of the store, while it serves; an earlier backup in it is brought up to date.

    On the same file system it costs no space (hard links) and protects from mistakes, not from the disk.

    Example: flask backup /mnt/other-disk/lazu
    """
    files = _files()
    with _whole(), _bar("copying") as tick:
        copied = backup(files, directory, tick)
    _tell("backed up", copied, as_json)


@click.command("restore")
@DIRECTORY
@AS_JSON
@with_appcontext
def restore_command(directory: Path, as_json: bool) -> None:
    """Fill this store, which must be empty, from the backup in DIRECTORY, and verify every byte.

    Example: LAZU_STORAGE_DIR=/srv/lazu flask restore /mnt/other-disk/lazu
    """
    files = _files()
    with _whole(), _bar("copying") as tick:
        copied = restore(files, directory, tick)
    _tell("restored", copied, as_json)


def _tell(verb: str, copied: Copied, as_json: bool) -> None:
    counts = {word: copied[word] for word in ("present", "linked", "cloned", "copied", "gone", "bytes")}
    if as_json:
        click.echo(json.dumps({"files": File.select().count(), **counts}))
        return
    click.echo(f"{verb}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "bytes"))


@contextmanager
def _whole() -> Iterator[None]:
    """Every way in which a copy fails, as one line."""
    try:
        yield
    except (BackupProblem, CannotStart, OSError, models.DatabaseError) as e:
        _fail(e)


@contextmanager
def _bar(label: str) -> Iterator[Callable[[], object]]:
    """A progress bar on a terminal, nothing in a pipe; gives what to call for each shard."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=len(SHARDS), label=label, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _fail(problem: object) -> NoReturn:
    raise click.ClickException(str(problem))
