"""TLS to both engines, with an authority of the operator's own; and no secret in anything that is said."""

import signal
import tempfile
from pathlib import Path

import pytest

from helpers.certificates import authority, signed
from helpers.edge import Edge
from helpers.postgresql import Postgres
from helpers.seaweed import KEY, SECRET, SeaweedFS
from helpers.server import PLACES, Server
from helpers.waiting import until
from helpers.wire import request, stored

pytestmark = pytest.mark.slow

#: In the URL of the database.
PASSWORD = "hidden-word-of-the-database"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Our authority, and one that signed nothing here."""
    folder = tmp_path_factory.mktemp("tls")
    return authority(folder, "ours"), authority(folder, "other")


@pytest.fixture(scope="module")
def engines(authorities, tmp_path_factory):
    """PostgreSQL and SeaweedFS that speak nothing but TLS."""
    ours, _ = authorities
    tls = signed(ours, "engines", "127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="lazu-postgresql-") as home:
        postgres, seaweed = Postgres(Path(home), tls=tls), SeaweedFS(tmp_path_factory.mktemp("weed"), tls=tls, ca=ours)
        try:
            yield postgres.start(), seaweed.start()
        finally:
            postgres.stop()
            seaweed.stop(signal.SIGKILL)


@pytest.fixture
def box(engines, authorities, tmp_path):
    """Start a box that trusts an authority: `box(ca)`."""
    postgres, seaweed = engines
    database = postgres.database().replace("lazu@", f"lazu:{PASSWORD}@")
    started = []

    def start(ca, **more):
        env = {
            **more, **seaweed.env, "LAZU_API_KEY": "any", "LAZU_WORKERS": "1", "AWS_CA_BUNDLE": str(ca), "LAZU_BLOBS_URL": seaweed.prefix(),
            "LAZU_DATABASE_URL": f"{database}?sslmode=verify-full&sslrootcert={ca}",
        }  # fmt: skip
        started.append(Server(tmp_path / f"box-{len(started)}", env).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()
        said = each.log.read_text() + each.flask("doctor", "--json", check=False).stdout + each.flask("stats", check=False).stderr
        assert not [secret for secret in (PASSWORD, SECRET, KEY) if secret in said]


def test_a_box_verifies_both_engines(box, authorities, engines):
    ours, _ = authorities
    trusting = box(ours)
    assert stored(trusting, "any", b"encrypted on its way")["bytes"] == 20
    assert request(trusting, "GET", "/readyz").status == 200
    found = trusting.flask("doctor", "--json", check=False).stdout
    assert '"database", "state": "ok"' in found
    assert '"bucket", "state": "ok"' in found


def test_engines_of_an_unknown_authority_are_not_spoken_to(box, authorities):
    _, other = authorities
    doubting = box(other)
    assert request(doubting, "GET", "/readyz").error[:2] == (503, "overloaded")
    assert request(doubting, "GET", "/v1/files", "any").error[:2] == (503, "overloaded")
    assert doubting.flask("doctor", "--json", check=False).stdout.count("certificate verify failed") == 2


def test_nginx_fetches_only_from_a_store_whose_certificate_it_trusts(box, authorities, tmp_path, monkeypatch):
    """Else the box sends the bytes itself, and is asked twice. The signed address is written down by nobody."""
    here = box(authorities[0], LAZU_ACCEL_LOCATION="/_objects/")
    monkeypatch.setitem(PLACES, here.storage, {})  # downloads come from the store
    path, written = f"/v1/files/{stored(here, 'any', b'encrypted on its way')['id']}/content", ""
    for trusted, asked in zip(authorities, (1, 1 + 2), strict=True):
        edge = Edge(here, tmp_path / trusted.name, authority=trusted).start()
        try:
            assert request(edge, "GET", path, "any").body == b"encrypted on its way"
        finally:
            edge.stop()
        until(lambda asked=asked: here.log.read_text().count("/content ") == asked)
        written += "".join(each.read_text() for each in edge.prefix.glob("*.log"))
    assert "X-Amz-Signature" not in written + here.log.read_text()
