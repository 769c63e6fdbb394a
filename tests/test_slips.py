"""What a careless operator does, and a key that is taken away at the wrong moment."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from helpers.server import Server, opened, problems
from helpers.uploads import added, complete, created
from helpers.wire import PURPOSE, dial, form, head, part, request, stored, upload
from lazu import clock, config
from lazu.errors import CannotStart, InvalidApiKey
from lazu.store import counts, rows
from lazu.store.uploads import Completion, Declared


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_a_key_that_is_taken_away_while_its_upload_runs_gets_no_file(server, change):
    name = f"taken-{change}"
    key = server.new_key(name)
    body = form(PURPOSE, part("file", b"x" * 100_000, "a.txt"))
    with closing(dial(server, head(key, length=len(body)) + body[:50_000])) as sock:
        time.sleep(0.3)  # the upload has begun
        with opened(server.storage) as store:
            getattr(store.keys, change)(name)
        sock.sendall(body[50_000:])
        sock.settimeout(30)
        assert b" 401 " in sock.recv(65536)
    with opened(server.storage) as store:
        assert store.files.delete_all(store.keys.find(name)) == 0


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_a_key_that_is_taken_away_while_its_call_arrives_asks_no_model(native, double, change):
    """The call went on, with the key's file, for as long as its body took to come."""
    name = f"call-{change}"
    key = native.server.new_key(name)
    part = {"type": "input_file", "file_id": stored(native.server, key, b"words")["id"]}
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": [part]}]}).encode()
    with closing(dial(native.server, head(key, path="/v1/responses", length=len(body)) + body[:50])) as sock:
        time.sleep(0.3)  # the call has begun
        native.server.flask("keys", change, name)
        sock.sendall(body[50:])
        sock.settimeout(30)
        assert b" 401 " in sock.recv(65536)
    assert double.received == []


def test_a_backup_is_not_restored_beside_a_server(serve, tmp_path):
    server = serve()
    stored(server, server.new_key())
    server.flask("backup", str(tmp_path / "backup"))
    other = serve()
    refused = other.flask("restore", str(tmp_path / "backup"), check=False)
    assert refused.returncode == 1
    assert "a server is running" in refused.stderr
    assert refused.stderr.count("\n") == 1
    other.stop()
    assert other.flask("restore", str(tmp_path / "backup")).returncode == 0


def test_blobs_whose_database_is_gone_are_kept(serve, tmp_path):
    """A new one was begun, and the next purge removed them all."""
    server = serve()
    stored(server, server.new_key(), b"theirs")
    server.stop()
    for file in server.storage.glob("lazu.sqlite3*"):
        file.rename(tmp_path / file.name)
    for command in ("purge", "keys create bob"):
        done = server.flask(*command.split(), check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "holds blobs and no lazu.sqlite3" in done.stderr
    for file in tmp_path.glob("lazu.sqlite3*"):
        file.rename(server.storage / file.name)
    assert "1 files, all sound" in server.flask("fsck").stdout


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_blob_that_is_no_file_is_never_opened(serve, kind):
    server = serve()
    key = server.new_key()
    file = stored(server, key, b"the bytes" * 4000)  # few would be in the journal still
    [blob] = server.blobs()
    content = blob.read_bytes()
    blob.unlink()
    if kind == "link":
        blob.symlink_to("/etc/passwd")
    else:
        os.mkfifo(blob)
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.status in (404, 500)
    assert b"root:" not in answer.body
    told = server.flask("fsck", "--rehash", check=False)
    assert told.returncode == 1
    assert blob.name in told.stdout + told.stderr or file["id"] in told.stdout
    blob.unlink()
    blob.write_bytes(content)


def test_storage_that_is_moved_away_and_made_anew_takes_nothing(serve, tmp_path):
    """What is committed in a directory that was moved away nobody finds again."""
    server = serve(LAZU_WORKERS="1")  # a second one might start only after the move
    key = server.new_key()
    file = stored(server, key, b"before")
    begun = created(server, key, 5)
    ids = [added(server, key, begun, b"piece")]
    assert request(server, "GET", "/readyz").status == 200
    server.storage.rename(tmp_path / "moved")
    server.flask("purge")  # by cron: it makes a new, empty store
    answers = [upload(server, key, PURPOSE, part("file", b"%d" % number, "a.txt")) for number in range(20)]
    answers += [complete(server, key, begun, ids) for _ in range(20)]
    for answer in answers:
        assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
        assert b"moved" in answer.body
    assert request(server, "GET", "/readyz").status == 503
    assert request(server, "GET", "/healthz").status == 200
    assert server.blobs() == []
    server.stop()
    with opened(tmp_path / "moved") as store:
        assert counts.count() == 1
        assert store.files.get(rows.all_keys()[0], file["id"]).bytes == 6


def test_storage_that_is_moved_away_is_not_begun_anew(serve, tmp_path):
    """A thread that had no connection yet made a database there, which others could read, and its error was to be repeated."""
    server = serve(LAZU_WORKERS="1")
    key = server.new_key()
    assert request(server, "GET", "/healthz").status == 200
    server.storage.rename(tmp_path / "moved")
    server.storage.mkdir()
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: request(server, "GET", "/v1/files", key), range(40)))
    assert {(answer.status, answer.headers.get("x-should-retry")) for answer in answers} == {(500, "false")}
    assert list(server.storage.glob("lazu.sqlite3*")) == []


