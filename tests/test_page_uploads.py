"""Uploads by the page in a real browser: how files come in, what one sees meanwhile, and what goes wrong."""

import base64
import os
import re
import signal

import pytest

from helpers.browser import hold, names, sign_in, until
from helpers.samples import PNG
from helpers.server import opened as store_opened
from helpers.wire import request
from lazu.store.tables import Upload

MB = 2**20


def files(server, key):
    """Name and purpose of each file that the server has, the oldest first."""
    return [(file["filename"], file["purpose"]) for file in request(server, "GET", "/v1/files?order=asc", key).json["data"]]


def give(page, *some):
    """Choose files, each a name, its bytes, and maybe its type."""
    page.set_input_files("#picked-files", [{"name": name, "buffer": data, "mimeType": kind[0] if kind else ""} for name, data, *kind in some])


#: The requests that carry a file, or a part of one.
WHOLE, PART = "POST /v1/files ", r"POST \S+/parts "


def in_parts(page, most=0):
    """Have the page send files of more than `most` bytes in parts: as if that were the limit, so that it asks first."""
    rules = {"purposes": {"user_data": {"max_bytes": most, "types": []}}, "executable": [], "retention_days": 30, "pictures": []}
    page.route("**/page/rules.json", lambda route: route.fulfill(json=rules))


DROP = """([names, type]) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File(['words of ' + name], name, { type: 'text/plain' }));
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""

PASTE = """(data) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], 'image.png', { type: 'image/png' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


def test_files_dropped_anywhere_are_uploaded(server, page, key):
    sign_in(page, server, key)
    page.evaluate(DROP, [["a.txt", "b.txt"], "dragenter"])
    assert page.evaluate("document.body.classList.contains('dropping')")
    page.evaluate(DROP, [["a.txt", "b.txt"], "drop"])
    page.wait_for_selector("text=2 files uploaded")
    assert sorted(files(server, key)) == [("a.txt", "user_data"), ("b.txt", "user_data")]
    page.click("nav [href='#files']")
    until(page, lambda: sorted(names(page)) == ["a.txt", "b.txt"])


def test_a_pasted_picture_is_one_for_vision(server, page, key):
    sign_in(page, server, key)
    page.evaluate(PASTE, base64.b64encode(PNG).decode())
    page.wait_for_selector("#queue .done")
    [(name, purpose)] = files(server, key)
    assert re.fullmatch(r"pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png", name)
    assert purpose == "vision"


def test_a_picture_that_is_pasted_into_a_field_is_uploaded_too(server, page, key):
    """There is no text beside it that the field could take."""
    sign_in(page, server, key)
    page.evaluate(PASTE.replace("document.body", "document.querySelector('#filter')"), base64.b64encode(PNG).decode())
    page.wait_for_selector("#queue .done")


def test_rules_that_did_not_come_at_first_are_asked_for_with_the_next_upload(server, page, key):
    """Without them no picture is one for vision."""
    refused = []
    page.route("**/page/rules.json", lambda route: refused.append(route.fulfill(status=500, json={"error": {"message": "The disk failed."}})), times=1)
    sign_in(page, server, key)
    until(page, lambda: refused)
    page.evaluate(PASTE, base64.b64encode(PNG).decode())
    page.wait_for_selector("#queue .done")
    assert [purpose for _, purpose in files(server, key)] == ["vision"]


#: Whether the page takes a link that is dropped on an element from the browser.
HELD = """(place) => ['dragover', 'drop'].map((type) => {
    const transfer = new DataTransfer();
    transfer.items.add('https://example.org', 'text/uri-list');
    return !document.querySelector(place).dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
})"""


def test_a_link_that_is_dropped_beside_a_field_does_not_lead_away(server, page, key):
    sign_in(page, server, key)
    assert page.evaluate(HELD, "main") == [True, True]
    assert page.evaluate(HELD, "#filter") == [False, False]


#: Put a text on the clipboard, with a picture of it as Word and Excel do.
COPY = """async (data) => {
    const picture = new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': new Blob(['words'], { type: 'text/plain' }), 'image/png': picture })]);
}"""


def test_text_that_is_pasted_or_dropped_into_a_field_is_text(server, page, key):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, server, key)
    page.focus("#filter")
    page.evaluate(COPY, base64.b64encode(PNG).decode())
    page.keyboard.press("Control+V")
    until(page, lambda: page.input_value("#filter") == "words")
    page.fill("#filter", "")
    place = page.locator("#filter").bounding_box()
    drop(page, place["x"] + 20, place["y"] + 15, items=[{"mimeType": "text/plain", "data": "dragged"}])
    until(page, lambda: page.input_value("#filter") == "dragged")
    drop(page, items=[{"mimeType": "text/uri-list", "data": f"{server.url}/docs"}])
    assert page.locator("#queue li").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Control+V")  # outside of a field it is the picture that can be kept
    page.wait_for_selector("#queue .done >> text=pasted")


