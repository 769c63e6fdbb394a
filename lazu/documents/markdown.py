"""Markdown as the readers write it: blocks; items of a list follow each other without an empty line, and so do notes.

Words stay as they are in the document, `*` and `_` too: a model reads them better than backslashes.
"""

import re
from collections.abc import Iterable, Iterator

from lazu.documents import refusals
from lazu.documents.refusals import TEXT_LIMIT, Refused

#: Rows of a sheet that are given, as OpenAI does.
MAX_ROWS = 1000

#: Cells of a sheet; each takes three characters at least.
_MAX_CELLS = TEXT_LIMIT // 3

#: What Unicode has raised and lowered. It has few letters, and `1st` is better as it is than `1ˢᵗ`.
_SCRIPTS = "0123456789+-\u2212=()"
_RAISED, _LOWERED = (str.maketrans(_SCRIPTS, found) for found in ("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎"))

#: Stand around words that are struck out until their line is whole: neither XML nor clean text has them.
STRUCK = "\x02", "\x03"
_STRUCK = re.compile(r"\x02(\s*+)([^\x02\x03]*+)\x03")

#: Characters of a line of code. A longer line is prose, and blanks before it are its first-line indent.
_LINE = 100

#: Says where a word may be parted at the end of a line; between its letters a model takes it for a sign.
_SOFT_HYPHEN = "\xad"

_BLANKS = " \t\r\f\v\n"
_SPACE = re.compile(f"[{_BLANKS}]+")


class Item(str):
    """A block that is an item of a list, with its marker."""

    __slots__ = ()


class _Note(str):
    """A block that is a note; next to an item of a list Markdown would take it for more of that one's words."""

    __slots__ = ()


def pages(blocks: Iterable[str]) -> Iterator[str]:
    """Give the blocks as text, piece by piece, without soft hyphens; empty ones are left out."""
    last: str | None = None
    for found in blocks:
        block = type(found)(found.replace(_SOFT_HYPHEN, ""))
        if not block.strip():
            continue
        if last is not None:
            yield "\n" if type(block) is type(last) and isinstance(block, (Item, _Note)) else "\n\n"
        yield block.rstrip() if isinstance(block, Item) else block.strip("\n").rstrip()
        last = block
    if last is not None:
        yield "\n"


def heading(level: int, words: str) -> str:
    """Return a heading; levels are 1 to 6, and what is deeper is 6."""
    words = line(words)
    return f"{'#' * min(max(level, 1), 6)} {words}" if words else ""


def paragraph(words: str) -> str:
    """Return a paragraph. Blanks before it stay if it may be a line of code; a single space is a slip."""
    bare = words.strip()
    indent = words[: len(words) - len(words.lstrip())].rpartition("\n")[2]
    code = bare and len(bare.partition("\n")[0]) <= _LINE and indent != " "
    return f"{indent}{bare}" if code else bare


def item(depth: int, words: str, marker: str = "-") -> str:
    """Return an item of a list; `depth` is 0 for the outermost list."""
    words = words.strip()
    return Item(f"{'  ' * min(depth, 9)}{marker} {words}") if words else ""


def link(words: str, target: str) -> str:
    """Return a link, or its words alone where the target says no more than they do, or nothing.

    Blanks at the ends of the words part them from their neighbours: they stay, outside of the link.
    """
    target, bare = target.strip().replace(" ", "%20").replace("\n", ""), words.strip(_BLANKS)
    if not target or target.startswith(("#", "javascript:", "data:")):
        return words
    if not bare or line(bare) in (target, target.removeprefix("mailto:")):
        return words or target
    before, _, behind = words.partition(bare)
    return f"{before}[{line(bare)}]({target}){behind}"


def target(address: str, place: str) -> str:
    """Return what a link leads to: an address, and the place in it, if one is named apart."""
    return f"{address}#{place}" if place and "#" not in address else address


