"""On the way to the model server: whoever leaves meanwhile is let go, and an address that is silent stops no call."""

import socket
import threading
from contextlib import ExitStack, closing, contextmanager

import pytest

from helpers.ports import free_port
from helpers.waiting import until
from lazu.config import Settings
from lazu.gateway.upstream import Upstream
from test_metrics import scraped
from test_streams import look_up, stream_of, told


@contextmanager
def silent():
    """A listener whose queue is full: as a host that drops what it gets, it answers nobody until there is room."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        for _ in range(4):
            with socket.socket() as filler:  # it keeps its place
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
        yield listener


@contextmanager
def mute():
    """A listener that takes everybody, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener


def on_the_way(server):
    now = scraped(server)
    return [now[(f"lazu_upstream_{name}_running",)] for name in ("calls", "lookups")]


@pytest.mark.parametrize(("scheme", "stage"), [("http", silent), ("https", mute)])
def test_who_leaves_while_the_model_server_is_not_reached_yet_is_let_go(serve, scheme, stage):
    """Nobody looked: place and thread stayed for 10 s an address, and the call went out to whichever took it then."""
    with stage() as listener, ExitStack() as clients:
        server = serve(LAZU_UPSTREAM_URL=f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1", LAZU_API_KEY="k")
        for _ in range(20):
            clients.enter_context(closing(look_up(server)))
            clients.enter_context(closing(stream_of(server, "m")))
        until(lambda: on_the_way(server) == [20, 20])
        clients.close()
        until(lambda: len(told(server)) == 40)
        assert set(told(server)) == {"client_left"}
        assert on_the_way(server) == [0, 0]


@pytest.fixture
def reaching(tmp_path, monkeypatch):
    """Ask a model server for its models by a name that has these addresses: a list that gets the status."""

    def begin(*addresses):
        found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        upstream, statuses = Upstream(Settings(storage_dir=tmp_path, upstream_url="http://model.test/v1")), []
        threading.Thread(target=lambda: statuses.append(upstream.reach()), daemon=True).start()
        return statuses

    return begin


def test_silent_addresses_of_a_name_hide_no_other_one(reaching, double):
    """Each was waited for by itself, for 10 s."""
    with silent() as listener:
        statuses = reaching(*[listener.getsockname()] * 8, ("127.0.0.1", int(double.url.split(":")[2].split("/")[0])))
        until(lambda: statuses)
    assert statuses == [200]


def test_an_address_that_is_slow_is_not_given_up_for_one_that_refuses(reaching):
    with silent() as listener:
        statuses = reaching(listener.getsockname(), ("127.0.0.1", free_port()))
        until(lambda: answered(listener))
        until(lambda: statuses)
    assert statuses == [200]


def answered(listener):
    """Whether the next one in the queue has asked, and got its answer."""
    sock, _ = listener.accept()
    with sock:
        if asked := sock.recv(4096):
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return bool(asked)
