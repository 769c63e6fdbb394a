"""Have other programs read the documents that `bench.collect` brought.

python -m bench.references [--made] FOLDER REFERENCES [PYTHON]

LibreOffice (`soffice`) reads office documents, poppler (`pdftotext`) and MuPDF read PDFs; for the latter PYTHON is one
that has PyMuPDF, which is AGPL and so in no list of ours. What they made of `FOLDER/docx/a.docx` is
`REFERENCES/libreoffice/docx/a.txt`, of a workbook `a-Sheet.csv`. What is there already is not made again. With `--made`
every third docx is first saved as odt and rtf in FOLDER: the collections have few.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
_TXT = "txt:Text:UTF8"
#: What LibreOffice makes of each ending. It has no text of slides, so those become PDFs, of which poppler makes text.
_FILTERS = {
    "docx": _TXT, "docm": _TXT, "odt": _TXT, "rtf": _TXT, "xlsx": _CSV, "xlsm": _CSV, "ods": _CSV,
    "pptx": "pdf", "pptm": "pdf", "odp": "pdf",
}  # fmt: skip
#: Documents that it takes at once; where it crashes, those behind have no reference.
_BATCH = 8
_SECONDS = 90

_MUPDF = """
import pathlib, sys, pymupdf
pymupdf.TOOLS.mupdf_display_errors(False)
for path in map(pathlib.Path, sys.argv[2:]):
    try:
        document = pymupdf.open(path, filetype="pdf")
        if not document.needs_pass:
            text = "\\n".join(page.get_text() for page in document)
            pathlib.Path(sys.argv[1], path.stem + ".txt").write_text(text, errors="replace")
    except Exception as error:
        print(path.name, error)
"""


def main(folder: Path, references: Path, python: str = "") -> None:
    """Make what is missing."""
    papers = sorted((folder / "pdf").glob("*"))
    each([["pdftotext", "-enc", "UTF-8", path, text] for path, text in missing(papers, references / "poppler" / "pdf")])
    if python:
        target = references / "mupdf" / "pdf"
        paths = [path for path, _ in missing(papers, target)]
        each([[python, "-c", _MUPDF, target, *batch] for batch in batches(paths, 40)])
    for kind, form in _FILTERS.items():
        converted(sorted((folder / kind).glob("*")), form, references / "libreoffice" / kind)
        slides = sorted((references / "libreoffice" / kind).glob("*.pdf"))
        each([["pdftotext", path, text] for path, text in missing(slides, references / "libreoffice" / kind)])


def missing(paths: list[Path], target: Path) -> list[tuple[Path, Path]]:
    """The paths whose text is not there yet, each with that text's own."""
    target.mkdir(parents=True, exist_ok=True)
    texts = ((path, target / f"{path.stem}.txt") for path in paths)
    return [(path, text) for path, text in texts if not text.exists()]


def batches(paths: list[Path], size: int) -> Iterator[list[Path]]:
    """Give the paths, so many at a time."""
    return (paths[start : start + size] for start in range(0, len(paths), size))


def made(folder: Path) -> None:
    """Save every third docx as odt and as rtf, beside those that are there."""
    papers = [
        path for path in sorted((folder / "docx").glob("*")) if not (folder / "odt" / f"{path.stem}.odt").exists()
    ][::3]
    for form in ("odt", "rtf"):
        converted(papers, form, folder / form)


def each(commands: list[list[str | Path]]) -> None:
    """Run commands, two at a time; one that fails or takes too long leaves no reference."""
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(quietly, commands))


def quietly(words: list[str | Path]) -> None:
    """Run a command, for so many seconds; how it ends does not matter, what it left does."""
    subprocess.run(
        ["timeout", "-k", "5", str(_SECONDS), *words], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def converted(paths: list[Path], form: str, target: Path) -> None:
    """Have LibreOffice make `form` of documents, a few at a time."""
    target.mkdir(parents=True, exist_ok=True)
    there = "\n".join(path.name for path in target.iterdir())
    absent = [path for path in paths if path.stem not in there]
    with tempfile.TemporaryDirectory() as home:
        words = ["soffice", f"-env:UserInstallation=file://{home}", "--headless", "--norestore", "--convert-to", form]
        for batch in batches(absent, _BATCH):
            quietly([*words, "--outdir", target, *batch])


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--made"]
    if "--made" in sys.argv:
        made(Path(words[0]))
    main(Path(words[0]), Path(words[1]), *words[2:])
