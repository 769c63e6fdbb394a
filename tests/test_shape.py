"""The house keeps its shape: imports point down, each outside thing has one door (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lazu"

#: Each room and its row; a room imports only from rows below its own.
ROWS = {
    "": 7,
    "routes": 6, "cli": 6, "worker": 6, "accesslog": 6,
    "backup": 5, "doctor": 5,
    "store": 4, "purge": 4, "fsck": 4, "stats": 4,
    "files": 3, "responses": 4,
    "uploads": 2, "keys": 2, "commits": 2, "snapshot": 2, "extracts": 2, "upstream": 2,
    "blobs": 1, "models": 1, "multipart": 1, "filetypes": 1, "config": 1, "logs": 1, "documents": 1, "splice": 1,
    "errors": 0, "clock": 0, "ids": 0, "disk": 0, "metrics": 0, "kept": 0, "watch": 0,
}  # fmt: skip

#: Each outside thing and the rooms that may know it.
DOORS = {
    "flask": {"", "routes", "cli"},
    "werkzeug": {"routes"},
    "click": {"cli"},
    "gunicorn": {"worker", "routes", "accesslog"},
    "peewee": {"models", "keys", "routes"},
    "sqlite3": set(),
    "pysqlite3": set(),
    "magic": {"filetypes"},
    "multipart": {"multipart"},
    "time": {"clock", "purge", "fsck", "worker", "documents"},
    "datetime": {"clock"},
    "dotenv": {"config"},
    "secrets": {"ids", "keys"},
    "random": set(),
    "fcntl": {"disk", "worker"},
    "ctypes": {"disk", "documents"},
    "tempfile": set(),
    "shutil": {"disk"},
    "socket": {"worker", "upstream", "watch", "routes"},
    "http": {"upstream"},
    "ssl": {"upstream"},
    "pybase64": {"splice"},
    "subprocess": {"documents"},
    "pypdfium2_raw": {"documents"},
    "PIL": {"documents"},
    "charset_normalizer": {"documents"},
    "prometheus_client": {"metrics"},
    "resource": {"disk", "documents"},
    "threading": {"commits", "keys", "documents", "worker", "upstream", "watch"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


def room(name):
    """The room of a module: `routes` for `lazu.routes.files`, the empty one for `lazu` itself."""
    return ([*name.split("."), ""])[1]


def imported(tree):
    """Every module or name that a module imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


EDGES = [(name, target) for name, tree in modules() for target in set(imported(tree))]


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_imports_point_down(name):
    for target in (target for source, target in EDGES if source == name and target.startswith("lazu.")):
        if room(target) in ROWS and room(target) != room(name):
            assert ROWS[room(target)] < ROWS[room(name)], f"{name} imports {target}"


def test_every_room_has_a_row():
    assert {room(name) for name, _ in modules()} == set(ROWS)


@pytest.mark.parametrize("thing", DOORS)
def test_each_outside_thing_has_its_door(thing):
    users = {room(name) for name, target in EDGES if target.split(".")[0] == thing}
    assert users <= DOORS[thing]


def test_nothing_opens_the_database_files():
    """Closing such a descriptor would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html §2.2)."""
    for name, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if called in ("open", "FileIO", "read_bytes", "write_bytes", "read_text", "write_text", "touch"):
                assert room(name) == "blobs" or called == "open", f"{name}:{call.lineno}"
                assert "sqlite" not in ast.unparse(call), f"{name}:{call.lineno}"


def test_no_file_is_longer_than_a_screenful_of_screens():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path
