"""Books (epub) as Markdown: chapters in the order of reading (EPUB 3.3, §5.2 and §5.7)."""

import posixpath
from collections.abc import Iterator
from urllib.parse import unquote

from lazu.documents import encodings, markdown, markup, refusals, web
from lazu.documents.archive import Archive
from lazu.documents.notes import Footnotes
from lazu.documents.refusals import Refused


def blocks(data: bytes) -> Iterator[str]:
    """Give the book in `data` as blocks of Markdown; raises `Refused`."""
    archive = Archive(data)
    locked = set(_encrypted(archive))
    roots = [
        entry.get("full-path", "") for entry in markup.tree(archive.read("META-INF/container.xml")).iter("rootfile")
    ]
    if not roots:
        raise Refused(refusals.BROKEN)
    package = markup.tree(archive.read(roots[0]))
    metadata = markup.find(package, "metadata")
    yield from (f"Title: {markdown.line(markup.text(entry))}" for entry in metadata.iter("title"))
    yield from (f"Author: {markdown.line(markup.text(entry))}" for entry in metadata.iter("creator"))
    items = {item.get("id", ""): item.get("href", "") for item in markup.find(package, "manifest")}
    footnotes = Footnotes()
    for entry in markup.find(package, "spine"):
        name = posixpath.join(posixpath.dirname(roots[0]), unquote(items.get(entry.get("idref", ""), "")))
        if posixpath.normpath(name) in locked:
            raise Refused(refusals.LOCKED)
        chapter = archive.read(name)
        footnotes.page = name
        if chapter:
            yield from web.blocks(encodings.declared(chapter), titled=False, notes=footnotes)


def _encrypted(archive: Archive) -> Iterator[str]:
    """Give the names of what only a shop's own program can read; fonts may be among it in any book."""
    for entry in markup.tree(archive.read("META-INF/encryption.xml")).iter("CipherReference"):
        yield posixpath.normpath(unquote(entry.get("URI", "")))
