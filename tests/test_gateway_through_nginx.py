"""The model server's answers through the shipped nginx, and everything through TLS."""

import json
import ssl
import subprocess

import openai
import pytest

from helpers.edge import Edge
from helpers.server import Server, problems
from helpers.upstream import Front
from test_nginx import parsed, raw
from test_responses import test_64_mb_pass_and_one_byte_more_does_not, test_a_body_over_128_mb_is_refused  # noqa: F401
from test_upstream import (  # noqa: F401  the same stories, told through nginx
    test_a_client_that_leaves_ends_the_call,
    test_an_answer_before_the_end_of_the_body_arrives,
    test_an_answer_that_breaks_off_does_not_look_complete,
    test_each_event_comes_before_the_next_is_sent,
    test_the_sdk_hears_of_a_stream_that_broke,
    test_what_is_no_multiple_of_an_event_comes_too,
)


@pytest.fixture
def native(deploy, double):
    front = Front(deploy(**double.env, LAZU_UPSTREAM_FILES="native", LAZU_API_KEY="client-secret"), "client-secret")
    yield front
    front.close()


@pytest.fixture
def secure(tmp_path):
    """Lazu behind nginx with a certificate of its own, `tls.pem`."""
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    pair = ["-keyout", tmp_path / "tls.key", "-out", tmp_path / "tls.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *pair], check=True, capture_output=True)
    server = Server(tmp_path / "storage", {"LAZU_ACCEL_LOCATION": "/_blobs/"})
    edge = Edge(server, tmp_path / "nginx", tls=tmp_path)
    server.start()
    yield edge.start()
    edge.stop()
    server.stop()
    assert problems(server.storage) == []


def test_the_sdk_uploads_and_downloads_through_tls(secure, tmp_path):
    trusting = openai.DefaultHttpx2Client(verify=ssl.create_default_context(cafile=tmp_path / "tls.pem"))
    content = b"secret " * 1_000_000
    with secure.client(http_client=trusting) as client:
        file = client.files.create(file=("a.txt", content), purpose="user_data")
        assert client.files.content(file.id).read() == content


def test_plain_http_to_the_port_of_tls_is_told_so_in_json(secure):
    answer = parsed(raw(secure, b"GET /v1/files HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert answer.error == (400, "invalid_request", None)
    assert "https://" in answer.json["error"]["message"]


def test_curl_speaks_http_2_with_it(secure, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"words " * 5_000_000)
    curl = ["curl", "-sS", "--http2", "--cacert", tmp_path / "tls.pem", "-H", f"Authorization: Bearer {secure.any_key}"]
    form = ["-F", "purpose=user_data", "-F", f"file=@{tmp_path}/a.txt", "-w", "%{http_version}"]
    sent = subprocess.run([*curl, *form, f"{secure.url}/v1/files"], capture_output=True, text=True, check=True).stdout
    assert sent.endswith("}\n2")
    url = f"{secure.url}/v1/files/{json.loads(sent[:-1])['id']}/content"
    got = subprocess.run([*curl, url], capture_output=True, check=True).stdout
    assert got == (tmp_path / "a.txt").read_bytes()
