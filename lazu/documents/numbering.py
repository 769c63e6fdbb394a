"""Labels of numbered paragraphs in a docx: `2.`, `2.1`, `(b)`, `iv)`, counted as Word does (ECMA-376 part 1, §17.9)."""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import markup, symbols

#: Letters of which each stands for a size, and the sizes are added; the largest come first.
_SUMS = {
    "lowerRoman": ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
                   (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
    "hebrew1": (*zip((*range(400, 99, -100), *range(90, 19, -10)), "תשרקצפעסנמלכ", strict=True), (16, "טז"),
                (15, "\u05d8\u05d5"), *zip(range(10, 0, -1), "יטחזוהדגבא", strict=True)),
}  # fmt: skip

#: Letters in their order, which are doubled behind the last one (§17.18.59); Greek ones have no name in Word.
_LETTERS = {
    "lowerLetter": "abcdefghijklmnopqrstuvwxyz", "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "greekLower": "αβγδεζηθικλμνξοπρστυφχψω", "chicago": "*†‡§",
    "ganada": "가나다라마바사아자차카타파하", "chosung": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "hebrew2": "אבגדהוזחטיכלמנסעפצקרשת",
    "arabicAlpha": "أبتثجحخدذرزسشصضطظعغفقكلمنهوي", "arabicAbjad": "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ",
    "aiueoFullWidth": "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    "aiueo": "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝ",
    "irohaFullWidth":
        "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン",
    "iroha": "ｲﾛﾊﾆﾎﾍﾄﾁﾘﾇﾙｦﾜｶﾖﾀﾚｿﾂﾈﾅﾗﾑｳヰﾉｵｸﾔﾏｹﾌｺｴﾃｱｻｷﾕﾒﾐｼヱﾋﾓｾｽﾝ",
    "thaiLetters": "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
    "hindiVowels": "कखगघङचछजझञटठडढणतथदधनपफबभमयरलळवशषसह",  # that are consonants
}  # fmt: skip

#: Digits of their own.
_DIGITS = {"thaiNumbers": "๐๑๒๓๔๕๖๗๘๙", "hindiNumbers": "०१२३४५६७८९"}

#: Signs of which there are no more: numbers behind the last one are digits.
_SIGNS = {
    "decimalEnclosedCircle": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳", "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
}  # fmt: skip

#: Forms that may be told by their first numbers.
_TOLD = (
    *_LETTERS, "russianUpper", "greekUpper", *_SUMS, *_SIGNS, *_DIGITS, "chineseCounting", "koreanCounting", "ordinal"
)  # fmt: skip

_ORDINALS = {1: "st", 2: "nd", 3: "rd"}

#: How the names of schemes begin in a presentation.
_SCHEMES = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman",
            "ea1": "chineseCounting"}  # fmt: skip

#: Levels that a list has in Word.
_LEVELS = 9


class Level(NamedTuple):
    """One level of a list: how it counts, from which number, and what its label looks like, as `%1.%2)`.

    The label of a bullet is its marker. It counts anew behind a level above `anew`; if `legal`, all numbers of its
    label are Arabic (§17.9.4, §17.9.10).
    """

    form: str
    start: int
    label: str
    anew: int = _LEVELS
    legal: bool = False


class Numbering:
    """The lists of a document: `tree` is its part numbering.xml. It counts, so ask once a paragraph, in order."""

    def __init__(self, tree: Element) -> None:
        self._abstract = {entry.get("abstractNumId", ""): entry for entry in tree.iter("abstractNum")}
        self._styled = {markup.value(entry, "styleLink"): entry for entry in self._abstract.values()}
        self._lists = {entry.get("numId", ""): entry for entry in tree.iter("num")}
        self._levels: dict[str, list[Level]] = {}
        self._counts: dict[str, list[int | None]] = {}  # None: not begun

    def label(self, number: str, depth: int) -> str | None:
        """Return the label of the next paragraph at `depth` (from 0) of a list: a bullet's marker, None without one."""
        entry = self._lists.get(number)
        if entry is None or not 0 <= depth < _LEVELS:
            return None
        counts = self._counts.setdefault(markup.value(entry, "abstractNumId"), [None] * _LEVELS)
        if number not in self._levels:
            self._levels[number] = _levels(self._pattern(entry), entry)
            _begin_anew(entry, counts)
        levels = self._levels[number]
        last = counts[depth]
        counts[depth] = levels[depth].start if last is None else last + 1
        for deeper in range(depth + 1, _LEVELS):
            if depth < levels[deeper].anew:
                counts[deeper] = None
        return _shown(levels, counts, depth)

    def _pattern(self, entry: Element) -> Element | None:
        """Return the pattern of a list: its own, or that of the style that it names."""
        own = self._abstract.get(markup.value(entry, "abstractNumId"))
        link = "" if own is None else markup.value(own, "numStyleLink")
        return self._styled.get(link) if link else own


def _begin_anew(entry: Element, counts: list[int | None]) -> None:
    """Forget the counts of those levels that a list starts itself; the others it goes on from lists of its pattern."""
    for override in entry.iter("lvlOverride"):
        depth = markup.number(override.get("ilvl", "0"), -1)
        if markup.value(override, "startOverride") and 0 <= depth < _LEVELS:
            counts[depth] = None


