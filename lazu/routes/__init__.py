"""The HTTP edge, one module a noun. With `cli` the only room that knows Flask.

Invariant: views take from the request, call one thing and return; every error of every route is rendered in
`problems`; every response passes `_finish`.
"""

from flask import Flask, Response, request

from lazu import ids, logs
from lazu.routes import cors, description, files, health, page, paths, problems, responses, uploads
from lazu.routes.body import drain
from lazu.routes.context import store


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
    request.environ["lazu.request_id"] = ids.new_request_id()
    logs.request_id.set(request.environ["lazu.request_id"])
    paths.require_host()
    paths.require_exact()
    request.environ["lazu.route"] = str(request.url_rule or "-")
    if request.endpoint != "health.alive":
        store().engine.connect()


def _finish(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["x-request-id"] = request.environ["lazu.request_id"]
    cors.mark(response)
    drain(response)
    return response
