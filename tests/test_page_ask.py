"""Questions by the page in a real browser: before a model server that the tests pretend to have."""

import json
import os
import subprocess
import sys
import threading

import pytest

from helpers.browser import hold, opened, sign_in, sign_out_and_in, until
from helpers.samples import PNG
from helpers.server import PROJECT
from helpers.upstream import MODELS, completed, streamed
from helpers.wire import request
from test_scans import scan, sheet

QUESTION = """What's "new" in 'it'? $HOME `id` \\n {{x}} 你好 </script>"""


@pytest.fixture
def asking(front, double, page):
    """The view with a file chosen and a question written."""
    double.script = streamed("A <b>paper</b>", " about nothing.")
    made = front()
    made.upload("paper.txt", b"words")
    sign_in(page, made.server, "client-secret")
    page.click("#rows >> text=paper.txt")
    page.click("#ask-one")
    page.wait_for_selector("#ask[data-state=ready]")
    page.locator("#question").press_sequentially(QUESTION)  # what only sets a value would not see that no key arrives
    return made.server


def test_the_answer_streams_in_as_text(asking, double, page):
    shown = threading.Event()
    double.script = streamed("A <b>paper</b>", " about nothing.", after=lambda: shown.wait(60))
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer >> text=A <b>paper</b>")
    assert "nothing" not in page.inner_text("#answer")
    shown.set()
    page.wait_for_selector("#answer >> text=A <b>paper</b> about nothing.")
    content = double.last.json["input"][0]["content"]
    assert [part["type"] for part in content] == ["input_file", "input_text"]
    assert content[1]["text"] == QUESTION


def test_the_same_call_can_be_copied_and_run(asking, double, page):
    """As curl, Python and Node: what arrives at the model server is what the page sent."""
    page.select_option("#model", "llava")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=about nothing.")
    sent = {name: value for name, value in double.last.json.items() if name != "stream"}
    double.script = completed
    ran = {"curl": ["bash", "-c"], "Python": [sys.executable, "-c"], "Node": ["node", "--input-type=module", "-e"]}
    environ = {**os.environ, "LAZU_API_KEY": "client-secret"}
    for language, command in ran.items():
        page.click(f"#languages >> text={language}")
        done = subprocess.run([*command, page.inner_text("#sample")], env=environ, cwd=PROJECT / "tests/node", capture_output=True, text=True, check=False)
        assert "A paper." in done.stdout, (language, done.stderr)
        assert double.last.json == sent, language


def test_no_sample_has_the_key(asking, page):
    for language in ("curl", "Python", "Node"):
        page.click(f"#languages >> text={language}")
        assert "client-secret" not in page.inner_text("#sample")


def test_a_picture_goes_as_a_picture_whatever_its_purpose(front, double, page):
    double.script = streamed("A pixel.")
    made = front()
    made.upload("without an ending", PNG)
    sign_in(page, made.server, "client-secret")
    page.click("#rows >> text=without an ending")
    page.click("#ask-one")
    page.fill("#question", "What is it?")
    page.wait_for_selector("#sample >> text=input_image")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=A pixel.")
    assert double.last.json["input"][0]["content"][0]["type"] == "input_image"


@pytest.mark.parametrize(("mode", "goes_as"), [("text", "input_image"), ("native", "input_file")])
def test_a_scan_goes_as_the_model_server_takes_it(front, double, page, mode, goes_as):
    """As a picture where it will be made one, and else as a file; so does the call to copy."""
    double.script = streamed("A sheet.")
    made = front(mode)
    made.upload("scan.tif", scan(sheet("red")))
    sign_in(page, made.server, "client-secret")
    page.click("#rows >> text=scan.tif")
    page.click("#ask-one")
    page.fill("#question", "What is it?")
    page.wait_for_selector(f"#sample >> text={goes_as}")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=A sheet.")
    sent = {name: value for name, value in double.last.json.items() if name != "stream"}
    assert sent["input"][0]["content"][0]["type"] == goes_as
    double.script = completed
    done = subprocess.run(["bash", "-c", page.inner_text("#sample")], env={**os.environ, "LAZU_API_KEY": "client-secret"}, capture_output=True, text=True, check=False)
    assert "A paper." in done.stdout
    assert double.last.json == sent


def test_a_question_waits_until_it_is_known_what_its_files_are(front, double, page):
    """Asked at once, a picture goes as one all the same; leaving ends the waiting."""
    double.script = streamed("A pixel.")
    made = front()
    made.upload("p.png", PNG)
    sign_in(page, made.server, "client-secret")
    page.wait_for_selector("#rows .row")
    page.click("nav [href='#ask']")
    page.wait_for_selector("#ask[data-state=ready]")
    waiting = hold(page, "**/content", most=1)
    page.select_option("#offered", label="p.png")
    page.click("#add")
    page.fill("#question", "What is it?")
    page.click("#ask-button")
    page.click("#ask-button >> text=Stop")
    page.wait_for_selector("#answer >> text=Stopped.")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=Waiting for the model")
    waiting[0].continue_()
    page.wait_for_selector("#answer >> text=A pixel.")
    assert double.last.json["input"][0]["content"][0]["type"] == "input_image"


