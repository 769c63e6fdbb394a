"""The page among what is hostile or odd: names, model servers, keys, browsers that keep nothing, two tabs, the back button."""

import json

import pytest

from helpers.browser import hold, names, sign_in, sign_out_and_in, until
from helpers.server import opened as store_opened
from helpers.upstream import MODELS, streamed
from helpers.wire import stored

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=document.title='ran'>"


@pytest.fixture
def asked(front, double, page):
    """A server with a model server behind it, a key, and the question to it written."""
    double.script = streamed("Yes.")
    server = front().server
    key = server.new_key()
    stored(server, key)
    sign_in(page, server, key)
    page.click("nav [href='#ask']")
    page.wait_for_selector("#ask[data-state=ready]")
    page.fill("#question", "What is it?")
    return server


def test_a_name_is_data_in_every_view(asked, page):
    """Characters that turn the direction of writing are not stored, so no name can look like another."""
    page.set_input_files("#picked-files", [{"name": f"{MARKUP}\u202etxt.md", "mimeType": "", "buffer": b"words"}])
    page.wait_for_selector(f"#asked-files >> text={MARKUP}txt.md")
    page.click("nav [href='#upload']")
    page.wait_for_selector(f"#queue >> text={MARKUP}")
    page.click("nav [href='#files']")
    until(page, lambda: f"{MARKUP}txt.md" in names(page))
    page.click(f"#rows >> text={MARKUP}txt.md")
    page.click("#delete-one")
    page.wait_for_selector("#confirm[open]")
    assert page.inner_text("#confirm-title") == f"Delete “{MARKUP}txt.md”?"
    assert page.locator("[src=x]").count() == 0
    assert page.title() == "Files · Lazu"


@pytest.mark.parametrize("models", [b"[]", b"null", b"<html>", b'{"data": [null]}', b'{"data": {}}', b'{"data": []}'])
def test_a_list_of_models_that_is_none_can_be_asked_for_again(asked, double, page, models):
    double.script = lambda handler: handler.send(body=models)
    page.click("nav [href='#files']")
    page.click("nav [href='#ask']")
    page.wait_for_selector("#broken >> text=models")
    double.script = streamed("Yes.")
    page.click("#retry-models")
    page.wait_for_selector("#ask[data-state=ready]")


def test_what_a_model_server_says_is_text(asked, double, page):
    """The names of its models, its answers, its refusals within a stream."""
    double.script = lambda handler: handler.send(body=json.dumps({"data": [{"id": MARKUP}]}).encode())
    page.click("nav [href='#files']")
    page.click("nav [href='#ask']")
    until(page, lambda: page.locator("#model option").all_text_contents() == [MARKUP])
    double.script = streamed(MARKUP)
    page.click("#ask-button")
    page.wait_for_selector(f"#answer >> text={MARKUP}")
    assert double.last.json["model"] == MARKUP
    assert page.locator("#answer img, #model img").count() == 0
    assert page.title() == "Ask · Lazu"


FAILURES = {
    "error": {"type": "error", "message": MARKUP},
    "error in error": {"type": "error", "error": {"message": MARKUP}},
    "failed": {"type": "response.failed", "response": {"error": {"message": MARKUP}}},
}


@pytest.mark.parametrize("event", FAILURES.values(), ids=FAILURES)
def test_a_failure_within_a_stream_is_told(asked, double, page, event):
    def script(handler):
        handler.start_events()
        handler.event(event)
        handler.end_events()

    double.script = script
    page.click("#ask-button")
    page.wait_for_selector(f"#answer .problem >> text={MARKUP}")


@pytest.mark.parametrize("answer", [b"{}", b"[null]", b"null", b'{"output": [null]}'])
def test_an_answer_that_is_none_is_told(asked, double, page, answer):
    double.script = lambda handler: handler.send(body=MODELS if handler.path.endswith("/models") else answer)
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=The answer broke off.")
    assert page.inner_text("#ask-button") == "Ask"


def test_a_key_may_have_letters_of_any_language(serve, page):
    key = "clé ключ 🔑"
    server = serve(LAZU_API_KEY=key)
    sign_in(page, server, key)
    page.set_input_files("#picked-files", [{"name": "a.txt", "mimeType": "", "buffer": b"words"}])
    page.wait_for_selector("#queue .done")


def test_what_is_pasted_around_a_key_does_not_count(server, page):
    sign_in(page, server, f"\n {server.new_key()}\t\n")


def test_a_browser_that_keeps_nothing_will_do(server, page):
    """Where storage is forbidden, the key is kept until the page is left."""
    page.add_init_script("Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('denied', 'SecurityError'); } })")
    key = server.new_key()
    stored(server, key)
    sign_in(page, server, key)
    until(page, lambda: names(page) == ["hello.txt"])
    page.click("#sign-out")
    page.wait_for_selector("#sign-in")
    sign_in(page, server, key)
    page.reload()
    page.wait_for_selector("#sign-in")


def test_each_tab_has_a_key_of_its_own(server, page):
    first, second = server.new_key(), server.new_key()
    stored(server, first, filename="first.txt")
    stored(server, second, filename="second.txt")
    sign_in(page, server, first)
    other = page.context.new_page()
    other.goto(server.url)
    assert other.is_visible("#sign-in")
    sign_in(other, server, second)
    until(other, lambda: names(other) == ["second.txt"])
    page.click("#refresh")
    until(page, lambda: names(page) == ["first.txt"])


