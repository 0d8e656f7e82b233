"""What comes with featmatch is taken from where the code is that runs."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from featmatch.errors import MissingFeatureError
from featmatch.system import shipped
from featmatch.system.shipped import shipped_file
from featmatch.words.vocabulary import Vocabulary

PACKAGE = Path(shipped.__file__).parents[1]


def checkout(folder: Path, mark: str, data: str = "data") -> Path:
    """The code of this one, with data of its own."""
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "featmatch", ignore=leave_out)
    (folder / data).mkdir()
    (folder / data / "__init__.py").touch()
    (folder / data / "probability.json").write_text(mark)
    return folder


def taken(*path: Path, before: str = "pass") -> str:
    """What a process with this path reads, or how it fails."""
    reading = "from featmatch.system.shipped import shipped_file; print(shipped_file('probability.json').read_text())"
    program = f"{before}; {reading}"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=path[0].parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
    )  # fmt: skip
    return (run.stdout or run.stderr).strip().splitlines()[-1]


def test_a_checkout_takes_its_own_data_whatever_else_is_installed(tmp_path: Path) -> None:
    one, other = checkout(tmp_path / "one", "of one"), checkout(tmp_path / "other", "of the other")
    assert taken(one, other) == "of one"
    assert taken(other, one) == "of the other"
    # As an editable installation of the other checkout has it: its finder knows where featmatch.data is.
    finder = (
        "import importlib.util as u, sys; "
        f"spec = u.spec_from_file_location('featmatch.data', {str(other / 'data' / '__init__.py')!r}); "
        "sys.modules['featmatch.data'] = u.module_from_spec(spec)"
    )
    assert taken(one, before=finder) == "of one"


def test_an_installation_takes_the_data_within_the_package(tmp_path: Path) -> None:
    installed = checkout(tmp_path / "site-packages", "installed", data="featmatch/data")
    (installed / "data").mkdir()  # of some other project
    (installed / "data" / "probability.json").write_text("of another")
    assert taken(installed) == "installed"


def test_code_that_has_come_without_its_data_says_so(tmp_path: Path) -> None:
    alone = checkout(tmp_path / "alone", "")
    (alone / "data" / "probability.json").unlink()
    said = taken(alone)
    assert said.startswith("featmatch.errors.MissingFeatureError")
    assert str(alone / "data") in said
    assert str(alone / "featmatch" / "data") in said


def test_a_linked_package_takes_the_data_beside_the_real_one(tmp_path: Path) -> None:
    real = checkout(tmp_path / "real", "real")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "featmatch").symlink_to(real / "featmatch")
    assert taken(tmp_path / "linked") == "real"


def test_there_may_be_no_file_of_a_name() -> None:
    assert shipped_file("sift.npz").is_file()
    assert not shipped_file("kaze.npz").exists()


def test_nothing_is_taken_from_a_folder_that_only_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sift.npz").touch()
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "featmatch" / "system" / "shipped.py"))
    with pytest.raises(MissingFeatureError):
        shipped_file("sift.npz")


def test_what_an_installation_is_without_may_be_installed_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout(tmp_path / "site-packages", "installed", data="featmatch/data")
    monkeypatch.setattr(shipped, "__file__", str(installed / "featmatch" / "system" / "shipped.py"))
    monkeypatch.syspath_prepend(tmp_path / "apart")
    data = installed / "featmatch" / "data"
    assert shipped_file("orb.npz") == data / "orb.npz"
    with pytest.raises(MissingFeatureError, match=r"pip install ./data .* --vocabulary orb\.npz"):
        Vocabulary.shipped("orb")
    with pytest.raises(MissingFeatureError, match="featmatch train OUT"):
        Vocabulary.shipped("kaze")
    apart = tmp_path / "apart" / "featmatch_vocabularies"
    apart.mkdir(parents=True)
    importlib.invalidate_caches()
    for name in ("__init__.py", "orb.npz", "sift.npz"):
        (apart / name).touch()
    assert shipped_file("orb.npz") == apart / "orb.npz"
    assert shipped_file("akaze.npz") == data / "akaze.npz"
    (data / "sift.npz").touch()
    assert shipped_file("sift.npz") == data / "sift.npz"  # its own comes first


def test_each_vocabulary_is_in_one_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg", "utf-8")
    own = setup["options.package_data"]["featmatch.data"].split(", ")
    told = re.search(
        r"featmatch_vocabularies = (\[.*\])", (PACKAGE.parent / "data" / "pyproject.toml").read_text("utf-8")
    )
    assert told is not None
    apart = json.loads(told[1])
    files = {path.name for path in (PACKAGE.parent / "data").glob("*.npz")}
    assert {name for name in own if name.endswith(".npz")} == {"sift.npz"}
    assert set(apart) == files - {"sift.npz"}
