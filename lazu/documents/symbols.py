"""Characters for what Word shows by other means: letters of fonts that are signs, boxes and lists of older forms."""

import re
from xml.etree.ElementTree import Element

from lazu.documents import markup

#: Signs by the font's name and the number of its letter: those that say something.
_SIGNS = {
    "wingdings": {
        0x28: "☎", 0x2A: "✉", 0x43: "👍", 0x44: "👎", 0x46: "☞", 0x4A: "☺", 0x4B: "😐", 0x4C: "☹", 0x6C: "●", 0x6E: "■",
        0x6F: "☐", 0x71: "☐", 0x72: "☐", 0x75: "◆", 0x78: "☒", 0xA1: "○", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢", 0xDF: "←",
        0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "→", 0xF0: "⇨", 0xF3: "⇔", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
        **dict(enumerate("⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿", 0x80)),
    },
    "wingdings 2": {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐", 0x2A: "☐"},
    "wingdings 3": {0x70: "▲", 0x71: "▼", 0x74: "◀", 0x75: "▶"},
    "webdings": {0x61: "✔", 0x63: "☐", 0x72: "✗"},
    "symbol": {
        **{code: chr(code) for code in (*range(0x21, 0x40), *b"[]_{|}")},
        0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "\u2217", 0x2D: "\u2212", 0x40: "≅",
        0x5C: "∴", 0x5E: "⊥", 0x60: "\u203e", 0x7E: "\u223c",
        **dict(enumerate("ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", 0x41)),
        **dict(enumerate("αβχδεφγηιϕκλμνοπθρστυϖωξψζ", 0x61)),
        **dict(enumerate("ϒ\u2032≤\u2044∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…", 0xA1)),  # noqa: RUF001 - as it is multiplied
        **dict(enumerate("↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑", 0xBF)),  # noqa: RUF001 - as sets and logic have it
        0xF1: "⟩", 0xF2: "∫",
    },
}  # fmt: skip

#: What a bullet may be that says more than that an item begins.
_TELLING = set("☐☑☒✓✗✔✘✅❌")

_HEX = re.compile("[0-9A-Fa-f]{1,8}")

_FIELD = re.compile(
    r'\s*SYMBOL\s+(?:0x([0-9a-f]{1,4})|(\d{1,5}))(?![^\s\\]).*?\\f\s*(?:"([^"]*)"|([^\s\\]+))',
    re.IGNORECASE | re.DOTALL,
)


def words(text: str, font: str, other: str = "") -> str:
    """Return words as a font shows them, whose letters may be signs; `other` is that of private characters, if any."""
    letters, own = _signs(font), _signs(other or font)
    if not letters and not own:
        return text
    return "".join(_shown(character, own if character >= "\ue000" else letters) for character in text)


def is_known(font: str) -> bool:
    """Return whether the letters of a font are signs, and which ones is known."""
    return bool(_signs(font))


def _signs(font: str) -> dict[int, str]:
    return _SIGNS.get(font.strip().casefold(), {})


def _shown(character: str, signs: dict[int, str]) -> str:
    """Return what a character is in a font of signs: spaces and what no letter of such a font is stay."""
    code = ord(character)
    stays = not signs or character.isspace() or code < 0x20 or not (code < 0x100 or 0xF020 <= code < 0xF100)
    return character if stays else signs.get(code & 0xFF, "")


def sign(element: Element) -> str:
    """Return the character of a `sym`; nothing for a font's own sign that has none (ECMA-376 part 1, §17.3.3.30)."""
    code = _HEX.fullmatch(element.get("char", ""))
    return _sign(int(code[0], 16), element.get("font", "")) if code else ""


def _sign(code: int, font: str) -> str:
    found = words(chr(min(code, 0xFFFF)), font)
    return "" if "\ue000" <= found < "\uf900" else found


def asked(instruction: str) -> str:
    """Return the sign for which a field, SYMBOL, asks by its number and font, if it is known (§17.16.5.61)."""
    found = _FIELD.match(instruction)
    if not found or not is_known(found[3] or found[4]):
        return ""
    return _sign(int(found[1], 16) if found[1] else int(found[2]), found[3] or found[4])


def marker(bullet: str, font: str = "") -> str:
    """Return the marker of items that have a bullet: `-`, with it behind where it says something; blank for a blank.

    A private character whose font is not told is taken for one of Wingdings, which has those that say something.
    """
    shown = words(bullet, font, font or "Wingdings").strip()
    if shown in _TELLING:
        return f"- {shown}"
    return "-" if bullet.strip() else " "


def filled(form: Element) -> str:
    """Return what is chosen in a check box or list of an older form, `ffData` (§17.16.17)."""
    box, choice = form.find("checkBox"), markup.find(form, "ddList")
    if box is not None:
        state = box.find("checked") if box.find("checked") is not None else box.find("default")
        return "[ ]" if not markup.is_on(state) else "[x]"
    entries = [entry.get("val", "") for entry in markup.children(choice, "listEntry")]
    chosen = markup.value(choice, "result") or markup.value(choice, "default") or "0"
    place = markup.number(chosen, -1)
    return entries[place] if 0 <= place < len(entries) else ""
