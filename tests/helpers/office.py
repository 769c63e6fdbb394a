"""Office documents, as small as they can be: parts of XML in a zip archive."""

import io
import zipfile

#: Media types by the short names that tests give them.
TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_W = f'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="{OFFICE}"'
_S = f'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{OFFICE}"'
_P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    f'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="{OFFICE}"'
)


def archive(members, compression=zipfile.ZIP_DEFLATED):
    """A zip archive of names and what they hold."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def relations(*targets):
    """A part that refers to others: pairs of a kind and a target; their ids are rId1, rId2 …; URLs are external."""
    entries = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"'
        f'{" TargetMode=" + chr(34) + "External" + chr(34) if "://" in target else ""}/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{entries}</Relationships>'


def docx(body, relates=(), **parts):
    """A Word document: its body as XML; `relates` are its relations, and `parts` what they lead to, in word/."""
    members = {
        "_rels/.rels": relations(("officeDocument", "word/document.xml")),
        "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(*relates),
        **{f"word/{name}.xml": f"<w:{name} {_W}>{content}</w:{name}>" for name, content in parts.items()},
    }
    return archive(members)


def paragraph(words, properties=""):
    """A paragraph of a Word document."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{words}</w:t></w:r></w:p>"


def xlsx(*sheets, strings=(), styles="", calculated="0", **parts):
    """A workbook: each sheet as its name and its XML inside `worksheet`; `parts` are further members, / being __.

    `calculated` is 1 if programs are to work out its formulas when they open it.
    """
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, (name, _) in enumerate(sheets, 1))
    targets = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    shared = "".join(f"<si><t>{string}</t></si>" for string in strings)
    return archive(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook {_S}><sheets>{listed}</sheets><calcPr fullCalcOnLoad="{calculated}"/></workbook>',
            "xl/_rels/workbook.xml.rels": relations(*targets, ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")),
            "xl/sharedStrings.xml": f"<sst {_S}>{shared}</sst>",
            "xl/styles.xml": f"<styleSheet {_S}>{styles}</styleSheet>",
            **{f"xl/worksheets/sheet{n}.xml": f"<worksheet {_S}>{xml}</worksheet>" for n, (_, xml) in enumerate(sheets, 1)},
            **{name.replace("__", "/"): content for name, content in parts.items()},
        }
    )


def _record(kind, content=b""):
    """A record of an xlsb: its kind and size in seven bits a byte."""
    size = len(content)
    head = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
    return head + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + content


def xlsb(rows, strings=()):
    """A binary workbook of one sheet, `Plan`; a cell is its record's kind, its column from 1 on (0 if it is a short one) and its value.

    A floating number in a short one is a date.
    """

    def wide(words):
        return len(words).to_bytes(4, "little") + words.encode("utf-16-le")

    def cell(kind, column, value):
        place = (column - 1).to_bytes(4, "little") if column else b""
        return _record(kind, place + (b"\1" if kind == 16 else b"\0") + bytes(3) + value)

    made = b"".join(_record(0, number.to_bytes(4, "little") + bytes(17)) + b"".join(cell(*found) for found in row) for number, row in enumerate(rows))
    formats = b"".join(_record(47, bytes(2) + bytes([number, 0]) + bytes(12)) for number in (0, 14))
    return archive(
        {
            "xl/workbook.bin": _record(131) + _record(143) + _record(156, bytes(4) + b"\1" + bytes(3) + wide("rId1") + wide("Plan")) + _record(144) + _record(132),
            "xl/_rels/workbook.bin.rels": relations(("worksheet", "worksheets/sheet1.bin"), ("sharedStrings", "sharedStrings.bin"), ("styles", "styles.bin")),
            "xl/sharedStrings.bin": _record(159, 2 * len(strings).to_bytes(4, "little")) + b"".join(_record(19, b"\0" + wide(words)) for words in strings) + _record(160),
            "xl/styles.bin": _record(278) + _record(617, b"\2" + bytes(3)) + formats + _record(618) + _record(279),
            "xl/worksheets/sheet1.bin": _record(129) + _record(148, bytes(16)) + _record(145) + made + _record(146) + _record(130),
        }
    )


def pptx(*slides, **parts):
    """A presentation: each slide as the XML of its shapes; `parts` are further members, / being __."""
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
    tree = "<p:sld {}><p:cSld><p:spTree>{}</p:spTree></p:cSld></p:sld>"
    return archive(
        {
            "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f"<p:presentation {_P}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(*(("slide", f"slides/slide{n}.xml") for n in range(1, len(slides) + 1))),
            **{f"ppt/slides/slide{n}.xml": tree.format(_P, shapes) for n, shapes in enumerate(slides, 1)},
            **{name.replace("__", "/"): content.replace("XMLNS", _P) for name, content in parts.items()},
        }
    )


def shape(words, placeholder=None):
    """A shape of a slide with a paragraph for each line; `placeholder` is its kind, if it is one."""
    kind = "" if placeholder is None else f'<p:ph type="{placeholder}"/>' if placeholder else "<p:ph/>"
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in words.split("\n"))
    return f"<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr>{kind}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


_ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text", "table", "draw", "style", "presentation")
) + ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def odf(kind, body, automatic="", masters="", **members):
    """An OpenDocument file: `kind` is text, spreadsheet or presentation; `masters` holds its headers and footers."""
    return archive(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content {_ODF}><office:automatic-styles>{automatic}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
            "styles.xml": f"<office:document-styles {_ODF}><office:master-styles>{masters}</office:master-styles></office:document-styles>",
            **members,
        }
    )


def epub(*chapters, **members):
    """A book of chapters, each as the content of its body; the second is read first. `members` are more, / being __."""
    items = "".join(f'<item id="c{n}" href="c%20{n}.xhtml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in sorted(range(len(chapters)), key=lambda n: n != 1))
    package = f"<package><metadata><title>A book</title><creator>Ada</creator></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": package,
            **{f"OPS/c {n}.xhtml": f"<html><head><title>no</title></head><body>{body}</body></html>" for n, body in enumerate(chapters)},
            **{name.replace("__", "/"): content for name, content in members.items()},
        }
    )
