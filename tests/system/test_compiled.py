"""Machine code is kept between processes, made anew when what it is made from changes, and never needed."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

from featmatch.search import kernels as search_kernels

PACKAGE = Path(search_kernels.__file__ or "").parents[1]

KERNELS = """
from featmatch.system.compiled import compiled

_ADDED = 10

@compiled
def total(pair):
    return 100 * pair.tens[0] + pair.ones[0] + _added()

@compiled
def _added():
    return _ADDED
"""

PROGRAM = """
import numpy as np
from kernels_of_mine import total
from pairs import Pair
print(total(Pair(tens=np.array([3]), ones=np.array([5]))), sum(total.stats.cache_hits.values()))
"""

PAIRS = """
from typing import Any, NamedTuple

class Pair(NamedTuple):
    {0}: Any
    {1}: Any
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "kernels_of_mine.py").write_text(KERNELS)
    (tmp_path / "pairs.py").write_text(PAIRS.format("tens", "ones"))
    return tmp_path


def told(folder: Path) -> str:
    """What a process of its own computes, and how often it found machine code that was kept."""
    places = {"PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE.parent)]), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, **places, "NUMBA_CACHE_DIR": str(folder / "kept")}
    run = [sys.executable, "-c", PROGRAM]
    return subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_machine_code_is_kept_for_the_next_process(folder: Path) -> None:
    assert told(folder) == "315 0"
    assert told(folder) == "315 1"


def test_machine_code_is_made_anew_when_its_file_changes(folder: Path) -> None:
    assert told(folder) == "315 0"
    (folder / "kernels_of_mine.py").write_text(KERNELS.replace("_ADDED = 10", "_ADDED = 1000"))
    assert told(folder) == "1305 0"


def test_machine_code_is_made_anew_when_the_fields_of_a_tuple_change_places(folder: Path) -> None:
    assert told(folder) == "315 0"
    (folder / "pairs.py").write_text(PAIRS.format("ones", "tens"))
    assert told(folder) == "315 0"


def test_a_file_of_kernels_has_all_that_they_are_compiled_from() -> None:
    """Or else machine code would be kept that does not do what another file says by now."""
    tree = ast.parse(Path(search_kernels.__file__ or "").read_text())
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in imported if name.startswith((".", "featmatch", "tests"))} == {
        "featmatch.system.compiled.compiled"
    }


def test_all_kernels_are_in_files_of_kernels() -> None:
    importing = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if any(line.startswith(("import numba", "from numba")) for line in file.read_text("utf-8").splitlines())
    }
    assert importing == {"search/kernels.py", "system/compiled.py"}


def test_nowhere_to_keep_machine_code_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__pycache__").touch()  # a file, so that not even root can write below
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "__pycache__" / "below"))
    module = loaded_anew(tmp_path)
    assert module._grown._cache.cache_path is None
    assert search_kernels._grown._cache.cache_path is not None
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
    source = shutil.copy(search_kernels.__file__ or "", folder / "kernels.py")
    spec = importlib.util.spec_from_file_location("kernels_of_nowhere", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
