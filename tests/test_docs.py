"""Every setting, command and error code is documented, and nothing that is not there."""

import re
from dataclasses import fields
from pathlib import Path

from lazu import config, errors
from server import PROJECT

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


def test_every_setting_is_documented_and_no_other():
    documented = set(re.findall(r"^\| `(LAZU_\w+)`", OPERATIONS, re.MULTILINE))
    assert documented == {config.variable(field.name) for field in fields(config.Settings)}


def test_every_command_is_documented(app):
    documented = set(re.findall(r"\bflask ((?:keys )?[a-z]+)", OPERATIONS))
    commands = {"purge"} | {f"keys {name}" for name in app.cli.commands["keys"].commands}
    assert commands <= documented


def test_links_between_documents_lead_somewhere():
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(((?!http|#)[^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_seed_page_is_true_of_the_tables():
    from lazu import filetypes

    assert {name: purpose.max_bytes // 2**20 for name, purpose in filetypes.PURPOSES.items()} == {"user_data": 512, "vision": 20}
    assert {"exe", "dll", "sh", "bat"} <= filetypes.EXECUTABLE_EXTENSIONS
    assert Path(PROJECT / "crontab.example").read_text().count("CRON_TZ=Asia/Shanghai") == 1
