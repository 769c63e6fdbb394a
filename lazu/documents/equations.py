"""Equations of a docx or pptx on one line, as they are typed: `(a+b)/(2c)`, `√(x)` (ECMA-376 part 1, §22.1)."""

from xml.etree.ElementTree import Element

from lazu.documents import markup

#: How a factor begins that is no letter or digit.
_FACTORS = tuple("(\u221a\u2211\u220f\u222b")


def words(element: Element) -> str:
    """Return what is in an element of an equation."""
    parts, behind = [], ""
    for child in reversed(element):
        part = _one(child)
        parts.append(set_off(part, behind) if child.tag == "f" else part)
        behind = part or behind
    return "".join(reversed(parts))


def set_off(fraction: str, behind: str) -> str:
    """Return a fraction in brackets if what stands behind it is a factor: 2/5x may mean (2/5)x or 2/(5x)."""
    factor = behind.lstrip()
    return f"({fraction})" if factor[:1].isalnum() or factor.startswith(_FACTORS) else fraction


def _one(element: Element) -> str:
    if element.tag == "t":
        return element.text or ""
    if element.tag in ("br", "tab"):
        return " "
    if element.tag.endswith("Pr") or element.tag in ("del", "moveFrom"):
        return ""
    return _FORMS.get(element.tag, words)(element)


def _part(element: Element, name: str) -> str:
    return words(markup.find(element, name))


def whole(found: str) -> str:
    """Return words in brackets, but for one whole number, letter or sign: x^2n may mean x^(2n) or x^2·n."""
    return found if found.isdecimal() or len(found) < 2 else f"({found})"


def _fraction(element: Element) -> str:
    if markup.value(element, "fPr", "type") == "noBar":
        return f"{_part(element, 'num')} over {_part(element, 'den')}"
    return f"{whole(_part(element, 'num'))}/{whole(_part(element, 'den'))}"


def _scripts(element: Element) -> str:
    """Return the index and the exponent, or the limits, of what is before them."""
    low = _part(element, "lim" if element.tag == "limLow" else "sub")
    high = _part(element, "lim" if element.tag == "limUpp" else "sup")
    return f"{f'_{whole(low)}' if low else ''}{f'^{whole(high)}' if high else ''}"


def _scripted(element: Element) -> str:
    return _part(element, "e") + _scripts(element)


def _before(element: Element) -> str:
    """Return what has its index and exponent before it, as an isotope, typed as Word takes it in: `(_6^14)C`."""
    return f"({_scripts(element)}){_part(element, 'e')}"


def _accented(element: Element) -> str:
    """Return what has a sign over or under it: a hat, an arrow, a line."""
    if element.tag == "bar":
        sign = "\u0304" if markup.value(element, "barPr", "pos") == "top" else "\u0331"
    else:
        sign = markup.find(element, "accPr", "chr").get("val", "\u0302")
    return f"{whole(_part(element, 'e'))}{sign}"


def _sum(element: Element) -> str:
    """Return a sum, a product, an integral, with its limits."""
    sign = markup.find(element, "naryPr", "chr").get("val", "\u222b")
    return f"{sign}{_scripts(element)} {_part(element, 'e')}"


def _bracketed(element: Element) -> str:
    properties, usual = markup.find(element, "dPr"), {"begChr": "(", "sepChr": "|", "endChr": ")"}
    begin, between, end = (markup.find(properties, name).get("val", sign) for name, sign in usual.items())
    return f"{begin}{between.join(map(words, markup.children(element, 'e')))}{end}"


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"\u221a{f'[{degree}]' if degree else ''}({_part(element, 'e')})"


def _function(element: Element) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _rows(element: Element) -> str:
    rows = markup.children(element, "mr", "e")
    return "; ".join(
        ", ".join(map(words, markup.children(row, "e"))) if row.tag == "mr" else words(row) for row in rows
    )


_FORMS = {
    "f": _fraction, "nary": _sum, "d": _bracketed, "rad": _root, "func": _function, "m": _rows, "eqArr": _rows,
    "sPre": _before, "acc": _accented, "bar": _accented,
    **dict.fromkeys(("sSup", "sSub", "sSubSup", "limLow", "limUpp"), _scripted),
}  # fmt: skip
