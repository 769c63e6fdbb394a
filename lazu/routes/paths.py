"""One path, one reading: only a route written exactly as in the API's table is a route.

Routing below strips leading slashes and decodes before it looks, and so would serve `//metrics`, `/%6detrics` or
`/v1%2Ffiles`; a proxy that guards `/metrics` reads these otherwise (deploy/nginx.conf). So what is fixed in a route has
to be sent literally; only its variable parts may be percent-encoded.
"""

import re
from functools import cache
from typing import Any
from urllib.parse import unquote

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from lazu.errors import InvalidRequest, NotFound

# uri-host and port (RFC 3986 §3.2.2, §3.2.3); a URL of http has a host (RFC 9110 §4.2.1).
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?")

_VARIABLE = re.compile(r"<(?:(\w+):)?\w+>")
#: What a variable may be in the path as it was sent: one segment, or for `path` the rest with its slashes.
_SEGMENT, _REST = r"(?:(?!%2[fF])[^/])+", r"[^/].*"

#: An id with an encoded slash, as SDKs send `a/b`: routing has decoded it, and found another route or none.
_DIVIDED = re.compile(r"(/v1/(?:files|uploads)/)([^/]*%2[fF][^/]*)(/.*)?")

#: A segment `.` or `..`, with either slash, and control characters.
_AMBIGUOUS = re.compile(r"(^|[/\\])\.{1,2}($|[/\\])|[\x00-\x1f\x7f]")
#: Nobody encodes a name more often than that.
_DECODINGS = 5


class Rest(BaseConverter):
    """The `path` of a route: all that is left, also when it begins with an encoded slash, as names of models do."""

    regex = ".+?"
    part_isolating = False


def require_exact() -> None:
    """Raise `NotFound` if the path of the request is another spelling of its route, or `ambiguous`.

    A file id goes nowhere but to its own check, whatever is in it: a malformed one has the answer of every unknown one.
    """
    raw = sent(request.environ["RAW_URI"])
    if divided := _DIVIDED.fullmatch(raw):
        raw = _undivided(divided)
    rule = request.url_rule
    rules = [rule] if rule else list(current_app.url_map.iter_rules())
    doubtful = ambiguous(raw) and not (rule and ("<file_id>" in rule.rule or "<upload_id>" in rule.rule))
    if doubtful or not any(_spelled(each.rule).fullmatch(raw) for each in rules):
        raise unknown()


def _undivided(path: re.Match[str]) -> str:
    """Find the route of a path whose id has a slash, and let its view have that id; gives the path with another one."""
    plain = f"{path[1]}x{path[3] or ''}"
    routes = current_app.url_map.bind("", path_info=plain, default_method=request.method)
    try:
        rule, values = routes.match(return_rule=True)
    except HTTPException as e:
        request.url_rule, request.routing_exception = None, e
    else:
        request.url_rule, request.routing_exception = rule, None
        request.view_args = dict.fromkeys(values, unquote(path[2]))
    return plain


def require_host(environ: dict[str, Any]) -> None:
    """Raise `InvalidRequest` where Host is missing or malformed (RFC 9112 §3.2); HTTP/1.0 needs none."""
    host = environ.get("HTTP_HOST")
    if host is None and environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        return
    if host is None or not _HOST.fullmatch(host):
        raise InvalidRequest("The Host header is missing or malformed.")


def unknown() -> NotFound:
    """The answer to a URL that is no route: it says what would be right."""
    path = sent(request.environ["RAW_URI"])
    near = {f"/v1{path}", path.removeprefix("/v1")}
    if any(_spelled(rule.rule).fullmatch(each) for rule in current_app.url_map.iter_rules() for each in near):
        return NotFound("Unknown URL. The client's base_url ends in /v1, once: as http://127.0.0.1:8000/v1.")
    return NotFound(
        "Unknown URL. Files are at /v1/files, uploads in parts at /v1/uploads; /v1/responses, /v1/chat/completions, "
        "/v1/embeddings and /v1/models pass to the model server, and nothing else does."
    )


def sent(target: str) -> str:
    """The path of a request target, in origin or absolute form (RFC 9112 §3.2), as it was sent."""
    path = re.split("[?#]", target, maxsplit=1)[0]
    return path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2]


def ambiguous(path: str) -> bool:
    """Whether `path` has a dot segment or a control character, however often encoded: the next may decode it again."""
    for _ in range(_DECODINGS):
        path = unquote(path)
    return _AMBIGUOUS.search(path) is not None or unquote(path) != path


@cache
def _spelled(rule: str) -> re.Pattern[str]:
    """A pattern of the paths of `rule` as they have to be sent."""
    pieces = _VARIABLE.split(rule)  # fixed, converter, fixed, converter … fixed
    found = [re.escape(pieces[0])]
    for converter, fixed in zip(pieces[1::2], pieces[2::2], strict=True):
        found += [_REST if converter == "path" else _SEGMENT, re.escape(fixed)]
    return re.compile("".join(found))
