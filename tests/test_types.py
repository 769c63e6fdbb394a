"""What may be uploaded: purposes, executables, and the type that a file gets."""

import time
from pathlib import Path

import pytest

from helpers.containers import ole2, zipped
from helpers.wire import PURPOSE, dial, form, head, part, request, stored, upload
from lazu import filetypes

VISION = part("purpose", "vision")
EXECUTABLE = (400, "unsupported_file_type", "file")


def identify(content, name):
    return filetypes.identify(lambda start, size: content[start : start + size], len(content), name, filetypes.PURPOSES["user_data"])


@pytest.mark.parametrize("ending", sorted(filetypes.EXECUTABLE_EXTENSIONS))
def test_an_executable_name_is_refused(server, key, ending):
    assert upload(server, key, PURPOSE, part("file", b"harmless", f"a.{ending}")).error == EXECUTABLE


def test_an_executable_is_refused_before_its_bytes_have_come(server, key):
    begun = form(PURPOSE, part("file", b"MZ", "a.exe")).split(b"MZ")[0]
    with dial(server, head(key, length=400 * 2**20) + begun) as client:
        assert b'"unsupported_file_type"' in client.recv(65536)


@pytest.mark.parametrize("name", ["A.EXE", "a.txt.exe", "a.exe. .", "a.exe ", "dir/a.sh", "a\u200e.exe", "a.e\u202exe", ".sh"])
def test_an_executable_name_can_not_be_dressed_up(server, key, name):
    assert upload(server, key, PURPOSE, part("file", b"harmless", name)).error == EXECUTABLE


@pytest.mark.parametrize("name", ["exe", "a.exe.txt", "sh", "a.exec", "program.py", "a.js", "a.so.md", "large_file.bin", "slurm-1.out"])
def test_a_name_that_only_resembles_one_is_welcome(server, key, name):
    assert stored(server, key, b"harmless", name)["filename"] == name


PROGRAMS = {
    "ELF": Path("/bin/true").read_bytes(),
    "ELF, cut": b"\x7fELF",
    "PE": b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86" + bytes(200),
    "DOS, cut": b"MZ\x90\0\3\0\0\0",
    "Mach-O": bytes.fromhex("cffaedfe07000001030000000200000010000000") + bytes(100),
    "fat Mach-O": bytes.fromhex("cafebabe00000002010000070000000300001000") + bytes(200),
    "Java class": bytes.fromhex("cafebabe00000034") + bytes(50),
    "sh script": b"#!/bin/sh\necho hi\n",
    "bash script": b"#!/usr/bin/env bash\necho hi\n",
    "zsh by env": b"#!/usr/bin/env zsh\necho hi\n",
    "dash": b"#!/bin/dash\necho hi\n",
    "env -S": b"#!/usr/bin/env -S bash -eu\necho hi\n",
    "env -vS, glued": b"#! /usr/bin/env -vSfish\n",
    "env with a variable": b"#!/usr/bin/env -i A=1 ksh\n",
    "pwsh": b"#!/usr/bin/env pwsh\r\nls\r\n",
    "busybox": b"#!/bin/busybox ash\n",
    "tcsh, without an end": b"#!/usr/local/bin/tcsh",
    "behind a byte order mark": b"\xef\xbb\xbf#!/bin/sh\n",
    "in Latin-1": "#!/bin/sh\necho Größe\n".encode("latin-1"),
    "with bytes behind it": b"#!/bin/sh\nexit\n" + bytes(range(256)),
    "a NUL behind it": b"#!/bin/sh\0\necho hi\n",
    "env -S, quoted": b"#!/usr/bin/env -S'bash' -e\n",
    "env -S, with its spaces": b"#!/usr/bin/env -S\\_bash\n",
    "env -S, cut": b"#!/usr/bin/env -Sbash\\c and more\n",
    "env, in short": b"#!/usr/bin/env --sp=bash\n",
    "env, what the user has": b"#!/usr/bin/env -S ${SHELL}\n",
    "through nice": b"#!/usr/bin/nice bash\n",
    "with its version": b"#!/usr/local/bin/zsh-5.9\n",
    "posh": b"#!/bin/posh\n",
    "a batch file": b"@echo off\r\ndir\r\n",
    "a batch file, otherwise": b"\r\n@ECHO  OFF & dir",
}


