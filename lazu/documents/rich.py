"""Rich text (rtf) as Markdown: RTF specification 1.9.1. What it does not name is skipped, as the specification asks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lazu.documents import controls, fields, markdown, refusals, symbols
from lazu.documents.flow import Flow
from lazu.documents.notes import Notes
from lazu.documents.refusals import Refused

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n\0]+|([^\\{}\r\n\0]+)|\\", re.DOTALL
)

#: Groups within groups.
_MAX_DEPTH = 2000


@dataclass(frozen=True)
class _Group:
    """The state within a pair of braces: where its words go (None: nowhere), and how they are to be taken."""

    sink: str | None = "text"
    codec: str = "cp1252"
    font: str = ""  # whose letters are signs
    width: int = 1  # characters that stand for one of Unicode in older programs
    hidden: bool = False
    table: bool = False
    level: int = 0
    depth: int = 0
    link_from: int = -1
    opens: str = ""


def blocks(data: bytes) -> Iterator[str]:
    """Give the document in `data` as blocks of Markdown; raises `Refused`."""
    if not data.startswith(b"{\\rtf"):
        raise Refused(refusals.BROKEN)
    reader = _Reader()
    reader.read(data)
    yield from (f"Header: {words}" for words in reader.headers if words)
    yield from reader.flow.blocks
    yield from reader.notes.blocks
    yield from (f"Footer: {words}" for words in reader.footers if words)


class _Reader:
    """Reads tokens one after the other; `_group` is the innermost group."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.headers: dict[str, None] = {}
        self.footers: dict[str, None] = {}
        self.notes = Notes()
        self._flows: list[Flow] = []
        self._group = _Group()
        self._groups: list[_Group] = []
        self._fonts: dict[int, str] = {}
        self._signs: dict[int, str] = {}  # names of fonts whose letters are signs
        self._styles: dict[int, int] = {}
        self._codec = "cp1252"
        self._font = 0
        self._entry = 0  # the number of the style that is being read
        self._name = ""  # of a style, or the instruction of a field, that is being read
        self._author = ""  # of the comment that comes
        self._target = self._asked = ""  # what a field leads to, or the sign that it shows
        self._bytes = b""
        self._skip = 0  # characters that stand for one of Unicode that was there before them
        self._starred = False

    def read(self, data: bytes) -> None:
        """Read a whole file."""
        at = 0
        while match := _TOKEN.match(data, at):
            at = match.end()
            word, number, code, sign, brace, words = match.groups()
            if word == b"bin":
                at += max(0, int(number or 0))
            elif word:
                self._control(word.decode(), int(number) if number else None)
            elif code:
                self._coded(bytes([int(code, 16)]))
            elif words:
                self._plain(words)
            elif brace:
                self._skip = 0
                self._open() if brace == b"{" else self._close()
            elif sign:
                self._sign(sign, first=data[match.start() - 1 : match.start()] == b"{")
        self._par()
        self.flow.end_table()

    def _sign(self, sign: bytes, first: bool) -> None:
        """A control symbol. `*` says that a group may be skipped, if it is the first in it."""
        self._starred = first and sign == b"*"
        if sign in b"\r\n":
            self._par()
        elif sign in controls.ESCAPED:
            self._put(controls.ESCAPED[sign])

    def _open(self) -> None:
        self._flush()
        if len(self._groups) >= _MAX_DEPTH:
            raise Refused(refusals.DEEP)
        self._groups.append(self._group)
        self._group = replace(self._group, opens="", link_from=-1)
        self._starred = False

    def _close(self) -> None:
        self._flush()
        closed = self._group
        self._group = self._groups.pop() if self._groups else _Group()
        if closed.opens:
            self._closed(closed)

    def _closed(self, group: _Group) -> None:
        """A group ends that was more than braces."""
        if group.opens == "field":
            words = "".join(self.flow.words[group.link_from :])
            words = self._asked or (markdown.link(words, self._target) if self._target else words)
            self.flow.words[group.link_from :] = [words]
            self._target = self._asked = ""
        elif group.opens == "fldinst":
            shown = self._group.sink == "text" and not self._group.hidden
            self._target, self._asked = fields.target(self._name), symbols.asked(self._name) * shown
        elif group.opens == "atnauthor":
            self._author = self._name.strip()
        elif group.opens in ("listtext", "pntext"):
            found = self.flow.words[group.link_from :]
            self.flow.label = "".join(found).strip() or "-" * ("" in found)  # a font's own sign that has none
            del self.flow.words[group.link_from :]
        elif group.opens == "shptxt":
            self._par()
        elif self._flows:
            self._par()
            self.flow.end_table()
            inner, self.flow = self.flow, self._flows.pop()
            self._beside(group.opens, markdown.flat(inner.blocks))

    def _beside(self, kind: str, words: str) -> None:
        if kind in controls.MARGINS:
            (self.headers if kind.startswith("header") else self.footers)[words] = None
        elif words and kind == "annotation":  # also among hidden words
            name, author, self._author = f"comment-{len(self.notes.blocks) + 1}", self._author, ""
            self.flow.words.append(self.notes.add(name, words, author))
        elif words and not self._group.hidden:
            self.flow.words.append(self.notes.add(self.notes.next(kind), words))

    def _control(self, word: str, number: int | None) -> None:
        """A control word, with its number if it has one."""
        self._flush()
        starred, self._starred = self._starred, False
        if word in controls.SKIPPED or (starred and word not in controls.READ):
            self._group = replace(self._group, sink=None)
        elif word in controls.SIGNS:
            self._put(controls.SIGNS[word])
        elif word in controls.ACTS:
            getattr(self, controls.ACTS[word])(word, 1 if number is None else number)

    def _plain(self, words: bytes) -> None:
        skipped, self._skip = self._skip, max(0, self._skip - len(words))
        self._bytes += words[skipped:]

    def _coded(self, byte: bytes) -> None:
        if self._skip:
            self._skip -= 1
        else:
            self._bytes += byte

    def _flush(self) -> None:
        """Decode the bytes that came: a character may be made of two of them."""
        if self._bytes:
            codec = "cp1252" if self._group.sink in ("font", "style") else self._group.codec
            found, self._bytes = self._bytes, b""
            self._put(found.decode(codec, errors="replace"))

    def _put(self, words: str) -> None:
        self._flush()
        if self._group.sink == "text" and not self._group.hidden:
            self.flow.words.append(symbols.words(words, self._group.font))
        elif self._group.sink in ("name", "style", "font"):
            self._name += words
            if self._group.sink != "name" and ";" in words:
                self._named()

    def _named(self) -> None:
        """A style ends, whose name says whether it is a heading, or a font, whose name says what its letters are."""
        name, self._name = self._name.strip(" ;"), ""
        if self._group.sink == "style":
            match = re.match(r"heading (\d)", name, re.IGNORECASE)
            self._styles[self._entry] = int(match[1]) if match else 0
        elif symbols.is_known(name):
            self._signs[self._font] = name

    def _unicode(self, _: str, number: int) -> None:
        self._put(chr(number % 0x10000))
        self._skip = self._group.width

    def _par(self, *_: object) -> None:
        """A paragraph ends."""
        self._flush()
        flow, self._skip = self.flow, 0
        words = flow.take()
        label, flow.label = flow.label, ""
        if self._group.table:
            flow.cell.append(f"{label} {words}" if label else words)
            return
        self.flow.end_table()
        if self._group.level:
            flow.blocks.append(markdown.heading(self._group.level, f"{label} {words}" if words else ""))
        elif label:
            marker = label if label != "o" and any(map(str.isalnum, label)) else symbols.marker(label)
            flow.blocks.append(markdown.item(self._group.depth, words.replace("\n", " "), marker))
        else:
            flow.blocks.append(words)

    def _cell(self, *_: object) -> None:
        self._flush()
        self.flow.end_cell()

    def _define(self, word: str, number: int) -> None:
        """The definition of a row, unless it is one of a table within a cell."""
        if self._group.sink:
            self.flow.define(word, number)

    def _row(self, *_: object) -> None:
        self.flow.end_row()

    def _reset(self, *_: object) -> None:
        self._group = replace(self._group, table=False, level=0, depth=0)

    def _in_table(self, _: str, number: int) -> None:
        self._group = replace(self._group, table=bool(number))

    def _hide(self, word: str, number: int) -> None:
        self._group = replace(self._group, hidden=bool(number) and word != "plain")
        if word == "plain" and self._group.font:
            self._group = replace(self._group, codec=self._codec, font="")

    def _width(self, _: str, number: int) -> None:
        self._group = replace(self._group, width=min(max(number, 0), 9))

    def _list_depth(self, _: str, number: int) -> None:
        self._group = replace(self._group, depth=min(max(number, 0), 8))

    def _outline(self, _: str, number: int) -> None:
        self._group = replace(self._group, level=number + 1 if 0 <= number < 9 else 0)

    def _page(self, word: str, number: int) -> None:
        """The code page of the document."""
        self._codec = "mac_roman" if word == "mac" else controls.PAGES.get(str(number), "cp1252")
        self._group = replace(self._group, codec=self._codec)

    def _set_font(self, _: str, number: int) -> None:
        self._font = number
        if self._group.sink == "text":
            font = self._signs.get(number, "")
            codec = "latin-1" if font else self._fonts.get(number, self._codec)
            self._group = replace(self._group, codec=codec, font=font)

    def _charset(self, _: str, number: int) -> None:
        if self._group.sink == "font" and number in controls.CHARSETS:
            self._fonts[self._font] = controls.CHARSETS[number]

    def _style(self, _: str, number: int) -> None:
        if self._group.sink == "style":
            self._entry, self._name = number, ""
        elif self._styles.get(number):
            self._group = replace(self._group, level=self._styles[number])

    def _into(self, word: str, _: int) -> None:
        """Words of this group are names."""
        sinks = {"fonttbl": "font", "stylesheet": "style", "fldinst": "name", "atnauthor": "name"}
        self._name = ""
        self._group = replace(self._group, sink=sinks[word], opens=word)

    def _begin(self, word: str, _: int) -> None:
        """A group begins whose words are part of the text, and more."""
        self._group = replace(self._group, opens=word, link_from=len(self.flow.words))
        if word == "shptxt":
            self._group = replace(self._group, sink="text")

    def _aside(self, word: str, _: int) -> None:
        """A group begins whose words run on their own."""
        if self._group.sink:
            self._flows.append(self.flow)
            self.flow = Flow()
            self._group = replace(self._group, opens=word, table=False, level=0, depth=0)

    def _endnote(self, *_: object) -> None:
        """The note that is read stands at the end of the document."""
        if self._group.opens == "footnote":
            self._group = replace(self._group, opens="endnote")

    def _count(self, word: str, _: int) -> None:
        """How notes of a kind are counted."""
        place, form = word.split("ftnn")
        self.notes.forms["endnote" if "a" in place else "footnote"] = controls.COUNTS[form]
