"""Web pages as Markdown, by Python's forgiving parser: no page is so broken that nothing is read of it."""

from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from itertools import chain

from lazu.documents import elements, labels, markdown, mathml, numbering
from lazu.documents.elements import BLOCKS, BREAKING, HEADINGS, VOID
from lazu.documents.grid import Table

#: Tables within tables that are kept apart; deeper ones are part of their cell.
_MAX_DEPTH = 20


def blocks(text: str, titled: bool = True, frames: Callable[[str], Iterable[str]] = lambda _: ()) -> Iterator[str]:
    """Give a page as blocks of Markdown, under its title unless that is told elsewhere.

    `frames` gives the blocks of the page that stands at an address, for those that this one shows within it.
    """
    page = _Page(frames)
    page.feed(text)
    page.close()
    page.end()
    if titled and page.title.strip():
        yield f"Title: {markdown.line(page.title)}"
    yield from page.blocks


class _Page(HTMLParser):
    """Makes blocks of what the parser tells."""

    def __init__(self, frames: Callable[[str], Iterable[str]]) -> None:
        super().__init__(convert_charrefs=True)
        self._frames = frames
        self.title = ""
        self.blocks: list[str] = []
        self._words: list[str] = []  # of the line that is open
        self._level = 0  # of the heading that is open
        self._lists: list[tuple[int | None, str]] = []  # of the next item its number, if it has one, and its form
        self._marker: str | None = None  # of an item that has no words yet
        self._tables: list[Table] = []
        self._script = 0  # where raised or lowered words begin
        self._struck = elements.Struck()
        self._link: tuple[int, str] | None = None  # where the words of a link begin, and its target
        self._unseen = elements.Unseen()
        self._drawing = elements.Drawing()
        self._formula: mathml.Formula | None = None
        self._verbatim = self._in_title = False

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: ARG002 - as it is called
        """Take `<![if …]>`, which Word writes, as a comment. Python's own parser raises for words it does not know."""
        return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        tag = tag.removeprefix("svg:")
        if self._unseen and not self._unseen.ends_before(tag):
            return
        attributes = {key: value or "" for key, value in attrs}
        self._show(elements.frame(tag, attributes))
        if tag not in VOID and (elements.hidden(tag, attributes) or self._drawing.hides(tag, attributes)):
            self._unseen.begin(tag)
            return
        if self._formula and tag not in BREAKING:
            self._formula.begin(tag, attributes)
            return
        self._end_math()
        if tag.endswith(":math"):
            tag = "math"
        self._words.append(self._drawing.begin(tag, attributes))
        if tag in HEADINGS:
            self.flush()
            self._level = HEADINGS[tag]
        elif tag in BLOCKS:
            self.flush()
        if begin := getattr(self, f"_begin_{tag}", None):
            begin(attributes)
        self._strike(self._struck.begin, tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        tag = tag.removeprefix("svg:")
        if self._unseen and not self._unseen.ends_with(tag):
            return
        if self._formula:
            if self._formula.end(tag) or tag in BREAKING:
                self._end_math()
            if tag not in BREAKING:
                return
        self._words.append(self._drawing.end(tag))
        if tag in BLOCKS or tag in HEADINGS:
            self.flush()
        elif end := getattr(self, f"_end_{tag}", None):
            end()
        self._strike(self._struck.end, tag)

    def _strike(self, step: Callable[[str], None], tag: str) -> None:
        """Take a step of what is struck out, and mark where words begin or cease to be."""
        before = bool(self._struck)
        step(tag)
        if before != bool(self._struck):
            self._words.append(markdown.STRUCK[before])

    def handle_data(self, data: str) -> None:
        """Words."""
        if self._in_title:
            self.title += data
        elif self._formula and not self._unseen:
            self._formula.data(data)
        elif not self._unseen and self._drawing.shows():
            self._words.append(data if self._verbatim else markdown.spaced(data))

    def end(self) -> None:
        """End what is open."""
        self._end_math()
        self.flush()
        while self._tables:
            self._end_table()

    def flush(self) -> None:
        """End the line that is open; a link goes on if no words of it have come yet."""
        start, target = self._link or (0, "")
        if target and not self._verbatim and markdown.seen("".join(self._words[start:])):
            self._end_a()
        words = markdown.struck("".join(self._words) + markdown.STRUCK[1] * bool(self._struck))
        self._words = [markdown.STRUCK[0]] * bool(self._struck)
        self._link = self._link and (len(self._words), self._link[1])
        level, self._level = self._level, 0
        if self._verbatim:
            self._put(words if self._tables else markdown.fenced(words.strip("\n")))
        elif words.strip():
            lines = (markdown.line(line) for line in words.split("\n"))
            self._put(self._as_block("\n".join(filter(None, lines)), level))

    def _as_block(self, words: str, level: int) -> str:
        marker, self._marker = self._marker, None
        if self._tables or not words:
            return words
        if level:
            return markdown.heading(level, words)
        if marker:
            return markdown.item(len(self._lists) - 1, words.replace("\n", " "), marker)
        return markdown.Item("  " * len(self._lists) + words) if self._lists else words

    def _put(self, block: str) -> None:
        (self._tables[-1].cell() if self._tables else self.blocks).append(block)

    def _show(self, address: str) -> None:
        """Take in a page that is shown within this one."""
        for block in self._frames(address) if address else ():
            self.flush()
            self._put(block)

    def _begin_title(self, _: dict[str, str]) -> None:
        self._in_title = not self.title

    def _end_title(self) -> None:
        self._in_title = False

    def _begin_br(self, _: dict[str, str]) -> None:
        self._words.append("\n")

    def _begin_hr(self, _: dict[str, str]) -> None:
        self.flush()
        if not self._tables:
            self._put("---")

    def _begin_img(self, attributes: dict[str, str]) -> None:
        words = markdown.line(attributes.get("alt", ""))
        self._words.append(f"[Picture: {words}]" if words else "")

    def _begin_input(self, attributes: dict[str, str]) -> None:
        self._words.append(elements.field(attributes))

    def _begin_option(self, attributes: dict[str, str]) -> None:
        self._words += ["[x] "] * ("selected" in attributes)

    def _begin_a(self, attributes: dict[str, str]) -> None:
        self._end_a()
        self._link = len(self._words), attributes.get("href") or attributes.get("xlink:href", "")

    def _end_a(self) -> None:
        if self._link and self._link[1]:
            start, target = self._link
            words = "".join(self._words[start:])
            self._words[start:] = [markdown.link(words, target) if markdown.seen(words) else words]
        self._link = None

    def _begin_sup(self, _: dict[str, str]) -> None:
        self._script = len(self._words)

    _begin_sub = _begin_sup

    def _end_sup(self) -> None:
        self._words[self._script :] = [markdown.raised("".join(self._words[self._script :]))]

    def _end_sub(self) -> None:
        self._words[self._script :] = [markdown.lowered("".join(self._words[self._script :]))]

    def _begin_math(self, _: dict[str, str]) -> None:
        self._formula = mathml.Formula()

    def _end_math(self) -> None:
        if self._formula:
            self._words.append(self._formula.words())
        self._formula = None

    def _begin_pre(self, _: dict[str, str]) -> None:
        self.flush()
        self._verbatim = True

    def _end_pre(self) -> None:
        self.flush()
        self._verbatim = False

    def _begin_ul(self, _: dict[str, str]) -> None:
        self.flush()
        self._lists.append((None, ""))

    _begin_menu = _begin_dir = _begin_ul

    def _begin_ol(self, attributes: dict[str, str]) -> None:
        """A list that counts backwards has no numbers: how many items come is not known yet."""
        self.flush()
        number = None if "reversed" in attributes else elements.count(attributes.get("start", ""), 1)
        self._lists.append((number, labels.FORMS.get(attributes.get("type", ""), "decimal")))

    def _end_ul(self) -> None:
        self.flush()
        self._marker = None
        if self._lists:
            self._lists.pop()

    _end_ol = _end_menu = _end_dir = _end_ul

    def _begin_li(self, attributes: dict[str, str]) -> None:
        self.flush()
        if not self._lists:
            self._lists.append((None, ""))
        number, form = self._lists[-1]
        self._marker = "-"
        if number is not None:
            number = elements.count(attributes.get("value", ""), number)
            self._marker = f"{numbering.number(number, form if number > 0 else 'decimal')}."
            self._lists[-1] = number + 1, form

    def _end_li(self) -> None:
        self.flush()
        self._marker = None

    def _begin_table(self, _: dict[str, str]) -> None:
        self.flush()
        if len(self._tables) < _MAX_DEPTH:
            self._tables.append(Table())

    def _begin_caption(self, _: dict[str, str]) -> None:
        if self._tables:
            self._tables[-1].begin_caption()

    def _begin_tbody(self, _: dict[str, str]) -> None:
        self.flush()
        if self._tables:
            self._tables[-1].begin_group()

    _begin_thead = _begin_tfoot = _begin_tbody

    def _end_tbody(self) -> None:
        self._begin_tbody({})

    _end_thead = _end_tfoot = _end_tbody

    def _begin_tr(self, _: dict[str, str]) -> None:
        self.flush()
        if self._tables:
            self._tables[-1].begin_row()

    def _begin_td(self, attributes: dict[str, str]) -> None:
        self.flush()
        if self._tables:
            self._tables[-1].begin_cell(attributes.get("colspan", ""), attributes.get("rowspan", ""))

    _begin_th = _begin_td

    def _end_td(self) -> None:
        self.flush()

    _end_th = _end_tr = _end_td

    def _end_table(self) -> None:
        """A table ends. One that has words in a single column is there for the looks: its cells are blocks."""
        self.flush()
        if not self._tables:
            return
        table = self._tables.pop()
        blocks: Iterable[str] = (block for row in table.rows for cell in row for block in cell)
        if len({place for row in table.rows for place, cell in enumerate(row) if any(cell)}) > 1:
            blocks = [markdown.table(map(markdown.inner, row) for row in table.rows)]
        for block in chain(table.caption, blocks):
            self._put(block)
