"""What was read out of a file is kept: for the key that had it read, no longer than the bytes, bounded; refusals too."""

import errno
import io
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import openai
import pytest

from helpers.broken import failing
from helpers.documents import RED, pages, words
from helpers.in_process import blobs, uncollected
from helpers.server import PROJECT, problems
from helpers.upstream import upload
from lazu.documents import reading, refusals
from lazu.errors import Busy, Overloaded, UnsupportedFileType
from lazu.gateway.attachment import Content
from lazu.gateway.extracts import Extracts
from lazu.store import derived, disk
from lazu.store.contents.shelf import Shelf
from lazu.store.tables import Key

PAPER = pages(words("First page"), words("Second"))
SCAN = pages(RED, RED)


def kept(server):
    """The kinds of what is kept, without key and version."""
    return sorted(path.suffix.split("-")[0] for path in server.blobs() if path.suffix not in ("", ".kept"))


def texts(server):
    return [path for path in server.blobs() if path.suffix not in ("", ".kept") and not path.suffix.startswith(".pages")]


@pytest.fixture
def own(serve, double):
    """A server of one's own, in images mode."""
    return serve(**double.env, LAZU_UPSTREAM_FILES="images", LAZU_API_KEY="k")


def ask(client, file_id, **more):
    content = [{"type": "input_file", "file_id": file_id, **more}]
    return client.responses.with_raw_response.create(model="m", input=[{"role": "user", "content": content}])


def said(double):
    return double.last.json["input"][0]["content"][0]["text"]


# Once


def test_a_document_is_read_once_for_a_key(own, double):
    with own.client("k") as client:
        ids = [upload(client, PAPER) for _ in range(2)]
        ask(client, ids[0])
        assert kept(own) == [".document", ".pages"]
        texts(own)[0].write_bytes(b"\nkept words")
        ask(client, ids[1])
        assert "kept words" in said(double)


def test_a_key_learns_nothing_from_what_another_key_had_read(own, double):
    with own.client("k") as one, own.client() as two:
        ids = [upload(each, PAPER) for each in (one, two)]
        ask(one, ids[0])
        texts(own)[0].write_bytes(b"\nread for one")
        ask(two, ids[1])
        assert "First page" in said(double)
        assert kept(own) == [".document", ".document", ".pages", ".pages"]


def test_a_text_is_kept_as_it_is(own, double):
    with own.client("k") as client:
        ask(client, upload(client, 'He said "no"\\\n\tÜ 你\U0001f600'.encode(), "a.txt"))
        assert texts(own)[0].read_bytes() == '\nHe said "no"\\\n\tÜ 你\U0001f600'.encode()
        assert said(double).endswith('He said "no"\\\n\tÜ 你\U0001f600')


def test_every_character_of_a_kept_text_arrives(own, double):
    every = "".join(map(chr, range(0x180))) * 800  # more than a piece of it, which ends within a character
    with own.client("k") as client:
        file_id = upload(client, b"some words", "a.txt")
        ask(client, file_id)
        texts(own)[0].write_bytes(b"\n" + every.encode())
        ask(client, file_id)
        assert said(double).endswith(every)


def test_pictures_are_kept_by_their_size(own, double):
    with own.client("k") as client:
        file_id = upload(client, SCAN)
        sizes = []
        for detail in ("low", "high", "auto", "low"):
            ask(client, file_id, detail=detail)
            picture = double.last.json["input"][0]["content"][1]
            assert picture["detail"] == detail
            sizes.append(len(picture["image_url"]))
        assert sizes[0] < sizes[2] < sizes[1]
        assert sizes[3] == sizes[0]
        assert kept(own) == [".document", ".pages", ".pages", ".pages"]


def test_a_refusal_is_kept_and_told_again_until_other_readers_come(own, double):
    with own.client("k") as client:
        file_id = upload(client, bytes(400), "a.dat")
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match="neither text nor a doc"):
                ask(client, file_id)
        (path,) = texts(own)
        assert path.read_bytes() == b"refused %d\n" % refusals.BINARY
        path.write_bytes(b"\nread after all")
        ask(client, file_id)
        assert "read after all" in said(double)
        path.rename(path.with_name(path.name.replace(reading.VERSION, "0" * 8)))  # as older readers would have left it
        with pytest.raises(openai.BadRequestError, match="neither text nor a doc"):
            ask(client, file_id)


class Reader:
    """Counts how often the real reader is asked."""

    def __init__(self, monkeypatch):
        self.calls, self._read = 0, reading.text
        monkeypatch.setattr(reading, "text", self)

    def __call__(self, *arguments):
        self.calls += 1
        return self._read(*arguments)


@pytest.fixture
def reader(monkeypatch):
    return Reader(monkeypatch)


