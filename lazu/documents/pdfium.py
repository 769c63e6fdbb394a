"""The door to PDFium: documents, pages and strings, as the other rooms want them. Runs in the reader process only."""

import ctypes
import math
import mmap
from codecs import lookup
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pypdfium2_raw as raw

from lazu.documents import refusals

__all__ = ["Document", "direction", "load", "mapped", "page", "raw", "string", "utf16"]

_UTF16 = lookup("utf-16-le")  # found now: a codec is a file, and the sealed process opens none


class Document(NamedTuple):
    """An open document, and the environment that its form's fields need; None where it has no form."""

    handle: Any
    form: Any


def mapped(size: int) -> ctypes.Array[ctypes.c_char]:
    """Return standard input, `size` bytes, as memory; it must outlive the document loaded from it."""
    memory = mmap.mmap(0, size, access=mmap.ACCESS_COPY)  # never written to, but ctypes takes no read-only buffer
    return (ctypes.c_char * size).from_buffer(memory)


def load(memory: ctypes.Array[ctypes.c_char]) -> Document:
    """Return the document in `memory`. Raises `refusals.Refused`, also if it has no page."""
    raw.FPDF_InitLibrary()
    handle = raw.FPDF_LoadMemDocument64(memory, len(memory), None)
    if not handle:
        error = raw.FPDF_GetLastError()
        raise refusals.Refused(refusals.LOCKED if error == raw.FPDF_ERR_PASSWORD else refusals.BROKEN)
    if raw.FPDF_GetPageCount(handle) < 1:
        raise refusals.Refused(refusals.PAGELESS)
    return Document(handle, _form(handle))


def _form(handle: Any) -> Any:
    """Return the environment of a form. It makes the appearance of fields that came without one."""
    if raw.FPDF_GetFormType(handle) == raw.FORMTYPE_NONE:
        return None
    _form.info = raw.FPDF_FORMFILLINFO(version=2)  # type: ignore[attr-defined]  # PDFium keeps a pointer to it
    return raw.FPDFDOC_InitFormFillEnvironment(handle, _form.info)  # type: ignore[attr-defined]  # as above


@contextmanager
def page(document: Document, number: int) -> Iterator[Any]:
    """Open a page while the block runs; what comes is false if it can't be read."""
    leaf = raw.FPDF_LoadPage(document.handle, number)
    if leaf and not _area(leaf):
        leaf = _uncropped(document, leaf, number)
    if leaf and document.form:
        raw.FORM_OnAfterLoadPage(leaf, document.form)
    try:
        yield leaf
    finally:
        if leaf:
            raw.FPDF_ClosePage(leaf)


def _area(leaf: Any) -> float:
    area: float = raw.FPDF_GetPageWidthF(leaf) * raw.FPDF_GetPageHeightF(leaf)
    return area


def _uncropped(document: Document, leaf: Any, number: int) -> Any:
    """Return a page anew without its crop box, which lies beside the page; None if still nothing is visible."""
    raw.FPDFPage_SetCropBox(leaf, 0, 0, 0, 0)  # an empty one counts as none
    raw.FPDF_ClosePage(leaf)
    leaf = raw.FPDF_LoadPage(document.handle, number)
    if leaf and not _area(leaf):
        raw.FPDF_ClosePage(leaf)
        return None
    return leaf


def direction(content: Any, place: int) -> tuple[float, float]:
    """Return in which direction a character runs; one of negative size is turned by half."""
    turn = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(content, place, turn)
    sign = math.copysign(1, raw.FPDFText_GetFontSize(content, place))
    return sign * turn.a, sign * turn.b


def string(call: Callable[..., int], *arguments: Any) -> str:
    """Return the text that `call` writes behind `arguments` into a buffer, as UTF-16 with a NUL at its end.

    Its lines end with LF; in a PDF mostly with CR.
    """
    size = call(*arguments, None, 0)
    buffer = (ctypes.c_ushort * ((size + 1) // 2))()
    call(*arguments, buffer, size)
    return utf16(bytes(buffer)).rstrip("\0").replace("\r\n", "\n").replace("\r", "\n")


def utf16(data: bytes) -> str:
    """Return little-endian UTF-16 as text; what is none of it is replaced."""
    return _UTF16.decode(data, "replace")[0]
