"""The page's list of files in a real browser: what it shows, what one does with it, and what happens meanwhile."""

import os
import re
import signal

import pytest
from peewee import chunked

from helpers.between import EARLY_END, PASS, between
from helpers.browser import names, opened, sign_in, site, until
from helpers.pdfs import scripted
from helpers.samples import PNG
from helpers.server import opened as store_opened
from helpers.wire import part, request, stored, upload
from lazu import clock, ids
from lazu.store import rows
from lazu.store.rows import File


def expire(server, file, seconds):
    """Let `file` be gone in `seconds`."""
    with store_opened(server.storage):
        File.update(expires_at=clock.now() + seconds).where(File.id == file["id"]).execute()


def test_a_name_is_data(server, page, key):
    name = "<img src=x onerror=document.title='ran'>.txt"
    stored(server, key, filename=name)
    sign_in(page, server, key)
    page.click("#rows .filename")
    page.wait_for_selector("#preview pre")
    assert (page.text_content("#rows .filename"), page.text_content("#details h2 span:last-child"), page.title()) == (name, name, "Files · Lazu")


def test_files_are_sorted_and_filtered(server, page, key):
    for name, size in (("b 10.txt", 3), ("a.txt", 2), ("b 9.txt", 1)):
        stored(server, key, b"x" * size, name)
    upload(server, key, part("purpose", "vision"), part("file", PNG, "c.png"))
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row >> nth=3")
    assert names(page) == ["c.png", "b 9.txt", "a.txt", "b 10.txt"]
    page.click("[data-order=name]")
    assert names(page) == ["a.txt", "b 9.txt", "b 10.txt", "c.png"]
    page.click("[data-order='-size']")
    assert names(page)[-1] == "b 9.txt"
    assert page.get_attribute(".cell.size[role=columnheader]", "aria-sort") == "descending"
    page.fill("#filter", "B 1")
    assert names(page) == ["b 10.txt"]
    page.fill("#filter", "")
    page.select_option("#purposes", "vision")
    assert names(page) == ["c.png"]
    page.fill("#filter", "no such")
    page.click("#clear-filter")
    assert len(names(page)) == 4


def test_what_the_key_holds_and_may_hold_is_shown(server, page):
    with store_opened(server.storage) as store:
        key = store.keys.create("limited", 5 * 2**20)
    stored(server, key, b"x" * 2**20)
    sign_in(page, server, key)
    page.wait_for_selector("text=1 file · 1.0 MB of 5.0 MB")
    assert request(server, "GET", "/v1/files", key).headers["x-lazu-quota-bytes"] == str(5 * 2**20)


#: Scroll through the whole list, a screen's height a frame and more; the most rows made in a frame, and elements at the end.
SCROLL = """async () => {
    let [most, now] = [0, 0];
    new MutationObserver((changes) => (now += changes.flatMap((each) => [...each.addedNodes]).length)).observe(document.querySelector('#rows'), { childList: true });
    for (let at = 0; at < document.body.scrollHeight; at += 10 * innerHeight) {
        scrollTo(0, at);
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        [most, now] = [Math.max(most, now), 0];
    }
    return [most, document.querySelectorAll('*').length];
}"""


def test_ten_thousand_files_are_a_screenful_at_a_time(serve, page):
    """First a short page of the list, then the rest; of the rows only those in sight are in the document."""
    server = serve()
    key = server.new_key()
    first = stored(server, key)
    with store_opened(server.storage), rows.database.atomic():
        model = File.get_by_id(first["id"]).__data__
        made = [{**model, "id": ids.new_file_id(model["created_at"] * 1000 + number), "filename": f"file {number}.txt"} for number in range(9999)]
        for batch in chunked(made, 1000):
            File.insert_many(batch).execute()
    asked = []
    page.on("request", lambda sent: "/v1/files?" in sent.url and asked.append(sent.url))
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row >> nth=10")
    page.wait_for_selector("text=10,000 files")
    assert re.search(r"limit=100$", asked[1]), asked
    until(page, lambda: page.evaluate("scrollTo(0, document.body.scrollHeight)") or page.locator("[aria-rowindex='10001']").count())
    drawn, elements = page.evaluate(SCROLL)
    assert drawn < 100
    assert elements < 2500
    page.fill("#filter", "file 9998.txt")
    page.wait_for_selector("text=file 9998.txt")
    assert names(page) == ["file 9998.txt"]


