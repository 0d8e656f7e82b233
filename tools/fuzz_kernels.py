"""Call the kernels with a great many inputs, built in every way that this machine can, and hold the answers together.

    python -m tools.fuzz_kernels --inputs 1000000 --builds sanitized-avx512 avx512      about 40 minutes
    python -m tools.fuzz_kernels --inputs 20000 --photos FOLDER --tests                 all builds

A build is a small program (kernel_driver.c) with the kernels in it: at each instruction level, with address and
undefined-behaviour sanitizers or without, by this machine's compiler and by ziglang, and for arm64, under qemu. All
must give the first one's answers to the bit. Input N is the same on every machine, so that any can be tried again:
``--kernels sift --first N --inputs 1``.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featmatch.native import library as libraries
from tools import build_backend
from tools.agreement_inputs import agreement_case
from tools.build_backend import FLAGS, LEVELS, SOURCES
from tools.difference_inputs import difference_case
from tools.kernel_cases import Case, Random
from tools.picture_inputs import small_picture_case
from tools.postings_inputs import postings_case
from tools.sift_inputs import drawn_pictures, photographs, picture_case, sift_case
from tools.similar_inputs import similar_case
from tools.words_inputs import words_case

# For each module of kernels, what makes a case. New ones go to the end: an input is known by its number.
GENERATORS: dict[str, Callable[[Random], Case]] = {
    "sift": sift_case,
    "postings": postings_case,
    "words": words_case,
    "agreement": agreement_case,
    "difference": difference_case,
    "picture": small_picture_case,
    "similar": similar_case,
}

SANITIZERS = ["-O1", "-g1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
_ROOT = Path(__file__).parents[1]
_BATCH = 1000  # inputs to one process, and how many may be lost with it
_BATCH_S = 600
_LIMITS = {"ASAN_OPTIONS": "hard_rss_limit_mb=2048", "UBSAN_OPTIONS": "print_stacktrace=1"}
_C_TYPES = {ctypes.c_int32: "int32_t", ctypes.c_int64: "int64_t", ctypes.c_float: "float", ctypes.c_void_p: "void *"}


class CannotBuildError(Exception):
    """This machine lacks something that a build needs; says what."""


@dataclass(frozen=True)
class Build:
    """A way to build the kernels.

    Attributes:
        name: of it.
        compiler: its command.
        flags: beside those that all have.
        runner: what runs the program, where this machine does not.
    """

    name: str
    compiler: Sequence[str]
    flags: Sequence[str]
    runner: Sequence[str] = ()


def builds() -> dict[str, Build]:
    """All of them by name, the one that others are held to first."""
    own, zig = build_backend.own_compiler(), [sys.executable, "-m", "ziglang", "cc", "-target"]
    found = []
    for level, flags in LEVELS.items():
        found += [
            Build(level, own, flags),
            Build(f"sanitized-{level}", own, [*flags, *SANITIZERS]),
            Build(f"zig-{level}", [*zig, build_backend.target()], flags),
        ]
    # musl, since its programs need nothing else of an arm64 system; the kernels take nothing from either C library.
    found.append(Build("arm64", [*zig, "aarch64-linux-musl"], ["-static"], ["qemu-aarch64-static"]))
    return {one.name: one for one in found}


def usual_builds() -> list[str]:
    """Each level of this processor, the best one with sanitizers and by ziglang, too, and arm64."""
    levels = libraries.levels()
    return [*levels, f"sanitized-{levels[-1]}", f"zig-{levels[-1]}", "arm64"]


class Program:
    """A build that is there, and answers cases."""

    def __init__(self, build: Build, folder: Path) -> None:
        """Compile it, and see that it runs.

        Raises:
            CannotBuildError: there is no compiler, sanitizer or emulator, this processor lacks the level, or the
                program cannot run here (a sanitizer sets aside terabytes of addresses, which a limit may refuse).
        """
        self.build = build
        self._path = folder / build.name
        _check_tools(build)
        (folder / "kernel_calls.h").write_text(wrappers(), encoding="utf-8")
        sources = [str(_ROOT / source) for source in ("tools/kernel_driver.c", *SOURCES)]
        command = [*build.compiler, *FLAGS, *build.flags, f"-I{folder}", *sources, "-o", str(self._path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        if ended.returncode:
            raise CannotBuildError(f"the compiler refuses: {ended.stderr.strip()[-400:]}")
        told = self.answers([])[1]
        if told:
            raise CannotBuildError(f"it does not run here: {told}")

    def answers(self, cases: Sequence[Case]) -> tuple[list[tuple[int, ...]], str]:
        """What each case came to; fewer than there are cases where one ended the process, and then how it ended."""
        # Memory to work in is filled with another byte in each build: what is read before it is written shows.
        fill = str(sum(self.build.name.encode()) % 256)
        try:
            ended = subprocess.run(
                [*self.build.runner, str(self._path), fill],
                input=b"".join(case.message() for case in cases),
                capture_output=True,
                check=False,
                timeout=_BATCH_S,
                env=os.environ | _LIMITS,
            )
        except subprocess.TimeoutExpired as late:
            return list(_answers(late.stdout or b"")), f"hung for {_BATCH_S} s"
        return list(_answers(ended.stdout)), _told(ended) if ended.returncode else ""


def _answers(output: bytes) -> Iterator[tuple[int, ...]]:
    place = 0
    while place < len(output):
        (count,) = struct.unpack_from("<q", output, place)
        yield struct.unpack_from(f"<{count}q", output, place + 8)
        place += 8 * (1 + count)


def _told(ended: subprocess.CompletedProcess[bytes]) -> str:
    """How a process ended, with the line of a sanitizer that says why."""
    lines = ended.stderr.decode(errors="replace").splitlines()
    return " ".join(
        [f"ended with {ended.returncode}", *[one for one in lines if "error:" in one.lower() or "#0" in one][:2]]
    )


def _check_tools(build: Build) -> None:
    level = build.name.rpartition("-")[2]
    if level in libraries.LEVELS and level not in libraries.levels():
        raise CannotBuildError("this processor has not that level, or the compiler does not know it")
    if "ziglang" in build.compiler and importlib.util.find_spec("ziglang") is None:
        raise CannotBuildError("it needs a compiler: pip install ziglang")
    if not build.compiler or shutil.which(build.compiler[0]) is None:
        raise CannotBuildError("there is no C compiler")
    if build.runner and shutil.which(build.runner[0]) is None:
        raise CannotBuildError(f"there is no {build.runner[0]}: apt install qemu-user-static")


def wrappers() -> str:
    """C source: for each kernel a function that takes its arguments from an array, and a table of them."""
    declared, rows = [], []
    for name, (result, arguments) in libraries._SIGNATURES.items():
        types = [_C_TYPES[one] for one in arguments]
        fields = [{"float": "real", "void *": "at"}.get(one, "whole") for one in types]
        given = ", ".join(f"a[{place}].{one}" for place, one in enumerate(fields))
        call = f"{name}({given})" if result else f"({name}({given}), 0)"
        declared.append(f"{_C_TYPES[result] if result else 'void'} {name}({', '.join(types) or 'void'});")
        declared.append(f"static int64_t call_{name}(const argument *a) {{ (void)a; return {call}; }}")
        rows.append(f'    {{call_{name}, {len(types)}, "{"".join("p" if one == "at" else "n" for one in fields)}"}},')
    table = "static const struct { int64_t (*call)(const argument *); int64_t count; const char *kinds; } CALLS[] = {"
    return "\n".join([*declared, f"enum {{ KERNELS = {len(rows)} }};", table, *rows, "};\n"])


def case_of(module: str, number: int) -> Case:
    """The case of that number: the same each time, on every machine."""
    return GENERATORS[module](np.random.default_rng((list(GENERATORS).index(module), number)))


def compare(programs: Sequence[Program], names: Sequence[str], cases: Sequence[Case]) -> list[str]:
    """What went wrong, in words: a process that ended, or other answers than the first program's."""
    problems: list[str] = []
    expected: list[tuple[int, ...]] = []
    for program in programs:
        given: list[tuple[int, ...]] = []
        while len(given) < len(cases):
            more, end = program.answers(cases[len(given) :])
            given += more
            if end:
                problems.append(f"{names[len(given)]}, {program.build.name}: {end}")
                given.append(())
        expected = expected or given
        for name, one, other in zip(names, expected, given, strict=True):
            if one and other and one != other:
                problems.append(f"{name}: {program.build.name} answers {other}, {programs[0].build.name} {one}")
    return problems


