"""The short form of tools/fuzz_kernels.py, and whether it would notice."""

from __future__ import annotations

import ctypes
import functools
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featmatch.native import library as libraries
from tests.tools import kept_programs
from tools import build_backend, fuzz_kernels, kernel_cases
from tools.fuzz_kernels import GENERATORS, Build, CannotBuildError, Program, builds, case_of, compare, usual_builds
from tools.kernel_cases import SCRATCH, WRITTEN, Case
from tools.sift_inputs import drawn_pictures, picture_case

LEVELS = [name for name in usual_builds() if name in libraries.LEVELS]
BEST, SANITIZED = LEVELS[-1], f"sanitized-{LEVELS[-1]}"

Built = Callable[[str], Program]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Built:
    """Builds by name, made once; those without sanitizers take the kernels that are installed: compiled already.

    The others are kept in pytest's cache until a source changes: sanitizers take seconds to compile.
    """
    folder, ways = tmp_path_factory.mktemp("builds"), builds()
    keeping: list[str] = []
    if request.config.pluginmanager.hasplugin("cacheprovider"):
        keeping = [sys.executable, kept_programs.__file__, str(request.config.cache.mkdir("kernels"))]

    @functools.cache
    def program(name: str) -> Program | CannotBuildError:
        way = ways[name]
        with pytest.MonkeyPatch.context() as patch:
            if name in LEVELS:
                patch.setattr(fuzz_kernels, "SOURCES", [str(libraries._path(name))])
            elif way.compiler:
                way = replace(way, compiler=[*keeping, *way.compiler])
            try:
                return Program(way, folder)
            except CannotBuildError as error:
                return error

    def build(name: str) -> Program:
        made = program(name)
        if isinstance(made, CannotBuildError):
            pytest.skip(f"{name}: {made}")
        return made

    return build


def cases(module: str, first: int, count: int) -> tuple[list[str], list[Case]]:
    numbers = range(first, first + count)
    return [f"{module} {number}" for number in numbers], [case_of(module, number) for number in numbers]


@pytest.mark.parametrize("module", GENERATORS)
@pytest.mark.parametrize("other", [SANITIZED, f"zig-{BEST}", "arm64"])
def test_all_builds_answer_alike(built: Built, module: str, other: str) -> None:
    programs = [built(BEST), built(other)]
    names, inputs = cases(module, 5_000_000, 100)
    assert compare(programs, names, inputs) == []


@pytest.mark.parametrize("other", [*LEVELS[:-1], "arm64"])
def test_all_builds_find_the_same_in_pictures(built: Built, other: str) -> None:
    programs = [built(BEST), built(other)]
    inputs = [picture_case(one[:150, :200].copy()) for one in drawn_pictures()]
    assert compare(programs, [str(n) for n in range(len(inputs))], inputs) == []
    assert sum(answer[0] for answer in built(BEST).answers(inputs)[0]) > 500


def test_inputs_are_the_same_each_time_and_call_each_kernel() -> None:
    called: set[str] = set()
    for module in GENERATORS:
        inputs = cases(module, 0, 100)[1]
        messages = [one.message() for one in inputs]
        assert messages == [one.message() for one in cases(module, 0, 100)[1]]
        assert len(set(messages)) == 100
        called.update(name for one in inputs for name in one.called)
    assert called == set(libraries._SIGNATURES) - {"featmatch_best_level", "featmatch_built_from"}


@pytest.mark.parametrize("module", GENERATORS)
def test_most_inputs_are_worked_on_and_some_are_refused(built: Built, module: str) -> None:
    answers, end = built(BEST).answers(cases(module, 0, 200)[1])
    assert end == ""
    refused = sum(any(-3 < number < 0 for number in one) for one in answers)
    assert 2 < refused < 80


