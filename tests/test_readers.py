"""Readers are shared: one key's hard files keep nobody else waiting, and a busy machine is no fault of a file."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from helpers.documents import hard
from helpers.upstream import upload
from helpers.waiting import until
from helpers.wire import dial, head
from lazu import slots
from lazu.documents import launcher
from lazu.errors import ClientLeft
from lazu.slots import Slots, Turn


def test_fifty_hard_files_of_one_key_keep_nobody_else_waiting(serve, double):
    server = serve(**double.env, LAZU_UPSTREAM_FILES="text")
    with server.client(max_retries=0) as noisy, server.client(max_retries=0) as other:
        notes = [upload(other, b"note %d" % number, "note.txt") for number in range(6)]
        idle = max(took(other, note) for note in notes[:2])
        files = [upload(noisy, hard(number), "hard.pdf") for number in range(50)]
        done = []
        crowd = [threading.Thread(target=lambda each=each: done.append(outcome(noisy, each)), daemon=True) for each in files]
        for thread in crowd:
            thread.start()
        until(lambda: readers(server))
        beside = [took(other, note) for note in notes[2:]]
        assert len(done) < 40, "the crowd was gone too soon to be in anybody's way"
        assert max(beside) < max(2, 20 * idle)
        server.stop(signal.SIGQUIT)
        for thread in crowd:
            thread.join()


def test_a_reader_is_ended_when_its_client_hangs_up(serve, double):
    server = serve(**double.env, LAZU_UPSTREAM_FILES="text")
    key = server.new_key()
    with server.client(key) as client:
        file_id = upload(client, hard(1), "hard.pdf")
    asks = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}]}
    body = json.dumps(asks).encode()
    calls = [dial(server, head(key, path="/v1/responses", length=len(body)) + body) for _ in range(3)]
    until(lambda: readers(server))
    for call in calls:
        call.close()
    until(lambda: not readers(server), 15)  # the file takes 20 s of a processor


def ask(client, file_id):
    client.responses.create(model="m", input=[{"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}])


def took(client, file_id):
    start = time.monotonic()
    ask(client, file_id)
    return time.monotonic() - start


def outcome(client, file_id):
    try:
        ask(client, file_id)
    except Exception as e:  # noqa: BLE001 - whatever becomes of it
        return e


def readers(server):
    """The reader processes of a server's workers."""
    tasks = [task for worker in server.pids()[1:] for task in Path(f"/proc/{worker}/task").glob("*/children")]
    return [child for task in tasks for child in task.read_text().split()]


def job(*words):
    return launcher.Job([*words], "/dev/null", 100)


@pytest.fixture
def places(monkeypatch):
    """A place for short files and one for long ones, and files take long after a moment."""
    for name in ("SHORT", "LONG"):
        monkeypatch.setattr(launcher, name, Slots(1, 1))
    monkeypatch.setattr(launcher, "SHORT_SECONDS", 0.1)


def reading_for(key, words, left):
    """Have something read for a client of `key` who waits until `left` says otherwise."""
    with Turn(Slots(1, 1), key, lambda: bool(left)), slots.waiting():
        return launcher.run(job(*words), key)


@pytest.mark.parametrize(("cpus", "workers", "each"), [(2, 2, 1), (16, 16, 1), (16, 2, 4), (1, 1, 1)])
def test_the_readers_of_all_workers_together_are_as_many_as_the_cpus(monkeypatch, places, cpus, workers, each):
    """And two for each worker at least. They were as many for each worker, so their number grew with the square."""
    monkeypatch.setattr("lazu.cpus.count", lambda: cpus)
    launcher.share(workers)
    for slots_ in (launcher.SHORT, launcher.LONG):
        assert [slots_.take_now(owner) for owner in range(each + 1)] == [True] * each + [False]


def test_who_had_a_turn_is_behind_those_who_wait():
    slots_, order = Slots(1, 1), []
    slots_.take(1)
    waiting = []
    for number, owner in enumerate((1, 2, 1)):
        waiting.append(threading.Thread(target=lambda owner=owner: (slots_.take(owner), order.append(owner), slots_.give(owner))))
        waiting[-1].start()
        until(lambda wanted=number + 1: sum(map(len, slots_._waiting.values())) == wanted)
    slots_.give(1)
    for thread in waiting:
        thread.join()
    assert order == [2, 1, 1]


def test_files_that_take_long_of_however_many_keys_leave_a_place_to_others(places):
    left, ended = [], []

    def read(key):
        with pytest.raises(ClientLeft):
            reading_for(key, ["sleep", "600"], left)
        ended.append(key)

    crowd = [threading.Thread(target=read, args=(key,)) for key in range(6)]
    for thread in crowd:
        thread.start()
    for key in range(6, 9):
        assert reading_for(key, ["echo", "read"], []) == b"read\n"
    assert not ended
    left.append(True)
    for thread in crowd:
        thread.join()
    assert launcher.SHORT.take_now(1)
    assert launcher.LONG.take_now(1)


def test_a_file_that_took_long_is_read_to_its_end_all_the_same(places):
    slow = [threading.Thread(target=lambda: told.append(launcher.run(job("sh", "-c", "sleep 1; echo read"), 1))) for _ in range(4)]
    told = []
    for thread in slow:
        thread.start()
    for thread in slow:
        thread.join()
    assert told == [b"read\n"] * 4


@pytest.mark.parametrize("where", ["SHORT", "nowhere"])
def test_a_reader_ends_when_nobody_waits_for_it_any_more(places, where):
    """Also one that has no place yet."""
    if where == "nowhere":
        assert launcher.SHORT.take_now(1)
    left = []
    threading.Timer(0.5, left.append, [True]).start()
    with pytest.raises(ClientLeft):
        reading_for(1, ["sleep", "600"], left)
    assert launcher.SHORT.take_now(1) == (where == "SHORT")
