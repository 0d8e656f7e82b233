"""What a process loads before it does anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.small_index import draw_pictures

HEAVY = ("cv2", "scipy", "matplotlib", "joblib", "sqlite3", "PIL")


def loaded(arguments: Sequence[str], heavy: Sequence[str]) -> str:
    """Which of these modules a command loads."""
    program = (
        f"import sys; from featmatch.cli import cli; cli({list(arguments)}, standalone_mode=False); "
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    return said.splitlines()[-1]


def test_help_loads_nothing_heavy() -> None:
    assert loaded(["--help"], HEAVY) == "[]"


def test_two_pictures_are_compared_with_what_that_needs(tmp_path: Path) -> None:
    one, other = draw_pictures(tmp_path, 2)
    unneeded = ("scipy", "matplotlib", "joblib", "filelock", "numpy.ma")
    assert loaded(["verify", str(one), str(other), "--json"], unneeded) == "[]"
