"""A `multipart/form-data` body (RFC 7578) as its parts, as they arrive, in constant memory.

The parser is the `multipart` package's; this room adds the limits, reads what stands without quotes, and says in
`InvalidRequest` what is wrong. A part's bytes are yielded before it is known whether the body is whole: keep nothing
until `parts` has ended.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from multipart import content_disposition_unquote as unquoted

from lazu import filenames
from lazu.errors import InvalidRequest, UnsupportedEncoding

#: The part that carries a file, and the one that carries a part of an upload; the bytes of every other are bounded.
FILE, DATA = "file", "data"

MAX_PARTS = 8
MAX_OTHER_BYTES = 64 * 1024

#: Headers of a part by which its bytes may be others than those sent, and the values that leave them as they are.
_PLAIN = {"Content-Transfer-Encoding": ("", "7bit", "8bit", "binary"), "Content-Encoding": ("", "identity")}

#: RFC 2046 §5.1.1: 1 to 70 characters of this set, the last one no space.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")

#: Bytes asked of the body at a time: below a MiB, Python's share of the work per byte grows (docs/performance.md).
READ_BYTES = 2**20

Read = Callable[[int], bytes]


@dataclass
class Part:
    """One part, its `filename` None if absent or empty. Its bytes can be read once, before the next part."""

    name: str
    filename: str | None
    chunks: Iterator[bytes]

    def text(self) -> str:
        """The whole part as UTF-8 text; its length is bounded by `MAX_OTHER_BYTES`."""
        try:
            return b"".join(self.chunks).decode()
        except UnicodeDecodeError as e:
            raise InvalidRequest(f"The form field '{self.name}' is not UTF-8 text.", self.name) from e


def parts(read: Read, content_type: str, carrier: str = FILE) -> Iterator[Part]:
    """The parts of the body that `read(size)` gives (empty at its end); `carrier` may have any length.

    Ends only when the closing boundary was seen and the body was read to its end. Raises `InvalidRequest`,
    `UnsupportedEncoding`.
    """
    events = _events(read, _parser(content_type, carrier), carrier)
    for event in events:
        if isinstance(event, MultipartSegment):
            _require_plain(event)
            chunks = iter(events.__next__, None)
            yield Part(str(event.name), event.filename, chunks)
            for _ in chunks:
                pass  # what the caller did not want


def at_least(length: int | None) -> int:
    """Bytes that the carrier in a body of `length` bytes has at least, if the body is to be accepted."""
    return max(1, (length or 0) - MAX_OTHER_BYTES)


def _parser(content_type: str, carrier: str) -> PushMultipartParser:
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise InvalidRequest(f"Send the file as multipart/form-data, as curl does with -F {carrier}=@./paper.pdf.")
    try:
        boundary = unquoted(filenames.parameters(content_type).get("boundary", ""))
    except ValueError:
        boundary = ""
    if not _BOUNDARY.fullmatch(boundary):
        text = "The Content-Type header needs a boundary of 1 to 70 letters, digits and '()+_,-./:=?, best in quotes."
        raise InvalidRequest(text)
    return PushMultipartParser(boundary, max_segment_count=MAX_PARTS)


def _rename(segment: MultipartSegment) -> None:
    """Give `segment` the name and filename that its client wrote: the package cuts what stands without quotes."""
    dispositions = [value for name, value in segment.headerlist if name == "Content-Disposition"]
    if len(dispositions) != 1:
        raise InvalidRequest("A part of the form has more than one Content-Disposition header.")
    plain = f'form-data; name="{segment.name}"'
    sent = {}
    if dispositions[0] not in (plain, f'{plain}; filename="{segment.filename}"'):  # as nearly all clients write it
        sent = _parameters(dispositions[0])
        segment.name = unquoted(sent.get("name", ""))
        segment.filename = unquoted(sent.get("filename", ""), filename=True)
    segment.filename = _filename(segment, sent.get("filename*"))


def _parameters(disposition: str) -> dict[str, str]:
    try:
        return filenames.parameters(disposition)
    except ValueError as e:
        text = 'A Content-Disposition header can\'t be read; write filename="my paper.pdf", a quote in it as %22.'
        raise InvalidRequest(text) from e


def _require_plain(segment: MultipartSegment) -> None:
    """Raise `UnsupportedEncoding` for a part whose bytes are encoded (deprecated by RFC 7578 §4.7)."""
    for header, plain in _PLAIN.items():
        if (segment.header(header) or "").strip().lower() not in plain:
            raise UnsupportedEncoding("part of the form", header)


def _filename(segment: MultipartSegment, extended: str | None) -> str | None:
    """The `filename*`, else the `filename`, None if both are absent or empty; raises `InvalidRequest`."""
    plain = filenames.unwrapped(segment.filename or "") or None
    try:
        return plain if extended is None else filenames.extended(extended)
    except ValueError as e:
        if plain is not None:
            return plain  # RFC 8187 §3.2.1: what can't be decoded is ignored
        text = "The part's filename* is not UTF-8 or ISO-8859-1 in percent-encoding, as filename*=UTF-8''a%20b.pdf."
        raise InvalidRequest(text, segment.name) from e


def _events(read: Read, parser: PushMultipartParser, carrier: str) -> Iterator[Any]:
    """The parser's events (a segment, its bytes, None at its end) until the body's end, faults translated."""
    try:
        yield from _bounded(read, parser, carrier)
        parser.close()
    except ParserLimitReached as e:
        raise InvalidRequest(f"The form has too many parts (over {MAX_PARTS}) or too long part headers.") from e
    except MultipartError as e:
        if isinstance(e.__context__, UnicodeDecodeError):
            raise InvalidRequest("A part's name or filename is not UTF-8; send it in UTF-8.", carrier) from e
        raise InvalidRequest("The multipart body is malformed, or ended before its closing boundary.") from e


def _bounded(read: Read, parser: PushMultipartParser, carrier: str) -> Iterator[Any]:
    received, within = 0, False
    given = {True: 0, False: 0}  # bytes of the carrier, and of all others
    while chunk := read(READ_BYTES):
        received += len(chunk)
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                _rename(event)
                within = event.name == carrier
            elif event is not None:
                given[within] += len(event)
                _require_few(given[False])  # before anybody judges it, in however many pieces it comes
            yield event
        _require_few(received - given[True])


def _require_few(others: int) -> None:
    if others > MAX_OTHER_BYTES:
        raise InvalidRequest(f"The form has more than {MAX_OTHER_BYTES} bytes beside its file.")
