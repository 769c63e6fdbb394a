"""Charts, diagrams and text boxes in a docx, pptx or xlsx. The first two stand in parts of their own."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from lazu.documents import charts, equations, markdown, markup, symbols
from lazu.documents.package import Package


class Drawings:
    """The charts and diagrams of one part of a package."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._relations = package.relations(name)

    def blocks(self, element: Element) -> Iterator[str]:
        """Give the chart (`chart`) or diagram (`relIds`) of a reference, as Markdown."""
        relation = self._relations.get(element.get("r:dm", element.get("r:id", "")))
        if relation and not relation.outside:
            tree = self._package.tree(relation.target)
            yield from charts.blocks(tree) if element.tag == "chart" else _diagram(tree)

    def descriptions(self, element: Element) -> Iterator[str]:
        """Give the descriptions of pictures within an element, and where its shapes lead to."""
        return map(self.described, _shown(element, "cNvPr"))

    def described(self, properties: Element) -> str:
        """Return the description of a picture by its author (`docPr`, `cNvPr`), not a name that a program gave.

        It is a link if a click on the picture, or on another shape, leads to a page.
        """
        words = markdown.line(properties.get("descr", ""))
        words = f"[Picture: {words}]" if words else ""
        relation = self._relations.get(markup.find(properties, "hlinkClick").get("r:id", ""))
        return markdown.link(words, relation.target) if relation and relation.outside else words


def paragraphs(element: Element) -> Iterator[tuple[int, str]]:
    """Give the paragraphs of DrawingML within an element: depth of each, and words."""
    for paragraph in _shown(element, "p"):
        depth = markup.find(paragraph, "pPr").get("lvl", "")
        found = markdown.paragraph(markdown.struck("".join(map(words, paragraph))))
        if found:
            yield markup.number(depth), found


def apart(element: Element) -> Iterator[Element]:
    """Give the references within an element to charts and diagrams, as `Drawings.blocks` takes them."""
    return (found for found in element.iter() if found.tag in ("chart", "relIds"))


def _shown(element: Element, name: str) -> Iterator[Element]:
    """Give the elements of a name within another, but for those that only older programs show."""
    pairs = ((both, markup.newer(both)) for both in element.iter("AlternateContent"))
    older = {found for both, newer in pairs for form in both if form is not newer for found in form.iter(name)}
    return (found for found in element.iter(name) if found not in older)


def words(part: Element) -> str:
    """Return the words of one run of a paragraph, within `markdown.STRUCK` if they are struck out."""
    part = markup.newer(part) if part.tag == "AlternateContent" else part
    if part.tag == "br":
        return "\n"
    if maths := list(part.iter("oMath")):
        return "".join(map(equations.words, maths))
    properties = markup.find(part, "rPr")
    fonts = (markup.find(properties, kind).get("typeface", "") for kind in ("latin", "sym"))
    found = symbols.words("".join(text.text or "" for text in part.iter("t")), *fonts)
    height = properties.get("baseline", "0")  # in thousandths of a percent of the line's; strict: 30%
    if height.strip("-0.%"):
        found = markdown.lowered(found) if height.startswith("-") else markdown.raised(found)
    return markdown.strike(found, properties.get("strike", "noStrike") != "noStrike")


def _diagram(tree: Element) -> Iterator[str]:
    for _, found in paragraphs(tree):
        yield markdown.item(0, found)
