"""One call of the upstream, from the request that is sent to the end of the answer.

Until the request is sent it has a thread (`send`). From then on it waits in the relay, which costs none: for the head
of the answer, for each piece of its body, for a client that reads slowly (docs/decisions/0062-relay.md).
"""

import logging
from collections.abc import Callable
from typing import Protocol

from lazu import clock, logs, metrics
from lazu.errors import ApiError, ClientLeft, Overloaded, UpstreamError, UpstreamTimeout
from lazu.gateway import answer, framing, line
from lazu.gateway.answer import Asked
from lazu.gateway.ending import Ending
from lazu.gateway.upstream import Call, Upstream

READ_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class SlowReader(Protocol):
    """A wait for a client that does not read."""

    def check(self) -> None:
        """Raise `TimeoutError` when it has taken too long."""

    def end(self) -> None:
        """The client reads on."""


class Client(line.Client, Protocol):
    """The client's connection, as far as a relayed answer needs it."""

    def offer(self, data: bytes) -> int:
        """Send what the kernel takes of `data` at once: how many bytes; raises `OSError`."""

    def slow_reader(self) -> SlowReader:
        """Begin to wait for a client that reads slowly."""

    def brittle(self, on: bool) -> None:
        """Have the connection end in a reset, or not, for whatever reason it ends."""


class Detached(BaseException):
    """Raised by an answer that has no thread: the server goes on with `exchange`."""

    def __init__(self, exchange: "Exchange") -> None:
        super().__init__()
        self.exchange = exchange


