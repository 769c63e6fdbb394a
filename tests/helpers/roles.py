"""Credentials of a role, as a machine or a container is given them, and a store that takes no other ones.

The store is the real one: what comes with the right key and session token is signed anew, with the key that it knows.
"""

import http.client
import json
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from helpers.seaweed import KEY, SECRET

ROLE, PATH = "lazu-role", "/latest/meta-data/iam/security-credentials/"
#: What a container shows to be given its own.
CONTAINER = "word-of-the-container"


@dataclass
class Role:
    """What the role is given now; `turn` gives it others."""

    number: int = 0

    def turn(self) -> None:
        self.number += 1

    @property
    def key(self) -> str:
        return f"ASIAROLE{self.number:04d}"

    @property
    def token(self) -> str:
        return f"session-token-{self.number}"

    @property
    def secret(self) -> str:
        return f"secret-of-the-role-{self.number}"

    def document(self, minutes: int) -> bytes:
        """What lasts for a minute only is asked for before each call, but not from an instance: botocore keeps it for ten there."""
        ends = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"Code": "Success", "AccessKeyId": self.key, "SecretAccessKey": self.secret, "Token": self.token, "Expiration": ends}
        return json.dumps(about).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status: int, body: bytes, headers=()) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Metadata(_Handler):
    """What an instance (IMDSv2) and a container ask."""

    def do_PUT(self) -> None:
        self.reply(200, b"token-of-the-instance")

    def do_GET(self) -> None:
        role = self.server.role
        if self.path == "/container":
            known, minutes = self.headers["Authorization"] == CONTAINER, 1
        else:
            known, minutes = self.headers["x-aws-ec2-metadata-token"] == "token-of-the-instance", 360
        self.reply(200 if known else 401, ROLE.encode() if self.path == PATH else role.document(minutes))


class _Store(_Handler):
    """The real store, for who has the role's credentials of now."""

    def carry(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = urlsplit(self.path)
        query = dict(parse_qsl(asked.query, keep_blank_values=True))
        role, shown = self.server.role, {**query, **dict(self.headers.items())}
        key = shown.get("Authorization", "").partition("Credential=")[2] or query.get("X-Amz-Credential", "")
        if not key.startswith(f"{role.key}/") or shown.get("X-Amz-Security-Token") != role.token:
            self.reply(403, b"<Error><Code>ExpiredToken</Code></Error>")
            return
        self.server.seen.append("query" if "X-Amz-Security-Token" in query else "header")
        ours = {name: value for name, value in query.items() if not name.startswith("X-Amz-")}
        kept = {name: value for name, value in self.headers.items() if name.lower() in ("range", "x-amz-checksum-sha256")}
        request = AWSRequest(self.command, f"{self.server.behind}{asked.path}", kept, body, ours)
        S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
        self.forward(request.prepare())

    do_GET = do_PUT = do_HEAD = do_DELETE = carry  # noqa: N815

    def forward(self, request) -> None:
        there = urlsplit(request.url)
        with closing(http.client.HTTPConnection(there.hostname, there.port, timeout=60)) as line:
            line.request(self.command, f"{there.path}?{there.query}", request.body, dict(request.headers))
            answer = line.getresponse()
            self.reply(answer.status, answer.read(), answer.getheaders())


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], **about: object):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        vars(server).update(about)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def roles(endpoint: str):
    """Give the role, the address where its credentials are asked for, that of its store, and how they came there."""
    role, seen = Role(), []
    with _serving(_Metadata, role=role) as (_, metadata), _serving(_Store, role=role, behind=endpoint, seen=seen) as (_, store):
        yield role, metadata, store, seen
