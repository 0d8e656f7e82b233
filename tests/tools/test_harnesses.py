"""The short forms of the harnesses; ``docs/reliability.md`` has the figures of the long ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch import UsageError, Vocabulary
from featmatch.adding import batches
from featmatch.grouping import finding
from featmatch.search import query
from featmatch.system import arrays
from tests.tools.conftest import worker_for_a_while

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # the threads are NumPy's, and idle
]


@pytest.fixture(autouse=True)
def what_harnesses_patch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put it back afterwards."""
    for module, name in (
        (batches, "BATCH_IMAGES"), (query, "extract_grey"), (arrays, "MAPPED_BYTES"), (finding, "_BLOCK_IMAGES"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, vars(module)[name])
    with worker_for_a_while():
        yield


def test_killed_and_failing_writers_lose_nothing(small_words: Vocabulary) -> None:
    from tools.faults import Fault
    from tools.torture import Torture

    with tempfile.TemporaryDirectory() as folder:  # where another user may look into it
        torture = Torture(Path(folder), small_words)
        torture.creations(range(1, 22, 10))
        torture.groupings([Fault("before", 21), Fault("full", 100)])
        some = {
            "reject": [Fault("before", 1), Fault("after", 11), Fault("full", 5000)],
            "add": [Fault("before", 31), Fault("EIO", 61), Fault("full", 5000)],
            "remove": [Fault("after", 8), Fault("EIO", 15)],
            "compact": [Fault("before", 18), Fault("after", 35), Fault("full", 5000), Fault("read-only")],
            "accept": [Fault("EIO", 6), Fault("after", 26), Fault("later", 0.03)],
        }
        for kind, faults in some.items():
            for fault in faults:
                torture.strike(torture._prepared(kind), fault)
        torture.repairs(range(45, 46))
        assert torture._model.verdicts
    assert torture.failures == []
    assert torture.tally["kills"] >= 8
    assert torture.tally["faults"] >= 5


def test_a_service_keeps_its_word_under_load(small_words: Vocabulary, tmp_path: Path) -> None:
    from tools.load_service import Load, make_index, run

    base = make_index(tmp_path, None, small_words)
    result = run(Load(searches=12, uploads=6, deletions=2, clients=2), tmp_path, base)
    assert result.failures == []
    assert len(result.searches) >= 12
    assert len(result.uploads) == 6
    assert result.live


def test_the_load_ends_its_server_also_where_it_fails(
    small_words: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools import load_service

    servers: list[load_service.Server] = []

    class Watched(load_service.Server):
        def __enter__(self) -> load_service.Server:
            servers.append(self)
            return super().__enter__()

    monkeypatch.setattr(load_service, "Server", Watched)
    load_service.make_index(tmp_path, None, small_words)
    with pytest.raises(UsageError):
        load_service.overhead(tmp_path, [None], 1)  # type: ignore[list-item]
    assert [server.status for server in servers] == [0]


def test_the_load_tells_which_limit_was_passed() -> None:
    from tools.load_service import Result

    steady: dict[str, Any] = {"memory": [1 << 30] * 8, "handles": [40] * 8, "live": [0.01] * 200}
    assert Result(**steady).passed() == []
    assert Result(**steady | {"memory": [0, 0, *[1 << 30] * 6]}).passed() == []  # at first, it may grow
    for changed, told in (
        ({"failures": ["search of a: 500"]}, "search of a: 500"),
        ({"live": [0.01] * 190 + [0.2] * 10}, "liveness is 200 ms"),
        ({"memory": [0] * 6 + [65 << 20] * 2}, "memory grew by 65 MB"),
        ({"handles": [9] * 6 + [42] * 2}, "open files grew by 33"),
    ):
        (limit,) = Result(**steady | changed).passed()
        assert told in limit


def test_a_fault_is_noticed_by_the_harness(small_words: Vocabulary, tmp_path: Path) -> None:
    from tools.faults import Fault
    from tools.torture import Torture

    torture = Torture(tmp_path, small_words)
    operation = torture._prepared("compact")
    column = next((tmp_path / "index" / "segments").rglob("x.npy"))
    column.write_bytes(column.read_bytes()[:-1] + b"?")
    torture.strike(operation, Fault("before", 30))
    assert any("x.npy" in failure for failure in torture.failures)


def test_damaged_indexes_neither_crash_nor_hang_nor_go_unseen(small_words: Vocabulary, tmp_path: Path) -> None:
    from tools.fuzz_index import Fuzz

    fuzz = Fuzz(tmp_path, small_words)
    fuzz.run(40)
    assert fuzz.failures == []
    assert fuzz.tally["mutations"] == 40
    assert fuzz.tally["answered"] > 5
    assert fuzz.tally["refused"] > 5
    assert fuzz.tally["repaired"] > 1


def test_long_use_gives_the_answers_of_a_plain_dict_and_grows_nothing(small_words: Vocabulary, tmp_path: Path) -> None:
    from tools.soak import Soak

    soak = Soak(tmp_path, small_words)
    soak.run(60)
    assert soak.failures == []
    assert {"add", "remove", "refresh", "query"} <= set(soak.tally)


def test_an_index_of_synthetic_images_gives_back_what_was_planted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_photos: Path, tmp_path: Path
) -> None:
    from tools import bench_scale, build_backend

    if not build_backend.own_compiler():
        pytest.skip("there is no C compiler here, which makes the loop that reading is measured by")

    results = tmp_path / "results.json"
    monkeypatch.setattr(
        "sys.argv",
        [
            "bench_scale", str(small_photos), "--images", "20", "40", "--features", "100", "--queries", "4", "--steady",
            "2", "--shards", "2", "--work", str(tmp_path / "work"), "--json", str(results),
            "--plot", str(tmp_path / "plot.svg"),
        ],
    )  # fmt: skip
    assert bench_scale.main() == 0
    rows = json.loads(results.read_text())
    assert [row["images"] for row in rows] == [20, 40]
    assert all(row["recall"] >= 0.5 and row["bytes_an_image"] > 1800 for row in rows)
    assert all(row["search_ms"]["votes"]["p50"] > 0 and row["build_images_per_s"] > 0 for row in rows)
    assert all(row["shards_ratio"] > 0 for row in rows)
    assert (tmp_path / "plot.svg").stat().st_size > 1000
    assert "| 20 | 40 |" in capsys.readouterr().out


def test_a_mutant_that_no_test_notices_is_reported_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("mutmut")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").touch()
    (tmp_path / "toy" / "steps.py").write_text(
        '"""Steps of 2."""\n\n_STEP: int = 2  # a size\n\n\n'
        "def up(value: int | None) -> int:\n    if value % 2:\n        value += 1\n    return value + _STEP\n\n\n"
        "def low(value: int) -> bool:\n    return value < 40\n"
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_steps.py").write_text(
        "from toy.steps import low, up\n\n\n"
        "def test_up():\n    assert [up(2), up(5)] == [4, 8]\n\n\n"
        "def test_low():\n    assert [low(20), low(100)] == [True, False]\n"
    )
    command = [sys.executable, "-m", "tools.mutants", "toy/steps", "--sample", "99", "--json", "found.json"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    [found] = json.loads((tmp_path / "found.json").read_text())
    changes = [(survivor["line"], survivor["after"]) for survivor in found["survivors"]]
    assert changes == [(13, "return value <= 40")]
    assert found["killed"] == found["mutants"] - 1 >= 10
    assert not list((tmp_path / "toy").glob("__pycache__"))
