"""Many streams at once, heard by one thread: how many came whole, and how late each event was."""

import json
import re
import select
import socket
import time
from dataclasses import dataclass, field

from bench.procs import HOST

_SENT = re.compile(rb'"t":([0-9.]+)')


@dataclass
class Ear:
    """One stream: the status, how many events came, whether its end did."""

    sock: socket.socket
    rest: bytes = b""
    status: int = 0
    events: int = 0
    whole: bool = False


@dataclass
class Audience:
    """All the streams asked for on `port`; `delays` are seconds from the sending to the hearing of each event."""

    port: int
    key: str
    ears: list[Ear] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.poll = select.epoll()
        self.open: dict[int, Ear] = {}

    def ask(self, events: int, every: float = 0.1) -> None:
        """Ask for one more stream."""
        asked = {"events": str(events), "every": str(every)}
        body = json.dumps({"model": "m", "input": "x", "stream": True, "metadata": asked})
        head = f"POST /v1/responses HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ear = Ear(socket.create_connection((HOST, self.port), 60))
        ear.sock.sendall((head + body).encode())
        self.ears.append(ear)
        self.open[ear.sock.fileno()] = ear
        self.poll.register(ear.sock, select.EPOLLIN)

    def hear(self, seconds: float) -> None:
        """Hear them for so long, or until all have ended."""
        until = time.monotonic() + seconds
        while self.open and time.monotonic() < until:
            for fd, _ in self.poll.poll(max(0.0, until - time.monotonic())):
                if not self._take(self.open[fd]):
                    self.poll.unregister(fd)
                    self.open.pop(fd).sock.close()

    def gather(self, seconds: float) -> None:
        """Hear them until each has begun or was refused, and forget how late that was."""
        until = time.monotonic() + seconds
        while not all(ear.events or ear.status not in (0, 200) for ear in self.ears) and time.monotonic() < until:
            self.hear(0.1)
        self.delays.clear()

    def leave(self) -> None:
        """Close what is still open."""
        for ear in self.open.values():
            ear.sock.close()
        self.open.clear()
        self.poll.close()

    def _take(self, ear: Ear) -> bool:
        """Take what has come; whether more is to come."""
        try:
            data = ear.sock.recv(65536)
        except OSError:
            return False
        now = time.monotonic()
        ear.rest += data
        if not ear.status and b"\r\n\r\n" in ear.rest:
            head, _, ear.rest = ear.rest.partition(b"\r\n\r\n")
            ear.status = int(head.split()[1])
        events, _, ear.rest = ear.rest.rpartition(b"\n\n")
        sent = _SENT.findall(events)
        ear.events += len(sent)
        self.delays += [now - float(at) for at in sent]
        ear.whole = ear.whole or b"[DONE]" in events
        return bool(data) and not ear.whole and ear.status in (0, 200)
