"""Slots, shares and bounds, one by one; what they are for is told in test_neighbours.py.

And what else keeps a client from making work: chunks of one byte, heads without end, bodies before the key was looked at (by
nginx too), a lock that is never given back, and what is made for all who wait (`Shared`).
"""

import fcntl
import os
import random
import threading
import time
from contextlib import closing

import pytest
from freezegun import freeze_time
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import IterUnreader

from helpers.waiting import until
from helpers.wire import PURPOSE, dial, form, head, part, request, rest, upload
from lazu import slots
from lazu.errors import ClientLeft
from lazu.routes.chunks import Chunks
from lazu.routes.shared import Shared
from lazu.server.heads import asker
from lazu.slots import Slots, Turn, stays
from lazu.store.blobs import Blobs


def working(pool, owner, begun, end):
    """A thread that works for `owner` until `end`."""

    def work():
        with Turn(pool, owner, stays):
            begun.append(owner)
            end.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_one_key_never_has_more_than_its_share_and_others_find_a_slot():
    pool, begun, end = Slots(4, 2), [], threading.Event()
    threads = [working(pool, "greedy", begun, end) for _ in range(10)]
    until(lambda: len(begun) == 2)
    threads.append(working(pool, "modest", begun, end))
    until(lambda: "modest" in begun)
    assert begun.count("greedy") == 2
    end.set()
    for thread in threads:
        thread.join()
    assert begun.count("greedy") == 10


def test_who_is_alone_has_more_slots_for_long_work_until_somebody_else_asks():
    pool = Slots(16, 1, 4)

    def has_more():
        """Whether there is one more for it at once; else it waits from now on."""
        return pool._ask("greedy", long=True) is None

    with freeze_time() as clock:
        assert has_more()
        assert not has_more(), "nobody knows yet that it is alone"
        clock.tick(slots.ALONE_SECONDS + 1)
        pool.give("greedy", long=True)
        assert [has_more() for _ in range(3)] == [True, True, True]
        assert not pool.is_due("greedy")
        assert pool.take_now("modest")
        assert pool.is_due("greedy")
        pool.give("greedy", long=True)
        assert not has_more()


def test_short_work_does_not_wait_for_long_work_of_its_key():
    pool = Slots(16, 1, 4)
    with freeze_time() as clock, Turn(pool, "busy", stays):
        assert not pool.take_now("busy"), "one at a time"
        clock.tick(slots.ALONE_SECONDS + slots.QUANTUM)
        slots.give_way()  # it is long from now on
        for _ in range(2):
            pool.take("busy", long=True)
        assert pool.take_now("busy")
        waiting = threading.Thread(target=pool.take, args=("busy",), daemon=True)
        waiting.start()
        until(lambda: pool.wanted)
        pool.give("busy", long=True)
        assert pool.wanted, "one at a time"
        pool.give("busy")
        until(lambda: not waiting.is_alive())


def test_a_request_whose_client_has_left_is_not_begun_and_its_slot_is_free():
    pool = Slots(1, 1)
    for _ in range(3):
        with pytest.raises(ClientLeft), Turn(pool, 1, lambda: True):
            raise AssertionError("begun")
    with Turn(pool, 1, stays):
        pass


def test_a_new_request_does_not_wait_for_all_that_have_begun():
    pool, served = Slots(1, 1), []
    pool.take(1)
    asked = {name: pool._ask(1, begun=name[0] == "b") for name in ("b1", "b2", "b3", "n1", "b4", "n2")}
    while asked:
        pool.give(1)
        served += [name for name, gate in asked.items() if gate.lock.acquire(blocking=False)]
        del asked[served[-1]]
    assert served == ["b1", "n1", "b2", "n2", "b3", "b4"]


def test_who_waits_holds_no_slot():
    pool, begun, end = Slots(1, 1), [], threading.Event()
    with Turn(pool, 1, stays), slots.waiting():
        thread = working(pool, 2, begun, end)
        until(lambda: begun == [2])
        end.set()
        thread.join()


