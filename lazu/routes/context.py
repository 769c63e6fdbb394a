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
    """The key of this request; raises `InvalidApiKey`."""
    return _noted(store().keys.authenticate(_authorization()))


def callers_file(file_id: str) -> File:
    """An unexpired file of the key of this request; raises `InvalidApiKey`, or `FileNotFound` for every other id."""
    if not ids.is_file_id(file_id):
        caller()
        raise FileNotFound(file_id)
    key, file = store().keys.authenticate_for(_authorization(), file_id)
    _noted(key)
    if file is None:
        raise FileNotFound(file_id)
    return file


def callers_page(paging: Paging) -> tuple[Key, Page]:
    """The key of this request, and a page of its files; raises `InvalidApiKey`."""
    first = Page.first(paging)
    key, piece = (caller(), None) if first is None else store().keys.authenticate_list(_authorization(), first)
    return _noted(key), Page(key, paging, piece)


def _authorization() -> str | None:
    return request.environ.get("HTTP_AUTHORIZATION")


def _noted(key: Key) -> Key:
    """Give `key`; the log line of the request has its name."""
    request.environ["lazu.key"] = key.name
    return key
