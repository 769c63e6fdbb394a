"""A store opened in this process, past HTTP."""

from contextlib import closing, contextmanager

import pytest
from peewee import sqlite3

from helpers.server import opened
from lazu.errors import Doubt
from lazu.store.files import NewFile
from lazu.store.sqlite.engine import database


def put(store, data):
    """A file of the key `alice`, which is there."""
    return create(store, store.keys.find("alice"), data)


def create(store, key, data):
    """A file of `key`, as it was read."""
    with store.contents.stage(100) as place:
        place.write(data)
        return store.files.create(key, NewFile(place, "a.txt", "text/plain", "user_data", None))


@contextmanager
def held(storage):
    """Another program is writing."""
    with closing(sqlite3.connect(storage / "lazu.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def first_answer_lost(store, meanwhile):
    """Within the `with` nobody hears of the first COMMIT, and `meanwhile` happens after it."""
    write, lost = store.engine.write, []

    def losing(work, frees=False):
        found = write(work, frees)
        if not lost:
            lost.append(work)
            meanwhile()
            raise Doubt("the answer to COMMIT was lost")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.engine, "write", losing)
        yield


def blank(storage, *names):
    """Damage the database in `storage`: the first page of each of these tables or indexes is blank."""
    with opened(storage):
        pages = [database.execute_sql("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0] for name in names]
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        [size] = database.execute_sql("PRAGMA page_size").fetchone()
    with (storage / "lazu.sqlite3").open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(bytes(size))