def test_what_a_file_is_is_asked_again_when_it_could_not_be_told(front, double, page):
    double.script = streamed("A pixel.")
    made = front()
    made.upload("p.png", PNG)
    sign_in(page, made.server, "client-secret")
    refused = []
    page.route("**/content", lambda route: refused.append(route.fulfill(status=500, json={"error": {"message": "The disk failed."}})), times=1)
    page.click("#rows >> text=p.png", modifiers=["Control"])
    page.click("#ask-choice")
    page.wait_for_selector("#ask[data-state=ready]")
    until(page, lambda: refused)
    page.fill("#question", "What is it?")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=A pixel.")
    assert double.last.json["input"][0]["content"][0]["type"] == "input_image"


def test_files_are_added_and_left_out_by_keyboard(asking, page):
    """An arrow only moves in the list; the keyboard goes from a chip to the next, and stays while the list is loaded."""
    for name in ("one.txt", "two.txt"):
        page.set_input_files("#picked-files", [{"name": name, "mimeType": "", "buffer": b"words"}])
        page.wait_for_selector(f"#asked-files >> text={name}")
    leave = "document.activeElement.ariaLabel"
    page.focus("[aria-label='Leave one.txt out']")
    with page.expect_response("**/v1/files?limit=100"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(600)  # in which the list is shown
    page.keyboard.press("Enter")
    assert page.evaluate(leave) == "Leave two.txt out"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "offered"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator("#asked-files li").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#asked-files .filename").all_text_contents() == ["one.txt"]


def test_a_file_is_added_only_when_chosen_and_stays_chosen_while_the_list_is_loaded_again(asking, page):
    page.click("[aria-label='Leave paper.txt out']")
    page.click("#add")
    assert page.evaluate("document.activeElement.id") == "offered"
    page.select_option("#offered", label="paper.txt")
    with page.expect_response("**/v1/files?limit=100"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(600)  # in which the list is shown
    page.click("#add")
    assert page.locator("#asked-files .filename").all_text_contents() == ["paper.txt"]


def test_a_file_that_is_deleted_elsewhere_leaves_the_question(asking, page):
    file = request(asking, "GET", "/v1/files?limit=1", "client-secret").json["data"][0]
    assert file["id"] in page.inner_text("#sample")
    request(asking, "DELETE", f"/v1/files/{file['id']}", "client-secret")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, lambda: page.locator("#asked-files li").count() == 0)
    assert file["id"] not in page.inner_text("#sample")


def test_a_file_that_is_asked_about_twice_stands_there_once(asking, page):
    page.click("nav [href='#files']")
    page.click("#rows >> text=paper.txt")
    page.click("#ask-one")
    page.wait_for_selector("#ask >> text=paper.txt")
    assert page.locator("#asked-files li").count() == 1


def test_a_file_dropped_on_the_question_belongs_to_it(asking, double, page):
    page.set_input_files("#picked-files", [{"name": "more.txt", "mimeType": "", "buffer": b"more"}])
    page.wait_for_selector("#asked-files >> text=more.txt")
    page.click("[aria-label='Leave paper.txt out']")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=about nothing.")
    assert [part.get("filename") for part in double.last.json["input"][0]["content"]] == ["more.txt", None]


def test_an_answer_that_breaks_off_says_so(asking, double, page):
    shown = threading.Event()
    double.script = streamed("Half an ans", after=lambda: shown.wait(60), ends=False)
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=Half an ans")
    shown.set()
    page.wait_for_selector("#answer >> text=The answer broke off.")
    assert "Half an ans" in page.inner_text("#answer")
    assert page.inner_text("#ask-button") == "Ask"


def test_stopping_ends_the_call_of_the_model_server(asking, double, page):
    ended = threading.Event()

    def script(handler):
        if handler.path.endswith("/models"):
            handler.send(body=MODELS)
            return
        handler.start_events()
        handler.event({"type": "response.output_text.delta", "delta": "Well"})
        if handler.wait_for_end(60):
            ended.set()

    double.script = script
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=Well")
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=Stopped.")
    assert ended.wait(60)


def test_an_answer_does_not_outlive_the_session(asking, double, page):
    """Signed out while it streams: who signs in next in this tab finds no word of it."""
    shown = threading.Event()
    double.script = streamed("Half an ans", after=lambda: shown.wait(60))
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=Half an ans")
    sign_out_and_in(page, asking.new_key())
    page.wait_for_selector("#ask[data-state=ready]")
    shown.set()
    assert (page.inner_text("#answer"), page.inner_text("#ask-button")) == ("", "Ask")


def test_a_refusal_is_told_in_the_servers_words(asking, double, page):
    problem = {"error": {"message": "The model qwen3 is not loaded.", "type": "invalid_request_error", "param": None, "code": None}}
    double.script = lambda handler: handler.send(404, json.dumps(problem).encode())
    page.click("#ask-button")
    page.wait_for_selector("#answer >> text=The model qwen3 is not loaded.")


def test_without_a_model_server_it_says_what_to_set(server, page):
    sign_in(page, server, server.new_key())
    page.click("nav [href='#ask']")
    page.wait_for_selector("#ask >> text=LAZU_UPSTREAM_URL=")


def test_a_model_server_that_is_away_can_be_tried_again(front, double, browser):
    problem = {"error": {"message": "The model server is away.", "type": "server_error", "param": None, "code": "upstream_error"}}
    double.script = lambda handler: handler.send(502, json.dumps(problem).encode())
    with opened(browser) as page:
        sign_in(page, front().server, "client-secret")
        page.click("nav [href='#ask']")
        page.wait_for_selector("#broken >> text=The model server is away.")
        double.script = streamed("Yes.")
        page.click("#retry-models")
        page.wait_for_selector("#ask[data-state=ready]")
