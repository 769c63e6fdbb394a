"""Every command of docs/operations.md does what the page says, run on a small installation with a real server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.in_store import blank
from helpers.server import PROJECT, free_port, opened, problems
from helpers.waiting import until
from helpers.wire import request, stored

pytestmark = pytest.mark.slow

PAGE = (PROJECT / "docs/operations.md").read_text()
SECTIONS = {
    title: re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}

#: In place of systemd: starts and stops the server of the installation.
SYSTEMCTL = """#!/bin/bash
set -eu
cd {root}/opt/lazu
case $1 in
stop) pid=$(cat {root}/pid); kill $pid; while [ -e {root}/pid ]; do sleep 0.05; done ;;
start)
  setsid gunicorn wsgi:app --pid {root}/pid >>{root}/log 2>&1 </dev/null &
  for _ in $(seq 200); do curl -fso /dev/null http://127.0.0.1:{port}/healthz && exit; sleep 0.05; done; exit 1 ;;
esac
"""
SUDO = '#!/bin/sh\nexec "$@"\n'


class Box:
    """An installation below `root` as the page has it in `/`, its server running, two keys with files."""

    def __init__(self, root):
        self.root, self.port = root, free_port()
        self.lazu = root / "opt/lazu"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("LAZU_")}
        self.env["PATH"] = f"{root}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._install()

    def _install(self):
        for name in ("lazu", "scripts", "app.py", "wsgi.py", "gunicorn.conf.py"):
            copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
            self.lazu.mkdir(parents=True, exist_ok=True)
            copy(PROJECT / name, self.lazu / name)
        (self.root / "mnt/backup").mkdir(parents=True)
        (self.root / "srv").mkdir()
        self._tool("bin/systemctl", SYSTEMCTL.format(root=self.root, port=self.port))
        self._tool("bin/sudo", SUDO)
        self._tool("opt/lazu/scripts/venv", "#!/bin/sh\n")  # the packages are those of the tests
        (self.lazu / ".env").write_text(f"LAZU_BIND=127.0.0.1:{self.port}\nLAZU_WORKERS=1\nLAZU_MIN_FREE_BYTES=0\n")

    def _tool(self, path, text):
        (self.root / path).parent.mkdir(exist_ok=True)
        (self.root / path).write_text(text)
        (self.root / path).chmod(0o755)

    def run(self, script):
        """Run `script` as the page has it, its paths and its port put below ours; gives its output."""
        here = re.sub(r"/(opt/lazu|srv/lazu|mnt/backup)\b", rf"{self.root}/\1", script).replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", here], cwd=self.lazu, env=self.env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{here}\n{done.stdout}{done.stderr}"
        return done.stdout

    def section(self, title):
        """Run all commands of a section, in their order."""
        return "".join(self.run(block) for block in SECTIONS[title])

    def content(self, key, file):
        return request(self, "GET", f"/v1/files/{file['id']}/content", key).body

    def running(self):
        return (self.root / "pid").exists()


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    yield box
    if box.running():
        box.run("systemctl stop lazu")
    storage = re.findall(r"LAZU_STORAGE_DIR=(.*)", (box.lazu / ".env").read_text())
    assert problems(Path(storage[-1]) if storage else box.lazu / "storage") == []


@pytest.fixture
def used(box):
    """The box with a server, and alice's key and file."""
    with opened(box.lazu / "storage") as store:
        box.alice, *_ = [store.keys.create(name) for name in ("alice", "bob", "mallory")]
    box.run("systemctl start lazu")
    box.file = stored(box, box.alice, b"precious" * 1000)
    return box


def test_every_section_with_commands_is_run_here():
    tested = Path(__file__).read_text()
    for title, blocks in SECTIONS.items():
        assert not blocks or f'section("{title}")' in tested or f'"{title}"' in tested, title


def test_install(box):
    key = re.search(r"^sk-lazu-\S+$", box.section("Install"), re.MULTILINE)[0]
    assert stored(box, key)


def test_an_upgrade_keeps_everything(used):
    used.section("Upgrade")
    assert used.content(used.alice, used.file) == b"precious" * 1000


