"""JSON bodies: one budget of memory for the box, and parsing that stays within four times a body."""

import base64
import json
import logging
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest
from werkzeug.test import EnvironBuilder

from helpers.documents import RED, pages
from helpers.in_process import AUTH, descriptors, uncollected
from helpers.server import PROJECT, free_port
from lazu.application import create_app
from lazu.config import Settings
from lazu.errors import BodyTooLarge, InvalidRequest, Overloaded
from lazu.gateway import json_body
from lazu.gateway.budget import Budget
from lazu.gateway.exchange import Detached, Exchange
from lazu.server.connection import Connection

ONE_FILE = '{"input": [{"content": [{"type": "input_file", %s}]}], "user": "'
#: A PDF without text.
SCAN = f'"file_data": "{base64.b64encode(pages(RED)).decode()}", "filename": "a.pdf"'


def reading(pieces):
    left = iter(pieces)
    return lambda _: next(left, b"")


def received(pieces, budget, key=1):
    return json_body.receive(reading(pieces), sum(map(len, pieces)), json_body.Text(budget, key))


def test_bodies_have_one_budget_and_give_it_back():
    budget = Budget(16 * 2**20)
    piece = b"x" * 2**20
    held = received([piece] * 5, budget)
    with pytest.raises(Overloaded) as refused:
        received([piece] * 100, budget, 2)
    assert refused.value.headers["Retry-After"]
    del held, refused
    with pytest.raises(BodyTooLarge):
        received([piece] * 129, Budget(2**30))
    assert received([b"{}"], Budget(0)) == b"{}"


@pytest.mark.parametrize(
    ("files", "begin", "outcome"),
    [
        ("native", '{"input": "', "upstream_error"),
        ("native", '{"input": ', "400"),
        ("native", ONE_FILE % '"file_id": "file-abc"', "404"),
        ("images", ONE_FILE % SCAN, "upstream_error"),
    ],
)
def test_a_call_that_fails_gives_back_what_it_holds_at_once(tmp_path, caplog, files, begin, outcome):
    url = f"http://127.0.0.1:{free_port()}"
    settings = Settings(storage_dir=tmp_path, api_key="test-key", min_free_bytes=0, upstream_url=url, upstream_files=files)
    app = create_app(settings)
    upstream = app.extensions["lazu.upstream"]
    upstream.relay = SimpleNamespace(join=Exchange.begin)
    upstream.bodies = Budget(24 * 2**20)  # of which one key may have 9 MB
    body = f'{begin}{"x" * 5 * 2**20}"}}'.encode()
    caplog.set_level(logging.CRITICAL)  # pytest keeps what was logged, and with it an error and its trace
    with uncollected():
        assert called(app, body) == outcome
        # The thread that writes when keys were used opens some, too; what a call kept would be more each time.
        assert min(kept_open(app, body, outcome) for _ in range(4)) <= 0


def test_a_call_without_memory_for_its_body_is_told_of(tmp_path, caplog):
    """Its 503 was in no count, and no line of the log said why."""
    app = create_app(Settings(storage_dir=tmp_path, api_key="test-key", min_free_bytes=0, upstream_url="http://127.0.0.1:9"))
    app.extensions["lazu.upstream"].bodies = Budget(4 * 2**20)
    before = overloaded(app)
    assert called(app, b'{"input": "%b"}' % (b"x" * 5 * 2**20)) == "503"
    assert "answered by 503: Request bodies have no memory left" in caplog.text
    assert overloaded(app) == before + 1


