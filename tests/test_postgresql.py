"""The engine of a cluster, on a real PostgreSQL: what is committed, what is retried, and what nobody knows."""

import json
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import product

import psycopg
import pytest

from helpers.clocks import ahead
from helpers.server import PROJECT, free_port
from helpers.waiting import until
from lazu import metrics
from lazu.errors import Busy, CannotStart, Doubt, Failed, InsufficientStorage, Unanswered, Unfit
from lazu.store import counts, list_rows, object_rows, rows, upload_rows
from lazu.store.postgresql import address, connections, schema
from lazu.store.postgresql.database import POOL, database
from lazu.store.postgresql.engine import Postgresql
from lazu.store.postgresql.errors import Absent, Lost, Present, translated
from lazu.store.tables import File, Key

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgres):
    return postgres.database()


@pytest.fixture
def engine(url):
    engine = Postgresql(url)
    engine.open()
    yield engine
    database.close_all()


def file(key, number=1, sha256="a" * 64):
    return File(
        id=f"file-lazu-{number:026d}", key=key.id, sha256=sha256, bytes=2**40, filename="größe 你好.txt", purpose="user_data",
        content_type="text/plain", created_at=1, expires_at=2**40,
    )  # fmt: skip


def keep(sha256="a" * 64):
    """A blob that files may refer to."""
    database.execute_sql("INSERT INTO blob (sha256, name, bytes) VALUES (?, ?, ?)", (sha256, sha256, 1))


def add_key(name="alice"):
    assert rows.add_key(name, None)


@pytest.fixture
def key(engine):
    engine.write(add_key)
    return rows.find_key("alice")


def test_rows_of_one_transaction_come_together(engine, key, url):
    engine.write(lambda: (keep(), rows.add_file(file(key))))
    found = rows.file_of(key, file(key).id, now=0)
    assert (found.bytes, found.filename) == (2**40, "größe 你好.txt")
    assert counts.held(key.id, 0) == 2**40
    assert counts.total(0) == (1, 2**40, 0, 0, 1, 2**40, 0)


def test_what_keys_hold_is_counted_by_the_database_whoever_adds_and_deletes_at_once(engine, key):
    """Of each statement there is a row, and now and then one in the place of many."""
    add_key("bob")
    engine.write(keep)
    keys = [key, rows.find_key("bob")]

    def churn(thread):
        for number in range(thread * 100, thread * 100 + 80):
            engine.write(lambda number=number: rows.add_file(file(keys[number % 2], number)))
            if number % 10 == 7:
                engine.write(lambda: rows.delete_files_of(keys[thread % 2], 5))
            assert object_rows.is_counted()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(churn, range(6)))
    File.update(key=key.id).where(File.key != key.id).execute()
    assert object_rows.is_counted()
    assert counts.held(key.id, 0) == counts.count() * 2**40
    assert counts.by_key(0) == {key.id: (counts.count(), counts.count() * 2**40)}
    [(left,)] = database.execute_sql("SELECT count(*) FROM held").fetchall()
    assert left < 480, "a row of each upload"


def test_a_quota_is_held_against_no_file_that_has_not_expired(engine, key):
    """It summed all files of the key, twice an upload: at 600,000 of them 8.7 uploads a second."""
    engine.write(keep)
    made = "'file-lazu-' || lpad(i::text, 26, '0'), ?, ?, 1000, 'a', 'user_data', 'text/plain', 1, 5 + i FROM generate_series(1, 5000) AS i"
    engine.write(lambda: database.execute_sql(f"INSERT INTO file SELECT {made}", (key.id, "a" * 64)))
    database.execute_sql("ANALYZE")
    assert counts.held(key.id, 5) == 5_000_000
    assert counts.held(key.id, 15) == 4_990_000
    plan = "\n".join(line for (line,) in database.execute_sql(f"EXPLAIN (ANALYZE) {counts._HELD}", (key.id, key.id, 5)).fetchall())
    assert re.search(r"using file_by_(expiry|size) on file .* rows=0 loops", plan), plan
    assert "on held" in plan


