"""The HTTP edge, one module a noun. Beside it only `application` and `cli` know Flask.

Invariant: views take from the request, call one thing and return; every error of every route is rendered in
`problems`; every response passes `_finish`.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from lazu import ids, logs
from lazu.routes import cors, description, files, health, page, paths, problems, responses, uploads
from lazu.routes.body import drain
from lazu.routes.context import store

#: They answer for themselves when there is none.
_WITHOUT_DATABASE = ("health.alive", "health.ready")


class _NoSessions(SessionInterface):
    """Lazu sets no cookies and reads none."""

    _none = NullSession()

    def open_session(self, *_: object) -> NullSession:
        """The session of every request: one that can't be changed."""
        return self._none

    def save_session(self, *_: object) -> None:
        """Keep nothing."""


class App(Flask):
    """Flask without what it does at each request and Lazu has no use for: sessions, coroutines, routes by host.

    They take 9 of the 43 µs of an empty route (docs/decisions/0134-small-requests.md).
    """

    session_interface = _NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give `func`: none is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the route of `request`, by its path and method alone."""
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)


def init_app(app: Flask) -> None:
    """Join the routes, the error answers and what surrounds each request to `app`."""
    # A redirect to a cleaned path, or Flask's own answer to OPTIONS, would be neither JSON nor documented.
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = paths.Rest
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider: fields in the API's order
    app.before_request(_begin)
    app.before_request(cors.preflight)
    app.after_request(_finish)
    problems.init_app(app)
    app.register_blueprint(files.bp)
    app.register_blueprint(uploads.bp)
    app.register_blueprint(responses.bp)
    app.register_blueprint(health.bp)
    app.register_blueprint(description.bp)
    app.register_blueprint(page.bp)


def _begin() -> None:
    environ = request.environ
    environ["lazu.request_id"] = ids.new_request_id()
    logs.request_id.set(environ["lazu.request_id"])
    paths.require_host(environ)
    paths.require_exact()
    rule = request.url_rule
    environ["lazu.route"] = rule.rule if rule else "-"
    if rule is None or rule.endpoint not in _WITHOUT_DATABASE:
        store().engine.connect()


def _finish(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["x-request-id"] = request.environ["lazu.request_id"]
    cors.mark(response)
    drain(response)
    return response
