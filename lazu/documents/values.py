"""Values of cells in OpenDocument: in full where they are shown rounded, and where they are not shown at all."""

import math
import re
from xml.etree.ElementTree import Element

from lazu.documents import cells, markup

#: A number as it is shown, and what stands around it, such as a unit.
_SHOWN = re.compile(r"(\D*)(\d(?:[\d.,'\u2019\s]*\d)?)(\D*)")

#: Characters of it, at most.
_MAX_SHOWN = 60

#: What a minus is written with; a space is none here.
_MINUS = str.maketrans("", "", "-()\u2212\u2013")

#: The end of a moment that says no more than its day or its second.
_IDLE = re.compile(r"(?:T00:00:00)?(?:\.0+)?Z?\Z")

_SPAN = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def value(cell: Element) -> str:
    """Return the value of a cell; empty if its words are all that there is to say."""
    kind, words = cell.get("value-type", ""), markup.text(markup.find(cell, "p")).strip()
    if kind == "date":
        return _IDLE.sub("", cell.get("date-value", "")).replace("T", " ")
    if kind in ("float", "percentage", "currency"):
        return _number(cell, kind, words)
    if any(markup.text(child).strip() for child in cell if child.tag != "annotation"):
        return ""
    if kind == "time":
        return _time(cell.get("time-value", ""))
    return cell.get("boolean-value", "").upper() if kind == "boolean" else cell.get("string-value", "")


def is_empty_point(cell: Element) -> bool:
    """Return whether a cell of a chart is a point that is not there: a number that is none (`NaN`, `1.#NAN`)."""
    try:
        return cell.get("value-type") == "float" and not math.isfinite(float(cell.get("value", "")))
    except ValueError:
        return True


def _time(raw: str) -> str:
    """Return a time of day or one that passes, as `PT14H30M00S`."""
    found = _SPAN.fullmatch(raw)
    if not found:
        return raw
    days, hours, minutes, seconds = (float(part or "0") for part in found.groups()[1:])
    passed = min(((days * 24 + hours) * 60 + minutes) * 60 + seconds, 1e15)
    return cells.span(-passed if found[1] else passed)


def _number(cell: Element, kind: str, words: str) -> str:
    raw = cell.get("value", "")
    try:
        found = float(raw) * (100 if kind == "percentage" else 1)
    except ValueError:
        return ""
    if not math.isfinite(found) or cell.get("formula") in ("of:=TRUE()", "of:=FALSE()"):
        return ""  # its words say so; truths are how Calc stores those of an xlsx
    full = cells.number(found) if kind == "percentage" else cells.plain(raw)
    sign = {"percentage": "%", "currency": f" {cell.get('currency', '')}"}.get(kind, "")
    return _around(found, full, words, kind == "percentage") or f"{full}{sign}".strip()


def _around(number: float, full: str, words: str, share: bool) -> str:
    """Return all digits of a number, `full`, within what is shown around it; empty where that tells another number.

    As one in millions, a negative one by words alone, or a `share` that is no percentage.
    """
    shown = _SHOWN.fullmatch(words[: _MAX_SHOWN + 1])
    if not shown or len(words) > _MAX_SHOWN or (share and "%" not in words) or not _is_rounded(number, shown[2]):
        return ""
    before, after = shown[1], shown[3]
    if number >= 0:
        return f"{before}{full}{after}"
    signless = before.translate(_MINUS), after.translate(_MINUS)
    return (
        f"-{signless[0].lstrip()}{full.removeprefix('-')}{signless[1].rstrip()}" if signless != (before, after) else ""
    )


def _is_rounded(number: float, shown: str) -> bool:
    """Return whether what is shown are the first digits of a number, whatever stands between them."""
    digits = "".join(filter(str.isdecimal, shown))
    whole = len(f"{abs(number):.0f}")
    places = (len(digits) - whole - more for more in (-1, 0))
    sizes = (abs(number) * 10**place for place in places if place >= 0)
    return any(abs(int(digits) - size) <= 0.5 + size * 1e-14 for size in sizes)
