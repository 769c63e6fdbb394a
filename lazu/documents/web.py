"""Web pages as Markdown, by Python's forgiving parser: no page is so broken that nothing is read of it."""

from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from lazu.documents import elements, markdown, mathml
from lazu.documents.elements import BLOCKS, BREAKING, HEADINGS, VOID
from lazu.documents.layout import Layout
from lazu.documents.notes import Footnotes


def blocks(
    text: str,
    titled: bool = True,
    frames: Callable[[str], Iterable[str]] = lambda _: (),
    notes: Footnotes | None = None,
) -> Iterator[str]:
    """Give a page as blocks of Markdown, under its title unless that is told elsewhere.

    `frames` gives the blocks of the page that stands at an address, for those that this one shows within it; `notes`
    are those of the book that the page is a chapter of.
    """
    page = _Page(frames, notes or Footnotes())
    page.feed(text)
    page.close()
    page.end()
    if titled and page.title.strip():
        yield f"Title: {markdown.line(page.title)}"
    yield from page.blocks


class _Link(NamedTuple):
    """A link that is open: where its words begin, its target, and what it is to a note (`noteref`, `backlink`)."""

    start: int
    target: str
    role: str


class _Page(Layout, HTMLParser):
    """Makes lines of what the parser tells."""

    def __init__(self, frames: Callable[[str], Iterable[str]], notes: Footnotes) -> None:
        Layout.__init__(self)
        HTMLParser.__init__(self, convert_charrefs=True)
        self._frames, self._notes = frames, notes
        self.title = ""
        self._words: list[str] = []  # of the line that is open
        self._level = 0  # of the heading that is open
        self._script = 0  # where raised or lowered words begin
        self._link: _Link | None = None
        self._unseen = elements.Unseen()
        self._drawing = elements.Drawing()
        self._formula: mathml.Formula | None = None
        self._in_title = False

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
        if tag in HEADINGS or tag in BLOCKS:
            self.flush()
        self._step(self.opened.end_before, tag)
        self._level = HEADINGS.get(tag, self._level)
        if begin := getattr(self, f"_begin_{tag}", None):
            begin(attributes)
        self._step(self.opened.begin, tag)
        note = self._notes.at(attributes.get("id", "")) if tag in elements.NOTES else ""
        if note or tag == "blockquote":
            self.hold(tag, note)

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
        self._step(self.opened.end, tag)
        if end := getattr(self, f"_end_{tag}", None):
            end()

    def _step(self, step: Callable[[str], None], tag: str) -> None:
        """Let elements begin or end, and mark where words begin or cease to be struck out."""
        before = self.opened.struck()
        step(tag)
        if before != self.opened.struck():
            self._words.append(markdown.STRUCK[before])
        self.release()

    def handle_data(self, data: str) -> None:
        """Words."""
        if self._in_title:
            self.title += data
        elif self._formula and not self._unseen:
            self._formula.data(data)
        elif not self._unseen and self._drawing.shows():
            self._words.append(data if self.verbatim else markdown.spaced(data))

    def end(self) -> None:
        """End what is open."""
        self._end_math()
        super().end()

    def flush(self) -> None:
        """End the line that is open; a link goes on if no words of it have come yet."""
        link = self._link
        if link and link.target and not self.verbatim and markdown.seen("".join(self._words[link.start :])):
            self._end_a()
        struck = self.opened.struck()
        words = markdown.struck("".join(self._words) + markdown.STRUCK[1] * struck)
        self._words = [markdown.STRUCK[0]] * struck
        self._link = self._link and self._link._replace(start=len(self._words))
        level, self._level = self._level, 0
        if self.verbatim:
            self.put(words if self.tables else markdown.fenced(words.strip("\n")))
        elif words.strip():
            lines = (markdown.line(line) for line in words.split("\n"))
            self.put(self.as_block("\n".join(filter(None, lines)), level))

    def _show(self, address: str) -> None:
        """Take in a page that is shown within this one."""
        for block in self._frames(address) if address else ():
            self.flush()
            self.put(block)

    def _begin_title(self, _: dict[str, str]) -> None:
        self._in_title = not self.title

    def _end_title(self) -> None:
        self._in_title = False

    def _begin_br(self, _: dict[str, str]) -> None:
        self._words.append("\n")

    def _begin_img(self, attributes: dict[str, str]) -> None:
        words = markdown.line(attributes.get("alt", ""))
        self._words.append(f"[Picture: {words}]" if words else "")

    def _begin_input(self, attributes: dict[str, str]) -> None:
        self._words.append(elements.field(attributes))

    def _begin_option(self, attributes: dict[str, str]) -> None:
        self._words += ["[x] "] * ("selected" in attributes)

    def _begin_a(self, attributes: dict[str, str]) -> None:
        self._end_a()
        target = attributes.get("href") or attributes.get("xlink:href", "")
        self._link = _Link(len(self._words), target, elements.role(attributes))

    def _end_a(self) -> None:
        if self._link and (self._link.target or self._link.role):
            words = "".join(self._words[self._link.start :])
            self._words[self._link.start :] = [self._linked(words, self._link) if markdown.seen(words) else words]
        self._link = None

    def _linked(self, words: str, link: _Link) -> str:
        """Return the words of a link: the mark of a note, nothing of a way back from one, or a link in Markdown."""
        signs = "".join(sign for sign in words if sign in markdown.STRUCK)
        if link.role == "noteref":
            return self._notes.mark(link.target, words) + signs
        if self.in_note() and (link.role or not any(map(str.isalnum, words))):
            return signs
        if link.target.startswith("#") and words.isdecimal() and self._last(link.start).isalnum():
            return markdown.raised(words)  # a note's number that only its looks part from the word
        return markdown.link(words, link.target)

    def _last(self, end: int) -> str:
        """Return the character of the open line before the piece number `end`, empty if there is none."""
        return next((self._words[at][-1] for at in reversed(range(end)) if self._words[at]), "")

    def _begin_q(self, _: dict[str, str]) -> None:
        self._words.append("“")

    def _end_q(self) -> None:
        self._words.append("”")

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
