"""A model server that streams: `python ticker.py PORT FOLDER`. One thread, epoll, so that it costs its callers little.

It answers each POST with `metadata.events` events of 200 bytes, `metadata.every` seconds apart, and the end. Each event
tells when it was sent, by the machine's monotonic clock. Streams begin at different times within one interval.
"""

import heapq
import json
import random
import select
import socket
import sys
import time
from itertools import count

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
SIZE = 200
numbers = count()


class Stream:
    def __init__(self, sock: socket.socket) -> None:
        self.number = next(numbers)
        self.sock, self.request, self.left, self.every = sock, b"", 0, 0.0


def main(port: int) -> None:
    poll, listener = select.epoll(), socket.create_server(("127.0.0.1", port), backlog=4096)
    poll.register(listener, select.EPOLLIN)
    streams: dict[int, Stream] = {}
    due: list[tuple[float, int, Stream]] = []
    while True:
        wait = max(0.0, due[0][0] - time.monotonic()) if due else -1
        for fd, _ in poll.poll(wait):
            if fd == listener.fileno():
                sock = listener.accept()[0]
                streams[sock.fileno()] = Stream(sock)
                poll.register(sock, select.EPOLLIN)
            elif not hear(streams[fd], due):
                poll.unregister(fd)
                streams.pop(fd).sock.close()
        while due and due[0][0] <= time.monotonic():
            at, number, stream = heapq.heappop(due)
            if say(stream):
                heapq.heappush(due, (at + stream.every, number, stream))


def hear(stream: Stream, due: list[tuple[float, int, Stream]]) -> bool:
    """Take the request, or its end; whether the stream goes on."""
    try:
        data = stream.sock.recv(65536)
    except OSError:
        return False
    stream.request += data
    head, found, body = stream.request.partition(b"\r\n\r\n")
    length = int((head.lower().partition(b"content-length:")[2].split() or [b"0"])[0])
    if data and found and len(body) >= length:
        asked = json.loads(body or b"{}").get("metadata", {})
        stream.left, stream.every = int(asked.get("events", 1)), float(asked.get("every", 0.1))
        stream.request = b""
        stream.sock.sendall(HEAD)
        heapq.heappush(due, (time.monotonic() + random.random() * stream.every, stream.number, stream))
    return bool(data)


def say(stream: Stream) -> bool:
    """Send the next event; whether there is another."""
    told = f'data: {{"t":{time.monotonic():.6f},"pad":"'.encode()
    event = told + b"x" * (SIZE - len(told) - 4) + b'"}\n\n'
    stream.left -= 1
    last = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n" if not stream.left else b""
    try:
        stream.sock.sendall(b"%x\r\n%b\r\n%b" % (len(event), event, last))
    except OSError:
        return False
    return stream.left > 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
