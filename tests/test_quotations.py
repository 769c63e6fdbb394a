"""Notes and quotations of web pages, books and messages: which number is a note's, and who said what."""

import pytest

from helpers.office import epub

EPUB = "application/epub+zip"


def test_marks_of_notes_in_a_book_run_into_no_number_and_lead_to_their_notes(read):
    """`2019` with a note 1 was `20191`. Each chapter counts anew, and the notes stand behind all of them."""
    mark = 'In 2019<a href="c%200.xhtml#{}" epub:type="noteref">{}</a> and 500<a href="#{}" role="doc-noteref"><sup>{}</sup></a> units.'
    beside = '<p>{}</p><aside epub:type="footnote" id="{}"><p>By weight.</p><ul><li>net</ul></aside><p>On</p>'
    chapters = [beside.format(mark.format(f"n{n}", 1, "f", 2), "f") for n in (1, 2)]
    notes = '<section epub:type="endnotes"><h2>Notes</h2><ol><li id="n1"><p>Since March. <a href="c%201.xhtml#r" role="doc-backlink">back</a></p><li id="n2"><p>More.<li id="n3">Not one</ol></section>'
    assert read(epub(f"{notes}", *chapters), EPUB).partition("Ada\n\n")[2] == (
        "In 2019[^1] and 500[^2] units.\n\n[^2]: By weight. - net\n\nOn\n\n"
        "## Notes\n\n[^1]: Since March.\n\n2. More.\n3. Not one\n\nIn 2019[^1-2] and 500[^2-2] units.\n\n[^2-2]: By weight. - net\n\nOn\n"
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('2019<a role="doc-noteref">1</a> or<a class="footnote-ref" href="#n"><sup>[*]</sup></a><p id=n><a href="#r">↑</a> Small <a href=/x>print</a>', "2019[^1] or[^*]\n\n[^*]: Small [print](/x)\n"),
        ('a<a role="doc-noteref" href="#n">1</a><table><tr><td id=n>note<blockquote>said<td>b</table>', "a[^1]\n\n| [^1]: note > said | b |\n| --- | --- |\n"),
        ('2019<a href="#n">1</a> and 10<sup><a href="#n">2</a></sup>, page <a href="#p">3</a>', "2019¹ and 10², page 3\n"),
        ('<s>a<a role="doc-noteref">1</s></a>b', "~~a[^1]~~b\n"),
    ],
)  # fmt: skip
def test_the_number_of_a_note_in_a_page_is_none_of_its_words(read, page, text):
    assert read(page, "html") == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<blockquote><p>a<p>b<br>c<blockquote>deep</blockquote></blockquote>d", "> a\n>\n> b\n> c\n>\n> > deep\n\nd\n"),
        ("<blockquote><h2>H</h2><ol><li>x<li>y</ol><table><tr><td>1<td>2</table><pre> p\n</pre></blockquote>", "> ## H\n>\n> 1. x\n> 2. y\n>\n> | 1 | 2 |\n> | --- | --- |\n>\n> ```\n>  p\n> ```\n"),
        ("<ul><li>i<blockquote>q<p>r</blockquote>after<li><blockquote>s</blockquote><li>t</ul>", "- i\n  > q\n  >\n  > r\n  after\n- > s\n- t\n"),
        ("<table><tr><td><blockquote>a<td>b<tr><td>c<td><blockquote>d</table>e", "| > a | b |\n| --- | --- |\n| c | > d |\n\ne\n"),
        ("<table><tr><td><blockquote>a</table>b", "> a\n\nb\n"),
        ("<div><blockquote>a</div>b<ul><li><blockquote>c</ul>d<blockquote> </blockquote>e", "> a\n\nb\n\n- > c\n\nd\n\ne\n"),
        ("<blockquote><table><tr><td>a</blockquote><td>b</table>c", "> | a | b |\n> | --- | --- |\n>\n> c\n"),
        ("<s>a<blockquote>b</s>c</blockquote>", "~~a~~\n\n> ~~b~~c\n"),
        ("I said <q>never</q>.", "I said “never”.\n"),
    ],
)  # fmt: skip
def test_what_a_page_quotes_is_marked_and_ends_where_it_does(read, page, text):
    assert read(page, "html") == text


def test_a_message_in_html_alone_shows_who_said_what(read):
    said = '<div>I agree to 7.</div><blockquote type="cite"><div>Will you pay 5?</div></blockquote><div>Bob</div>'
    mail = f"Subject: hi\nContent-Type: text/html; charset=utf-8\n\n{said}"
    assert read(mail, "message/rfc822") == "Subject: hi\n\nI agree to 7.\n\n> Will you pay 5?\n\nBob\n"


def test_quotations_within_each_other_without_end_cost_little(read):
    assert read("<blockquote>a" * 100_000, "html").count("a") == 100_000


STUB = "Your mail program does not support HTML. View it at https://example.org/x\n"


@pytest.mark.parametrize(
    ("plain", "page", "text"),
    [
        (STUB, "<h1>Order 4711</h1><p>Total 12.50</p>" + "<p>Many words that nobody is to miss.</p>" * 12, "# Order 4711\n\nTotal 12.50\n\nMany"),
        (STUB, f'<p>Short</p><a href="https://example.org/{"x" * 500}">it</a>', STUB),
        ("Long enough. " * 50, "<p>More words than that.</p>" * 300, "Long enough. Long"),
        (STUB, "<svg>" * 2000, STUB),
    ],
)  # fmt: skip
def test_a_plain_text_that_only_tells_of_the_html_does_not_hide_it(read, plain, page, text):
    parts = f"--b\nContent-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n{page}\n--b--\n"
    mail = f"Subject: hi\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n{parts}"
    assert read(mail, "message/rfc822").startswith(f"Subject: hi\n\n{text}")