# A kernel with faults: it writes beyond what it is given, adds up more than an int holds, and returns what it finds in
# memory that is to work in.
FAULTY = """
#include <stdint.h>
__attribute__((visibility("default")))
int64_t featmatch_faulty(int64_t what, uint8_t *out, int64_t size, uint8_t *scratch, float real) {
    if (what == 1) out[size] = 1;
    if (what == 2) { int sum = 2147483600; for (int64_t n = 0; n < size; n++) sum += 9; return sum; }
    if (what == 3) return scratch[size - 1];
    if (what == 4) __builtin_trap();
    out[0] = (uint8_t)what;
    return (int64_t)(real * 4);
}
"""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Case]:
    i64, f32, pointer = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
    source = tmp_path / "faulty.c"
    source.write_text(FAULTY)
    signature = (i64, [i64, pointer, i64, pointer, f32])
    monkeypatch.setattr(libraries, "_SIGNATURES", {"featmatch_faulty": signature})
    monkeypatch.setattr(kernel_cases, "FUNCTIONS", ("featmatch_faulty",))
    monkeypatch.setattr(fuzz_kernels, "SOURCES", [str(source)])

    def case(what: int) -> Case:
        made = Case()
        buffers = made.written(50), made.scratch(50)
        made.call("featmatch_faulty", what, buffers[0], 50, buffers[1], 0.75)
        return made

    return case


def test_faults_are_noticed_and_what_comes_after_them_is_tried(
    faulty: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    libraries.library()
    if not build_backend.own_compiler():
        pytest.skip("there is no C compiler here")
    monkeypatch.setattr(fuzz_kernels, "_check_tools", lambda build: None)
    try:
        programs = [Program(builds()[name], tmp_path) for name in ("baseline", "sanitized-baseline")]
    except CannotBuildError as error:
        pytest.skip(str(error))
    inputs = [faulty(what) for what in (0, 1, 2, 3, 4, 5)]
    found = compare(programs, [f"case {n}" for n in range(6)], inputs)
    assert [problem.split(": ")[0] for problem in found] == [
        "case 4, baseline", "case 1, sanitized-baseline", "case 2, sanitized-baseline", "case 4, sanitized-baseline",
        "case 3",
    ]  # fmt: skip
    assert "heap-buffer-overflow" in found[1]
    assert "signed integer overflow" in found[2]
    assert "sanitized-baseline answers" in found[4]  # other memory, another answer
    answers = programs[0].answers(inputs[:1])[0]
    assert answers[0][0] == 3  # 4 times 0.75
    assert answers != programs[0].answers([faulty(6)])[0]  # of what is written, a checksum


def test_memory_is_handed_over_as_it_is_said() -> None:
    case = Case()
    buffers = [case.given(np.arange(3, dtype=np.uint8)), case.written(8), case.scratch(4)]
    case.call("featmatch_sift_kept", 5, -1, 7)
    assert [one.number for one in buffers] == [0, 1, 2]
    words = np.frombuffer(case.message()[27:], "<i8")
    assert words.tolist() == [
        8,
        WRITTEN,
        4,
        SCRATCH,
        1,
        kernel_cases.FUNCTIONS.index("featmatch_sift_kept"),
        3,
        5,
        -1,
        7,
    ]


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (Build("cc", [], []), "no C compiler"),
        (Build("cc", ["/no/such/compiler"], []), "no C compiler"),
        (Build("cc", ["cc"], [], ["no-such-emulator"]), "no no-such-emulator: apt install"),
        (Build("cc", ["false"], []), "the compiler refuses"),
    ],
)
def test_what_is_missing_is_said(build: Build, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in ("cc", "false") else None)
    with pytest.raises(CannotBuildError, match=why):
        Program(build, tmp_path)


@pytest.mark.usefixtures("faulty")  # which is small, and soon compiled
def test_a_program_that_cannot_run_here_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    libraries.library()
    if not (own := build_backend.own_compiler()):
        pytest.skip("there is no C compiler here")
    # As where a limit of addresses keeps a sanitizer from starting.
    limited = ["sh", "-c", 'echo "ERROR: no room" >&2; kill -ABRT $$']
    monkeypatch.setattr(fuzz_kernels, "builds", lambda: {"limited": Build("limited", own, [], limited)})
    assert fuzz_kernels.ready(["limited"], tmp_path) == []
    assert "limited: left out: it does not run here: ended with -6 ERROR: no room" in capsys.readouterr().out


def test_a_level_that_this_processor_has_not_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(libraries, "LEVELS", (*libraries.LEVELS, "avx4096"))
    monkeypatch.setattr(fuzz_kernels, "builds", lambda: {"avx4096": Build("avx4096", ["cc"], [])})
    assert fuzz_kernels.ready(["avx4096"], tmp_path) == []
    assert "avx4096: left out: this processor has not that level" in capsys.readouterr().out
