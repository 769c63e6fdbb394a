"""What deploy/ promises beside answers: addresses counted by their network, no file for a slow reader, units that hold."""

import http.client
import ipaddress
import os
import random
import re
import resource
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from helpers.edge import Edge
from helpers.raw_upstream import raw
from helpers.server import PROJECT, Server, free_port
from helpers.waiting import until
from helpers.wire import dial, request, stored

#: A server that says for whom nginx takes a client, whose address the client tells.
TELLING = """
server {
    listen 127.0.0.1:%d;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Client;
    location / { return 200 "$lazu_address"; }
}
"""


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """For whom the shipped nginx takes an address, told by a real one."""
    home, port = tmp_path_factory.mktemp("telling"), free_port()
    edge = Edge(Server(home / "storage"), home / "nginx", beside=TELLING % port).start()

    def ask(address):
        with closing(socket.create_connection(("127.0.0.1", port), 30)) as sock:
            sock.sendall(f"GET / HTTP/1.0\r\nX-Client: {address}\r\n\r\n".encode())
            return sock.makefile("rb").read().partition(b"\r\n\r\n")[2]

    yield ask
    edge.process.terminate()
    edge.process.wait(10)


def addresses(net, dice):
    """Two addresses in a /64, with zeros where the spelling becomes short."""
    for _ in range(2):
        yield ipaddress.IPv6Address((net << 64) + sum(dice.choice((0, 0, 1, 0xFFFF)) << 16 * place for place in range(4)))


def test_nginx_counts_a_whole_64_as_one_address_and_no_other_with_it(counted):
    dice, seen = random.Random(11), {}
    for _ in range(150):
        net = sum(dice.choice((0, 0, 1, 0x2001)) << 16 * place for place in range(4)) | 0x2000 << 48
        first, second = (counted(address) for address in addresses(net, dice))
        assert first == second, hex(net)
        assert seen.setdefault(first, net) == net


def test_nginx_counts_each_address_of_the_old_kind_for_itself(counted):
    told = {counted(f"192.0.2.{last}") for last in range(1, 20)}
    assert len(told) == 19


def test_begun_heads_of_one_address_shut_nobody_out(edge):
    """nginx counts connections by address only when a head has come."""
    key = edge.new_key()
    file = stored(edge, key)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as open_until_end:
        for _ in range(1700):
            sock = socket.create_connection(("127.0.0.1", edge.port), 30, source_address=("127.0.0.3", 0))
            open_until_end.enter_context(sock).sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Begun: a")
        assert request(edge, "GET", f"/v1/files/{file['id']}", key).status == 200
        assert request(edge, "GET", "/healthz").status == 200


def test_what_nginx_can_not_repeat_goes_on_no_kept_connection(tmp_path):
    """An old worker may be closing it. Here it stays, and what comes on it a second time is never answered."""
    with raw() as lazu:
        lazu.said, lazu.stays = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], True
        edge = Edge(Server(tmp_path / "storage", port=lazu.listener.getsockname()[1]), tmp_path / "nginx").start()
        with closing(http.client.HTTPConnection("127.0.0.1", edge.port, timeout=30)) as client:  # one process of nginx
            paths = ["/v1/files", "/v1/uploads", "/v1/uploads/upload_1/parts", "/v1/responses", "/v1/chat/completions"]
            for method, path in [("GET", "/healthz"), *(("POST", path) for path in paths)]:
                client.request(method, path, b"{}")
                answer = client.getresponse()
                assert (answer.status, answer.read()) == (200, b"{}"), path
        edge.stop()


def test_both_upstreams_of_nginx_have_the_same_servers():
    """Else lists go to one Lazu, and uploads and calls to another."""
    both = re.findall(r"^upstream lazu\w* \{(.*?)^\}", (PROJECT / "deploy/nginx.conf").read_text(), re.MULTILINE | re.DOTALL)
    assert len({tuple(re.findall(r"^ *server .*;", each, re.MULTILINE)) for each in both}) == 1 < len(both)


def test_a_model_server_that_says_nothing_stops_nothing_but_models(deploy):
    """An application server looks for models again and again, and is one address."""
    head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n"
    with raw() as upstream, ExitStack() as waiting:
        upstream.said, upstream.stays = [], True
        edge = deploy(**upstream.env)
        for _ in range(70):
            waiting.enter_context(closing(dial(edge, head)))
        until(lambda: upstream.open >= 64)
        for path in ("/v1/files", "/healthz"):
            assert request(edge, "GET", path, "k").status == 200
        until(lambda: upstream.open == 70)


