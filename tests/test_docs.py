"""Every setting, command and error code is documented, and nothing that is not there."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from helpers.server import PROJECT
from lazu import cli, config, errors

API = (PROJECT / "docs/api.md").read_text()
OPERATIONS = (PROJECT / "docs/operations.md").read_text()


def codes(kind=errors.ApiError):
    """Status and code of every error class."""
    yield from {(each.status, each.code) for each in kind.__subclasses__()}
    for each in kind.__subclasses__():
        yield from codes(each)


def test_the_error_table_is_the_errors():
    documented = {(int(status), code) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)`", API, re.MULTILINE)}
    assert documented == set(codes())


@pytest.mark.parametrize("page", ["settings.md", "commands.md"])
def test_reference_pages_are_what_the_code_says(page, tmp_path):
    """Made by `scripts/reference`: run it when this fails."""
    subprocess.run([sys.executable, PROJECT / "scripts/reference", tmp_path], check=True)
    assert (PROJECT / "docs" / page).read_text() == (tmp_path / page).read_text()


def test_every_setting_that_a_page_names_is_there():
    known = {config.variable(field.name) for field in fields(config.Settings)} | {"LAZU_KEY", "LAZU_LONG_TESTS"}
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]:
        assert set(re.findall(r"\bLAZU_[A-Z_]+[A-Z]\b", page.read_text())) <= known, page.name


def test_every_command_has_an_example_and_is_explained():
    for name, command in cli.named():
        assert "Example: " in command.help, name
        assert name.removeprefix("flask ").split()[0] in OPERATIONS, name


def test_links_between_documents_lead_somewhere():
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(((?!http|#)[^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_seed_page_is_true_of_the_tables():
    from lazu import filetypes

    assert {name: purpose.max_bytes // 2**20 for name, purpose in filetypes.PURPOSES.items()} == {"user_data": 512, "vision": 20}
    assert {"exe", "dll", "sh", "bat"} <= filetypes.EXECUTABLE_EXTENSIONS
    assert Path(PROJECT / "crontab.example").read_text().count("CRON_TZ=Asia/Shanghai") == 1
