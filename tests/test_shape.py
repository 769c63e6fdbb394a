"""The house keeps its shape: imports point down, each outside thing has one door, and the page of the architecture says so."""

import ast
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "lazu"

#: Each outside thing and the rooms that may know it: a wing, or one module of it.
DOORS = {
    "flask": {"application", "routes", "cli"},
    "werkzeug": {"routes"},
    "click": {"cli"},
    "gunicorn": {"server", "routes.body", "routes.chunks"},
    "peewee": {"store.tables", "store.rows", "store.counts", "store.upload_rows", "store.sqlite.engine", "store.sqlite.connections", "store.postgresql.database", "store.postgresql.errors"},
    "psycopg": {"store.postgresql"},
    "sqlite3": set(),
    "pysqlite3": set(),
    "magic": {"filetypes"},
    "multipart": {"routes.multipart"},
    "time": {"clock"},
    "datetime": {"clock", "documents.cells", "documents.tables"},
    "dotenv": {"envfile"},
    "secrets": {"ids", "store.keys", "upkeep.engines"},
    "random": set(),
    "fcntl": {"store.disk", "server", "ledger", "countfiles"},
    "ctypes": {"store.disk", "documents", "filetypes"},
    "tempfile": set(),
    "shutil": set(),
    "socket": {"server", "gateway.upstream", "gateway.line", "gateway.itself"},
    "http": {"gateway.answer"},
    "ssl": {"gateway.upstream", "gateway.line"},
    "pybase64": {"gateway.splice", "gateway.inline"},
    "subprocess": {"documents.launcher"},
    "pypdfium2_raw": {"documents.pdfium"},
    "PIL": {"documents"},
    "chardet": {"documents.encodings"},
    "zipfile": {"documents.archive"},
    "xml": {"documents"},
    "python_calamine": {"documents.tables"},
    "email": {"documents.mail"},
    "prometheus_client": {"metrics", "countfiles"},
    "botocore": {"store.bucket", "store.bucket_client", "store.bucket_errors"},
    "resource": {"store.disk", "documents.sandbox"},
    "threading": {"slots", "ledger", "store", "server", "gateway", "routes.shared"},
}


def modules():
    """Each module without its `lazu.`, and its tree; a wing's `__init__` is the wing."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix("__init__").removesuffix("."), ast.parse(path.read_text())


MODULES = dict(modules())


def imported(tree):
    """Every module or name that a module imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


EDGES = [(name, target) for name, tree in MODULES.items() for target in set(imported(tree))]
INNER = [(name, target.removeprefix("lazu.")) for name, target in EDGES if target.removeprefix("lazu.") in MODULES]


def wing(name):
    """`routes` for `routes.files`, `ids` for `ids`, `store` for `store.contents.shards`."""
    return name.split(".")[0]


def page():
    """Row and modules of each line of the table in docs/architecture.md."""
    text = (PROJECT / "docs/architecture.md").read_text()
    for row, place, rooms in re.findall(r"^\| (\d) \| `([\w/]+)` \| (.*?) ?\|", text, re.MULTILINE):
        inside = re.findall(r"`(\w+)`", rooms)
        folder = place.rstrip("/").replace("/", ".")
        yield int(row), folder, {f"{folder}.{name}" for name in inside} if place.endswith("/") else {place}


def test_the_page_of_the_architecture_has_every_module_and_no_other():
    named = set().union(*(rooms for _, _, rooms in page()))
    wings = {"", *(place for _, place, rooms in page() if rooms != {place})} - {"store.contents"}
    assert named == set(MODULES) - wings
    assert [row for row, _, _ in page()] == sorted((row for row, _, _ in page()), reverse=True)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    row = {place: row for row, place, _ in page()}
    for target in (target for source, target in INNER if source == name and wing(target) != wing(name)):
        assert row[wing(target)] < row[wing(name)], f"{name} imports {target}"


