"""How well and how fast documents are read: python -m bench.documents [FOLDER [REFERENCES]].

Without a folder: CPU seconds of the reader process for a large document of three kinds. With one: for each
ending, how many files were read and refused, and the median CPU; with references (what another program made of
the same files: NAME.txt, or for a workbook NAME-Sheet.csv) also how many of their words were found.
"""

import collections
import re
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from lazu.documents import reading

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.documents import pages, words
from helpers.office import docx, paragraph, xlsx

_TYPES = {"html": "text/html", "htm": "text/html", "eml": "message/rfc822", "txt": "text/plain"}
_WORD = re.compile(r"\w+")


def spent(path):
    """The text of a file, None if it is refused, and the CPU seconds that the reader process took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        text = reading.text(path, _TYPES.get(path.suffix[1:].lower(), "application/octet-stream")).text
    except reading.Unreadable:
        text = None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return text, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def recall(text, references):
    """The share of the words of `references` that `text` has, each as often as it stands there; None without words."""
    wanted = collections.Counter(_WORD.findall("\n".join(references).casefold()))
    found = collections.Counter(_WORD.findall(text.casefold()))
    return (wanted & found).total() / wanted.total() if wanted.total() >= 5 else None


def referred(path, folder):
    """What another program made of a file; of a sheet its first 1,000 rows."""
    if folder is None:
        return []
    sheets = [*folder.glob(f"{path.stem}.csv"), *folder.glob(f"{path.stem}-*.csv")]
    texts = [other.read_text(errors="replace") for other in folder.glob(f"{path.stem}.txt")]
    return texts + ["\n".join(sheet.read_text(errors="replace").splitlines()[:1000]) for sheet in sheets]


def corpus(folder, references):
    """Print a line for each ending in `folder`."""
    rows = collections.defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text, cpu = spent(path)
        found = recall(text, referred(path, references)) if text is not None and references else None
        rows[path.suffix[1:].lower()].append((text is not None, cpu, found))
    for ending, row in sorted(rows.items()):
        shares = [found for _, _, found in row if found is not None]
        told = f", words {statistics.mean(shares):.3f} of {len(shares)} files" if shares else ""
        read = [cpu for ok, cpu, _ in row if ok]
        cpu = f", CPU {statistics.median(read) * 1000:.0f} ms median" if read else ""
        print(f"{ending}: {len(read)} read, {len(row) - len(read)} refused{cpu}{told}")


def large():
    """Print what a large document of each kind takes."""
    prose = "The quick brown fox jumps over the lazy dog. " * 8
    rows = "".join(f'<row r="{n}">' + f"<c><v>{n}.25</v></c>" * 20 + "</row>" for n in range(1, 120_001))
    made = {
        "100 pages.pdf": pages(*[words(prose[:300])] * 100),
        "20,000 paragraphs.docx": docx(paragraph(prose) * 20_000),
        "120,000 rows.xlsx": xlsx(("One", f"<sheetData>{rows}</sheetData>")),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, data in made.items():
            path = Path(folder) / name
            path.write_bytes(data)
            text, cpu = spent(path)
            print(f"{name} ({len(data) >> 10} KiB): CPU {cpu:.2f} s, {len(text or '')} characters")


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    corpus(arguments[0], arguments[1] if arguments[1:] else None) if arguments else large()
