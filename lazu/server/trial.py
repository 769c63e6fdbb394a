"""Can it be served? What a start or a reload was given is tried in a child, so that a refusal changes nothing.

By itself gunicorn, at the first thing in a reload that can't be, ends with all its workers.
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from hashlib import file_digest, sha256
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from lazu import countfiles, logs
from lazu.config import PROJECT, Given, Settings, keep, kept, read
from lazu.errors import CannotStart, NotReady
from lazu.gateway import itself
from lazu.store.opening import require_ready

Tell = Callable[[str], object]

_FULL = "there are too many processes or threads for another worker; raise the limit (TasksMax, ulimit -u)"

_KINDS = {".py", ".json", ".html", ".css", ".js", ".svg"}


def require_other(server: Any, settings: Settings) -> None:
    """Raise `CannotStart` if the model server of the settings is where `server` listens."""
    names = [listener.sock.getsockname() for listener in server.LISTENERS]
    listening = [f"{name[0]}:{name[1]}" for name in names if isinstance(name, tuple)]  # a unix socket has no port
    if wrong := itself.look(settings, listening, by_systemd=server.systemd):
        raise CannotStart("; ".join(wrong))


def _require_audit_log(settings: Settings) -> None:
    """Raise `CannotStart` if the one that the settings name can't be written: so a slip is heard of.

    Later on no line fails anybody, nor does one for the log that is there by default.
    """
    if settings.audit_log and (why := logs.unwritable(settings.audit_log)):
        cure = "give the file, or its directory, to the user of Lazu"
        raise CannotStart(f"LAZU_AUDIT_LOG ({settings.audit_log}) can't be written: {why}; {cure}")


class Trial:
    """Of `server`, gunicorn's master that is about to start; raises `CannotStart`."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._program = _program()

    def require(self, given: Given) -> None:
        """At the start: end this process, with one line, if its workers couldn't serve what was `given`."""
        if not self._passes(given, lambda why: sys.stderr.write(f"{why}\n")):
            sys.exit(1)

    def guard_reloads(self) -> None:
        """From now on a HUP that can't succeed changes nothing, and the log says why."""
        reload, log = self._server.reload, self._server.log

        def when_possible() -> None:
            try:
                given = _read_again()
                possible = self._passes(given, log.error)
            except CannotStart as e:
                log.error("%s", e)  # noqa: TRY400 - its one line says it all
                possible = False
            if possible:
                keep(given)
                reload()
            else:
                log.error("Nothing was reloaded; the server goes on as it was.")

        self._server.reload = when_possible

    def _passes(self, given: Given, tell: Tell) -> bool:
        """Whether the server could go on with what was `given`, and its workers serve; else `tell` hears why.

        In a child, which does all that a reload and a worker would: so this process keeps nothing of it.
        """
        try:
            child = os.fork()
        except OSError as e:
            raise CannotStart(_FULL) from e
        if not child:
            self._try_and_leave(given, tell)
        _, status = os.waitpid(child, 0)
        countfiles.forget(child)
        return not status

    def _try_and_leave(self, given: Given, tell: Tell) -> NoReturn:
        printed = StringIO()
        try:
            with redirect_stderr(printed):
                self._try(given)
        except SystemExit as e:
            tell(e.code if isinstance(e.code, str) else printed.getvalue().strip())  # the latter of gunicorn
        except Exception:  # whatever it is, this child must not go on as the master
            self._server.log.exception("It can't be served:")
        else:
            os._exit(0)
        sys.stderr.flush()
        os._exit(1)

    def _try(self, given: Given) -> None:
        if _program() != self._program:
            sys.exit("The program has changed, and new code needs a restart: a reload takes new settings alone.")
        before, app = kept(), self._server.app
        keep(given)
        app.reload()
        # gunicorn closes the old address first, and ends if it can't have the new one.
        if app.cfg.address != self._server.cfg.address:
            sys.exit("LAZU_BIND needs a restart: a reload keeps the address where Lazu listens.")
        require_other(self._server, given.settings)
        _require_room(app.cfg.workers)
        store = app.wsgi().extensions["lazu"]
        _require_audit_log(given.settings)  # perhaps in the storage, which is there now
        if _engines(given) != _engines(before):  # else they may be away: they were good once
            try:
                with store.engine.connected():
                    require_ready(store)
            except NotReady as e:
                which = "LAZU_DATABASE_URL, LAZU_BLOBS_URL, AWS_ or PG variables"
                sys.exit(f"{which} have changed, and Lazu would not be ready: {e.message}")


def _require_room(workers: int) -> None:
    """Raise `CannotStart` unless the system has room for so many processes, each with a thread beside its first.

    Without that the new ones would end again and again until the old ones are gone.
    """
    end = threading.Event()
    try:
        for _ in range(2 * workers - 1):
            threading.Thread(target=end.wait, daemon=True).start()
    except RuntimeError as e:
        raise CannotStart(_FULL) from e


def _engines(given: Given) -> tuple[object, ...]:
    """The settings that decide which database and object store Lazu uses, and with which credentials."""
    return given.settings.database_url, given.settings.blobs_url, given.clients


def _read_again() -> Given:
    given = read()
    if kept().has_file and not given.has_file:
        raise CannotStart(f"{PROJECT / '.env'} is gone; put it back, if need be an empty one, or restart")
    return given


def _program() -> bytes:
    """A hash of the files that make Lazu, to know later whether they are those of the start."""
    own = [PROJECT / name for name in ("app.py", "wsgi.py", "gunicorn.conf.py")]
    return sha256(b"".join(map(_hashed, [*own, *sorted((PROJECT / "lazu").rglob("*"))]))).digest()


def _hashed(path: Path) -> bytes:
    """Empty of what is no file of a program, as an editor's beside it."""
    try:
        if path.suffix not in _KINDS or not path.is_file():
            return b""
        with path.open("rb") as file:
            return b"%s\0%s" % (bytes(path), file_digest(file, "sha256").digest())
    except OSError as e:
        raise CannotStart(f"{path} can't be read: {e.strerror}") from e
