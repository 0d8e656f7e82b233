"""Debian's chromium, for tests of pages; they are skipped where it is not there, or does not start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser. Playwright runs an event loop in this thread as long as it is there: keep it within a module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("needs chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=found, args=arguments)
        except playwright.Error as error:  # under a limit of addresses, say
            pytest.skip(f"chromium does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()
