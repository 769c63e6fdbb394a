"""Records of binary sheets (xlsb; MS-XLSB §2.1.4): those that calamine passes over become others that say the same.

They are the short cells that SheetJS writes, which have no column, for it is the next one; and errors.
"""

import re
from collections.abc import Iterator

from lazu.documents.archive import Archive

#: The head of a record: its kind, and its size in seven bits a byte.
_HEAD = re.compile(rb"([\x00-\x7f]|[\x80-\xff][\x00-\xff])([\x80-\xff]{0,3}[\x00-\x7f])", re.DOTALL)

_ROW, _ERROR, _WORDS, _ERROR_OF_FORMULA, _SHEET = 0, 3, 6, 11, 129

#: Short cells, and how much less the kind of the same cell with a column is.
_SHORT, _LESS = range(12, 19), 11

_ERRORS = {
    b"\x00": "#NULL!", b"\x07": "#DIV/0!", b"\x0f": "#VALUE!", b"\x17": "#REF!", b"\x1d": "#NAME?",
    b"\x24": "#NUM!", b"\x2a": "#N/A",
}  # fmt: skip

_PASSED_OVER = {*_SHORT, _ERROR, _ERROR_OF_FORMULA}


def readable(data: bytes) -> bytes:
    """Return a workbook all of whose cells calamine reads; `data` itself if that is one. Raises `Refused`."""
    archive = Archive(data)
    parts = [name for name in archive.names() if name.endswith(".bin") and _is_passed_over(archive.stream(name))]
    return archive.changed({name: _cells(archive.stream(name)) for name in parts}) if parts else data


def _is_passed_over(pieces: Iterator[bytes]) -> bool:
    """Return whether this is a sheet with cells that are passed over."""
    records = _records(pieces)
    return next(records, (0,))[0] == _SHEET and any(kind in _PASSED_OVER for kind, _, _ in records)


def _records(pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
    """Give the kind of each record, its head and what it holds. What is cut off at the end is none."""
    held = b""
    for piece in pieces:
        held, at = held + piece, 0
        while head := _HEAD.match(held, at):
            begin, end = head.end(), head.end() + _number(head[2])
            if end > len(held):
                break
            yield _number(head[1]), head[0], held[begin:end]
            at = end
        held = held[at:]


def _number(raw: bytes) -> int:
    return raw[0] if len(raw) == 1 else sum((byte & 0x7F) << 7 * place for place, byte in enumerate(raw))


def _cells(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Give the records of a sheet anew."""
    column = -1
    for kind, head, content in _records(pieces):
        made, what = kind, content
        if kind == _ROW:
            column = -1
        elif kind in _SHORT:
            made, what = kind - _LESS, ((column + 1) % 2**32).to_bytes(4, "little") + content
        if _ROW < made <= _ERROR_OF_FORMULA:
            column = int.from_bytes(what[:4], "little")
        if made in (_ERROR, _ERROR_OF_FORMULA):
            made, what = _WORDS, what[:8] + _error(what[8:9])
        yield head + content if made == kind else _record(made, what)


def _error(code: bytes) -> bytes:
    """Return the words for an error, as a cell with words has them."""
    words = _ERRORS.get(code, "#ERROR!")
    return len(words).to_bytes(4, "little") + words.encode("utf-16-le")


def _record(kind: int, content: bytes) -> bytes:
    """Return a record of a kind below 128."""
    size = len(content)
    sizes = [size >> 7 * place & 0x7F | (0x80 if place < 3 else 0) for place in range(4)]
    return bytes([kind, *sizes]) + content
