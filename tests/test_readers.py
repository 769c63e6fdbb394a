"""Readers are shared: one key's hard files keep nobody else waiting, and a busy machine is no fault of a file."""

import signal
import threading
import time
from pathlib import Path

import pytest

from helpers.documents import hard
from lazu.documents import launcher, reading


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


def upload(client, data, name):
    return client.files.create(file=(name, data), purpose="user_data").id


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


def until(check):
    while not check():
        time.sleep(0.02)


def test_a_key_holds_half_of_the_places_and_who_holds_fewest_goes_first():
    places = launcher.Places(4, 2)
    with places.hold("a", 1), places.hold("a", 1):
        with pytest.raises(reading.Busy), places.hold("a", 0.01):
            pass
        got = []

        def wait(owner):
            with places.hold(owner, 60):
                got.append(owner)

        with places.hold("b", 1):
            waiting = [threading.Thread(target=wait, args=(owner,)) for owner in ("b", "d")]
            with places.hold("c", 1):
                for thread in waiting:
                    thread.start()
                until(lambda: len(places._waiting) == 2)
            until(lambda: got)
    for thread in waiting:
        thread.join()
    assert got[0] == "d"
    assert places.taken == 0
