"""How the lines of a web page stand: in lists, tables, quotations and notes, or on their own."""

from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from lazu.documents import elements, labels, markdown, markup, numbering
from lazu.documents.grid import Table

#: Tables and quotations within others of their kind that are kept apart; deeper ones are part of theirs.
_MAX_DEPTH = 20

#: The lowest number of an item: lists of a page count from below nought too.
_LEAST = -(10**9)


class _List(NamedTuple):
    """A list that is open: of its next item the number, if it has one, and its form; and what the one after adds."""

    number: int | None = None
    form: str = ""
    step: int = 1


@dataclass
class _Held:
    """A quotation or a note that is open: its blocks, and the list, if any, that goes on behind it."""

    note: str  # its name, empty of a quotation
    element: str
    tables: int  # that were open before it
    lists: list[_List]
    marker: str | None
    blocks: list[str] = field(default_factory=list)


class Layout:
    """Makes blocks of lines, as a page's elements say where they stand; `flush` ends the line that is open."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.opened = elements.Opened()
        self.tables: list[Table] = []
        self.verbatim = False
        self._lists: list[_List] = []
        self._marker: str | None = None  # of an item that has no words yet
        self._held: list[_Held] = []

    def flush(self) -> None:
        """End the line that is open."""
        raise NotImplementedError

    def in_note(self) -> bool:
        """Return whether a note is open."""
        return any(held.note for held in self._held)

    def hold(self, tag: str, note: str) -> None:
        """Gather what comes up to the end of the element that has begun: a quotation, or the note of this name."""
        element = self.opened.last(tag)
        if element is None or len(self._held) == _MAX_DEPTH or (note and self.in_note()):
            return
        self._held.append(_Held(note, element, len(self.tables), self._lists, self._marker))
        self._lists, self._marker = [], None

    def release(self) -> None:
        """Put in their places the quotations and notes that have ended."""
        while self._held and not self.opened.has(self._held[-1].element):
            self.flush()
            self._release()

    def end(self) -> None:
        """End what is open."""
        self.flush()
        while self.tables or self._held:
            if self._inmost():
                self._release()
            else:
                self._end_table()

    def as_block(self, words: str, level: int) -> str:
        """Return words as the heading of a level, or as they stand in the list that is open."""
        marker, self._marker = self._marker, None
        if self.tables or not words:
            return words
        if level:
            return markdown.heading(level, words)
        if marker:
            return markdown.item(len(self._lists) - 1, words.replace("\n", " "), marker)
        return markdown.Item("  " * len(self._lists) + words) if self._lists else words

    def put(self, block: str) -> None:
        """Put a block where it belongs."""
        if held := self._inmost():
            held.blocks.append(block)
        else:
            (self.tables[-1].cell() if self.tables else self.blocks).append(block)

    def _inmost(self) -> _Held | None:
        """Return the quotation or note that is open, if it is not around a table that is."""
        return self._held[-1] if self._held and self._held[-1].tables >= len(self.tables) else None

    def _release(self) -> None:
        held = self._held.pop()
        if held.note:
            self._lists, self._marker = held.lists, None
            self.put(markdown.note(held.note, markdown.inner(held.blocks)))
            return
        self._lists, self._marker = held.lists, held.marker
        quoted = markdown.quoted(held.blocks)
        if quoted:
            self.put(self._in_list(quoted))

    def _in_list(self, quoted: str) -> str:
        """Return a quotation as it stands in the list that is open, behind the marker of its item if it begins it."""
        if self.tables or not self._lists:
            return quoted
        marker, self._marker = self._marker, None
        first = f"{'  ' * (len(self._lists) - 1)}{marker} " if marker else "  " * len(self._lists)
        return markdown.Item(first + quoted.replace("\n", "\n" + "  " * len(self._lists)))

    def _begin_hr(self, _: dict[str, str]) -> None:
        self.flush()
        if not self.tables:
            self.put("---")

    def _begin_pre(self, _: dict[str, str]) -> None:
        self.flush()
        self.verbatim = True

    def _end_pre(self) -> None:
        self.flush()
        self.verbatim = False

    def _begin_ul(self, _: dict[str, str]) -> None:
        self.flush()
        self._lists.append(_List())

    _begin_menu = _begin_dir = _begin_ul

    def _begin_ol(self, attributes: dict[str, str]) -> None:
        """A list that counts backwards from how many items come has no numbers: that is not known yet."""
        self.flush()
        backwards = "reversed" in attributes
        start = markup.number(attributes.get("start", ""), _LEAST if backwards else 1, least=_LEAST)
        form = labels.FORMS.get(attributes.get("type", ""), "decimal")
        self._lists.append(_List(None if start == _LEAST else start, form, -1 if backwards else 1))

    def _end_ul(self) -> None:
        self.flush()
        self._marker = None
        if self._lists:
            self._lists.pop()

    _end_ol = _end_menu = _end_dir = _end_ul

    def _begin_li(self, attributes: dict[str, str]) -> None:
        self.flush()
        if not self._lists:
            self._lists.append(_List())
        number, form, step = self._lists[-1]
        self._marker = "-"
        if number is not None:
            number = markup.number(attributes.get("value", ""), number, least=_LEAST)
            self._marker = f"{numbering.number(number, form if number > 0 else 'decimal')}."
            self._lists[-1] = _List(number + step, form, step)

    def _end_li(self) -> None:
        self.flush()
        self._marker = None

    def _begin_table(self, _: dict[str, str]) -> None:
        self.flush()
        if len(self.tables) < _MAX_DEPTH:
            self.tables.append(Table())

    def _begin_caption(self, _: dict[str, str]) -> None:
        if self.tables:
            self.tables[-1].begin_caption()

    def _begin_tbody(self, _: dict[str, str]) -> None:
        self.flush()
        if self.tables:
            self.tables[-1].begin_group()

    _begin_thead = _begin_tfoot = _begin_tbody

    def _end_tbody(self) -> None:
        self._begin_tbody({})

    _end_thead = _end_tfoot = _end_tbody

    def _begin_tr(self, _: dict[str, str]) -> None:
        self.flush()
        if self.tables:
            self.tables[-1].begin_row()

    def _begin_td(self, attributes: dict[str, str]) -> None:
        self.flush()
        if self.tables:
            self.tables[-1].begin_cell(attributes.get("colspan", ""), attributes.get("rowspan", ""))

    _begin_th = _begin_td

    def _end_td(self) -> None:
        self.flush()

    _end_th = _end_tr = _end_td

    def _end_table(self) -> None:
        """A table ends. One that has words in a single column is there for the looks: its cells are blocks."""
        self.flush()
        if not self.tables:
            return
        table = self.tables.pop()
        blocks = [block for row in table.rows for cell in row for block in cell]
        if len({place for row in table.rows for place, cell in enumerate(row) if any(cell)}) > 1:
            blocks = [markdown.table(map(markdown.inner, row) for row in table.rows)]
        for block in chain(table.caption, blocks):
            self.put(block)
