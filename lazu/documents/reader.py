"""The reader process: one file on standard input, what was read on standard output, the reason as exit status."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lazu.documents import refusals, sandbox

if TYPE_CHECKING:
    from lazu.documents.pdfium import Document


def main(kind: str) -> None:
    """Read standard input as `kind` says and leave: 0 when all was written, else one of `reasons`."""
    try:
        work(kind)
    except refusals.Refused as refused:
        leave(refused.reason)
    except MemoryError:
        leave(refusals.LARGE)
    leave(0)


def work(kind: str) -> None:
    """Import what `kind` needs, and only that, before the limits hold: then no file can be opened any more."""
    size = os.fstat(0).st_size
    if kind == "text":
        from lazu.documents import encodings  # a PDF doesn't wait for what text needs

        sandbox.limit(size)
        write(encodings.decode(read(size)).encode())
    else:
        from lazu.documents import pdfium  # text doesn't wait for PDFium

        make = maker(kind)
        memory = pdfium.mapped(size)
        sandbox.limit(size)
        sandbox.seal()
        for piece in make(pdfium.load(memory)):
            write(piece)


def maker(kind: str) -> Callable[["Document"], Iterator[bytes]]:
    """Return what gives the text of a PDF, or for `pages 1536` its pages as pictures of so many pixels a side."""
    if kind == "pdf":
        from lazu.documents import pdf

        return pdf.text
    from lazu.documents import rendering

    return rendering.picturer(int(kind.removeprefix("pages ")))


def read(size: int) -> bytes:
    """Return all of standard input, from its beginning whatever its offset, which the server shares."""
    return os.pread(0, size, 0)


def write(piece: bytes) -> None:
    """Write all of `piece` to standard output."""
    view = memoryview(piece)
    while view:
        view = view[os.write(1, view) :]


def leave(status: int) -> None:
    """End at once: what PDFium holds need not be given back piece by piece."""
    sys.stdout.flush()
    os._exit(status)
