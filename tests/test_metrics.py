"""What machines that watch can ask: health, readiness, Prometheus."""

import errno
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

from helpers.server import PROJECT, Server, free_port, opened
from helpers.uploads import created
from helpers.waiting import until
from helpers.wire import BOUNDARY, PURPOSE, dial, form, part, request, stored
from lazu import countfiles, metrics
from lazu.countfiles import Counts
from lazu.routes import shared
from lazu.upkeep import stats


def samples(server):
    """Every value of /metrics, by name and labels; a request is counted a moment after its answer."""
    time.sleep(0.5)
    return scraped(server)


def scraped(server):
    answer = request(server, "GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.body.decode())
    return {(each.name, *sorted(each.labels.items())): each.value for family in families for each in family.samples}


def count(server, **labels):
    return samples(server).get(("lazu_requests_total", *sorted(labels.items())), 0)


def test_health_needs_no_key(server):
    assert request(server, "GET", "/healthz").json == {"status": "ok"}
    assert request(server, "GET", "/readyz").json == {"status": "ready"}
    assert request(server, "HEAD", "/healthz").status == 200
    assert request(server, "POST", "/healthz").error == (405, "method_not_allowed", None)


def test_not_ready_below_the_floor_but_alive(serve):
    server = serve(LAZU_MIN_FREE_BYTES=str(2**60))
    answer = request(server, "GET", "/readyz")
    assert (answer.error, answer.headers["Retry-After"]) == ((503, "overloaded", None), "2")
    assert request(server, "GET", "/healthz").status == 200


def a_directory(database):
    database.mkdir()


def another_file(database):
    database.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("spoil", [a_directory, another_file])
def test_not_ready_without_its_database_which_it_names(app, tmp_path, spoil):
    database = app.extensions["lazu"].settings.storage_dir / "lazu.sqlite3"
    database.rename(tmp_path / "aside")
    spoil(database)
    answer = app.test_client().get("/readyz")
    told = app.test_client().get("/metrics")
    shutil.rmtree(database) if database.is_dir() else database.unlink()
    (tmp_path / "aside").rename(database)
    assert (answer.status_code, answer.json["error"]["code"], answer.headers["Retry-After"]) == (503, "overloaded", "2")
    assert "database" in answer.json["error"]["message"]
    assert (told.status_code, "\nlazu_database_up 0.0\n" in told.text, "\nlazu_free_bytes " in told.text) == (200, True, True)
    assert app.test_client().get("/readyz").status_code == 200


def test_a_scrape_waits_briefly_for_a_database_that_is_silent_and_asks_it_nothing_more(app, monkeypatch):
    """Prometheus gives up after 10 s, and what PostgreSQL is asked may take 25."""
    asked, answers, figures = [], threading.Event(), stats.figures

    def silent(store):
        asked.append(store)
        assert answers.wait(60)
        return figures(store)

    def scrape():
        return app.test_client().get("/metrics").text

    monkeypatch.setattr(stats, "figures", silent)
    monkeypatch.setattr(shared, "BRIEF_SECONDS", 0.1)
    for _ in range(2):
        assert "\nlazu_database_up 0.0\n" in scrape()
    assert len(asked) == 1
    answers.set()
    until(lambda: "\nlazu_database_up 1.0\n" in (told := scrape()) and "\nlazu_files 0.0\n" in told)


def test_not_ready_after_a_disk_error_until_fsck(serve):
    """A restart changes nothing: the alert and the doctor ask the store, not a counter."""
    server = serve()
    with opened(server.storage) as store:
        store.contents.blobs.fail("a test")
    server.stop()
    server.start()
    assert scraped(server)[("lazu_stopped",)] == 1
    assert "fail  store        stopped by a disk error" in server.flask("doctor", check=False).stdout
    answer = request(server, "GET", "/readyz")
    assert answer.error == (503, "overloaded", None)
    assert "flask fsck" in answer.json["error"]["message"]
    server.flask("fsck")
    assert request(server, "GET", "/readyz").status == 200
    assert scraped(server)[("lazu_stopped",)] == 0


def test_requests_of_all_workers_are_summed(serve):
    server = serve(LAZU_WORKERS="3")
    for _ in range(40):
        request(server, "GET", "/v1/files")
    assert count(server, method="GET", route="/v1/files", status="401") == 40


def test_what_a_dead_worker_counted_stays_and_its_uploads_do_not(serve):
    import socket

    server = serve(LAZU_WORKERS="1")
    key = server.new_key()
    stored(server, key)
    body = form(PURPOSE, part("file", b"x" * 100_000, "x.txt"))
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: lazu\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + body[:50_000])
        until(lambda: samples(server)[("lazu_uploads_in_flight",)] == 1)
        os.kill(server.pids()[1], signal.SIGKILL)
    until(lambda: alive(server) and samples(server).get(("lazu_uploads_in_flight",), 0) == 0)
    assert count(server, method="POST", route="/v1/files", status="200") == 1


