from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from pathlib import Path

import pytest
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.dist import Distribution
from setuptools.errors import CompileError

from featmatch.native.library import LEVELS
from tools import build_backend
from tools.build_backend import BuildKernels, PlatformWheel, kernels

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def stand_in(path: Path, script: str) -> str:
    """A compiler that does as the script does."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_is_asked_for_only_where_there_is_none(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build_backend._compiler_needed() == ["ziglang>=0.13"]
    assert build_backend._compiler()[:4] == [sys.executable, "-m", "ziglang", "cc"]
    assert build_backend._compiler()[4] == "-target"  # or it would tune for this processor
    stand_in(nothing_installed / "cc", "exit 1")  # as on a Mac, where it says how to install one
    assert build_backend._compiler_needed() == ["ziglang>=0.13"]
    gcc = stand_in(nothing_installed / "gcc", "exit 0")
    assert build_backend._compiler_needed() == []
    assert build_backend._compiler() == [gcc]
    cc = stand_in(nothing_installed / "cc", "exit 0")
    assert build_backend._compiler() == [cc]
    monkeypatch.setenv("CC", "clang -g")
    assert build_backend._compiler() == ["clang", "-g"]


def test_each_level_has_its_library_and_none_may_fuse_sums() -> None:
    names = [f"featmatch.native.kernels_{level}" for level in LEVELS]
    built = [one.name for one in kernels()]
    assert built == names[: len(built)]
    assert {"-ffp-contract=off", "-fno-math-errno"} <= set(build_backend.FLAGS)
    given = {*build_backend.FLAGS, *(flag for one in kernels() for flag in one.extra_compile_args)}
    assert not {"-ffast-math", "-march=native", "-Ofast"} & given


def test_all_sources_are_compiled() -> None:
    assert {Path(source).name for source in build_backend.SOURCES} >= {"cpu.c", "sift.c"}
    assert all((ROOT / source).is_file() for source in build_backend.SOURCES)


def build(folder: Path) -> BuildKernels:
    command = BuildKernels(Distribution({"ext_modules": kernels()}))
    command.build_lib = str(folder)
    command.ensure_finalized()
    return command


def built(folder: Path) -> list[str]:
    """Without the version of Python in their names."""
    return sorted(path.stem for path in (folder / "featmatch" / "native").glob("kernels_*"))


# What a compiler is told last is where the library goes.
_WRITES = 'for last; do :; done; case "$last" in *kernels_*) echo "$@" >"$last";; esac'


def test_the_compiler_is_told_what_to_build(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", stand_in(nothing_installed / "some-cc", _WRITES) + " -g")
    build(nothing_installed).run()
    assert built(nothing_installed) == sorted(f"kernels_{level}" for level in build_backend.LEVELS)
    said = next((nothing_installed / "featmatch" / "native").glob("kernels_baseline.*")).read_text().split()
    assert said[0] == "-g"
    assert {"-shared", "featmatch/native/sift.c", *build_backend.FLAGS} <= set(said)
    assert any(word.startswith("-DFEATMATCH_BUILT_FROM=") for word in said)


@pytest.mark.parametrize("level", build_backend.LEVELS)
def test_each_compiler_takes_each_level(level: str) -> None:
    flags = build_backend.LEVELS[level]
    compilers = [[path] for name in ("gcc", "clang") if (path := shutil.which(name))]
    if importlib.util.find_spec("ziglang"):
        compilers.append([sys.executable, "-m", "ziglang", "cc", "-target", build_backend.target()])
    if not compilers:
        pytest.skip("there is no C compiler here")
    for compiler in compilers:
        assert build_backend._takes(compiler, flags)
        assert not build_backend._takes(compiler, [*flags, "-mno-such-instructions"])


def test_a_level_that_the_compiler_does_not_know_is_left_out(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_backend, "LEVELS", {"baseline": [], "avx2": ["-mavx2"], "avx512": ["-mavx512f"]})
    refusing = f'case "$*" in *-mavx512f*) exit 1;; esac; {_WRITES}'
    monkeypatch.setenv("CC", stand_in(nothing_installed / "old-cc", refusing))
    build(nothing_installed).run()
    assert built(nothing_installed) == ["kernels_avx2", "kernels_baseline"]
    assert "kernels_avx512 is left out: the compiler refuses -mavx512f" in capsys.readouterr().out


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_a_compiler_that_fails_is_one_clear_error(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    stand_in(nothing_installed / "false", "exit 1")
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(CompileError, match=f"compiler {compiler} does not build .* The variable CC names another"):
        build(nothing_installed).run()


def test_a_wheel_is_for_one_kind_of_machine_and_every_python(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = PlatformWheel(Distribution({"name": "x", "version": "1", "ext_modules": kernels()}))
    wheel.ensure_finalized()
    assert wheel.get_tag()[:2] == ("py3", "none")
    assert wheel.get_tag()[2] != "any"
    monkeypatch.setattr(bdist_wheel, "get_tag", lambda self: ("cp313", "cp313", "macosx_11_0_universal2"))
    assert wheel.get_tag() == ("py3", "none", f"macosx_11_0_{platform.machine()}")
