"""Notebooks (ipynb) as Markdown: words as they are, code and its output in fences (nbformat 3 and 4)."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

from lazu.documents import markdown, markup, refusals
from lazu.documents.refusals import Refused

Cell = dict[str, Any]


def blocks(data: bytes) -> Iterator[str]:
    """Give the notebook in `data` as blocks of Markdown; raises `Refused`."""
    try:
        book = json.loads(data.removeprefix(codecs.BOM_UTF8))
        metadata = book.get("metadata", {})
        cells = book["cells"] if "cells" in book else [cell for sheet in book["worksheets"] for cell in sheet["cells"]]
        language = str(
            metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name", "")
        )
        for cell in cells:
            yield from _cell(cell, language)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Refused(refusals.BROKEN) from e


def _cell(cell: Cell, language: str) -> Iterator[str]:
    words = _joined(cell.get("source") or cell.get("input") or "")
    if cell["cell_type"] == "heading":
        yield markdown.heading(markup.number(str(cell.get("level", 1)), 1), words)
    elif cell["cell_type"] != "code":
        yield words
    else:
        yield markdown.fenced(words, language)
        for output in cell.get("outputs", ()):
            shown = _output(output)
            yield f"Output:\n\n{markdown.fenced(shown)}" if shown.strip() else ""


def _output(output: Cell) -> str:
    """Return the words of an output; of a picture, that there is one."""
    if output["output_type"] in ("error", "pyerr"):
        return "\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])
    if "text" in output:
        return _joined(output["text"])
    data = output.get("data", {})
    for kind in ("text/markdown", "text/plain", "text/latex", "text/html"):
        if kind in data:
            return _joined(data[kind])
    return f"[{', '.join(map(str, data))}]" if data else ""


def _joined(words: str | list[str]) -> str:
    return words if isinstance(words, str) else "".join(words)
