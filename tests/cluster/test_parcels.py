"""Parcels: what other processes made of files, until it is in the shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featmatch import Index, StoreError
from featmatch.adding.batches import AddOptions
from featmatch.adding.one_image import Origin
from featmatch.cluster.layout import Layout
from featmatch.cluster.opening import open_shards
from featmatch.cluster.parcels import NewFile, Sorting, folder_of_parcels, make_parcels, parcels_of, read_parcel
from tests.cluster.conftest import Clusters, add, records
from tests.cluster.engine import Workplace

pytestmark = pytest.mark.usefixtures("decoded_here")


def test_a_file_is_in_a_parcel_of_its_shard_and_what_is_known_is_not_read(clusters: Clusters) -> None:
    folder, turn = clusters.of(2), Layout.read(clusters.of(2)).turn + 1
    layout, names = Layout.read(folder), ["scene0.png", "part1.png", "nothing.png"]
    files = [
        NewFile(str(clusters.photos / name), name, f"new-{name}", 1000 + place) for place, name in enumerate(names)
    ]
    sorting = Sorting(folder, turn, layout, open_shards(folder)[0].options, AddOptions(1), [True, True])
    with folder_of_parcels(folder, turn):
        made = make_parcels(files, sorting)
        assert make_parcels(files, sorting) == made
        images = {
            image.name: (shard, image)
            for name, shard, _ in made.parcels
            for image in read_parcel(parcels_of(folder, turn) / name)
        }
    assert [(failure.name, failure.status) for failure in made.failures] == [("nothing.png", "not_found")]
    assert images.keys() == {"new-scene0.png", "new-part1.png"}
    for shard, image in images.values():
        assert isinstance(image.found, Origin)
        assert layout.shard_of(image.found.sha256) == shard
    assert images["new-part1.png"][1].number == 1001


def test_a_parcel_that_is_damaged_is_refused(
    clusters: Clusters, own: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = own(1), str(clusters.photos / "scene0.png")

    def damaged(*arguments: Any) -> Any:
        made = make_parcels(*arguments)
        (name, _, _), *_ = made.parcels
        parcel = parcels_of(folder, Layout.read(folder).turn) / name
        assert [image.name for image in read_parcel(parcel)] == ["scene0.png"]
        parcel.write_bytes(parcel.read_bytes()[:-1])
        return made

    with monkeypatch.context() as patch, pytest.raises(StoreError, match=r"parcel .* is damaged"):
        patch.setattr("featmatch.cluster.adding.make_parcels", damaged)
        add(folder, [path], clusters.photos, Workplace())
    assert not records(folder)
    assert add(folder, [path], clusters.photos, Workplace()).added == ["scene0.png"]


def test_what_is_removed_while_it_gets_another_name_is_told(
    clusters: Clusters, own: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, twin = own(1), str(clusters.photos / "twin-scene2.png")
    add(folder, [str(clusters.photos / "scene2.png")], clusters.photos)

    def removed(*arguments: Any) -> Any:
        made = make_parcels(*arguments)
        assert Index.open(folder / "shard-0000").remove(["scene2.png"]) == ["scene2.png"]
        return made

    monkeypatch.setattr("featmatch.cluster.adding.make_parcels", removed)
    (failure,) = add(folder, [twin], clusters.photos, Workplace()).failed
    assert (failure.name, failure.status) == ("twin-scene2.png", "not_found")
    assert not records(folder)


def test_old_parcels_go_and_those_of_a_later_writer_stay(tmp_path: Path) -> None:
    for turn in (3, 5):
        parcels_of(tmp_path, turn).mkdir(parents=True)
    with folder_of_parcels(tmp_path, 4):
        assert sorted(path.name for path in (tmp_path / "parcels").iterdir()) == ["0000000004", "0000000005"]
    assert [path.name for path in (tmp_path / "parcels").iterdir()] == ["0000000005"]
