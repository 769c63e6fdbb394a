"""Which reader a file is for: by the type that was found when it came, or, where that says little, by what is in it.

A kind is a word: `text`, `html`, `eml`, `pdf`, `any`, and of the latter the documents that `sniff` tells apart. To add
one, add a row here and its module to `reader`.
"""

import codecs
import json

from lazu import containers
from lazu.documents import refusals
from lazu.documents.refusals import Refused

#: Types whose bytes would also be something else: only the type says how they are meant.
_TYPES = {
    "application/pdf": "pdf", "text/html": "html", "application/xhtml+xml": "html", "message/rfc822": "eml",
    "text/rtf": "any", "application/rtf": "any", "application/x-ipynb+json": "any", "application/json": "any",
    "image/svg+xml": "text",
}  # fmt: skip

#: Types of containers, which are looked into: a type tells neither an old form from a new one nor what is protected.
_CONTAINERS = (
    "application/octet-stream", "application/zip", "application/x-zip", "application/vnd.", "application/msword",
    "application/epub", "application/x-ole", "application/cdfv2", "application/encrypted", "application/x-ms",
)  # fmt: skip

#: Types that are never text.
_SIGHTS = ("image/", "audio/", "video/", "font/")

#: The member of a zip archive that makes it a document.
_MEMBERS = {
    "word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.bin": "xls", "xl/workbook.xml": "xlsx",
    "META-INF/container.xml": "epub", "content.xml": "odf",
}  # fmt: skip

#: Where its main part has another name: what its folder makes it.
_FOLDERS = {"word/": "docx", "ppt/": "pptx", "xl/": "xlsx"}

#: Documents of older programs that no reader reads.
_OLD = {
    "application/msword": refusals.WORD, "application/vnd.ms-powerpoint": refusals.POWERPOINT,
    "application/vnd.ms-outlook": refusals.OUTLOOK,
}  # fmt: skip

#: How far into a file its PDF may begin.
_PDF_WITHIN = 1024

#: Bytes that tell whether it is text.
_HEAD = 64 << 10


def kind(media_type: str) -> str:
    """Return the kind of files of this type; `any` if only what is in the file tells.

    Raises `Refused` for a picture.
    """
    media_type = media_type.partition(";")[0].strip().casefold()
    if media_type in _TYPES:
        return _TYPES[media_type]
    if media_type.startswith(_SIGHTS):
        raise Refused(refusals.BINARY)
    return "any" if media_type.startswith(_CONTAINERS) else "text"


def keeping(media_type: str) -> str:
    """Return the word under which the text of a file of this type is kept: one for each way to take the same bytes."""
    return {"text": "plain", "html": "html", "eml": "mail"}.get(kind(media_type), "document")


def sniff(data: bytes) -> str:
    """Return the kind of a file by what is in it: `text` if it is none of these.

    Raises `Refused` if no reader reads it.
    """
    if data.startswith(containers.ZIP):
        return _packed(data)
    if data.startswith(containers.OLE2):
        return _contained(data)
    if data.startswith(b"{\\rtf"):
        return "rtf"
    if _is_notebook(data):
        return "ipynb"
    return "pdf" if _is_pdf(data) else "text"


def _is_notebook(data: bytes) -> bool:
    begins = data[:_PDF_WITHIN].lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{")
    if not (begins and b'"nbformat"' in data and (b'"cells"' in data or b'"worksheets"' in data)):
        return False
    try:
        book = json.loads(data.removeprefix(codecs.BOM_UTF8))
    except ValueError:
        return False
    cells = book.get("cells", book.get("worksheets"))
    return isinstance(book.get("nbformat"), int) and isinstance(cells, list)


def _is_pdf(data: bytes) -> bool:
    """Return whether a file is a PDF; within a text, as JSON is, its head is an example."""
    found = data.find(b"%PDF-", 0, _PDF_WITHIN)
    if found <= 0:
        return found == 0
    from lazu import texttypes  # its patterns take some milliseconds

    return texttypes.encoding(data[:_HEAD]) is None


def _packed(data: bytes) -> str:
    """Return which document a zip archive is."""
    from lazu.documents.archive import Archive  # 20 ms that text need not wait

    archive = Archive(data)
    folders = [folder for folder in _FOLDERS if any(name.startswith(folder) for name in archive.names())]
    found = next((kind for name, kind in _MEMBERS.items() if name in archive), None)
    if found is None and folders and "[Content_Types].xml" in archive:
        found = _FOLDERS[folders[0]]
    if found is None:
        raise Refused(refusals.BINARY)
    return found


def _contained(data: bytes) -> str:
    """Return which document an OLE2 container is."""
    found = containers.ole2_type(lambda start, size: data[start : start + size])
    if found == "application/vnd.ms-excel":
        return "xls"
    if found is None and "EncryptedPackage".encode("utf-16-le") in data:
        raise Refused(refusals.LOCKED)
    raise Refused(_OLD.get(found or "", refusals.BINARY))
