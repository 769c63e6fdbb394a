"""The door to `.env`: its variables, and what stands there in vain."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from lazu.errors import CannotStart


def variables(path: Path, known: Collection[str]) -> dict[str, str] | None:
    """The variables in a file, None if it does not exist; `known` are the names of Lazu's variables.

    Raises `CannotStart` for anything that would be ignored in silence, as a misspelt name.
    """
    try:
        path.lstat()
        if not path.is_file():
            raise CannotStart(f"{path} is no file, but a directory, as Docker makes of a missing mount, or a dead link")
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        raise CannotStart(f"{path} can't be read as UTF-8 text by this user") from e
    for line in lines:
        _require_known(line, known)
    # Not dotenv_values(), which puts variables in the place of ${NAME}, also in a secret.
    return {line.key: line.value or "" for line in lines if line.key}


def _require_known(line: Binding, known: Collection[str]) -> None:
    if line.error or (line.key and line.value is None):
        blank = line.original.string[: -len(line.original.string.lstrip())].count("\n")
        raise CannotStart(f"line {line.original.line + blank} of .env is not NAME=value")
    name = (line.key or "").upper().replace("-", "_")
    if name.startswith("LAZU_") and line.key not in known:
        near = get_close_matches(name, known, 1)
        raise CannotStart(f"{line.key} in .env is no setting" + (f"; {near[0]} is one" if near else ""))
