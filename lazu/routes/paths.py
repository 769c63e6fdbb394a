"""One path, one reading: only a route written exactly as in the API's table is a route.

Routing below strips leading slashes and decodes before it looks, and so would serve `//metrics`, `/%6detrics` or
`/v1%2Ffiles`; a proxy that guards `/metrics` reads these otherwise (deploy/nginx.conf). So what is fixed in a route has
to be sent literally; only its variable parts may be percent-encoded.
"""

import re
from functools import cache
from urllib.parse import unquote

from flask import current_app, request

from lazu.errors import NotFound

_VARIABLE = re.compile(r"<(?:(\w+):)?\w+>")
#: What a variable may be in the path as it was sent: one segment, or for `path` the rest with its slashes.
_SEGMENT, _REST = r"(?:(?!%2[fF])[^/])+", r"[^/].*"

#: A segment `.` or `..`, with either slash, and control characters.
_AMBIGUOUS = re.compile(r"(^|[/\\])\.{1,2}($|[/\\])|[\x00-\x1f\x7f]")
#: Nobody encodes a name more often than that.
_DECODINGS = 5


def require_exact() -> None:
    """Raise `NotFound` if the path of this request is another spelling of a route, or `ambiguous`."""
    rule, raw = request.url_rule, sent(request.environ["RAW_URI"])
    rules = [rule] if rule else list(current_app.url_map.iter_rules())
    if ambiguous(raw) or not any(_spelled(each.rule).fullmatch(raw) for each in rules):
        raise NotFound("Unknown URL. The Files API is at /v1/files.")


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
    """What matches the paths of `rule` as they have to be sent."""
    pieces = _VARIABLE.split(rule)  # fixed, converter, fixed, converter … fixed
    found = [re.escape(pieces[0])]
    for converter, fixed in zip(pieces[1::2], pieces[2::2], strict=True):
        found += [_REST if converter == "path" else _SEGMENT, re.escape(fixed)]
    return re.compile("".join(found))
