"""How a run of the command line ends: by a signal, by an error, by nobody reading. Real signals, real processes."""

from __future__ import annotations

import configparser
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import FeatmatchError, Index, StoreError, check
from featmatch.store.segment_writer import write_segment
from featmatch.system.workers import in_order

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")

Photos = dict[str, NDArray[np.uint8]]

# Whoever runs the tests in the background has Ctrl-C ignored.
HEARING = """
import signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
"""
# The command line, which says on standard output that so many images are done, and then waits for a line.
STOPPING = """
import contextlib, os, signal, sys
from featmatch.cli import progress
from featmatch.grouping import finding

stage_wanted, done_wanted = sys.argv.pop(1).split(":")
finding._BLOCK_IMAGES = 2

@contextlib.contextmanager
def bar(unit="", hidden=False):
    def progress(stage, done, total):
        if (stage, done) == (stage_wanted, int(done_wanted)):
            os.write(1, b"here\\n")
            sys.stdin.readline()
    yield progress

progress.progress_bars = bar
from featmatch.__main__ import main
main()
"""

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


def started(stop: str, *arguments: object, program: str = HEARING + STOPPING) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, stop, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def ended_by(number: int, stop: str, *arguments: object, program: str = HEARING + STOPPING) -> tuple[int, str]:
    """Exit status and standard error of a run that gets a signal, with all its processes, where it was to stop."""
    with started(stop, *arguments, program=program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        os.killpg(process.pid, number)
        out, err = process.communicate()
        assert out == ""
        return process.returncode, err


@pytest.fixture(scope="module")
def parts(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Enough pictures for two processes."""
    folder = tmp_path_factory.mktemp("parts")
    files = []
    for number in range(30):
        pixels = list(photos.values())[number % 8]
        files.append(folder / f"{number:02d}.png")
        Image.fromarray(pixels[number * 4 : number * 4 + 160, :160]).save(files[-1])
    return files


@pytest.fixture
def index(parts: list[Path], vocabulary_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "i.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add(parts[:6], jobs=1)
    return folder


@pytest.fixture(scope="module")
def lasting(parts: list[Path], vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the same. Not to be written to."""
    folder = tmp_path_factory.mktemp("lasting") / "i.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add(parts[:6], jobs=1)
    return folder


def names(index: Path) -> list[str]:
    return [record.name for record in Index.open(index).images()]


# Other processes get the signal as well; of those it is enough to send one.
@pytest.mark.parametrize(("number", "status", "said", "jobs"), [(*SIGNALS[0], 2), (*SIGNALS[1], 1)])
def test_a_signal_ends_add_with_all_done_committed(
    parts: list[Path], vocabulary_file: Path, tmp_path: Path, number: int, status: int, said: str, jobs: int
) -> None:
    index = tmp_path / "i.fm"
    Index.open(index, create=True, vocabulary=vocabulary_file)
    ended = ended_by(number, "indexing:9", "add", index, *parts, "--jobs", jobs)
    assert ended == (status, f"featmatch: {said}; what was committed stays\n")
    assert names(index) == [str(path) for path in parts[:9]]
    report = Index.open(index).add(parts[:12], jobs=1)
    assert (report.skipped, len(report.added)) == ([str(path) for path in parts[:9]], 3)


# The command line, which says on standard output that so many queries are answered, and then waits for a line.
ANSWERING = """
import os, sys
from featmatch.cli import searching

left = int(sys.argv.pop(1))

def answer(query, matches):
    global left
    left -= 1
    if left == 0:
        os.write(1, b"here\\n")
        sys.stdin.readline()

searching.print_matches_json = answer
from featmatch.__main__ import main
main()
"""


def test_a_signal_ends_queries_in_the_middle(lasting: Path, parts: list[Path]) -> None:
    arguments = ["query", lasting, *parts, "--json", "--forms", "none", "--jobs", "2"]
    ended = ended_by(signal.SIGHUP, "3", *arguments, program=HEARING + ANSWERING)
    assert ended == (129, "featmatch: hung up; what was committed stays\n")


def test_queries_end_quietly_when_nobody_reads_on(lasting: Path, parts: list[Path]) -> None:
    options = ["--json", "--forms", "none", "--jobs", "2"]
    command = [sys.executable, "-m", "featmatch", "query", str(lasting), *map(str, parts), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"query": ')
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_a_signal_ends_groups_with_what_was_compared_kept(index: Path) -> None:
    ended = ended_by(signal.SIGINT, "comparing:4", "groups", index, "--jobs", "1")
    assert ended == (130, "featmatch: interrupted; what was committed stays\n")
    seen: list[int] = []
    Index.open(index).groups(jobs=1, progress=lambda done, total: seen.append(done))
    assert seen[0] == 4


def test_a_signal_ends_training_and_leaves_nothing(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    arguments = ["train", tmp_path / "v.npz", *parts, "--words", "64", "--jobs", "2"]
    status, said = ended_by(signal.SIGTERM, "features:8", *arguments)
    assert status == 143
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "v.npz").exists()
    assert list((tmp_path / "tmp").glob("featmatch*")) == []


def test_a_signal_ends_an_evaluation_with_its_index_kept(
    parts: list[Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    arguments = ["--vocabulary", vocabulary_file, "--index", tmp_path / "kept", "--jobs", "1", "--count", "3"]
    status, said = ended_by(signal.SIGTERM, "indexing:5", "evaluate", *parts, *arguments)
    assert status == 143
    assert len(said.splitlines()) == 1
    (catalog,) = (tmp_path / "kept").rglob("catalog.sqlite")
    assert len(names(catalog.parent)) == 5


def test_a_signal_that_is_ignored_at_the_start_stays_so(
    parts: list[Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    index = tmp_path / "i.fm"
    Index.open(index, create=True, vocabulary=vocabulary_file)
    nohup = f"{HEARING}\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{STOPPING}"
    with started("indexing:9", "add", index, *parts[:12], "--jobs", "1", program=nohup) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGHUP)
        _, err = process.communicate("\n")
        assert (process.returncode, err) == (0, "added 12, skipped 0, failed 0\n")
    assert len(names(index)) == 12


def test_a_terminal_that_is_gone_takes_nothing_with_it(
    parts: list[Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    index = tmp_path / "i.fm"
    Index.open(index, create=True, vocabulary=vocabulary_file)
    program = f"""{HEARING}
import contextlib, os, sys
from featmatch.cli import progress
stop, progress_bars = int(sys.argv.pop(1)), progress.progress_bars

@contextlib.contextmanager
def bar(unit="", hidden=False):
    with progress_bars(unit, hidden=hidden) as drawn:
        def both(stage, done, total):
            drawn(stage, done, total)
            if done == stop:
                os.write(1, b"here\\n")
                sys.stdin.readline()
        yield both

progress.progress_bars = bar
from featmatch.__main__ import main
main()
"""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, "5", "add", str(index), *map(str, parts), "--jobs", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        os.close(ours)  # from here on, to draw a bar is an error
        process.send_signal(signal.SIGHUP)
        assert process.stdin is not None
        process.stdin.close()  # it may have begun to wait for a line just before the signal came
        assert process.wait() == 129
    assert len(names(index)) == 5


def test_signals_that_come_while_it_ends_change_nothing(
    parts: list[Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    index = tmp_path / "i.fm"
    Index.open(index, create=True, vocabulary=vocabulary_file)
    impatient = HEARING + STOPPING.replace(
        "from featmatch.__main__ import main",
        """
from featmatch.adding import batches
from featmatch.__main__ import main
commit = batches.commit_batch
def impatient(*arguments):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(os.getpid(), number)
    commit(*arguments)
batches.commit_batch = impatient
""",
    )
    status, said = ended_by(signal.SIGINT, "indexing:9", "add", index, *parts, "--jobs", "1", program=impatient)
    assert (status, len(said.splitlines())) == (130, 1)
    assert len(names(index)) == 9


@pytest.mark.parametrize(
    ("module", "number", "status"),
    [
        ("click", signal.SIGINT, 130),
        ("featmatch.cli.common", signal.SIGTERM, 143),
        ("featmatch.cli.printing", signal.SIGHUP, 129),
    ],
)
def test_a_signal_while_modules_are_imported_is_quiet(module: str, number: int, status: int) -> None:
    code = f"""{HEARING}
import importlib.abc, os, sys
class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Interrupting())
from featmatch.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")


def test_the_console_script_begins_with_the_light_module() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    assert setup["options.entry_points"]["console_scripts"].split() == ["featmatch", "=", "featmatch.__main__:main"]
    code = "import sys, featmatch.__main__; print(sorted({'click', 'json', 'numpy', 'tqdm'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-I", "-c", code], text=True) == "[]\n"


# From Python


@pytest.fixture
def empty(vocabulary_file: Path, tmp_path: Path) -> Index:
    return Index.open(tmp_path / "i.fm", create=True, vocabulary=vocabulary_file)


class Ending(BaseException):
    """Neither an error nor Ctrl-C."""


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize("ending", [Ending, MemoryError, ValueError, KeyboardInterrupt, StoreError])
def test_whatever_ends_a_run_what_was_done_is_committed_first(
    empty: Index, parts: list[Path], ending: type[BaseException]
) -> None:
    def progress(done: int, total: int) -> None:
        if done == 2:
            raise ending("of a kind that nobody foresaw")

    with pytest.raises(ending, match="nobody foresaw"):
        empty.add(parts[:5], jobs=1, progress=progress)
    assert [record.name for record in empty.images()] == [str(path) for path in parts[:2]]
    assert empty.add(parts[:5], jobs=1).skipped == [str(path) for path in parts[:2]]


def test_a_process_that_cannot_be_started_costs_nothing_that_was_done(
    empty: Index, parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(*arguments: object, **options: object) -> Iterator[object]:
        with contextlib.closing(in_order(*arguments, **options)) as results:  # type: ignore[arg-type]
            yield next(results)
            raise FeatmatchError("cannot start a process to work in")

    monkeypatch.setattr("featmatch.adding.batches.in_order", some)
    with pytest.raises(FeatmatchError, match="cannot start a process"):
        empty.add(parts[:5], jobs=1)
    assert [record.name for record in empty.images()] == [str(parts[0])]


def test_a_commit_that_is_interrupted_is_made_again(
    empty: Index, parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts = iter([KeyboardInterrupt("in the middle of a commit"), None])

    def interrupted(*arguments: Any) -> bytes:
        manifest = write_segment(*arguments)  # the segment is there, but nobody knows of it
        if error := next(interrupts):
            raise error
        return manifest

    monkeypatch.setattr("featmatch.adding.batches.write_segment", interrupted)
    with pytest.raises(KeyboardInterrupt, match="middle of a commit"):
        empty.add(parts[:5], jobs=1)
    assert len(empty) == 5
    assert not check(empty.folder).problems