def test_moving_leaves_the_old_place_empty_and_uses_the_new(used):
    used.section("Moving to another disk")
    assert {path.name for path in (used.lazu / "storage").iterdir()} <= {"ballast"}
    assert used.content(used.alice, used.file) == b"precious" * 1000
    stored(used, used.alice, b"more")
    blobs = used.root / "srv/lazu/blobs"
    assert len(list(blobs.glob("*/*"))) == 2
    assert {path.stat().st_mode & 0o777 for path in (blobs.parent, blobs, *blobs.glob("??"))} == {0o750}, "nginx may enter"
    assert {path.stat().st_mode & 0o777 for path in blobs.glob("*/*")} == {0o640}
    assert {path.stat().st_mode & 0o777 for path in blobs.parent.glob("lazu.sqlite3*")} == {0o600}


def test_restore_brings_back_what_was_deleted_since(used):
    backup, restore = SECTIONS["Backup and restore"]
    used.run(backup)
    request(used, "DELETE", f"/v1/files/{used.file['id']}", used.alice)
    used.run(restore)
    assert used.content(used.alice, used.file) == b"precious" * 1000


def test_what_is_left_of_a_backup_is_restored_without_the_files_that_it_lost(used):
    lost = stored(used, used.alice, b"lost" * 1000)
    used.run(SECTIONS["Backup and restore"][0])
    [blob] = [path for path in (used.root / "mnt/backup/lazu/blobs").glob("*/*") if path.read_bytes()[:4] == b"lost"]
    blob.unlink()
    used.run("systemctl stop lazu && mv storage storage.old && ! flask restore /mnt/backup/lazu")
    assert lost["id"] in used.section("A backup that is not whole")
    assert used.content(used.alice, used.file) == b"precious" * 1000
    assert request(used, "GET", f"/v1/files/{lost['id']}", used.alice).status == 404


def test_a_reload_with_a_slip_in_the_settings_leaves_the_server_as_it_is(used):
    settings, log = used.lazu / ".env", used.root / "log"
    kept, hang_up = settings.read_text(), f"kill -HUP $(cat {used.root}/pid)"
    settings.write_text(f"{kept}LAZU_THREADS=sixteen\n")
    used.run(hang_up)
    until(lambda: "Nothing was reloaded; the server goes on as it was." in log.read_text())
    assert log.read_text().count("LAZU_THREADS must be a whole number") == 1
    assert used.content(used.alice, used.file) == b"precious" * 1000
    settings.write_text(f"{kept}LAZU_THREADS=17\n")
    used.run(hang_up)
    until(lambda: log.read_text().count("Booting worker") == 2)
    assert used.content(used.alice, used.file) == b"precious" * 1000


def test_what_one_does_any_day(used):
    """One installation for all of it: nothing here touches alice's file but through her key."""
    assert "1 files, all sound" in used.section("Watch it")
    used.run(SECTIONS["Keys"][0].replace("alice", "dora"))
    assert '"dry_run": false' in used.section("The daily purge")
    assert "deleted 0 files" in used.section("A full disk")
    fresh = used.section("A lost key").strip()
    assert used.content(fresh, used.file) == b"precious" * 1000
    assert request(used, "GET", "/v1/files", used.alice).status == 401


def damage(box):
    [blob] = (box.lazu / "storage/blobs").glob("*/*")
    changed = bytearray(blob.read_bytes())
    changed[100] ^= 1
    blob.write_bytes(changed)


def test_a_corrupt_blob_with_a_backup_is_healed(used):
    used.run("flask backup /mnt/backup/lazu")
    [copy] = (used.root / "mnt/backup/lazu/blobs").glob("*/*")
    content = copy.read_bytes()
    copy.unlink()  # a hard link here; on another disk it would be a file of its own
    copy.write_bytes(content)
    damage(used)
    assert "1 files, all sound" in used.section("A corrupt blob")
    assert used.content(used.alice, used.file) == b"precious" * 1000


def test_a_corrupt_blob_without_one_is_never_served_again(used):
    damage(used)
    assert used.file["id"] in used.section("A corrupt blob")
    answer = request(used, "GET", f"/v1/files/{used.file['id']}/content", used.alice)
    assert answer.error == (404, "file_not_found", "file_id")
    assert list((used.lazu / "storage/quarantine").iterdir())


def test_a_damaged_database_is_saved_or_restored(used):
    used.run("flask backup /mnt/backup/lazu")
    restore, save = SECTIONS["A damaged database"]
    for way, told in ((save, "1 files, all sound"), (restore, "restored: 1 linked")):
        blank(used.lazu / "storage", "file_by_expiry")
        assert told in used.run(way)
        assert used.content(used.alice, used.file) == b"precious" * 1000
        used.run("rm -r /opt/lazu/storage.damaged")
