"""Do rows and blobs agree: the one function that says so, for `flask fsck` and after every test."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from lazu.files import Files
from lazu.models import File


@dataclass(frozen=True)
class Problem:
    """One disagreement: its `kind`, and the file id or hash it is about.

    `missing`: a row whose blob is not there; `damaged`: a blob of another size, or with `rehash` of other bytes, than
    its row says; `stray`: a blob that no row refers to.
    """

    kind: str
    about: str


def check(files: Files, rehash: bool = False) -> Iterator[Problem]:
    """Every disagreement in the store, while nobody else changes it; with `rehash` every byte is read."""
    for row in File.select(File.id, File.sha256, File.bytes):
        kind = _look(files, row, rehash)
        if kind:
            yield Problem(kind, row.id)
    for names in files.blobs.names():
        for sha256 in sorted(files.unreferred(names)):
            yield Problem("stray", sha256)


def _look(files: Files, row: File, rehash: bool) -> str | None:
    try:
        blob = files.blobs.open(row.sha256)
    except FileNotFoundError:
        return "missing"
    with blob:
        same = files.blobs.size(row.sha256) == row.bytes
        if same and rehash:
            same = hashlib.file_digest(blob, "sha256").hexdigest() == row.sha256
    return None if same else "damaged"
