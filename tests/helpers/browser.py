"""The system's Chromium at a real Lazu, driven by Playwright's client; and what one does on Lazu's page."""

import os
import shutil
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler

import pytest

from helpers.httpd import serving
from helpers.server import PROJECT

#: /dev/shm is small in containers.
FLAGS = ["--headless=new", "--disable-dev-shm-usage", "--disable-quic", "--disable-background-networking"]

#: Ten times what a busy machine takes.
PATIENCE = 60_000


@contextmanager
def chromium():
    """The browser, headless as a whole: the PDF viewer is in it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        sandbox = os.getuid() != 0  # root has none
        browser = play.chromium.launch(executable_path=program, args=FLAGS, ignore_default_args=["--headless"], chromium_sandbox=sandbox)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser, **options):
    """A page of a browser profile of its own; at the end nothing may have gone wrong in it unseen."""
    context = browser.new_context(**options)
    page, wrong = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and "Failed to load resource" not in message.text and wrong.append(message.text))
    try:
        yield page
        page.goto("about:blank")  # Chromium 156 may crash when a profile ends while its PDF viewer is open
    finally:
        context.close()
    assert wrong == [], wrong


def sign_in(page, server, key):
    page.goto(server.url)
    page.fill("#key", key)
    page.click("#sign-in button")
    page.wait_for_selector(".signed-in #files")


def sign_out_and_in(page, key):
    """Leave, and begin another session in the same tab."""
    page.click("#sign-out")
    page.fill("#key", key)
    page.click("#sign-in button")
    page.wait_for_selector(".signed-in")


def hold(page, url, most=None):
    """Hold the requests of `url`, `most` of them, as they come; each is a route to go on with."""
    waiting = []
    page.route(url, lambda route: waiting.append(route), times=most)
    return waiting


def until(page, true):
    """Wait until `true()`: Playwright's own waiting for an expression would need `eval`, which the page forbids."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)  # in which what has happened in the page is heard of


def names(page):
    """The names in the list, as far as they are drawn, from the top."""
    return page.locator("#rows .row .filename").all_text_contents()


@cache
def _axe():
    return (PROJECT / "tests/node/node_modules/axe-core/axe.min.js").read_text()


def barriers(page):
    """What axe-core finds against what is shown: the rule, and the elements."""
    page.evaluate(_axe())
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]


@contextmanager
def site(pages):
    """Another origin: serves `pages`, bytes and their type by path, and remembers in `calls` who asked for what."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.calls.append(self.path)
            body, kind = pages.get(self.path, (b"", "text/plain"))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with serving(Handler) as server:
        server.calls = []
        yield server
