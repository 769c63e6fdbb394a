"""Numbers in a workbook as a person sees them: dates as dates, shares as percent, units (ECMA-376 part 1, §18.8.30)."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import Element

from lazu.documents import markup

DATE, TIME, MOMENT, SPAN, PERCENT, PLAIN = "date", "time", "moment", "span", "percent", "plain"

#: Formats that have a number and no code, as far as they are none of `PLAIN`.
_BUILT_IN = {
    **dict.fromkeys(("9", "10"), PERCENT), **dict.fromkeys(map(str, range(14, 18)), DATE),
    **dict.fromkeys(map(str, range(18, 22)), TIME), "22": MOMENT, **dict.fromkeys(map(str, range(27, 32)), DATE),
    **dict.fromkeys(map(str, range(32, 36)), TIME), "36": DATE, "45": TIME, "46": SPAN, "47": TIME,
    **dict.fromkeys(map(str, range(50, 59)), DATE),
}  # fmt: skip

#: What in a code is no letter of the format: quoted words, escaped signs, colours, conditions and languages.
_WORDS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|AM/PM|A/P|General', re.IGNORECASE)

#: The sections of a code, for positive numbers, negative ones, zero and text; what stands for a digit, or as it is.
_SECTION = re.compile(r'((?:"[^"]*"?|\\.|[^;])*+)(?:;|\Z)')
_PIECE = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^]-]*)[^]]*\]|\[[^]]*\]|([0#?]|General)|([$€£¥ ])|.', re.DOTALL)

#: What shows other numbers than those that are there: one in thousands or millions, one of several words by the number.
_SCALED = re.compile(r"[0#?],+(?![0#?,])")
_CONDITION = re.compile(r"\[[<>=]")

#: What tells a negative number in its section, and so does not count among its words.
_MINUS = str.maketrans("", "", "-()\u2212\u2013 ")

#: A whole number that floats may not hold.
_ID = re.compile("-?[1-9][0-9]{15,20}")

#: Characters of a code and letters of a unit, at most; programs take 255 of the former.
_MAX_CODE, _MAX_WORDS = 500, 40

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")

#: Day 0 of the calendar that counts from 1900; the other one counts from 1904.
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)


Found = TypeVar("Found")


class Look(NamedTuple):
    """How words look: the name of their font, empty if none is told, and whether they are struck out."""

    font: str = ""
    struck: bool = False


class Form(NamedTuple):
    """How a number is shown: its kind, the words around it, such as a unit, and how many digits are whole at least."""

    kind: str
    before: str = ""
    after: str = ""
    digits: int = 0


class Formats:
    """How the cells of each style show numbers, and how their words look. `styles` is the part styles.xml."""

    def __init__(self, styles: Element, since_1904: bool) -> None:
        codes = {entry.get("numFmtId", ""): entry.get("formatCode", "") for entry in styles.iter("numFmt")}
        looks = {str(n): _look(font) for n, font in enumerate(markup.find(styles, "fonts"))}
        entries = list(markup.find(styles, "cellXfs"))
        forms = [entry.get("numFmtId", "") for entry in entries]
        self._forms = [form(codes[key]) if key in codes else Form(_BUILT_IN.get(key, PLAIN)) for key in forms]
        self._looks = [looks.get(entry.get("fontId", ""), Look()) for entry in entries]
        self._since_1904 = since_1904

    def number(self, raw: str, style: str) -> str:
        """Return the number `raw` in a cell of this style; what is no number stays as it is."""
        return shown(raw, _of(self._forms, style, Form(PLAIN)), self._since_1904)

    def look(self, style: str) -> Look:
        """Return how the words in a cell of this style look."""
        return _of(self._looks, style, Look())


def _look(font: Element) -> Look:
    return Look(markup.value(font, "name"), markup.is_on(font.find("strike")))


def _of(found: Sequence[Found], style: str, default: Found) -> Found:
    place = markup.number(style, -1)
    return found[place] if 0 <= place < len(found) else default


def shown(raw: str, form: Form, since_1904: bool) -> str:
    """Return the number `raw` in a form; what is no number stays as it is. Dates count days from 1900, or from 1904."""
    try:
        value = float(raw)
    except ValueError:
        return raw
    if not math.isfinite(value):
        return raw
    if form.kind in (DATE, TIME, MOMENT, SPAN):
        return _dated(value, form.kind, _EPOCH_1904 if since_1904 else _EPOCH)
    words = number(value, form.kind) if form.kind == PERCENT else plain(raw)
    if not any(form[1:]):
        return words
    bare = words.removeprefix("-")
    whole = bare.partition(".")[0]
    zeros = "0" * (form.digits - len(whole)) * whole.isdecimal()
    return f"{'-' * words.startswith('-')}{form.before}{zeros}{bare}{form.after}"


def _dated(value: float, kind: str, epoch: datetime) -> str:
    """Return a number of days; one that no calendar has stays a number."""
    early = epoch is _EPOCH and value < 60  # Lotus held 1900 for a leap year, and so does Excel
    try:
        if kind == SPAN or (kind == TIME and value < 1):
            return span(value * 86400)
        found = epoch + timedelta(days=early, seconds=round(value * 86400))
    except OverflowError:
        return number(value, PLAIN)
    return moment(found, kind == DATE)


def moment(found: datetime, dated: bool = False) -> str:
    """Return a date, with its time unless that is midnight or only the date is `dated`."""
    text = found.isoformat(" ", "seconds")
    return text[:10] if dated or text.endswith(" 00:00:00") else text


def span(seconds: float) -> str:
    """Return a time that passes, in hours, minutes and seconds."""
    minutes, rest = divmod(abs(round(seconds)), 60)
    return f"{'-' * (seconds <= -0.5)}{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def unescaped(words: str) -> str:
    """Return words with the characters that XML can't hold, or that were escaped (`_x000D_`, §22.9.2.19)."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), words) if "_x" in words else words


