"""Messages (eml) as Markdown: who wrote what to whom, and the names of what is attached (RFC 5322, RFC 2045)."""

import codecs
import email.policy
import re
from collections.abc import Iterator
from email.errors import MessageError, MissingHeaderBodySeparatorDefect
from email.message import EmailMessage, Message
from email.parser import BytesParser
from functools import partial
from typing import Any
from urllib.parse import unquote, urljoin

from lazu.documents import calendars, encodings, flowed, headers, markdown, web
from lazu.documents.refusals import Refused

_HEADERS = ("From", "To", "Cc", "Date", "Subject")

#: Of several forms of the same words the first that has any is read (RFC 2046, §5.1.4); then the other texts.
_FORMS = ("text/plain", "text/html", "multipart/related", "multipart/mixed")

#: Letters of a plain text that may only say that the mail is in HTML, and how many times more that one has then.
_STUB, _MORE = 400, 5

#: What is no word that people see: the target of a link.
_TARGET = re.compile(r"\]\([^()\s]*\)")

#: Web pages. Chromium saves those of the second kind as what they are.
_PAGES = ("text/html", "application/xhtml+xml")

#: Appointments, which stand beside their invitation as another form of it, and say more.
_CALENDAR = "text/calendar"

#: Messages within a message. Other kinds of `message/` are words, which Python's parser takes for messages too.
_MESSAGES = ("message/rfc822", "message/global")

#: Headers that say what a part is, with parameters.
_PARAMETERS = ("content-type", "content-disposition")

#: What Python's parser of headers raises for some that are odd: `To: undisclosed-recipients:; <a@b.example>`.
_FAULTS = (AttributeError, LookupError, TypeError, ValueError, RecursionError, MessageError)