def test_who_has_the_lock_of_a_shard_never_waits_for_a_slot(tmp_path):
    """Else another key's upload would wait for the slots of the key that has the lock."""
    pool, begun, end, blobs = Slots(1, 1), [], threading.Event(), Blobs(tmp_path / "blobs", 0)
    blobs.prepare()
    with Turn(pool, 1, stays), blobs.lock("ab"):
        threads = [working(pool, owner, begun, end) for owner in (1, 2)]
        until(lambda: begun)
        with slots.waiting():
            pass
        end.set()
    for thread in threads:
        thread.join()


def test_long_work_gives_way_to_others_and_ends_when_its_client_leaves():
    pool, begun, end, left = Slots(1, 1), [], threading.Event(), []
    end.set()

    def work():
        with Turn(pool, 1, lambda: bool(left)):
            working(pool, 2, begun, end)
            until(lambda: slots.step() or begun == [2])
            left.append(True)
            until(slots.step)

    with pytest.raises(ClientLeft):
        work()


class Asked:
    """As much of gunicorn's request as its reader of chunks needs."""

    def __init__(self, unreader):
        self.unreader = unreader

    def parse_headers(self, *_, **__):
        return []


def decoded(raw, size):
    pieces = iter([raw[i : i + size] for i in range(0, len(raw), size)] + [b""])
    unreader = IterUnreader(pieces)
    chunks = Chunks(ChunkedReader(Asked(unreader), unreader), lambda _: next(pieces))
    return b"".join(iter(chunks.read, b""))


def chunked(content, sizes):
    at, raw = 0, b""
    while at < len(content):
        piece = content[at : at + next(sizes)]
        raw, at = raw + b"%x\r\n%s\r\n" % (len(piece), piece), at + len(piece)
    return raw + b"0\r\n\r\n"


@pytest.mark.parametrize("sizes", [(1, 1), (2, 2), (1, 2), (1, 40), (17, 17), (300, 300), (1, 5000)])
def test_any_chunks_cut_anywhere_make_the_same_body(sizes):
    dice = random.Random(str(sizes))
    for number in range(60):
        letters = b"\r\n1a" if number % 2 else bytes(range(256))
        content = bytes(dice.choices(letters, k=dice.randint(1, 6000)))
        raw = chunked(content, iter(lambda: dice.randint(*sizes), None))
        assert decoded(raw, dice.randint(1, 300)) == content


def test_chunks_of_one_byte_cost_little_more_than_large_ones():
    def seconds(raw):
        began = time.thread_time()
        decoded(raw, 512 * 1024)
        return time.thread_time() - began

    small = b"1\r\nx\r\n" * 2**20 + b"0\r\n\r\n"
    large = (b"10000\r\n" + b"x" * 2**16 + b"\r\n") * 96 + b"0\r\n\r\n"
    assert min(seconds(small) for _ in range(3)) < 4 * min(seconds(large) for _ in range(3)) + 0.1
    # Of sizes that alternate too, but where each content has a line end, which they are told apart by.
    mixed, divided = ((b"1\r\n%b\r\n2\r\nx%b\r\n" % (end, end)) * 2**16 + b"0\r\n\r\n" for end in (b"x", b"\n"))
    single = (b"2\r\n\r\n\r\n3\r\nx\r\n\r\n" * 2**16) + b"0\r\n\r\n"
    assert max(min(seconds(each) for _ in range(3)) for each in (mixed, divided)) < min(seconds(single) for _ in range(3)) / 2


