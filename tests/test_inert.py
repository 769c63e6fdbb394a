"""Downloads are inert: a browser that opens a stored page, picture or document from Lazu runs nothing of it."""

import shutil
import subprocess
from http.server import BaseHTTPRequestHandler
from urllib.parse import quote

import pytest

from helpers.httpd import serving
from helpers.wire import request, stored

#: Tells the witness, by every way a script or page has.
CALL = "fetch('{url}/fetch?{name}');new Image().src='{url}/image?{name}';document.title='ran'"
PAGES = {
    "html": ("page.html", b"<!doctype html><html><body><script>%s</script><img src='%s/img'></body></html>"),
    "svg": ("picture.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>%s</script><image href="%s/img"/></svg>'),
    "xhtml": ("page.xhtml", b'<html xmlns="http://www.w3.org/1999/xhtml"><script>%s</script><img src="%s/img"/></html>'),
    "xml": ("style.xml", b'<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>%s</h:script><h:img src="%s/img"/></x>'),
    "gif and html": ("pixel.gif", b"GIF89a/*<html><script>*/=1;%s</script><img src='%s/img'>"),
    "pdf": ("paper.pdf", b"%%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(%s)>>/X(%s)>>endobj\ntrailer<</Root 1 0 R>>\n"),
    "pdf and html": ("both.html", b"%%PDF-1.4\n<html><script>%s</script><img src='%s/img'>"),
    "text that looks like html": ("notes.txt", b"<html><script>%s</script><img src='%s/img'></html>"),
}


class Witness(BaseHTTPRequestHandler):
    """Serves the page of an attacker, with a link to each file, and remembers who called."""

    def do_GET(self):
        self.server.calls.append(self.path)
        body = self.server.pages.get(self.path, b"")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def witness():
    with serving(Witness) as server:
        server.calls, server.pages = [], {}
        yield server


def browse(url, home):
    """What headless Chromium makes of `url`: the document, after scripts had their time."""
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium")
    flags = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
        --disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=1500""".split()
    command = ["chromium", *flags, f"--user-data-dir={home}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.fixture
def proxy(server):
    """Opens a download in a browser's reach: the key is added on the way; `bare` leaves Lazu's inert headers out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = request(server, "GET", self.path, server.any_key)
            self.send_response(answer.status)
            kept = ("Content-Type", "Content-Length") if proxy.bare else answer.headers.keys()
            for name in kept:
                if name not in ("Connection", "Content-Disposition"):  # which alone would save the browser
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_):
            pass

    with serving(Handler) as proxy:
        proxy.bare = False
        yield proxy


def page_of(kind, witness):
    name, page = PAGES[kind]
    call = CALL.format(url=witness.url, name=quote(kind))
    return name, page % (call.encode(), witness.url.encode())


@pytest.mark.parametrize("kind", PAGES)
def test_nothing_of_a_stored_file_runs(server, witness, proxy, tmp_path, kind):
    """Without even `Content-Disposition: attachment`, the headers hold."""
    name, page = page_of(kind, witness)
    file = stored(server, server.any_key, page, name)
    browse(f"{proxy.url}/v1/files/{file['id']}/content", tmp_path / "home")
    assert witness.calls == []


def test_without_the_headers_it_would_run(server, witness, proxy, tmp_path):
    """The witness hears what the headers keep from running."""
    name, page = page_of("html", witness)
    file = stored(server, server.any_key, page, name)
    proxy.bare = True
    browse(f"{proxy.url}/v1/files/{file['id']}/content", tmp_path / "home")
    assert any(call.startswith(("/image", "/fetch")) for call in witness.calls)


def test_a_page_can_neither_show_nor_script_a_download(server, witness, proxy, tmp_path):
    """As frame, picture's source or script of somebody else's page."""
    name, page = page_of("html", witness)
    url = f"{proxy.url}/v1/files/{stored(server, server.any_key, page, name)['id']}/content"
    script = f"{proxy.url}/v1/files/{stored(server, server.any_key, CALL.format(url=witness.url, name='js').encode(), 'a.txt')['id']}/content"
    witness.pages["/attack"] = f"<iframe src='{url}'></iframe><object data='{url}'></object><script src='{script}'></script>".encode()
    browse(f"{witness.url}/attack", tmp_path / "home")
    assert [call for call in witness.calls if call.startswith(("/fetch", "/image", "/img"))] == []


def test_a_download_is_offered_not_shown(server):
    file = stored(server, server.any_key, b"<html>", "page.html")
    answer = request(server, "GET", f"/v1/files/{file['id']}/content", server.any_key)
    assert answer.headers["Content-Disposition"].startswith("attachment")
