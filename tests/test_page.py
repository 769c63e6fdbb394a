"""The page itself, in a real browser: what is served, signing in and out, and that anybody can use it."""

import json
import os
import re
import subprocess
from importlib.resources import files

import pytest

from helpers.browser import barriers, opened, sign_in
from helpers.wire import request
from lazu.routes import page as page_module

pytestmark = pytest.mark.slow

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_gets_the_page_and_any_other_client_what_it_got_before(server):
    assert request(server, "GET", "/", headers=BROWSER).headers["Content-Type"] == "text/html; charset=utf-8"
    for accept in ("*/*", "application/json", "text/plain"):
        assert request(server, "GET", "/", headers={"Accept": accept}).error == (404, "not_found", None)
    assert request(server, "GET", "/").error == (404, "not_found", None)


def test_the_page_can_be_switched_off(serve):
    server = serve(LAZU_PAGE="off")
    for path in ("/", "/docs", "/page/app.js", "/page/rules.json"):
        for method in ("GET", "POST", "OPTIONS"):
            assert request(server, method, path, headers=BROWSER).error == (404, "not_found", None)


def test_it_is_small(server, page):
    """What `/` loads is under 80 KB before compression; what makes previews comes with the first one."""
    sizes = {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    sign_in(page, server, server.new_key())
    page.wait_for_load_state("networkidle")
    loaded = {url: size for url, size in sizes.items() if "/v1/" not in url}
    assert {f"{server.url}/page/{name}" for name in ("app.js", "style.css", "sending.js")} < set(loaded)
    assert sum(loaded.values()) < 80_000


def test_it_brings_everything_along():
    for entry in files(page_module).iterdir():
        if entry.name.endswith((".py", "__pycache__")):
            continue
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


def test_a_wrong_key_is_told_to_somebody_who_pasted_it(server, page):
    """The API's own words are about a header."""
    page.goto(server.url)
    page.fill("#key", "sk-lazu-wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=This key is unknown or revoked.")
    assert "Authorization" not in page.inner_text("body")
    assert page.evaluate("sessionStorage.length") == 0


VIEWS = {
    "files": lambda page: page.wait_for_selector("#rows .row"),
    "details": lambda page: page.click("#rows .row .filename") or page.wait_for_selector("#preview pre"),
    "upload": lambda page: page.keyboard.press("Escape") or page.click("nav [href='#upload']"),
    "ask": lambda page: page.click("nav [href='#ask']") or page.wait_for_selector("#ask:not([data-state=loading])"),
}


@pytest.fixture
def asked(front, double):
    """A server with a model behind it and a file in it."""
    double.script = lambda handler: handler.send(body=b'{"object": "list", "data": [{"id": "qwen3"}]}')
    made = front()
    made.upload("notes.txt", b"words")
    return made.server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(asked, browser, scheme):
    """axe-core finds nothing, in any view."""
    with opened(browser, color_scheme=scheme) as page:
        page.goto(asked.url)
        assert barriers(page) == []
        sign_in(page, asked, "client-secret")
        for name, show in VIEWS.items():
            show(page)
            assert barriers(page) == [], name
        page.goto(f"{asked.url}/docs")
        page.wait_for_selector("#uploadFile")
        page.evaluate("document.querySelectorAll('section:nth-of-type(n+5)').forEach((each) => each.remove())")  # they are all alike
        assert barriers(page) == []


def test_it_fits_a_small_phone(asked, browser):
    with opened(browser, viewport={"width": 360, "height": 640}) as page:
        sign_in(page, asked, "client-secret")
        for name, show in VIEWS.items():
            show(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.goto(f"{asked.url}/docs")
        page.wait_for_selector("#uploadFile")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_api_is_shown_as_it_is_described(server, page):
    """Every operation, field and error code of /openapi.json stands on /docs."""
    description = request(server, "GET", "/openapi.json").json
    page.goto(f"{server.url}/docs")
    for item in description["paths"].values():
        for operation in (each for each in item.values() if "responses" in each):
            page.wait_for_selector(f"#{operation['operationId']}")
    text = page.inner_text("main")
    assert {"expires_after[seconds]", "insufficient_storage", "If-None-Match", "/v1/files/{file_id}/content"} <= set(re.split(r"\s+", text))


def test_a_copied_call_of_the_description_works(server, page):
    page.goto(f"{server.url}/docs")
    line = page.inner_text("#listFiles pre")
    ran = subprocess.run(["bash", "-c", line], env={**os.environ, "LAZU_API_KEY": server.any_key}, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["object"] == "list"
