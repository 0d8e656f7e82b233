"""The types that the modules of the page say they have."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

PAGE = Path(str(resources.files("featmatch.web"))) / "page"


def test_types_hold() -> None:
    compiler = os.environ.get("FEATMATCH_TSC") or shutil.which("tsc")
    if compiler is None:
        pytest.skip("needs tsc: npm install --global typescript")
    options = "--allowJs --checkJs --noEmit --target es2023 --module esnext --moduleResolution bundler"
    libraries = "es2024,dom,dom.iterable,dom.asynciterable"
    entries = [PAGE / "app.js", PAGE / "report.js"]
    command = [compiler, *options.split(), "--lib", libraries, "--strict", "false", *map(str, entries)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
