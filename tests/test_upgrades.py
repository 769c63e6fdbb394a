"""Upgrades: every schema that Lazu ever had is brought up to date, and a newer one is left alone."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing

import pytest
from pysqlite3 import dbapi2 as sqlite

from helpers.server import PROJECT, Server, opened, problems
from helpers.wire import request, stored
from lazu.store import rows
from lazu.store.list_rows import Paging
from lazu.store.sqlite import schema as migration
from lazu.store.sqlite.schema import STEPS

SCHEMAS = PROJECT / "tests/schemas"


def store_of(version, storage):
    """A storage directory as schema `version` left it."""
    shard = storage / "blobs/2c"
    shard.mkdir(parents=True)
    (shard / hashlib.sha256(b"hello").hexdigest()).write_bytes(b"hello")
    with closing(sqlite.connect(str(storage / "lazu.sqlite3"))) as database:
        database.executescript((SCHEMAS / f"{version}.sql").read_text())
    return storage


def sha256(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


def schema(storage):
    """Version, tables and indexes of a database, in any order of their making."""
    with closing(sqlite.connect(str(storage / "lazu.sqlite3"))) as database:
        [version] = database.execute("PRAGMA user_version").fetchone()
        return version, set(database.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


def test_every_schema_has_its_fixture():
    """Who adds a step adds the dump of a store that it made."""
    assert {path.stem for path in SCHEMAS.iterdir()} == {str(number + 1) for number in range(len(STEPS))}


@pytest.mark.parametrize("version", range(1, len(STEPS) + 1))
def test_an_old_store_becomes_what_a_new_one_is_and_keeps_all(version, tmp_path):
    old, new = store_of(version, tmp_path / "old"), tmp_path / "new"
    with opened(old) as store:
        assert [key.name for key in rows.all_keys()] == ["alice", "bob"]
        _, listed = store.keys.authenticate_list("Bearer sk-lazu-alice", Paging())
        listed = json.loads(f"[{listed.objects}]")
        assert [file["filename"] for file in listed] == ["again.txt", "a.txt"]
        assert version < 6 or rows.was_secret(sha256("sk-lazu-renewed"))
        store.keys.rotate("alice")
        assert rows.was_secret(sha256("sk-lazu-alice"))
    with opened(new):
        pass
    assert schema(old) == schema(new)
    assert problems(old) == []


def test_a_server_on_an_old_store_serves_and_takes_files(tmp_path):
    server = Server(store_of(1, tmp_path / "storage")).start()
    try:
        listed = request(server, "GET", "/v1/files", "sk-lazu-alice").json["data"]
        assert [file["filename"] for file in listed] == ["again.txt", "a.txt"]
        assert request(server, "GET", f"/v1/files/{listed[0]['id']}/content", "sk-lazu-alice").body == b"hello"
        assert stored(server, "sk-lazu-alice", b"more")
    finally:
        server.stop()
    assert problems(server.storage) == []


def test_two_processes_that_start_at_once_upgrade_once(tmp_path):
    storage = store_of(1, tmp_path / "storage")
    environ = {**os.environ, "LAZU_STORAGE_DIR": str(storage)}
    command = [sys.executable, "-m", "flask", "keys", "list"]
    running = [subprocess.Popen(command, cwd=PROJECT, env=environ, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [each.wait(30) for each in running] == [0, 0, 0, 0]
    assert schema(storage)[0] == len(STEPS)


def test_a_step_that_fails_leaves_the_old_schema_whole(tmp_path, monkeypatch):
    storage = store_of(1, tmp_path / "storage")
    before = schema(storage)
    monkeypatch.setattr(migration, "STEPS", (*STEPS[:1], ("CREATE TABLE half (id INTEGER)", "NONSENSE")))
    with pytest.raises(SystemExit), opened(storage):
        pass
    assert schema(storage) == before


def test_a_newer_database_is_refused_in_one_line_and_not_touched(tmp_path):
    server = Server(store_of(1, tmp_path / "storage"))
    with closing(sqlite.connect(str(server.storage / "lazu.sqlite3"))) as database:
        database.execute("PRAGMA user_version = 99")
    before = schema(server.storage)
    refused = server.flask("keys", "list", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "newer Lazu" in refused.stderr
    assert schema(server.storage) == before
