"""Groups do not depend on the order in which their images were added."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Groups, Index, Vocabulary
from featmatch.grouping import finding
from featmatch.grouping.clustering import cluster
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.grouping.repeating import Repeated


@pytest.fixture(scope="module")
def edited(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Photos and edits of them: some say nearly the same, some little, and a collage belongs to two."""
    folder = tmp_path_factory.mktemp("edited")
    files = []

    def save(name: str, picture: Image.Image, **options: Any) -> None:
        picture.save(folder / name, **options)
        files.append(str(folder / name))

    small = {}
    for name in ("chelsea", "coffee", "rocket"):
        photo = Image.fromarray(photos[name])
        photo.thumbnail((240, 240))
        small[name] = photo
        width, height = photo.size
        save(f"{name}.png", photo)
        save(f"{name}-half.png", photo.resize((width // 2, height // 2)))
        save(f"{name}-mirrored.jpg", photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=70)
        save(f"{name}-crop.png", photo.crop((width // 4, height // 5, width, height)))
        save(f"{name}-turned.png", photo.rotate(25, expand=True))
        save(f"{name}-negative.jpg", Image.fromarray(255 - np.asarray(photo)), quality=60)
    collage = Image.new("RGB", (480, 180))
    collage.paste(small["chelsea"], (0, 0))
    collage.paste(small["coffee"], (240, 10))
    save("collage.png", collage)
    save("icon.png", Image.fromarray(np.add.outer(np.arange(60), np.arange(90)).astype(np.uint8)))
    (folder / "again.png").write_bytes((folder / "rocket.png").read_bytes())
    return [*files, str(folder / "again.png")]


def answer(groups: Groups) -> list[dict[str, Any]]:
    """All that is said, to the last digit, but the numbers of images."""
    said = [group.to_dict() for group in groups]
    for group, told in zip(groups, said, strict=True):
        for member, entry in zip(group.members, told["members"], strict=True):
            del entry["id"]
            entry["exactly"] = member.probability
    return said


def grouped(folder: Path, vocabulary: Vocabulary, batches: Sequence[Sequence[str]]) -> Index:
    """An index to which images were added batch by batch, and grouped between them."""
    index = Index.open(folder, create=True, vocabulary=vocabulary)
    for number, batch in enumerate(batches):
        if number:
            index.groups(jobs=1)
        index.add(batch, jobs=1)
    return index


def test_any_order_gives_the_same_groups(
    edited: list[str], tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer(grouped(tmp_path / "at once", tiny_vocabulary, [edited]).groups(jobs=1))
    assert len(expected) == 2
    assert sum(group["files"] for group in expected) >= 18
    shuffled = [edited[place] for place in np.random.default_rng(5).permutation(len(edited))]
    monkeypatch.setattr(finding, "_BLOCK_IMAGES", 7)
    batches = [shuffled[start : start + 11] for start in range(0, len(shuffled), 11)]
    index = grouped(tmp_path / "in batches", tiny_vocabulary, batches)
    assert answer(index.groups(jobs=1)) == expected
    index.remove(shuffled[::3])
    index.groups(jobs=1)
    index.add(shuffled[::3], jobs=1)
    assert answer(index.groups(jobs=1)) == expected
    index.compact()
    assert answer(index.groups(jobs=1)) == expected
    (tmp_path / "in batches" / "pairs.log").unlink()
    assert answer(index.groups(jobs=1)) == expected


def test_verdicts_too(edited: list[str], tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    some = [path for path in edited if "rocket" in path or "coffee" in path]
    said = []
    for name, order in {"forwards": some, "backwards": some[::-1]}.items():
        index = grouped(tmp_path / name, tiny_vocabulary, [order])
        index.accept(some[0], some[6])
        index.accept(some[9], some[2])
        index.reject(some[0], some[1])
        said.append(answer(index.groups(jobs=1)))
    assert said[0] == said[1]


def test_numbers_of_images_decide_nothing() -> None:
    """Equal pictures of which all pairs say the same: only the contents tell them apart."""
    found = []
    for numbers in itertools.permutations(range(4)):
        images = {number: ImageSize(400, 300, f"{place:064x}") for place, number in enumerate(numbers)}
        pairs = {}
        for (one, older), (two, newer) in itertools.combinations(enumerate(numbers), 2):
            if (one, two) == (1, 2):
                continue
            again = Repeated(1.0, 0.6, 1.0)
            shift = np.array([[1.0, 0, two - one], [0, 1, 0], [0, 0, 1]])
            pair = Pair(newer, older, shift, False, False, 80, 90.0, 1.0, again, again)
            pairs[min(older, newer), max(older, newer)] = pair
        (group,) = cluster(images, pairs, "sift", {})
        placed = {numbers.index(image): one.homography for image, one in group.members.items()}
        assert all(homography is not None for homography in placed.values())
        found.append((numbers.index(group.original), [placed[place].tolist() for place in range(4)]))  # type: ignore[union-attr]
    assert all(one == found[0] for one in found)
