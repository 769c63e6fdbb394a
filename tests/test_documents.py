"""A stored file's text and pictures, and what a hostile file costs: one clean refusal, and nobody else notices."""

from __future__ import annotations

import contextlib
import glob
import io
import itertools
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from helpers.documents import RED, bomb, nested, pages, pdf, pictures, self_drawing, stream, words
from helpers.office import archive
from lazu.documents import launcher, reading, sandbox

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


# Files


def encrypted():
    """Return a PDF that says it is encrypted (RC4, 40 bits), with hashes that no empty password matches."""
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]"
    return pages(words("secret"), trailer=lock % (b"41" * 32, b"42" * 32))


def looped():
    """Return a PDF whose cross-reference tables each name the other as the one before."""
    whole = pages(words("loop"))
    start = whole.rindex(b"startxref\n") + len(b"startxref\n")
    place = int(whole[start:].split()[0])
    body = whole.replace(b"/Root 1 0 R ", b"/Root 1 0 R /Prev %010d" % 0)
    return body.replace(b"/Prev %010d" % 0, b"/Prev %010d" % place)


@pytest.fixture
def stored(tmp_path):
    """Return a function that stores bytes and returns their path."""

    def store(data):
        path = tmp_path / "blob"
        path.write_bytes(data)
        return path

    return store


#: This process's children, also dead ones that nobody waited for; other tests' servers are among them.
CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")


@pytest.fixture(autouse=True)
def nothing_stays():
    """After each test no reader is left, running or dead, and no descriptor."""
    before, children = len(os.listdir("/proc/self/fd")), CHILDREN.read_text()
    yield
    assert CHILDREN.read_text() == children
    assert len(os.listdir("/proc/self/fd")) == before
    assert not launcher.SHORT._held
    assert not launcher.LONG._held


#: Seconds in which a file is read or refused: the CPU time that it may take, twice over where others work too.
IN_TIME = 2 * sandbox.CPU + 5


def refusal(call, *arguments):
    """Return the words with which a call refuses, which must come in time."""
    start = time.monotonic()
    with pytest.raises(reading.Unreadable) as error:
        call(*arguments)
    assert time.monotonic() - start < IN_TIME
    return str(error.value)


def pdf_text(path):
    return reading.text(path, "application/pdf").text


# Text

ENGLISH = "The café opened at nine. Nobody came before noon, naïve as that may sound.\n"
CHINESE = "文件上传之后,可以在请求中引用它的编号。保存期限为三十天,到期后会自动删除。\n"
JAPANESE = "ファイルを一度アップロードすれば、後で番号を使って参照できます。保存期間は三十日です。\n"
RUSSIAN = "Файл загружается один раз, после чего на него можно ссылаться по номеру. Срок хранения тридцать дней.\n"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", ENGLISH + CHINESE + "🙂"),
        ("utf-8-sig", RUSSIAN),
        *((f"utf-{form}", text) for form in ("16", "32", "16-le", "16-be") for text in (ENGLISH, CHINESE, RUSSIAN)),
        ("latin-1", ENGLISH * 4),
        ("gb18030", CHINESE * 4),
        ("shift-jis", JAPANESE * 4),
        ("windows-1251", RUSSIAN * 4),
    ],
)
def test_text_is_read_whatever_its_encoding(stored, encoding, text):
    assert reading.text(stored(text.encode(encoding)), "text/plain").text == text


def test_utf8_cut_within_a_character_is_still_utf8(stored):
    assert reading.text(stored(CHINESE.encode()[:-2]), "text/plain").text.startswith(CHINESE[:-2])


def test_a_long_text_is_read_to_its_end(stored):
    text = JAPANESE * 20_000 + "終わり。"
    assert reading.text(stored(text.encode("shift-jis")), "text/plain").text == text


def test_text_can_go_into_json(stored):
    dirty = b"a\0b" + b"c" * 900 + b"\x1b\x7f\xef\xbb\xbf\xef\xbf\xbf\r\n\t"
    assert reading.text(stored(dirty), "text/plain").text == "a\nb" + "c" * 900 + "\r\n\t"
    lone = b"\xff\xfe" + "x".encode("utf-16-le") * 300 + b"\x00\xd8"
    reading.text(stored(lone), "text/plain").text.encode()


ZIP = archive({"notes.txt": ENGLISH})


