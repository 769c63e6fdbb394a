"""Keys: who may call, how keys are made and unmade, and that their secrets are kept nowhere."""

import hashlib
import json
import subprocess
import sys
from contextlib import suppress

import peewee
import pytest

from helpers.in_process import put
from helpers.server import opened
from helpers.wire import request, stored
from lazu import config
from lazu.errors import CannotStart, Full
from lazu.store import rows
from lazu.store.keys import KeyProblem
from lazu.store.sqlite import engine as sqlite

pytestmark = pytest.mark.both_stores


@pytest.mark.one_box("SQLite's COMMIT fails")
def test_a_revocation_that_is_not_committed_is_not_in_the_audit_log(app, monkeypatch):
    def failing():
        raise peewee.OperationalError("database or disk is full")

    store = app.extensions["lazu"]
    with store.engine.connected():
        store.keys.create("alice")
        with monkeypatch.context() as patch:
            patch.setattr(sqlite.database, "commit", failing)
            with pytest.raises(Full):
                store.keys.revoke("alice")
        assert store.keys.find("alice").revoked_at is None
        assert "key-revoked" not in (store.settings.storage_dir / "audit.log").read_text()
        store.keys.revoke("alice")
    assert "key-revoked" in (store.settings.storage_dir / "audit.log").read_text()


def status(server, **headers):
    return request(server, "GET", "/v1/files", headers=headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_accepted_in_any_case(server, scheme):
    assert status(server, Authorization=f"{scheme} {server.new_key()}").status == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer sk-lazu-unknown", "Basic dXNlcjpwYXNz", "{key}", "Token {key}", "Bearer {key} {key}",
     "Bearer\t{key}", "Bearer {key}x"],
)  # fmt: skip
def test_every_wrong_key_gets_the_same_401(server, authorization):
    key = server.new_key()
    headers = {} if authorization is None else {"Authorization": authorization.format(key=key)}
    answer = status(server, **headers)
    assert answer.error == (401, "invalid_api_key", None)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.body == status(server).body


def test_a_key_in_the_query_is_not_accepted(server):
    key = server.new_key()
    for name in ("key", "api_key", "access_token", "authorization"):
        assert request(server, "GET", f"/v1/files?{name}={key}").status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("GET", ""), ("GET", "/file-x"), ("GET", "/file-x/content"), ("DELETE", "/file-x")],
)
def test_every_endpoint_asks_for_a_key(server, method, path):
    assert request(server, method, f"/v1/files{path}").error == (401, "invalid_api_key", None)


@pytest.mark.parametrize("key", ["any-string/at=all", "My API Key", "Bearer x", "a  b", "schlüssel €"])
def test_the_key_of_the_environment_exists_from_the_start(serve, key):
    server = serve(LAZU_API_KEY=key)
    headers = {"Authorization": f"Bearer {key}".encode()}
    assert status(server, **headers).status == 200
    for wrong in (key[:-1], f"{key} {key}", key.split()[0] + "x"):
        assert status(server, Authorization=f"Bearer {wrong}".encode()).status == 401


