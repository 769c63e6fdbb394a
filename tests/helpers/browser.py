"""The system's Chromium at a real Lazu, driven by Playwright's client."""

import os
import shutil
from contextlib import contextmanager

import pytest

#: /dev/shm is small in containers, and root has no sandbox there.
FLAGS = ["--disable-dev-shm-usage", "--disable-quic", "--disable-background-networking"]


@contextmanager
def chromium():
    """The browser, headless as a whole: the PDF viewer is in it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=program, args=["--headless=new", *FLAGS], ignore_default_args=["--headless"], chromium_sandbox=os.getuid() != 0
        )
        try:
            yield browser
        finally:
            browser.close()