@pytest.mark.parametrize(
    "data", [os.urandom(5000), bytes(4000), ZIP, b"\0\1" * 999, b""], ids=["noise", "zeros", "zip", "numbers", "empty"]
)
def test_what_is_no_text_is_refused(stored, data):
    assert "neither text nor a document" in refusal(reading.text, stored(data), "application/octet-stream")


def test_a_picture_is_refused_without_a_look():
    assert "neither text" in refusal(reading.text, "/nowhere", "image/gif")


def test_an_svg_is_text(stored):
    assert reading.text(stored(b"<svg/>"), "image/svg+xml").text == "<svg/>"


def test_text_over_the_limit_is_refused_not_cut(stored):
    assert len(reading.text(stored(b"x" * reading.TEXT_LIMIT), "text/plain").text) == reading.TEXT_LIMIT
    for size in reading.TEXT_LIMIT + 1, reading.TEXT_LIMIT * 4 + 1:
        assert "more than 8 MB" in refusal(reading.text, stored(b"x" * size), "text/plain")


# PDF


def test_each_page_stands_under_its_number(stored):
    text = pdf_text(stored(pages(words("First"), b"", words("naïve café"))))
    assert text.split("\n\n") == [
        "[Page 1 of 3]\nFirst", "[Page 2 of 3]\n(no text on this page)", "[Page 3 of 3]\nnaïve café", ""
    ]  # fmt: skip


def test_ten_thousand_pages_are_read_and_one_more_is_refused(stored):
    many = [words("leaf")] * 10_000
    assert pdf_text(stored(pages(*many))).count("leaf") == 10_000
    assert "10,000 pages" in refusal(pdf_text, stored(pages(*many, b"")))


def test_pages_become_pictures(stored):
    shown = pictures(stored(pages(RED, words("x"))))
    image = Image.open(io.BytesIO(shown.pictures[0]))
    assert (shown.total, len(shown.pictures), image.format, image.size) == (2, 2, "JPEG", (1187, 1536))
    red, green, blue = image.getpixel((600, 700))
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


def filled():
    """Return a PDF of 600 by 800 points whose form field says Ada, over a red box."""
    look = stream(
        b"1 0 0 rg 0 0 300 50 re f 0 g BT /F 24 Tf 9 9 Td (Ada) Tj ET",
        b"/Type /XObject /Subtype /Form /BBox [0 0 300 50] /Resources << /Font << /F 3 0 R >> >>",
    )
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>",
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] /MediaBox [0 0 600 800] >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Annots [6 0 R] /Resources << /Font << /F 3 0 R >> >> >>",
        stream(words("Name:")),
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (n) /V (Ada) /F 4 /Rect [100 100 400 150] /AP << /N 7 0 R >> >>",
        look,
    )


def test_what_is_filled_into_a_form_is_read_and_shown(stored):
    path = stored(filled())
    assert pdf_text(path).split() == ["[Page", "1", "of", "1]", "Name:", "Ada", "n:", "Ada"]
    image = Image.open(io.BytesIO(pictures(path).pictures[0]))
    assert image.size == (1152, 1536)
    assert image.getpixel((600, 1300))[1] < 9


def test_only_the_first_twenty_pages_become_pictures(stored):
    shown = pictures(stored(pages(*[words("x")] * 25)))
    assert (shown.total, len(shown.pictures)) == (25, 20)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        (b"0 0 14400 14400", (1536, 1536)),  # 200 inches, the most that PDF allows
        (b"0 0 14400 1", (1536, 1)),
        (b"0 0 72 72", (200, 200)),
        (b"0 0 1e9 1e9", (1187, 1536)),  # not believed: drawn as a Letter page
    ],
)
def test_a_picture_is_bounded_whatever_the_page(stored, box, size):
    (picture,) = pictures(stored(pages(RED, box=box))).pictures
    assert Image.open(io.BytesIO(picture)).size == size


def test_a_scan_has_no_text_but_pictures(stored):
    scan = stored(pages(RED))
    assert "no text in it" in refusal(pdf_text, scan)
    assert len(pictures(scan).pictures) == 1


def test_an_open_file_is_read_from_its_start_and_left_where_it_was(stored):
    with open(stored(pages(words("here"))), "rb") as file:
        file.seek(7)
        assert "here" in pdf_text(file.fileno())
        assert file.tell() == 7


# Hostile files


