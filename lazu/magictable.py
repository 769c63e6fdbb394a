"""What a file must begin with for libmagic to know it, read from libmagic's compiled rules (`magic.mgc`).

Three of four groups of rules name no MIME type, and most of the others begin with fixed bytes at a fixed place. A file
that has none of these bytes, and in which the remaining groups find nothing, has no type in the whole table either: a
group whose first test fails says nothing, and one that names no type can only end the search without one.
docs/decisions/0135-unknown-bytes.md

Source: file 5.41, file.h (struct magic), apprentice.c (check_buffer), softmagic.c (match, mget, magiccheck).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

# A table begins with its magic number, version, and the numbers of rules for files and of rules called by name; this
# takes the room of a rule.
_HEAD = struct.Struct("<4I")
_MAGIC, _VERSION, _RULE = 0xF11E041C, 16, 376

# A rule: flags, relation, length of the text, type; operation on the number; offset; flags of the text or mask of the
# number; text or number. Its level (0 begins a group), type and MIME type are also read as columns of a group.
_TEST = struct.Struct("<2x B x 3B 2x B 2x i 8x Q 128s")
_LEVEL, _FLAGS, _TYPE, _MIME, _MIME_END = 0, 2, 6, 224, 304

_POINTED, _BINARY, _FROM_END = 0x01, 0x20, 0x80
_STRING, _SEARCH, _INDIRECT, _NAME, _USE = 5, 20, 41, 45, 46
# Numbers by type: how many bytes, and whether the highest comes first.
_NUMBERS = {
    1: (1, False), 2: (2, False), 4: (4, False), 7: (2, True), 8: (4, True), 10: (2, False), 11: (4, False),
    24: (8, False), 25: (8, False), 26: (8, True),
}  # fmt: skip
# Flags of a text, behind 32 bits of its range: any but "in a text" and "in binary data" let other bytes match too.
_LOOSE = ~0x60 << 32
_RANGE = 0xFFFFFFFF

# Of fixed bytes the first four are looked up. A single one, zeros or a shorter word are found too often by chance.
_MOST, _LEAST, _WORD = 4, 2, 4


@dataclass(frozen=True)
class Beginnings:
    """How the groups begin that can name a type."""

    #: By place (start and end): the bytes that are looked for there.
    fixed: dict[tuple[int, int], set[bytes]] = field(default_factory=dict)
    #: Words in small letters, within start and end.
    words: list[tuple[int, int, bytes]] = field(default_factory=list)
    #: A table of the groups that begin with another test.
    table: bytes = b""

    def among(self, head: bytes) -> bool:
        """Whether one of the bytes or words is in its place in `head`. If not, `table` may still know it."""
        for (start, end), known in self.fixed.items():
            if head[start:end] in known:
                return True
        return any(word in head[start:end].lower() for start, end, word in self.words)


def beginnings(table: bytes) -> Beginnings | None:
    """What is asked before all of `table`; None if it is not laid out as here (another version, or byte order)."""
    magic, version, files, named = _HEAD.unpack_from(table)
    if (magic, version, (1 + files + named) * _RULE) != (_MAGIC, _VERSION, len(table)):
        return None
    rules, split = memoryview(table)[_RULE:], _RULE * files  # a view: 7 MB in small pieces would stay with the process
    names = {_text(group): group for group in reversed(_groups(rules[split:]))}  # of two, the first counts
    found, kept, called = Beginnings(), list[memoryview](), dict[bytes, memoryview]()
    for group in _groups(rules[:split]):
        uses = _called(group, names)
        if not group[_FLAGS] & _BINARY or not any(map(_names_a_type, [group, *uses.values()])):
            continue
        if _looked_up(group, found):
            continue
        kept.append(group)
        called.update(uses)
    return Beginnings(found.fixed, found.words, _table(kept, called.values()))


def _groups(rules: memoryview) -> list[memoryview]:
    starts = [number * _RULE for number, level in enumerate(rules[_LEVEL::_RULE]) if level == 0]
    return [rules[start:end] for start, end in pairwise([*starts, len(rules)])]


def _table(files: Iterable[memoryview], names: Iterable[memoryview]) -> bytes:
    first, second = b"".join(files), b"".join(names)
    head = _HEAD.pack(_MAGIC, _VERSION, len(first) // _RULE, len(second) // _RULE)
    return head.ljust(_RULE, b"\0") + _sent_on(first + second)


def _sent_on(rules: bytes) -> bytes:
    """Have each rule that asks the table what is at another place hold, and name a type: then all rules are asked."""
    made = bytearray(rules)
    for at in (number * _RULE for number, kind in enumerate(rules[_TYPE::_RULE]) if kind == _INDIRECT):
        made[at + _TYPE] = _NAME  # holds wherever it stands
        made[at + _MIME : at + _MIME_END] = b"any/type".ljust(_MIME_END - _MIME, b"\0")
    return bytes(made)


def _text(rule: memoryview) -> bytes:
    value: bytes = _TEST.unpack_from(rule)[-1]
    return value.partition(b"\0")[0]


def _called(group: memoryview, names: dict[bytes, memoryview]) -> dict[bytes, memoryview]:
    """The groups that `group` calls by name, directly or by way of others."""
    found: dict[bytes, memoryview] = {}
    waiting = [group]
    while waiting:
        rules = waiting.pop()
        for at in [number * _RULE for number, kind in enumerate(rules[_TYPE::_RULE]) if kind == _USE]:
            name = _text(rules[at:]).removeprefix(b"^")  # ^: with the other byte order
            if name not in found:
                found[name] = names.get(name, memoryview(b""))
                waiting.append(found[name])
    return found


def _names_a_type(group: memoryview) -> bool:
    return any(group[_MIME::_RULE]) or _INDIRECT in group[_TYPE::_RULE]


def _looked_up(group: memoryview, found: Beginnings) -> bool:
    """Add the bytes or the word of a group's first test to `found`, if it has such a test."""
    flags, relation, length, kind, operation, start, options, value = _TEST.unpack_from(group)
    if relation != ord("=") or flags & (_POINTED | _FROM_END):
        return False
    if kind == _SEARCH:
        return _add_word(found, start, options & _RANGE, value[:length])
    if kind == _STRING and not options & _LOOSE:
        return _add_fixed(found, start, value[:length])
    if kind in _NUMBERS and not options and not operation:
        size, highest_first = _NUMBERS[kind]
        return _add_fixed(found, start, value[:size][:: -1 if highest_first else 1])
    return False


def _add_fixed(found: Beginnings, start: int, value: bytes) -> bool:
    value = value[:_MOST]
    if len(value) < _LEAST or not any(value):
        return False
    found.fixed.setdefault((start, start + len(value)), set()).add(value)
    return True


def _add_word(found: Beginnings, start: int, tries: int, value: bytes) -> bool:
    """Flags may let case and blanks differ, so the first word counts, in small letters."""
    word = (value.split() or [b""])[0].lower()
    if len(word) < _WORD or not word.isascii() or not tries or value[:1].isspace():
        return False
    found.words.append((start, start + tries + len(word), word))
    return True
