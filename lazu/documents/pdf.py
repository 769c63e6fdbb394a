"""The text of PDF files, page by page, with what annotations and forms add to it. Runs in the reader process only."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from lazu.documents import annotations, encodings, fonts, ligatures, lines, refusals, xfa
from lazu.documents.annotations import Note, Words
from lazu.documents.lines import HYPHEN
from lazu.documents.pdfium import Document, page, raw, utf16

_FEW = 16  # characters that are looked at one by one

NO_TEXT, UNREADABLE = "(no text on this page)", "(this page could not be read)"


def text(document: Document) -> Iterator[bytes]:
    """Give the text page by page, each under its heading, then what belongs to none.

    Raises `refusals.Refused` if there is no text at all, or no page that can be read.
    """
    fonts.stand_in()
    count = raw.FPDF_GetPageCount(document.handle)
    if count > refusals.PAGES_LIMIT:
        raise refusals.Refused(refusals.PAGES)
    if xfa.bare(document):
        yield _form(document)
        return
    bodies, read = [], 0
    for number in range(count):
        body = words(document, number)
        read += body is not None
        bodies.append(body or "")
        yield f"[Page {number + 1} of {count}]\n{UNREADABLE if body is None else body or NO_TEXT}\n\n".encode()
    end = encodings.clean("\n".join(_rest(document, bodies)))
    yield end.encode()
    if not any(bodies) and not end:
        raise refusals.Refused(refusals.EMPTY if read else refusals.BROKEN)


def _form(document: Document) -> bytes:
    """Return the words of a form whose pages have none. Raises `refusals.Refused` if it has none either."""
    form = xfa.read(document)
    lines = [*form.words, *(f"{name}: {value}" for name, value in form.values)]
    if not lines:
        raise refusals.Refused(refusals.XFA)
    return encodings.clean("\n".join([xfa.TITLE, *lines])).encode()


def _rest(document: Document, bodies: list[str]) -> Iterator[str]:
    """Give the lines that belong to no page."""
    values = xfa.read(document).values
    told = Counter(line.rpartition(": ")[2] for body in bodies if values for line in body.split("\n"))
    for name, value in values:
        told[value] -= 1  # a field of this value, which has the same for programs without XFA
        if told[value] < 0:
            yield f"{name}: {value}"
    for name in annotations.attached(document):
        yield f"[Attached file: {name}]"


def words(document: Document, number: int) -> str | None:
    """Return the text of one page, and what its annotations add; None if it can't be read."""
    with page(document, number) as leaf, _content(leaf) as content:
        if not content:
            return None
        own = _glyphs(leaf, content)
        notes = annotations.notes(document, leaf, Words(lines.Letters(content), own))
        annotated = raw.FPDFPage_GetAnnotCount(leaf)
        if annotated:
            _flatten(leaf)
    body = _whole(document, number, own) if annotated else own
    said = map(_plain, [body, *_new(notes, own, body)])
    return "\n".join(filter(None, said))


@contextmanager
def _content(leaf: Any) -> Iterator[Any]:
    """Give the text page of a page; what comes is false if it has none."""
    content = raw.FPDFText_LoadPage(leaf) if leaf else None
    content = content and _ordered(leaf, content)
    try:
        yield content
    finally:
        if content:
            raw.FPDFText_ClosePage(content)


def _ordered(leaf: Any, content: Any) -> Any:
    """Return a text page, or in its place that of the page rotated so that PDFium puts its lines in order."""
    own = raw.FPDFPage_GetRotation(leaf)
    best = lines.rotation(content, own)
    if best == own:
        return content
    raw.FPDFText_ClosePage(content)
    raw.FPDFPage_SetRotation(leaf, best)
    content = raw.FPDFText_LoadPage(leaf)
    raw.FPDFPage_SetRotation(leaf, own)  # what follows is about the page as it is shown
    return content


def _flatten(leaf: Any) -> None:
    """Make the looks of a page's annotations part of it: what is filled in, stamped, written over it.

    It shows when the page is opened anew.
    """
    box = raw.FS_RECTF()
    raw.FPDF_GetPageBoundingBox(leaf, box)  # flattening takes a page whose size is its parent's for a Letter page
    raw.FPDFPage_SetMediaBox(leaf, box.left, box.bottom, box.right, box.top)
    raw.FPDFPage_Flatten(leaf, raw.FLAT_NORMALDISPLAY)


def _whole(document: Document, number: int, own: str) -> str:
    """Return the text of a flattened page; the page's `own` if flattening lost a word of it, as it may (fonts)."""
    with page(document, number) as leaf, _content(leaf) as content:
        whole = _glyphs(leaf, content) if content else ""
    return own if Counter(own.split()) - Counter(whole.split()) else whole


def _new(notes: Iterable[Note], own: str, body: str) -> Iterator[str]:
    """Give the lines of those notes whose words flattening did not add to a page's `own`."""
    own, body = (" ".join(text.split()) for text in (own, body))
    for note in notes:
        shown = " ".join(note.shown.split())
        if not shown or _times(shown, body) <= _times(shown, own):
            yield note.line


def _times(shown: str, text: str) -> int:
    return text.count(shown) and len(re.findall(rf"(?<!\w){re.escape(shown)}(?!\w)", text))


def _plain(text: str) -> str:
    return encodings.clean(text.replace("\r", "").replace(HYPHEN, "-\n")).strip()


def _glyphs(leaf: Any, content: Any) -> str:
    """Return the visible characters of a page, pieces on one line apart, as FPDFText_GetBoundedText leaves them not."""
    box = raw.FS_RECTF()
    raw.FPDF_GetPageBoundingBox(leaf, box)
    runs = ((utf16(b"".join(_seen(content, run, box))).rstrip(" "), end) for run, end in lines.runs(content))
    return "".join(text + end for text, end in runs if text)


def _seen(content: Any, places: range, box: Any) -> Iterator[bytes]:
    """Give the visible ones of a run of characters: halved, and halved again, where a part of it lies outside."""
    if _inside(content, places, box):
        yield ligatures.units(content, places)
    elif len(places) <= _FEW:
        yield from _visible(content, places, box)
    else:
        middle = len(places) // 2
        yield from _seen(content, places[:middle], box)
        yield from _seen(content, places[middle:], box)


def _inside(content: Any, places: range, box: Any) -> bool:
    """Return whether all of a run of characters lie in `box`."""
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    for place in range(raw.FPDFText_CountRects(content, places.start, len(places))):
        raw.FPDFText_GetRect(content, place, left, top, right, bottom)
        if left.value < box.left or right.value > box.right or bottom.value < box.bottom or top.value > box.top:
            return False
    return True


def _visible(content: Any, places: range, box: Any) -> Iterator[bytes]:
    """Give the characters whose middle lies in `box`, and those between words, which PDFium makes up."""
    for seen, run in groupby(places, lambda place: _shows(content, place, box)):
        if seen:
            start, *rest = run
            yield ligatures.units(content, range(start, start + 1 + len(rest)))


def _shows(content: Any, place: int, box: Any) -> bool:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    raw.FPDFText_GetCharBox(content, place, left, right, bottom, top)
    across, up = (left.value + right.value) / 2, (bottom.value + top.value) / 2
    seen: bool = box.left <= across <= box.right and box.bottom <= up <= box.top
    return seen or raw.FPDFText_IsGenerated(content, place) == 1