def alive(server):
    try:
        return request(server, "GET", "/healthz").status == 200
    except OSError:
        return False


def test_a_reload_goes_on_counting(serve, tmp_path):
    server = serve(RUNTIME_DIRECTORY=str(tmp_path), LAZU_WORKERS="1")
    for number in (1, 2):
        stored(server, server.new_key())
        before = server.pids()[1:]
        server.process.send_signal(signal.SIGHUP)
        until(lambda before=before: server.pids()[1:] and not set(before) & set(server.pids()))
        assert count(server, method="POST", route="/v1/files", status="200") == number
    names = [path.name for path in tmp_path.glob("lazu-counters-*/counter_*.db")]
    assert "counter_dead.db" in names
    assert len(names) <= 2, "of the worker, and all dead together"


KEY = mmap_key("lazu_told", "lazu_told_total", [], [], "A counter.")


@pytest.fixture
def dead(tmp_path, monkeypatch):
    """The counts that the worker 7 left, in a directory where this process counts with others."""
    monkeypatch.setenv("LAZU_COUNTERS", str(tmp_path))
    counts = MmapedDict(str(tmp_path / "counter_7.db"))
    counts.write_value(KEY, 3.0, 0.0)
    counts.close()
    return tmp_path


def counted(folder):
    """What stands in each file of counters."""
    files = [path for path in folder.glob("counter_*.db") if path.stat().st_size]
    return {path.name: [each[:2] for each in MmapedDict.read_all_values_from_file(str(path))] for path in files}


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_room_the_counts_of_a_dead_worker_stay_where_they_are(dead, monkeypatch):
    """The master moves them; a write to a mapped page that finds no room would end it, and with it all workers."""
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        countfiles.forget(7)
    assert counted(dead)["counter_7.db"] == [(KEY, 3.0)]
    countfiles.forget(7)
    assert counted(dead) == {"counter_dead.db": [(KEY, 3.0)]}