def test_what_pending_uploads_hold_is_asked_of_indexes(engine, key):
    """By one statement, whatever others have; it was one for each upload."""
    upload = "'upload-' || i, ?, 1000, 'a', 'user_data', NULL, 1, 5 + mod(i, 2), NULL, NULL, NULL FROM generate_series(1, 100) AS i"
    engine.write(lambda: database.execute_sql(f"INSERT INTO upload SELECT {upload}", (key.id,)))
    made = "'part-' || i, 'upload-' || (i / 50 + 1), repeat(chr(97 + mod(i, 3)), 64), 700, 1 FROM generate_series(0, 4999) AS i"
    engine.write(lambda: [keep(content * 64) for content in "abc"])
    engine.write(lambda: database.execute_sql(f"INSERT INTO upload_part SELECT {made}"))
    database.execute_sql("ANALYZE")
    assert upload_rows.pending(5, key) == (50, 50 * 1000, 50 * 1000, 50 * 2100)
    plan = "\n".join(line for (line,) in database.execute_sql(f"EXPLAIN {upload_rows._SIZES}", (key.id, 5)).fetchall())
    assert "using upload_part_by_upload on upload_part" in plan, plan


def test_names_are_unicode_whatever_the_environment_says(monkeypatch, url):
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    engine = Postgresql(url)
    engine.open()
    engine.write(add_key)
    made = file(rows.find_key("alice"))
    engine.write(lambda: (keep(), rows.add_file(made)))
    assert rows.file_of(rows.find_key("alice"), made.id, now=0).filename == made.filename
    database.close_all()