@pytest.mark.parametrize("call", [pdf_text, pictures])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\n", "damaged"),
        (pages(words("x"))[:60], "damaged"),
        (os.urandom(10_000), "damaged"),
        (encrypted(), "password"),
    ],
    ids=["bare", "cut", "noise", "locked"],
)
def test_a_file_that_is_no_readable_pdf_is_refused(stored, call, data, reason):
    assert reason in refusal(call, stored(data))


def outcome(call, path):
    """Return what a call gives, or the words with which it refuses."""
    try:
        return str(call(path))
    except reading.Unreadable as refused:
        return str(refused)


#: Hostile PDFs, and what becomes of their text and of their pictures.
HOSTILE = {
    "looped": (looped(), "loop", "total=1"),
    "nested content": (nested("content"), "[Page 1 of 1]", "total=1"),
    "nested catalogue": (nested("catalogue"), "damaged", "total=1"),
    "self-drawing": (self_drawing(), "damaged", "damaged"),
    "bomb": (bomb(1 << 26), "no text in it", "total=1"),
    "bomb in bomb": (bomb(1 << 26, 3), "no text in it", "total=1"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("call", [pdf_text, pictures])
def test_a_hostile_pdf_is_read_or_refused_in_time(stored, call, name):
    """It passed whatever became of them, and within five minutes, after which a reader is ended anyway."""
    data, text, shown = HOSTILE[name]
    start = time.monotonic()
    assert (text if call is pdf_text else shown) in outcome(call, stored(data))
    assert time.monotonic() - start < IN_TIME


def test_every_cut_of_a_pdf_is_read_or_refused(stored):
    """It passed if each was refused, the whole one too."""
    whole = pages(words("cut"))
    found = [outcome(pdf_text, stored(whole[:end])) for end in (*range(1, len(whole), 61), len(whole) - 2)]
    assert {True, False} == {"[Page 1 of 1]\ncut" in each for each in found}


# Limits

PRELUDE = "import ctypes, os, signal, socket, sys, time; from lazu.documents import sandbox, reader; "


@pytest.fixture
def reader(stored):
    """Return a function that reads a file by a misbehaving reader, which runs `code` in place of the real one's."""

    def run(code, limit=1 << 20, wall=10):
        command = [word.replace("reader.main(sys.argv[1])", "exec(sys.argv[1])") for word in launcher.command(PRELUDE + code)]
        return launcher.run(launcher.Job(command, stored(b"x"), limit), wall=wall)

    return run


def test_a_reader_that_spins_is_ended_by_its_cpu_limit(reader):
    spin = "sandbox.CPU = 1; sandbox.limit(1)\nwhile True: pass"
    assert "too long" in refusal(reader, spin, 1 << 20, launcher.WALL)


STALLS = "time.sleep(99)", "os.close(1); time.sleep(99)", "\nwhile True: os.write(1, b'x'); time.sleep(.1)"


@pytest.mark.parametrize("code", STALLS, ids=["silent", "closed", "dripping"])
def test_a_reader_that_stalls_is_ended_by_the_clock_and_its_file_is_not_blamed(reader, code):
    with pytest.raises(reading.Busy):
        reader(code, 1 << 20, 1)


@pytest.mark.parametrize("number", [9, 15])
def test_a_reader_that_somebody_ends_is_no_fault_of_its_file(reader, number):
    with pytest.raises(reading.Busy):
        reader(f"os.kill(os.getpid(), {number})")


def test_a_reader_that_takes_memory_is_refused(reader):
    code = "\ntry: sandbox.limit(1); x = bytes(600 << 20)\nexcept MemoryError: reader.leave(15)"
    assert "memory" in refusal(reader, code)


def test_a_reader_that_writes_without_end_costs_no_more_than_the_limit(reader):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "more than 8 MB" in refusal(reader, "\nwhile True: os.write(1, bytes(1 << 20))")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


def test_a_reader_that_crashes_is_refused(reader):
    assert "damaged" in refusal(reader, "ctypes.string_at(0)")


def test_a_fault_of_the_reader_itself_is_not_blamed_on_the_file(reader):
    with pytest.raises(RuntimeError):
        reader("import nothing_like_this")


FORBIDDEN = {
    "open": "open('/etc/passwd')",
    "write": "open('/tmp/lazu-was-here', 'w')",
    "unlink": "os.unlink('/tmp/lazu-was-here')",
    "socket": "socket.socket()",
    "fork": "os.fork()",
    "exec": "os.execv('/bin/true', ['true'])",
    "kill": "os.kill(os.getppid(), 0)",
    "chmod": "os.chmod('/tmp', 0o1777)",
}


SEALED = """
sandbox.limit(1)
if not sandbox.seal(): os._exit(99)
try: {}
except OSError as error: os.write(1, str(error.errno).encode())
"""


@pytest.mark.skipif(os.uname().machine not in sandbox.CALLS, reason="no seal for this machine")
@pytest.mark.parametrize("act", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_sealed_reader_can_do_nothing_but_answer(reader, act):
    assert reader(SEALED.format(act)) == b"1"  # EPERM


@pytest.mark.parametrize("kind", ["pdf", "pages 1536"])
@pytest.mark.skipif(os.uname().machine not in sandbox.CALLS, reason="no seal for this machine")
def test_pdfium_runs_limited_and_sealed(stored, kind):
    end = time.monotonic() + 10
    with open(stored(self_drawing())) as file, launcher.started(launcher.command(kind), file.fileno()) as process:
        while "Seccomp:\t2" not in about(process, "status"):
            assert process.poll() is None, "it ended unsealed"
            assert time.monotonic() < end
            time.sleep(0.005)
        limits = {line[:26].strip(): line[26:].split()[:2] for line in about(process, "limits").splitlines()}
    assert limits["Max cpu time"] == ["20", "21"]
    assert limits["Max address space"] == [str(sandbox.MEMORY + len(self_drawing()))] * 2
    for what in "file size", "core file size", "processes", "open files":
        assert limits[f"Max {what}"] == ["0", "0"]


def about(process, what):
    with open(f"/proc/{process.pid}/{what}") as file:
        return file.read()


def test_a_text_detector_runs_limited(stored):
    path = stored(b"x" * (4 << 20))
    with open(path) as file, launcher.started(launcher.command("text"), file.fileno()) as process:
        while "Max file size             0 " not in about(process, "limits"):
            assert process.poll() is None, "it ended unlimited"


def test_a_reader_knows_nothing_of_the_server(reader, monkeypatch):
    monkeypatch.setenv("LAZU_API_KEY", "sk-lazu-secret")
    assert b"secret" not in reader("os.write(1, open('/proc/self/environ', 'rb').read() + repr(os.environ).encode())")
    assert reader("os.write(1, repr([name for name in sys.modules if name in ('flask', 'peewee')]).encode())") == b"[]"
    assert reader("os.write(1, str(len(os.listdir('/proc/self/fd'))).encode())") == b"4"  # one is the listing's own


def test_who_finds_no_free_reader_is_told_so(reader):
    with contextlib.ExitStack() as stack:
        owners = itertools.count()
        while launcher.SHORT.take_now(owner := next(owners)):
            stack.callback(launcher.SHORT.give, owner)
        with pytest.raises(reading.Busy):
            reader("pass", wall=0.01)


def offspring(task):
    with contextlib.suppress(OSError), open(task) as file:
        return file.read().split()
    return []


def test_many_threads_share_few_readers(stored):
    path, texts, most = stored(pages(words("together"))), [], 0
    others = len(CHILDREN.read_text().split())
    threads = [threading.Thread(target=lambda: texts.append(pdf_text(path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        tasks = glob.glob("/proc/self/task/*/children")
        most = max(most, sum(len(offspring(task)) for task in tasks) - others)
        time.sleep(0.005)
    assert [text.count("together") for text in texts] == [1] * 16
    assert 1 <= most <= 2 * max(1, len(os.sched_getaffinity(0)) // 2)  # short ones and long ones


MEASURE = """
import resource, sys; sys.path.insert(0, sys.argv[1]); from lazu.documents import reading
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for call in lambda: reading.text(sys.argv[2], "application/pdf"), lambda: reading.pages(sys.argv[2])[:4]:
    try: print(call())
    except reading.Unreadable as error: print(error)
assert peak() - before < 8 << 10, peak() - before
assert not {"pypdfium2_raw", "PIL", "chardet"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("data", "answer"), [(pages(words("anywhere")), "anywhere"), (bomb(1 << 26), "no text")], ids=["pdf", "bomb"]
)
def test_a_server_in_any_directory_reads_and_does_not_grow(stored, data, answer):
    command = [sys.executable, "-c", MEASURE, HERE, stored(data)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer in done.stdout
