"""The real Lazu, opened in a process of its own: uploads, deletions and purges through its front doors."""

import hashlib
import logging
import os
from pathlib import Path

from flask import Flask
from peewee import sqlite3

from lazu import clock, config
from lazu.application import create_app
from lazu.store.opening import open_store
from lazu.store.sqlite import database

KEY = "sk-lazu-crash"
HEADERS = {"Authorization": f"Bearer {KEY}"}
LATER = 31 * clock.DAY

#: What is uploaded: a few bytes, more than a page, and more than one piece of a request's body, with room reserved.
CONTENTS = {
    "a": b"a small file\n",
    "b": b"a file of two pages\n" * 300,
    "c": b"a file that comes in several pieces\n" * 36_000,
}
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
    """A Lazu on `folder`, in this process and thread only; `later` times 31 days ahead."""

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


def rows(folder: Path) -> dict[str, str]:
    """Every file row, asked of SQLite and not of Lazu: id to sha256."""
    base = sqlite3.connect(folder / "lazu.sqlite3")
    try:
        if base.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return {"integrity_check": ""}
        if not base.execute("SELECT 1 FROM sqlite_schema WHERE name = 'file'").fetchall():
            return {}
        return dict(base.execute("SELECT id, sha256 FROM file").fetchall())
    finally:
        base.close()


def blobs(folder: Path) -> dict[str, str]:
    """Every file under `blobs/`: name to the sha256 of what is in it."""
    return {name: hashlib.sha256(Path(place, name).read_bytes()).hexdigest()
            for place, _, names in os.walk(folder / "blobs") for name in names}
