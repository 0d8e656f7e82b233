"""What a process loads before it does anything."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("cv2", "numba", "scipy", "matplotlib", "joblib", "sqlite3", "PIL")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from featmatch.cli import cli; cli(['--help'], standalone_mode=False); "
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "[]"