@contextmanager
def waiting_for(seconds):
    """A statement is waited for so long; None: without end."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(connections.Connection, "seconds", seconds)
        yield


@pytest.mark.parametrize("ask", [database.execute_sql, lambda sql: database.look_up(sql, ())], ids=["statement", "look-up"])
def test_a_database_that_says_nothing_is_away(engine, ask):
    """Its disk hangs, or its machine is paused: nobody waits for it for ever."""
    with waiting_for(0.2), pytest.raises(Busy, match="does not answer"):
        ask("SELECT pg_sleep(600)")
    assert database.execute_sql("SELECT 1").fetchone() == (1,)


def test_a_statement_that_was_given_up_ends_in_the_database_too(engine):
    """Long counts that nobody waits for any more heaped up."""
    with waiting_for(0.2), pytest.raises(Busy):
        database.execute_sql("SELECT pg_sleep(600)")
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'sleep' AND pid <> pg_backend_pid()"
    assert database.execute_sql(at_work).fetchone()[0] > 0
    until(lambda: database.execute_sql(at_work).fetchone() == (0,))


def test_what_ended_a_transaction_is_told_and_not_that_its_connection_is_closed(engine, impatient):
    """As the rollback said, whatever had happened before."""
    impatient()
    with waiting_for(0.2), pytest.raises(Busy, match="does not answer"):
        engine.write(lambda: database.execute_sql("SELECT pg_sleep(600)"))


def test_a_commit_that_waits_for_a_standby_is_in_doubt(engine, postgres):
    """The standby is away, and PostgreSQL waits for it without limit. Reads go on, and what was written is there when it is back."""
    with waiting_for(0.5), postgres.waiting_for_a_standby():
        with pytest.raises(Unanswered):
            engine.write(add_key)
        assert rows.find_key("alice") is None
    until(lambda: rows.find_key("alice"))


def test_what_was_done_before_a_failover_and_is_not_after_it_is_in_doubt(engine):
    """It was read on the old primary, and is asked for once more on the new one, which never had it."""
    engine.confirm(lambda: True)
    with pytest.raises(Unanswered):
        engine.confirm(lambda: rows.find_key("alice") is not None)


def test_threads_do_not_wait_one_after_the_other_for_a_database_that_takes_no_connection(engine, monkeypatch):
    """Something listens there and says nothing; libpq waits for two seconds at least."""
    monkeypatch.setitem(address._CONNECTING, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        Postgresql(f"postgresql://lazu@127.0.0.1:{mute.getsockname()[1]}/lazu").open()
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            told = [pool.submit(database.execute_sql, "SELECT 1").exception for _ in range(16)]
            assert {type(each()) for each in told} == {Lost}
        assert time.monotonic() - began < 16  # one after the other: 32


def test_nor_for_one_that_takes_connections_and_answers_nothing(engine, monkeypatch):
    """As a pooler does whose PostgreSQL is away."""
    database.close_idle()
    monkeypatch.setattr(connections, "_LIMITS", "SELECT pg_sleep(5)")
    began = time.monotonic()
    with waiting_for(1.5), ThreadPoolExecutor(16) as pool:
        told = [pool.submit(database.execute_sql, "SELECT 1").exception for _ in range(16)]
        assert {type(each()) for each in told} == {Lost}
    assert time.monotonic() - began < 16  # one after the other: 24


def test_a_connection_that_is_there_is_used_while_another_thread_connects(engine, url, monkeypatch):
    """To a server whose packets are dropped that takes seconds; nobody could give a connection back meanwhile, nor take one."""
    monkeypatch.setitem(address._CONNECTING, "connect_timeout", 20)
    Postgresql(url).open()
    with socket.create_server(("127.0.0.1", 0)) as mute, ThreadPoolExecutor(1) as pool:
        with database.connection_context():
            database.connecting.servers = [{"host": "127.0.0.1", "port": str(mute.getsockname()[1])}]
            connects = pool.submit(database.execute_sql, "SELECT 1")
            heard = mute.accept()[0]
        assert rows.find_key("alice") is None
        assert not connects.done()
        heard.close()
        assert connects.result().fetchone() == (1,)


def test_a_server_of_several_that_is_silent_is_waited_for_once(url, monkeypatch):
    """It is what is left of the old primary after a failover: each new connection asked it first, for five seconds."""
    monkeypatch.setitem(address._CONNECTING, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        engine = Postgresql(url.replace("@", f"@127.0.0.1:{mute.getsockname()[1]},"))
        engine.open()
        for name in "ab":
            database.close_idle()
            engine.write(lambda name=name: add_key(name))
        mute.setblocking(False)
        mute.accept()[0].close()
        with pytest.raises(BlockingIOError):
            mute.accept()
    database.close_all()


def test_who_is_refused_a_connection_takes_one_that_comes_back(postgres, url):
    """PostgreSQL has a limit, and others are connected: that was 503, though each of ours comes back in milliseconds."""
    role = f"few_{secrets.token_hex(4)}"
    with postgres.connect(url.rpartition("/")[2]) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
        admin.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    Postgresql(url.replace("lazu@", f"{role}@")).open()
    with ThreadPoolExecutor(12) as pool:
        for _ in pool.map(lambda _: database.execute_sql("SELECT pg_sleep(0.05)::text"), range(60)):
            pass
    database.close_all()


def test_after_a_silence_in_a_transaction_no_connection_of_before_is_used(engine, impatient):
    """After a failover a write went from one silent connection to the next, 20 s each."""
    impatient()
    pid = "SELECT pg_backend_pid()"
    with database.connection_context(), ThreadPoolExecutor(1) as pool:
        before = {database.execute_sql(pid).fetchone(), pool.submit(database.execute_sql, pid).result().fetchone()}
    assert len(before) == 2
    with waiting_for(0.2), pytest.raises(Busy):
        engine.write(lambda: database.execute_sql("SELECT pg_sleep(600)"))
    assert database.execute_sql(pid).fetchone() not in before


def test_an_answer_that_ends_in_the_midst_of_a_row_is_a_lost_connection():
    """As a pooler gives whose server dies: libpq says it without a code, and it was 500."""
    assert isinstance(translated(psycopg.DatabaseError('insufficient data in "D" message')), Lost)
    assert isinstance(translated(psycopg.DataError("a text with a NUL")), Failed)


def test_a_connection_is_closed_only_when_the_thread_that_uses_it_is_done(engine):
    """Psycopg keeps libpq's pointer while it waits for an answer: it wrote to memory that was freed."""
    with ThreadPoolExecutor(1) as pool, database.connection_context():
        used = database.connection()
        pool.submit(database.close_all).result()
        assert not used.closed
    assert used.closed


