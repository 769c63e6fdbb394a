"""`flask keys`: the owners of files."""

import re
from collections.abc import Callable
from typing import Any

import click
from flask.cli import AppGroup

from lazu import clock
from lazu.cli.output import Command, as_json_option, fail, opened, say_json, table
from lazu.errors import Doubt
from lazu.sizes import words
from lazu.upkeep import stats

group = AppGroup("keys", help="API keys, the owners of files: create, list, quota, rotate, revoke.")
group.command_class = Command

#: The largest whole number that the databases keep: signed, of 64 bits.
MAX_BYTES = 2**63 - 1

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


class Bytes(click.ParamType[int | str]):
    """A size: `500000`, `500MB`, `2G`; MB is 2^20. A `word` may stand for one."""

    name = "bytes"

    def __init__(self, word: str | None = None) -> None:
        self.word = word

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Bytes, or the word."""
        if isinstance(value, int):
            return value
        if value == self.word:
            return str(value)
        match = re.fullmatch(r"(\d{1,19})([KMGT]?)B?", value, re.ASCII | re.IGNORECASE)
        if not match:
            self.fail(f"'{value}' is no size; write 500000, 500MB or 2GB", param, ctx)
        size = int(match[1]) << 10 * _UNITS[match[2].upper()]
        if size > MAX_BYTES:
            self.fail(f"'{value}' is more than any key can hold, 8,388,607 TB; write 0 for no limit", param, ctx)
        return size


def _hand_out(name: str, make: Callable[[], str]) -> None:
    """Print the secret that `make` gives. If nobody saw it, say how to have another."""
    cure = f"'flask keys rotate {name}' prints a new one"
    try:
        secret = make()
    except Doubt as e:
        fail(f"{name} may have a new secret, see 'flask keys list'; if it is there, {cure}: {e}")
    try:
        click.echo(secret)
    except OSError as e:
        fail(f"{name} has a new secret that could not be printed: {e.strerror}; {cure}")


@group.command("create")
@click.argument("name")
@click.option("--quota", type=Bytes(), help="What the key may hold, 0 for no limit; else LAZU_KEY_QUOTA_BYTES counts.")
def create(name: str, quota: int | None) -> None:
    """Make a key and print it, once: only its hash is kept.

    Example: flask keys create alice --quota 10GB
    """
    _hand_out(name, lambda: opened().keys.create(name, quota))


@group.command("list")
@as_json_option
def show(as_json: bool) -> None:
    """Show the keys: state, day of the last use (in Shanghai), files, bytes, quota.

    Example: flask keys list --json
    """
    store = opened()
    found = [_as_json(usage, store.files.limit(usage.key)) for usage in stats.usage()]
    if as_json:
        say_json(found)
    elif found:
        head = ("NAME", "STATE", "MADE", "LAST USE", "FILES", "BYTES", "QUOTA")
        click.echo(table([head, *map(_cells, found)], right=(4, 5, 6)))


def _as_json(usage: stats.Usage, limit: int) -> dict[str, Any]:
    key = usage.key
    return {
        "name": key.name,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "last_used_on": None if key.last_used_at is None else clock.day(key.last_used_at),
        "files": usage.files,
        "bytes": usage.bytes,
        "own_quota_bytes": key.quota_bytes,
        "quota_bytes": limit or None,
    }


def _cells(key: dict[str, Any]) -> tuple[str, ...]:
    state = "active" if key["revoked_at"] is None else "revoked"
    quota = "none" if key["quota_bytes"] is None else words(key["quota_bytes"])
    used = key["last_used_on"] or "never"
    return key["name"], state, clock.day(key["created_at"]), used, f"{key['files']:,}", words(key["bytes"]), quota


@group.command("quota")
@click.argument("name")
@click.argument("quota", metavar="BYTES", type=Bytes("default"))
def limit(name: str, quota: int | str) -> None:
    """Let a key hold BYTES of files: 0 for no limit, `default` for what LAZU_KEY_QUOTA_BYTES says.

    Files that are there stay, also above the quota; what is on its way has to fit.

    Example: flask keys quota alice 20GB
    """
    store = opened()
    store.keys.limit(name, None if isinstance(quota, str) else quota)
    now = store.files.limit(store.keys.find(name))
    click.echo(f"{name} may hold {words(now) if now else 'any number of bytes'}")


@group.command("rotate")
@click.argument("name")
def rotate(name: str) -> None:
    """Give a key a new secret and print it; the old one is refused from now on, the files stay.

    Example: flask keys rotate alice
    """
    _hand_out(name, lambda: opened().keys.rotate(name))


@group.command("revoke")
@click.argument("name")
@click.option("--delete-files", is_flag=True, help="Delete the key's files and uploads too, now.")
def revoke(name: str, delete_files: bool) -> None:
    """Refuse a key from now on. Its files live until they expire, unless --delete-files is given.

    Example: flask keys revoke alice --delete-files
    """
    store = opened()
    key = store.keys.revoke(name)
    count = store.files.delete_all(key) if delete_files else 0
    if delete_files:
        store.uploads.delete_all(key)
    click.echo(f"revoked {name}" + (f", deleted {count} files" if delete_files else ""))
