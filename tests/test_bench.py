"""What the bench runs under Lazu's own worker starts with the Lazu of today; its figures are no test's affair."""

import pytest

from bench import client, servers


@pytest.mark.parametrize("contender", ["bare", "single commits"])
def test_a_contender_on_lazus_worker_answers(contender, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DIR", str(tmp_path))
    with servers.bare() if contender == "bare" else servers.lazu("bench.contenders.single_commits:app") as server:
        path = "/v1/files/x" if contender == "bare" else "/v1/files"
        assert client.ask(server.port, "GET", path, servers.KEY)["object"] in ("file", "list")