def test_the_first_use_of_a_key_takes_no_connection_from_others(engine):
    """It is noted beside the request, and closed all idle connections."""
    with waiting_for(None):
        engine.serve()
        backend = database.execute_sql("SELECT pg_backend_pid()").fetchone()
        with engine.connected():
            pass
        assert database.execute_sql("SELECT pg_backend_pid()").fetchone() == backend


def test_an_old_connection_gives_way_to_a_new_one(engine):
    """What a server gathers for a connection goes with it."""
    with ahead(0) as clock:
        backend = database.execute_sql("SELECT pg_backend_pid()").fetchone()
        assert database.execute_sql("SELECT pg_backend_pid()").fetchone() == backend
        clock.tick(601)
        assert database.execute_sql("SELECT pg_backend_pid()").fetchone() != backend


def test_a_row_without_its_blob_is_refused_whole(engine, key):
    with pytest.raises(Absent):
        engine.write(lambda: (counts.add_purge(counts.Purge(started_at=1, finished_at=1, files=0, blobs=0, bytes=0)), rows.add_file(file(key))))
    assert counts.last_purge() is None


def test_the_same_row_twice_is_refused(engine, key):
    engine.write(lambda: (keep(), rows.add_file(file(key))))
    with pytest.raises(Present):
        engine.write(lambda: rows.add_file(file(key)))


def test_a_refusal_writes_nothing_and_comes_through(engine):
    def refuse():
        add_key("bob")
        raise InsufficientStorage("no")

    with pytest.raises(InsufficientStorage):
        engine.write(refuse)
    assert rows.find_key("bob") is None


def test_ids_sort_by_their_bytes(engine, key):
    """A collation of a language would sort them otherwise, and a page would miss some."""
    engine.write(keep)
    names = ["file-lazu-B", "file-lazu-a", "file-lazu-Z", "file-lazu-_"]
    for name in names:
        engine.write(lambda name=name: File.insert(**{**file(key).__data__, "id": name}).execute())
    listed = json.loads(f"[{list_rows.piece(key, list_rows.Paging(descending=False), 0).objects}]")
    assert [one["id"] for one in listed] == sorted(names)


def test_figures_are_whole_numbers(engine, key):
    engine.write(lambda: (keep(), rows.add_file(file(key))))
    assert counts.by_key(0) == {key.id: (1, 2**40)}
    assert counts.by_age(0, 30, 0) == {0: (1, 2**40)}
    assert {type(figure) for figure in (*counts.total(0), *counts.expired(0))} == {int}


def test_opening_twice_changes_nothing_and_a_newer_schema_stops_the_start(engine, url):
    Postgresql(url).open()
    database.execute_sql("INSERT INTO schema VALUES (1000)")
    with pytest.raises(CannotStart, match="newer Lazu"):
        Postgresql(url).open()


def test_tables_of_an_older_lazu_are_brought_up_to_date(url, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:5])
        engine = Postgresql(url)
        engine.open()
        engine.write(lambda: rows.add_key("alice", "old"))
        engine.write(lambda: (keep(), rows.add_file(file(rows.find_key("alice")))))
    Postgresql(url).open()
    assert counts.held(rows.find_key("alice").id, 0) == 2**40
    assert object_rows.is_counted()
    engine.write(lambda: rows.renew_key(rows.find_key("alice"), "new"))
    assert rows.was_secret("old")


