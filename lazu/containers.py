"""The type of an archive by its members: Office documents are zip or OLE2 containers, whose members come in any order.

Only names and the one member `mimetype` are read, within bounds: nothing is unpacked. Sources: PKWARE APPNOTE.TXT §4.3,
ECMA-376 part 2, OpenDocument 1.3 part 2 §3.3, [MS-CFB].
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

#: Gives up to so many bytes of the file from an offset on, fewer at its end.
Peek = Callable[[int, int], bytes]

ZIP = b"PK\3\4"
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

#: The folders of Office Open XML packages.
_OPENXML = "application/vnd.openxmlformats-officedocument"
_FOLDERS = {
    "word": f"{_OPENXML}.wordprocessingml.document",
    "xl": f"{_OPENXML}.spreadsheetml.sheet",
    "ppt": f"{_OPENXML}.presentationml.presentation",
}

#: What the member `mimetype` may say.
_MIMETYPE = re.compile(rb"application/(?:epub\+zip|vnd\.oasis\.opendocument\.[a-z]+(?:-[a-z]+)?)")

#: Streams at the root of an OLE2 container, in small letters: case does not count ([MS-CFB] §2.6.4).
_STREAMS = {
    "worddocument": "application/msword",
    "workbook": "application/vnd.ms-excel",
    "book": "application/vnd.ms-excel",
    "powerpoint document": "application/vnd.ms-powerpoint",
    "__substg1.0": "application/vnd.ms-outlook",
    "visiodocument": "application/vnd.visio",
}

#: Bounds of what is looked at: bytes of a zip's directory (some 10,000 members), headers where it has none, sectors of
#: an OLE2 directory.
_DIRECTORY_BYTES = 2**20
_HEADERS = 500
_SECTORS = 64

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<64sHBB3I")
#: Sector numbers from here on are marks: the end of a chain, a free sector, no sibling.
_NO_SECTOR = 0xFFFFFFFA


class _Member(NamedTuple):
    name: str
    method: int
    size: int
    #: Where its local header begins.
    start: int


def zip_type(peek: Peek, size: int) -> str | None:
    """The document type of a zip archive of `size` bytes, None if its members are not those of a document."""
    found = {member.name: member for member in _members(peek, size)}
    if "mimetype" in found and (match := _MIMETYPE.fullmatch(_content(peek, found["mimetype"]).strip())):
        return match[0].decode()
    folders = {name.partition("/")[0] for name in found}
    if "[Content_Types].xml" in found:
        return next((kind for folder, kind in _FOLDERS.items() if folder in folders), None)
    return "application/epub+zip" if "META-INF/container.xml" in found else None


def _members(peek: Peek, size: int) -> Iterator[_Member]:
    """The members in the central directory, or, where it is not found, those whose headers begin the file."""
    tail = peek(max(0, size - _END.size - 0xFFFF), _END.size + 0xFFFF)
    at = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    if at >= 0:
        *_, length, start, _comment = _END.unpack_from(tail, at)
        central = list(_central(peek(start, min(length, _DIRECTORY_BYTES))))
        if central:
            yield from central
            return
    yield from islice(_local(peek(0, 64 * 1024)), _HEADERS)


def _central(data: bytes) -> Iterator[_Member]:
    at = 0
    while at + _CENTRAL.size <= len(data) and data[at : at + 4] == b"PK\1\2":
        fields = _CENTRAL.unpack_from(data, at)
        method, packed, lengths, start = fields[4], fields[8], fields[10:13], fields[16]
        at += _CENTRAL.size
        yield _Member(_name(data[at : at + lengths[0]]), method, packed, start)
        at += sum(lengths)


def _local(data: bytes) -> Iterator[_Member]:
    at = data.find(ZIP)
    while 0 <= at <= len(data) - _LOCAL.size:
        fields = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size
        yield _Member(_name(data[start : start + fields[9]]), fields[3], fields[7], at)
        at = data.find(ZIP, start)


def _name(raw: bytes) -> str:
    return raw.decode("latin-1").replace("\\", "/")  # as some .NET libraries wrote them


def _content(peek: Peek, member: _Member) -> bytes:
    """The first bytes of a member, enough for a media type."""
    head = peek(member.start, _LOCAL.size)
    if len(head) < _LOCAL.size:
        return b""
    *_, name, extra = _LOCAL.unpack(head)
    data = peek(member.start + _LOCAL.size + name + extra, min(member.size, 512))
    if member.method == 0:
        return data
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, 512)
    except zlib.error:
        return b""


def ole2_type(peek: Peek) -> str | None:
    """The document type of an OLE2 container, None if the streams at its root are not those of a document."""
    names = _root(_entries(peek))
    return next((kind for stream, kind in _STREAMS.items() if stream in names), None)


def _root(entries: list[tuple[str, int, int, int]]) -> set[str]:
    """The names at the root, in small letters. Its children are a binary tree; what lies deeper is embedded."""
    names, seen = set(), set()
    waiting = [entries[0][3]] if entries else []
    while waiting:
        number = waiting.pop()
        if number >= len(entries) or number in seen:
            continue
        seen.add(number)
        name, left, right, _child = entries[number]
        name = name.lower()
        names.add("__substg1.0" if name.startswith("__substg1.0_") else name)  # [MS-OXMSG] §2.2: one a property
        waiting += [left, right]
    return names


def _entries(peek: Peek) -> list[tuple[str, int, int, int]]:
    """The entries of the directory: name, left and right sibling, child."""
    data = b"".join(_sectors(peek))
    found = []
    for at in range(0, len(data) - _ENTRY.size + 1, 128):
        name, length, _kind, _colour, left, right, child = _ENTRY.unpack_from(data, at)
        found.append((name[: max(0, length - 2)].decode("utf-16-le", "replace"), left, right, child))
    return found


def _sectors(peek: Peek) -> Iterator[bytes]:
    """The sectors of the directory, in order; each one's follower stands in the file allocation table."""
    header = peek(0, 512)
    if len(header) < 512:
        return
    (shift,), (number,) = struct.unpack_from("<H", header, 30), struct.unpack_from("<I", header, 48)
    if shift not in (9, 12):
        return
    table = struct.unpack_from("<109I", header, 76)
    for _ in range(_SECTORS):
        if number >= _NO_SECTOR:
            return
        yield peek(number + 1 << shift, 1 << shift)
        place, entry = divmod(number, 1 << shift - 2)
        if place >= len(table):
            return
        follower = peek((table[place] + 1 << shift) + 4 * entry, 4)
        number = int.from_bytes(follower, "little") if len(follower) == 4 else _NO_SECTOR
