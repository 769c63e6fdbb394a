"""gunicorn's log in the style of all our lines: one for each request, and its own messages.

A request is counted for Prometheus here too: this is the one place that sees every answer when it has been sent.
"""

import logging
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from lazu import clock, config, logs, metrics
from lazu.errors import ApiError, InternalError
from lazu.gateway.exchange import Exchange
from lazu.server.connection import Connection


class Logger(GunicornLogger):
    """gunicorn's logger (its setting `logger_class`)."""

    def setup(self, cfg: Any) -> None:
        """Open the logs as `cfg` says; called again when gunicorn reloads its settings."""
        super().setup(cfg)
        # Our lines have none of it, and asking for each line takes longer than writing it (logging, "Optimization").
        logging._srcfile = None  # noqa: SLF001
        logging.logThreads = logging.logMultiprocessing = False
        settings = config.kept().settings
        self._style = logs.Style(settings.log_format, settings.log_timezone)
        for handler in self.error_log.handlers:
            handler.setFormatter(logs.Formatter(self._style))
        # Ours go where gunicorn's go, so that a bug's trace stands beside its request.
        ours = logging.getLogger("lazu")
        ours.handlers, ours.propagate = list(self.error_log.handlers), False
        ours.setLevel(self.loglevel)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        """Write the line of a request, and count it; called when its answer was sent, or broke off."""
        del req
        if "lazu.detached" in environ:  # its answer is still to come: `relayed`
            return
        self._write(_answered(resp, environ, request_time), environ)

    def relayed(self, exchange: Exchange, seconds: float, received: int) -> None:
        """The same for a request whose answer came from the model server."""
        facts = exchange.asked.facts
        answer = metrics.Answered(
            method=facts["REQUEST_METHOD"],
            route=facts["lazu.route"],
            status=exchange.status,
            seconds=seconds,
            received=received,
            sent=exchange.sent,
        )
        self._write(answer, {**facts, "lazu.upstream": exchange.outcome})

    def reason(self, error: ApiError, problem: Exception, address: str) -> None:
        """Log why `error` is answered to `address`, without anything that the client sent: it may have a key."""
        if isinstance(error, InternalError):
            self.exception("Error handling request")
        else:
            self.warning("Invalid request from ip=%s: %s", address, type(problem).__name__)

    def unseen(self, client: Connection, status: int, sent: int) -> None:
        """The same for what no view saw: it was no request, or its client hung up before (499, as nginx counts it)."""
        seconds = clock.monotonic() - client.began
        answer = metrics.Answered(client.method, "-", status, seconds, client.received, sent)
        self._write(answer, {"lazu.request_id": logs.request_id.get() or "-"})

    def _write(self, answer: metrics.Answered, environ: dict[str, Any]) -> None:
        metrics.answered(answer)
        if self.access_log_enabled:
            self.access_log.info("%s", self._style.line(_facts(answer, environ)))


def _answered(resp: Any, environ: dict[str, Any], request_time: Any) -> metrics.Answered:
    return metrics.Answered(
        method=environ["REQUEST_METHOD"],
        route=environ.get("lazu.route", "-"),
        status=int(str(resp.status or 0).split()[0]),
        seconds=request_time.total_seconds(),
        received=getattr(resp.sock, "received", 0),
        # gunicorn counts what passed Python; what sendfile(2) sent, the connection counts.
        sent=resp.sent or getattr(resp.sock, "sent", 0),
    )


def _facts(answer: metrics.Answered, environ: dict[str, Any]) -> logs.Facts:
    return {
        "method": answer.method,
        "route": answer.route,
        "status": answer.status,
        "key": environ.get("lazu.key", "-"),
        "in": answer.received,
        "out": answer.sent,
        "seconds": round(answer.seconds, 4),
        "upstream": environ.get("lazu.upstream"),
        "request": environ.get("lazu.request_id", "-"),
    }