@pytest.mark.parametrize("held", [0, 2.5])
def test_steps_get_past_a_box_that_serves_and_locks_the_tables_the_other_way_round(url, postgres, monkeypatch, held):
    """A delete locks `file`, then `blob`; a migration that kept `blob` while it waited for `file` was a deadlock."""
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:6])
        Postgresql(url).open()
    newer = f"from lazu.store.postgresql.engine import Postgresql; Postgresql({url!r}).open()"
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'file'::regclass"
    name = url.rpartition("/")[2]
    with postgres.connect(name) as box, postgres.connect(name) as watcher:
        box.execute("BEGIN; LOCK TABLE file IN ROW EXCLUSIVE MODE")
        command = subprocess.Popen([sys.executable, "-c", newer], cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        until(lambda: watcher.execute(waiting).fetchone() == (1,))
        box.execute("LOCK TABLE blob IN ROW SHARE MODE")
        time.sleep(held)
        box.execute("COMMIT")
    assert command.communicate()[1] == ""
    Postgresql(url).open()
    assert database.execute_sql("SELECT max(version) FROM schema").fetchone() == (len(schema.STEPS),)
    database.close_all()


def test_boxes_that_start_at_once_make_the_tables_once(url):
    code = f"from lazu.store.postgresql.engine import Postgresql; Postgresql({url!r}).open()"
    boxes = [subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT) for _ in range(4)]
    assert [box.wait() for box in boxes] == [0] * 4


def test_a_box_that_starts_while_no_tables_can_be_made_works_with_those_that_are_there(engine, key, postgres, url):
    """PostgreSQL refuses `CREATE TABLE IF NOT EXISTS` then too: a worker that started answered nothing but 503."""
    role, name = f"plain_{secrets.token_hex(6)}", url.rpartition("/")[2]
    with postgres.connect(name) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    for user in ("lazu", role):
        Postgresql(url.replace("lazu@", f"{user}@")).open()
        assert rows.find_key("alice") == key


def test_more_threads_than_connections_take_turns(engine):
    def one(number):
        engine.write(lambda: (add_key(f"key-{number}"), time.sleep(0.01)))

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(one, range(60)))
    assert len(rows.all_keys()) == 60
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert database.execute_sql(query).fetchone()[0] <= POOL


def test_a_query_and_a_transaction_outlive_their_connections(engine, key, postgres, url):
    rows.find_key("alice")
    assert postgres.terminate(url) > 0
    assert rows.find_key("alice") is not None
    postgres.terminate(url)
    engine.write(lambda: rows.update_key(key, quota_bytes=5))
    assert rows.find_key("alice").quota_bytes == 5


def test_a_transaction_whose_backend_ends_midway_is_said_again(engine, postgres, url):
    said = []

    def work():
        add_key(f"key-{len(said)}")
        said.append(len(said))
        if len(said) < 3:
            postgres.terminate(url)
            rows.all_keys()

    engine.write(work)
    assert [key.name for key in rows.all_keys()] == ["key-2"]


def test_a_commit_without_an_answer_is_in_doubt(engine, postgres, url):
    def work():
        add_key()
        postgres.terminate(url)

    with pytest.raises(Doubt):
        engine.write(work)
    assert rows.all_keys() == []


@pytest.mark.parametrize("forgotten", [False, True], ids=["connection", "pooler"])
def test_a_transaction_sees_what_others_committed_whatever_the_database_says(postgres, url, forgotten):
    """By what is read after a wait for a key's row its quota is kept: at `repeatable read` it held five times as much."""
    with postgres.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_isolation = 'repeatable read'")
    engine = Postgresql(url)
    engine.open()
    if forgotten:
        database.execute_sql("RESET default_transaction_isolation")
    else:
        assert database.execute_sql("SHOW transaction_isolation").fetchone() == ("read committed",)
    seen = engine.write(lambda: (len(rows.all_keys()), other_box(postgres, url), len(rows.all_keys())))
    assert (seen[0], seen[2]) == (0, 1)
    database.close_all()