def ready(names: Sequence[str], folder: Path) -> list[Program]:
    """The builds of these names; those that cannot be are told and left out."""
    programs = []
    for name in names:
        try:
            programs.append(Program(builds()[name], folder))
        except CannotBuildError as error:
            print(f"{name}: left out: {error}", flush=True)
    return programs


def run_tests() -> int:
    """tests/native with sanitizers, in a copy of the tree: the kernels that are installed stay as they are."""
    runtimes = []
    for name in ("libasan.so", "libubsan.so"):
        told = subprocess.run(
            [*build_backend.own_compiler(), f"-print-file-name={name}"], capture_output=True, check=True
        )
        runtimes.append(told.stdout.decode().strip())
    with tempfile.TemporaryDirectory(prefix="featmatch-sanitized-") as folder:
        tree = Path(folder) / "tree"
        left_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(_ROOT, tree, ignore=left_out)
        compiler = " ".join([*build_backend.own_compiler(), *SANITIZERS])
        building = os.environ | {"CC": compiler, "PYTHONPATH": "tools"}
        command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        subprocess.run(command, cwd=tree, env=building, check=True, stdout=subprocess.DEVNULL)
        testing = os.environ | {"LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/native"]
        return subprocess.run(command, cwd=tree, env=testing, check=False).returncode


