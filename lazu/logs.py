"""Log lines: how they look, and the audit log.

An event is one line, of words or of JSON. No value can end a line or be taken for another one: what is not plain ASCII
is escaped. A line never has a key, a file's name or content.
"""

import errno
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from lazu import clock

Facts = dict[str, str | int | float | None]

#: The id of the request that this thread serves, None outside of requests: what its lines are found by.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

#: These say what they are without their name.
_BARE = {"time", "level", "event", "method", "route", "status", "message"}
_PLAIN = re.compile(r"[!-~]+")
#: How the audit log is.
_OPENED = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC

_log = logging.getLogger(__name__)


@contextmanager
def about(request: str | None) -> Iterator[None]:
    """Have the lines of this thread bear the id `request` within the `with`: the thread serves others too."""
    before = request_id.set(request)
    try:
        yield
    finally:
        request_id.reset(before)


@dataclass(frozen=True)
class Style:
    """How lines look: their `form`, `json` or `text` (words), and the `zone` of their times, `utc` or `shanghai`."""

    form: str
    zone: str

    @property
    def as_json(self) -> bool:
        """Whether a line is a JSON object."""
        return self.form == "json"

    def line(self, facts: Facts) -> str:
        """One line, without its end: the time, then `facts` in their order; those that are None are left out."""
        told = {"time": clock.iso(clock.now(), self.zone), **{k: v for k, v in facts.items() if v is not None}}
        if self.as_json:
            return json.dumps(told)
        return " ".join(plain(value) if name in _BARE else f"{name}={plain(value)}" for name, value in told.items())


def plain(value: object) -> str:
    """`value` as one word of printable ASCII: anything else, spaces too, becomes a JSON string."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text[0] != '"' else json.dumps(text)


class Formatter(logging.Formatter):
    """Lines of logging records: level, message, the request's id, and the trace as part of the line or indented."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._lines = style

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        facts: Facts = {"level": record.levelname.lower(), "message": record.getMessage(), "request": request_id.get()}
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else None
        if self._lines.as_json:
            return self._lines.line({**facts, "trace": trace})
        # Indented, a trace whose last line has what a client sent can't be taken for lines of ours.
        indented = "".join(f"\n  | {plain_line(line)}" for line in (trace or "").splitlines())
        return self._lines.line(facts) + indented


def plain_line(text: str) -> str:
    """`text` with everything but printable ASCII escaped."""
    return text if text.isascii() and text.isprintable() else json.dumps(text)


class _AuditLog:
    """Lines at the end of a file that is opened for each: rotating it needs no signal, and commands write it too.

    Not by way of `logging`, which takes longer for a line than opening the file and writing it (18 of 40 µs).
    """

    _path: Path | None = None

    def keep(self, path: Path, style: Style) -> None:
        """From now on what this process does to files and keys is written to `path`."""
        self._path, self._style = path, style

    def add(self, facts: Facts) -> None:
        """Append a line; one that can't be written goes to the log, and fails nobody."""
        if self._path is None:
            return
        line = self._style.line(facts)
        try:
            fd = os.open(self._path, _OPENED | os.O_CREAT, 0o600)
            try:
                _append(fd, f"{line}\n".encode())
            finally:
                os.close(fd)
        except OSError as e:
            _log.error("The audit log can't be written (LAZU_AUDIT_LOG, %s: %s): %s", self._path, e.strerror, line)


_audit = _AuditLog()
keep_audit = _audit.keep


def _append(fd: int, line: bytes) -> None:
    """Write `line` behind whatever the file has; raises OSError when not all of it could be written."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":  # part of a line, for which a full disk had no more room
        line = b"\n" + line
    if os.write(fd, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def unwritable(path: Path) -> str | None:
    """Why this process could write no line to an audit log at `path`, None if it could.

    Makes nothing there: a disk without room, which a start must not fail by, is no reason.
    """
    try:
        os.close(os.open(path, _OPENED))
    except FileNotFoundError as e:
        folder = os.path.dirname(os.path.realpath(path))
        if not os.path.isdir(folder):
            return e.strerror
        return None if os.access(folder, os.W_OK | os.X_OK) else "no file can be made there"
    except OSError as e:
        return e.strerror
    return None


def audit(event: str, **facts: str | int | None) -> None:
    """Write down that `event` happened: after it is durable, and whatever becomes of the line, nobody fails for it."""
    _audit.add({"event": event, **facts, "request": request_id.get()})