def test_counts_of_a_dead_worker_move_only_while_nobody_scrapes(dead):
    """A scrape that read one file before and the other one after would tell them twice, or not at all."""
    told = []
    with (dead / "moving.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as a scrape
        countfiles.forget(7)
        assert counted(dead) == {"counter_7.db": [(KEY, 3.0)]}
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the master
        scrape = threading.Thread(target=lambda: told.append(metrics.render([])))
        scrape.start()
        scrape.join(0.5)
        assert told == []
    scrape.join(60)
    assert b"lazu_told_total 3.0" in told[0]


#: What a file of counts may have become; the third has a whole entry without a name, as zeros that a power cut left.
DAMAGE = [b"\x40\0\0", b"\x40\0\0\0\0\0\0\0\xff", b"\x20" + bytes(31), b"\x20\0\0\0\0\0\0\0\4\0\0\0\xff\xff\xff\xff" + bytes(16)]


@pytest.mark.parametrize("name", ["counter_dead.db", "histogram_7.db"])
@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_file_of_counts_takes_no_others_with_it(dead, damage, name, caplog):
    """A scrape was 500 from then on, and the next death of a worker ended the master with all the others."""
    (dead / name).write_bytes(damage)
    for _ in range(2):
        assert b"lazu_told_total 3.0" in metrics.render([])
    countfiles.forget(7)
    assert counted(dead) == {"counter_dead.db": [(KEY, 3.0)]}
    assert b"lazu_told_total 3.0" in metrics.render([])
    assert caplog.text.count("counts can't be read") == 1


def test_a_damaged_file_of_counts_stops_no_server(serve, tmp_path):
    """Its master ended when a worker did."""
    server = serve(RUNTIME_DIRECTORY=str(tmp_path))
    dead, before = counters(server) / "counter_dead.db", server.pids()
    dead.write_bytes(DAMAGE[0])
    os.kill(before[1], signal.SIGKILL)
    until(lambda: len(server.pids()) == 3 and before[1] not in server.pids())
    until(lambda: dead.stat().st_size > len(DAMAGE[0]))
    assert alive(server)


def test_what_dead_workers_counted_is_told_once_at_any_time(serve):
    """Their counts move to another file while others scrape."""
    server = serve()
    key, seen, done = server.new_key(), [], threading.Event()
    for _ in range(3):
        stored(server, key)

    def scrape():
        while not done.is_set():
            with suppress(OSError, http.client.HTTPException):  # the worker that died
                seen.append(scraped(server))

    before = samples(server)
    threads = [threading.Thread(target=scrape) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        left = server.pids()
        os.kill(left[1], signal.SIGKILL)
        until(lambda left=left: len(server.pids()) == 3 and left[1] not in server.pids())
    done.set()
    for thread in threads:
        thread.join()
    label = ("lazu_requests_total", ("method", "POST"), ("route", "/v1/files"), ("status", "200"))
    assert {each[label] for each in seen} == {3}
    sums = [name for name in before if name[0].startswith("lazu_request_seconds") and ("method", "POST") in name]
    assert [seen[-1][name] for name in sums] == [before[name] for name in sums]


def test_the_counters_leave_with_the_server(serve, tmp_path):
    server = serve(RUNTIME_DIRECTORY=str(tmp_path))
    scraped(server)
    assert list(tmp_path.glob("lazu-counters-*/*.db"))
    server.stop()
    assert not list(tmp_path.glob("lazu-counters-*"))


def test_the_counters_of_a_server_that_was_killed_leave_with_the_next_start(serve, tmp_path):
    """Those of one that lives stay, and what has no lock: it may just have been made."""
    killed, living = (serve(RUNTIME_DIRECTORY=str(tmp_path), LAZU_WORKERS="1") for _ in range(2))
    (tmp_path / "lazu-counters-new").mkdir()
    theirs = counters(living)
    left = counters(killed)
    for pid in killed.pids():
        os.kill(pid, signal.SIGKILL)
    killed.stop(signal.SIGKILL)
    until(lambda: not alive(killed))
    killed.start()
    assert set(tmp_path.glob("lazu-counters-*")) == {theirs, counters(killed), tmp_path / "lazu-counters-new"}
    assert left != counters(killed)


def test_what_a_killed_server_had_taken_is_free_in_a_directory_of_the_operator_too(serve, double, tmp_path):
    """Also while a worker of it is still there."""
    held = threading.Event()
    double.script = lambda _: held.wait(60)
    server = serve(**double.env, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "counters"), LAZU_UPSTREAM_CALLS="1", LAZU_API_KEY="k")
    running = ("lazu_upstream_calls_running",)
    ask = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
    until(lambda: len(list(tmp_path.glob("counters/*/counter_*.db"))) == 2)  # no worker is in the midst of its start
    master, orphan, worker = server.pids()
    os.kill(orphan, signal.SIGSTOP)
    try:
        with closing(dial(server, ask + b'Content-Length: 27\r\n\r\n{"model": "m", "input": ""}')):
            until(lambda: scraped(server)[running] == 1)
            os.kill(master, signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
            server.stop(signal.SIGKILL)
        held.set()
        server.port = free_port()  # the other one is the orphan's
        assert scraped(server.start())[running] == 0
    finally:
        os.kill(orphan, signal.SIGKILL)
    server.process.send_signal(signal.SIGHUP)
    assert request(server, "GET", "/healthz").status == 200


def counters(server):
    """The directory in which the processes of a server count, which its worker has mapped when it has answered."""
    scraped(server)
    maps = Path(f"/proc/{server.pids()[1]}/maps").read_text()
    return Path(re.search(r"/\S+/lazu-counters-\w+", maps)[0])


def clean(folder):
    """Remove it, though a worker that starts may put a file there meanwhile."""
    until(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists())


def test_counting_goes_on_when_something_cleaned_the_directory(serve, tmp_path):
    server = serve(RUNTIME_DIRECTORY=str(tmp_path), LAZU_WORKERS="1")
    [counters] = tmp_path.glob("lazu-counters-*")
    clean(counters)
    assert request(server, "GET", "/metrics").status == 200
    clean(counters)
    os.kill(server.pids()[1], signal.SIGKILL)
    until(lambda: alive(server))
    assert count(server, method="GET", route="/healthz", status="200") >= 1


def test_what_living_processes_counted_outlives_a_cleaning_of_which_the_log_tells_once(serve, tmp_path):
    """Each went on in a file that nobody found; and what is made again is no server's that was killed."""
    server = serve(RUNTIME_DIRECTORY=str(tmp_path))
    for _ in range(20):
        request(server, "GET", "/v1/files")
    before = samples(server)
    clean(counters(server))
    until(lambda: scraped(server).items() >= {each: before[each] for each in before if ("route", "/v1/files") in each}.items())
    [folder] = tmp_path.glob("lazu-counters-*")
    other = serve(RUNTIME_DIRECTORY=str(tmp_path))
    assert folder.is_dir()
    assert other.log.read_text().count("took files away") == 0
    assert server.log.read_text().count("took files away") == 1


def test_a_cleaned_directory_is_the_servers_also_when_the_worker_that_made_it_again_has_ended(serve, tmp_path):
    """That one alone held its lock: the next start of this user removed what a running server counted."""
    server = serve(RUNTIME_DIRECTORY=str(tmp_path))
    request(server, "GET", "/v1/files")
    before = samples(server)
    folder = counters(server)
    clean(folder)
    label = ("lazu_requests_total", ("method", "GET"), ("route", "/v1/files"), ("status", "401"))
    until(lambda: len(list(folder.glob("counter_*.db"))) == 2 and scraped(server).get(label) == before[label])
    for worker in server.pids()[1:]:
        os.kill(worker, signal.SIGKILL)
        until(lambda worker=worker: len(server.pids()) == 3 and worker not in server.pids())
    serve(RUNTIME_DIRECTORY=str(tmp_path))
    assert samples(server)[label] == before[label]


@pytest.fixture
def mine(tmp_path):
    """What a process counts, in a file of a directory that was taken away once."""
    with closing(Counts(str(tmp_path / "counters/counter_1.db"))) as counts:
        counts.write_value(KEY, 1.0, 0.0)
        shutil.rmtree(tmp_path / "counters")
        yield counts


def test_counts_that_outgrow_a_file_that_was_taken_away_are_all_in_the_next(mine, tmp_path):
    """Those so far were gone, until each changed."""
    many = [(f"one of many, {number}", 2.0) for number in range(200)]
    for name, value in many:
        mine.write_value(name, value, 0.0)
    assert counted(tmp_path / "counters") == {"counter_1.db": [(KEY, 1.0), *many]}


def test_counts_that_were_taken_away_while_there_was_no_room_are_told_when_there_is_some(mine, tmp_path, monkeypatch):
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full)
        Counts.due = True
        mine.write_value(KEY, 2.0, 0.0)
    assert counted(tmp_path / "counters") == {}
    Counts.due = True
    mine.write_value(KEY, 3.0, 0.0)
    assert counted(tmp_path / "counters") == {"counter_1.db": [(KEY, 3.0)]}


def test_a_process_goes_on_from_what_an_ended_one_of_the_same_id_left(dead):
    with closing(Counts(str(dead / "counter_7.db"))) as counts:
        counts.write_value(KEY, counts.read_value(KEY)[0] + 1, 0.0)
    assert counted(dead) == {"counter_7.db": [(KEY, 4.0)]}


def test_a_limit_holds_when_something_cleaned_the_directory(serve, double, tmp_path):
    """A process that began afterwards had one of its own."""
    held = threading.Event()
    double.script = lambda _: held.wait(60)
    server = serve(**double.env, RUNTIME_DIRECTORY=str(tmp_path), LAZU_UPSTREAM_CALLS="1", LAZU_API_KEY="k", LAZU_WORKERS="1")
    body, headers = b'{"model": "m", "input": ""}', {"Content-Type": "application/json"}
    ask = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
    with closing(dial(server, f"{ask}Content-Length: {len(body)}\r\n\r\n".encode() + body)):
        until(lambda: double.received)
        clean(counters(server))
        before = server.pids()
        os.kill(before[1], signal.SIGSTOP)  # it takes no client, and its call goes on
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(server.pids()) == 3)
        try:
            assert request(server, "POST", "/v1/responses", "k", body, headers).error == (503, "overloaded", None)
        finally:
            held.set()
            os.kill(before[1], signal.SIGCONT)