def test_the_back_button_goes_from_view_to_view(asked, page):
    page.click("nav [href='#files']")
    page.click("#rows .filename")
    page.click("#ask-one")
    page.wait_for_selector("#ask[data-state=ready]")
    page.go_back()
    page.wait_for_selector("#rows .row")
    page.go_forward()
    page.wait_for_selector("#asked-files >> text=hello.txt")


def test_signing_out_leaves_nothing_of_the_files_in_the_document(asked, page):
    page.click("nav [href='#files']")
    page.fill("#filter", "hello")
    page.click("#rows .filename")
    page.keyboard.press("Escape")
    page.click("[aria-label='Delete hello.txt']")
    page.keyboard.press("Escape")
    page.click("nav [href='#ask']")
    page.wait_for_selector("#offered option >> nth=1", state="attached")  # the name of the file
    assert "hello.txt" in page.content()
    page.click("#sign-out")
    until(page, lambda: "hello" not in page.content() and "file-lazu-" not in page.content())
    assert page.input_value("#filter") == page.inner_text("#held") == ""


def test_the_back_button_shows_nothing_after_signing_out(server, page):
    """A browser may keep a whole page and show it again: that one finds its key gone."""
    key = server.new_key()
    stored(server, key)
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row")
    page.evaluate("sessionStorage.clear(); dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.wait_for_selector("#sign-in")
    until(page, lambda: page.locator("#rows .row").count() == 0)


@pytest.fixture
def held(server, page):
    """The view of two files, whose list is being loaded again: what was asked for is there, but has not arrived."""
    key = server.new_key()
    for name in ("stays.txt", "goes.txt"):
        stored(server, key, filename=name)
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row >> nth=1")
    waiting = []
    page.route("**/v1/files?limit=100", lambda route: waiting.append((route, route.fetch())))
    page.click("#refresh")
    until(page, lambda: waiting)

    def arrive():
        [(route, response)] = waiting
        with page.expect_response("**/v1/files?limit=100"):
            route.fulfill(response=response)
        page.wait_for_timeout(1000)  # in which it is shown

    return arrive


def test_a_list_that_arrives_late_brings_nothing_back(held, page):
    page.hover("#rows >> text=goes.txt")
    page.click("[aria-label='Delete goes.txt']")
    page.click("#confirm [value=yes]")
    until(page, lambda: names(page) == ["stays.txt"])
    held()
    assert names(page) == ["stays.txt"]


def test_a_list_that_arrives_late_takes_nothing_away(held, page):
    page.set_input_files("#picked-files", [{"name": "new.txt", "mimeType": "", "buffer": b"words"}])
    page.wait_for_selector("#queue .done")
    held()
    page.click("nav [href='#files']")
    until(page, lambda: names(page) == ["new.txt", "goes.txt", "stays.txt"])


def test_a_key_that_is_revoked_before_an_upload_signs_out(server, page):
    key = server.new_key("leaving-by-upload")
    sign_in(page, server, key)
    page.wait_for_selector("#no-files")
    with store_opened(server.storage) as store:
        store.keys.revoke("leaving-by-upload")
    page.set_input_files("#picked-files", [{"name": "a.txt", "mimeType": "", "buffer": b"words"}])
    page.wait_for_selector("#sign-in >> text=This key is no longer accepted.")
    assert page.evaluate("sessionStorage.length + document.querySelectorAll('#queue li').length") == 0


@pytest.fixture
def many(server, page):
    """The key of a session with ten files, all of them chosen."""
    key = server.new_key()
    for number in range(10):
        stored(server, key, filename=f"secret {number}.txt")
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row >> nth=9")
    page.click("#all")
    return key


def test_signing_out_ends_deleting_many(many, server, page):
    waiting = hold(page, "**/v1/files/file-*")
    page.click("#delete-choice")
    page.click("#confirm [value=yes]")
    until(page, lambda: len(waiting) == 5)
    sign_out_and_in(page, server.new_key())
    for route in waiting[:]:
        route.continue_()
    page.wait_for_timeout(500)  # in which the next five would be asked for
    assert len(waiting) == 5
    assert page.inner_text("#said") == ""


def test_signing_out_ends_downloading_many(many, server, page):
    waiting = hold(page, "**/content")
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.click("#save-choice")
    page.wait_for_selector("#notes >> text=Downloading secret")
    until(page, lambda: waiting)
    sign_out_and_in(page, server.new_key())
    assert page.inner_text("#told") == ""
    waiting[0].continue_()
    page.wait_for_timeout(500)  # in which the next one would be asked for
    assert (len(waiting), downloads) == (1, [])
    assert "secret" not in page.content()


def test_a_late_refusal_ends_no_session_but_its_own(server, page):
    """An answer to the key before, 401, arrives when another one is signed in."""
    first = server.new_key("leaving-late")
    sign_in(page, server, first)
    page.wait_for_selector("#no-files")
    waiting = hold(page, "**/v1/files?limit=100", most=1)
    page.click("#refresh")
    until(page, lambda: waiting)
    with store_opened(server.storage) as store:
        store.keys.revoke("leaving-late")
    sign_out_and_in(page, server.new_key())
    with page.expect_response(lambda answer: answer.status == 401):
        waiting[0].continue_()
    page.wait_for_timeout(300)
    assert page.is_visible(".signed-in #files")
