"""The HTTP edge, one module a noun. Beside it only `application` and `cli` know Flask.

Invariant: views take from the request, call one thing and return; every error of every route is rendered in
`problems`; every response passes `App.process_response`.
"""

import json
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.globals import request_ctx
from flask.json.provider import DefaultJSONProvider
from flask.sessions import NullSession, SessionInterface

from lazu import ids, logs
from lazu.routes import context, cors, description, files, health, page, paths, problems, responses, uploads
from lazu.routes.body import drain

#: They answer for themselves when there is none.
_WITHOUT_DATABASE = ("health.alive", "health.ready", "health.show_metrics")


class _NoSessions(SessionInterface):
    """Lazu sets no cookies and reads none."""

    _none = NullSession()

    def open_session(self, *_: object) -> NullSession:
        """The session of every request: one that can't be changed."""
        return self._none


class _Json(DefaultJSONProvider):
    """Answers as JSON, fields in the API's order: one encoder for all, where Flask makes one for each."""

    _encode = staticmethod(json.JSONEncoder(separators=(",", ":")).encode)

    def response(self, *args: Any, **_: Any) -> Response:
        """An answer that is `args[0]` as JSON."""
        return Response(f"{self._encode(args[0])}\n", mimetype=self.mimetype)


class App(Flask):
    """Flask without the work at each request that Lazu has no use for, and with Lazu's own.

    It has no sessions, no coroutines, no teardown functions and none by blueprint; routes are found by `paths`
    (docs/decisions/0134-small-requests.md).
    """

    session_interface = _NoSessions()
    json_provider_class = _Json
    routes: paths.Routes

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give `func`: none is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> Any:
        """What finds the route of `request`."""
        return request and paths.Adapter(self.routes, request)

    def preprocess_request(self) -> Response | None:
        """Begin a request; gives the answer if no view has to. Raises `InvalidRequest`, `NotFound`, `StoreError`."""
        request = request_ctx.request
        environ, rule = request.environ, request.url_rule
        environ["lazu.request_id"] = request_id = ids.new_request_id()
        logs.request_id.set(request_id)
        paths.require_host(environ)
        if rule is not None:
            environ["lazu.route"] = rule.rule
        elif isinstance(request.routing_exception, paths.OtherMethods):
            environ["lazu.route"] = request.routing_exception.route
        store = context.store()
        # Before anything is refused: a page that gets no answer to its preflight can't read why.
        if environ["REQUEST_METHOD"] == "OPTIONS" and (answer := cors.preflight(store.settings.cors_origins)):
            return answer
        if request.routing_exception:
            raise request.routing_exception
        if rule and rule.endpoint not in _WITHOUT_DATABASE:
            store.engine.connect()
        return None

    def process_response(self, response: Response) -> Response:
        """End a request: every answer comes by here."""
        environ, headers = request_ctx.request.environ, response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers.add("x-request-id", environ["lazu.request_id"])
        cors.mark(response, context.store().settings.cors_origins)
        drain(response, environ)
        return response

    def do_teardown_request(self, *_: object) -> None:
        """Do nothing: nobody waits for the end of a request."""

    def do_teardown_appcontext(self, *_: object) -> None:
        """Do nothing, as above."""


def init_app(app: App) -> None:
    """Join the routes and the error answers to `app`."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # Flask's own answer would be neither JSON nor documented
    problems.init_app(app)
    app.register_blueprint(files.bp)
    app.register_blueprint(uploads.bp)
    app.register_blueprint(responses.bp)
    app.register_blueprint(health.bp)
    app.register_blueprint(description.bp)
    if app.extensions["lazu"].settings.page == "on":
        app.register_blueprint(page.bp)
    app.routes = paths.Routes(app.url_map.iter_rules())
