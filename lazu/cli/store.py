"""`flask purge` and `flask stats`: what is in the store, and what goes."""

from dataclasses import asdict
from typing import Any

import click
from flask.cli import with_appcontext

from lazu import clock
from lazu.cli.output import Command, as_json_option, bar, curve, opened, progress, say_json, table, to_terminal
from lazu.sizes import words
from lazu.store import counts
from lazu.store.contents import Removed
from lazu.store.opening import Store
from lazu.upkeep import stats
from lazu.upkeep.purge import preview, purge, steps

#: Days that `flask stats` looks back on, and days a bar of ages stands for.
DAYS, AGES = 30, 5


@click.command("purge", cls=Command)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option("--force", is_flag=True, help="Believe the clock, even if it seems to have jumped ahead.")
@click.option("--adopt", is_flag=True, help="In a cluster: this database was moved, and is no copy of one in use.")
@as_json_option
@with_appcontext
def purge_command(dry_run: bool, force: bool, adopt: bool, as_json: bool) -> None:
    """Remove expired files, then bytes that nothing refers to. Safe while serving.

    Example: flask purge --dry-run
    """
    removed = preview(opened(), adopt) if dry_run else _purge(opened(), force, adopt)
    if removed is None:
        say_json({"running": True}) if as_json else click.echo("another purge is running; nothing to do")
    elif as_json:
        say_json({"at": clock.now(), "dry_run": dry_run, **asdict(removed)})
    else:
        click.echo(_line(removed, "would remove" if dry_run else "removed"))
    if removed and removed.left:
        raise click.ClickException(f"{removed.left} objects could not be deleted; the next purge tries again")


def _purge(store: Store, force: bool, adopt: bool) -> Removed | None:
    with progress("removing", steps()) as tick:
        return purge(store, force, adopt, tick)


def _line(removed: Removed, verb: str) -> str:
    return f"{clock.shanghai(clock.now())} {verb} {removed.files} files, {removed.blobs} blobs, {removed.bytes} bytes"


@click.command("stats", cls=Command)
@as_json_option
@with_appcontext
def stats_command(as_json: bool) -> None:
    """Show what is stored: files, blobs, bytes saved, by key, last purge, overdue; on a terminal with bars.

    UPLOADS of a key are those in parts that are pending, DECLARED the bytes that these hold of its quota.

    Example: flask stats --json
    """
    store = opened()
    if as_json:
        say_json(_as_json(store))
        return
    click.echo(_totals(store))
    keys = [
        (each.key.name, f"{each.files:,}", words(each.bytes), f"{each.uploads:,}", words(each.upload_bytes))
        for each in stats.usage()
    ]
    if keys:
        click.echo("\n" + table([("KEY", "FILES", "BYTES", "UPLOADS", "DECLARED"), *keys], right=(1, 2, 3, 4)))
    if to_terminal():
        click.echo("\n" + _pictures(stats.by_day(DAYS)))


def _as_json(store: Store) -> dict[str, Any]:
    totals, last = stats.totals(), counts.last_purge()
    purged = None if last is None else {
        "started_at": last.started_at, "finished_at": last.finished_at,
        "files": last.files, "blobs": last.blobs, "bytes": last.bytes,
    }  # fmt: skip
    return {
        **asdict(totals),
        "saved_bytes": totals.saved_bytes,
        "free_bytes": store.contents.free(),
        "last_purge": purged,
        "keys": [_key(each) for each in stats.usage()],
        "days": [{"day": day, "files": files, "bytes": count} for day, files, count in stats.by_day(DAYS)],
    }


def _key(usage: stats.Usage) -> dict[str, Any]:
    figures = {name: getattr(usage, name) for name in ("files", "bytes", "uploads", "upload_bytes")}
    return {"name": usage.key.name, **figures}


def _totals(store: Store) -> str:
    totals, settings = stats.totals(), store.settings
    waiting = f"wait for the purge, {totals.overdue:,} of them overdue"
    several = settings.database_url is not None  # boxes: on a disk of this one is only what arrives
    floor = f"{'here, ' * several}uploads stop at {words(settings.min_free_bytes)}"
    rows = [
        ("files", f"{totals.files:,}", words(totals.bytes), ""),
        ("expired", f"{totals.expired:,}", words(totals.expired_bytes), waiting),
        ("uploads", f"{totals.uploads:,}", words(totals.upload_bytes), f"pending, {words(totals.part_bytes)} in parts"),
        ("blobs", f"{totals.blobs:,}", words(totals.blob_bytes), "in objects" if several else "on disk"),
        ("saved", "", words(totals.saved_bytes), "by storing equal bytes once"),
        ("free", "", words(store.contents.free()), floor),
    ]
    return f"{table(rows, right=(1, 2))}\nlast purge  {_last_purge()}"


def _last_purge() -> str:
    last = counts.last_purge()
    if last is None:
        return "never"
    return f"{clock.shanghai(last.finished_at)}: {last.files} files, {last.blobs} blobs, {words(last.bytes)}"


def _pictures(days: list[tuple[str, int, int]]) -> str:
    """Bytes by day of upload, and by age, of the files that are there."""
    sizes = [count for _, _, count in days]
    ages = [sum(sizes[end - AGES : end]) for end in range(len(sizes), 0, -AGES)]
    head = f"uploaded by day, {days[0][0]} to {days[-1][0]}, at most {words(max(sizes))}"
    lines = [head, f"  {curve(sizes)}", "by age"]
    for number, count in enumerate(ages):
        span = f"{number * AGES:2} to {number * AGES + AGES - 1:2} days"
        lines.append(f"  {span}  {words(count):>10}  {bar(count, max(ages))}".rstrip())
    return "\n".join(lines)


COMMANDS = (purge_command, stats_command)
