"""The line between a browser and a server, where a request stands still for as long as a test wants. By Chromium's own
throttle it would go on, and be over while a busy machine looks elsewhere."""

import re
import socket
import threading
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler

from helpers.httpd import serving


class Line:
    """`hold` says what stands still; `url` is where a browser finds the server that listens at `port`."""

    def __init__(self, url, port):
        self.url, self.port = url, port
        self.start, self.most, self.every, self.waiting = b"", 0, None, []

    def hold(self, start, most=1, every=None):
        """Hold requests that begin with `start`, a pattern, `most` of them, after their first 4 KB, and the answers to
        them; or let 4 KB through `every` so many seconds. Each is an event, which is set for it to go on."""
        self.start, self.most, self.every, self.waiting = start.encode(), most, every, []
        return self.waiting

    def gate(self, piece):
        """A new gate if with `piece` a request begins that is to be held."""
        if len(self.waiting) < self.most and re.match(self.start, piece):
            self.waiting.append(threading.Event())
            return self.waiting[-1]
        return None


class _Connection(BaseRequestHandler):
    def handle(self):
        self.gate = threading.Event()
        self.gate.set()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.line.port)) as behind:
            answers = threading.Thread(target=self.carry, args=(behind, self.request), daemon=True)
            answers.start()
            self.carry(self.request, behind)
            answers.join()

    def carry(self, source, sink):
        line = self.server.line
        with suppress(OSError):
            while piece := source.recv(4096):
                if source is self.request:
                    self.gate = line.gate(piece) or self.gate
                sink.sendall(piece)
                self.gate.wait(line.every)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(server):
    with serving(_Connection) as near:
        near.line = Line(near.url, server.port)
        # A browser takes for sent what the sockets hold: let that be little.
        near.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        yield near.line
        for held in near.line.waiting:
            held.set()