def table(rows: Iterable[Iterable[str]]) -> str:
    """Return a table; its first row is the head, which Markdown wants.

    Columns that are empty to the end are left out.
    """
    cells = [[cell(words) for words in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((last_of(row) for row in cells), default=0)
    if width < 1:
        return ""
    lines = [f"| {' | '.join((row + [''] * width)[:width])} |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def last_of(row: list[str]) -> int:
    """Return how many cells of a row there are up to the last that is not empty."""
    return next((place for place in range(len(row), 0, -1) if row[place - 1]), 0)


def sheet(title: str, rows: dict[int, dict[int, str]], last: int, read: int = 0) -> Iterator[str]:
    """Give a sheet: its title and a table of its cells, which `rows` has by row and column, numbered from 1.

    `last` is its last row, whether or not it is among `rows`; `read` the one where reading was broken off, if it was.

    Rows and columns that are empty are left out, and of the others all but the first 1,000 rows.
    """
    used = [row for row in sorted(rows) if any(words.strip() for words in rows[row].values())][:MAX_ROWS]
    end = read or (used[-1] if len(used) == MAX_ROWS else last)
    more = f" (rows {used[0] if used else 1}–{end} of {last})" if last > end else ""  # noqa: RUF001 - a range has a dash
    columns = sorted({column for row in used for column, words in rows[row].items() if words.strip()})
    if len(used) * len(columns) > _MAX_CELLS:
        raise Refused(refusals.LONG)
    yield heading(2, f"{title}{more}")
    yield table([rows[row].get(column, "") for column in columns] for row in used)


def cell(words: str) -> str:
    """Return words as they can stand in a table."""
    return "<br>".join(filter(None, map(line, words.split("\n")))).replace("|", "\\|")


def spaced(words: str) -> str:
    """Return words with single spaces."""
    return _SPACE.sub(" ", words)


def line(words: str) -> str:
    """Return words on one line, with single spaces."""
    return spaced(words).strip(" ")


def raised(words: str) -> str:
    """Return words as superscript if all of them can be (`10⁶`); others stay as they are."""
    return words.translate(_RAISED) if not words.strip(_SCRIPTS) else words


def lowered(words: str) -> str:
    """Return words as subscript if all of them can be (`H₂O`); others stay as they are."""
    return words.translate(_LOWERED) if not words.strip(_SCRIPTS) else words


def strike(words: str, out: bool) -> str:
    """Return words within `STRUCK` if they are struck out, and there are any."""
    return f"{STRUCK[0]}{words}{STRUCK[1]}" if out and words else words


def struck(words: str) -> str:
    """Return words in which those between `STRUCK` are marked as struck out: `~~10~~`."""
    if STRUCK[0] not in words:
        return words
    return _STRUCK.sub(_marked, words.replace("".join(reversed(STRUCK)), ""))


def _marked(found: re.Match[str]) -> str:
    words = found[2].rstrip()
    return f"{found[1]}~~{words}~~{found[2][len(words) :]}" if words else found[1]


def seen(words: str) -> bool:
    """Return whether there is more in words than spaces and marks."""
    return bool("".join(words.split()).strip("".join(STRUCK)))


def flat(blocks: Iterable[str]) -> str:
    """Return blocks on one line."""
    return line(" ".join(blocks))


def inner(blocks: Iterable[str]) -> str:
    """Return blocks as the words of a cell; a table among them becomes its rows."""
    lines = "\n".join(blocks).split("\n")
    return "\n".join(_bare(words) for words in lines if not words.startswith("| ---"))


def _bare(words: str) -> str:
    """Return a line without what makes it the row of a table; its empty cells stay."""
    row = words.startswith("| ") and words.endswith(" |")
    return words[2:-2].replace("\\|", "|") if row else words.strip()


def quoted(blocks: Iterable[str]) -> str:
    """Return blocks as a quotation, each of its lines behind `>`."""
    lines = "".join(pages(blocks)).rstrip("\n").split("\n")
    return "\n".join(f"> {words}".rstrip() for words in lines) if any(lines) else ""


def fenced(words: str, language: str = "") -> str:
    """Return code or output, as it is."""
    longest = max(map(len, re.findall("`+", words)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{words.rstrip()}\n{fence}" if words.strip() else ""


def note(name: object, words: str) -> str:
    """Return the note that a mark `[^name]` in the text stands for."""
    return _Note(f"[^{name}]: {line(words)}") if words.strip() else ""
