"""What was looked up before is not looked up again, as long as nothing has changed that it depends on."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.grouping import asking, looked_up
from featmatch.grouping.asking import asked
from featmatch.grouping.kept import code_of_all, digests_of
from featmatch.grouping.placing import ImageSize
from featmatch.proof.probability import ToldEvidence
from featmatch.search import voting
from featmatch.search.many import look_up_each
from featmatch.search.matches import Matches
from featmatch.store.joined import reader_of
from featmatch.store.reader import Reader
from featmatch.system.shipped import shipped_file
from tests.grouping.made import scaled
from tests.grouping.test_asking import blobs, match

pytestmark = pytest.mark.usefixtures("decoded_here")

TURNED = ["a-turned.jpg", "b-turned.jpg", "c-turned.jpg"]
NOISE = "noise.png"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/featmatch/look-ups.sqlite"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_vocabulary: Vocabulary) -> Path:
    """An index of eight soft pictures, in a folder with these."""
    folder = tmp_path_factory.mktemp("made")
    blobs(folder / "pictures")
    Index.open(folder / "index", create=True, vocabulary=tiny_vocabulary).add([folder / "pictures"], jobs=1)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def look_up(reader: Reader, files: Sequence[str], *_: Any, jobs: int) -> Iterator[Matches]:
    """What a search finds of these pictures, in no time: those of one letter are copies of one another."""
    assert jobs == 1
    for file in files:
        found = {
            record.name: match(record.id, scaled(1 / 3, record.id))
            for record in reader.images()
            if Path(record.name).name[0] == Path(file).name[0]
        }
        compared = ToldEvidence(5.0, 0.99, agreement=0.9)
        yield Matches(
            [
                dataclasses.replace(one, name=name, proof=dataclasses.replace(one.proof, evidence=compared))
                for name, one in found.items()
            ],
            not_at_hand=tuple(name for name in found if not os.path.exists(reader.path_of(name) or "")),
        )


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are looked up, as it goes on."""
    return watched(monkeypatch, look_up)


def watched(monkeypatch: pytest.MonkeyPatch, search: Callable[..., Iterator[Matches]]) -> list[str]:
    seen: list[str] = []

    def watch(reader: Reader, files: Sequence[str], *given: Any, jobs: int) -> Iterator[Matches]:
        seen.extend(Path(file).name for file in files)
        return search(reader, files, *given, jobs=jobs)

    monkeypatch.setattr(asking, "look_up_each", watch)
    return seen


def found(*folders: Path) -> str:
    """What is found of the pictures that were turned, and of noise, in one index or in several."""
    names = [None] if len(folders) == 1 else map(str, folders)
    reader = reader_of(tuple((name, folder / "index") for name, folder in zip(names, folders, strict=True)))
    images = {record.id: ImageSize(record.width, record.height, record.sha256) for record in reader.images()}
    paths = {record.id: reader.path_of(record.name) for record in reader.images()}
    files = {image: path for image, path in paths.items() if path and Path(path).name in (*TURNED, NOISE)}
    pairs = asked(reader, files, images, jobs=1)
    return json.dumps(list(map(dataclasses.astuple, pairs.values())), default=lambda array: array.tolist())


def since(looked: list[str]) -> list[str]:
    """What was looked up since this was asked for."""
    seen = sorted(looked)
    looked.clear()
    return seen


def test_what_was_looked_up_is_not_looked_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = watched(monkeypatch, look_up_each)
    first = found(folder)
    assert since(looked) == TURNED
    assert len(json.loads(first)) == 5  # each with its plain picture, and two of them with the smaller copy
    assert found(folder) == first
    assert since(looked) == []


def kept(cache: Path) -> int:
    """How many look-ups are kept."""
    with sqlite3.connect(cache) as connection:
        (count,) = connection.execute("SELECT count(*) FROM texts").fetchone()
    connection.close()
    return int(count)


def name_again(folder: Path) -> None:
    shutil.copy2(folder / "pictures/a.png", folder / "pictures/d.png")
    Index.open(folder / "index").add([folder / "pictures"], jobs=1)


def judge(one: str, other: str) -> Callable[[Path], None]:
    def say(folder: Path) -> None:
        Index.open(folder / "index").reject(folder / "pictures" / one, folder / "pictures" / other)

    return say


def add(folder: Path) -> None:
    Image.effect_noise((200, 150), 80).save(folder / "pictures/noise.png")
    Index.open(folder / "index").add([folder / "pictures"], jobs=1)


def remove(folder: Path) -> None:
    index = Index.open(folder / "index")
    assert index.remove([record.name for record in index.images() if record.name.endswith("b-turned.jpg")])


def lose(folder: Path) -> None:
    (folder / "pictures/a.png").unlink()