@pytest.mark.parametrize("content", PROGRAMS.values(), ids=PROGRAMS)
def test_an_executable_content_is_refused_whatever_its_name(server, key, content):
    for name in ("notes.txt", "large_file.bin", "slurm-1.out"):
        assert upload(server, key, PURPOSE, part("file", content, name)).error == EXECUTABLE


@pytest.mark.parametrize("ending", "md markdown rst adoc json jsonl ipynb csv html tex log".split())
def test_a_document_may_begin_with_a_script(server, key, ending):
    content = b"#!/bin/sh\n# The lines above and below are explained in this tutorial.\necho hi\n"
    assert stored(server, key, content, f"tutorial.{ending}")["bytes"] == len(content)


@pytest.mark.parametrize("ending", ["md", "json"])
def test_a_program_behind_a_script_is_no_document(server, key, ending):
    content = b'#!/bin/sh\nexec tail -n +3 "$0"\n\x7fELF\2\1\1\0'
    assert upload(server, key, PURPOSE, part("file", content, f"a.{ending}")).error == EXECUTABLE


@pytest.mark.parametrize("content", [b"#!/usr/bin/env python3\n", b"#!/usr/bin/perl -w\n", b"#! is how it begins; sh runs it", b"#!/usr/bin/env node\n", b"#!/usr/bin/awk -f\n", b"#!/opt/sh-tools/run\n", b"echo off"])
def test_other_scripts_and_texts_about_them_are_welcome(server, key, content):
    stored(server, key, content, "notes.txt")


