"""The page in a real browser: what its files promise, signing in, and the list of files."""

import re
from importlib.resources import files

import pytest

from helpers.browser import chromium
from helpers.wire import request, stored
from lazu.routes import page as page_module

pytestmark = pytest.mark.slow

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page of a browser profile of its own; at the end nothing may have gone wrong in it unseen."""
    page, wrong = browser.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and "Failed to load resource" not in message.text and wrong.append(message.text))
    yield page
    page.close()
    assert wrong == []


def sign_in(page, server, key):
    page.goto(server.url)
    page.fill("#key", key)
    page.click("#sign-in button")
    page.wait_for_selector(".signed-in #files")


def test_a_browser_gets_the_page_and_any_other_client_what_it_got_before(server):
    assert request(server, "GET", "/", headers=BROWSER).headers["Content-Type"] == "text/html; charset=utf-8"
    for accept in ("*/*", "application/json", "text/plain"):
        assert request(server, "GET", "/", headers={"Accept": accept}).error == (404, "not_found", None)
    assert request(server, "GET", "/").error == (404, "not_found", None)


def test_the_page_can_be_switched_off(serve):
    server = serve(LAZU_PAGE="off")
    for path in ("/", "/docs", "/page/app.js", "/page/rules.json"):
        assert request(server, "GET", path, headers=BROWSER).error == (404, "not_found", None)


def test_it_is_small_and_brings_everything_along():
    """Before compression, without a build, without an address elsewhere."""
    sources = [entry for entry in files(page_module).iterdir() if not entry.name.endswith((".py", "__pycache__"))]
    assert sum(len(entry.read_bytes()) for entry in sources) < 90 * 1024
    for entry in sources:
        elsewhere = set(re.findall(r"\w+://[^\s\"'`<]+", entry.read_text())) - {"http://www.w3.org/2000/svg", "http://127.0.0.1:11434/v1"}
        assert {address for address in elsewhere if not address.startswith("http://127.0.0.1")} == set(), entry.name


def test_the_browser_is_told_to_run_nothing_else(server):
    policy = request(server, "GET", "/", headers=BROWSER).headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} <= set(policy)
    assert not any("unsafe" in each for each in policy)


def test_an_unchanged_script_is_not_sent_again(server):
    first = request(server, "GET", "/page/app.js")
    again = request(server, "GET", "/page/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_the_key_stays_in_the_tab_and_leaves_with_it(server, page):
    key = server.new_key()
    urls = []
    page.on("request", lambda sent: urls.append(sent.url))
    sign_in(page, server, key)
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.reload()
    page.wait_for_selector(".signed-in #no-files")
    page.click("#sign-out")
    page.wait_for_selector("#sign-in")
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
    assert key not in page.content()
    assert not any(key in url for url in [*urls, page.url])


def test_a_wrong_key_is_answered_in_the_servers_words(server, page):
    page.goto(server.url)
    page.fill("#key", "sk-lazu-wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Missing or invalid API key")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_name_is_data(server, page):
    key = server.new_key()
    name = "<img src=x onerror=document.title='ran'>.txt"
    stored(server, key, filename=name)
    sign_in(page, server, key)
    assert page.text_content("#rows .filename") == name
    page.click("#rows .filename")
    page.wait_for_selector("#preview pre")
    assert page.text_content("#details-title").endswith(name)
    assert page.title() == "Files · Lazu"
