"""SQLite as Lazu needs it: a sound version, durable commits, one connection a thread, none across a fork."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from helpers.in_process import AUTH, put
from helpers.in_store import held
from helpers.server import PROJECT, Server, opened, problems
from helpers.waiting import until
from helpers.wire import request, stored
from lazu.errors import CannotStart, StorageMoved
from lazu.store import disk, rows
from lazu.store.ballast import Ballast
from lazu.store.sqlite import engine as sqlite
from lazu.store.sqlite.engine import Sqlite, database
from lazu.store.sqlite.schema import STEPS


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 7, 0), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
        ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 53, 0), True),
    ],
)  # fmt: skip
def test_which_versions_keep_what_they_committed(version, sound):
    assert sqlite.sound(version) is sound


def test_the_start_refuses_an_affected_version_and_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite.peewee.SqliteDatabase, "server_version", (3, 51, 2))
    with pytest.raises(CannotStart, match=r"3\.51\.2 .* pysqlite3"):
        Sqlite(tmp_path / "lazu.sqlite3", Ballast(tmp_path / "ballast", 1), print).open()
    assert not list(tmp_path.iterdir())


def test_a_ballast_that_was_made_half_is_made_whole(tmp_path):
    (tmp_path / "ballast").write_bytes(b"half")
    ballast = Ballast(tmp_path / "ballast", 2**20)
    ballast.fill()
    assert (tmp_path / "ballast").stat().st_size == 2**20
    assert ballast.spend()


def test_rows_that_can_not_be_read_are_told_in_one_line(tmp_path):
    """SQLite finds the damage where it comes to it, in the midst of a list."""
    server = Server(tmp_path / "storage")
    with opened(server.storage) as store:
        store.engine.write(lambda: [rows.add_key(f"key-{number:04}", None) for number in range(2000)])
    with (server.storage / "lazu.sqlite3").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - size // 4096 // 3 * 4096)
        file.write(bytes(size))
        file.truncate(size)
    told = server.flask("keys", "list", check=False)
    assert told.returncode == 1
    assert told.stderr == "Error: database disk image is malformed\n"


def test_every_connection_commits_durably_and_locks_at_once(app):
    app.extensions["lazu"].engine.connect()
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "locking_mode", "wal_autocheckpoint")
    found = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in asked}
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000, "locking_mode": "normal",
        "wal_autocheckpoint": 2000,
    }  # fmt: skip
    said = []
    database.connection().set_trace_callback(said.append)
    app.extensions["lazu"].engine.write(lambda: None)
    with database.atomic():
        pass
    database.connection().set_trace_callback(None)
    assert [text for text in said if text.startswith("BEGIN")] == ["BEGIN IMMEDIATE"] * 2


def test_the_tables_are_strict_and_the_database_is_its_owners_alone(app, tmp_path):
    app.extensions["lazu"].engine.connect()
    tables = database.execute_sql("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    assert all(strict for name, strict in tables if not name.startswith("sqlite_"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "storage").glob("lazu.sqlite3*")}
    assert set(modes.values()) == {0o600}


STORY = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append(str(args[0])) if event == "open" else None)
from lazu.application import create_app
app = create_app()
from helpers.in_process import put, content, AUTH
http = app.test_client()
file = put(http, b"a", )
content(http, file)
put(http, b"b")
http.delete("/v1/files/" + file["id"], headers=AUTH)
for args in (["purge"], ["fsck", "--rehash", "--repair"], ["keys", "create", "bob"], ["keys", "list"]):
    assert app.test_cli_runner().invoke(args=args).exit_code == 0, args
assert app.test_cli_runner().invoke(args=["backup", sys.argv[1]]).exit_code == 0
store = str(app.extensions["lazu"].settings.storage_dir)
print([path for path in seen if "lazu.sqlite3" in path and path.startswith(store)])
"""


def test_no_code_opens_the_database_files(tmp_path):
    """Seen by an audit hook: Python's own opens are all there, SQLite's are not among them."""
    env = {"LAZU_STORAGE_DIR": str(tmp_path / "s"), "LAZU_API_KEY": "test-key", "LAZU_MIN_FREE_BYTES": "0"}
    command = [sys.executable, "-c", STORY, str(tmp_path / "b")]
    env |= {"PYTHONPATH": f"{PROJECT}:{PROJECT}/tests"}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert problems(tmp_path / "s") == []


