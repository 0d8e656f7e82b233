"""The examples of imagededup's own user guide, with pictures of which it is known what is a copy of what."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Vocabulary
from featmatch.compat.imagededup import CNN, AHash, DHash, PHash, WHash
from featmatch.errors import UsageError
from featmatch.words.vocabulary import Vocabulary as Words


@pytest.fixture(scope="module")
def folder(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, the same again, smaller, and a part of it; another; a plain picture; a text; and one in a folder."""
    folder = tmp_path_factory.mktemp("imagededup")
    photo = Image.fromarray(photos["coffee"])
    photo.save(folder / "1.png")
    shutil.copy(folder / "1.png", folder / "2.png")
    photo.resize((300, 200)).save(folder / "3.jpg")
    photo.crop((200, 50, 560, 330)).save(folder / "4.png")
    Image.fromarray(photos["rocket"]).save(folder / "5.png")
    Image.new("L", (200, 200), 90).save(folder / "6.png")
    (folder / "7.jpg").write_text("no image")
    (folder / "more").mkdir()
    Image.fromarray(photos["rocket"]).resize((320, 213)).save(folder / "more" / "8.png")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tiny_vocabulary: Vocabulary) -> None:
    monkeypatch.setattr(Words, "shipped", lambda detector: tiny_vocabulary)


def test_hashes_find_whole_copies(folder: Path, tmp_path: Path) -> None:
    phasher = PHash()
    duplicates = phasher.find_duplicates(
        image_dir=folder, max_distance_threshold=12, scores=True, outfile=tmp_path / "my_duplicates.json"
    )
    assert list(duplicates) == ["1.png", "2.png", "3.jpg", "4.png", "5.png", "6.png"]
    assert [name for name, _ in duplicates["1.png"]] == ["2.png", "3.jpg"]
    assert duplicates["1.png"][0] == ("2.png", 0)
    assert duplicates["5.png"] == []
    assert json.loads((tmp_path / "my_duplicates.json").read_text())["1.png"][0] == ["2.png", 0]
    encodings = phasher.encode_images(image_dir=folder)
    assert phasher.find_duplicates(encoding_map=encodings, max_distance_threshold=12, scores=True) == duplicates
    assert phasher.find_duplicates(encoding_map=encodings)["3.jpg"] == ["1.png", "2.png"]
    far = phasher.hamming_distance(encodings["1.png"], encodings["5.png"])
    assert phasher.find_duplicates(encoding_map=encodings, max_distance_threshold=far)["1.png"][-1] == "5.png"
    assert phasher.find_duplicates(image_dir=str(folder), recursive=True)["5.png"] == ["more/8.png"]


def test_proven_copies_are_found_in_part_too(folder: Path, tmp_path: Path) -> None:
    cnn_encoder = CNN()
    duplicates = cnn_encoder.find_duplicates(
        image_dir=folder, min_similarity_threshold=0.85, scores=False, outfile=tmp_path / "my_duplicates.json",
        num_enc_workers=0,
    )  # fmt: skip
    assert duplicates == {
        "1.png": ["2.png", *sorted(duplicates["1.png"][1:])], "2.png": ["1.png", *sorted(duplicates["2.png"][1:])],
        "3.jpg": duplicates["3.jpg"], "4.png": duplicates["4.png"], "5.png": [], "6.png": [],
    }  # fmt: skip
    assert set(duplicates["4.png"]) == {"1.png", "2.png", "3.jpg"}
    assert all(name in duplicates[other] for name, others in duplicates.items() for other in others)
    assert json.loads((tmp_path / "my_duplicates.json").read_text()) == duplicates
    scored = cnn_encoder.find_duplicates(image_dir=folder, scores=True, num_enc_workers=0)
    assert scored["1.png"][0] == ("2.png", 1.0)
    assert all(0.9 <= score <= 1 for others in scored.values() for _, score in others)


def test_what_is_to_be_removed_is_chosen_as_documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = {"1.jpg": ["2.jpg"], "2.jpg": ["1.jpg", "3.jpg"], "3.jpg": ["2.jpg"]}
    asked: list[dict[str, Any]] = []

    def find(self: PHash, **more: Any) -> dict[str, list[str]]:
        asked.append(more)
        return told

    monkeypatch.setattr(PHash, "find_duplicates", find)
    found = PHash().find_duplicates_to_remove(
        image_dir="photos", max_distance_threshold=12, outfile=tmp_path / "my_duplicates.json"
    )
    assert found == json.loads((tmp_path / "my_duplicates.json").read_text()) == ["2.jpg"]
    assert asked == [{"image_dir": "photos", "max_distance_threshold": 12}]


def test_encodings_have_the_documented_shapes(folder: Path, photos: dict[str, NDArray[np.uint8]]) -> None:
    dhasher = DHash()
    encodings = dhasher.encode_images(image_dir=folder)
    assert list(encodings) == ["1.png", "2.png", "3.jpg", "4.png", "5.png", "6.png"]
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in encodings.values())
    assert dhasher.encode_image(image_file=folder / "1.png") == encodings["1.png"]
    assert dhasher.encode_image(image_array=photos["coffee"]) == encodings["1.png"]
    assert dhasher.encode_image(image_file=folder / "7.jpg") is None
    vectors = CNN().encode_images(folder)
    assert {one.shape for one in vectors.values()} == {(1, 90)}
    near = CNN().find_duplicates(encoding_map=vectors, min_similarity_threshold=0.95, scores=True)
    assert near["1.png"][0] == ("2.png", pytest.approx(1.0))
    assert "5.png" not in dict(near["1.png"])
    assert {AHash, DHash, WHash} == {PHash}


@pytest.mark.parametrize("method", [PHash(), CNN()])
def test_what_cannot_be_meant_is_refused(method: Any, folder: Path) -> None:
    far, near = "max_distance_threshold", "min_similarity_threshold"
    wrong: tuple[dict[str, Any], ...] = ({far: 65}, {far: 0.5}, {near: 0.5})
    if isinstance(method, CNN):
        wrong = ({near: 1.5}, {near: "0.9"}, {far: 5})
    for more in wrong:
        with pytest.raises(UsageError):
            method.find_duplicates(image_dir=folder, **more)
    for call in (method.find_duplicates, method.encode_image):
        with pytest.raises(UsageError, match="wanted"):
            call()
    with pytest.raises(UsageError, match="no folder"):
        method.encode_images(folder / "none")
    for encoding in (None, "zz", "1" * 40, [1.0, 2.0]):
        with pytest.raises(UsageError, match="an encoding is"):
            method.find_duplicates(encoding_map={"1.png": encoding})
    assert method.find_duplicates(encoding_map={}) == {}


@pytest.mark.parametrize("method", [PHash, CNN])
def test_a_threshold_that_comes_third_is_not_taken_for_another_argument(method: Any, folder: Path) -> None:
    """There it is the third; its name differs from class to class, so it is given by name here."""
    with pytest.raises(TypeError, match="positional"):
        method().find_duplicates(folder, None, 5)


def test_nothing_is_left_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    CNN().find_duplicates(image_dir=folder / "more", num_enc_workers=0)
    assert list(tmp_path.iterdir()) == []
