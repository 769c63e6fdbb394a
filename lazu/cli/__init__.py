"""`flask COMMAND`: what an operator does, one module a noun.

Every command leaves with 0 when done, with 1 and one clear line on standard error when not, with 2 when it was called
wrongly. Standard output is the answer, aligned for people or `--json` for machines; progress goes to standard error,
and only on a terminal.
"""

from collections.abc import Iterator

import click
from flask import Flask
from flask.cli import FlaskGroup

from lazu.cli import host, keys, recovery, store

EPILOG = """\b
Lazu's commands are backup, doctor, fsck, keys, purge, restore and stats; the others are Flask's.
  flask keys create alice          a key for a user
  flask purge                      daily, from cron
  flask stats                      what is stored
  flask doctor                     is this host fit
  flask backup /mnt/other/lazu     a copy, taken while serving
Each takes --help, and --json where a machine may read it.

\b
Exit status: 0 done, 1 failed (one line says why), 2 called wrongly.
Settings: LAZU_... variables, or .env in the project's root (docs/settings.md).
"""


COMMANDS = (keys.group, *store.COMMANDS, *recovery.COMMANDS, *host.COMMANDS)


def named() -> Iterator[tuple[str, click.Command]]:
    """Every command with what is typed to run it, as `flask keys list`."""
    for command in COMMANDS:
        if isinstance(command, click.Group):
            yield from ((f"flask {command.name} {name}", each) for name, each in command.commands.items())
        else:
            yield f"flask {command.name}", command


def init_app(app: Flask) -> None:
    """Join the commands to `app`."""
    for command in COMMANDS:
        app.cli.add_command(command)
    if running():
        click.get_current_context().command.epilog = EPILOG  # of `flask --help`


def running() -> bool:
    """Whether `flask` is looking for a command of ours: not when a server starts, be it by `flask run`."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)
