"""The request around a view: the store, the model server, and who is calling."""

from flask import current_app, request

from lazu.gateway.upstream import Upstream
from lazu.store.opening import Store
from lazu.store.tables import Key


def store() -> Store:
    """The store of this application."""
    found: Store = current_app.extensions["lazu"]
    return found


def upstream() -> Upstream:
    """The model server of this application."""
    found: Upstream = current_app.extensions["lazu.upstream"]
    return found


def caller() -> Key:
    """The key of this request; raises `InvalidApiKey`. The log line of the request has its name."""
    key = store().keys.authenticate(request.headers.get("Authorization"))
    request.environ["lazu.key"] = key.name
    return key
