"""PDFs that run a script, by every way that a document has; the script is `app.alert('NAME')`."""

import zlib


def document(*objects, trailer=b"/Root 1 0 R"):
    """A PDF of `objects`, numbered from 1, with a table of where they are."""
    return _revision(b"%PDF-1.7\n", dict(enumerate(objects, 1)), trailer)


def _revision(before, objects, trailer):
    """`before`, and behind it `objects` by number with their table: so is a PDF changed, too."""
    body, table = before, b""
    for number, each in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(body))
        body += b"%d 0 obj%s endobj\n" % (number, each)
    return body + b"xref\n0 1\n0000000000 65535 f \n%strailer<</Size 99%s>>startxref\n%d\n%%%%EOF\n" % (table, trailer, len(body))


def stream(dictionary, data):
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (dictionary, len(data), data)


PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"


def _catalog(more):
    return b"<</Type/Catalog/Pages 2 0 R%s>>" % more


def _plain(more, *others, page=PAGE):
    return document(_catalog(more), PAGES, page, *others)


def packed(script, padding=b"", again=0):
    """Everything in an object stream, found by a cross-reference stream; `padding` behind it, its last object named `again`."""
    objects = [_catalog(b"/OpenAction 4 0 R"), PAGES, PAGE, b"<</S/JavaScript/JS(%s)>>" % script]
    places = [sum(len(each) + 1 for each in objects[:number]) for number in range(4)]
    names = [*enumerate(places, 1), *((number, places[3]) for number in range(10, 10 + again))]
    head = b" ".join(b"%d %d" % name for name in names) + b"\n"
    data = zlib.compress(head + b"\n".join(objects) + padding)
    body = b"%%PDF-1.7\n5 0 obj%sendobj\n" % stream(b"/Type/ObjStm/Filter/FlateDecode/N %d/First %d" % (len(names), len(head)), data)
    rows = [(0, 0, 0), *((2, 5, index) for index in range(4)), (1, 9, 0), (1, len(body), 0)]
    table = b"".join(bytes([kind, *at.to_bytes(4, "big"), index]) for kind, at, index in rows)
    return body + b"6 0 obj%sendobj\nstartxref\n%d\n%%%%EOF" % (stream(b"/Type/XRef/Root 1 0 R/Size 7/W[1 4 1]", table), len(body))


def _changed(script):
    """Harmless at first, then changed."""
    first = _plain(b"")
    trailer = b"/Root 1 0 R/Prev %d" % first.rindex(b"xref\n0 1")
    return _revision(first, {1: _catalog(b"/OpenAction<</S/JavaScript/JS(%s)>>" % script)}, trailer)


#: What makes a document of a script, by name.
HIDING_PLACES = {
    "opened": lambda s: _plain(b"/OpenAction<</S/JavaScript/JS(%s)>>" % s),
    "page opened": lambda s: _plain(b"", page=b"%s/AA<</O<</S/JavaScript/JS(%s)>>>>>>" % (PAGE[:-2], s)),
    "named": lambda s: _plain(b"/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(%s)>>]>>>>" % s),
    "codes in names": lambda s: _plain(b"/Open#41ction<</#53/Java#53cript/J#53(%s)>>" % s),
    "elsewhere": lambda s: _plain(b"/OpenAction 4 0 R", b"<</S/JavaScript/JS 5 0 R>>", stream(b"", s)),
    "hexadecimal": lambda s: _plain(b"/OpenAction<</S/JavaScript/JS<%s>>>" % s.hex().encode()),
    "afterwards": lambda s: _plain(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next<</S/JavaScript/JS(%s)>>>>" % s),
    "object stream": packed,
    "incremental update": _changed,
    "comments between": lambda s: _plain(b"/OpenAction%%<<>>\n<<%%)\n/S%%x\n/JavaScript/JS(%s)>>" % s),
    "form": lambda s: _plain(
        b"/AcroForm<</Fields[4 0 R]/CO[4 0 R]>>/OpenAction<</S/JavaScript/JS(%s)>>" % s,
        b"<</FT/Tx/T(a)/Type/Annot/Subtype/Widget/Rect[0 0 9 9]/AA<</C<</S/JavaScript/JS(%s)>>>>>>" % s,
    ),
    "xfa": lambda s: _plain(
        b"/AcroForm<</Fields[]/XFA 4 0 R>>/OpenAction<</S/JavaScript/JS(%s)>>" % s,
        stream(b"", b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><template><script>%s</script></template></xdp:xdp>" % s),
    ),
}


def scripted(name):
    """The document that runs its script by the way `name`."""
    return HIDING_PLACES[name](b"app.alert('%s')" % name.encode())
