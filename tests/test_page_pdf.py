"""Documents that run a script are shown by the page without it, by whatever way they have it."""

import base64

import pytest

from helpers.browser import sign_in, until
from helpers.pdfs import HIDING_PLACES, PAGE, PAGES, document, packed, scripted, stream
from helpers.wire import stored

pytestmark = pytest.mark.slow

#: Show documents as the page does, or as they are; gives what was shown.
SHOW = """async ([documents, harmless]) => {
    const { tame } = await import('/page/pdf.js');
    const copies = [];
    for (const encoded of documents) {
        const data = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
        const copy = harmless ? await tame(data) : data;
        const frame = document.createElement('iframe');
        frame.src = URL.createObjectURL(new Blob([copy], { type: 'application/pdf' }));
        document.body.append(frame);
        await new Promise((resolve) => (frame.onload = resolve));
        copies.push(btoa(String.fromCharCode(...copy)));
    }
    return copies;
}"""


@pytest.fixture
def show(server, page):
    """Show every document in frames of Lazu's page, harmless or as it is; gives the copies and whose script ran."""
    ran = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    page.goto(server.url)

    def shown(harmless):
        documents = [base64.b64encode(scripted(name)).decode() for name in HIDING_PLACES]
        copies = page.evaluate(SHOW, [documents, harmless])
        return dict(zip(HIDING_PLACES, map(base64.b64decode, copies), strict=True)), ran

    return shown


def test_no_script_of_a_document_runs(show, page):
    copies, ran = show(True)
    page.wait_for_timeout(1500)
    assert ran == []
    for name, copy in copies.items():
        assert b"/Type /Page\n" in copy, name
        assert b"/JS" not in copy, name


def test_the_browsers_own_viewer_would_run_each(show, page):
    """The counter-proof: the same documents, as they are."""
    _, ran = show(False)
    until(page, lambda: set(ran) == set(HIDING_PLACES))


@pytest.mark.parametrize("made", [
    lambda: scripted("opened").replace(b"trailer<<", b"trailer<</Encrypt 9 0 R"),
    lambda: document(b"<</Type/Catalog/Pages 2 0 R>>", stream(b"", b"9 0 obj<</S/Java#53cript/JS(app.alert(1))>>")),
    lambda: document(b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S 4 0 R/JS(app.alert(1))>>>>", PAGES, PAGE, b"/JavaScript"),
    lambda: b"%PDF-1.7\n1 0 obj<<" + b"[" * 5000,
    lambda: packed(b"", padding=bytes(80 * 2**20)),
    lambda: packed(b"x" * 20_000, again=5000),
], ids=["encrypted", "a script in a stream", "an action named elsewhere", "deep", "unpacks to much", "one object named often"])  # fmt: skip
def test_a_document_that_cannot_be_made_harmless_is_not_shown(server, page, made):
    key = server.new_key()
    stored(server, key, made(), "paper.pdf")
    sign_in(page, server, key)
    page.click("#rows .filename")
    page.wait_for_selector("#preview >> text=be shown safely")