def other_box(postgres, url):
    with postgres.connect(url.rpartition("/")[2]) as connection:
        connection.execute("INSERT INTO key (name, created_at) VALUES ('bob', 1)")


def repeated():
    """The transactions that were repeated, as /metrics shows them."""
    return float(re.search(r"^lazu_transactions_repeated_total (.*)", metrics.render([]).decode(), re.MULTILINE)[1])


def test_transactions_of_a_deadlock_are_retried(engine):
    before = repeated()
    engine.write(lambda: [add_key("a"), Key.insert(name="b", created_at=1).execute()])
    a, b = rows.find_key("a"), rows.find_key("b")
    meet = threading.Barrier(2)

    def both(first, second):
        rows.update_key(first, quota_bytes=1)
        if not meet.broken:
            with suppress(threading.BrokenBarrierError):
                meet.wait(10)
        rows.update_key(second, quota_bytes=2)
        meet.abort()

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(engine.write, lambda: both(a, b)), pool.submit(engine.write, lambda: both(b, a))]:
            each.result()
    assert repeated() > before


def test_a_database_that_is_away_is_busy_and_shows_no_password(impatient, caplog):
    impatient()
    away = Postgresql(f"postgresql://lazu:hidden-word@127.0.0.1:{free_port()}/lazu")
    away.open()
    with pytest.raises(Busy) as error:
        rows.all_keys()
    assert "hidden-word" not in f"{error.value!r} {error.value.__cause__!r} {caplog.text}"
    with pytest.raises(Busy):
        away.write(add_key)


def test_a_database_that_comes_later_gets_its_tables_then(postgres):
    name = f"lazu_{secrets.token_hex(6)}"
    engine = Postgresql(postgres.url(name))
    engine.open()
    with postgres.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    engine.write(add_key)
    assert [key.name for key in rows.all_keys()] == ["alice"]
    database.close_all()


def test_what_no_repeat_can_cure_fails_at_once(engine):
    with pytest.raises(Failed):
        engine.write(lambda: database.execute_sql("SELECT nothing"))


def test_a_right_that_the_role_has_lost_is_for_its_operator(engine):
    def look():
        database.execute_sql("SET LOCAL ROLE pg_monitor")
        database.execute_sql("SELECT * FROM key")

    with pytest.raises(Unfit, match="42501 permission denied"):
        engine.write(look)


def test_a_key_is_not_revoked_while_a_transaction_adds_to_it(engine, key):
    """Else a file could come after `revoke --delete-files` had looked for them."""
    held, done = threading.Event(), threading.Event()

    def add():
        assert rows.hold_key(key, alone=False)
        held.set()
        assert done.wait(30)

    with ThreadPoolExecutor(3) as pool:
        adding = pool.submit(engine.write, add)
        assert held.wait(30)
        assert pool.submit(engine.write, lambda: rows.hold_key(key, alone=False)).result(), "others may add to it too"
        revoking = pool.submit(engine.write, lambda: rows.update_active_key(key, revoked_at=1))
        with pytest.raises(TimeoutError):
            revoking.result(0.3)
        done.set()
        assert revoking.result()
        adding.result()
    assert not engine.write(lambda: rows.hold_key(key, alone=False))


def test_a_key_that_is_to_be_revoked_is_held_by_nobody_who_comes_later(engine, key):
    """Who uploaded without a pause kept its key for 16 s, and more: there was always somebody who shared its row."""
    held, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        adding = pool.submit(engine.write, lambda: (rows.hold_key(key, alone=False), held.set(), done.wait(30)))
        assert held.wait(30)
        revoking = pool.submit(engine.write, lambda: rows.update_active_key(key, revoked_at=1))
        waits = "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = current_database()"
        until(lambda: database.execute_sql(waits).fetchall())
        later = pool.submit(engine.write, lambda: rows.hold_key(key, alone=False))
        with pytest.raises(TimeoutError):
            later.result(0.3)
        done.set()
        assert revoking.result()
        assert not later.result()
        assert adding.result()[0]


