"""JSON bodies: one budget of memory for the box, and parsing that stays within four times a body."""

import json
import subprocess
import sys

import pytest

from helpers.server import PROJECT
from lazu.errors import BodyTooLarge, InvalidRequest, Overloaded
from lazu.gateway import json_body


def reading(pieces):
    left = iter(pieces)
    return lambda _: next(left, b"")


def received(pieces, budget, key=1):
    return json_body.receive(reading(pieces), None, json_body.Text(budget, key))


def test_bodies_have_one_budget_and_give_it_back():
    budget = json_body.Budget(16 * 2**20)
    piece = b"x" * 2**20
    held = received([piece] * 5, budget)
    with pytest.raises(Overloaded) as refused:
        received([piece] * 100, budget, 2)
    assert refused.value.headers["Retry-After"]
    del held, refused
    with pytest.raises(BodyTooLarge):
        received([piece] * 129, json_body.Budget(2**30))
    assert received([b"{}"], json_body.Budget(0)) == b"{}"


def test_one_key_leaves_room_for_a_body_of_another():
    budget, piece = json_body.Budget(2**29), b"x" * 2**20
    held = [json_body.Text(budget, 1) for _ in range(16)]  # of 120 MB, and none of them ends
    with pytest.raises(Overloaded):
        [each.add(piece) for each in held for _ in range(120)]
    assert sum(map(len, held)) <= 2**29 - 2**27 + 16 * json_body.SMALL_BYTES
    assert len(received([piece] * 120, budget, 2)) == 120 * 2**20


def test_many_values_count_for_the_memory_they_will_take():
    budget, body = json_body.Budget(2**28), b"[" + b"{}," * 2**18 + b"{}]"
    with pytest.raises(Overloaded):
        _ = [received([body], budget, key) for key in range(3)]


@pytest.mark.parametrize("odd", ["\U0001f600", "\\ud83d\\ude00"])
def test_parsing_takes_four_times_a_body_at_most_whatever_its_letters(odd):
    """One wide letter makes Python take four bytes for each letter of its string."""
    code = """
import sys
from lazu.gateway import json_body
words = f'"{"x" * (7 * 2**20)} ODD"'.replace("ODD", sys.argv[1])
body = bytearray(f'{{"a": {words}, "b": "{"x" * (35 * 2**20)}"}}'.encode())
del words
open("/proc/self/clear_refs", "w").write("5")
status = lambda name: int(next(x for x in open("/proc/self/status") if x.startswith(name)).split()[1]) * 1024
before = status("VmRSS")
tree = json_body.parse(body)
print((status("VmHWM") - before) / len(body), len(tree["a"]))
"""
    command = [sys.executable, "-c", code, odd]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    assert float(told[0]) <= 3  # and the body itself
    assert int(told[1]) == 7 * 2**20 + 2


LARGE = "x" * json_body.SMALL_BYTES


@pytest.mark.parametrize("text", ["\u00e9", "\u4e2d\u6587", "\U0001f600", r"\"", r"\\", r"\\\"", r"\\\u4e2d", r"\u4e2d", r"\ud83d\ude00", r"\ud83d", r"\u0000"])
def test_a_large_body_is_read_as_a_small_one(text):
    body = f'{{"a": "{text}\u00e9", "{text}": ["{LARGE}"]}}'
    assert json_body.parse(bytearray(body.encode())) == json.loads(body)


@pytest.mark.parametrize("text", ["\\\u00e9", "\\\\\\\u4e2d", "\\x", '"', "\n"])
def test_a_large_body_that_is_no_json_is_refused_as_a_small_one(text):
    body = f'{{"a": "{text}", "b": "\u00e9{LARGE}"}}'
    for each in (body, body.replace(LARGE, "")):
        with pytest.raises(InvalidRequest):
            json_body.parse(bytearray(each.encode()))


def test_a_large_body_in_another_encoding_is_refused():
    body = bytearray(f'{{"a": "{LARGE}\u00e9"}}'.encode("latin-1"))
    with pytest.raises(InvalidRequest, match="UTF-8"):
        json_body.parse(body)


def test_long_strings_with_wide_letters_are_to_be_files():
    long = "x" * 5 * 2**20 + "\u00e9"
    body = bytearray(f'{{"a": "{long}", "b": "{long}"}}'.encode())
    with pytest.raises(InvalidRequest, match="Upload long texts"):
        json_body.parse(body)
