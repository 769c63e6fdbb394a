"""The upstream's answers: one view for each route that passes to it; nothing else does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import quote

from flask import Blueprint, Response, request

from lazu import metrics
from lazu.errors import NotFound, Overloaded
from lazu.gateway import references
from lazu.gateway.answer import Asked
from lazu.gateway.exchange import Detached, Exchange
from lazu.gateway.inlining import Desk, Prepared
from lazu.gateway.json_body import Text, receive
from lazu.gateway.references import Find
from lazu.gateway.upstream import Call
from lazu.routes.body import Body
from lazu.routes.context import caller, store, upstream
from lazu.routes.paths import ambiguous
from lazu.store.tables import Key

#: Files that `X-Lazu-Files` tells of: proxies bound the length of headers.
MAX_TOLD = 16

bp = Blueprint("responses", __name__, url_prefix="/v1")


#: What the log tells of a request (`lazu.server.accesslog`).
FACTS = ("REQUEST_METHOD", "lazu.route", "lazu.key", "lazu.request_id")


class Passed(Response):
    """The upstream's answer to `call`, which is asked for when this response has gone through the whole application.

    So nothing is held in a view, and no thread waits: the server goes on with the exchange. The headers of this
    response are those that Lazu adds.
    """

    default_mimetype = None

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self._upstream = upstream()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> NoReturn:  # noqa: ARG002  WSGI's
        """Raise `Detached`."""
        facts = {name: environ[name] for name in FACTS if name in environ}
        old = environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        asked = Asked(environ["REQUEST_METHOD"], old, facts, list(self.headers))
        exchange = Exchange(self._upstream, self._call, environ["gunicorn.socket"], asked)
        environ["lazu.detached"] = True
        raise Detached(exchange)


@bp.post("/responses")
def create_response() -> Response:
    """Ask the model; files by id."""
    return _ask("/responses", references.responses)


@bp.post("/responses/input_tokens")
def count_tokens() -> Response:
    """Count the tokens of a request."""
    return _ask("/responses/input_tokens", references.responses)


@bp.post("/responses/compact")
def compact() -> Response:
    """Make a conversation shorter."""
    return _ask("/responses/compact", references.responses)


@bp.post("/chat/completions")
def complete_chat() -> Response:
    """Ask the model the older way; files by id."""
    return _ask("/chat/completions", references.chat)


@bp.post("/embeddings")
def embed() -> Response:
    """Text as vectors."""
    return _ask("/embeddings", references.nowhere)


@bp.get("/models")
def list_models() -> Response:
    """The upstream's models."""
    return _fetch("/models")


@bp.get("/models/<path:model>")
def get_model(model: str) -> Response:
    """One model."""
    return _fetch(f"/models/{_segment(model)}")


@bp.get("/responses/<response_id>")
def get_response(response_id: str) -> Response:
    """A stored response."""
    return _fetch(f"/responses/{_segment(response_id)}")


@bp.delete("/responses/<response_id>")
def delete_response(response_id: str) -> Response:
    """Delete a stored response."""
    return _fetch(f"/responses/{_segment(response_id)}")


@bp.post("/responses/<response_id>/cancel")
def cancel_response(response_id: str) -> Response:
    """Stop a response that runs in the background."""
    return _fetch(f"/responses/{_segment(response_id)}/cancel")


@bp.get("/responses/<response_id>/input_items")
def list_input(response_id: str) -> Response:
    """The input of a stored response."""
    return _fetch(f"/responses/{_segment(response_id)}/input_items")


def _ask(path: str, find: Find) -> Response:
    """Send the JSON body of this request on, with files in place of the ids that `find` finds."""
    key = caller()
    with _told_of():
        upstream().require(key.id)
        desk = Desk(store(), key, upstream().files)
        body = receive(Body().read, request.content_length, Text(upstream().bodies, key.id))
        caller()  # again: a body may take hours to come, and its key be revoked meanwhile
        prepared = desk.prepare(body, find)
    return _pass(path, key, prepared)


@contextmanager
def _told_of() -> Iterator[None]:
    """Tell of `Overloaded` as the outcome of a call, which never came to be sent."""
    try:
        yield
    except Overloaded as e:
        request.environ["lazu.upstream"] = e.code
        metrics.upstream_called(e.code)
        raise


def _fetch(path: str) -> Response:
    """Pass a request without a body on; one that is answered by a stream lasts as long as the model works."""
    # Given twice, either may be the one that the upstream goes by.
    lasts = any(value.lower() != "false" for value in request.args.getlist("stream"))
    return _pass(path, caller(), None, lasts=lasts)


def _pass(path: str, key: Key, prepared: Prepared | None, *, lasts: bool = True) -> Response:
    query = request.query_string.decode("latin-1")
    response = Passed(
        Call(
            key=key.id,
            method=request.method,
            target=f"{path}?{query}" if query else path,
            headers=dict(request.headers),
            body=prepared.body if prepared else None,
            lasts=lasts,
        )
    )
    if prepared and prepared.done:
        response.headers["X-Lazu-Files"] = _told(prepared.done)
    return response


def _told(done: list[tuple[str, str]]) -> str:
    """A word for what was made of each file, as a list (RFC 9651 §3.1): `file-lazu-…;as=text`."""
    told = [f"{file_id};as={word}" for file_id, word in done[:MAX_TOLD]]
    more = [f"more;count={len(done) - MAX_TOLD}"] if len(done) > MAX_TOLD else []
    return ", ".join(told + more)


def _segment(name: str) -> str:
    """`name` as one segment of a path, whatever is in it."""
    if ambiguous(name):
        raise NotFound("Unknown URL. No name in it may have a segment '.' or '..', or a control character.")
    return quote(name, safe="")