def main() -> int:
    """Run it and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000, help="for each module of kernels")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kernels", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    parser.add_argument("--builds", nargs="+", choices=builds(), default=usual_builds())
    parser.add_argument("--photos", nargs="+", type=Path, default=[], help="files or folders, beside drawn pictures")
    parser.add_argument("--tests", action="store_true", help="run tests/native with sanitizers as well")
    arguments = parser.parse_args()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="featmatch-kernels-") as folder:
        programs = ready(arguments.builds, Path(folder))
        for batch in _batches(arguments):
            start = time.perf_counter()
            found = compare(programs, *batch)
            problems += found
            took_s = time.perf_counter() - start
            print(f"{batch[0][0]} to {batch[0][-1]}: {len(found)} problems, {took_s:.1f} s", flush=True)
            for problem in found:
                print(f"  {problem}", flush=True)
    print(f"{' '.join(one.build.name for one in programs)}: {len(problems)} problems")
    return 1 if problems or not programs or (arguments.tests and run_tests()) else 0


def _batches(arguments: argparse.Namespace) -> Iterator[tuple[list[str], list[Case]]]:
    """Names and cases, so many at a time."""
    if arguments.inputs >= _BATCH or arguments.photos:
        pictures = [*drawn_pictures(), *photographs(arguments.photos)]
        for number, picture in enumerate(pictures):
            yield [f"picture {number}"], [picture_case(picture)]
    for module in arguments.kernels:
        for first in range(arguments.first, arguments.first + arguments.inputs, _BATCH):
            numbers = range(first, min(first + _BATCH, arguments.first + arguments.inputs))
            yield [f"{module} {number}" for number in numbers], [case_of(module, n) for n in numbers]


if __name__ == "__main__":
    sys.exit(main())