class Exchange:
    """A call by `client`, which `asked` for it.

    When it is `over`, `outcome` is `answered`, `client_left`, `broke_off`, `stopped` or the code of an error; `status`
    and `sent` are what the log has; `keeps` says that the client's connection can be used again, `broken` that it has
    to close at once.
    """

    def __init__(self, upstream: Upstream, call: Call, client: Client, asked: Asked) -> None:
        self.asked = asked
        self.status, self.sent, self.outcome = 0, 0, ""
        self.keeps = self.broken = self.over = False
        self._upstream, self._client = upstream, client
        self._call: Call | None = call
        self._line: line.Line | None = None
        self._problem: ApiError | None = None
        self._head = framing.HeadReader()
        self._body: framing.Payload | None = None
        self._chunked = self._last = False
        self._out, self._ending = b"", Ending()
        self._slow: SlowReader | None = None
        self._heard = 0.0

    def send(self) -> None:
        """Send the request, in the request's own thread; what goes wrong becomes the answer."""
        call, self._call = self._call, None  # its body takes memory
        try:
            if call is not None:
                self._line = self._upstream.ask(call, self._client)
        except ClientLeft:
            self._cut("client_left")
        except ApiError as e:
            self._problem = _bare(e)

    def start(self, may_keep: Callable[[], bool], finished: Callable[["Exchange"], None]) -> None:
        """Go on in the relay, after `send`.

        `may_keep` is asked whether the connection may stay when the head of the answer is sent; `finished` is called
        in the relay's thread when all is over.
        """
        self._may_keep, self._finished = may_keep, finished
        self._upstream.relay.join(self)

    # What follows is called by the relay, in its thread.

    @property
    def client_fd(self) -> int:
        """The descriptor of the client's connection."""
        return self._client.fileno()

    @property
    def server_fd(self) -> int:
        """The descriptor of the upstream's connection, -1 if there is none."""
        return self._line.fileno() if self._line else -1

    @property
    def blocked(self) -> bool:
        """Whether the client has to read before anything else can happen."""
        return bool(self._out)

    def begin(self) -> None:
        """The relay has it."""
        self._heard = clock.monotonic()
        if self._problem is not None:
            self._fail(self._problem)
        elif self._line and self._line.pending():
            self.read()  # what came while the request was sent wakes nobody

    def read(self) -> None:
        """Pass on what the upstream has sent."""
        try:
            while self._line and not self.over and not self.blocked:
                data = self._line.receive(READ_BYTES)
                if data is None:
                    return
                self._take(data)
                if not self._line.pending():
                    return
        except (framing.Malformed, OSError) as e:
            self._break_off(e)
        except ApiError as e:
            self._fail(e)

    def flush(self) -> None:
        """The client reads again."""
        try:
            self._out = self._out[self._client.offer(self._out) :]
        except OSError:
            self._cut("client_left")
        if self._out or self.over:
            return
        if self._slow:
            self._slow.end()
            self._slow = None
        self._heard = clock.monotonic()
        if self._last:
            self._end("answered")
        else:
            self.read()  # what TLS holds already wakes nobody

    def leave(self) -> None:
        """The client has hung up."""
        self.read()  # the end may be there
        if not self.over:
            self._lose()

    def check(self, now: float) -> None:
        """Give up what takes too long; `now` is the monotonic clock's."""
        if self._slow:
            try:
                self._slow.check()
            except TimeoutError:
                self._cut("client_left")
        elif now - self._heard > self._upstream.timeout:
            self._give_up(UpstreamTimeout("The model server sent nothing for too long."))

    def stop(self) -> None:
        """Give up: the process ends."""
        self._give_up(Overloaded("Lazu restarts; repeat the request in a few seconds."), "stopped")

    def close(self) -> None:
        """It is over and out of the relay: give back what it holds, and tell."""
        if self._line:
            self._line.close()
        metrics.upstream_called(self.outcome)
        self._finished(self)

    def _take(self, data: bytes) -> None:
        self._heard = clock.monotonic()
        if self._body is None and data:
            self._take_head(data)
        elif self._body is not None and (data or self._body.until_close):
            self._pass(self._body.feed(data), ended=self._body.ended or not data)
        else:
            raise framing.Malformed("it ended early")

    def _take_head(self, data: bytes) -> None:
        found = self._head.feed(data)
        if found is None:
            return
        head, rest = found
        answer.refuse(head)
        body = framing.payload(head, self.asked.method)
        content = body.feed(rest)  # before anything is sent: what is no HTTP from its first bytes on gets an error
        self._body, self.status = body, head.status
        framed = isinstance(body, framing.Sized)
        self._chunked = not framed and not self.asked.old
        self.keeps = (framed or self._chunked) and self._may_keep()
        # In HTTP/1.0 the end of the connection is the end of the answer: a reset alone tells that it broke off.
        self._client.brittle(not framed and self.asked.old)
        fields = answer.passed(head, self.asked) + ([("Transfer-Encoding", "chunked")] if self._chunked else [])
        self._pass(content, body.ended, answer.text(head.status, fields, self.asked, self.keeps))

    def _pass(self, content: bytes, ended: bool, head: bytes = b"") -> None:
        """Send a piece of the body on, with the end of its framing if it is the last."""
        text = b"%b%x\r\n%b\r\n" % (head, len(content), content) if self._chunked and content else head + content
        self._last = ended
        if ended and self._chunked:
            text += b"0\r\n\r\n"
        if not self._offer(text):
            self._lose(content or head)
            return
        self.sent += len(content)
        self._ending.sent(content)
        if ended and not self.blocked:
            self._end("answered")

    def _offer(self, text: bytes) -> bool:
        """Send `text` now, or when the client has read what is before it; False when it has gone."""
        try:
            taken = self._client.offer(text)
        except OSError:
            return False
        if taken < len(text):
            self._out = text[taken:]
            self._slow = self._client.slow_reader()
        return True

    def _is_whole(self, unsent: bytes) -> bool:
        """Return whether the client has everything that means something."""
        return not self._out and ((self._last and not unsent) or self._ending.is_there)

    def _lose(self, unsent: bytes = b"") -> None:
        """The client has gone, without the bytes that are `unsent`."""
        if self._is_whole(unsent):
            self._end("answered")
        else:
            self._cut("client_left")

    def _give_up(self, problem: ApiError, outcome: str = "") -> None:
        """Wait no longer: answer with `problem`, or break off an answer that has begun."""
        if self.status:
            self._cut(outcome or problem.code)
        else:
            self._fail(problem, outcome)

    def _fail(self, problem: ApiError, outcome: str = "") -> None:
        """Answer with `problem`; `outcome` if it is another one than its code."""
        self.status, self.outcome, self._last = problem.status, outcome or problem.code, True
        self.keeps = self._may_keep()
        fields, body = answer.error(problem, self.asked)
        self.sent = len(body)
        if not self._offer(answer.text(self.status, fields, self.asked, self.keeps) + body) or not self.blocked:
            self._end(self.outcome)

    def _break_off(self, why: Exception) -> None:
        told = str(why) if isinstance(why, framing.Malformed) else type(why).__name__
        with logs.about(self.asked.facts.get("lazu.request_id")):
            log.warning("the upstream broke off%s: %s", " its answer" if self.status else "", told)
        if self.status:
            self._cut("broke_off")
        else:
            self._fail(UpstreamError("The model server broke off the connection, or its answer is no HTTP."))

    def _cut(self, outcome: str) -> None:
        """End without the whole answer, or without anybody to take it."""
        self.keeps, self.broken = False, True
        self._end(outcome)

    def _end(self, outcome: str) -> None:
        self.over = True
        self.status = self.status or ClientLeft.status
        if outcome == "answered":
            self._client.brittle(False)
        self.outcome = self.outcome or outcome


def _bare(problem: ApiError) -> ApiError:
    """Return `problem` without what led to it.

    The frames of its traceback hold the exchange and the body of its call: kept by the exchange, they would be a cycle,
    and the body's memory would come back only when Python looks for those.
    """
    problem.__cause__ = problem.__context__ = None
    return problem.with_traceback(None)
