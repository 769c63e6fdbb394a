"""libmagic is asked less where bytes have no known type, and says the same: about every rule, and about real files."""

import os
import random
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pylibmagic
import pytest

from helpers.server import PROJECT
from lazu import filetypes, magictable

TABLE = (Path(pylibmagic.__file__).parent / "magic.mgc").read_bytes()
RULE = 376
NOTHING = struct.pack("<4I", 0xF11E041C, 16, 0, 0).ljust(RULE, b"\0")
NOISE = random.Random(0).randbytes(5000)
MARGINS = {
    "a skippable frame before zstd": (struct.pack("<2I", 0x184D2A50, 4) + NOISE[:4] + b"\x28\xb5\x2f\xfd\4" + NOISE, "application/zstd"),
    "a late word": (NOISE[:4000] + b'<!DocType   svg PUBLIC "x">', "image/svg+xml"),
    "BinHex behind other bytes": (NOISE[:2000] + b"(This file must be converted with BinHex 4.0)", "application/mac-binhex40"),
}


def like(rule):
    """Bytes for which the first test of a group holds, mostly: its value in its place, in either byte order."""
    start, value = struct.unpack_from("<i16x128s", rule, 12)
    length = rule[5] or 8
    for piece in (value[:length], value[:4][::-1], value[:2][::-1]):
        for filling in (bytes(300), NOISE[:300]):
            yield filling[:start].ljust(min(start, 50_000), b"\1") + piece + filling[start:]


def rules():
    return (TABLE[at : at + RULE] for at in range(RULE, len(TABLE), RULE) if not TABLE[at] and TABLE[at + 2] & 0x20)


def real():
    """Beginnings of files that are no text, and the same with a few bytes changed or without their first ones."""
    luck = random.Random(1)
    files = (path for path in sorted(Path(pylibmagic.__file__).parents[1].rglob("*")) if path.is_file() and path.suffix != ".py")
    for data in islice((head for path in files if b"\0" in (head := path.read_bytes()[:4096])), 300):
        yield data
        for _ in range(2):
            changed = bytearray(data)
            for _ in range(luck.choice((1, 2, 4))):
                changed[int(luck.expovariate(0.1)) % len(changed)] = luck.randrange(256)
            yield bytes(changed)
        yield data[luck.randrange(1, 64) :]


@pytest.fixture(scope="module")
def heads():
    return [*(head for head, _ in MARGINS.values()), *dict.fromkeys(head for rule in rules() for head in like(rule)), *real()]


@pytest.fixture(scope="module")
def told(heads):
    """What all rules say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filetypes, "BEGINNINGS", None)
        return [filetypes.by_libmagic(head) for head in heads]


def test_the_rules_of_the_wheel_are_laid_out_as_magictable_reads_them():
    """Else every unknown file costs libmagic's longest search again: see the new file.h and apprentice.c."""
    assert filetypes.BEGINNINGS is not None


@pytest.mark.parametrize("other", [TABLE[:4] + b"\x11" + TABLE[5:], TABLE[3::-1] + TABLE[4:], TABLE[:-RULE]], ids=["version", "order", "cut"])
def test_a_table_of_another_kind_is_left_alone(other):
    assert magictable.beginnings(other) is None


def test_the_short_way_says_what_all_rules_say(heads, told):
    assert [(head[:64], whole) for head, whole in zip(heads, told, strict=True) if filetypes.by_libmagic(head) != whole] == []
    assert len(Counter(told)) > 250, "types that were met"


def test_bytes_of_no_type_seldom_need_all_rules(monkeypatch):
    luck, asked = random.Random(2), []
    monkeypatch.setattr(filetypes, "_all_rules", SimpleNamespace(from_buffer=lambda head: asked.append(head) or "any/type"))
    for head in [bytes(4096), *(luck.randbytes(length) for length in range(1, 4001, 20))]:
        filetypes.by_libmagic(head)
    assert len(asked) < 20, "of 201"


@pytest.mark.parametrize("name", MARGINS)
def test_what_stands_at_the_margin_is_known(name):
    head, found = MARGINS[name]
    assert filetypes.by_libmagic(head) == found


@pytest.mark.parametrize("lost", [{"fixed": {}}, {"words": []}, {"table": NOTHING}], ids=["bytes", "words", "table"])
def test_a_beginning_that_is_left_out_is_missed(heads, told, lost, monkeypatch):
    mutant = replace(filetypes.BEGINNINGS, **lost)
    monkeypatch.setattr(filetypes, "BEGINNINGS", mutant)
    monkeypatch.setattr(filetypes, "_other_rules", filetypes._libmagic(mutant.table))
    assert any(filetypes.by_libmagic(head) != whole for head, whole in zip(heads, told, strict=True))


def test_a_rule_that_asks_the_table_again_would_miss_what_a_smaller_one_lacks(monkeypatch):
    monkeypatch.setattr(magictable, "_sent_on", lambda rules: rules)
    mutant = magictable.beginnings(TABLE)
    head, found = MARGINS["a skippable frame before zstd"]
    assert not mutant.among(head)
    assert filetypes._libmagic(mutant.table).from_buffer(head) != found


def test_rules_that_an_environment_adds_are_not_asked(tmp_path):
    """The small table does not know them, so they would count for some files only; and boxes would differ."""
    (tmp_path / "mine").write_text("0 string \\x89PNGlazu mine\n!:mime application/x-mine\n")
    code = "from lazu.filetypes import by_libmagic; print(by_libmagic(b'\\x89PNGlazu' + bytes(9)))"
    env = {**os.environ, "MAGIC": str(tmp_path / "mine")}
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=env, capture_output=True, text=True, check=True)
    assert said.stdout == "application/octet-stream\n"