@pytest.mark.parametrize("command", ["create", "quota"])
def test_a_quota_that_no_database_can_keep_is_refused(serve, command):
    server = serve()
    server.new_key("bob")
    argv = {"create": ("create", "carol", "--quota", "99999999T"), "quota": ("quota", "bob", "8388608TB")}[command]
    refused = server.flask("keys", *argv, check=False)
    assert refused.returncode == 2
    assert "more than any key can hold" in refused.stderr
    for most in ("8388607TB", str(2**63 - 1)):
        assert server.flask("keys", "quota", "bob", most).returncode == 0


@pytest.mark.parametrize("below", ["", "blobs/ab", "new"])
def test_no_backup_goes_into_the_store(serve, below):
    server = serve()
    refused = server.flask("backup", str(server.storage / below), check=False)
    assert (refused.returncode, "the store itself" in refused.stderr, refused.stderr.count("\n")) == (1, True, 1)
    assert not (server.storage / "new").exists()


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_files_have_their_modes_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        server = Server(tmp_path / "made" / "storage", {"LAZU_WORKERS": "1"})
        server.storage.parent.mkdir(mode=0o755)
        server.start()
    finally:
        os.umask(before)
    try:
        key = server.new_key()
        stored(server, key)
        server.flask("purge")
    finally:
        server.stop()
    modes = {path.relative_to(server.storage): path.stat().st_mode & 0o777 for path in server.storage.rglob("*")}
    for path, mode in modes.items():
        if path.parts[0] == "blobs":
            assert mode == (0o640 if len(path.name) == 64 else 0o750), path
        else:
            assert mode == 0o600, path
    assert server.storage.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_a_key_that_is_taken_away_while_its_part_runs_adds_nothing(server, change):
    name = f"part-{change}"
    key = server.new_key(name)
    with opened(server.storage):
        others = counts.total(clock.now()).part_bytes
    begun = created(server, key, 100_000)
    body = form(part("data", b"x" * 100_000))
    path = f"/v1/uploads/{begun['id']}/parts"
    with closing(dial(server, head(key, path=path, length=len(body)) + body[:50_000])) as sock:
        time.sleep(0.3)  # the part has begun
        taken = server.flask("keys", change, name, *(["--delete-files"] if change == "revoke" else []))
        assert taken.returncode == 0
        sock.sendall(body[50_000:])
        sock.settimeout(60)
        assert b" 401 " in sock.recv(65536)
    assert all(blob.stat().st_size != 100_000 for blob in server.blobs())
    with opened(server.storage) as store:
        assert counts.total(clock.now()).part_bytes == others
        assert store.files.delete_all(store.keys.find(name)) == 0


def test_a_key_that_is_taken_away_while_its_upload_is_completed_gets_no_file(tmp_path):
    with opened(tmp_path / "storage") as store:
        store.keys.create("alice")
        key = store.keys.find("alice")
        begun = store.uploads.create(key, Declared("a.txt", 4, "user_data", None))
        with store.contents.stage(4) as staged:
            staged.write(b"part")
            added = store.uploads.add_part(key, begun, staged)
        store.keys.revoke("alice")
        with pytest.raises(InvalidApiKey):
            store.uploads.complete(key, begun.id, Completion([added.id], None))
        with pytest.raises(InvalidApiKey):
            store.uploads.create(key, Declared("b.txt", 4, "user_data", None))
        assert counts.count() == 0
        store.uploads.delete_all(key)
        assert counts.total(clock.now()).part_bytes == 0
    assert problems(tmp_path / "storage") == []


