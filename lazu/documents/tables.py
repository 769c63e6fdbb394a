"""Workbooks in binary form (xls, xlsb) as Markdown, by calamine: each sheet's first 1,000 rows."""

import io
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import python_calamine as calamine

from lazu import containers
from lazu.documents import cells, markdown, records, refusals
from lazu.documents.markdown import MAX_ROWS
from lazu.documents.refusals import Refused

#: How a workbook (xls) begins that is protected by a password: before the record that says so there may be one that
#: asks not to change it ([MS-XLS] §2.4.117). Calamine tells of a password only if it is given a path.
_LOCKED = re.compile(rb"\x09\x08(?:\x08\0|\x10\0)\0[\x05\x06]\x05\0(?:.{4}|.{12})(?:\x86\0\0\0)?\x2f\0", re.DOTALL)


def blocks(data: bytes) -> Iterator[str]:
    """Give the workbook in `data` as blocks of Markdown; raises `Refused`."""
    with _blamed(refusals.LOCKED if _LOCKED.search(data) else refusals.BROKEN):
        book = calamine.load_workbook(io.BytesIO(records.readable(data) if data.startswith(containers.ZIP) else data))
        for known in book.sheets_metadata:
            if known.typ == calamine.SheetTypeEnum.WorkSheet:
                hidden = "" if known.visible == calamine.SheetVisibleEnum.Visible else " (hidden)"
                yield from _sheet(book.get_sheet_by_name(known.name), f"Sheet: {known.name}{hidden}")


class _blamed:  # noqa: N801 - used as the functions of contextlib are
    """Damage is the file's. A panic of calamine's is told by its name alone: no module has its class."""

    def __init__(self, reason: int) -> None:
        self._reason = reason

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Raise `Refused` for what calamine raised."""
        if kind and (issubclass(kind, calamine.CalamineError) or kind.__name__ == "PanicException"):
            raise Refused(self._reason) from error


def _sheet(sheet: Any, title: str) -> Iterator[str]:
    first = sheet.start[0] + 1 if sheet.start else 1
    rows = sheet.to_python(skip_empty_area=True, nrows=MAX_ROWS)
    shown = {row: dict(enumerate(map(_shown, found), 1)) for row, found in enumerate(rows, first)}
    yield from markdown.sheet(title, shown, sheet.end[0] + 1 if sheet.end else 0)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return cells.number(value)
    if isinstance(value, datetime):
        return cells.moment(value)
    if isinstance(value, timedelta):
        return cells.span(value.total_seconds())
    return value.isoformat() if isinstance(value, date) else str(value)
