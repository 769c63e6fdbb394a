"""Office Open XML packages: parts of XML in a zip archive, and how they refer to each other (ECMA-376 part 2)."""

import posixpath
from typing import NamedTuple
from xml.etree.ElementTree import Element

from lazu.documents import markup, refusals
from lazu.documents.archive import Archive
from lazu.documents.refusals import Refused


class Relation(NamedTuple):
    """A relation of a part: the last word of its type, and the name of another part or, outside, a URL."""

    kind: str
    target: str
    outside: bool


class Package(Archive):
    """A docx, pptx or xlsx."""

    def root(self, fallback: str) -> str:
        """Return the name of the main part; raises `Refused` if there is none."""
        found = [relation.target for relation in self.relations("").values() if relation.kind == "officeDocument"]
        main = next((name for name in [*found, fallback] if name in self), None)
        if main is None:
            raise Refused(refusals.BROKEN)
        return main

    def tree(self, name: str) -> Element:
        """Return a part as a tree; one that is not there has nothing in it."""
        return markup.tree(self.read(name))

    def relations(self, name: str) -> dict[str, Relation]:
        """Return the relations of a part, by id; the name of the package itself is empty."""
        folder, last = posixpath.split(name)
        tree = self.tree(f"{folder}/_rels/{last}.rels")
        return {entry.get("Id", ""): _relation(entry, folder) for entry in tree}

    def related(self, name: str, *kinds: str) -> list[str]:
        """Return the names of the parts to which a part refers in one of these ways, in order."""
        return [relation.target for relation in self.relations(name).values() if relation.kind in kinds]


def _relation(entry: Element, folder: str) -> Relation:
    target, outside = entry.get("Target", ""), entry.get("TargetMode") == "External"
    return Relation(
        entry.get("Type", "").rpartition("/")[2],
        target if outside else posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/"),
        outside,
    )
