"""The page in Firefox: Playwright's client can't drive the system's, so Puppeteer's does, by WebDriver BiDi."""

import json
import os
import shutil
import subprocess

import pytest

from helpers.server import PROJECT
from helpers.upstream import streamed

pytestmark = pytest.mark.slow


def test_the_page_works_in_firefox(front, double, tmp_path):
    """From signing in to signing out, with an answer that streams; and the policy keeps nothing of it from running."""
    program = shutil.which("firefox-esr")
    if program is None:
        pytest.skip("needs firefox-esr")
    double.script = streamed("It says <i>", "words</i>.")
    server = front().server
    file = tmp_path / "notes <b>.txt"
    file.write_text("words <i>in it</i>")
    command = ["node", PROJECT / "tests/node/firefox.mjs", program, server.url, server.new_key(), file]
    ran = subprocess.run(command, cwd=PROJECT / "tests/node", env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "name": "notes <b>.txt",
        "preview": "words <i>in it</i>",
        "answer": "It says <i>words</i>.",
        "sample": f"curl {server.url}/v1/responses \\",
        "kept": 0,
        "wrong": [],
    }