def test_a_look_up_is_one_question(engine, key, postgres, url):
    """Taking a connection costs no round trip: two statements are in the log of PostgreSQL for two look-ups."""
    database.execute_sql("SET log_statement = 'all'")
    before = len(postgres.log())
    rows.find_key("alice")
    rows.key_of(rows.by_name("alice"))
    assert len(said(postgres, before)) == 2


def said(postgres, before):
    """The statements in the log of PostgreSQL after its first `before` characters."""
    return [line for line in postgres.log()[before:].splitlines() if "statement: " in line or "execute " in line]


def test_a_question_is_read_and_planned_once_a_connection(engine, key, postgres):
    database.execute_sql("SET log_statement = 'all'")
    before = len(postgres.log())
    for _ in range(3):
        assert rows.key_of(rows.by_name("alice")).id == key.id
    assert [" execute lazu_" in line for line in said(postgres, before)] == [True] * 3
    [(count,)] = database.execute_sql("SELECT count(*) FROM pg_prepared_statements").fetchall()
    assert count == 1


def planned(mode="auto"):
    """The questions that are prepared, each with its plan."""
    with database.connection_context():
        connection = database.connection()
        connection.execute(f"SET plan_cache_mode = {mode}")
        asked = connection.execute("SELECT statement, name, array_length(parameter_types, 1) FROM pg_prepared_statements").fetchall()
        plans = [str(connection.execute(f"EXPLAIN EXECUTE {name}({', '.join('1' * count)})").fetchall()) for _, name, count in asked]
    return [(statement, plan) for (statement, *_), plan in zip(asked, plans, strict=True)]


def test_a_plan_that_was_made_for_an_empty_table_finds_a_file_by_its_id(engine, key):
    """It stays for minutes, whatever comes meanwhile."""
    for _ in range(8):
        assert rows.key_and_file(rows.by_name("alice"), file(key).id, 0)[1] is None
        assert rows.file_of(key, file(key).id, 0) is None
        assert upload_rows.upload_of(key, "upload_1", 0) is None
    plans = [plan for _, plan in planned()]
    assert len(plans) == 3
    assert all("_pkey" in plan and "_by_" not in plan for plan in plans), plans


@pytest.mark.parametrize("after", [None, "file-lazu-1"])
@pytest.mark.parametrize(("purpose", "index"), [(None, "file_by_key"), ("vision", "file_by_purpose")])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_is_read_in_the_order_of_its_index(engine, key, descending, purpose, index, after):
    """Also by a plan for an empty table: 100,000 files were all read, and sorted, for a page, until PostgreSQL counted them."""
    paging = list_rows.Paging(descending=descending, purpose=purpose, after=after)
    for _ in range(8):
        list_rows.piece(key, paging, 0)
        list_rows.key_and_piece(rows.by_name("alice"), paging, 0)
    plans = [plan for _, plan in planned()]
    assert len(plans) == 2
    assert all("$1" in plan for plan in plans), "the plans that stay"
    assert all(index in plan and "Sort" not in plan for plan in plans), plans


MANY = """INSERT INTO file SELECT 'file-lazu-' || lpad(n::text, 26, '0'), CASE WHEN n > 3 THEN {many} ELSE {few} END, repeat('a', 64), 1,
    'a.txt', 'user_data', 'text/plain', 1, 2::bigint ^ 40 FROM generate_series(1, {count}) AS n"""