def test_no_import_goes_round():
    """Within a wing too. Raises `CycleError`, which names the modules."""
    graph = {name: {target for source, target in INNER if source == name and target != name} for name in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("thing", DOORS)
def test_each_outside_thing_has_its_door(thing):
    behind = {name: {door for door in DOORS[thing] if f"{name}.".startswith(f"{door}.")} for name, target in EDGES if target.split(".")[0] == thing}
    assert {name for name, doors in behind.items() if not doors} == set()
    assert DOORS[thing] == set().union(*behind.values()), "unused"


def test_a_leaf_brings_no_flask_and_no_database():
    """Else each reader of a document would import them."""
    code = "import sys; from lazu import errors; from lazu.documents import reader; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"flask", "peewee", "gunicorn", "subprocess", "lazu.store", "lazu.config"} & set(loaded)


def test_a_store_on_one_machine_imports_nothing_of_the_cluster(tmp_path):
    """Peewee imports psycopg wherever that is installed; only the extra brings it."""
    code = "import sys, wsgi; print(*sys.modules)"
    env = {**os.environ, "LAZU_STORAGE_DIR": str(tmp_path / "storage")}
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=env, capture_output=True, text=True, check=True)
    assert not {"botocore", "urllib3", "lazu.store.bucket", "lazu.store.postgresql"} & set(loaded.stdout.split())


def test_each_word_of_the_disks_layout_stands_below_the_seam():
    """No path, descriptor or shard is known above `store/contents`, and no query outside `rows`."""
    layout = re.compile(r"sha256\[:2\]|\.blobs\.|SHARDS|dir_fd|blobs\.root")
    query = re.compile(r"execute_sql|\.select\(|\.execute\(|SELECT ")
    for path in PACKAGE.rglob("*.py"):
        name, text = ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path.read_text()
        if not name.startswith(("store.contents", "store.blobs", "store.derived")):
            assert not layout.search(text), name
        engine = name.startswith(("store.sqlite.", "store.postgresql."))
        if not engine and not name.endswith(("rows", "store.counts", "store.tables", "store.snapshot", "store.crossing")):
            assert not query.search(text), name


def test_nothing_opens_the_database_files():
    """Closing such a descriptor would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html §2.2)."""
    for name, tree in MODULES.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if called in ("open", "FileIO", "read_bytes", "write_bytes", "read_text", "write_text", "touch"):
                assert name in ("store.blobs", "store.syncs") or called == "open", f"{name}:{call.lineno}"
                assert "sqlite" not in ast.unparse(call), f"{name}:{call.lineno}"


def test_files_in_memory_are_made_by_one_door():
    """It knows what a hardened kernel wants (vm.memfd_noexec), and what an old one takes."""
    assert [name for name, tree in MODULES.items() if "memfd_create" in ast.unparse(tree)] == ["ledger"]


def test_no_descriptor_is_closed_at_the_end_of_a_process():
    """The kernel does that. Threads go on until then, and their number may be another file's by the time they use it."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert text.count("weakref.finalize(") == text.count(".atexit = False"), path
        assert "atexit.register" not in text, path


def test_no_file_is_longer_than_a_screenful_of_screens():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path


#: What is about the front door: these modules run on one box and on a cluster (CONTRIBUTING.md).
FRONT_DOOR = "conditions content files isolation keys purge quota responses upload uploads uploads_held".split()


def test_what_is_told_of_the_front_door_is_tried_on_both_stores():
    """None falls out of the list unnoticed, and what is about the disk alone gives its reason."""
    texts = {path.stem.removeprefix("test_"): path.read_text() for path in Path(__file__).parent.glob("test_*.py")}
    assert sorted(name for name, text in texts.items() if "\npytestmark = pytest.mark.both_stores\n" in text) == FRONT_DOOR
    for text in texts.values():
        assert len(re.findall(r"pytest\.mark\.one_box\b", text)) == len(re.findall(r'pytest\.mark\.one_box\("[^"]{10,}"\)', text))
