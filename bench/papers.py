"""Large documents as people have them, made anew: a PDF of 100 full pages, a docx of 2 MB, a workbook of 10 MB."""

import random
import string
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.documents import pages
from helpers.office import docx, paragraph, xlsx

LINES, ACROSS = 45, 70  # of a page of a PDF
PARAGRAPHS, WORDS = 5_000, 100  # of a docx
ROWS, COLUMNS = 92_000, 20  # of a workbook


def prose(letters: random.Random, words: int) -> str:
    return " ".join("".join(letters.choices(string.ascii_lowercase, k=letters.randint(2, 9))) for _ in range(words))


def paper(letters: random.Random) -> bytes:
    """A PDF of 100 pages with 45 lines of 70 letters each."""
    return pages(*[page(letters) for _ in range(100)])


def page(letters: random.Random) -> bytes:
    lines = " ".join(f"({prose(letters, 14)[:ACROSS]}) '" for _ in range(LINES))
    return f"BT /F 10 Tf 14 TL 72 740 Td {lines} ET".encode()


def letter(letters: random.Random) -> bytes:
    """A docx of about 2 MB: 5,000 paragraphs, 500,000 words."""
    return docx("".join(paragraph(prose(letters, WORDS)) for _ in range(PARAGRAPHS)))


def book(letters: random.Random) -> bytes:
    """A workbook of about 10 MB: 92,000 rows of 20 numbers."""
    rows = (f'<row r="{n}">' + "".join(cells(letters)) + "</row>" for n in range(1, ROWS + 1))
    return xlsx(("Figures", f"<sheetData>{''.join(rows)}</sheetData>"))


def cells(letters: random.Random) -> list[str]:
    return [f"<c><v>{letters.randrange(10**8) / 100}</v></c>" for _ in range(COLUMNS)]


PAPERS = {"100-page PDF": ("a.pdf", paper), "2 MB docx": ("a.docx", letter), "10 MB xlsx": ("a.xlsx", book)}
