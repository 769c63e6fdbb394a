"""A model server of bare sockets: it answers each request with bytes as they are, also such as no HTTP server would send."""

import socket
import threading
import time
from contextlib import contextmanager


class Raw:
    """Answers with `said`, in pieces as they stand there; then it closes, or waits for the caller's end if it `stays`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.said, self.stays, self.calls, self.open = [b""], False, 0, 0
        threading.Thread(target=self.run, daemon=True).start()

    @property
    def env(self):
        return {"LAZU_UPSTREAM_URL": f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1", "LAZU_API_KEY": "k"}

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            self.open += 1
            threading.Thread(target=self.answer, args=(sock,), daemon=True).start()

    def answer(self, sock):
        try:
            with sock:
                hear(sock)
                for piece in self.said:
                    sock.sendall(piece)
                    time.sleep(0.01)  # so that each is received by itself
                while self.stays and sock.recv(4096):
                    pass
        except OSError:
            pass
        finally:
            self.open -= 1


def hear(sock):
    """Receive one request, head and body."""
    got = b""
    while b"\r\n\r\n" not in got and (piece := sock.recv(65536)):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    length = int((head.lower().partition(b"content-length:")[2].split() or [b"0"])[0])
    while len(body) < length and (piece := sock.recv(65536)):
        body += piece


@contextmanager
def raw():
    upstream = Raw()
    try:
        yield upstream
    finally:
        upstream.listener.shutdown(socket.SHUT_RDWR)  # else a thread waits in accept for ever, and takes a caller of its successor
        upstream.listener.close()
