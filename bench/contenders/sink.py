"""An upstream that takes a body and tells when it came: `python sink.py PORT FOLDER`.

The body is dropped inside the kernel (MSG_TRUNC), so the sink costs the senders next to nothing. The answer is JSON:
bytes, and by the machine's monotonic clock the seconds of the request's first byte and of its last.
"""

import json
import socket
import sys
import threading
import time

DROP = 4 << 20


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=talk, args=(client,), daemon=True).start()


def talk(client: socket.socket) -> None:
    with client:
        while told := take(client):
            body = json.dumps(told).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)


def take(client: socket.socket) -> dict[str, float] | None:
    """Receive one request, whole; None at the end of the connection."""
    data = client.recv(65536)
    first = time.monotonic()
    while data and b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        data = data + piece if piece else b""
    if not data:
        return None
    head, _, rest = data.partition(b"\r\n\r\n")
    length = int((head.lower().partition(b"content-length:")[2].split() or [b"0"])[0])
    drop(client, length - len(rest))
    return {"bytes": length, "first": first, "last": time.monotonic()}


def drop(client: socket.socket, left: int) -> None:
    hole = bytearray(DROP)
    while left > 0:
        got = client.recv_into(memoryview(hole)[: min(DROP, left)], 0, socket.MSG_TRUNC)
        if not got:
            return
        left -= got


if __name__ == "__main__":
    main(int(sys.argv[1]))