def test_a_folder_brings_the_files_within(server, page, key, tmp_path):
    (tmp_path / "papers" / "old").mkdir(parents=True)
    (tmp_path / "papers" / "new.txt").write_text("new")
    (tmp_path / "papers" / "old" / "first.txt").write_text("first")
    sign_in(page, server, key)
    page.set_input_files("#picked-folder", tmp_path / "papers")
    page.wait_for_selector("text=2 files uploaded")
    assert sorted(files(server, key)) == [("first.txt", "user_data"), ("new.txt", "user_data")]


#: Have the browser fail where it would read a file called `lost`, as when the visitor may not.
LOSE = """const entry = DataTransferItem.prototype.webkitGetAsEntry;
const reading = (reader) => ({ readEntries: (done, failed) => reader.readEntries((some) => done(some.map(losing)), failed) });
const losing = (given) => ({
    isFile: given.isFile,
    file: (done, failed) => given.name.startsWith('lost') ? failed(new DOMException('no', 'NotReadableError')) : given.file(done, failed),
    createReader: () => reading(given.createReader()),
});
DataTransferItem.prototype.webkitGetAsEntry = function () { return losing(entry.call(this)); };
"""


def drop(page, x=300, y=300, **what):
    """Drop `files`, by path, or `items` on the page, as a person does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], **what, "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": x, "y": y, "data": data})


def test_a_file_that_cannot_be_read_costs_no_other_of_its_folder(server, page, key, tmp_path):
    folder = tmp_path / "papers"
    (folder / "old").mkdir(parents=True)
    for name in ("a.txt", "lost.txt", "old/b.txt", "old/lost.txt"):
        (folder / name).write_text(name)
    page.add_init_script(LOSE)
    sign_in(page, server, key)
    drop(page, files=[str(folder)])
    page.wait_for_selector("#notes >> text=2 files could not be read")
    page.wait_for_selector("text=2 files uploaded")
    assert sorted(files(server, key)) == [("a.txt", "user_data"), ("b.txt", "user_data")]


def test_purpose_and_lifetime_can_be_chosen(server, page, key):
    sign_in(page, server, key)
    page.click("nav [href='#upload']")
    page.select_option("#purpose", "user_data")
    page.select_option("#keep", "3600")
    give(page, ("p.png", PNG, "image/png"))
    page.wait_for_selector("#queue .done")
    [file] = request(server, "GET", "/v1/files", key).json["data"]
    assert (file["purpose"], file["expires_at"] - file["created_at"]) == ("user_data", 3600)


def test_a_refusal_is_told_in_the_servers_words(server, page, key):
    sign_in(page, server, key)
    give(page, ("empty.txt", b""), ("program.txt", b"\x7fELF" + bytes(200)))
    page.wait_for_selector("#queue .failed >> nth=1")
    told = page.locator("#queue .failed .more").all_text_contents()
    assert "empty" in told[0]
    assert told[1] == "Executable files are not accepted, and this file's content is a program."


def longer_than_sockets(folder, *names):
    """Files of which a browser can't hand all to the kernel (4 MB, tcp_wmem) before the line takes it; by path."""
    for name in names:
        (folder / name).write_bytes(os.urandom(6 * MB))
    return [folder / name for name in names]


