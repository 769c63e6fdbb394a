"""Clients are shared among the processes: who connects is served by the one that has the fewest."""

import json
import os
import signal
import socket
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from helpers import upstream
from helpers.ledgers import shared
from helpers.waiting import until
from lazu.server import balance
from lazu.server.balance import Balance

LOOK = b"GET /healthz HTTP/1.1\r\nHost: lazu\r\n\r\n"


@pytest.fixture
def crowd(serve):
    with Crowd(serve(), LOOK) as crowd:
        yield crowd


@pytest.fixture
def callers(serve):
    """A crowd whose calls of the model have begun, and go on until it leaves."""
    body = json.dumps({"model": "m", "input": "x", "stream": True})
    call = f"POST /v1/responses HTTP/1.1\r\nHost: lazu\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with upstream.running() as double:
        double.script = talk
        with Crowd(serve(LAZU_API_KEY="k", **double.env), call.encode()) as crowd:
            yield crowd


def talk(handler):
    handler.start_events()
    with suppress(OSError):
        while True:
            handler.event({"type": "response.output_text.delta", "delta": "x"})
            time.sleep(0.1)


class Crowd(ExitStack):
    """Clients that stay at a server of two processes: the connections of each, and their numbers in the kernel."""

    def __init__(self, server, asks):
        super().__init__()
        self.port, self.asks = server.port, asks
        self.served = {pid: {} for pid in until(lambda: len(server.pids()) == 3 and server.pids()[1:])}
        while not all(self.served.values()):  # until both have begun
            self.connect()

    def connect(self):
        """One more client, which has had an answer; gives the process that it came from."""
        client = self.enter_context(closing(socket.create_connection(("127.0.0.1", self.port), 60)))
        client.sendall(self.asks)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        inode = server_end(client)
        pid = next(pid for pid in self.served if inode in sockets(pid))
        self.served[pid][inode] = client
        return pid

    def leave(self, pid):
        """All clients of one process go."""
        for client in self.served[pid].values():
            client.close()
        gone = self.served[pid].keys()
        until(lambda: gone.isdisjoint(sockets(pid)))
        self.served[pid] = {}


def server_end(client):
    """The number of the socket at the other end (proc(5), /proc/net/tcp)."""
    ends = [f"0100007F:{port:04X}" for port in (client.getpeername()[1], client.getsockname()[1])]
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return next(row[9] for row in rows if row[1:3] == ends)


def sockets(pid):
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(entry).removeprefix("socket:[").rstrip("]"))
    return found


@pytest.mark.parametrize("who", ["crowd", "callers"])
def test_a_process_without_clients_takes_the_next_ones(request, who):
    crowd = request.getfixturevalue(who)
    for _ in range(24):
        crowd.connect()
    # By chance each try would succeed in 3 of 1,000; where the machine is busy with others, some may fail.
    assert sum(goes_to_the_idle(crowd) for _ in range(5)) >= 2


def goes_to_the_idle(crowd):
    idle = min(crowd.served, key=lambda pid: len(crowd.served[pid]))
    crowd.leave(idle)
    return [crowd.connect() for _ in range(12)].count(idle) >= 11


def test_a_process_that_hangs_keeps_no_client_waiting(crowd):
    hangs, serves = crowd.served
    crowd.leave(hangs)
    os.kill(hangs, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert {crowd.connect() for _ in range(20)} == {serves}
        assert time.monotonic() - began < 10  # 20 waits of half a second would be more
    finally:
        os.kill(hangs, signal.SIGCONT)


def test_a_client_waits_for_a_process_with_fewer_and_for_no_other(monkeypatch):
    """Not for one that has as many, nor for one that ends."""
    mine, other, waits = Balance(2), Balance(2), []
    monkeypatch.setattr(balance.clock, "sleep", waits.append)
    monkeypatch.setattr(balance, "PAUSE", 600)

    def waited(load):
        waits.clear()
        mine.tell(load)
        mine.let_others(listener, load)
        return bool(waits)

    with shared("clients"), closing(socket.create_server(("127.0.0.1", 0))) as listener, closing(socket.create_connection(listener.getsockname())):
        for each in (mine, other):
            each.join()
            each.tell(1)
        assert not waited(1)
        other.leave()
        assert not waited(2)
        other.join()
        assert waited(2)
        assert not waited(2), "in vain, just now"
