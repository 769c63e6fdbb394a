"""Every error that leaves Lazu is rendered here, as the one JSON shape of the error table."""

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from lazu.errors import (
    ApiError,
    Busy,
    Full,
    InsufficientStorage,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    StoreError,
    Unanswered,
    Unfit,
)
from lazu.routes.context import store
from lazu.store import disk, shortage

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Let every error end here, also those of routing and bugs."""
    app.register_error_handler(ApiError, render)
    app.register_error_handler(HTTPException, _routing)
    app.register_error_handler(StoreError, _rows)
    app.register_error_handler(OSError, _disk)
    app.register_error_handler(Exception, _bug)


def render(error: ApiError) -> Response:
    """The answer for `error`."""
    response = jsonify(error.as_json())
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _routing(error: HTTPException) -> Response:
    if error.code == 404:
        return render(NotFound(str(error.description)))
    if error.code == 405:
        allow = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return render(MethodNotAllowed(f"This URL takes {allow} only.", headers={"Allow": allow}))
    if error.code is not None and error.code < 500:
        return render(InvalidRequest("The request is malformed."))
    return _bug(error)


def _rows(error: StoreError) -> Response:
    if isinstance(error, (Busy, Unanswered, Unfit)):
        log.warning("answered by 503: %s", error)
        return render(Overloaded())
    if isinstance(error, Full):
        shortage.note(store().settings.storage_dir, shortage.told(error))
        return _full(error, error)
    return _bug(error)


def _disk(error: OSError) -> Response:
    if error.errno in disk.NO_DESCRIPTOR:
        log.error(disk.MORE_DESCRIPTORS)
        return render(Overloaded())
    return _full(Full(), error.strerror) if error.errno in disk.FULL else _bug(error)


def _full(error: Full, why: object) -> Response:
    message = shortage.told(error)
    log.warning("answered by 507: %s %s", message, why)
    return render(InsufficientStorage(message))


def _bug(error: Exception) -> Response:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return render(InternalError())
