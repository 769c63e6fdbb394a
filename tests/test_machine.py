"""Hypothesis plays with one store: upload, dedup, delete, purge, clock, restart, fsck, read. A dictionary says what must be."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from helpers.in_process import AUTH, blobs
from helpers.wire import BOUNDARY, PURPOSE, form, part
from lazu import clock
from lazu.application import create_app
from lazu.config import Settings
from lazu.store.sqlite.engine import database

pytestmark = pytest.mark.slow

DAY = 86400
CONTENTS = [b"a", b"bb", b"ccc" * 1000, b"PK\x03\x04 not a zip"]
KEYS = ("test-key", "other")


class Store(RuleBasedStateMachine):
    files = Bundle("files")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lazu-machine-"))
        self.frozen = freeze_time(datetime(2026, 5, 24, tzinfo=UTC))
        self.time = self.frozen.start()
        self.open()
        self.other = self.app.extensions["lazu"].keys.create("other")
        self.known = {}  # id → owner, content, expires_at

    def open(self):
        self.app = create_app(Settings(storage_dir=self.folder / "s", api_key="test-key", min_free_bytes=0))
        self.http = self.app.test_client()
        self.app.extensions["lazu"].engine.connect()

    def teardown(self):
        self.check()
        database.close()
        self.frozen.stop()
        shutil.rmtree(self.folder)

    def auth(self, owner):
        return AUTH if owner == "test-key" else {"Authorization": f"Bearer {self.other}"}

    def alive(self, file_id):
        return file_id in self.known and self.known[file_id][2] > clock.now()

    @rule(target=files, owner=st.sampled_from(KEYS), content=st.sampled_from(CONTENTS), hours=st.integers(1, 1500))
    def upload(self, owner, content, hours):
        more = [part("expires_after[anchor]", "created_at"), part("expires_after[seconds]", str(min(hours, 720) * 3600))]
        body = form(PURPOSE, *more, part("file", content, "a.dat"))
        sort = f"multipart/form-data; boundary={BOUNDARY}"
        file = self.http.post("/v1/files", data=body, content_type=sort, headers=self.auth(owner)).json
        self.known[file["id"]] = owner, content, file["created_at"] + min(hours, 720) * 3600
        assert file["expires_at"] == self.known[file["id"]][2]
        return file["id"]

    @rule(file_id=files, owner=st.sampled_from(KEYS))
    def read(self, file_id, owner):
        with self.http.get(f"/v1/files/{file_id}/content", headers=self.auth(owner)) as answer:
            if self.alive(file_id) and self.known[file_id][0] == owner:
                assert answer.data == self.known[file_id][1]
            else:
                assert answer.status_code == 404

    @rule(file_id=consumes(files), owner=st.sampled_from(KEYS))
    def delete(self, file_id, owner):
        may = self.alive(file_id) and self.known[file_id][0] == owner
        answer = self.http.delete(f"/v1/files/{file_id}", headers=self.auth(owner))
        assert answer.status_code == (200 if may else 404)
        if may:
            del self.known[file_id]

    @rule(seconds=st.sampled_from([1, 3599, 3600, DAY, 30 * DAY, -3600, -2 * DAY]))
    def tick(self, seconds):
        self.time.tick(seconds)

    @rule()
    def purge(self):
        assert self.app.test_cli_runner().invoke(args=["purge", "--force"]).exit_code == 0
        self.known = {file_id: what for file_id, what in self.known.items() if what[2] > clock.now()}
        assert len(blobs(self.app)) == len({content for _, content, _ in self.known.values()})

    @rule()
    def restart(self):
        database.close()
        self.open()

    @rule()
    def list(self):
        for owner in KEYS:
            listed = {file["id"] for file in self.http.get("/v1/files", headers=self.auth(owner)).json["data"]}
            assert listed == {i for i, what in self.known.items() if what[0] == owner and self.alive(i)}

    @rule()
    def check(self):
        assert {each.kind for each in self.app.extensions["lazu"].contents.look()} == set()


TestStore = Store.TestCase
# Not shrunk: that takes minutes, and thirty steps can be read.
TestStore.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=[Phase.generate],
)  # fmt: skip
