"""One box of a race, as a process of its own: `python -m helpers.box LOG UPLOADS SEED [hash-names | denied]`.

Four threads upload, at once or in parts, read and delete six contents while a fifth sweeps and revokes intents of any age. What was acknowledged
is written to LOG, a line each, before anything else is done: `+ ID` added, `? ID` to be deleted, `- ID` deleted, `! WHY ID` for a
promise that was broken before the eyes of this box.
"""

import os
import random
import sys
import threading
import time

from lazu import config
from lazu.errors import FileNotFound, InvalidRequest, Overloaded, StoreError, UploadNotFound
from lazu.store.contents import intents, object_names
from lazu.store.contents.objects import Objects
from lazu.store.files import NewFile
from lazu.store.opening import open_store
from lazu.store.uploads import Completion, Declared

CONTENTS = [bytes([65 + number]) * (4096 << number) for number in range(6)]
#: Most uploads meet a content that is not there, so that names come and go.
THREADS, HELD = 4, 2


class Box:
    """A store, and the log of what it was told."""

    def __init__(self, log: str) -> None:
        self.store = open_store(config.read().use())
        self.key = self.racer()
        self.fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def racer(self):
        """The key, as soon as the database is there."""
        while True:
            try:
                return self.store.keys.find("racer")
            except StoreError:
                time.sleep(0.1)

    def say(self, mark: str, file_id: str) -> None:
        os.write(self.fd, f"{mark} {file_id}\n".encode())

    def upload(self, data: bytes):
        with self.store.contents.stage(2**30, len(data)) as place:
            place.write(data)
            file = self.store.files.create(self.key, NewFile(place, "a.txt", "text/plain", "user_data", None))
        self.say("+", file.id)
        return file

    def upload_in_parts(self, data: bytes, give_up: bool):
        """The same by `/v1/uploads`; None if it was given up, or another thread removed all uploads of the key meanwhile."""
        uploads, half = self.store.uploads, len(data) // 2
        try:
            upload = uploads.create(self.key, Declared("a.txt", len(data), "user_data", None))
            parts = [self.part(upload, piece) for piece in (data[:half], data[half:])]
            if give_up:
                uploads.cancel(self.key, upload.id)
                return None
            _, file = uploads.complete(self.key, upload.id, Completion([part.id for part in parts], None))
        except (UploadNotFound, InvalidRequest):
            uploads.delete_all(self.key)  # what killed boxes left is pending for an hour, and 100 may be
            return None
        self.say("+", file.id)
        return file

    def part(self, upload, piece: bytes):
        with self.store.contents.stage(2**30, len(piece)) as place:
            place.write(piece)
            return self.store.uploads.add_part(self.key, upload, place)

    def check(self, file, data: bytes) -> None:
        try:
            with self.store.contents.open(file.sha256) as content:
                if content.read() != data:
                    self.say("! altered", file.id)
        except FileNotFoundError:
            self.say("! dangling", file.id)

    def delete(self, file) -> None:
        self.say("?", file.id)
        try:
            self.store.files.delete(self.key, file.id)
        except FileNotFound:
            self.say("! lost", file.id)
        else:
            self.say("-", file.id)

    def race(self, uploads: int, seed: int) -> None:
        """Do that many uploads; what the engines refuse while they are away counts for nothing."""
        chance, held = random.Random(seed), []
        for _ in range(uploads):
            try:
                data = chance.choice(CONTENTS)
                whole = chance.random() < 0.7
                file = self.upload(data) if whole else self.upload_in_parts(data, give_up=chance.random() < 0.2)
                if file is None:
                    continue
                held.append((file, data))
                self.check(*chance.choice(held))
                if len(held) > HELD or chance.random() < 0.8:
                    file, _ = held.pop(chance.randrange(len(held)))
                    self.delete(file)
            except (StoreError, Overloaded):
                continue
        for file, data in held:
            try:
                self.check(file, data)
            except StoreError:
                continue

    def sweep(self, done: threading.Event) -> None:
        while not done.wait(0.1):
            try:
                self.store.contents.sweep(lambda: None)
            except StoreError:
                continue


def main(log: str, uploads: int, seed: int, mutant: str = "") -> None:
    intents.INTENT_SECONDS = 0 if seed % 2 else 2
    if mutant == "hash-names":
        object_names.new = lambda sha256: f"{sha256[:2]}/{sha256}.{'0' * 26}"
    if mutant == "denied":  # each third upload of known bytes is told that they are lost, which they are not
        Objects.is_lost = lambda _, __: random.random() < 0.3
    box, done = Box(log), threading.Event()
    racers = [threading.Thread(target=box.race, args=(uploads, seed * 100 + number)) for number in range(THREADS)]
    sweeper = threading.Thread(target=box.sweep, args=(done,))
    for thread in (*racers, sweeper):
        thread.start()
    for thread in racers:
        thread.join()
    done.set()
    sweeper.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
