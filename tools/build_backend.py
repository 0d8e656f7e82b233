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

_SOURCES = [f"featmatch/native/{name}.c" for name in ("cpu", "sift", "words", "postings")]

# Nothing here may change a result: no fused or reordered sums. The last two let loops with comparisons and roots become
# vectors; no kernel looks at errno or at floating-point exceptions.
_FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"]
_FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]

_LEVELS: dict[str, list[str]] = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32:
    _LEVELS["avx2"] = ["-mavx2"]
    _LEVELS["avx512"] = [f"-mavx512{kind}" for kind in ("f", "dq", "bw", "vl", "vnni", "vpopcntdq")]
    _LEVELS["avx512"] += ["-mprefer-vector-width=512"]


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What setuptools needs, and a compiler where there is none."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler_needed()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """The same for an editable installation."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler_needed()]


def _own_compiler() -> list[str]:
    """The compiler of this machine: that of the variable ``CC``, or ``cc``; empty where there is none."""
    return shlex.split(os.environ.get("CC", "")) or [found for found in [shutil.which("cc")] if found]


def _compiler_needed() -> list[str]:
    return [] if _own_compiler() else ["ziglang>=0.13"]


def _compiler() -> list[str]:
    """With an explicit target, ziglang does not tune for the processor that it runs on."""
    return _own_compiler() or [sys.executable, "-m", "ziglang", "cc", "-target", _target()]


def _target() -> str:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "win32":
        return f"{machine}-windows-gnu"
    if sys.platform == "darwin":
        return f"{machine}-macos"
    return f"{machine}-linux-{'gnu.2.17' if platform.libc_ver()[0] == 'glibc' else 'musl'}"


def kernels() -> list[Extension]:
    """One library for each instruction level of this kind of machine."""
    depends = [__file__]
    return [
        Extension(f"featmatch.native.kernels_{level}", _SOURCES, extra_compile_args=[*_FLAGS, *flags], depends=depends)
        for level, flags in _LEVELS.items()
    ]


class BuildKernels(build_ext):
    """Plain shared libraries in place of modules of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """Named without the version of Python."""
        return os.path.join(*fullname.split(".")) + (".dll" if sys.platform == "win32" else ".so")

    def build_extension(self, ext: Extension) -> None:
        """Compile and link in one go: a second or two."""
        target = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        command = [*_compiler(), *ext.extra_compile_args, *map(os.fspath, ext.sources), "-o", target]
        print(shlex.join(command), flush=True)
        subprocess.run(command, check=True)


class PlatformWheel(bdist_wheel):
    """A wheel for every Python 3 of this platform."""

    def get_tag(self) -> tuple[str, str, str]:
        """Python 3, no binary interface of Python's, this platform."""
        return ("py3", "none", super().get_tag()[2])
