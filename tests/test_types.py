"""What may be uploaded: purposes, executables, and the type that a file gets."""

import io
import zipfile
from pathlib import Path

import pytest

from helpers.wire import PURPOSE, part, request, stored, upload
from lazu import filetypes

VISION = part("purpose", "vision")
EXECUTABLE = (400, "unsupported_file_type", "file")


@pytest.fixture
def key(server):
    return server.new_key()


@pytest.mark.parametrize("ending", sorted(filetypes.EXECUTABLE_EXTENSIONS))
def test_an_executable_name_is_refused(server, key, ending):
    assert upload(server, key, PURPOSE, part("file", b"harmless", f"a.{ending}")).error == EXECUTABLE


@pytest.mark.parametrize("name", ["A.EXE", "a.txt.exe", "a.exe. .", "a.exe ", "dir/a.sh", "a\u200e.exe", "a.e\u202exe", ".sh"])
def test_an_executable_name_can_not_be_dressed_up(server, key, name):
    assert upload(server, key, PURPOSE, part("file", b"harmless", name)).error == EXECUTABLE


@pytest.mark.parametrize("name", ["exe", "a.exe.txt", "sh", "a.exec", "program.py", "a.js", "a.so.md"])
def test_a_name_that_only_resembles_one_is_welcome(server, key, name):
    assert stored(server, key, b"harmless", name)["filename"] == name


def test_a_name_cut_to_an_executable_one_is_refused(server, key):
    assert upload(server, key, PURPOSE, part("file", b"x", "a" * 251 + ".exefoo")).error == EXECUTABLE


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
}


@pytest.mark.parametrize("content", PROGRAMS.values(), ids=PROGRAMS)
def test_an_executable_content_is_refused_whatever_its_name(server, key, content):
    assert upload(server, key, PURPOSE, part("file", content, "notes.txt")).error == EXECUTABLE


def office(*names):
    """A zip archive with empty members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


XLSX = office("[Content_Types].xml", "xl/workbook.xml")
TYPES = {
    "a.txt": (b"some words", "text/plain"),
    "a.md": (b"# Title", "text/markdown"),
    "a.csv": (b"a;b", "text/csv"),
    "a.json": (b"{not quite json", "application/json"),
    "b.txt": (b'{"a": 1}', "text/plain"),
    "a.py": (b"#!/usr/bin/env python3\nprint(1)\n", "text/x-python"),
    "a.html": (b"<html><body>hi</body></html>", "text/html"),
    "a.pdf": (b"%PDF-1.7\n%", "application/pdf"),
    "paper.txt": (b"%PDF-1.7\n%", "application/pdf"),
    "a.xlsx": (XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "a.zip": (office("a.txt"), "application/zip"),
    "a.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    "MZ.txt": (b"MZ is how this text begins", "text/plain"),
    "a": (b"\0\1\2\3", "application/octet-stream"),
}


@pytest.mark.parametrize(("name", "case"), TYPES.items(), ids=TYPES)
def test_the_type_is_that_of_the_content_refined_by_the_name(server, key, name, case):
    content, expected = case
    file = stored(server, key, content, name, part("Content-Type", "evil/type"))
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert answer.headers["Content-Type"] == expected


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
    assert filetypes.identify(head, "a.dat", filetypes.PURPOSES["user_data"]) not in filetypes.EXECUTABLE_TYPES
