"""Which reader a file is for: by the type that was found when it came, or, where that says little, by what is in it.

A kind is a word: `text`, `pdf`, or one of the office documents below. To add one, add a row here and its module to
`reader`.
"""

from lazu.documents import refusals
from lazu.documents.refusals import Refused

_OPENXML = "application/vnd.openxmlformats-officedocument"
_MACROS = "macroenabled.12"
_ODF = "application/vnd.oasis.opendocument"

_TYPES = {
    "application/pdf": "pdf",
    f"{_OPENXML}.wordprocessingml.document": "docx", f"application/vnd.ms-word.document.{_MACROS}": "docx",
    f"{_OPENXML}.wordprocessingml.template": "docx", f"application/vnd.ms-word.template.{_MACROS}": "docx",
    f"{_OPENXML}.presentationml.presentation": "pptx", f"application/vnd.ms-powerpoint.presentation.{_MACROS}": "pptx",
    f"{_OPENXML}.presentationml.slideshow": "pptx", f"{_OPENXML}.presentationml.template": "pptx",
    f"application/vnd.ms-powerpoint.slideshow.{_MACROS}": "pptx",
    f"{_OPENXML}.spreadsheetml.sheet": "xlsx", f"application/vnd.ms-excel.sheet.{_MACROS}": "xlsx",
    f"{_OPENXML}.spreadsheetml.template": "xlsx", f"application/vnd.ms-excel.template.{_MACROS}": "xlsx",
    f"application/vnd.ms-excel.sheet.binary.{_MACROS}": "xls",
    f"{_ODF}.text": "odf", f"{_ODF}.text-template": "odf", f"{_ODF}.spreadsheet": "odf", f"{_ODF}.presentation": "odf",
    f"{_ODF}.spreadsheet-template": "odf", f"{_ODF}.presentation-template": "odf", f"{_ODF}.graphics": "odf",
    "application/epub+zip": "epub",
    "text/html": "html", "application/xhtml+xml": "html",
    "text/rtf": "rtf", "application/rtf": "rtf",
    "message/rfc822": "eml",
    "application/x-ipynb+json": "any", "application/json": "any",
}  # fmt: skip

#: Types that say what a file is packed in, and not what it is. Documents of older programs are OLE2 containers, which
#: all look alike from outside, and so do those that a password protects.
_VAGUE = {"application/octet-stream", "application/zip", "application/x-zip-compressed", "application/x-ole-storage"}
_OLE = ("application/cdfv2", "application/msword", "application/vnd.ms-", "application/x-ole", "application/encrypted")

OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

#: Names in an OLE2 container, in UTF-16 as its directory has them, and what has them: a reader's word, or a refusal.
_STREAMS: tuple[tuple[str, str | int], ...] = (
    ("EncryptedPackage", refusals.LOCKED), ("__substg1.0_", refusals.OUTLOOK), ("WordDocument", refusals.WORD),
    ("PowerPoint Document", refusals.POWERPOINT), ("Workbook", "xls"), ("Book", "xls"),
)  # fmt: skip

#: The member of a zip archive that makes it a document.
_MEMBERS = {
    "word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.bin": "xls", "xl/workbook.xml": "xlsx",
    "META-INF/container.xml": "epub", "content.xml": "odf",
}  # fmt: skip

#: Types that are never text, but for SVG.
_SIGHTS = ("image/", "audio/", "video/", "font/")


def kind(media_type: str) -> str:
    """The kind of files of this type; `any` if only what is in the file tells. Raises `Refused` for a picture."""
    media_type = media_type.partition(";")[0].strip().casefold()
    if media_type.startswith(_SIGHTS) and media_type != "image/svg+xml":
        raise Refused(refusals.BINARY)
    if media_type in _TYPES:
        return _TYPES[media_type]
    return "any" if media_type in _VAGUE or media_type.startswith(_OLE) else "text"


def keeping(media_type: str) -> str:
    """The word under which the text of a file of this type is kept: one for each way to take the same bytes."""
    return {"text": "plain", "html": "html", "eml": "mail", "any": "any"}.get(kind(media_type), "document")


def sniff(data: bytes) -> str:
    """The kind of a file by what is in it: `text` if it is none of these. Raises `Refused` if no reader reads it."""
    if data.startswith(b"PK\3\4"):
        return _packed(data)
    if data.startswith(OLE_MARK):
        return _contained(data)
    if data.startswith(b"{\\rtf"):
        return "rtf"
    if data[:1].strip(b"{ \t\r\n") == b"" and b'"nbformat"' in data and b'"cells"' in data:
        return "ipynb"
    return "text"


def _packed(data: bytes) -> str:
    """Which document a zip archive is."""
    from lazu.documents.archive import Archive  # 20 ms that text need not wait

    archive = Archive(data)
    for name, found in _MEMBERS.items():
        if name in archive:
            return found
    raise Refused(refusals.BINARY)


def _contained(data: bytes) -> str:
    for name, found in _STREAMS:
        if name.encode("utf-16-le") in data:
            if isinstance(found, int):
                raise Refused(found)
            return found
    raise Refused(refusals.BINARY)
