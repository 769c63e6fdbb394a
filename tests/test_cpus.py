"""A process for each CPU works on that one; what takes long goes where there is room."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from helpers.waiting import until

CPUS = os.sched_getaffinity(0)

#: A reader of documents, started by a thread that keeps to its process's CPU.
READER = """
import os, sys
from lazu import cpus
from lazu.documents import launcher
available = len(os.sched_getaffinity(0))
cpus.divide(0, available)
words = [sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"]
with launcher.started(words, 0) as reader:
    print(available, int(reader.stdout.read()), len(os.sched_getaffinity(0)))
"""


def threads(pid):
    """The CPUs that each thread of a process may use, by its id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            found[int(task.name)] = os.sched_getaffinity(int(task.name))
    return found


def workers(server):
    """The threads of each worker, by its process id, which is its main thread's id too."""
    return {pid: threads(pid) for pid in server.pids()[1:]}


def settled(server):
    """Whether the main threads of the workers have a CPU each."""
    own = [found[pid] for pid, found in workers(server).items()]
    return sorted(own, key=min) == [{cpu} for cpu in sorted(CPUS)]


def made(server, resting):
    """What the threads that were made since `resting` may use, each beside its process's main thread."""
    return [(cpus, found[pid]) for pid, found in workers(server).items() for tid, cpus in found.items() if tid not in resting]


def upload(server, size):
    """Send so many bytes."""
    head = {"Authorization": f"Bearer {server.any_key}"}
    files = {"file": ("a.bin", bytes(size))}
    answer = requests.post(f"{server.url}/v1/files", data={"purpose": "user_data"}, files=files, headers=head, timeout=300)
    assert answer.status_code == 200, answer.text


def test_each_process_keeps_to_a_cpu_of_its_own_also_after_a_reload(serve):
    server = serve(LAZU_WORKERS=str(len(CPUS)))
    until(lambda: settled(server))
    before = server.pids()[1:]
    server.process.send_signal(signal.SIGHUP)
    until(lambda: not set(before) & set(server.pids()))
    until(lambda: settled(server))
    os.kill(server.pids()[1], signal.SIGKILL)
    until(lambda: len(server.pids()) == len(CPUS) + 1)
    until(lambda: settled(server))


@pytest.mark.parametrize("late", range(len(CPUS)))
def test_a_process_that_ends_late_takes_no_cpu_from_those_of_the_reload(serve, late):
    server = serve(LAZU_WORKERS=str(len(CPUS)))
    until(lambda: settled(server))
    before = server.pids()[1:]
    os.kill(before[late], signal.SIGSTOP)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: set(server.pids()[1:]) & set(before) == {before[late]} and len(server.pids()) == len(CPUS) + 2)
    os.kill(killed := server.pids()[-1], signal.SIGKILL)
    until(lambda: killed not in server.pids() and len(server.pids()) == len(CPUS) + 2)
    os.kill(before[late], signal.SIGCONT)
    until(lambda: not set(before) & set(server.pids()))
    until(lambda: settled(server))


def test_the_system_chooses_where_cpus_would_have_different_numbers_of_processes(serve):
    server = serve(LAZU_WORKERS=str(len(CPUS) + 1 if len(CPUS) > 1 else 1))
    upload(server, 1)
    assert all(cpus == CPUS for found in workers(server).values() for cpus in found.values())


def test_a_long_upload_may_use_any_cpu_until_its_end(serve):
    server = serve(LAZU_WORKERS=str(len(CPUS)))
    until(lambda: settled(server))
    resting = set().union(*workers(server).values())
    seen = threading.Event()

    def send():
        while not seen.is_set():
            upload(server, 64 << 20)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        until(lambda: any(cpus == CPUS for cpus, _ in made(server, resting)))
    finally:
        seen.set()
        sending.join()
    until(lambda: all(cpus == own for cpus, own in made(server, resting)))


def test_a_reader_of_documents_may_use_any_cpu():
    told = subprocess.run([sys.executable, "-c", READER], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    available, readers, after = map(int, told.stdout.split())
    assert (readers, after) == (available, 1)
