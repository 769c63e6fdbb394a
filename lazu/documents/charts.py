"""Charts in a docx, pptx or xlsx as tables: ECMA-376 part 1, §21.2; newer ones, as waterfalls: MS-ODRAWXML §2.24.3."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import cells, markdown, markup

#: Points of a chart that are given.
MAX_POINTS = 1000

_AXES = ("catAx", "valAx", "dateAx", "serAx", "axis")


class Series(NamedTuple):
    """One series of a chart: its name, the places of its points (categories, or numbers on an axis), its values."""

    name: str
    places: list[str]
    values: list[str]


def blocks(tree: Element) -> Iterator[str]:
    """Give a chart: its title, the titles of its axes, which have the units, and a table of its series."""
    title = _title(markup.find(tree, "chart"))
    yield f"Chart: {title}" if title else "Chart"
    across, others = _axes(markup.find(tree, "chart", "plotArea"))
    yield f"Axis: {' · '.join(others)}" if others else ""
    columns = list(_columns(tree, across))
    yield markdown.table(zip_longest(*columns, fillvalue="")) if any(column[1:] for column in columns) else ""


def _columns(tree: Element, across: str) -> Iterator[list[str]]:
    """Give the columns of the table: places once if all series share them; in a chart of points they need not."""
    found = list(_newer(tree) if tree.find("chartData") is not None else _older(tree))
    shared = next((series.places for series in found if series.places), [])
    points = next(tree.iter("xVal"), None) is not None
    apart = points and any(series.places not in ([], shared) for series in found)
    if not apart:
        yield [across, *shared]
    for series in found:
        if apart:
            yield [across or "x", *series.places]
        yield [series.name, *series.values]


def _title(holder: Element) -> str:
    """Return the title of a chart or an axis: words of its own, or those of a cell."""
    title = markup.find(holder, "title")
    parts = (part for line in title.iter("p") for part in line.iter() if part.tag in ("p", "t", "br"))
    return markdown.line("".join(part.text or "" if part.tag == "t" else " " for part in parts)) or _words(title)


def _words(holder: Element) -> str:
    return " ".join(value.text or "" for value in holder.iter("v"))


def _axes(plot: Element) -> tuple[str, list[str]]:
    """Return the title of the axis on which the places are, and those of the other axes."""
    group = next((child for child in plot if child.find("ser") is not None), Element(""))
    first = markup.value(group, "axId")
    titles: dict[bool, list[str]] = {True: [], False: []}
    for axis in markup.children(plot, *_AXES):
        same = markup.value(axis, "axId") == first if first else axis.find("catScaling") is not None
        titles[same].append(_title(axis))
    return "".join(titles[True]), list(filter(None, titles[False]))


def _older(tree: Element) -> Iterator[Series]:
    date = tree.find("date1904")
    since_1904 = date is not None and date.get("val", "1") in ("1", "true")
    for entry in tree.iter("ser"):
        name, places = _words(markup.find(entry, "tx")), _points(entry, since_1904, "cat", "xVal")
        yield Series(name, places, _points(entry, since_1904, "val", "yVal"))
        if sizes := _points(entry, since_1904, "bubbleSize"):
            yield Series(f"{name} (size)", places, sizes)


def _newer(tree: Element) -> Iterator[Series]:
    data = {entry.get("id", ""): entry for entry in markup.find(tree, "chartData")}
    for entry in tree.iter("series"):
        held = data.get(markup.value(entry, "dataId"), Element(""))
        places = [_levels(dimension) for dimension in markup.children(held, "strDim") if dimension.get("type") == "cat"]
        values = [_levels(dimension) for dimension in markup.children(held, "numDim")]
        yield Series(_words(markup.find(entry, "tx")), *(next(filter(None, found), []) for found in (places, values)))


def _points(entry: Element, since_1904: bool, *names: str) -> list[str]:
    """Return the values that are kept with a chart, under the first of these names that has any."""
    for holder in markup.children(entry, *names):
        if found := _levels(holder, since_1904):
            return found
    return []


def _levels(holder: Element, since_1904: bool = False) -> list[str]:
    """Return values, or the words of categories; of those of several levels the outer ones go on where none stands."""
    numbers = holder.tag == "numDim" or any(child.tag in ("numRef", "numLit") for child in holder)
    levels = [_level(level, numbers, since_1904) for level in list(holder.iter("lvl")) or [holder]]
    length = max(map(len, levels))
    inner, *outer = [level + [""] * (length - len(level)) for level in levels]
    rows = zip(*map(_carried, reversed(outer)), inner, strict=True)
    return [" / ".join(filter(None, words)) for words in rows]


def _carried(level: list[str]) -> Iterator[str]:
    last = ""
    for words in level:
        last = words or last
        yield last


def _level(level: Element, numbers: bool, since_1904: bool) -> list[str]:
    """Return values by their places. Numbers are shown as their format says; words stay as they are."""
    usual = level.get("formatCode") or markup.text(next(level.iter("formatCode"), Element("")))
    points: dict[int, str] = {}
    for point in level.iter("pt"):
        raw, code = markup.find(point, "v").text or point.text or "", point.get("formatCode", usual)
        place = markup.number(point.get("idx", ""), -1)
        points[place] = cells.shown(raw, cells.form(code), since_1904) if numbers else raw
    return [points.get(place, "") for place in range(min(max(points, default=-1) + 1, MAX_POINTS))]
