"""Characters for what Word shows by other means: letters of fonts that are signs, boxes and lists of older forms."""

from xml.etree.ElementTree import Element

from lazu.documents import markup

#: Signs by the font's name and the number of its letter: those that say something.
_SIGNS = {
    "wingdings": {0x6F: "☐", 0x71: "☐", 0x72: "☐", 0xA8: "☐", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0xE0: "→"},
    "wingdings 2": {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐", 0x2A: "☐"},
    "symbol": {
        **{code: chr(code) for code in (*range(0x20, 0x40), *b"[]_{|}")},
        0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "\u2217", 0x2D: "\u2212", 0x40: "≅",
        0x5C: "∴", 0x5E: "⊥", 0x7E: "\u223c",
        **dict(zip(range(0x41, 0x5B), "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", strict=True)),
        **dict(zip(range(0x61, 0x7B), "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True)),
        0xA3: "≤", 0xA5: "∞", 0xAE: "→", 0xB0: "°", 0xB1: "±", 0xB3: "≥", 0xB4: "×", 0xB6: "∂", 0xB7: "•", 0xB8: "÷",  # noqa: RUF001 - as it is multiplied
        0xB9: "≠", 0xBA: "≡", 0xBB: "≈", 0xC6: "∅", 0xCE: "∈", 0xD1: "∇", 0xD6: "√", 0xD7: "⋅", 0xDE: "⇒", 0xE5: "∑",
        0xF2: "∫",
    },
}  # fmt: skip


def sign(element: Element) -> str:
    """Return the character of a `sym`; nothing for a font's own sign that has none (ECMA-376 part 1, §17.3.3.30)."""
    code = int(element.get("char", "0"), 16)
    known = _SIGNS.get(element.get("font", "").casefold())
    if known and (code < 0x100 or 0xF000 <= code < 0xF100):
        return known.get(code & 0xFF, "")
    return "" if 0xE000 <= code < 0xF900 else chr(min(code, 0xFFFF))


def filled(form: Element) -> str:
    """Return what is chosen in a check box or list of an older form, `ffData` (§17.16.17)."""
    box, choice = form.find("checkBox"), markup.find(form, "ddList")
    if box is not None:
        state = box.find("checked") if box.find("checked") is not None else box.find("default")
        return "[ ]" if not markup.is_on(state) else "[x]"
    entries = [entry.get("val", "") for entry in markup.children(choice, "listEntry")]
    chosen = markup.value(choice, "result") or markup.value(choice, "default") or "0"
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""