def descriptors(pid, what="lazu.sqlite3"):
    """The database files that a process has open; what it closes meanwhile is none of them."""
    names = []
    with suppress(FileNotFoundError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                names.append(path.readlink().name)
    return sorted(name for name in names if what in name)


@pytest.mark.parametrize("more", [[], ["--preload"]])
def test_no_connection_crosses_a_fork(serve, monkeypatch, more):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", " ".join(more))
    server = serve()
    key = server.new_key()
    for i in range(8):
        stored(server, key, str(i).encode())
    master, *workers = server.pids()
    assert descriptors(master) == []
    assert any(descriptors(worker) for worker in workers)


def test_a_start_waits_for_another_one(tmp_path):
    """Two that change a new database to WAL at once meet where SQLite waits for nobody, so they must not meet there."""
    env = {**os.environ, "LAZU_STORAGE_DIR": str(tmp_path), "LAZU_API_KEY": "test-key"}
    with disk.lock(tmp_path):
        process = subprocess.Popen([sys.executable, "-c", "import app"], cwd=PROJECT, env=env)
        until(lambda: waits(process.pid) or process.poll() is not None)
        assert not (tmp_path / "lazu.sqlite3").exists()
    assert process.wait(60) == 0


def serving(server):
    """The workers that have opened the store."""
    return [pid for pid in server.pids()[1:] if descriptors(pid, "served")]


def test_what_starts_while_another_program_writes_reads_what_is_there(serve):
    """A worker that started meanwhile ended the whole server, 10 s later: `database is locked`."""
    server = serve()
    name = stored(server, server.any_key, b"words")["id"]
    first, second = until(lambda: len(found := serving(server)) == 2 and found)
    with held(server.storage), disk.lock(server.storage):  # the lock is that of an upload, which waits for SQLite
        os.kill(first, signal.SIGKILL)
        assert server.flask("stats").returncode == 0
        [new] = until(lambda: set(serving(server)) - {first, second})
        os.kill(second, signal.SIGKILL)
        until(lambda: second not in server.pids())
        assert request(server, "GET", f"/v1/files/{name}/content", server.any_key).body == b"words"
    assert new in server.pids()


@pytest.mark.slow
def test_a_worker_that_can_not_start_for_a_while_ends_no_other_one(serve):
    """Here of a newer Lazu, which has to make a table."""
    server = serve()
    first, second = until(lambda: len(found := serving(server)) == 2 and found)
    with closing(sqlite.peewee.sqlite3.connect(server.storage / "lazu.sqlite3")) as database:
        database.execute(f"PRAGMA user_version = {len(STEPS) - 1}")  # the last step may be taken twice
    with held(server.storage):
        os.kill(first, signal.SIGKILL)
        until(lambda: "can't be used: database is locked" in server.log.read_text())
    until(lambda: len(serving(server)) == 2)
    assert second in server.pids()


def waits(pid):
    """Whether a process waits for a lock of a file (proc(5), /proc/locks)."""
    return any({"->", str(pid)} <= set(line.split()) for line in Path("/proc/locks").read_text().splitlines())


def test_processes_that_start_together_on_a_new_store_all_start(tmp_path):
    command = [sys.executable, "-c", "import app"]
    for number in range(3):
        env = {**os.environ, "LAZU_STORAGE_DIR": str(tmp_path / str(number)), "LAZU_API_KEY": "test-key"}
        started = [subprocess.Popen(command, cwd=PROJECT, env=env) for _ in range(6)]
        assert [process.wait(30) for process in started] == [0] * 6


@pytest.mark.parametrize("query", ["", "?order=asc", "?limit=2&after={id}", "?purpose=user_data", "?purpose=user_data&order=asc&after={id}"])
def test_a_page_is_read_in_the_order_of_an_index(app, caplog, query):
    """Were a key's files sorted for it, the first page would take 63 ms at 100,000 files instead of 1."""
    http = app.test_client()
    file = put(http, b"one")
    with caplog.at_level("DEBUG", "peewee"):
        assert http.get("/v1/files" + query.format(id=file["id"]), headers=AUTH).status_code == 200
    [(sql, values)] = [each.msg for each in caplog.records if "ORDER BY key_id" in str(each.msg)]
    index = "file_by_purpose" if "purpose" in query else "file_by_key"
    [*_, search, _] = plan(sql, *values)
    assert f"SEARCH file USING INDEX {index} " in search, "one search, no sorting"


def plan(sql, *values):
    """SQLite's steps for a query."""
    return [row[3] for row in database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values)]


def test_a_write_with_little_time_leaves_the_next_one_all_of_its_own(app):
    engine = app.extensions["lazu"].engine
    engine.connect()
    engine.write(lambda: None, until=time.monotonic() + 5)
    assert database.execute_sql("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_storage_that_is_moved_away_while_a_write_waits_takes_nothing(app):
    """Who had the lock was the mover, perhaps."""
    store = app.extensions["lazu"]
    storage = store.settings.storage_dir

    def write():
        with store.engine.connected():
            store.engine.write(lambda: rows.add_key("lost", None))

    with ThreadPoolExecutor(1) as another:
        with disk.lock(storage):
            waiting = another.submit(write)
            until(lambda: waits(os.getpid()))
            moved = storage.rename(storage.with_name("moved"))
        assert isinstance(waiting.exception(60), StorageMoved)
    moved.rename(storage)
    assert rows.find_key("lost") is None


def test_a_write_to_storage_that_is_gone_is_told_so(app):
    """There is no directory to lock then, and it was an error that nobody had thought of."""
    store = app.extensions["lazu"]
    storage = store.settings.storage_dir
    moved = storage.rename(storage.with_name("moved"))
    with pytest.raises(StorageMoved):
        store.engine.write(lambda: None)
    moved.rename(storage)