class _Policy(email.policy.EmailPolicy):
    """Python's own policy, but for what its parser of headers fails at or cuts."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        """Return the value of a header: of those with parameters as it was sent, of one that is odd as words."""
        if not value.isascii():
            value = encodings.fitting(value.encode(errors="surrogateescape"))
        if name.lower() in _PARAMETERS:
            return headers.content(value)
        value = headers.readable(value)
        try:
            return super().header_fetch_parse(name, value)
        except _FAULTS:
            return super().header_fetch_parse("Subject", value)


class _Message(EmailMessage):
    """A message whose parameters (boundaries, charsets, names) are read by `headers`."""

    def get_param(self, param: str, failobj: Any = None, header: str = "content-type", *_: Any, **__: Any) -> Any:
        """Return a parameter of a header."""
        return headers.parameters(str(self.get(header, ""))).get(param, failobj)


def blocks(data: bytes) -> Iterator[str]:
    """Give the message in `data` as blocks of Markdown."""
    return _message(_parsed(data))


def _parsed(data: bytes) -> Message:
    """Return a message. Its headers may be in another charset than Unicode, which no standard allows."""
    data = data.removeprefix(codecs.BOM_UTF8).lstrip()
    blank = re.search(rb"\n\r?\n", data)
    end = blank.start() if blank else len(data)
    if not data[:end].isascii() or b"\x1b" in data[:end]:  # ISO-2022-JP has no bytes above ASCII
        data = encodings.fitting(data[:end]).encode() + data[end:]
    return BytesParser(_Message, policy=_Policy()).parsebytes(data)


def _message(message: Message) -> Iterator[str]:
    """Give a message: who, to whom, when; its words; what is attached; and the messages within it, each as such."""
    yield "\n".join(f"{name}: {markdown.line(str(value))}" for name in _HEADERS if (value := message[name]))
    words = _Words()
    yield from words.of(message)
    leaves = list(_leaves(message))
    others = (part for part in leaves if not part.is_multipart() and part not in words.read)
    attached = [_named(part) for part in others if _is_attached(part) or part.get_filename()]
    if attached:
        yield "Attachments:"
        yield from (markdown.item(0, words) for words in attached)
    for part in leaves:
        if part.get_content_type() in _MESSAGES:
            for inner in _parts(part):
                yield "Forwarded message:"
                yield from _message(_opened(part, inner))


def _opened(part: Message, inner: Message) -> Message:
    """Return the message within a part. Some programs encode it as any attachment, which RFC 2046 (§5.2.1) forbids."""
    coding, body = str(part.get("Content-Transfer-Encoding", "")).strip().casefold(), inner.get_payload()
    coded = coding == "quoted-printable" or (coding == "base64" and not inner.keys())
    if not (coded and isinstance(body, str)):
        return inner
    headers = "".join(f"{name}: {value}\n" for name, value in inner.raw_items())
    if not any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in inner.defects):
        headers += "\n"  # else the parser broke off within a long header
    whole = Message()
    whole["Content-Transfer-Encoding"] = coding
    whole.set_payload(headers + body)
    data = whole.get_payload(decode=True)
    return _parsed(data) if isinstance(data, bytes) else inner


def _parts(part: Message) -> list[Message]:
    """Return the parts that a part is made of, or the message that it is; none if it only says that it has some."""
    found = part.get_payload()
    return [child for child in found if isinstance(child, Message)] if isinstance(found, list) else []


def _leaves(part: Message) -> Iterator[Message]:
    """Give the parts that are made of no others; a message within a message is one of its parts."""
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        yield part
        return
    beside = part.get_content_type() == "multipart/related"  # pictures of a page, which has no words of theirs
    for child in _parts(part):
        if not beside or child.is_multipart() or child.get_filename():
            yield from _leaves(child)


class _Words:
    """The words of a message; `read` are the parts that they are from."""

    def __init__(self) -> None:
        self.read: set[Message] = set()
        self._frames: dict[str, Message] = {}  # parts that a page may show within it, by address

    def of(self, part: Message) -> Iterator[str]:
        """Give the words of a part, as blocks. A part that says it has parts and has none is text."""
        kind, parts = part.get_content_type(), _parts(part)
        if parts and kind == "multipart/alternative":
            yield from self._first(sorted(parts, key=_rank))
        elif parts and kind.startswith("multipart/"):
            if kind == "multipart/related":
                self._frames.update((address, child) for child in parts for address in _addresses(child))
            for child in _read(part, parts):
                yield from self.of(child)
        elif kind.startswith(("text/", "multipart/")) or kind in _PAGES:
            self.read.add(part)
            yield from self._text(part, kind)
        elif kind not in _MESSAGES:
            yield from (_report(_opened(part, inner)) for inner in parts)

    def _first(self, parts: list[Message]) -> Iterator[str]:
        """Give the first of some parts that has words, and what appointments add, which are no form of the same."""
        words: list[str] = []
        while parts and not any(block.strip() for block in words):
            first = parts.pop(0)
            words = list(self.of(first))
        if parts and first.get_content_type() == _FORMS[0] and _rank(parts[0]) in (1, 2) and _letters(words) <= _STUB:
            words = self._fuller(words, parts[0])
        yield from words
        said = _bare("\n".join(words))
        for leaf in (leaf for part in parts for leaf in _leaves(part)):
            if leaf.get_content_type() == _CALENDAR and not _is_attached(leaf):
                yield from (block for block in self.of(leaf) if _bare(block) not in said)

    def _fuller(self, words: list[str], page: Message) -> list[str]:
        """Return the words of a page if they are so many more that the plain ones say little but that it is there."""
        read = set(self.read)
        try:
            found = list(self.of(page))
        except Refused:
            found = []
        if _letters(found) > _MORE * _letters(words):
            return found
        self.read = read
        return words

    def _text(self, part: Message, kind: str) -> Iterator[str]:
        if kind in _PAGES:
            base = "".join(str(part.get("Content-Location", "")).split())
            return web.blocks(_decoded(part), titled=False, frames=partial(self._frame, base))
        folds, joined = (str(part.get_param(name, "")).casefold() for name in ("format", "delsp"))
        if folds == "flowed" and kind == _FORMS[0]:
            return iter([flowed.unfolded(_decoded(part), joined == "yes")])
        return calendars.blocks(_decoded(part)) if kind == _CALENDAR else iter([_decoded(part)])

    def _frame(self, base: str, address: str) -> Iterator[str]:
        """Give what a page at `base` shows in a frame, unless it is not there, or was read."""
        part = self._frames.get(_resolved(base, address))
        if part is not None and part not in self.read:
            yield from self.of(part)


def _addresses(part: Message) -> Iterator[str]:
    """Give the addresses at which a part is found by those beside it (RFC 2392, RFC 2557)."""
    if part["Content-ID"]:
        yield f"cid:{str(part['Content-ID']).strip('<> ')}"
    if part["Content-Location"]:
        yield unquote("".join(str(part["Content-Location"]).split()))


def _resolved(base: str, address: str) -> str:
    """Return the address that one is which stands in the page at `base`."""
    try:
        return unquote(urljoin(base, address))
    except ValueError:  # of brackets in the place of a host
        return ""


def _report(report: Message) -> str:
    """Return the words of a report, such as to whom a message was not delivered, and why (RFC 3464)."""
    body = report.get_payload()
    lines = [f"{name}: {markdown.line(str(value))}" for name, value in report.items()]
    return "\n".join([*lines, body if isinstance(body, str) else ""])


def _bare(words: str) -> str:
    return "".join(words.split())


def _letters(words: list[str]) -> int:
    """Return how many letters and digits there are in words, but for the targets of links."""
    return sum(map(str.isalnum, _TARGET.sub("", "\n".join(words))))


def _rank(part: Message) -> int:
    kind = part.get_content_type()
    return _FORMS.index(kind) if kind in _FORMS else len(_FORMS)


def _read(part: Message, parts: list[Message]) -> list[Message]:
    """Return the parts that are read: of a page with its pictures the page, which is the first if none is named."""
    if part.get_content_type() != "multipart/related":
        return [child for child in parts if child.is_multipart() or not _is_attached(child)]
    start = part.get_param("start")  # RFC 2387
    return [child for child in parts if start and child["Content-ID"] == start] or parts[:1]


def _decoded(part: Message) -> str:
    """Return the words of a part in the charset that it declares, or else in the one that fits."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    data = calendars.unfolded(data) if part.get_content_type() == _CALENDAR else data
    return encodings.named(data, part.get_content_charset(""))


def _is_attached(part: Message) -> bool:
    """Return whether a part is told by its name, and not shown. A text may have a name and be there to be read."""
    return part.get_content_disposition() == "attachment" or part.get_content_maintype() not in ("text", "multipart")


def _named(part: Message) -> str:
    data = part.get_payload(decode=True)
    size = len(data) if isinstance(data, bytes) else 0
    return f"{markdown.line(part.get_filename() or 'unnamed')} ({part.get_content_type()}, {size} bytes)"