@pytest.fixture
def put(app):
    """Store bytes; gives the content as a request finds it."""

    def store(data):
        client, auth = app.test_client(), {"Authorization": "Bearer test-key"}
        form = {"purpose": "user_data", "file": (io.BytesIO(data), "a.txt")}
        store.file_id = client.post("/v1/files", headers=auth, data=form).json["id"]
        store.delete = lambda: client.delete(f"/v1/files/{store.file_id}", headers=auth)
        [sha256] = blobs(app)
        return Content(partial(app.extensions["lazu"].contents.blobs.open, sha256), len(data), sha256)

    return store


def extracts(app):
    return Extracts(app.extensions["lazu"], Key(id=1))


def test_a_file_named_sixty_times_is_read_once_also_if_it_can_not_be_read(app, put, reader):
    content, once = put(bytes(400)), extracts(app)
    for _ in range(60):
        with pytest.raises(UnsupportedFileType):
            once.text(content, "application/octet-stream")
    assert reader.calls == 1


def unnamed():
    """How many files without a name are open: other descriptors come and go with the journal's thread."""
    names = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.append(os.readlink(each))
    return sum("/#" in name for name in names)


def test_what_could_not_be_kept_goes_with_its_request(patient, app, put, monkeypatch):
    """Without waiting until Python looks for cycles: it has a descriptor and room on the disk."""
    contents, whole = app.extensions["lazu"].contents, extracts(app)
    content = put(b"words")
    whole.text(content, "text/plain")
    monkeypatch.setattr(contents, "keep", lambda *_: False)
    with uncollected():
        before = unnamed()
        whole.text(content, "text/html")
        assert unnamed() == before + 1
        del whole
        assert unnamed() == before


def test_who_finds_that_what_was_kept_has_gone_hears_whether_the_file_has(app, put):
    """It may have had to make room: then a repeat reads the file again."""
    content = put(b"words")
    extracts(app).text(content, "text/plain")
    whole, blob = extracts(app).text(content, "text/plain").slice, app.extensions["lazu"].contents.blobs
    with blob.lock(content.sha256) as shard:
        derived.drop(content.sha256, shard)
    with pytest.raises(Overloaded):
        b"".join(whole)
    put.delete()
    with pytest.raises(FileNotFoundError):
        b"".join(whole)


def test_equal_requests_at_once_share_one_reader(app, put, reader):
    content, found = put(b"shared words"), []
    read = reader._read

    def slow(*arguments):
        time.sleep(0.3)
        return read(*arguments)

    reader._read = slow
    threads = [threading.Thread(target=lambda: found.append(b"".join(extracts(app).text(content, "text/plain").slice))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"shared words"] * 8
    assert reader.calls == 1


HOLD = """
import sys; from pathlib import Path; from lazu.store import derived, disk
with disk.named_lock(Path(sys.argv[1]), sys.argv[2], 9):
    print("held", flush=True); sys.stdin.read()
"""


def test_a_named_lock_holds_among_processes_and_goes_with_its_process(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path), "one"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Busy), disk.named_lock(path, "one", 0.1):
            pass
        with disk.named_lock(path, "two", 0.1):
            other.kill()
        with disk.named_lock(path, "one", 60):
            pass


# No longer than the bytes


def test_what_is_kept_goes_with_the_last_file(own):
    with own.client("k") as client, own.client() as other:
        ids = [upload(client, PAPER) for _ in range(2)]
        ask(client, ids[0])
        theirs = upload(other, PAPER)
        ask(other, theirs)
        for each, file_id in ((client, ids[0]), (client, ids[1])):
            each.files.delete(file_id)
            assert kept(own) == [".document", ".document", ".pages", ".pages"]
        other.files.delete(theirs)
        assert own.blobs() == []


def test_a_list_of_what_is_kept_may_be_damaged(own):
    """As a power cut leaves it: zeros in the place of a line. It stopped every purge at its blob."""
    with own.client("k") as client:
        file_id = upload(client, PAPER)
        ask(client, file_id)
        [listed] = [path for path in own.blobs() if path.suffix == ".kept"]
        listed.write_bytes(listed.read_bytes() + b"\0" * 20 + b"\n\xff../x\n")
        client.files.delete(file_id)
        assert own.blobs() == []


def test_what_lazu_0_1_kept_goes_too(own):
    with own.client("k") as client:
        file_id = upload(client, PAPER)
        (blob,) = own.blobs()
        for kind in (".text", ".pages"):
            blob.with_name(blob.name + kind).write_bytes(b"old")
        assert problems(own.storage) == []
        client.files.delete(file_id)
        assert own.blobs() == []