def overloaded(app):
    """How many calls found no room."""
    found = re.search(r'^lazu_upstream_calls_total{outcome="overloaded"} (\d+)', app.test_client().get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


def kept_open(app, body, outcome):
    """How many descriptors a call leaves open."""
    before = descriptors()
    assert called(app, body) == outcome
    return descriptors() - before


def called(app, body):
    """What comes of a call: its outcome if it got as far as the model server, else its status."""
    ours, theirs = socket.socketpair()
    with closing(theirs), Connection(ours, app.extensions["lazu"].settings) as client:
        environ = EnvironBuilder("/v1/responses", method="POST", data=body, headers=AUTH).get_environ()
        statuses = []
        try:
            app({**environ, "gunicorn.socket": client}, lambda status, _: statuses.append(status[:3]))
        except Detached as detached:
            exchange = detached.exchange
        else:
            return statuses[0]
        exchange.send()
        exchange.start(lambda: True, lambda _: None)
        return exchange.outcome


def test_bodies_that_come_at_once_take_turns():
    """And hold what they announce at once: two that wait for more, each with a part, would wait for each other."""
    budget, pieces = Budget(16 * 2**20, seconds=60), [b"x" * 2**20] * 6

    def ask(key):
        return len(json_body.receive(reading(pieces), 6 * 2**20, json_body.Text(budget, key)))

    with ThreadPoolExecutor(8) as team:
        assert list(team.map(ask, [1, 2] * 8)) == [6 * 2**20] * 16


@pytest.mark.parametrize("told", [True, False])
def test_of_bodies_that_each_hold_a_part_one_can_always_go_on(told):
    budget, size = Budget(2**27), 24 * 2**20  # of which one key may have 48 MB
    left = [json_body.Text(budget, key, size) for key in [1, 2, 3] * 4]
    _ = [body.expect(size) for body in left if told]
    while left:
        assert sum(goes_on(body) for body in left), "all wait for each other"
        left = [body for body in left if len(body) < size]


def goes_on(body):
    """Whether `body` finds memory for more."""
    try:
        body.add(b"x" * 2**20)
    except Overloaded:
        return False
    return True


def test_bodies_whose_letters_widen_take_turns_too():
    """They need more when they are whole: what others leave free for one of them."""
    budget, pieces = Budget(2**28, seconds=20), [b"\\u00e9" + b"x" * (2**20 - 6)] * 8

    def ask(key):
        read = reading(pieces)

        def slowly(size):
            time.sleep(0.1)
            return read(size)

        return len(json_body.receive(slowly, 2**23, json_body.Text(budget, key)))

    with ThreadPoolExecutor(32) as team:
        assert list(team.map(ask, [1, 2] * 16)) == [2**23] * 32


def test_one_key_leaves_room_for_a_body_of_another():
    budget, piece = Budget(2**29), b"x" * 2**20
    held = [json_body.Text(budget, 1) for _ in range(16)]  # of 120 MB, and none of them ends
    with pytest.raises(Overloaded):
        [each.add(piece) for each in held for _ in range(120)]
    assert sum(map(len, held)) <= 2**29 - 2**27 + 16 * json_body.SMALL_BYTES
    assert len(received([piece] * 120, budget, 2)) == 120 * 2**20


def test_many_values_count_for_the_memory_they_will_take():
    budget, body = Budget(2**28), b"[" + b"{}," * 2**18 + b"{}]"
    with pytest.raises(Overloaded):
        _ = [received([body], budget, key) for key in range(3)]


def peak(text, *words):
    """How much memory parsing takes at most, in times the body that the Python expression `text` gives."""
    code = f"""
import sys
from lazu.gateway import json_body
from lazu.gateway.budget import Budget
body = bytearray({text}.encode())
open("/proc/self/clear_refs", "w").write("5")
status = lambda name: int(next(x for x in open("/proc/self/status") if x.startswith(name)).split()[1]) * 1024
before = status("VmRSS")
tree = json_body.parse(body)
print((status("VmHWM") - before) / len(body) + 1, len(tree["a"]))
"""
    command = [sys.executable, "-c", code, *words]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), int(told[1])


@pytest.mark.parametrize("odd", ["\U0001f600", "\\ud83d\\ude00"])
def test_parsing_takes_four_times_a_body_at_most_whatever_its_letters(odd):
    """One wide letter makes Python take four bytes for each letter of its string."""
    text = """f'{{"a": "{"x" * (7 * 2**20)} ODD", "b": "{"x" * (35 * 2**20)}"}}'.replace("ODD", sys.argv[1])"""
    times, letters = peak(text, odd)
    assert times <= 4
    assert letters == 7 * 2**20 + 2


@pytest.mark.parametrize("letter", ["\u00e9", "\u4e2d", "\U0001f600"])
def test_parsing_a_text_in_any_script_takes_four_times_a_body_at_most(letter):
    times, letters = peak("""f'{{"a": "{sys.argv[1] * 2**20}"}}'""", letter)
    assert times <= 4
    assert letters == 2**20


def test_one_wide_letter_in_a_long_string_counts_for_the_memory_it_will_take():
    for odd in ("\U0001f600", "\\ud83d\\ude00"):
        budget, held = Budget(2**27), []
        with pytest.raises(Overloaded):
            held += [received([b"x" * 6 * 2**20, odd.encode()], budget) for _ in range(5)]
    budget = Budget(2**27)
    assert len([received([b"x" * 6 * 2**20, b"xxxx"], budget) for _ in range(5)]) == 5


LARGE = "x" * json_body.SMALL_BYTES
#: A letter for which a large body is parsed as it is, and one for which it is escaped.
WAYS = ["\u00e9", "\U0001f600"]


@pytest.mark.parametrize("text", ["\u00e9", "\u4e2d\u6587", "\U0001f600", r"\"", r"\\", r"\\\"", r"\\\u4e2d", r"\u4e2d", r"\ud83d\ude00", r"\ud83d", r"\u0000"])
@pytest.mark.parametrize("letter", WAYS)
def test_a_large_body_is_read_as_a_small_one(text, letter):
    body = f'{{"a": "{text}{letter}", "{text}": ["{LARGE}"]}}'
    assert json_body.parse(bytearray(body.encode())) == json.loads(body)


@pytest.mark.parametrize("text", ["\\\u00e9", "\\\\\\\u4e2d", "\\x", '"', "\n"])
@pytest.mark.parametrize("letter", WAYS)
def test_a_large_body_that_is_no_json_is_refused_as_a_small_one(text, letter):
    body = f'{{"a": "{text}", "b": "{letter}{LARGE}"}}'
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
