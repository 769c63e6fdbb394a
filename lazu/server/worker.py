"""The door to gunicorn: its threaded worker, where a client that is slow keeps nobody else waiting.

Its connections have a pace to keep (`lazu.server.connection`), and an answer of the model server takes no thread
(`lazu.gateway.relay`). Those that are worked on share the `LAZU_THREADS` slots (`lazu.slots`).
"""

import signal
import socket
import sys
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker

from lazu import clock, cpus, ids, logs, metrics
from lazu.errors import Busy, CannotStart, ClientLeft
from lazu.gateway.exchange import Detached, Exchange
from lazu.gateway.upstream import Upstream
from lazu.server.balance import Balance
from lazu.server.connection import Connection
from lazu.server.heads import Parser, address_of, asker, refusal, refuse
from lazu.server.pool import Pool
from lazu.sizes import DRAIN_BYTES, DRAIN_SECONDS
from lazu.slots import Slots, Turn, stays
from lazu.store import disk
from lazu.store.opening import Store, mark_served

#: Seconds before a worker without a free file descriptor tries again to take a client, and before one without a thread
#: gives its place to another.
FULL_PAUSE, BEGIN_PAUSE = 0.1, 1.0

#: Slots that one key may hold, and all who have none together; and with long work while nobody else asks. Python works
#: on one request of a process at a time, so each more that wants to is one that the others wait for at every step. Most
#: long work is the kernel's and SHA-256's.
SHARE, ALONE = 1, 4

#: Seconds after which Python lets another thread work: a request has a dozen steps after which it waits for that.
SWITCH_SECONDS = 0.0005

#: How long a thread waits for the next request on its connection before it leaves that to the poller.
FOLLOW_SECONDS = 0.01

#: So long before its end a worker ends the calls that still run: the log tells of each. It looks about once a second.
LAST_SECONDS = 4.0

#: What `handle` gives for a connection that the relay has.
_RELAYED = object()


def _withhold_continue(req: Any, connection: Connection) -> None:
    """Let no "100 Continue" go out before a view reads the body: gunicorn sends it before the key is looked at.

    Where no view does, the connection ends with the answer, because nobody knows whether the body comes all the same.
    """
    if not req._expected_100_continue:  # noqa: SLF001  gunicorn's own name; test_slots.py holds it
        return
    req._expected_100_continue = False  # noqa: SLF001
    closes, req.must_close = req.must_close, True

    def went_on() -> None:
        req.must_close = closes

    connection.await_go_on(went_on)


class Errands(PollableMethodQueue):
    """What threads have the main thread do. Its pipe stays open: they may answer while an ending worker syncs."""

    def close(self) -> None:
        """Do nothing. gunicorn writes to the number that the pipe had, and that is a blob or the database by then."""


