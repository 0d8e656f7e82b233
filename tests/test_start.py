from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from featmatch.search import kernels

HEAVY = ("cv2", "numba", "scipy", "matplotlib", "joblib", "sqlite3", "PIL")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from featmatch.cli import cli; cli(['--help'], standalone_mode=False); "
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_nowhere_to_keep_machine_code_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__pycache__").touch()  # a file, so that not even root can write below
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "__pycache__" / "below"))
    module = loaded_anew(tmp_path)
    assert module._grown._cache.cache_path is None
    assert kernels._grown._cache.cache_path is not None
    assert module._grown(np.arange(3), 5)[:3].tolist() == [0, 1, 2]


def test_a_folder_of_machine_code_that_fails_later_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    module = loaded_anew(tmp_path)
    folder = Path(module._grown._cache.cache_path)
    assert folder.is_relative_to(tmp_path)
    shutil.rmtree(folder)
    folder.touch()
    assert module._grown(np.arange(3), 5)[:3].tolist() == [0, 1, 2]
    folder.unlink()
    assert module._grown(np.arange(3.0), 5)[:3].tolist() == [0, 1, 2]
    (kept,) = folder.glob("*.nbi")
    kept.write_bytes(b"")  # as a full disk leaves it
    assert loaded_anew(tmp_path)._grown(np.arange(3.0), 5)[:3].tolist() == [0, 1, 2]


def loaded_anew(folder: Path) -> ModuleType:
    assert kernels.__file__ is not None
    source = shutil.copy(kernels.__file__, folder / "kernels.py")
    spec = importlib.util.spec_from_file_location("kernels_of_nowhere", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