def test_progress_speed_and_time_left_are_shown_and_three_go_at_once(server, line, page, key, tmp_path):
    sign_in(page, line, key)
    waiting = line.hold(WHOLE, most=3, every=0.25)  # minutes for each
    page.set_input_files("#picked-files", longer_than_sockets(tmp_path, *(f"{number}.bin" for number in range(5))))
    page.wait_for_selector(r"text=/[\d.]+ [KM]B of 6.0 MB · [\d.]+ \w+\/s · \d+ (second|minute|hour)s? left/")
    assert page.locator("#queue .sending").count() == 3
    assert page.locator("#queue .waiting").count() == 2
    assert 0 < page.evaluate("document.querySelector('#queue .sending progress').value") < 6 * MB
    until(page, lambda: len(waiting) == 3)
    for each in waiting:
        each.set()
    page.wait_for_selector("text=5 files uploaded")
    assert len(files(server, key)) == 5


def test_a_cancelled_upload_stores_nothing(server, line, page, key, tmp_path):
    sign_in(page, line, key)
    waiting = line.hold(WHOLE)
    page.set_input_files("#picked-files", longer_than_sockets(tmp_path, "a.bin"))
    until(page, lambda: waiting)
    page.click("[aria-label='Cancel a.bin']")
    page.wait_for_selector("#queue .cancelled")
    waiting[0].set()
    give(page, ("b.bin", os.urandom(1000)))
    page.wait_for_selector("#queue .done")
    assert files(server, key) == [("b.bin", "user_data")]


def test_what_broke_can_be_tried_again(serve, page):
    server = serve()
    key = server.new_key()
    sign_in(page, server, key)
    page.wait_for_selector("#no-files")
    server.stop()
    give(page, ("a.txt", b"words"))
    page.wait_for_selector("#queue .failed >> text=Lazu can’t be reached.")  # noqa: RUF001  as the page says it
    server.start()
    page.click("[aria-label='Try a.txt again']")
    page.wait_for_selector("#queue .done")
    assert files(server, key) == [("a.txt", "user_data")]


def test_an_answer_that_is_not_lazus_is_no_success(server, page, key):
    """As a proxy's that wants one to sign in first."""
    sign_in(page, server, key)
    page.route("**/v1/files", lambda route: route.fulfill(body="<html>"))
    give(page, ("a.txt", b"words"))
    page.wait_for_selector("#queue .failed >> text=it is not Lazu")


def test_through_nginx_everything_is_the_same(edge, page):
    """Its limits of requests and sizes leave the page working; it sends the downloads."""
    key = edge.new_key()
    sign_in(page, edge, key)
    give(page, *[(f"{number}.txt", b"words of %d" % number) for number in range(60)])
    page.wait_for_selector("text=60 files uploaded")
    page.click("nav [href='#files']")
    page.wait_for_selector("text=60 files")
    page.click("#rows >> text=59.txt")
    page.wait_for_selector("#preview pre >> text=words of 59")
    with page.expect_download() as waiting:
        page.click("#save-one")
    assert waiting.value.path().read_bytes() == b"words of 59"
    page.click("#details [value=close]")
    page.click("#all")
    page.click("#delete-choice")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#no-files")
    assert files(edge, key) == []


def test_a_name_that_is_refused_costs_no_byte(server, page, key):
    """What can be known is asked for first: the words are the server's."""
    sent = []
    page.on("request", lambda asked: asked.method == "POST" and sent.append((asked.url.removeprefix(server.url), len(asked.post_data_buffer or b""))))
    sign_in(page, server, key)
    give(page, ("setup.exe", os.urandom(MB)))
    page.wait_for_selector("#queue .failed >> text=/Executable files are not accepted/")
    [(path, size)] = sent
    assert path == "/v1/uploads"
    assert size < 1000


