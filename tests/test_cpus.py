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
from lazu import cpus

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

#: A thread of the pool, started by one that roams, as the relay does.
POOL = """
import os, threading
from lazu import cpus
from lazu.server.pool import Pool
divided, told = threading.Event(), []
def relay():
    divided.wait()
    told.append(Pool(1, 1).submit(os.sched_getaffinity, 0).result())
thread = threading.Thread(target=relay)
thread.start()
cpus.divide(0, len(os.sched_getaffinity(0)))
divided.set()
thread.join()
print(len(told[0]))
"""

#: The default on a machine of 32 CPUs of which the process may use one.
WORKERS = """
import os
os.cpu_count = lambda: 32
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from lazu import config
print(config.Settings.workers)
"""


def said(program):
    """The number that a program prints."""
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


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


def test_a_thread_that_the_relay_has_started_keeps_to_the_cpu_of_its_process():
    """It had the relay's, which are all; the pool keeps its threads, so after streams a process was on every CPU."""
    assert said(POOL) == 1


def test_there_are_as_many_processes_as_cpus_that_the_server_may_use():
    """It was one for each CPU of the machine: 64 of them, of 55 MB each, in a container that has two."""
    assert said(WORKERS) == 2


@pytest.mark.parametrize(("name", "files"), [("", {"cpu.max": "{} 100000"}), ("cpu", {"quota": "{}", "period": "100000"})])
def test_a_quota_of_the_control_group_counts_as_so_many_cpus(tmp_path, monkeypatch, name, files):
    """Of either version; nobody looked at it."""
    groups = {each for line in Path("/proc/self/cgroup").read_text().splitlines() for each in line.split(":")[1].split(",")}
    if name not in groups:
        pytest.skip("this system has the other version")
    free = cpus.count()
    monkeypatch.setitem(cpus._LIMITS, name, (str(tmp_path), *files))
    for quota, expected in {"50000": 1, "max": free, "-1": free, "100000": 1, "100001": min(2, free)}.items():
        for file, text in files.items():
            (tmp_path / file).write_text(text.format(quota))
        assert cpus.count() == expected, quota