WRONG = {
    "a misspelt name": (b"LAZU_RETENTON_DAYS=7\n", "LAZU_RETENTON_DAYS in .env is no setting; LAZU_RETENTION_DAYS is one"),
    "a name of another time": (b"LAZU_NOTHING_LIKE_IT=7\n", "LAZU_NOTHING_LIKE_IT in .env is no setting."),
    "no assignment": (b"OTHER=1\nLAZU_RETENTION_DAYS: 7\n", "line 2 of .env is not NAME=value"),
    "a name alone": (b"LAZU_KEY_QUOTA_BYTES\n", "line 1 of .env is not NAME=value"),
    "an exported name alone": (b"OTHER=1\n\nexport LAZU_KEY_QUOTA_BYTES\n", "line 3 of .env is not NAME=value"),
    "a word": (b"nonsense\n", "line 1 of .env is not NAME=value"),
    "a hyphen in the name": (b"LAZU-KEY_QUOTA_BYTES=5\n", "LAZU-KEY_QUOTA_BYTES in .env is no setting; LAZU_KEY_QUOTA_BYTES is one"),
    "a name in small letters": (b"lazu_key_quota_bytes=5\n", "lazu_key_quota_bytes in .env is no setting; LAZU_KEY_QUOTA_BYTES is one"),
    "a setting behind another variable": (b"FOO=1 LAZU_KEY_QUOTA_BYTES=5\n", "FOO has another variable in its value"),
    "two in one line": (b"A=1\nPGHOST=db.internal  PGUSER=x PGPASSWORD=y\n", "PGHOST has another variable in its value"),
    "UTF-16, as Windows has it": ("LAZU_RETENTION_DAYS=7\n".encode("utf-16"), "can't be read as UTF-8"),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_file_of_settings_stops_the_start(dotenv, text, told):
    """Passed over in silence, a quota would not be there."""
    dotenv.write_bytes(text)
    with pytest.raises(CannotStart) as stopped:
        config.read({})
    assert told in str(stopped.value)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("gone"), os.mkfifo], ids=["directory", "link", "pipe"])
def test_what_is_there_but_no_file_of_settings_stops_the_start(dotenv, make):
    """It counted as none, and the server began with a new, empty store. Docker makes a directory of a missing mount."""
    assert config.read({}).settings == config.Settings()
    make(dotenv)
    with pytest.raises(CannotStart, match=r"\.env is no file"):
        config.read({})


def test_the_file_of_settings_may_be_a_link(dotenv):
    dotenv.with_name("of.another.name").write_text("LAZU_RETENTION_DAYS=7\n")
    dotenv.symlink_to("of.another.name")
    assert config.read({}).settings.retention_days == 7


@pytest.mark.parametrize("name", ["AWS_REGION", "PGHOST", "LAZU_API_KEY"])
@pytest.mark.parametrize("between", [" ", "\t", "; export ", "\n"])
def test_two_variables_in_one_line_show_no_secret(dotenv, name, between):
    """The second was a part of the first, which the clients of the engines quote."""
    value = f"here{between}PGPASSWORD=hidden"
    dotenv.write_text(f'{name}="{value}"\n' if between == "\n" else f"{name}={value}\n")
    with pytest.raises(CannotStart, match=f"{name} has another variable in its value") as stopped:
        config.read({})
    assert "hidden" not in str(stopped.value)


@pytest.mark.parametrize("text", ["LAZU_API_KEY=an A=b PG", "PGOPTIONS=-c TZ=UTC", "OF_OTHERS=a B=b"])
def test_a_value_in_the_file_of_settings_may_have_words_and_equals(dotenv, text):
    dotenv.write_text(text)
    assert config.read({}).settings.api_key in ("an A=b PG", None)


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfLAZU_RETENTION_DAYS=7\r\nPATH_OF_OTHERS=/x\r\n", b"# what\nexport LAZU_RETENTION_DAYS = '7' # days\n"])
def test_a_file_of_settings_may_be_written_anywhere(dotenv, text):
    dotenv.write_bytes(text)
    assert config.read({}).settings.retention_days == 7


def test_in_quotes_backslashes_escape(dotenv):
    """As docs/settings.md says."""
    for written, read in ((r"a\\b", r"a\\b"), (r"'a\\b\n'", r"a\b\n"), (r'"a\\b\""', r'a\b"')):
        dotenv.write_text(f"LAZU_API_KEY={written}")
        assert config.read({}).settings.api_key == read


def test_a_variable_that_is_empty_counts_as_not_set(dotenv):
    dotenv.write_text("LAZU_RETENTION_DAYS=7\nLAZU_THREADS=3\nLAZU_THREADS=\n")
    settings = config.read({"LAZU_RETENTION_DAYS": ""}).settings
    assert (settings.retention_days, settings.threads) == (7, 16)


@pytest.mark.parametrize("text", [b"LAZU_API_KEY=a${b}c#$HOME", b"LAZU_API_KEY='a${b}c#$HOME' # a comment"])
def test_a_secret_in_the_file_of_settings_is_taken_as_it_stands(dotenv, text):
    """`${b}` was taken for a variable that is not set, in silence: the secret was another one."""
    dotenv.write_bytes(text)
    assert config.read({}).settings.api_key == "a${b}c#$HOME"
