"""gunicorn's master, where by itself it would end with all its workers or leave nobody to serve."""

import os
from collections.abc import Callable
from itertools import count
from typing import Any

from gunicorn.errors import HaltServer
from gunicorn.workers import base
from gunicorn.workers.workertmp import WorkerTmp

from lazu import clock, ledger

#: Seconds before a process is tried again for which the system had no room.
FULL_PAUSE = 1


def mend(server: Any) -> None:
    """Have `server`, gunicorn's master that is about to start, behave so."""
    base.WorkerTmp = _Sign
    _stop_once(server)
    server.reexec = _going_on(server, server.reexec)
    _Workers(server)


class _Sign(WorkerTmp):
    """By its times each worker says that it lives: a file for which there is room wherever others find none."""

    def __init__(self, cfg: Any) -> None:
        self._tmp = os.fdopen(ledger.nameless("lazu-worker"), "w+b", 0)
        os.fchown(self._tmp.fileno(), cfg.uid, cfg.gid)


def _stop_once(server: Any) -> None:
    """Let only the first worker that can't start stop the server: gunicorn 27 leaves its own stopping at the second."""
    reap_workers = server.reap_workers

    def reap() -> None:
        try:
            reap_workers()
        except HaltServer:
            if server.LISTENERS:  # closed is the first thing that is done in stopping
                raise

    server.reap_workers = reap


def _going_on(server: Any, fork: Callable[[], object]) -> Callable[[], bool]:
    """`fork`, which then says whether it could: gunicorn ends where the system has no process or descriptor left."""
    again = 0.0

    def forked() -> bool:
        nonlocal again
        if clock.monotonic() < again:
            return False
        try:
            fork()
        except OSError as e:
            server.log.error("no process can be started: %s (TasksMax, ulimit -u, ulimit -n)", e.strerror)  # noqa: TRY400
            if os.getpid() != server.pid:  # the new one must not go on as the master
                os._exit(1)
            again = clock.monotonic() + FULL_PAUSE
            return False
        return True

    return forked


class _Workers:
    """Its workers: as many as are wanted, whenever one ends and whatever the system has no room for at that moment.

    By itself gunicorn only takes note of their end while a reload waits for the old ones, up to `graceful_timeout`.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._reload, self._reap, self._manage = server.reload, server.reap_workers, server.manage_workers
        #: Workers above this age go by the last reload.
        self._age = 0
        server.spawn_worker = _going_on(server, server.spawn_worker)
        server.reload, server.manage_workers = self.reload, self.manage
        server.free_number = self.free_number

    def reload(self) -> None:
        """gunicorn's, which ends when the old workers have."""
        self._age = self._server.worker_age
        self._server.reap_workers = self._replace
        try:
            self._reload()
        finally:
            self._server.reap_workers = self._reap

    def free_number(self) -> int:
        """The lowest number that no worker has which goes by the last reload; older ones may end late."""
        taken = {worker.number for worker in self._server.WORKERS.values() if worker.age > self._age}
        return next(number for number in count() if number not in taken)

    def manage(self) -> None:
        """gunicorn's; and the last reload comes to its end where there was no room for all its workers."""
        self._manage()
        self._renew()

    def _replace(self) -> None:
        """Have all workers that are wanted, and kill those that do nothing; old ones may take their time."""
        server = self._server
        self._reap()
        everybody = server.WORKERS
        server.WORKERS = {pid: worker for pid, worker in everybody.items() if worker.age > self._age}
        server.murder_workers()
        server.WORKERS = everybody
        self._renew()

    def _renew(self) -> None:
        """Start the workers of the last reload that are missing; for each an old one may go."""
        there = sum(worker.age > self._age for worker in self._server.WORKERS.values())
        if sum(self._server.spawn_worker() for _ in range(self._server.num_workers - there)):
            self._manage()
