"""`flask COMMAND`: what an operator does. Every command leaves with 0 when done, with 1 and one clear line when not."""

import json
from dataclasses import asdict
from typing import Any, NoReturn

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from lazu import clock, models
from lazu.keys import KeyProblem
from lazu.purge import Removed, preview, purge
from lazu.store import Store

keys_group = AppGroup("keys", help="API keys: the owners of files.")


def init_app(app: Flask) -> None:
    """Join the commands to `app`."""
    app.cli.add_command(purge_command)
    app.cli.add_command(keys_group)


def _store() -> Store:
    found: Store = current_app.extensions["lazu"]
    models.connect()
    return found


def _fail(problem: object) -> NoReturn:
    raise click.ClickException(str(problem))


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def purge_command(dry_run: bool, as_json: bool) -> None:
    """Remove expired files, then bytes that nothing refers to. Safe while serving.

    Example: flask purge --dry-run
    """
    removed = preview(_store().files) if dry_run else purge(_store().files)
    if removed is None:
        click.echo(json.dumps({"running": True}) if as_json else "another purge is running; nothing to do")
    elif as_json:
        click.echo(json.dumps({"at": clock.now(), "dry_run": dry_run, **asdict(removed)}))
    else:
        click.echo(_line(removed, "would remove" if dry_run else "removed"))


def _line(removed: Removed, verb: str) -> str:
    return f"{clock.shanghai(clock.now())} {verb} {removed.files} files, {removed.blobs} blobs, {removed.bytes} bytes"


@keys_group.command("create")
@click.argument("name")
@click.option("--quota", type=click.IntRange(min=0), help="Bytes the key may hold; without it the setting counts.")
def create_key(name: str, quota: int | None) -> None:
    """Make a key and print it, once: only its hash is kept.

    Example: flask keys create alice
    """
    try:
        click.echo(_store().keys.create(name, quota))
    except KeyProblem as e:
        _fail(e)


@keys_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(as_json: bool) -> None:
    """Show the keys: name, state, when made."""
    rows: list[dict[str, Any]] = [
        {"name": key.name, "created_at": key.created_at, "revoked_at": key.revoked_at} for key in _store().keys.all()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        state = "active " if row["revoked_at"] is None else "revoked"
        click.echo(f"{row['name']:{width}}  {state}  made {clock.shanghai(row['created_at'])}")


@keys_group.command("rotate")
@click.argument("name")
def rotate_key(name: str) -> None:
    """Give a key a new secret and print it; the old one is refused from now on, the files stay."""
    try:
        click.echo(_store().keys.rotate(name))
    except KeyProblem as e:
        _fail(e)


@keys_group.command("revoke")
@click.argument("name")
@click.option("--delete-files", is_flag=True, help="Delete the key's files too, now.")
def revoke_key(name: str, delete_files: bool) -> None:
    """Refuse a key from now on. Its files live until they expire, unless --delete-files is given."""
    store = _store()
    try:
        key = store.keys.revoke(name)
    except KeyProblem as e:
        _fail(e)
    count = store.files.delete_all(key) if delete_files else 0
    click.echo(f"revoked {name}" + (f", deleted {count} files" if delete_files else ""))