def test_a_large_file_goes_on_where_it_broke(serve, page, tmp_path):
    """From 32 MB on in parts: after the server was away, only the part that broke is sent again."""
    server = serve()
    key = server.new_key()
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(40 * MB))
    parts = []
    page.on("response", lambda answer: answer.url.endswith("/parts") and parts.append(answer.status))
    page.clock.install()
    sign_in(page, server, key)
    waiting = hold(page, "**/parts", most=3)
    page.set_input_files("#picked-files", large)
    for number in range(2):
        until(page, lambda: len(waiting) > number)  # noqa: B023  it is asked at once
        waiting[number].continue_()
    until(page, lambda: len(waiting) == 3)
    server.stop(signal.SIGTERM)
    waiting[2].continue_()
    until(page, lambda: page.locator("#queue .failed").count() or page.clock.fast_forward(5000))  # it tries again after seconds
    assert parts == [200, 200]
    server.start()
    page.click("[aria-label='Try large.bin again']")
    page.wait_for_selector("#queue .done")
    assert parts == [200] * 5
    [file] = request(server, "GET", "/v1/files", key).json["data"]
    content = request(server, "GET", f"/v1/files/{file['id']}/content", key)
    assert content.body == large.read_bytes()


def test_a_large_upload_that_is_cancelled_leaves_nothing_and_can_begin_anew(server, line, page, key, tmp_path):
    before = server.blobs()
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(17 * MB))  # three parts: the line carries little at a time, and a busy machine had no end of 40 MB in a minute
    in_parts(page, 8 * MB)
    sign_in(page, line, key)
    waiting = line.hold(PART, most=2)
    page.set_input_files("#picked-files", large)
    until(page, lambda: waiting)
    waiting[0].set()
    until(page, lambda: len(waiting) == 2)
    with page.expect_response(lambda answer: answer.url.endswith("/cancel")) as told:
        page.click("[aria-label='Cancel large.bin']")
    assert told.value.status == 200
    assert files(server, key) == []
    until(page, lambda: set(server.blobs()) <= set(before))
    page.click("[aria-label='Try large.bin again']")
    page.wait_for_selector("#queue .done")
    assert files(server, key) == [("large.bin", "user_data")]


def test_an_upload_that_is_tried_again_meanwhile_is_one_upload(server, page, key):
    """Cancelled while a part waits for its next try: nothing of that goes on beside the new one."""
    parts = []
    page.on("request", lambda asked: asked.url.endswith("/parts") and parts.append(asked))
    page.route("**/parts", lambda route: route.fulfill(status=503, headers={"Retry-After": "60"}))
    page.clock.install()
    in_parts(page)
    sign_in(page, server, key)
    with page.expect_response("**/parts"):
        give(page, ("a.txt", b"words"))
    page.click("[aria-label='Cancel a.txt']")
    page.unroute("**/parts")
    page.click("[aria-label='Try a.txt again']")
    page.wait_for_selector("#queue .done")
    page.clock.fast_forward(61_000)
    page.wait_for_timeout(300)  # in which the first one would try again
    assert len(parts) == 2
    assert files(server, key) == [("a.txt", "user_data")]


def test_signing_out_cancels_uploads_in_parts(line, page, key):
    """By the key that began them, so that they hold no room."""
    in_parts(page)
    sign_in(page, line, key)
    waiting = line.hold(PART)
    give(page, ("a.bin", os.urandom(MB)))
    until(page, lambda: waiting)
    with page.expect_response("**/cancel") as told:
        page.click("#sign-out")
    assert told.value.status == 200
    assert page.is_visible("#sign-in")