def test_what_is_kept_of_nothing_is_found_and_swept(own):
    with own.client("k") as client:
        client.files.list()  # the shards are made when the first worker is there
    (leftover := own.storage / "blobs/ab" / f"ab{'0' * 62}.plain-1-00000000").write_bytes(b"left")
    assert [(problem.kind, problem.about) for problem in problems(own.storage)] == [("leftover", f"ab/{leftover.name}")]
    own.flask("purge")
    assert not leftover.exists()


def test_deletes_and_calls_of_the_same_document_leave_nothing(own):
    """Whoever wins, nothing is kept of bytes that are gone, and every call that fails says why."""
    odd = []

    def churn(number):
        with own.client("k") as client:
            for _ in range(6):
                file_id = client.files.create(file=("a.pdf", PAPER), purpose="user_data").id
                rival = threading.Thread(target=client.files.delete, args=(file_id,))
                rival.start()
                try:
                    ask(client, file_id)
                except openai.APIError as e:
                    # `overloaded`: its file went, and with it the text; but another upload of the bytes has come meanwhile.
                    if e.code not in ("file_not_found", "overloaded"):
                        odd.append(e)
                rival.join()

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert odd == []
    assert own.blobs() == []


def test_nothing_is_kept_of_a_blob_that_went_meanwhile(app, put, reader):
    """The document is being read when its file is deleted: the text serves this call and is not kept."""
    content, read = put(b"words"), reader._read

    def meanwhile(*arguments):
        found = read(*arguments)
        put.delete()
        return found

    reader._read = meanwhile
    assert b"".join(extracts(app).text(content, "text/plain").slice) == b"words"
    assert not [path for path in app.extensions["lazu"].contents.blobs.root.rglob("*") if path.is_file()]


def test_on_a_disk_that_became_read_only_what_is_kept_is_used(app, put, reader):
    content = put(b"words")
    extracts(app).text(content, "text/plain")
    with failing(os, "utime", errno.EROFS):
        assert b"".join(extracts(app).text(content, "text/plain").slice) == b"words"
    assert reader.calls == 1


def test_what_is_kept_on_a_bad_sector_is_read_anew(app, put, reader):
    content = put(b"words")
    extracts(app).text(content, "text/plain")
    with failing(Shelf, "open"):
        assert b"".join(extracts(app).text(content, "text/plain").slice) == b"words"
    assert reader.calls == 2


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_keeps_nothing_and_answers(app, put, failure):
    content = put(b"words")
    with failing(os, "write", failure):
        found = extracts(app).text(content, "text/plain").slice
        assert (b"".join(found), len(found)) == (b"words", 5)
    assert sum(path.is_file() for path in app.extensions["lazu"].contents.blobs.root.rglob("*")) == 1


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_store_that_a_disk_error_stopped_keeps_nothing_and_answers(own, double, size):
    """A call about a file that nobody had asked about was 500."""
    with own.client("k") as client:
        file_id = upload(client, b"a" * size, "a.txt")
        (own.storage / "blobs/failed").touch()
        for _ in range(2):
            ask(client, file_id)
            assert said(double).endswith("a" * size)
        assert texts(own) == []
    (own.storage / "blobs/failed").unlink()


# Bounded


def test_what_is_kept_is_bounded_and_what_was_not_used_for_longest_goes(serve, double):
    bound = 2**20
    own = serve(**double.env, LAZU_UPSTREAM_FILES="text", LAZU_API_KEY="k", LAZU_KEPT_BYTES=str(bound))
    with own.client("k") as client:
        first = upload(client, pages(words("read again and again")))
        for number in range(16):
            ask(client, upload(client, b"%d long " % number * 15_000, "a.txt"))
            ask(client, first)
            taken = sum(path.stat().st_blocks * 512 for path in texts(own))
            assert taken <= bound * 10 // 8, number
        assert taken > bound // 4
        assert any(b"again and again" in path.read_bytes() for path in texts(own))
        client.files.delete(first)
        assert not any(b"again and again" in path.read_bytes() for path in texts(own))


def test_a_text_larger_than_the_bound_is_read_for_its_call_and_not_kept(serve, double):
    own = serve(**double.env, LAZU_UPSTREAM_FILES="text", LAZU_API_KEY="k", LAZU_KEPT_BYTES="5000")
    with own.client("k") as client:
        ask(client, upload(client, b"long " * 4000, "a.txt"))
        assert said(double).count("long") == 4000
        assert texts(own) == []


def test_nothing_is_kept_where_the_operator_wants_nothing_kept(serve, double):
    own = serve(**double.env, LAZU_UPSTREAM_FILES="text", LAZU_API_KEY="k", LAZU_KEPT_BYTES="0")
    with own.client("k") as client:
        file_id = upload(client, PAPER)
        for _ in range(2):
            ask(client, file_id)
            assert "First page" in said(double)
        assert kept(own) == []
