"""The real Lazu, opened in a process of its own: uploads, deletions and purges through its front doors."""

import hashlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

from flask import Flask
from peewee import sqlite3

from lazu import clock, config, logs
from lazu.application import create_app
from lazu.store.contents.journal import Journal
from lazu.store.keys import Keys
from lazu.store.opening import open_store
from lazu.store.sqlite.engine import database
from lazu.store.tables import Upload, UploadPart

KEY = "sk-lazu-crash"
HEADERS = {"Authorization": f"Bearer {KEY}"}
LATER = 31 * clock.DAY

#: What is uploaded: few bytes, few but more than a page, and many, which come in several pieces and have room reserved.
CONTENTS = {
    "a": b"a small file\n",
    "b": b"a file of two pages\n" * 300,
    "c": b"a file that comes in several pieces\n" * 36_000,
}
#: Comes in parts, whose bytes are those of a and b.
CONTENTS["d"] = CONTENTS["a"] + CONTENTS["b"]
DIGESTS = {letter: hashlib.sha256(data).hexdigest() for letter, data in CONTENTS.items()}
FORM = "multipart/form-data; boundary=crash"
FORMS = {
    letter: (
        b'--crash\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--crash\r\n'
        b'Content-Disposition: form-data; name="file"; filename="%s.txt"\r\n\r\n' % letter.encode()
    ) + data + b"\r\n--crash--\r\n"
    for letter, data in CONTENTS.items()
}


def settings(folder: Path) -> config.Settings:
    return config.Settings(storage_dir=folder, api_key=KEY, min_free_bytes=0)


class Store:
    """A Lazu on `folder`, in this process and thread only; `later` times 31 days ahead.

    Nothing is done beside a request, so that boundaries are the same each time and no thread meets a fork: `checkpoint`
    is a word of the scripts, and the last use of a key stays unwritten.
    """

    app: Flask | None = None

    def __init__(self, folder: Path, later: int = 0) -> None:
        self.app.extensions["lazu"] = open_store(settings(folder))
        self.folder = folder
        self.client = self.app.test_client()
        for _ in range(later):
            self.later()

    @classmethod
    def warm(cls, folder: Path) -> None:
        """Make the application, once for all forks, and do in `folder` what takes long the first time.

        SQLite is closed again: no connection crosses a fork.
        """
        logging.disable()
        logs.audit = lambda *_, **__: None
        Journal.note = lambda _: None
        Keys._note = lambda *_: None
        cls.app = create_app(settings(folder))
        lazu = cls(folder)
        lazu.delete(lazu.upload("a"))
        lazu.command("purge")
        database.close()

    @staticmethod
    def later() -> None:
        """Go on 31 days later."""
        true = clock.milliseconds
        clock.milliseconds = lambda: true() + LATER * 1000

    def upload(self, letter: str) -> str:
        """Upload a content; gives the file's id when the answer was 200."""
        answer = self.client.post("/v1/files", headers=HEADERS, data=FORMS[letter], content_type=FORM)
        assert answer.status_code == 200, answer.text
        return str(answer.json["id"])

    def checkpoint(self) -> None:
        """What a thread does a second after an upload of few bytes."""
        contents = self.app.extensions["lazu"].contents
        contents.engine.connect()
        contents.journal.checkpoint()

    def begin(self, letter: str, pieces: str) -> str:
        """Begin an upload of a content whose parts are the contents `pieces`; gives its id."""
        size = len(CONTENTS[letter])
        declared = {"filename": f"{letter}.txt", "bytes": size, "purpose": "user_data"}
        assert CONTENTS[letter] == b"".join(CONTENTS[piece] for piece in pieces)
        return str(self._post("/v1/uploads", json=declared).json["id"])

    def send(self, upload_id: str, piece: str) -> str:
        """Send a content as a part; gives its id when the answer was 200."""
        form = FORMS[piece].replace(b'name="file"', b'name="data"')
        answer = self._post(f"/v1/uploads/{upload_id}/parts", data=form, content_type=FORM)
        assert answer.status_code == 200, answer.text
        return str(answer.json["id"])

    def complete(self, upload_id: str, part_ids: list[str]) -> str | None:
        """Make a file of the parts; gives its id, None when the upload was over."""
        answer = self._post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": part_ids})
        assert answer.status_code in (200, 400, 404), answer.text
        return str(answer.json["file"]["id"]) if answer.status_code == 200 else None

    def cancel(self, upload_id: str) -> bool:
        """Cancel an upload; False when it was over."""
        answer = self._post(f"/v1/uploads/{upload_id}/cancel")
        assert answer.status_code in (200, 400, 404), answer.text
        return answer.status_code == 200

    def _post(self, path: str, **body):
        return self.client.post(path, headers=HEADERS, **body)

    @staticmethod
    def newest_upload(letter: str) -> tuple[str, list[str]] | None:
        """The id of the newest upload of this content that is pending, and those of its parts, in their order."""
        pending = Upload.filename == f"{letter}.txt", Upload.file_id.is_null(), Upload.cancelled_at.is_null()
        found = Upload.select().where(*pending).order_by(Upload.id.desc()).first()
        parts = UploadPart.select().where(UploadPart.upload == found).order_by(UploadPart.id)
        return (found.id, [part.id for part in parts]) if found else None

    def delete(self, file_id: str) -> bool:
        """Delete a file; False when it was gone."""
        answer = self.client.delete(f"/v1/files/{file_id}", headers=HEADERS)
        assert answer.status_code in (200, 404), answer.text
        return answer.status_code == 200

    def newest(self, letter: str) -> str | None:
        """The id of the newest file with this content."""
        files = self.client.get("/v1/files", headers=HEADERS).json["data"]
        return next((file["id"] for file in files if file["filename"] == f"{letter}.txt"), None)

    def command(self, *words: str) -> None:
        """`flask WORDS`; AssertionError unless it leaves with 0."""
        with self.app.app_context():
            result = self.app.test_cli_runner().invoke(args=list(words))
        assert result.exit_code == 0, f"{result.output} {result.exception!r}"


