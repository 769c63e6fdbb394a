"""What Python can do at best: PUT over a bare socket, hashed in a thread while it arrives, written, fsynced.

No framework, no multipart, no database. A ring of three buffers goes round between the socket, the file and the hash.
`python raw_socket.py PORT FOLDER`.
"""

import hashlib
import os
import queue
import socket
import sys
import threading
from pathlib import Path

BUFFERS, SIZE = 3, 256 << 10


def main(port: int, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=talk, args=(client, folder), daemon=True).start()


def talk(client: socket.socket, folder: Path) -> None:
    with client:
        while head := receive_head(client):
            text, rest = head
            length = int(text.lower().partition("content-length:")[2].split()[0])
            digest = store(client, folder / text.split()[1].rpartition("/")[2], rest, length)
            answer = digest.encode()
            client.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def receive_head(client: socket.socket) -> tuple[str, bytes] | None:
    """The request's head and what came of the body with it; None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def store(client: socket.socket, path: Path, rest: bytes, length: int) -> str:
    """Receive `length` bytes into the file; the sha256 in hex, after the file is on disk."""
    full: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    for _ in range(BUFFERS):
        free.put(bytearray(SIZE))
    digest = hashlib.sha256(rest)
    hasher = threading.Thread(target=consume, args=(digest, full, free))
    hasher.start()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    left = length - os.write(file, rest)
    while left:
        view = memoryview(free.get())[: min(SIZE, left)]
        got = fill(client, view)
        os.write(file, got)
        full.put(got)
        left -= len(got)
    full.put(None)
    os.fsync(file)
    hasher.join()
    os.close(file)
    return digest.hexdigest()


def fill(client: socket.socket, view: memoryview) -> memoryview:
    got = client.recv_into(view, 0, socket.MSG_WAITALL)
    if got == 0:
        raise ConnectionError("the client left")
    return view[:got]


def consume(digest: "hashlib._Hash", full: "queue.SimpleQueue", free: "queue.SimpleQueue") -> None:
    while (view := full.get()) is not None:
        digest.update(view)
        free.put(view.obj)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