def test_commands_count_for_nobody_and_leave_nothing(serve, tmp_path):
    """Where the variable is set for all of a machine."""
    server = serve()
    for folder in (tmp_path / "there", tmp_path / "missing"):
        server.env["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        (tmp_path / "there").mkdir(exist_ok=True)
        assert server.flask("purge").stderr == ""
        assert list(folder.glob("*")) == []


def test_servers_that_were_given_one_directory_count_apart_whatever_it_is_called(serve, tmp_path):
    """Also after a reload, which reads gunicorn's settings again."""
    folder = tmp_path / "lazu-counters-x"
    one, two = (serve(PROMETHEUS_MULTIPROC_DIR=str(folder), LAZU_WORKERS="1") for _ in range(2))
    asked = {"method": "GET", "route": "/healthz", "status": "200"}
    assert request(two, "GET", "/healthz").status == 200
    assert (count(one, **asked), count(two, **asked)) == (0, 1)
    before = two.pids()[1:]
    two.process.send_signal(signal.SIGHUP)
    until(lambda: two.pids()[1:] and not set(before) & set(two.pids()))
    assert (count(one, **asked), count(two, **asked)) == (0, 1)
    two.stop()
    assert len(list(folder.iterdir())) == 1
    one.stop()
    assert list(folder.iterdir()) == []


def a_file(place):
    place.write_text("")


def where_nothing_can_be_made(place):
    place.symlink_to("/proc/self")


@pytest.mark.parametrize("spoil", [a_file, where_nothing_can_be_made])
def test_a_start_that_finds_no_place_for_counters_says_so_in_one_line(tmp_path, spoil):
    place = tmp_path / "counters"
    spoil(place)
    server = Server(tmp_path / "storage", {"PROMETHEUS_MULTIPROC_DIR": str(place)})
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    [told] = server.log.read_text().splitlines()
    assert told.startswith(f"Lazu can't start: {place} can't hold what the processes count")
    assert "PROMETHEUS_MULTIPROC_DIR" in told


def test_bytes_in_and_out_are_those_of_the_wire(serve):
    server = serve()
    key = server.new_key()
    file = stored(server, key, b"z" * 3_000_000, "z.txt")
    sent = samples(server)[("lazu_sent_bytes_total",)]
    request(server, "GET", f"/v1/files/{file['id']}/content", key)
    request(server, "GET", f"/v1/files/{file['id']}/content", key, headers={"Range": "bytes=0-999"})
    request(server, "HEAD", f"/v1/files/{file['id']}/content", key)
    after = samples(server)
    own = len(request(server, "GET", "/metrics").body)
    assert 3_001_000 <= after[("lazu_sent_bytes_total",)] - sent <= 3_001_000 + 2 * own
    assert 3_000_000 < after[("lazu_received_bytes_total",)] < 3_010_000


def test_the_store_is_told(serve):
    server = serve()
    assert samples(server)[("lazu_last_purge_timestamp_seconds",)] == 0
    key = server.new_key()
    for name in ("a.txt", "b.txt"):
        stored(server, key, b"same bytes", name)
    created(server, key, 100)
    server.flask("purge")
    told = samples(server)
    assert (told[("lazu_pending_uploads",)], told[("lazu_pending_upload_bytes",)], told[("lazu_part_bytes",)]) == (1, 100, 0)
    figures = {name: told[(f"lazu_{name}",)] for name in ("files", "file_bytes", "blobs", "blob_bytes", "saved_bytes", "overdue_files")}
    assert figures == {"files": 2, "file_bytes": 20, "blobs": 1, "blob_bytes": 10, "saved_bytes": 10, "overdue_files": 0}
    assert time.time() - told[("lazu_last_purge_timestamp_seconds",)] < 60
    assert told[("lazu_free_bytes",)] > told[("lazu_min_free_bytes",)] == 0


def test_a_scrape_while_a_worker_makes_its_file_of_counters(serve, tmp_path):
    """It is empty for a moment, and was 500."""
    server = serve(RUNTIME_DIRECTORY=str(tmp_path))
    request(server, "GET", "/v1/files")
    [folder] = tmp_path.glob("lazu-counters-*")
    for name in ("counter_1.db", "gauge_livesum_1.db"):
        (folder / name).touch()
    assert count(server, method="GET", route="/v1/files", status="401") == 1


def test_a_scrape_shows_what_was_stored_before_it(serve):
    server = serve()
    key = server.new_key()
    for files in range(1, 6):
        stored(server, key)
        assert scraped(server)[("lazu_files",)] == files


def test_calls_of_the_upstream_are_counted_by_what_came_of_them(serve):
    server = serve(LAZU_UPSTREAM_URL=f"http://127.0.0.1:{free_port()}/v1")
    body, headers = b'{"model": "m", "input": "x"}', {"Content-Type": "application/json"}
    assert request(server, "POST", "/v1/responses", server.new_key(), body, headers).status == 502
    assert samples(server)[("lazu_upstream_calls_total", ("outcome", "upstream_error"))] == 1


def test_nothing_that_a_client_chose_can_be_read(server):
    others = count(server, method="other", route="/v1/files", status="405")
    key = server.new_key("secret-name")
    file = stored(server, key, b"hello", "secret-file.txt")
    request(server, "GET", f"/v1/files/{file['id']}", key)
    request(server, "GET", "/v1/secret-path?secret-query", key)
    request(server, "SECRETMETHOD", "/v1/files", key)
    told = request(server, "GET", "/metrics").body.decode().lower()
    assert "secret" not in told
    assert file["id"].lower() not in told
    assert count(server, method="other", route="/v1/files", status="405") == others + 1


def test_rules_and_dashboard_ask_for_what_is_there(server):
    stored(server, server.new_key())
    told = request(server, "GET", "/metrics").body.decode()
    known = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE)) | set(re.findall(r"^(\w+)[ {]", told, re.MULTILINE))
    known.add("lazu_upstream_calls_total")  # appears with the first call
    rules, dashboard = (Path(PROJECT / "deploy" / name).read_text() for name in ("alerts.yml", "grafana.json"))
    for panel in json.loads(dashboard)["panels"]:
        assert panel["targets"]
        assert set(re.findall(r"lazu_\w+", json.dumps(panel["targets"]))) <= known
    assert set(re.findall(r"lazu_\w+", rules)) <= known


def test_alert_rules_are_valid(tmp_path):
    promtool = shutil.which("promtool")
    rules = PROJECT / "deploy/alerts.yml"
    if promtool:
        subprocess.run([promtool, "check", "rules", rules], check=True, capture_output=True)
        subprocess.run([promtool, "test", "rules", PROJECT / "tests/alerts.yml"], check=True, capture_output=True)
    else:
        alerts = re.findall(r"^ +- alert: (\w+)\n +expr: .+", rules.read_text(), re.MULTILINE)
        assert len(alerts) == rules.read_text().count("- alert:") > 3
