"""Pictures of archives are images of their own."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Index
from tests.images.test_archives import tarred, zipped
from tools.small_index import draw_pictures

pytestmark = pytest.mark.usefixtures("decoded_here")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("archived"), 4)


def names(index: Index) -> list[str]:
    return [record.name for record in index.images()]


@pytest.mark.parametrize("make", [zipped, tarred])
def test_pictures_in_an_archive_are_found(small: Index, drawn: list[Path], tmp_path: Path, make: object) -> None:
    contents = {f"deep/{path.name}": path.read_bytes() for path in drawn[:2]}
    archive = make(tmp_path / "a", {**contents, "../out.png": b"x", "bad.png": b"no picture", "notes.txt": b""})  # type: ignore[operator]
    report = small.add([archive, drawn[2]], jobs=1)
    members = [f"{archive}#member={name}" for name in contents]
    assert report.added == [*members, str(drawn[2])]
    assert {(failure.name, failure.status) for failure in report.failed} == {
        (f"{archive}#member=../out.png", "decode_failed"), (f"{archive}#member=bad.png", "decode_failed"),
    }  # fmt: skip
    assert small.query(np.asarray(Image.open(drawn[1])))[0].name == members[1]
    assert small.path_of(members[0]) is None
    assert not (tmp_path / "out.png").exists()
    again = small.add([archive], jobs=1)
    assert (again.added, again.skipped) == ([], members)


def test_an_archive_that_changed(small: Index, drawn: list[Path], tmp_path: Path) -> None:
    one, other, third = (path.read_bytes() for path in drawn[:3])
    archive = zipped(tmp_path / "a", {"a.png": one, "b.png": other})
    os.utime(archive, ns=(1, 1))
    small.add([archive], jobs=1)
    os.utime(archive, ns=(2, 2))
    touched = small.add([archive], jobs=1)
    assert (touched.added, touched.skipped) == ([], [f"{archive}#member=a.png", f"{archive}#member=b.png"])
    assert {record.mtime_ns for record in small.images()} == {2}
    zipped(tmp_path / "a", {"b.png": third, "c.png": one})
    changed = small.add([archive], jobs=1)
    assert sorted(changed.added) == [f"{archive}#member=b.png", f"{archive}#member=c.png"]
    assert sorted(names(small)) == [f"{archive}#member=b.png", f"{archive}#member=c.png"]
    assert small.query(np.asarray(Image.open(drawn[1]))) == []


def test_equal_bytes_in_and_out_of_an_archive_are_one_image(small: Index, drawn: list[Path], tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a", {"a.png": drawn[0].read_bytes()})
    small.add([drawn[0], archive], jobs=1)
    assert [record.id for record in small.images()] == [1, 1]
    assert small.add([drawn[0], archive], jobs=1).added == []


def test_what_an_archive_lost_by_damage_stays(small: Index, drawn: list[Path], tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a", {path.name: path.read_bytes() for path in drawn[:2]})
    small.add([archive], jobs=1)
    content = Path(archive).read_bytes()
    Path(archive).write_bytes(content[:-12_000])
    report = small.add([archive], jobs=1)
    assert [failure.name for failure in report.failed if "#" not in failure.name] == [archive]
    assert len(names(small)) == 2
    Path(archive).write_bytes(b"nonsense")
    assert [failure.status for failure in small.add([archive], jobs=1).failed] == ["decode_failed"]
    assert len(names(small)) == 2


def test_pictures_of_an_archive_are_pruned_with_it(small: Index, drawn: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    archive = zipped(folder / "a", {"a.png": drawn[0].read_bytes()})
    small.add([archive], jobs=1)
    assert small.add([folder], jobs=1, prune=True).vanished == []
    os.unlink(archive)
    assert small.add([folder], jobs=1, prune=True).vanished == [f"{archive}#member=a.png"]


def test_archives_in_folders_are_left_alone(small: Index, drawn: list[Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with zipfile.ZipFile(tmp_path / "photos" / "a.zip", "w") as archive:
        archive.write(drawn[0], "a.png")
    assert small.add([tmp_path / "photos"], jobs=1).added == []