def spooled(edge):
    """Bytes in files that nginx keeps answers in; they have no name any more."""
    for process in [edge.process.pid, *children(edge.process.pid)]:
        for fd in Path(f"/proc/{process}/fd").iterdir():
            if os.readlink(fd).startswith(f"{edge.prefix}/proxy/"):
                yield fd.stat().st_size


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_reader_that_does_not_read_makes_nginx_keep_no_file(edge):
    """Of a download that Lazu sends itself, because of its condition."""
    key = edge.new_key()
    file = stored(edge, key, os.urandom(32 * 2**20), "a.dat")
    lines = [f"GET /v1/files/{file['id']}/content HTTP/1.1", "Host: lazu", f"Authorization: Bearer {key}", "If-Match: *", "", ""]
    with closing(dial(edge, "\r\n".join(lines).encode(), receive=4096)) as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        time.sleep(1)
        assert list(spooled(edge)) == []


def test_nginx_follows_no_link_in_the_place_of_a_blob(edge, tmp_path):
    key = edge.new_key()
    content = os.urandom(1000)
    file = stored(edge, key, content, "a.dat")
    [blob] = [path for path in edge.blobs() if path.read_bytes() == content]
    secret = tmp_path / "secret"
    secret.write_bytes(b"the secret of somebody else")
    blob.unlink()
    blob.symlink_to(secret)
    answer = request(edge, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.error == (404, "file_not_found", "file_id")
    blob.unlink()
    blob.write_bytes(content)
    request(edge, "DELETE", f"/v1/files/{file['id']}", key)  # a blob that Lazu made has another mode


@pytest.fixture
def units(tmp_path):
    """The shipped units, their programs in a folder that is there; gives how systemd-analyze is asked of them."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("gunicorn", "flask"):
        (programs / name).symlink_to("/bin/true")
    for path in [*(PROJECT / "deploy").glob("lazu*.service"), *(PROJECT / "deploy").glob("lazu*.socket"), *(PROJECT / "deploy").glob("lazu*.timer")]:
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/lazu", str(tmp_path)))

    def analyze(*words):
        return subprocess.run(["systemd-analyze", *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    return analyze


def test_systemd_understands_every_line_of_the_units(units):
    found = units("verify", "--man=no", "./lazu.service", "./lazu.socket", "./lazu-purge.service", "./lazu-purge.timer")
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("name", ["lazu.service", "lazu-purge.service"])
def test_the_units_leave_little_open(units, name):
    found = units("security", "--offline=true", "--no-pager", f"./{name}")
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", found.stdout)[1]) <= 2
    told = (PROJECT / "deploy" / name).read_text()
    assert {"MemoryMax=", "TasksMax=", "ProtectProc=invisible"} <= set(re.findall(r"^(?:MemoryMax|TasksMax)=|^ProtectProc=invisible", told, re.MULTILINE))


def test_the_purge_has_the_network_that_the_service_has():
    """A cluster's PostgreSQL and object store are reached by it: with PrivateNetwork= no purge could ever run there."""
    service, purge = ((PROJECT / "deploy" / name).read_text() for name in ("lazu.service", "lazu-purge.service"))
    network = re.compile(r"^(?:PrivateNetwork|RestrictAddressFamilies|IPAddress\w+|SocketBind\w+)=.*", re.MULTILINE)
    assert network.findall(purge) == network.findall(service) == ["RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"]


def test_the_units_of_a_store_on_another_disk_wait_for_it(units, tmp_path):
    """Without the disk they made a new, empty store where it is mounted."""
    [moved] = re.findall(r"^```ini\n(.*?)^```", (PROJECT / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL)
    for name in ("lazu.service", "lazu-purge.service"):
        (tmp_path / f"{name}.d").mkdir()
        (tmp_path / f"{name}.d" / "override.conf").write_text(moved.replace("/srv/lazu", "/no/such/mount"))
    found = units("verify", "--man=no", "./lazu.service", "./lazu-purge.service")
    assert (found.returncode, found.stderr) == (0, "")
    assert "RequiresMountsFor=/srv/lazu\n" in moved
