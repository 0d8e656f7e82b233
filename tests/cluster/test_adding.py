"""Files are added by this machine, or by the processes of a workshop, some of which end, hang or are late."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featmatch import StoreError, open_all
from featmatch.adding.batches import AddOptions
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.parcels import make_parcels
from featmatch.cluster.telling import check_cluster
from featmatch.store.records import ImageRecord
from featmatch.system.workers import Lost
from tests.cluster.conftest import Clusters, add, records
from tests.cluster.engine import Fault, Workplace
from tests.test_indexes import QUERIES, collection, encoded, said, scene

pytestmark = pytest.mark.usefixtures("decoded_here")


def by_name(held: tuple[int, ImageRecord]) -> str:
    return held[1].name


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few files are a task, and few images enough to be committed."""
    monkeypatch.setattr("featmatch.cluster.adding._TASK_FILES", 4)
    monkeypatch.setattr("featmatch.cluster.adding.BATCH_IMAGES", 5)


@pytest.mark.usefixtures("small")
def test_what_processes_add_is_what_one_machine_adds(clusters: Clusters, own: Callable[[int], Path]) -> None:
    folder, paths = own(2), [str(clusters.photos / name) for name, _ in collection()]
    faults: dict[int, Fault] = {
        0: 5.0, 1: Lost("killed"), 2: "killed after it was done", 5: 1e9, 6: "killed", 9: Lost("killed"), 10: 7.0,
    }  # fmt: skip
    for some, place in ((paths[:9], Workplace()), (paths, Workplace(faults.get))):
        report = add(folder, some, clusters.photos, place)
        assert not report.failed
    assert sorted(records(folder), key=by_name) == sorted(records(clusters.of(2)), key=by_name)
    assert sorted([*report.added, *report.skipped]) == sorted(name for name, _ in collection())
    assert check_cluster(folder) == []
    assert not (folder / "parcels").exists()
    several = open_all([folder], root=clusters.photos)
    assert said(several.query(QUERIES["scene"](), unproven=True)) == clusters.said_by_one("scene")


@pytest.mark.parametrize("place", [None, Workplace()])
def test_adding_again_adds_nothing_and_a_change_moves_an_image(
    own: Callable[[int], Path], tmp_path: Path, place: Workplace | None
) -> None:
    folder, photos = own(7), tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        (photos / f"{number}.png").write_bytes(encoded(scene(number)))
    assert len(add(folder, [str(photos)], photos, place).added) == 4
    before = records(folder)
    assert len(add(folder, [str(photos)], photos, place).skipped) == 4
    assert records(folder) == before
    (photos / "0.png").write_bytes(encoded(scene(9)))
    (photos / "1.png").write_bytes(encoded(scene(2), 9))
    (photos / "3.png").write_bytes((photos / "2.png").read_bytes())  # older than what it was
    (photos / "5.png").write_bytes(b"nothing")
    (photos / "6.zip").write_bytes(b"nothing")
    report = add(folder, [str(photos), str(photos / "6.zip")], photos, place)
    assert sorted(report.added) == ["0.png", "1.png", "3.png"]
    assert sorted(os.path.basename(failure.name) for failure in report.failed) == ["5.png", "6.zip"]
    now = {record.name: record for _, record in records(folder)}
    assert len(records(folder)) == len(now) == 4
    assert now["3.png"].sha256 == now["2.png"].sha256
    assert now["3.png"].id == 3
    os.utime(photos / "0.png", ns=(1, 1))
    report = add(folder, [str(photos)], photos, place)
    assert (report.added, len(report.skipped)) == ([], 4)
    assert {record.name: record.id for _, record in records(folder)} == {name: one.id for name, one in now.items()}
    assert check_cluster(folder) == []


@pytest.mark.usefixtures("small")
def test_what_was_sent_is_committed_before_it_ends_early(clusters: Clusters, own: Callable[[int], Path]) -> None:
    folder = own(1)

    def stop(done: int, _: int) -> None:
        if done == 12:
            assert len(records(folder)) == 8  # of two tasks, which are enough
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_to_cluster(
            folder, [str(clusters.photos)], AddOptions(1), root=str(clusters.photos), wait=False, progress=stop,
            workshop=Workplace(),
        )  # fmt: skip
    some = records(folder)
    assert len(some) == 12
    report = add(folder, [str(clusters.photos)], clusters.photos, Workplace())
    assert (len(report.skipped), len(report.added)) == (12, len(collection()) - 12)
    assert set(some) <= set(records(folder))
    assert len({record.id for _, record in records(folder)}) == len({record.sha256 for _, record in records(folder)})
    assert len({record.sha256 for _, record in records(folder)}) == len(
        {record.sha256 for record in clusters.one.images()}
    )
    assert check_cluster(folder) == []


@pytest.mark.usefixtures("small")
def test_files_of_a_task_that_is_always_lost_are_told(clusters: Clusters, own: Callable[[int], Path]) -> None:
    folder, names = own(2), sorted(name for name, _ in collection())
    report = add(folder, [str(clusters.photos)], clusters.photos, Workplace(lambda call: Lost("no disk"), places=1))
    assert [(os.path.basename(one.name), one.message) for one in report.failed] == [(name, "no disk") for name in names]
    assert not records(folder)


def test_who_slept_while_processes_read_files_commits_nothing(
    clusters: Clusters, own: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, paths = own(2), [str(clusters.photos / f"scene{number}.png") for number in range(3)]

    def taken_over(*arguments: Any) -> Any:
        made = make_parcels(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr("featmatch.cluster.turns.hold_writer_lock", lambda *_, **__: contextlib.nullcontext())
            patch.setattr("featmatch.cluster.adding.make_parcels", make_parcels)
            add(folder, paths[:1], clusters.photos, Workplace())
        return made

    monkeypatch.setattr("featmatch.cluster.adding.make_parcels", taken_over)
    with pytest.raises(StoreError, match="another writer took over"):
        add(folder, paths, clusters.photos, Workplace(places=1))
    assert [record.name for _, record in records(folder)] == ["scene0.png"]
    assert check_cluster(folder) == []
