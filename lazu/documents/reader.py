"""The reader process: one file on standard input, what was read on standard output, the reason as exit status.

A text begins with a line that names its encoding where that was guessed, and is else empty.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from lazu.documents import refusals, sandbox
from lazu.documents.refusals import Refused

#: The modules that read office documents: `blocks(data)` gives one as blocks of Markdown.
_DOCUMENTS = {
    "docx": "word", "pptx": "slides", "xlsx": "workbook", "xls": "tables", "odf": "opendocument", "epub": "book",
    "rtf": "rich", "ipynb": "notebook", "eml": "mail",
}  # fmt: skip

#: Pages of a PDF or a scan of which a picture is made.
SHOWN = 20

#: What careful code raises for a number that is none, or a reference to nothing: the file's fault, and no bug's.
_DAMAGE = (ArithmeticError, LookupError, ValueError)

if TYPE_CHECKING:
    from lazu.documents.pdfium import Document


def main(kind: str) -> None:
    """Read standard input as `kind` says and leave: 0 when all was written, else one of `refusals.WORDS`."""
    try:
        _work(kind)
    except Refused as refused:
        leave(refused.reason)
    except MemoryError:
        leave(refusals.LARGE)
    except RecursionError:
        leave(refusals.DEEP)
    except _DAMAGE:
        leave(refusals.BROKEN)
    leave(0)


def leave(status: int) -> None:
    """End at once: what PDFium holds need not be given back piece by piece."""
    sys.stdout.flush()
    os._exit(status)


def _work(kind: str) -> None:
    size = os.fstat(0).st_size
    if kind == "pdf" or kind.startswith("pages "):
        _write_all(_pdf(kind, size))
        return
    if kind.startswith("picture "):
        _write_all(_picture(_side(kind), size))
        return
    sandbox.limit(size)
    data = os.pread(0, size, 0)  # from its beginning whatever its offset, which the server shares
    kind = _sniffed(kind, data)
    if kind == "pdf":
        _work(kind)
        return
    charset, words = _words(kind, data)
    _write_all([f"{charset or ''}\n".encode()])
    _write_all(text.encode(errors="replace") for text in words)


def _pdf(kind: str, size: int) -> Iterator[bytes]:
    """Read a PDF; everything that takes is imported before the limits hold and the seal is on."""
    from lazu.documents import pdfium  # text doesn't wait for PDFium

    make = _maker(kind)
    memory = pdfium.mapped(size)
    sandbox.limit(size)
    sandbox.seal()
    if kind == "pdf":
        yield b"\n"
    yield from make(pdfium.load(memory))


def _picture(side: int, size: int) -> Iterator[bytes]:
    from lazu.documents import photos

    sandbox.limit(size + photos.ROOM)
    data = os.pread(0, size, 0)
    sandbox.seal()
    found = photos.pictures(data, side, SHOWN)
    yield next(found)
    yield from map(_piece, found)


def _maker(kind: str) -> Callable[["Document"], Iterator[bytes]]:
    """Return what gives the text of a PDF, or for `pages 1536` its pages as pictures of so many pixels a side."""
    if kind == "pdf":
        from lazu.documents import pdf

        return pdf.text
    from lazu.documents import rendering

    make = rendering.picturer(_side(kind), SHOWN)
    return lambda document: map(_piece, make(document))


def _side(kind: str) -> int:
    """Return how many pixels a side of a picture may have: the word behind the first."""
    return int(kind.partition(" ")[2])


def _piece(data: bytes) -> bytes:
    """Return `data` behind four bytes that say its length."""
    return len(data).to_bytes(4) + data


def _sniffed(kind: str, data: bytes) -> str:
    from lazu.documents import kinds

    return kinds.sniff(data) if kind == "any" else kind


def _words(kind: str, data: bytes) -> tuple[str | None, Iterable[str]]:
    """Return the encoding of a file if it was guessed, and its text; what that takes is imported before the seal."""
    from lazu.documents import charsets, encodings

    if kind in _DOCUMENTS:
        module = importlib.import_module(f"lazu.documents.{_DOCUMENTS[kind]}")
        from lazu.documents import markdown

        charsets.load(all_of_them=kind in ("rtf", "eml", "epub"))
        if kind == "eml":
            encodings.ready(data)
        sandbox.seal()
        return None, _something(map(encodings.clean, markdown.pages(module.blocks(data))))
    text, charset = encodings.decode(data)  # the detector reads its tables when it needs them, so without the seal
    if kind != "html":
        return charset, [text]
    from lazu.documents import markdown, web

    sandbox.seal()
    return charset, _something(markdown.pages(web.blocks(text)))


def _something(pieces: Iterable[str]) -> Iterator[str]:
    """Give the pieces of a document; raises `Refused` if there are none."""
    empty = True
    for piece in pieces:
        empty = False
        yield piece
    if empty:
        raise Refused(refusals.NOTHING)


def _write_all(pieces: Iterable[bytes]) -> None:
    """Write to standard output."""
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(1, view) :]
