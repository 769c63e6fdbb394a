"""One path, one reading: only a route written exactly as in the API's table is a route.

werkzeug's own routing strips leading slashes and decodes before it looks, and so would serve `//metrics`, `/%6detrics`
or `/v1%2Ffiles`; a proxy that guards `/metrics` reads these otherwise (deploy/nginx.conf). So routes are looked for in
the path as it was sent: what is fixed in a route stands there literally; its variable parts may be percent-encoded.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from flask import Request
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Rule

from lazu.errors import InvalidRequest

# uri-host and port (RFC 3986 §3.2.2, §3.2.3); a URL of http has a host (RFC 9110 §4.2.1), and no user (§4.2.4).
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?")
_ORIGIN = re.compile(rf"https?://{_HOST.pattern}(?=[/?#]|$)", re.IGNORECASE)

_VARIABLE = re.compile(r"<(?:(\w+):)?(\w+)>")
#: What a variable may be in the path as it was sent: one segment, or for `path` the rest with its slashes.
_SEGMENT, _REST = r"(?:(?!%2[fF])[^/])+", r"[^/].*"
#: An id goes nowhere but to its own check, whatever is in it: a malformed one has the answer of every unknown one.
_ANY, _CHECKED = r"[^/]+", ("file_id", "upload_id")

#: A segment `.` or `..`, with either slash, and control characters.
_AMBIGUOUS = re.compile(r"(^|[/\\])\.{1,2}($|[/\\])|[\x00-\x1f\x7f]")
#: Nobody encodes a name more often than that.
_DECODINGS = 5

_ByMethod = dict[str, Rule]


class OtherMethods(MethodNotAllowed):
    """The URL, of `route`, takes other methods than that of the request."""

    def __init__(self, by_method: _ByMethod) -> None:
        super().__init__(by_method)
        self.route = next(iter(by_method.values())).rule


class Routes:
    """The routes of `rules`, each found by the one way to write its path."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._fixed: dict[str, _ByMethod] = {}
        self._variable: dict[re.Pattern[str], _ByMethod] = {}
        for rule in rules:
            by_method = dict.fromkeys(rule.methods or (), rule)
            if rule.arguments:
                self._variable.setdefault(_spelled(rule.rule), {}).update(by_method)
            else:
                self._fixed.setdefault(rule.rule, {}).update(by_method)

    def find(self, path: str, method: str) -> tuple[Rule, dict[str, str]]:
        """The route of a path as it was sent, and its variables, decoded; raises `NotFound`, `MethodNotAllowed`."""
        others: _ByMethod = {}
        for methods, variables in self._at(path):
            if method in methods:
                return methods[method], {name: unquote(value) for name, value in variables.items()}
            others.update(methods)
        raise OtherMethods(others) if others else NotFound(self._advice(path))

    def _at(self, path: str) -> Iterator[tuple[_ByMethod, dict[str, str]]]:
        if path in self._fixed:
            yield self._fixed[path], {}
        for pattern, methods in self._variable.items():
            if found := pattern.fullmatch(path):
                yield methods, found.groupdict()

    def _advice(self, path: str) -> str:
        """What would be right instead of a path that is no route."""
        if any(any(self._at(near)) for near in (f"/v1{path}", path.removeprefix("/v1"))):
            return "Unknown URL. The client's base_url ends in /v1, once: as http://127.0.0.1:8000/v1."
        return (
            "Unknown URL. Files are at /v1/files, uploads in parts at /v1/uploads; /v1/responses, "
            "/v1/chat/completions, /v1/embeddings and /v1/models pass to the model server, and nothing else does."
        )


class Adapter:
    """What Flask asks for the route of a request, in the place of werkzeug's `MapAdapter`."""

    def __init__(self, routes: Routes, request: Request) -> None:
        self._routes, self._path, self._method = routes, sent(request.environ["RAW_URI"]), request.method

    def match(self, *, return_rule: bool) -> tuple[Rule, dict[str, str]]:
        """The route and its variables; raises `NotFound`, `MethodNotAllowed`."""
        del return_rule
        return self._routes.find(self._path, self._method)


def require_host(environ: dict[str, Any]) -> None:
    """Raise `InvalidRequest` where Host is missing or malformed (RFC 9112 §3.2), or the target is no URL.

    HTTP/1.0 needs no Host.
    """
    host, target = environ.get("HTTP_HOST"), environ["RAW_URI"]
    if not target.startswith("/") and "://" in target and not _ORIGIN.match(target):
        raise InvalidRequest("The URL is malformed: it has to begin with a slash, or with http:// and a host.")
    if host is None and environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        return
    if host is None or not _HOST.fullmatch(host):
        raise InvalidRequest("The Host header is missing or malformed.")


def sent(target: str) -> str:
    """The path of a request target, in origin or absolute form (RFC 9112 §3.2), as it was sent."""
    origin = _ORIGIN.match(target)
    path = target[origin.end() if origin else 0 :].partition("?")[0].partition("#")[0]
    return path or "/"


def ambiguous(path: str) -> bool:
    """Whether `path` has a dot segment or a control character, however often encoded: the next may decode it again."""
    for _ in range(_DECODINGS):
        path = unquote(path)
    return _AMBIGUOUS.search(path) is not None or unquote(path) != path


def _spelled(rule: str) -> re.Pattern[str]:
    """A pattern of the paths of `rule` as they have to be sent, a group for each variable."""
    pieces = _VARIABLE.split(rule)  # fixed, converter, name, fixed, converter, name … fixed
    found = [re.escape(pieces[0])]
    for converter, name, fixed in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        one = _REST if converter == "path" else _ANY if name in _CHECKED else _SEGMENT
        found += [f"(?P<{name}>{one})", re.escape(fixed)]
    return re.compile("".join(found))