def harm(folder: Path, letter: str, lose: bool) -> None:
    """Lose a blob, or change a byte of it, as a bad disk does."""
    blob = folder / "blobs" / DIGESTS[letter][:2] / DIGESTS[letter]
    if lose:
        blob.unlink()
    else:
        blob.write_bytes(b"?" + CONTENTS[letter][1:])


def strip(folder: Path, letter: str, lose: bool) -> None:
    """Leave of a blob what a power cut may leave of one that no checkpoint has met: no name, or no bytes."""
    blob = folder / "blobs" / DIGESTS[letter][:2] / DIGESTS[letter]
    if lose:
        blob.unlink()
    else:
        os.truncate(blob, 0)


#: Parts of uploads that are completed or cancelled.
DEAD = """SELECT id FROM upload_part WHERE upload_id IN (
    SELECT id FROM upload WHERE file_id IS NOT NULL OR cancelled_at IS NOT NULL)"""


class Rows(NamedTuple):
    """What the database says, asked of SQLite and not of Lazu."""

    files: dict[str, str]  # and parts: id to sha256
    dead: set[str]  # parts of uploads that are over
    journal: list[tuple[str, str]]  # of each entry the hash it tells, and that of its bytes


def rows(folder: Path) -> Rows:
    """Every row; `integrity_check` is one if SQLite finds the database damaged."""
    base = sqlite3.connect(folder / "lazu.sqlite3")
    try:
        if base.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return Rows({"integrity_check": ""}, set(), [])
        if not base.execute("SELECT 1 FROM sqlite_schema WHERE name = 'file'").fetchall():
            return Rows({}, set(), [])
        found = dict(base.execute("SELECT id, sha256 FROM file UNION ALL SELECT id, sha256 FROM upload_part").fetchall())
        entries = base.execute("SELECT sha256, bytes FROM journal")
        journal = [(sha256, hashlib.sha256(data).hexdigest()) for sha256, data in entries]
        return Rows(found, {part_id for (part_id,) in base.execute(DEAD)}, journal)
    finally:
        base.close()


def blobs(folder: Path) -> dict[str, str]:
    """Every file under `blobs/` but those in quarantine: name to the sha256 of what is in it."""
    found = [path for path in files(folder / "blobs") if path.parent.name != "quarantine"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def files(folder: Path) -> list[Path]:
    """All files below: of 256 folders, thousands of times, so nothing is made of what is empty."""
    entries = list(os.scandir(folder))
    found = [Path(entry.path) for entry in entries if not entry.is_dir()]
    return found + [path for entry in entries if entry.is_dir() for path in files(entry.path)]
