"""Things that stand on a PDF's page and are no part of it: notes, links, fields of forms, attached files."""

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from lazu.documents.lines import Letters
from lazu.documents.pdfium import Document, raw, string

_UNSEEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW


class Note(NamedTuple):
    """A line for the reader, and words that the page shows if the annotation has looks; empty if it never does."""

    line: str
    shown: str


class Words(NamedTuple):
    """What a page says without its annotations: its characters, and their text."""

    letters: Letters
    text: str


def notes(document: Document, leaf: Any, own: Words) -> list[Note]:
    """Return what a page's annotations say, in order, each once; `own` is what stands there without them."""
    found: list[Note] = []
    own = Words(own.letters, " ".join(own.text.split()))
    for place in range(raw.FPDFPage_GetAnnotCount(leaf)):
        annotation = raw.FPDFPage_GetAnnot(leaf, place)
        if not annotation:
            continue
        if not raw.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
            read = _READERS.get(raw.FPDFAnnot_GetSubtype(annotation), _comment)
            found += read(document, annotation, own)
        raw.FPDFPage_CloseAnnot(annotation)
    return list(dict.fromkeys(found))


def attached(document: Document) -> list[str]:
    """Return the names of the files that a document carries."""
    count = raw.FPDFDoc_GetAttachmentCount(document.handle)
    files = (raw.FPDFDoc_GetAttachment(document.handle, place) for place in range(count))
    return [string(raw.FPDFAttachment_GetName, file) for file in files if file]


def _comment(_: Document, annotation: Any, __: Any) -> Iterator[Note]:
    text = _value(annotation, b"Contents")
    if text:
        yield Note(f"[Note: {text}]", text)


def _mark(document: Document, annotation: Any, own: Words) -> Iterator[Note]:
    """Give the comment on words that are marked, if it is more than these words, which some programs put there."""
    for note in _comment(document, annotation, own):
        if note.shown.split() != _under(annotation, own.letters).split():
            yield note


def _free_text(_: Document, annotation: Any, __: Any) -> Iterator[Note]:
    text = _value(annotation, b"Contents")
    if text:
        yield Note(text, text)


def _attachment(_: Document, annotation: Any, __: Any) -> Iterator[Note]:
    file = raw.FPDFAnnot_GetFileAttachment(annotation)
    if file:
        yield Note(f"[Attached file: {string(raw.FPDFAttachment_GetName, file)}]", "")


def _link(document: Document, annotation: Any, own: Words) -> Iterator[Note]:
    link = raw.FPDFAnnot_GetLink(annotation)
    action = link and raw.FPDFLink_GetAction(link)
    if action and raw.FPDFAction_GetType(action) == raw.PDFACTION_URI:
        target = _target(document, action)
        if not _stands(re.sub(r"^\w+:(//)?", "", target).rstrip("/"), own.text):
            anchor = " ".join(_under(annotation, own.letters).split())
            yield Note(f"[{anchor or 'link'}]({target})", "")


def _stands(address: str, text: str) -> bool:
    """Return whether an address stands in a text, and not just within another: `info@example.org`, `example.org/a`."""
    whole = rf"(?<![\w@.%=&?#-])(?<![^/]/){re.escape(address)}(?![\w@%=&?#-]|[/.:][\w%])"
    return bool(address) and address in text and re.search(whole, text) is not None


def _target(document: Document, action: Any) -> str:
    size = raw.FPDFAction_GetURIPath(document.handle, action, None, 0)
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAction_GetURIPath(document.handle, action, buffer, size)
    return buffer.value.decode("utf-8", "replace")


def _under(annotation: Any, letters: Letters) -> str:
    """Return the text of the page where an annotation lies."""
    box = raw.FS_RECTF()
    return letters.within(box) if raw.FPDFAnnot_GetRect(annotation, box) else ""


def _field(document: Document, annotation: Any, _: Any) -> Iterator[Note]:
    form = document.form
    if not form:
        return
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    value = ", ".join(_chosen(form, annotation)) or _told(form, annotation, raw.FPDFAnnot_GetFormFieldValue)
    label = _told(form, annotation, raw.FPDFAnnot_GetFormFieldAlternateName)
    label = label or _told(form, annotation, raw.FPDFAnnot_GetFormFieldName).rpartition(".")[2]
    ticked = _value(annotation, b"AS") not in ("", "Off")
    if kind == raw.FPDF_FORMFIELD_CHECKBOX:
        yield Note(f"[{'x' if ticked else ' '}] {label}", "")
    elif kind == raw.FPDF_FORMFIELD_RADIOBUTTON and ticked:
        yield Note(f"(x) {label}: {_value(annotation, b'AS')}", "")
    elif kind in _WRITTEN and value:
        yield Note(f"{label}: {value}", "")  # also if the value stands on the page, where nothing says whose it is


def _chosen(form: Any, annotation: Any) -> list[str]:
    """Return the entries that are chosen in a list, as they are shown."""
    places = range(raw.FPDFAnnot_GetOptionCount(form, annotation))
    chosen = [place for place in places if raw.FPDFAnnot_IsOptionSelected(form, annotation, place)]
    return [string(raw.FPDFAnnot_GetOptionLabel, form, annotation, place).strip() for place in chosen]


def _told(form: Any, annotation: Any, call: Callable[..., int]) -> str:
    return string(call, form, annotation).strip()


def _value(annotation: Any, key: bytes) -> str:
    return string(raw.FPDFAnnot_GetStringValue, annotation, key).strip()


def _nothing(*_: Any) -> Iterator[Note]:
    return iter(())


_WRITTEN = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
_MARKS = (
    raw.FPDF_ANNOT_HIGHLIGHT, raw.FPDF_ANNOT_UNDERLINE, raw.FPDF_ANNOT_SQUIGGLY, raw.FPDF_ANNOT_STRIKEOUT,
)  # fmt: skip
_READERS: dict[int, Callable[[Document, Any, Any], Iterator[Note]]] = {
    raw.FPDF_ANNOT_FREETEXT: _free_text,
    raw.FPDF_ANNOT_FILEATTACHMENT: _attachment,
    raw.FPDF_ANNOT_LINK: _link,
    **dict.fromkeys(_MARKS, _mark),
    raw.FPDF_ANNOT_WIDGET: _field,
    raw.FPDF_ANNOT_POPUP: _nothing,  # the window of another annotation, which says the same
}