def test_a_page_of_a_key_with_few_files_reads_none_of_the_many_beside_them(engine, key):
    """Ids are in order by their own index, too: all of that was read, for the planner takes all keys for alike."""
    engine.write(lambda: (add_key("bob"), keep()))
    bob = rows.find_key("bob")
    database.execute_sql(MANY.format(many=key.id, few=bob.id, count=40_000))
    database.execute_sql("ANALYZE file")
    for descending, purpose in product((True, False), (None, "user_data")):
        paging = list_rows.Paging(limit=1, descending=descending, purpose=purpose)
        assert json.loads(list_rows.piece(bob, paging, 0).objects)["id"] == file(bob, 3 if descending else 1).id
        assert list_rows.key_and_piece(rows.by_name("bob"), paging, 0)[1].more
    questions = [each for mode in ("force_generic_plan", "force_custom_plan") for each in planned(mode)]
    assert len(questions) == 16
    for text, plan in questions:
        assert "file_by_" in plan, (text, plan)
        assert "Sort" not in plan, (text, plan)


@pytest.mark.parametrize("change", ["DEALLOCATE ALL", "ALTER TABLE key ALTER quota_bytes TYPE NUMERIC"])
def test_a_question_that_the_server_has_forgotten_is_answered_all_the_same(engine, key, change):
    """A pooler gave this connection another server's, or a newer Lazu changed a table."""
    assert rows.key_of(rows.by_name("alice")).id == key.id
    database.execute_sql(change)
    assert [rows.key_of(rows.by_name("alice")).id for _ in range(2)] == [key.id] * 2


def test_a_question_that_another_client_prepared_is_not_prepared_again(engine, key):
    """Behind a pooler names are shared: a name is that of one text."""
    assert rows.key_of(rows.by_name("alice")).id == key.id
    with database.connection_context():
        database.connection().prepared.clear()
    assert rows.key_of(rows.by_name("alice")).id == key.id


def test_within_a_transaction_nothing_is_taken_for_prepared(engine, key):
    """An error would end it."""
    assert rows.key_of(rows.by_name("alice")).id == key.id
    database.execute_sql("DEALLOCATE ALL")
    assert engine.write(lambda: rows.hold_key(rows.key_of(rows.by_name("alice")), alone=False))


def test_a_list_says_of_a_file_what_its_object_says(engine, key):
    """Whatever its name has: here PostgreSQL writes it, and SQLite elsewhere (test_growth.py)."""
    odd = File(**{**file(key).__data__, "filename": 'größe "quoted" back\\slash \u2028 \x01\t\x7f \U0001f4c4 % %s {} .txt'})
    engine.write(lambda: (keep(), rows.add_file(odd)))
    assert json.loads(list_rows.piece(key, list_rows.Paging(), 0).objects) == odd.as_json() == rows.file_of(key, odd.id, 0).as_json()


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_and_what_follows_is_one_question(engine, key, postgres, descending):
    engine.write(lambda: (keep(), [rows.add_file(file(key, number)) for number in range(4)]))
    database.execute_sql("SET log_statement = 'all'")
    before = len(postgres.log())
    found = list_rows.piece(key, list_rows.Paging(limit=3, descending=descending), 0)
    assert (found.files, found.more) == (3, True)
    rest = list_rows.piece(key, list_rows.Paging(limit=3, descending=descending, after=found.ends[1]), 0)
    assert (rest.files, rest.more) == (1, False)
    assert len(said(postgres, before)) == 2


def test_a_standby_that_was_not_promoted_yet_is_busy_and_no_failure(engine, key, impatient):
    """An address that leads there before its time is 503 for a while; a box that starts then waits."""
    impatient()
    with pytest.raises(Busy):
        engine.write(lambda: (database.execute_sql("SET TRANSACTION READ ONLY"), rows.add_file(file(key))))


def test_a_server_that_takes_no_writes_is_left_for_another(engine):
    """Behind one address there may be another now, and its connection would be the same for minutes."""
    backends = []

    def work():
        backends.append(database.execute_sql("SELECT pg_backend_pid()").fetchone())
        if len(backends) == 1:
            database.execute_sql("SET TRANSACTION READ ONLY")
        rows.add_key("bob", "0" * 64)

    engine.write(work)
    assert len(set(backends)) == 2