XLSX = zipped("[Content_Types].xml", "xl/workbook.xml")
TYPES = {
    "a.txt": (b"some words", "text/plain; charset=utf-8"),
    "a.md": (b"# Title", "text/markdown; charset=utf-8"),
    "a.csv": (b"a;b", "text/csv; charset=utf-8"),
    "a.json": (b"{not quite json", "application/json"),
    "b.txt": (b'{"a": 1}', "text/plain; charset=utf-8"),
    "a.py": (b"#!/usr/bin/env python3\nprint(1)\n", "text/x-python; charset=utf-8"),
    "a.html": (b"<html><body>hi</body></html>", "text/html; charset=utf-8"),
    "a.pdf": (b"%PDF-1.7\n%", "application/pdf"),
    "paper.txt": (b"%PDF-1.7\n%", "application/pdf"),
    "a.xlsx": (XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "a.zip": (zipped("a.txt"), "application/zip"),
    "a.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    "MZ.txt": (b"MZ is how this text begins", "text/plain; charset=utf-8"),
    "a": (b"\0\1\2\3", "application/octet-stream"),
    "utf16.txt": ("Grüße".encode("utf-16"), "text/plain; charset=utf-16"),
    "latin.md": ("Die Größe der Bäume, in Worten von früher".encode("latin-1"), "text/markdown"),
    "sjis.txt": ("日本語の本文".encode("shift_jis"), "text/plain"),
    "jis.txt": ("日本語の本文".encode("iso2022_jp"), "text/plain"),
    "cut.txt": ("日本語テスト".encode()[:-1], "text/plain; charset=utf-8"),
    "color.log": (b"\x1b[32mINFO\x1b[0m served\n" * 50, "text/plain; charset=utf-8"),
    "fix.log": (b"20260101 : 8=FIX.4.2\x019=65\x0135=0\x0149=A\x0156=B\x01\n" * 9, "text/plain; charset=utf-8"),
    "bell.log": (b"done\a\n", "text/plain; charset=utf-8"),
    "p1.txt": (b"P1 incident: the site was down for an hour.\n", "text/plain; charset=utf-8"),
    "p1": (b"P1\n# by hand\n2 2\n0 1 1 0\n", "image/x-portable-bitmap"),
    "gif.txt": (b"GIF89a is how such a file begins.\n", "text/plain; charset=utf-8"),
    "midi.md": (b"MThd is how such a file begins.\n", "text/markdown; charset=utf-8"),
    "flac.txt": (b"fLaC", "text/plain; charset=utf-8"),
    "vehicle.txt": ("Véhicule 12\n".encode("latin-1"), "text/plain"),
    "weapons.txt": ("Våben\n".encode("latin-1"), "text/plain"),
    "country.txt": ("(Silésie)\n".encode("latin-1"), "text/plain"),
    "obviously.txt": ("явно\n".encode("cp1251"), "text/plain"),
    "label.txt": ("ярлык\n".encode("cp1251"), "text/plain"),
    "8BPS.txt": ("8BPS, Größe".encode("latin-1") * 4, "text/plain"),
    "one.txt": (b"7", "text/plain; charset=utf-8"),
    "subject first.eml": (b"Subject: hi\nContent-Type: text/html\n\n<html><body>x</body></html>\n", "message/rfc822"),
    "from first.eml": (b"From: a@example.org\nSubject: hi\n\nx\n", "message/rfc822"),
    "from a wiki.doc": (b"Date: Mon, 2 Mar 2026 10:00:00 +0000\r\nSubject: Exported\r\n\tfrom it\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>x\r\n", "message/rfc822"),
    "about mail.txt": (b"Subject: hi\nMIME-Version: 1.0\n\nx\n", "text/plain; charset=utf-8"),
    "saved.mht": (b"From: <Saved by Blink>\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>x\n--b--\n", "message/rfc822"),
    "a.xhtml": (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "application/xhtml+xml"),
    "a.kt": (b"fun main() {}", "text/x-kotlin; charset=utf-8"),
    "a.dart": (b"void main() {}", "text/x-dart; charset=utf-8"),
    "a.svg": (b'<?xml version="1.0"?>\n<!-- a --><!-- b -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    "page": (b"<!DOCTYPE html>\n<title>x</title>", "text/html; charset=utf-8"),
    "feed": (b'<?xml version="1.0"?><rss/>', "application/xml"),
    "a.rtf": (rb"{\rtf1 words}", "text/rtf; charset=utf-8"),
    "pjl.pdf": (b"\x1b%-12345X@PJL JOB\r\n%PDF-1.4\n1 0 obj<<>>endobj\n", "application/pdf"),
    "junk.pdf": (b"\0junk\n%PDF-1.4\n1 0 obj<<>>endobj\n", "application/pdf"),
    "about pdf.md": (b"A file begins so:\n\n%PDF-1.4\n1 0 obj<<>>endobj\n", "text/markdown; charset=utf-8"),
    "about pdf.txt": (b"%PDF-1.7 is how it begins.\n", "text/plain; charset=utf-8"),
    "jpeg": (b"\xff\xd8\xff\xe0", "image/jpeg"),
}


@pytest.mark.parametrize(("name", "case"), TYPES.items(), ids=TYPES)
def test_the_type_is_that_of_the_content_refined_by_the_name(server, key, name, case):
    content, expected = case
    file = stored(server, key, content, name, part("Content-Type", "evil/type"))
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.headers["Content-Type"] == expected


DOCX, PPTX = (f"application/vnd.openxmlformats-officedocument.{kind}" for kind in ("wordprocessingml.document", "presentationml.presentation"))
ODT = "application/vnd.oasis.opendocument.text"
OFFICE = {
    "customXml first": (zipped("customXml/item1.xml", "[Content_Types].xml", "_rels/.rels", "word/document.xml"), DOCX),
    "as python-docx writes it": (zipped("[Content_Types].xml", "_rels/.rels", "docProps/core.xml", "word/document.xml"), DOCX),
    "as python-pptx writes it": (zipped("[Content_Types].xml", "_rels/.rels", "docProps/app.xml", "ppt/presentation.xml"), PPTX),
    "a sheet within": (zipped("[Content_Types].xml", "word/embeddings/a.xlsx", "word/document.xml"), DOCX),
    "far behind": (zipped("[Content_Types].xml", *(f"docProps/{n}.xml" for n in range(2000)), "word/document.xml"), DOCX),
    "backslashes": (zipped("[Content_Types].xml", "word\\document.xml").replace(b"word/", b"word\\"), DOCX),
    "cut short": (zipped("[Content_Types].xml", "docProps/a", "word/document.xml")[:-22], DOCX),
    "odt": (zipped(contents=[("content.xml", "<a/>"), ("mimetype", ODT)]), ODT),
    "epub": (zipped(contents=[("mimetype", "application/epub+zip")]), "application/epub+zip"),
    "a lying mimetype": (zipped(contents=[("mimetype", "text/html")]), "application/zip"),
    "named docx, a zip": (zipped("a.txt"), "application/zip"),
    "doc": (ole2("WordDocument", "1Table"), "application/msword"),
    "xls": (ole2("Workbook"), "application/vnd.ms-excel"),
    "ppt": (ole2("Current User", "PowerPoint Document"), "application/vnd.ms-powerpoint"),
    "msg": (ole2("__nameid_version1.0", "__substg1.0_0037001F"), "application/vnd.ms-outlook"),
    "a sheet within a ppt": (ole2("PowerPoint Document", within=["Workbook", "WordDocument"]), "application/vnd.ms-powerpoint"),
    "a directory of many sectors": (ole2(*(f"{n}" for n in range(30)), "WordDocument"), "application/msword"),
}


@pytest.mark.parametrize(("content", "expected"), OFFICE.values(), ids=OFFICE)
def test_an_office_document_is_known_by_its_members_in_whatever_order(content, expected):
    for name in ("a.docx", "upload"):
        assert identify(content, name) == expected


@pytest.mark.parametrize("content", [ole2("Workbook"), zipped("word/a", "[Content_Types].xml"), zipped(contents=[("mimetype", ODT)])], ids=["ole2", "zip", "odt"])
def test_no_damage_to_a_container_makes_more_than_another_type_of_it(content):
    for at in range(len(content)):
        for value in (0, 0xFF):
            assert identify(content[:at] + bytes([value]) + content[at + 1 :], "a")
        assert at == 0 or identify(content[:at], "a")


SIZE = 64 * 1024
SLOW = {
    "prose": b"the quick brown fox " * (SIZE // 20),
    "line ends": b"\n" * SIZE,
    "CRLF": b"\r\n" * (SIZE // 2),
    "UTF-16": b"\xff\xfe" + b"\n\0" * (SIZE // 2),
    "Latin-1": b"\xe9" + b"\n" * SIZE,
    "no text": b"\0" + b"\r" * SIZE,
    "line ends of EBCDIC": b"\x15" * SIZE,
    "comments": b"<!-- -->" * (SIZE // 8),
    "a picture of spaces": b"P1 " + b"\n" * SIZE + b"x",
    "local headers": b"PK\3\4" * (SIZE // 4),
    "angles": b"<" * SIZE,
}


@pytest.mark.parametrize("content", SLOW.values(), ids=SLOW)
def test_no_bytes_take_long_to_name(content):
    """libmagic takes 800 ms for line ends, 6 for those of EBCDIC. Here the dearest costs some 15 times what prose does."""
    prose = min(seconds(SLOW["prose"]) for _ in range(5))
    assert min(seconds(content) for _ in range(5)) < 50 * prose


def seconds(content):
    """Of this thread's processor: others are busy too."""
    began = time.thread_time()
    identify(content, "a")
    return time.thread_time() - began


PICTURES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "gif": b"GIF89a\1\0\1\0",
    "webp": b"RIFF\x24\0\0\0WEBPVP8 ",
}


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_vision_takes_pictures_by_content(server, key, content):
    answer = upload(server, key, VISION, part("file", content, "no-extension"))
    assert (answer.status, answer.json["purpose"]) == (200, "vision")


@pytest.mark.parametrize("content", [b"words", b"%PDF-1.7", b"BM" + bytes(60), b'<svg xmlns="http://www.w3.org/2000/svg"/>'])
@pytest.mark.parametrize("order", [1, -1], ids=["purpose first", "file first"])
def test_vision_takes_nothing_else(server, key, content, order):
    parts = [VISION, part("file", content, "picture.png", "Content-Type: image/png\r\n")][::order]
    assert upload(server, key, *parts).error == (400, "unsupported_file_type", "file")


@pytest.mark.parametrize("first", range(256))
def test_data_is_no_program_for_its_first_byte(first):
    """libmagic takes one byte for a DOS .COM file; such data is welcome, whatever it begins with."""
    head = bytes([first]) + bytes(range(7, 250)) * 2
    assert identify(head, "a.dat") not in filetypes.EXECUTABLE_TYPES
