"""How commands speak: tables, sizes, bars, progress, JSON, and the one line of a failure."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from flask import current_app

from lazu.errors import ApiError, CannotStart, StoreError
from lazu.store import rows
from lazu.store.keys import KeyProblem
from lazu.store.opening import Store
from lazu.upkeep.backup import BackupProblem
from lazu.upkeep.purge import ClockJump

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

#: What a command can meet that is no bug: its message is for the operator.
_FAILURES = (KeyProblem, BackupProblem, ClockJump, ApiError, StoreError, OSError)

BLOCKS = "▁▂▃▄▅▆▇█"


class Command(click.Command):
    """A command whose failure is one line on standard error, and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read has left: click knows what to do
        except _FAILURES as e:
            fail(e)


def opened() -> Store:
    """The store, its database open."""
    found: Store | CannotStart = current_app.extensions["lazu"]
    if isinstance(found, CannotStart):
        raise found
    try:
        found.engine.connect()
        if found.settings.database_url:
            rows.has_row("")  # where each query takes a connection, the first one tells whether there is any
    except StoreError as e:
        fail(f"the database can't be reached: {e}")
    return found


def fail(problem: object) -> NoReturn:
    """Leave with 1 and `problem` as one line on standard error."""
    raise click.ClickException(" ".join(str(problem).split()))


def say_json(value: Any) -> None:
    """Print `value` for a machine."""
    click.echo(json.dumps(value))


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """`rows`, the first one the head, in aligned columns; those whose numbers are in `right` end at their right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def curve(values: Sequence[int]) -> str:
    """One block a value, as high as its share of the largest; a blank for none."""
    most = max(values, default=0) or 1
    return "".join(BLOCKS[min(7, value * 8 // most)] if value else " " for value in values)


def bar(value: int, most: int, width: int = 30) -> str:
    """`value` as a bar, `width` long for `most`; whatever there is shows."""
    return "█" * max(value > 0, round(width * value / most)) if most else ""


def to_terminal() -> bool:
    """Whether a person looks at the output."""
    return sys.stdout.isatty()


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[], object]]:
    """A progress bar on a terminal, nothing in a pipe; gives what to call for each of `length` steps."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as shown:
        yield lambda: shown.update(1)
