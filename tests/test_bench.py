"""What the bench runs under Lazu's own worker works with the Lazu of today; its figures are no test's affair."""

import pytest

from bench import client, servers
from helpers.wire import PURPOSE, part, upload


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DIR", str(tmp_path))


def test_the_bare_route_answers():
    with servers.bare() as server:
        assert client.ask(server.port, "GET", "/v1/files/x", servers.KEY)["object"] == "file"


def test_a_commit_each_takes_an_upload():
    with servers.lazu("bench.contenders.single_commits:app") as server:
        assert upload(server, servers.KEY, PURPOSE, part("file", b"words", "a.txt")).status == 200