def test_large_files_go_one_after_the_other(server, line, page, key):
    """So that each has the line, and its hour, for itself; small ones go beside them."""
    in_parts(page, most=1000)
    sign_in(page, line, key)
    waiting = line.hold(PART)
    give(page, ("a.bin", os.urandom(200_000)), ("b.bin", os.urandom(200_000)), ("small.txt", b"words"))
    until(page, lambda: waiting)
    page.wait_for_selector("#queue .done >> text=small.txt")
    assert page.locator("#queue .sending, #queue .checking").count() == 1
    page.wait_for_selector("#queue .waiting >> text=b.bin")
    waiting[0].set()
    page.wait_for_selector("text=3 files uploaded")
    assert [name for name, _ in files(server, key)] == ["small.txt", "a.bin", "b.bin"]


def test_a_line_that_is_too_slow_for_parts_carries_the_file_in_one_piece(server, line, page, key, tmp_path):
    """An upload in parts ends with its hour; here the page takes it to be over after the first part of two."""
    large = tmp_path / "a.bin"
    large.write_bytes(os.urandom(8 * MB + 1))
    asked = []

    def shorten(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "expires_at": answer.json()["created_at"] - 1})

    page.route("**/v1/uploads", shorten)
    page.on("response", lambda answer: answer.request.method == "POST" and asked.append((answer.url.rpartition("/")[2], answer.status)))
    in_parts(page)
    sign_in(page, line, key)
    waiting = line.hold(WHOLE)
    page.set_input_files("#picked-files", large)
    page.wait_for_selector("#queue .sending >> text=begun again in one piece")
    waiting[0].set()
    page.wait_for_selector("#queue .done")
    assert asked == [("uploads", 200), ("parts", 200), ("cancel", 200), ("files", 200)]
    [file] = request(server, "GET", "/v1/files", key).json["data"]
    assert request(server, "GET", f"/v1/files/{file['id']}/content", key).body == large.read_bytes()


def test_an_upload_whose_hour_is_over_says_so_and_can_begin_anew(server, page, key):
    in_parts(page)
    sign_in(page, server, key)
    waiting = hold(page, "**/parts", most=1)
    give(page, ("a.txt", b"words"))
    until(page, lambda: waiting)
    with store_opened(server.storage):
        Upload.update(expires_at=1).execute()
    waiting[0].continue_()
    page.wait_for_selector("#queue .failed >> text=The hour within which a large file has to arrive is over.")
    page.click("[aria-label='Try a.txt again']")
    page.wait_for_selector("#queue .done")
    assert files(server, key) == [("a.txt", "user_data")]


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_that_changed_meanwhile_is_not_blamed_on_the_line(server, page, key, tmp_path, whole):
    changing = tmp_path / "changing.txt"
    changing.write_bytes(b"words")
    sent = []
    page.on("request", lambda asked: asked.method == "POST" and sent.append(asked.url.rpartition("/")[2]))
    in_parts(page, most=MB if whole else 0)
    sign_in(page, server, key)
    waiting = hold(page, "**/v1/files" if whole else "**/v1/uploads", most=1)
    page.set_input_files("#picked-files", changing)
    until(page, lambda: waiting)
    page.click("[aria-label='Cancel changing.txt']")
    os.utime(changing, (1, 1))  # Chromium looks at the second in which a file was written
    page.click("[aria-label='Try changing.txt again']")
    page.wait_for_selector("#queue .failed >> text=This file has changed or is gone; choose it again.")
    assert sent == (["files", "files"] if whole else ["uploads", "uploads", "parts"])


def test_a_part_on_a_line_that_went_silent_is_sent_again(server, line, page, key):
    parts = []
    page.on("request", lambda asked: asked.url.endswith("/parts") and parts.append(asked))
    page.clock.install()
    in_parts(page)
    sign_in(page, line, key)
    line.hold(PART)
    give(page, ("a.bin", os.urandom(MB)))
    until(page, lambda: page.evaluate("document.querySelector('#queue progress')?.value") > 0)
    page.clock.fast_forward(61_000)
    page.wait_for_selector("#queue .done")
    assert len(parts) == 2
    assert files(server, key) == [("a.bin", "user_data")]