def test_everything_goes_without_a_mouse(server, page, key):
    for name in ("one.txt", "two.txt", "three.txt"):
        stored(server, key, filename=name)
    page.goto(server.url)
    page.keyboard.type(key)  # the field has the keyboard
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows .row >> nth=2")
    while "row" not in page.evaluate("document.activeElement.className"):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#details[open]")
    assert page.text_content("#details h2 span:last-child") == "two.txt"
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_selector("text=2 files selected")
    page.keyboard.press("Backspace")  # as Macs call their key Delete
    page.wait_for_selector("#confirm[open] >> text=Delete 2 files?")
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    page.wait_for_selector("#confirm[open] >> text=Delete 2 files?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, lambda: names(page) == ["three.txt"])
    assert [file["filename"] for file in request(server, "GET", "/v1/files", key).json["data"]] == ["three.txt"]


def test_nothing_is_deleted_without_a_yes(server, page, key):
    file = stored(server, key)
    sign_in(page, server, key)
    page.hover("#rows .row")
    page.click("[aria-label='Delete hello.txt']")
    page.click("#confirm [value=no]")
    page.click("[aria-label='Delete hello.txt']")
    page.keyboard.press("Escape")
    assert request(server, "GET", f"/v1/files/{file['id']}", key).status == 200


def test_a_question_that_follows_another_at_once_is_the_one_that_is_answered(server, page, key):
    """A dialog tells late that it was closed, maybe when it is open again."""
    stored(server, key, b"words")
    sign_in(page, server, key)
    page.focus("#rows .row")
    page.keyboard.press("Delete")
    page.evaluate("""() => {
        document.querySelector('#confirm').close('no');
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Delete', bubbles: true }));
    }""")
    page.wait_for_timeout(100)  # in which it tells
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#said >> text=Deleted")


def test_what_is_told_is_within_the_dialog_that_is_open(server, page, key):
    """All else can't be used or heard meanwhile; the one that closes tells of it late."""
    stored(server, key, b"words")
    sign_in(page, server, key)
    page.click("#rows .filename")
    assert page.locator("#details #told").count() == 1
    page.click("#delete-one")
    page.wait_for_selector("#confirm [value=no]")
    page.wait_for_timeout(100)  # in which it tells
    assert page.locator("#confirm #told").count() == 1
    page.click("#confirm [value=no]")
    page.wait_for_selector("body > #told", state="attached")


def test_a_download_is_the_file(server, page, key):
    content = bytes(range(256)) * 40_000
    stored(server, key, content, "daten für später.bin")
    sign_in(page, server, key)
    page.click("#rows .filename")
    with page.expect_download() as waiting:
        page.click("#save-one")
    assert waiting.value.suggested_filename == "daten für später.bin"
    assert waiting.value.path().read_bytes() == content


def test_a_download_shows_its_progress_until_it_is_cancelled(server, line, page, key):
    """Also within the dialog, beside which nothing can be used."""
    stored(server, key, os.urandom(4 * 2**20), "large.bin")
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    sign_in(page, line, key)
    page.click("#rows .filename")
    page.wait_for_selector("#preview >> text=No preview")
    line.hold(r"GET \S+/content ", every=0.5)  # minutes for all of it
    page.click("#save-one")
    page.wait_for_selector(r"#details #notes >> text=/\d+ KB of 4.0 MB/")
    assert 0 < page.evaluate("document.querySelector('#notes progress').value") < 4 * 2**20
    page.click("#details [value=close]")
    page.click("[aria-label='Cancel the download']")
    page.wait_for_timeout(300)
    assert (page.inner_text("#told"), downloads) == ("", [])


def test_what_was_not_downloaded_is_told_by_its_name_or_number(server, page, key):
    for name in ("one.txt", "two.txt"):
        stored(server, key, b"words", name)
    sign_in(page, server, key)
    page.route("**/content", lambda route: route.fulfill(status=500, json={"error": {"message": "The disk failed."}}))
    page.hover("#rows .row >> text=one.txt")
    page.click("[aria-label='Download one.txt']")
    page.wait_for_selector("#notes >> text=one.txt not downloaded: The disk failed.")
    page.focus("#rows .row")
    page.keyboard.press("Control+a")
    page.click("#save-choice")
    page.wait_for_selector("#notes >> text=2 files not downloaded: The disk failed.")


def test_what_was_not_deleted_is_told_until_it_is_dismissed(listed, page):
    page.route("**/v1/files/file-*", lambda route: route.fulfill(status=500, json={"error": {"message": "The disk failed."}}))
    page.focus("#rows .row")
    page.keyboard.press("Delete")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#notes >> text=1 file not deleted: The disk failed.")
    page.fill("#filter", "no such")
    page.clock.fast_forward(60_000)
    page.click("[aria-label='Dismiss']")
    assert page.inner_text("#told") == ""
    assert page.evaluate("document.activeElement.ariaCurrent") == "page", "the row that had the keyboard is gone"


#: How far the first letter of a preview is from the right, the last one from the left.
SIDES = """() => {
    const [pre, range] = [document.querySelector('#preview pre'), document.createRange()];
    const place = (at) => range.setStart(pre.firstChild, at) ?? range.setEnd(pre.firstChild, at + 1) ?? range.getBoundingClientRect();
    const box = pre.getBoundingClientRect();
    return [box.right - place(0).right, place(pre.textContent.length - 1).left - box.left];
}"""

TEXTS = {
    "latin.csv": ("Größe;Café\n5;3".encode("cp1252"), "Größe;Café", "windows-1252"),
    "japanese.txt": ("ファイルを読む".encode("shift_jis"), "ファイルを読む", "shift_jis"),
    "broken.txt": ("日本語の文 ".encode() + b"\xff", "日本語の文", None),
    "hebrew.txt": ("שלום עולם\nx".encode(), "שלום עולם", None),
}


def test_texts_are_read_in_their_encoding_and_direction(server, page, key):
    for name, (content, _, _) in TEXTS.items():
        stored(server, key, content, name)
    sign_in(page, server, key)
    for name, (_, words, guess) in TEXTS.items():
        page.click(f"#rows >> text={name}")
        page.wait_for_selector(f"#preview pre >> text={words}")
        assert (f"Read as {guess}," in page.inner_text("#preview")) == (guess is not None), name
        if name != "hebrew.txt":
            page.keyboard.press("Escape")
    assert max(page.evaluate(SIDES)) < 30


def test_a_text_that_does_not_fit_the_visitors_language_is_read_all_the_same(server, browser, key):
    """Greek's encoding has no such letter."""
    stored(server, key, "Ò così".encode("cp1252"), "italian.txt")
    with opened(browser, locale="el-GR") as page:
        sign_in(page, server, key)
        page.click("#rows .filename")
        page.wait_for_selector("#preview pre >> text=Ò così")
        assert "Read as windows-1252," in page.inner_text("#preview")


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_a_text_that_browsers_do_not_read_is_told_so(server, page, key, encoding):
    stored(server, key, "\ufeffWeiß".encode(encoding), "wide.txt")
    sign_in(page, server, key)
    page.click("#rows .filename")
    page.wait_for_selector("#preview >> text=No preview of a text in UTF-32")


def test_a_text_that_is_shown_in_part_ends_with_a_whole_letter(server, page, key):
    stored(server, key, ("x" + "é" * 2**18).encode(), "long.txt")
    sign_in(page, server, key)
    page.click("#rows .filename")
    page.wait_for_selector("#preview >> text=/The first .* of/")
    assert set(page.inner_text("#preview pre")) == {"x", "é"}


def test_a_preview_whose_scripts_did_not_come_is_shown_the_next_time(server, page, key):
    """At another address: many browsers keep for good that one could not be had."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    stored(server, key, scripted("opened"), "paper.pdf")
    sign_in(page, server, key)
    for missing in ("preview.js", "pdf.js", None):
        if missing:
            page.route(f"**/page/{missing}*", lambda route: route.abort())
        page.click("#rows .filename")
        page.wait_for_selector("#preview >> text=/The preview can.t be loaded/" if missing else "#preview iframe")
        page.click("#details [value=close]")
        page.unroute_all()
    for name in ("preview.js", "pdf.js"):
        addresses = [url for url in asked if f"/page/{name}" in url]
        assert len(addresses) == len(set(addresses)) > 1


def test_previews_run_nothing(server, page, key):
    """Scripts of a page, a picture and a document (test_page_pdf.py has all the ways of the last)."""
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    call = "fetch('{0}/ran');new Image().src='{0}/ran';document.title='ran';alert(1)"
    with site({}) as witness:
        script = call.format(witness.url).encode()
        stored(server, key, b"<!doctype html><script>%s</script><img src=x onerror=\"%s\">" % (script, script), "page.html")
        stored(server, key, b'<svg xmlns="http://www.w3.org/2000/svg"><script>%s</script></svg>' % script, "picture.svg")
        stored(server, key, scripted("opened"), "paper.pdf")
        upload(server, key, part("purpose", "vision"), part("file", PNG, "real.png"))
        sign_in(page, server, key)
        for name, shown in (("page.html", "pre"), ("picture.svg", "pre"), ("paper.pdf", "iframe"), ("real.png", "img")):
            page.click(f"#rows >> text={name}")
            page.wait_for_selector(f"#preview {shown}")
            page.wait_for_timeout(700)
            page.click("#details [value=close]")
        assert (witness.calls, dialogs, page.title()) == ([], [], "Files · Lazu")


def test_a_key_that_is_revoked_meanwhile_signs_out(server, page):
    key = server.new_key("leaving")
    stored(server, key)
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row")
    with store_opened(server.storage) as store:
        store.keys.revoke("leaving")
    page.click("#refresh")
    page.wait_for_selector("#sign-in >> text=This key is no longer accepted.")
    until(page, lambda: page.evaluate("sessionStorage.length + document.querySelectorAll('#rows .row').length") == 0)


def test_a_server_that_restarts_is_waited_for(serve, page):
    server = serve()
    key = server.new_key()
    stored(server, key)
    page.clock.install()
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row")
    server.stop(signal.SIGTERM)
    page.click("#refresh")
    page.wait_for_selector("#away:visible")
    assert names(page) == ["hello.txt"]
    server.start()
    page.clock.fast_forward(8000)  # so long at most until it asks again
    page.wait_for_selector("#away", state="hidden")
    assert names(page) == ["hello.txt"]


def test_a_list_on_a_line_that_breaks_is_asked_for_again(server, page, key):
    stored(server, key)
    with between(server.url) as proxy:
        proxy.rule = lambda _, path: EARLY_END if path.endswith("limit=100") and proxy.calls.count(("GET", path)) == 1 else PASS
        proxy.url = proxy.endpoint
        sign_in(page, proxy, key)
        page.wait_for_selector("#away:visible")
        until(page, lambda: names(page) == ["hello.txt"])
        page.wait_for_selector("#away", state="hidden")


def test_a_final_answer_ends_the_word_that_nobody_answers(serve, page):
    server = serve()
    key = server.new_key("leaving")
    page.clock.install()
    sign_in(page, server, key)
    page.wait_for_selector("#no-files")
    server.stop(signal.SIGTERM)
    page.click("#refresh")
    page.wait_for_selector("#away:visible")
    with store_opened(server.storage) as store:
        store.keys.revoke("leaving")
    server.start()
    page.clock.fast_forward(8000)  # so long at most until it asks again
    page.wait_for_selector("#sign-in >> text=This key is no longer accepted.")
    page.wait_for_selector("#away", state="hidden")


def test_a_file_goes_while_it_is_shown(server, page, key):
    first, second = stored(server, key, filename="first.txt"), stored(server, key, filename="second.txt")
    expire(server, first, 6)
    expire(server, second, 6)
    sign_in(page, server, key)
    page.click("#rows >> text=first.txt")
    page.wait_for_selector("#details >> text=This file is gone")
    assert page.is_disabled("#save-one")
    page.click("#details [value=close]")
    page.wait_for_selector("#no-files")


def test_a_clock_that_is_wrong_does_not_make_files_go(server, browser, key):
    """The server's time counts, not the visitor's."""
    stored(server, key)
    with opened(browser) as page:
        page.clock.install(time="2031-01-01T00:00:00Z")
        sign_in(page, server, key)
        page.clock.run_for(3000)
        page.wait_for_selector("#rows .gone >> text=gone in 30 days")
        page.clock.set_system_time("2041-01-01T00:00:00Z")  # as a machine that goes on after a pause
        with page.expect_response("**/v1/files?limit=100"):
            page.clock.run_for(3000)
        assert names(page) == ["hello.txt"]


def test_what_expires_by_a_wrong_clock_of_the_server_comes_back(server, page, key):
    stored(server, key)
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row")
    page.route("**/v1/files?limit=100", lambda route: route.fulfill(response=(answer := route.fetch()), headers={**answer.headers, "date": "Tue, 01 Jan 2041 00:00:00 GMT"}), times=1)
    page.click("#refresh")
    page.wait_for_selector("#no-files")
    page.click("#refresh")
    page.wait_for_selector("#rows .gone >> text=gone in 30 days")


@pytest.fixture
def listed(server, page, key):
    """The list of two files, of which `second.txt` is the newer one; the first one's row is marked."""
    page.clock.install()
    expire(server, stored(server, key, filename="first.txt"), 3600)
    stored(server, key, filename="second.txt")
    sign_in(page, server, key)
    page.wait_for_selector("#rows .row >> nth=1")
    page.evaluate("document.querySelector('#rows [title=\"first.txt\"]').closest('.row').marked = true")


def arrive(server, page, key):
    """Another file is there, and the list is loaded again, as when one comes back to the tab."""
    stored(server, key, filename="third.txt")
    with page.expect_response("**/v1/files?limit=100"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


#: Whether the marked row has the keyboard, and the class of the part of it that has.
FOCUSED = "[document.activeElement.closest('.row')?.marked ?? false, document.activeElement.title || document.activeElement.className]"


def test_the_keyboard_stays_where_it_is_while_files_come_and_time_goes(listed, server, page, key):
    page.focus("#rows .row:last-child")
    page.wait_for_selector("#rows .row:last-child .gone >> text=gone in 60 minutes")
    page.clock.fast_forward(150_000)
    page.wait_for_selector("#rows .row:last-child .gone >> text=/gone in 5[78] minutes/")
    assert page.evaluate(FOCUSED) == [True, "row"]
    page.focus("[aria-label='Download first.txt']")
    arrive(server, page, key)
    until(page, lambda: names(page) == ["third.txt", "second.txt", "first.txt"])
    assert page.evaluate(FOCUSED) == [True, "Download first.txt"]
    assert page.locator("#rows .row").evaluate_all("rows => rows.map((row) => row.ariaRowIndex)") == ["2", "3", "4"]


def test_a_row_does_not_move_from_under_the_mouse(listed, server, page, key):
    page.hover("#rows >> text=first.txt")
    page.mouse.down()
    arrive(server, page, key)
    page.clock.run_for(1000)
    assert names(page) == ["second.txt", "first.txt"]
    page.mouse.up()
    page.wait_for_selector("#details[open] h2 >> text=first.txt")
    until(page, lambda: names(page) == ["third.txt", "second.txt", "first.txt"])
