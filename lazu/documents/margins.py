"""Headers and footers of pages and slides: what they say beside the number of the page."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

#: Fields of OpenDocument whose value is that of one page, or none until it is printed.
_OF_PAGE = ("page-number", "page-count", "sheet-name")

#: Further fields, in which Calc has such signs until then: `???`, `00/00/0000`.
_PUT_IN, _STAND_INS = ("title", "file-name", "date", "time"), "?0/.:- "

#: What stands there without its fields of `Page 1 of 9`, in the languages that programs write it in.
_PAGES = set(
    "page pages pagina pagine página páginas pág pag p seite seiten side sida sidan sivu strona str strana stránka "
    "stranica stran oldal sayfa trang halaman страница стр сторінка стор σελίδα 페이지 쪽 页 頁 ページ 第 第页 第頁 共 "
    "共页 共頁 of de di du von van af av z ze od iz sur su из з από / 中".split()
)


def telling(words: str) -> str:
    """Return the words of a header or footer; none if they only say that there was the number of a page."""
    return words if set(re.findall(r"\w+", words.casefold())) - _PAGES else ""


def bare(margin: Element) -> Element:
    """Return a header or footer of OpenDocument, out of which such fields are taken."""
    for field in margin.iter():
        if field.tag in _OF_PAGE or (field.tag in _PUT_IN and not (field.text or "").strip(_STAND_INS)):
            field.text = ""
    return margin


def repeated(content: Element, styles: Element) -> Iterator[Element]:
    """Give what slides of OpenDocument repeat: footers that they show, and shapes of their masters that none fills.

    A footer is the master's own, or that of a slide, for which the master's has a field.
    """
    styled = ((style.get("name"), page) for style in content.iter("style") for page in style)
    footed = {name for name, page in styled if page.get("display-footer") == "true"}
    slides = list(content.iter("page"))
    showing = [slide for slide in slides if slide.get("style-name") in footed]
    used = {slide.get("use-footer-name") for slide in showing}
    yield from (footer for footer in content.iter("footer-decl") if footer.get("name") in used)
    masters = {None: slides, "footer": showing}
    for master in styles.iter("master-page"):
        for shape in master:
            shown = masters.get(shape.get("class"), ()) if shape.tag != "notes" else ()
            if any(slide.get("master-page-name") == master.get("name") for slide in shown):
                yield bare(shape)