def touch(folder: Path) -> None:
    os.utime(folder / "pictures/b-turned.jpg")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (name_again, []),
        (judge("a.png", "c.png"), []),
        (judge("a-turned.jpg", "b.png"), ["a-turned.jpg"]),
        (add, [*TURNED, NOISE]),
        (remove, ["a-turned.jpg", "c-turned.jpg"]),
        (Index.compact, []),
        (lose, ["a-turned.jpg"]),
        (touch, ["b-turned.jpg"]),
    ],
    ids=["another name", "a verdict on others", "a verdict", "another image", "an image less", "nothing", "a file less",
         "another time"],
)  # fmt: skip
def test_what_depends_on_a_change_is_looked_up_again(
    folder: Path, looked: list[str], cache: Path, change: Callable[[Any], None], again: list[str]
) -> None:
    found(folder)
    since(looked)
    change(Index.open(folder / "index") if change is Index.compact else folder)
    now = found(folder)
    assert since(looked) == again
    cache.unlink()
    assert found(folder) == now  # as if nothing had been kept


def test_another_version_of_the_code_looks_up_again(
    folder: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found(folder)
    since(looked)
    monkeypatch.setattr(looked_up, "code_of_all", lambda: ["another"])
    found(folder)
    assert since(looked) == TURNED


def test_the_code_that_finds_and_the_fits_that_weigh_are_told() -> None:
    ways = code_of_all()
    assert set(
        digests_of([Path(str(voting.__file__)), Path(str(looked_up.__file__)), shipped_file("whole.json")])
    ) <= set(ways)
    assert cv2.__version__ in ways


def test_an_index_elsewhere_has_look_ups_of_its_own(folder: Path, tmp_path: Path, looked: list[str]) -> None:
    found(folder)
    since(looked)
    found(Path(shutil.copytree(folder, tmp_path / "elsewhere")))
    assert since(looked) == TURNED


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"depends_on": "it", "files": [], "pairs": []}'])
def test_a_damaged_cache_costs_time_only(folder: Path, looked: list[str], cache: Path, text: str) -> None:
    first = found(folder)
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE texts SET text = ?", (text,))
    connection.close()
    since(looked)
    assert found(folder) == first
    assert since(looked) == TURNED


def test_pairs_that_are_none_are_looked_up_again(folder: Path, looked: list[str], cache: Path) -> None:
    first = found(folder)
    with sqlite3.connect(cache) as connection:
        for key, text in connection.execute("SELECT key, text FROM texts").fetchall():
            told = json.loads(text)
            told["pairs"] = [[*pair[:2], [1.0], *pair[3:]] for pair in told["pairs"]]
            connection.execute("UPDATE texts SET text = ? WHERE key = ?", (json.dumps(told), key))
    connection.close()
    since(looked)
    assert found(folder) == first
    assert since(looked) == TURNED


def test_several_indexes_are_one_state(folder: Path, tmp_path: Path, looked: list[str]) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    remove(other)
    first = found(folder, other)
    assert since(looked) == TURNED
    assert found(folder, other) == first
    assert since(looked) == []
    add(other)
    found(folder, other)
    assert since(looked) == [*TURNED, NOISE]


def test_a_file_that_is_lost_meanwhile_leaves_nothing(
    folder: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_one(*given: Any, **options: Any) -> Iterator[Matches]:
        answers = list(look_up(*given, **options))
        lose(folder)
        return iter(answers)

    with monkeypatch.context() as patch:
        patch.setattr(asking, "look_up_each", lose_one)
        found(folder)
    found(folder)
    assert since(looked) == ["a-turned.jpg"]


@pytest.mark.parametrize("status", ["decode_failed", "partial"])
def test_what_could_not_be_looked_up_is_tried_again(
    folder: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch, status: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(asking, "look_up_each", lambda *given, jobs: (Matches(status=status) for _ in given[1]))
        found(folder)
    found(folder)
    assert since(looked) == TURNED


def test_an_answer_of_another_state_is_not_kept(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add_one(reader: Any, *given: Any, **options: Any) -> Iterator[Matches]:
        add(folder)
        reader.refresh()
        yield from look_up(reader, *given, **options)

    monkeypatch.setattr(asking, "look_up_each", add_one)
    found(folder)
    assert not cache.exists() or kept(cache) == 0


@pytest.mark.parametrize("at_once", [1, 100])
def test_a_run_that_is_interrupted_keeps_what_it_found(
    folder: Path, looked: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(looked_up, "_AT_ONCE", at_once)

    def interrupted(*given: Any, **options: Any) -> Iterator[Matches]:
        answers = look_up(*given, **options)
        yield next(answers)
        assert kept(cache) == (1 if at_once == 1 else 0)
        yield next(answers)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(asking, "look_up_each", interrupted)
        with pytest.raises(KeyboardInterrupt):
            found(folder)
    found(folder)
    assert len(since(looked)) == 1
