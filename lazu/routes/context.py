"""The request around a view: the store, the model server, and who is calling."""

from flask import current_app, request

from lazu import ids
from lazu.errors import FileNotFound
from lazu.gateway.upstream import Upstream
from lazu.store.files import Page
from lazu.store.list_rows import Paging
from lazu.store.opening import Store
from lazu.store.tables import File, Key


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
    environ = request.environ
    key = store().keys.authenticate(environ.get("HTTP_AUTHORIZATION"))
    environ["lazu.key"] = key.name
    return key


def callers_file(file_id: str) -> File:
    """An unexpired file of the key of this request; raises `InvalidApiKey`, or `FileNotFound` for every other id."""
    if not ids.is_file_id(file_id):
        caller()
        raise FileNotFound(file_id)
    environ = request.environ
    key, file = store().keys.authenticate_for(environ.get("HTTP_AUTHORIZATION"), file_id)
    environ["lazu.key"] = key.name
    if file is None:
        raise FileNotFound(file_id)
    return file


def callers_page(paging: Paging) -> tuple[Key, Page]:
    """The key of this request, and a page of its files; raises `InvalidApiKey`."""
    first = Page.first(paging)
    if first is None:
        key = caller()
        return key, Page(key, paging, None)
    environ = request.environ
    key, piece = store().keys.authenticate_list(environ.get("HTTP_AUTHORIZATION"), first)
    environ["lazu.key"] = key.name
    return key, Page(key, paging, piece)