def number(value: float, kind: str = PLAIN) -> str:
    """Return a number in the fifteen digits that a workbook shows; long whole ones are ids, in all that there are."""
    if kind == PLAIN and 1e15 <= abs(value) < 1e20:
        return f"{Decimal(repr(value)):.0f}"
    return f"{value * 100:.15g}%" if kind == PERCENT else f"{value:.15g}"


def plain(raw: str) -> str:
    """Return the number `raw`, in as many digits as it needs; what is no number stays as it is."""
    try:
        return raw if _ID.fullmatch(raw) else number(float(raw))
    except ValueError:
        return raw


@lru_cache
def form(code: str) -> Form:
    """Return how a format code shows a number: that of positive numbers counts."""
    code = code[:_MAX_CODE]
    section, negative, *_ = [*_SECTION.findall(code), ""]
    bare = _WORDS.sub("", section).casefold()
    if "[" in bare:
        return Form(SPAN)
    day, hour = re.search(r"[yd]", bare), re.search(r"[hs]", bare)
    if day or hour:
        return Form(MOMENT if day and hour else DATE if day else TIME)
    if "m" in bare:
        return Form(DATE)
    kind = PERCENT if "%" in bare else PLAIN
    if _CONDITION.search(code) or _SCALED.search(bare):
        return Form(kind)
    words = _around(section)
    if negative and _unsigned(words) != _unsigned(_around(negative)):
        words = "", ""  # they say more than the unit: `+`, an arrow, debit
    return Form(kind, *words, _digits(bare))


def _unsigned(words: tuple[str, str]) -> tuple[str, str]:
    """Return the words around a number without what a minus is written with."""
    return words[0].translate(_MINUS), words[1].translate(_MINUS)


def _digits(bare: str) -> int:
    """Return how many digits are whole at least, as of numbers of invoices and postcodes; 0 if it is but one."""
    count = 0 if re.search("[e/]", bare) else bare.partition(".")[0].count("0")
    return count if count > 1 else 0


def _around(section: str) -> tuple[str, str]:
    """Return the words of a format before its digits and behind them; none if there are some among the digits."""
    parts = [""]
    for quoted, escaped, currency, digit, sign in _PIECE.findall(section):
        parts += [""] if digit else []
        parts[-1] += quoted or escaped or currency or sign
    among = any(part.strip() for part in parts[1:-1])
    before, after = parts[0].lstrip(), parts[-1].rstrip()
    return ("", "") if len(parts) == 1 or among or len(before + after) > _MAX_WORDS else (before, after)
