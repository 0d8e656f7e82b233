"""How featmatch is built: by setuptools, and with a C compiler from the package index where the machine has none.

``pyproject.toml`` names this file as the build backend, and ``setup.py`` takes the kernels from here. The kernels are
plain shared libraries, loaded by ``ctypes``: they need no headers of Python, and one wheel serves all Pythons of a
platform.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setuptools import Extension, build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_ROOT = Path(__file__).parents[1]
_WRITTEN = sorted(path.relative_to(_ROOT).as_posix() for path in _ROOT.glob("featmatch/native/*.[ch]"))
SOURCES = [path for path in _WRITTEN if path.endswith(".c")]

# Nothing here may change a result: no fused or reordered sums. The last two let loops with comparisons and roots become
# vectors; no kernel looks at errno or at floating-point exceptions.
FLAGS = ["-std=gnu11", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra"]
FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
if sys.platform != "win32":
    FLAGS += ["-fPIC"]

LEVELS: dict[str, list[str]] = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32:
    LEVELS["avx2"] = ["-mavx2"]
    LEVELS["avx512"] = [f"-mavx512{kind}" for kind in ("f", "dq", "bw", "vl", "vnni", "vpopcntdq")]
    LEVELS["avx512"] += ["-mprefer-vector-width=512"]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What setuptools needs, and a compiler where there is none."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler_needed()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """The same for an editable installation."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler_needed()]


def own_compiler() -> list[str]:
    """The compiler of the variable ``CC``, or the first of this machine's that does; empty where there is none.

    On a new Mac, ``cc`` only says how to install one; elsewhere a compiler may be there without the headers of C.
    """
    named = shlex.split(os.environ.get("CC", ""))
    found = ([path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name)))
    return named or next((one for one in found if _takes(one, [])), [])


def _takes(compiler: Sequence[str], flags: Sequence[str]) -> bool:
    """Whether a compiler knows these flags, and the language and headers of the kernels: words.c has most of them."""
    with tempfile.TemporaryDirectory(prefix="featmatch-build-") as folder:
        output = str(Path(folder, "words.o"))
        command = [*compiler, *FLAGS, *flags, "-O0", "-c", str(_ROOT / "featmatch/native/words.c"), "-o", output]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False


def _compiler_needed() -> list[str]:
    return [] if own_compiler() else ["ziglang>=0.13"]


def _compiler() -> list[str]:
    """With an explicit target, ziglang does not tune for the processor that it runs on."""
    return own_compiler() or [sys.executable, "-m", "ziglang", "cc", "-target", target()]


def target() -> str:
    """This machine, as ziglang calls it, with the oldest C library that it can build for."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "win32":
        return f"{machine}-windows-gnu"
    if sys.platform == "darwin":
        return f"{machine}-macos"
    return f"{machine}-linux-{'gnu.2.17' if platform.libc_ver()[0] == 'glibc' else 'musl'}"


def _built_from() -> str:
    """A checksum of the sources, by which ``featmatch.native.library`` knows libraries that are older."""
    return f"-DFEATMATCH_BUILT_FROM={zlib.crc32(b''.join((_ROOT / source).read_bytes() for source in _WRITTEN))}u"


def kernels() -> list[Extension]:
    """One library for each instruction level of this kind of machine."""
    return [
        Extension(f"featmatch.native.kernels_{level}", SOURCES, extra_compile_args=flags, depends=[__file__, *_WRITTEN])
        for level, flags in LEVELS.items()
    ]


class BuildKernels(build_ext):
    """Plain shared libraries in place of modules of Python."""

    parallel: Any  # of setuptools: how many at the same time

    def run(self) -> None:
        """Leave out levels that the compiler is too old for; the best of the others is used then."""
        self.compiler_command = _compiler()
        for one in list(self.extensions):
            if one.extra_compile_args and not _takes(self.compiler_command, one.extra_compile_args):
                print(f"warning: {one.name} is left out: the compiler refuses {shlex.join(one.extra_compile_args)}")
                self.extensions.remove(one)
        self.parallel = self.parallel or len(self.extensions) or None  # else one after another
        super().run()

    def get_ext_filename(self, fullname: str) -> str:
        """Named without the version of Python."""
        return os.path.join(*fullname.split(".")) + (".dll" if sys.platform == "win32" else ".so")

    def build_extension(self, ext: Extension) -> None:
        """Compile and link in one go: a second or two."""
        target = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        flags = [*FLAGS, *ext.extra_compile_args, _built_from(), "-shared"]
        command = [*self.compiler_command, *flags, *map(os.fspath, ext.sources), "-o", target]
        print(shlex.join(command), flush=True)
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            raise CompileError(
                f"the C compiler {command[0]} does not build featmatch's kernels. The variable CC names another; "
                "where it is not set, and there is no compiler that works, one is taken from the package index."
            ) from None


class PlatformWheel(bdist_wheel):
    """A wheel for every Python 3 of this platform."""

    def get_tag(self) -> tuple[str, str, str]:
        """Python 3, no binary interface of Python's, this platform."""
        platform_tag: str = super().get_tag()[2]  # a Mac's Python may be for both kinds of Mac; the kernels are not
        return ("py3", "none", platform_tag.replace("universal2", platform.machine()))