def test_a_fast_beginning_does_not_pay_for_a_slow_rest(serve):
    server = serve(LAZU_WORKERS="1", LAZU_BODY_TIMEOUT="1", LAZU_BODY_MIN_RATE=str(2**20))
    body = form(PURPOSE, part("file", os.urandom(64 * 2**20), "a.dat"))
    with closing(dial(server, head(server.new_key(), length=len(body) + 1000) + body[:-50])) as sock:
        began = time.monotonic()
        sock.settimeout(0.3)
        answer = b""
        while not answer:
            sock.sendall(b"x")
            try:
                answer = sock.recv(4096)
            except TimeoutError:
                assert time.monotonic() - began < 45
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_refused(server):
    with closing(dial(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Header: value\r\n" * 1_000_000)) as sock:
        assert rest(sock).startswith(b"HTTP/1.1 431 ")


def test_a_lock_that_is_never_given_back_is_503_and_health_goes_on(serve):
    server = serve(LAZU_WORKERS="1")  # a second one could still be starting, and would find the store locked
    key = server.new_key()
    assert upload(server, key, PURPOSE, part("file", "x", "a.txt")).status == 200
    fd = os.open(server.storage, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)  # what a purge stopped by Ctrl-Z holds
    try:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(upload(server, key, PURPOSE, part("file", "x", "a.txt")))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert request(server, "GET", "/healthz").status == 200
            assert request(server, "GET", "/v1/files", key).status == 200
        for thread in threads:
            thread.join()
    finally:
        os.close(fd)
    assert {answer.error for answer in answers} == {(503, "overloaded", None)}
    assert upload(server, key, PURPOSE, part("file", "x", "a.txt")).status == 200


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/files"])
def test_through_nginx_a_key_is_looked_at_before_the_body_comes(edge, path):
    with closing(dial(edge, head("wrong", path=path, length=100 * 2**20))) as sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")


class Headed:
    """As much of a request as tells who asks."""

    def __init__(self, *forwarded):
        self.headers = [("HOST", "x"), *(("X-FORWARDED-FOR", each) for each in forwarded)]


def test_who_asks_is_told_by_nginx_on_this_host_only():
    assert asker(Headed(), "192.0.2.1") == "192.0.2.1"
    assert asker(Headed("192.0.2.9"), "192.0.2.1") == "192.0.2.1"
    assert asker(Headed("192.0.2.9"), "127.0.0.1") == "192.0.2.9"
    assert asker(Headed("10.0.0.1", "10.0.0.1, 192.0.2.9"), "") == "192.0.2.9"


@pytest.mark.parametrize(("key", "said"), [("wrong", b"401"), (None, b"100")])
def test_nobody_is_told_to_go_on_before_the_key_is_known(server, key, said):
    expects = head(key or server.new_key(), length=2**20)[:-2] + b"Expect: 100-continue\r\n\r\n"
    with closing(dial(server, expects)) as sock:
        answer = sock.recv(65536)
        assert answer.split()[1] == said
        assert (said == b"100") or b"connection: close" in answer.lower()


def test_a_client_that_was_told_to_go_on_may_send_the_next_request(server):
    key, body = server.new_key(), form(PURPOSE, part("file", "x", "a.txt"))
    expects = head(key, length=len(body))[:-2] + b"Expect: 100-continue\r\n\r\n"
    with closing(dial(server, b"")) as sock:
        for _ in range(2):
            sock.sendall(expects)
            assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(body)
            answer = b""
            while not answer.endswith(b"}\n"):
                answer += sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")


def test_nginx_takes_a_large_body_only_where_one_belongs(edge):
    for path, status in (("/v1/models", b"404"), ("/healthz", b"404"), ("/nowhere", b"404"), ("/v1/uploads", b"413")):
        with closing(dial(edge, head("wrong", path=path, length=2 * 2**20))) as sock:
            assert sock.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_what_is_made_for_all_rests_as_long_as_it_took():
    shared, made, began = Shared(), [], time.monotonic()

    def make():
        time.sleep(0.05)
        made.append(len(made))
        return made[-1]

    assert [shared.get(make) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert time.monotonic() - began > 5 * 0.05 + 4 * 0.05
