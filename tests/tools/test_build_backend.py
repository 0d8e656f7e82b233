from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("setuptools.command.bdist_wheel")

from setuptools.dist import Distribution

from featmatch.native.library import LEVELS
from tools import build_backend
from tools.build_backend import BuildKernels, kernels

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def test_a_compiler_is_asked_for_only_where_there_is_none(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build_backend._compiler_needed() == ["ziglang>=0.13"]
    assert build_backend._compiler()[:4] == [sys.executable, "-m", "ziglang", "cc"]
    assert build_backend._compiler()[4] == "-target"  # or it would tune for this processor
    cc = nothing_installed / "cc"
    cc.write_text("#!/bin/sh\n")
    cc.chmod(0o755)
    assert build_backend._compiler_needed() == []
    assert build_backend._compiler() == [str(cc)]
    monkeypatch.setenv("CC", "clang -g")
    assert build_backend._compiler() == ["clang", "-g"]


def test_each_level_has_its_library_and_none_may_fuse_sums() -> None:
    names = [f"featmatch.native.kernels_{level}" for level in LEVELS]
    built = [one.name for one in kernels()]
    assert built == names[: len(built)]
    for one in kernels():
        assert {"-ffp-contract=off", "-fno-math-errno"} <= set(one.extra_compile_args)
        assert not {"-ffast-math", "-march=native", "-Ofast"} & set(one.extra_compile_args)


def test_the_compiler_is_told_what_to_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setenv("CC", "some-cc -g")
    build = BuildKernels(Distribution({"ext_modules": kernels()[:1]}))
    build.build_lib = str(tmp_path)
    build.ensure_finalized()
    build.run()
    assert commands[0][:2] == shlex.split("some-cc -g")
    target = Path(commands[0][-1])
    assert target.parent == tmp_path / "featmatch" / "native"
    assert target.stem == "kernels_baseline"  # without the version of Python
