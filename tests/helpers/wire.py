"""HTTP as bytes: requests that no SDK would send, and answers as they came."""

import http.client
import json
import socket
from dataclasses import dataclass

BOUNDARY = "----lazu-test-boundary"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """Status, code and param, after the checks that hold for every error."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == ("invalid_request_error" if self.status < 500 else "server_error")
        assert self.headers["Content-Type"] == "application/json"
        return self.status, error["code"], error["param"]


def request(server, method, path, key=None, body=None, headers=None):
    """One request on a connection of its own; `body` may be an iterable of chunks, sent chunked."""
    headers = dict(headers or {})
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        chunked = body is not None and not isinstance(body, bytes) and "Content-Length" not in headers
        connection.request(method, path, body, headers, encode_chunked=chunked)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
    finally:
        connection.close()
    assert answer.headers["x-request-id"].startswith("req_")
    return answer


def part(name, value, filename=None, more=""):
    """One part of a form, as bytes."""
    value = value.encode() if isinstance(value, str) else value
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{more}\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts):
    """A whole body of `parts`."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload(server, key, *parts, body=None, content_type=f"multipart/form-data; boundary={BOUNDARY}"):
    """POST a form to /v1/files; `body` is sent in place of the parts."""
    headers = {"Content-Type": content_type}
    return request(server, "POST", "/v1/files", key, form(*parts) if body is None else body, headers)


PURPOSE = part("purpose", "user_data")


def stored(server, key, content=b"hello", filename="hello.txt", *more):
    """The file object of an upload that must succeed."""
    answer = upload(server, key, PURPOSE, *more, part("file", content, filename))
    assert answer.status == 200, answer.body
    return answer.json


def head(key, method="POST", path="/v1/files", length=None):
    """The head of a request, as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: lazu", f"Authorization: Bearer {key}"]
    if length is not None:
        lines += [f"Content-Length: {length}", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    return "\r\n".join([*lines, "", ""]).encode()


def dial(server, data, receive=None):
    """A connection on which `data` was sent, with a small receive buffer if `receive` says so."""
    sock = socket.socket()
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(data)
    return sock


def rest(sock):
    """All that still comes, until the end or a reset."""
    got = bytearray()
    try:
        while chunk := sock.recv(2**20):
            got += chunk
    except ConnectionResetError:
        pass
    return bytes(got)
