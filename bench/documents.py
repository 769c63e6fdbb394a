"""How well and how fast documents are read: python -m bench.documents FOLDER [REFERENCES].

FOLDER is one that `bench.collect` filled. For each ending: how many files were read and refused, and the CPU of a
reader process, its start taken off. With references, as `bench.references` makes them, the share of their words that
was found (recall), and of the words found those that stand there (precision), each word as often as it is there, mean
over the files. For PDFs also the references against each other, and each file of which one finds 0.2 more than Lazu.
"""

import collections
import re
import resource
import statistics
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lazu.documents import reading

_TYPES = {"html": "text/html", "htm": "text/html", "eml": "message/rfc822", "pdf": "application/pdf"}
_ANY = "application/octet-stream"
#: What Lazu writes around what is in the file.
_HEAD = re.compile(
    r"^\[Page \d+ of \d+\]$|^\(no text on this page\)$|^## Sheet: |^## Slide |\(rows 1–\d+ of \d+\)$", re.MULTILINE
)
_HYPHEN = re.compile(r"-\s*\n\s*")
#: Words that a reference must have to count: a PDF of three of them says little.
_LEAST = {"pdf": 20}
_ROWS = 1000
#: Chinese and Japanese have no spaces: of them each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")

Words = collections.Counter[str]


class Read(NamedTuple):
    """A file, its text, None if it was refused, and CPU seconds of the reader process."""

    path: Path
    text: str | None
    cpu: float


def main(folder: Path, references: Path | None = None) -> None:
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = [spent(path) for path in sorted(kind.iterdir())]
        timed(kind.name, files)
        if references:
            compared(kind.name, {file.path.stem: words(_HEAD.sub("", file.text or "")) for file in files}, references)


def spent(path: Path) -> Read:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        text = reading.text(path, _TYPES.get(path.suffix[1:].lower(), _ANY)).text
    except reading.Unreadable:
        text = None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Read(path, text, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def timed(kind: str, files: list[Read]) -> None:
    """Print how many were read, and how fast. The cheapest stands for the start of the process."""
    read = sorted(file.cpu for file in files if file.text is not None)
    cpu = (
        f", CPU {1000 * (statistics.median(read) - read[0]):.0f} ms median, start {1000 * read[0]:.0f} ms"
        if read
        else ""
    )
    print(f"{kind}: {len(read)} read, {len(files) - len(read)} refused{cpu}", flush=True)


def words(text: str) -> Words:
    """How often each word stands in a text, hyphens at line ends taken out."""
    text = _HYPHEN.sub("", unicodedata.normalize("NFKC", text).replace("\u00ad", ""))
    return collections.Counter(_WORD.findall(text.casefold()))


def compared(kind: str, ours: dict[str, Words], references: Path) -> None:
    """Print how the files of an ending stand to each reference. Of a file that was refused nothing was found."""
    others = {name.name: referred(name / kind, ours) for name in sorted(references.iterdir())}
    least = _LEAST.get(kind, 5)
    for name, texts in others.items():
        told = {stem: text for stem, text in texts.items() if text.total() >= least}
        for reader, found in [("", ours), *((f"{other}: ", texts) for other, texts in others.items() if other != name)]:
            if told and found:
                print(f"  {reader}{scores(found, told)} against {name}")
    if kind == "pdf":
        lost(ours, others["poppler"], others["mupdf"])


def scores(found: dict[str, Words], told: dict[str, Words]) -> str:
    """Recall and precision of what was found, against what another program tells."""
    pairs = [(found.get(stem, Words()), text) for stem, text in told.items()]
    recall = statistics.mean(share(mine, text) for mine, text in pairs)
    precision = statistics.mean(share(text, mine) for mine, text in pairs if mine)
    return f"recall {recall:.3f}, precision {precision:.3f} of {len(pairs)} files"


def share(found: Words, wanted: Words) -> float:
    """The share of the words of `wanted` that are in `found`."""
    return (found & wanted).total() / wanted.total()


def lost(ours: dict[str, Words], poppler: dict[str, Words], mupdf: dict[str, Words]) -> None:
    """Name each file of whose words by poppler MuPDF has more than Lazu, by over 0.2; or by MuPDF, poppler."""
    for stem in sorted(set(poppler) & set(mupdf)):
        for name, wanted, other in (("poppler", poppler[stem], mupdf[stem]), ("MuPDF", mupdf[stem], poppler[stem])):
            if wanted.total() < _LEAST["pdf"]:
                continue
            mine, theirs = share(ours[stem], wanted), share(other, wanted)
            if mine < theirs - 0.2:
                print(f"    {stem}: {mine:.2f} of the {wanted.total()} words of {name}, the other {theirs:.2f}")


def referred(folder: Path, stems: Iterable[str]) -> dict[str, Words]:
    """What another program made of the files, of each sheet its first rows; those that it did not read are left out."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    stems = set(stems)
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.csv")]):
        stem = path.stem if path.stem in stems else path.stem.rpartition("-")[0]
        text = path.read_text(errors="replace")
        found[stem].append("\n".join(text.split("\n")[:_ROWS]) if path.suffix == ".csv" else text)
    return {stem: words("\n".join(texts)) for stem, texts in found.items() if stem in stems}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
