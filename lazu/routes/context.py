"""What a view asks of the request around it: the store, and who is calling."""

from flask import current_app, request

from lazu.models import Key
from lazu.store import Store


def store() -> Store:
    """The store of this application."""
    found: Store = current_app.extensions["lazu"]
    return found


def caller() -> Key:
    """The key of this request; raises `InvalidApiKey`. The log line of the request has its name."""
    key = store().keys.authenticate(request.headers.get("Authorization"))
    request.environ["lazu.key"] = key.name
    return key