def _levels(abstract: Element | None, number: Element) -> list[Level]:
    """Return the levels of a list: those of its pattern, and over them its own."""
    levels = [Level("bullet", 1, "")] * _LEVELS
    patterns = [] if abstract is None else [(entry, entry) for entry in abstract.iter("lvl")]
    overrides = [(entry, markup.find(entry, "lvl")) for entry in number.iter("lvlOverride")]
    for place, entry in patterns + overrides:
        depth = markup.number(place.get("ilvl", "0"), -1)
        if 0 <= depth < _LEVELS:
            levels[depth] = _level(entry, levels[depth], markup.value(place, "startOverride"))
    return levels


def _level(entry: Element, known: Level, start: str) -> Level:
    first, anew = start or markup.value(entry, "start"), markup.value(entry, "lvlRestart")
    form = markup.newer(markup.find(entry, "AlternateContent")).find("numFmt")
    form = markup.find(entry, "numFmt") if form is None else form
    name, label = told(form.get("format", "")) or form.get("val") or known.form, markup.value(entry, "lvlText")
    if name == "bullet" and label:
        font = markup.find(entry, "rPr", "rFonts")
        label = symbols.marker(label, font.get("ascii", "") or font.get("hAnsi", ""))
    return Level(
        name,
        markup.number(first, known.start),
        label or known.label,
        markup.number(anew, known.anew),
        markup.is_on(entry.find("isLgl")) or known.legal,
    )


def _shown(levels: list[Level], counts: list[int | None], depth: int) -> str | None:
    level = levels[depth]
    if level.form == "bullet":
        return level.label or "-"
    if "%" not in level.label:
        return level.label or None

    def counted(match: re.Match[str]) -> str:
        above, count = levels[int(match[1]) - 1], counts[int(match[1]) - 1]
        if above.form == "none":
            return ""
        form = "decimal" if level.legal and not above.form.startswith("decimal") else above.form
        return number(above.start if count is None else count, form)

    label = re.sub(r"%([1-9])", counted, level.label)
    return label if level.form != "none" or any(map(str.isalnum, label)) else None


def automatic(scheme: str, count: int) -> str:
    """Return the label of a numbered paragraph of a slide: `3.`, `c)` or `(iii)`, as its scheme says (§20.1.10.61)."""
    form = next((form for begin, form in _SCHEMES.items() if scheme.startswith(begin)), "decimal")
    found = number(count, form)
    if scheme.endswith("ParenBoth"):
        return f"({found})"
    return f"{found})" if scheme.endswith("ParenR") else f"{found}."


def told(form: str) -> str:
    """Return the name of a form that a program tells by its first numbers, as `一, 二, 三, ...`, if it is known."""
    first = form.split(", ", 3)[:3]
    known = (name for name in _TOLD if [number(count, name) for count in (1, 2, 3)] == first)
    return next(known, form) if len(first) == 3 else form


def number(count: int, form: str) -> str:
    """Return a number in letters, words or digits; the form `001, 002, …` is one of digits as wide."""
    small = form.replace("upper", "lower").replace("Upper", "Lower")
    if count > 0 and (found := _letters(count, small)):
        return found if small == form else found.upper()
    width = 2 if form == "decimalZero" else min(len(form.partition(",")[0]), 9) if form.startswith("0") else 1
    return f"{count:0{width}d}"


def _letters(count: int, form: str) -> str:
    """Return a number from 1 on in letters or words; nothing in a form that has none, or none for so large a one."""
    if form in _LETTERS:
        times, place = divmod(count - 1, len(_LETTERS[form]))
        return _LETTERS[form][place] * min(times + 1, 9)
    if form in _SUMS:
        return _sum(count, _SUMS[form])
    if form in _DIGITS:
        return "".join(_DIGITS[form][int(digit)] for digit in str(count))
    if re.match("(chinese|taiwanese|japanese|korean)Counting", form) and count < 10_000:
        return _counting(count, form)
    if form == "ordinal":
        return f"{count}{'th' if count // 10 % 10 == 1 else _ORDINALS.get(count % 10, 'th')}"
    return _SIGNS.get(form, "")[count - 1 : count]


def _sum(count: int, letters: tuple[tuple[int, str], ...]) -> str:
    found = ""
    for size, sign in letters:
        times, count = divmod(min(count, 9999), size)
        found += sign * times
    return found


def _counting(count: int, form: str) -> str:
    """Return a number below 10,000 in words of Chinese, Japanese or Korean. Only Chinese has `一百零五` for 105."""
    digits, units = (
        ("영일이삼사오육칠팔구", "천백십") if form == "koreanCounting" else ("零一二三四五六七八九", "千百十")
    )
    places = zip(map(int, f"{count:04d}"), [*units, ""], strict=True)
    words = "".join(digits[digit] + unit * bool(digit) for digit, unit in places)
    if form.startswith(("chinese", "taiwanese")):
        return re.sub("^零*(一(?=十))?|零+$", "", re.sub("零+", "零", words))
    return re.sub(f"{digits[0]}|{digits[1]}(?=[{units}])", "", words)
