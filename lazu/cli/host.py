"""`flask doctor`: the machine under the store."""

import sys
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext

from lazu.cli.output import Command, as_json_option, say_json
from lazu.errors import CannotStart
from lazu.upkeep import doctor
from lazu.upkeep.finding import FAIL, Finding


@click.command("doctor", cls=Command)
@as_json_option
@with_appcontext
def doctor_command(as_json: bool) -> None:
    """Say whether this host is fit to run Lazu; leaves with 1 when something fails, with 0 on warnings.

    It runs when nothing else does: with a bad setting, on a disk that can't hold a store.

    Example: flask doctor
    """
    opened = current_app.extensions["lazu"]
    if not isinstance(opened, CannotStart):
        opened.engine.connect()
    findings = list(doctor.examine(opened))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    failed = sum(finding.state == FAIL for finding in findings)
    if failed:
        click.echo(f"Error: {failed} of {len(findings)} checks failed", err=True)
        sys.exit(1)


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(f"{finding.state:4}  {finding.check:11}  {finding.found}")
        if finding.cure:
            click.echo(f"{'':19}→ {finding.cure}")


COMMANDS = (doctor_command,)
