"""Every setting, command and error code is documented, and nothing that is not there."""

import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest

from helpers.server import PROJECT
from lazu import cli, config, errors, filetypes
from lazu.store.tables import FILE_OBJECT

#: Everything that people read.
PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]

OPERATIONS = (PROJECT / "docs/operations.md").read_text()


def test_every_error_has_a_meaning():
    assert all(meaning for _, _, meaning in errors.table())


@pytest.mark.parametrize("page", ["settings.md", "commands.md", "api.md"])
def test_reference_pages_are_what_the_code_says(page, tmp_path):
    """Made by `scripts/reference`: run it when this fails."""
    subprocess.run([sys.executable, PROJECT / "scripts/reference", tmp_path], check=True)
    assert (PROJECT / "docs" / page).read_text() == (tmp_path / page).read_text()


def test_reference_pages_are_made_from_any_directory_by_any_python(tmp_path):
    """Called so, the script started itself for ever."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts/reference", tmp_path / "scripts")
    (tmp_path / "scripts/venv").symlink_to("/bin/true")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("lazu", "docs"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    made = tmp_path / "made"
    made.mkdir()
    subprocess.run([sys._base_executable, tmp_path / "scripts/reference", made], cwd=made, check=True, timeout=60)
    assert (PROJECT / "docs/settings.md").read_text() == (made / "settings.md").read_text()


def test_every_setting_that_a_page_names_is_there():
    known = {config.variable(field.name) for field in fields(config.Settings)} | {"LAZU_LONG_TESTS"}
    for page in PAGES:
        assert set(re.findall(r"\bLAZU_[A-Z_]+[A-Z]\b", page.read_text())) <= known, page.name


def test_every_command_has_an_example_and_is_explained():
    for name, command in cli.named():
        assert "Example: " in command.help, name
        assert name in OPERATIONS, name


def test_links_between_documents_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(((?!http|#)[^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_what_lazu_says_of_its_pages_is_there():
    """A cure of `flask doctor` that names a section."""
    told = {found for path in (PROJECT / "lazu").rglob("*.py") for found in re.findall(r'docs/(\w+\.md), ([^"]+)"', path.read_text())}
    assert told
    for page, section in told:
        assert f"\n## {section}\n" in (PROJECT / "docs" / page).read_text(), section


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_example_of_a_file_object_has_its_fields(page):
    example = re.search(r'^\{"id": "file-lazu-.*?\}$', (PROJECT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert list(json.loads(example[0])) == list(FILE_OBJECT)


def test_decisions_have_numbers_of_their_own():
    numbers = [path.name[:4] for path in (PROJECT / "docs/decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))


def test_every_page_of_the_docs_is_in_their_index():
    index = (PROJECT / "docs/README.md").read_text()
    for page in (PROJECT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_what_the_docs_name_in_the_code_is_there():
    """`Shards.reap` and its like; decisions are history."""
    classes = {}
    for path in (PROJECT / "lazu").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, set()).update(re.findall(r"\w+", ast.unparse(node)))
    for page in PAGES:
        if page.parent.name != "decisions":
            for name, member in re.findall(r"`([A-Z]\w+)\.(\w+)`", page.read_text()):
                assert member in classes.get(name, {member}), f"{page.name}: {name}.{member}"


def test_the_seed_page_is_true_of_the_tables():
    assert {name: purpose.max_bytes // 2**20 for name, purpose in filetypes.PURPOSES.items()}.items() >= {"user_data": 512, "vision": 20}.items()
    assert {"exe", "dll", "sh", "bat"} <= filetypes.EXECUTABLE_EXTENSIONS
    assert (PROJECT / "crontab.example").read_text().count("CRON_TZ=Asia/Shanghai") == 1
