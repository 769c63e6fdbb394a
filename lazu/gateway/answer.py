"""The answer to a client, made of the upstream's: which headers come back, and how its body is framed.

Also the error that a client gets when the upstream has given no answer.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import responses

from lazu import clock
from lazu.errors import ApiError, UpstreamError
from lazu.gateway.framing import Head

#: What of the upstream's headers comes back: all but those of its connection (RFC 9110 §7.6.1), those by which a
#: server before Lazu would serve a file of this host, those that speak for the upstream's host or account (LiteLLM
#: tells addresses and what was spent), and those that say which pages may read its answers.
DROPPED = re.compile(
    r"connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|x-accel-.*|x-sendfile.*|x-lighttpd-.*"
    r"|set-cookie.*|server|date|strict-transport-security|alt-svc|openai-organization|openai-project|x-lazu-.*"
    r"|access-control-.*|x-litellm-.*|llm_provider-.*"
)

#: How the headers begin that say how the body is to be read: no connection takes these with it (RFC 9110 §7.6.1).
_OF_CONTENT = "content-"

#: Headers that may stand beside those of the same name that Lazu gives.
_ADDED = "vary"

Fields = list[tuple[str, str]]


@dataclass
class Asked:
    """Facts of the request that its answer needs: its method, whether it is of HTTP/1.0.

    `fields` are the headers that Lazu gives every answer; `facts` are for the log.
    """

    method: str
    old: bool
    facts: dict[str, str] = field(default_factory=dict)
    fields: Fields = field(default_factory=list)


def refuse(head: Head) -> None:
    """Raise `UpstreamError` for answers that concern Lazu, not its client: a redirect, a refused key."""
    if 300 <= head.status < 400:
        message = "The model server answered with a redirect; the operator corrects LAZU_UPSTREAM_URL."
    elif head.status in (401, 407):
        message = "The model server refused Lazu's own key; the operator corrects LAZU_UPSTREAM_API_KEY."
    elif head.status < 200:
        message = "The model server wants to switch protocols."
    else:
        return
    raise UpstreamError(message, headers={"x-should-retry": "false"})


def passed(head: Head, asked: Asked) -> Fields:
    """Return the headers of the answer when the upstream's is passed on."""
    own = {name.lower() for name, _ in asked.fields} - {_ADDED}
    fields = [(name, value) for name, value in _upstreams(head) if name.lower() not in own] + asked.fields
    if head.value("content-type").partition(";")[0].strip().lower() == "text/event-stream":
        fields.append(("X-Accel-Buffering", "no"))  # each event goes through nginx as it comes
    if head.status == 204:  # RFC 9110 §8.6
        fields = [(name, value) for name, value in fields if name.lower() != "content-length"]
    return fields


def _upstreams(head: Head) -> Iterator[tuple[str, str]]:
    """Give the headers that go back to the client; an id of the upstream's gets a name of its own beside Lazu's."""
    named = {name.strip().lower() for name in head.value("connection").split(",")}
    for name, value in head.fields:
        lower = name.lower()
        if lower == "x-request-id":
            yield "x-upstream-request-id", value
        elif not DROPPED.fullmatch(lower) and (lower not in named or lower.startswith(_OF_CONTENT)):
            yield name, value


def error(problem: ApiError, asked: Asked) -> tuple[Fields, bytes]:
    """Return the headers and the body of the answer that tells of `problem`."""
    body = json.dumps(problem.as_json(), separators=(",", ":")).encode() + b"\n"
    own = [(name, value) for name, value in asked.fields if not name.lower().startswith("x-lazu-")]
    about = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return [*about, *problem.headers.items(), *own], b"" if asked.method == "HEAD" else body


def text(status: int, fields: Fields, asked: Asked, keeps: bool) -> bytes:
    """Return the head of an answer; `keeps` says that the connection stays."""
    lines = [
        f"HTTP/1.{0 if asked.old else 1} {status} {responses.get(status, 'Unknown')}",
        "Server: gunicorn",
        f"Date: {clock.http_date(clock.now())}",
        f"Connection: {'keep-alive' if keeps else 'close'}",
        *(f"{name}: {value}" for name, value in fields),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