class Worker(ThreadWorker):
    """gunicorn's threaded worker on `Connection`s: a thread for each connection that has a request, on `slots`."""

    #: From gunicorn.conf.py: a number that none other of this reload has, and signals that came before `init_signals`.
    number: int
    missed: SimpleQueue[int]
    #: When to end the calls that still run, once it is known.
    _last: float | None = None
    #: When to look again whether what was counted is where a scrape finds it.
    _look = 0.0

    def init_process(self) -> None:
        """Begin, in the new process; returns at its end."""
        self.method_queue = Errands()
        super().init_process()

    def get_thread_pool(self) -> Pool:
        """Threads are made when needed, up to one a connection: those that only wait must not be the scarce thing."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._work = Slots(self.cfg.threads, SHARE, ALONE)
        self._heads, self._checks = Slots(2, 1), Slots(2, 1)
        self._balance = Balance(self.cfg.workers)
        self._relaying: set[TConn] = set()
        return Pool(keep=self.cfg.threads, most=self.cfg.worker_connections)

    def load_wsgi(self) -> None:
        """Load the application. When it can't start the master ends too, and does not start workers for ever.

        Unless somebody holds a lock for now: the other workers go on, and gunicorn starts one in the place of this.
        """
        try:
            super().load_wsgi()
            mark_served(self._store)
        except CannotStart as e:
            self.log.error("%s", e)  # noqa: TRY400 - its one line says it all
            sys.exit(1 if isinstance(e.__cause__, Busy) else Arbiter.WORKER_BOOT_ERROR)

    def init_signals(self) -> None:
        """Listen to signals. A TERM that came before counts too, or the master would wait `graceful_timeout` for us."""
        super().init_signals()
        while not self.missed.empty():
            if self.missed.get() == signal.SIGTERM:
                self.alive = False

    def run(self) -> None:
        """Take clients until the end; without room for a thread that is soon, and gunicorn starts another worker."""
        try:
            self._upstream.relay.start()
        except (OSError, RuntimeError) as e:
            self.log.error("no room for a worker: %s (TasksMax, ulimit -u, ulimit -n)", e)  # noqa: TRY400
            clock.sleep(BEGIN_PAUSE)
            sys.exit(1)
        self._balance.join()
        cpus.divide(self.number, self.cfg.workers)
        metrics.look()
        super().run()
        self._store.contents.close()

    def is_parent_alive(self) -> bool:
        """Whether the master is there. Without it this worker ends as if told to, and leaves the port to others."""
        if super().is_parent_alive():
            return True
        self.alive = False
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        return False

    def handle(self, conn: TConn) -> Any:
        """Serve a request of `conn`, and those that follow at once, in a thread of the pool."""
        kept = self._serve(conn)
        while kept is True and self.alive and (conn.parser.follows or conn.sock.follows(FOLLOW_SECONDS)):
            kept = self._serve(conn)
        return kept

    def _serve(self, conn: TConn) -> Any:
        conn.exchange = None
        if not isinstance(conn.sock, Connection):
            conn.sock = Connection(conn.sock, self._store.settings)
            conn.parser = Parser(self.cfg, conn.sock, conn.client, self._heads)
        try:
            kept = super().handle(conn)
        finally:
            logs.request_id.set(None)  # after the line of a bug, which comes when the request's own is written
        if conn.exchange is not None:
            self._relay(conn, bool(kept))
            return _RELAYED
        if kept is False:
            # gunicorn does this in the thread that accepts everybody else, for up to 2 s a client.
            self._linger(conn)
        return kept

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer what is no request, or what a bug ended: gunicorn counts few. One address after the other."""
        logs.request_id.set(logs.request_id.get() or ids.new_request_id())
        error, address = refusal(exc), address_of(addr)
        self.log.reason(error, exc, address)
        with Turn(self._heads, address, stays):
            self.log.unseen(client, error.status, refuse(client, error))
            client.linger(DRAIN_SECONDS, DRAIN_BYTES)

    def _linger(self, conn: TConn, *bounds: int) -> None:
        with Turn(self._heads, conn.parser.address, stays):
            conn.sock.linger(*bounds)

    def accept(self, listener: socket.socket) -> None:
        """Take a new client, unless a process with fewer does.

        Without a free file descriptor it waits in the kernel's queue, and nobody is lost.
        """
        self._balance.let_others(listener, self._load)
        try:
            super().accept(listener)
        except OSError as e:
            if e.errno not in disk.NO_DESCRIPTOR:
                raise
            self.log.warning(disk.MORE_DESCRIPTORS)
            clock.sleep(FULL_PAUSE)

    @property
    def _load(self) -> int:
        """What this process has, to compare: its clients that may want work, and for as many, those in the relay.

        These cost little and stay for hours: a process that was just started must not get all others meanwhile.
        """
        relaying = len(self._relaying)
        return max(0, int(self.nr_conns) - relaying) << 32 | relaying

    def murder_pending(self) -> None:
        """Let go who says nothing; called after each event, and once a second, also while this worker ends."""
        super().murder_pending()
        self.tpool.revive()
        if (now := clock.monotonic()) > self._look:
            self._look = now + 1
            metrics.look()
        if self.alive:
            self._balance.tell(self._load)
        else:
            self._balance.leave()
            self._last = self._last or clock.monotonic() + self.cfg.graceful_timeout - LAST_SECONDS
            if clock.monotonic() >= self._last:
                self._upstream.relay.stop()

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head has arrived, unless its client has hung up while it waited for a slot."""
        try:
            with self._turn(req, conn):
                return self._answer(req, conn)
        except ClientLeft:
            self.log.unseen(conn.sock, ClientLeft.status, 0)
            return False

    def _answer(self, req: Any, conn: TConn) -> bool:
        _withhold_continue(req, conn.sock)
        try:
            return self._called(req, conn)
        except Detached as detached:
            if not conn.parser.read_all:  # the answer does not wait for the rest of a body that nobody wants
                req.force_close()
            detached.exchange.send()
            conn.exchange = detached.exchange
            return not req.should_close()

    def _called(self, req: Any, conn: TConn) -> bool:
        """Have the application answer; then its connection of the database is for others."""
        try:
            with conn.sock.answering(req.force_close):
                return bool(super().handle_request(req, conn))
        finally:
            self._store.engine.disconnect()

    def _turn(self, req: Any, conn: TConn) -> Turn:
        checks = {"/healthz": self._heads, "/readyz": self._checks}
        if req.path in checks:
            return Turn(checks[req.path], asker(req, conn.parser.address), conn.sock.left)
        sent = [value for name, value in req.headers if name == "AUTHORIZATION"]
        owner = self._store.keys.owner(sent[0] if len(sent) == 1 else None)
        # Who ends only the sending, in the midst of an upload, hears why it is refused; reading so far costs little.
        uploads = req.method == "POST" and (req.path == "/v1/files" or req.path.endswith("/parts"))
        # In a cluster half of each look-up is a wait for PostgreSQL.
        long = self._store.settings.database_url is not None
        return Turn(self._work, owner, stays if uploads else conn.sock.left, long)

    @property
    def _store(self) -> Store:
        found: Store = self.wsgi.extensions["lazu"]
        return found

    @property
    def _upstream(self) -> Upstream:
        found: Upstream = self.wsgi.extensions["lazu.upstream"]
        return found

    def _relay(self, conn: TConn, kept: bool) -> None:
        """Let the relay answer: no thread waits for it. `kept` says that the connection can stay."""

        def may_keep() -> bool:
            return kept and self.alive and len(self.keepalived_conns) < self.max_keepalived

        exchange, conn.exchange = conn.exchange, None
        self._relaying.add(conn)
        exchange.start(may_keep, partial(self._relayed, conn))

    def _relayed(self, conn: TConn, exchange: Exchange) -> None:
        """The answer has been given, or never will be; called in the relay's thread."""
        self._relaying.discard(conn)
        self.log.relayed(exchange, clock.monotonic() - conn.sock.began, conn.sock.received)
        done: Future[bool] = Future()
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))
        if exchange.keeps:  # as its head has said: gunicorn waits a moment for one more request, also at the end
            done.set_result(True)
        elif exchange.broken:
            conn.sock.close()
            done.set_result(False)
        else:
            self.tpool.submit(self._say_goodbye, conn, done)

    def _say_goodbye(self, conn: TConn, done: "Future[bool]") -> None:
        self._linger(conn, *(() if conn.parser.read_all else (DRAIN_SECONDS, DRAIN_BYTES)))
        done.set_result(False)

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        """Keep or close `conn` after a request; do nothing while the relay has it. Called in the main thread."""
        if fs.cancelled() or fs.exception() is not None or fs.result() is not _RELAYED:
            super().finish_request(conn, fs)