@pytest.mark.parametrize("key", [" x", "x ", "a\nb", "a\tb", "a\u2028b"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start_by_name(key):
    with pytest.raises(CannotStart, match="LAZU_API_KEY must be printable"):
        config.read({"LAZU_API_KEY": key})


def test_the_key_of_the_environment_goes_with_it(serve):
    server = serve(LAZU_API_KEY="first")
    file = stored(server, "first")
    server.stop()
    server.env["LAZU_API_KEY"] = "second"
    server.start()
    assert status(server, Authorization="Bearer first").status == 401
    assert request(server, "GET", f"/v1/files/{file['id']}", "second").json == file
    assert [key["name"] for key in json.loads(server.flask("keys", "list", "--json").stdout)] == ["default"]


def test_the_key_of_the_environment_may_be_that_of_somebody(serve):
    """Who exports their own key for curl, and starts Lazu there, keeps their files."""
    server = serve()
    key = server.new_key("ann")
    file = stored(server, key)
    server.stop()
    server.env["LAZU_API_KEY"] = key
    server.start()
    assert request(server, "GET", f"/v1/files/{file['id']}", key).json == file


def test_the_key_of_the_environment_does_not_bring_a_revoked_key_back(serve):
    server = serve()
    key = server.new_key("ann")
    server.stop()
    server.env["LAZU_API_KEY"] = key
    server.start()
    assert server.flask("keys", "rotate", "ann", check=False).returncode == 1, "the old secret would open `default`"
    server.flask("keys", "revoke", "ann")
    for _ in range(2):
        assert status(server, Authorization=f"Bearer {key}").status == 401
        server.stop()
        server.start()
    assert "LAZU_API_KEY opens nothing" in server.log.read_text()


def test_the_key_of_the_environment_does_not_bring_a_renewed_secret_back(serve):
    """Lazu, started in a shell that has a client's key of before: it opened the files of `default`."""
    server = serve(LAZU_API_KEY="first")
    file, key = stored(server, "first"), server.new_key("ann")
    for name in ("ann", "default"):
        server.flask("keys", "rotate", name)
        server.stop()
        server.env["LAZU_API_KEY"] = key
        server.start()
        assert status(server, Authorization=f"Bearer {key}").status == 401
        key = server.flask("keys", "rotate", "default").stdout.strip()
        assert request(server, "GET", f"/v1/files/{file['id']}", key).json == file
    assert "LAZU_API_KEY opens nothing" in server.log.read_text()


def test_of_two_rotations_at_once_the_secret_that_is_overtaken_opens_nothing_later(app, monkeypatch):
    keys = app.extensions["lazu"].keys
    with app.extensions["lazu"].engine.connected():
        secrets = [keys.create("ann")]
        ann = keys.find("ann")
        monkeypatch.setattr(keys, "find", lambda _: ann)  # both have read the first one
        secrets += [keys.rotate("ann"), keys.rotate("ann")]
        assert [rows.was_secret(hashlib.sha256(secret.encode()).hexdigest()) for secret in secrets] == [True] * 3


def test_the_key_of_the_environment_is_renewed_by_its_setting_alone(serve):
    server = serve(LAZU_API_KEY="first")
    refused = server.flask("keys", "rotate", "default", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "change it in .env or in the environment" in refused.stderr
    again = server.flask("keys", "create", "default", check=False)
    assert (again.returncode, "change it" in again.stderr, "rotate" in again.stderr) == (1, True, False)
    server.flask("keys", "revoke", "default")
    server.stop()
    server.env["LAZU_API_KEY"] = "second"
    server.start()
    assert status(server, Authorization="Bearer second").status == 401
    assert "LAZU_API_KEY opens nothing" in server.log.read_text()


def test_create_prints_the_key_alone_and_once(server):
    made = server.flask("keys", "create", "alice")
    assert made.stdout.startswith("sk-lazu-")
    assert made.stdout.count("\n") == 1
    assert status(server, Authorization=f"Bearer {made.stdout.strip()}").status == 200
    assert made.stdout.strip() not in server.flask("keys", "list").stdout


def test_a_revoked_key_is_refused_and_its_files_live_on(server):
    key = server.new_key("bob")
    stored(server, key, b"bob's own words")
    before = server.blobs()
    server.flask("keys", "revoke", "bob")
    assert status(server, Authorization=f"Bearer {key}").error == (401, "invalid_api_key", None)
    assert server.blobs() == before
    assert "revoked" in server.flask("keys", "list").stdout


def test_revoke_can_take_the_files_along(server):
    key, other = server.new_key("carol"), server.new_key()
    stored(server, key, b"carol's own words")
    shared = stored(server, key, b"shared words"), stored(server, other, b"shared words")
    before = len(server.blobs())
    assert "deleted 2 files" in server.flask("keys", "revoke", "carol", "--delete-files").stdout
    assert len(server.blobs()) == before - 1
    assert request(server, "GET", f"/v1/files/{shared[1]['id']}/content", other).body == b"shared words"


def test_files_are_taken_along_though_a_purge_has_just_taken_the_first_of_them(app, monkeypatch):
    """The deletion waits for the purge, and finds of its portion nothing."""
    delete, turns = rows.delete_files_of, iter([True])
    monkeypatch.setattr(rows, "delete_files_of", lambda *which: [] if next(turns, False) else delete(*which))
    put(app.test_client())
    assert "deleted 1 file" in app.test_cli_runner().invoke(args=["keys", "revoke", "default", "--delete-files"]).output


@pytest.mark.parametrize("command", ["create", "rotate"])
def test_a_secret_that_could_not_be_printed_is_told_of_with_how_to_have_another(server, command):
    """The old one was refused, the new one gone, and all that was said is that there is no room."""
    if command == "rotate":
        server.new_key(command)
    with open("/dev/full", "w") as full:
        argv = [sys.executable, "-m", "flask", "keys", command, command]
        told = subprocess.run(argv, cwd=server.home, env=server.environ, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1), told.stderr
    assert f"'flask keys rotate {command}' prints a new one" in told.stderr


def test_rotate_gives_a_new_secret_for_the_same_files(server):
    key = server.new_key("dave")
    file = stored(server, key)
    fresh = server.flask("keys", "rotate", "dave").stdout.strip()
    assert status(server, Authorization=f"Bearer {key}").status == 401
    assert request(server, "GET", f"/v1/files/{file['id']}", fresh).json == file


@pytest.mark.parametrize(
    ("command", "said"),
    [(("create", "eve"), "rotate eve"), (("create", "mallory"), "another name"), (("create", "-"), "letters"), (("create", "a b"), "letters"), (("revoke", "nobody"), "no key"),
     (("rotate", "nobody"), "no key")],
)  # fmt: skip
def test_a_command_that_fails_says_why_in_one_line(server, command, said):
    with opened(server.storage) as store:
        for name in ("eve", "mallory"):
            with suppress(KeyProblem):  # there already
                store.keys.create(name)
        store.keys.revoke("mallory")
    failed = server.flask("keys", *command, check=False)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert said in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_no_secret_is_kept_or_logged(serve):
    server = serve(LAZU_API_KEY="the-fixed-key-of-this-test")
    secrets = [server.new_key(), "the-fixed-key-of-this-test", "sk-lazu-a-wrong-one"]
    for secret in secrets:
        request(server, "GET", f"/v1/files?key={secret}", secret)
    server.stop()
    kept = b"".join(path.read_bytes() for path in [server.log, *server.storage.rglob("*")] if path.is_file())
    for secret in secrets:
        assert secret.encode() not in kept
