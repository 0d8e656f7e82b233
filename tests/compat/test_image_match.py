"""The examples of image-match's documentation, with files in place of its addresses."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featmatch import Index, Vocabulary
from featmatch.compat.image_match import SignatureES
from featmatch.errors import ImageError, UsageError


def content(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def ses(tiny_vocabulary: Vocabulary, tmp_path: Path) -> SignatureES:
    return SignatureES(Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary))


def test_images_are_added_and_searched(
    ses: SignatureES, photo_folder: Path, photos: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    first, second = str(photo_folder / "coffee.png"), str(photo_folder / "rocket.png")
    Image.fromarray(photos["coffee"]).resize((300, 200)).save(tmp_path / "small.jpg")
    for path in (first, second, str(tmp_path / "small.jpg")):
        ses.add_image(path)
    found = ses.search_image(first)
    assert [one["path"] for one in found] == [first, str(tmp_path / "small.jpg")]
    assert all(set(one) == {"dist", "id", "path", "metadata", "score"} for one in found)
    assert 0 <= found[0]["dist"] <= found[1]["dist"] <= 0.2
    assert (found[0]["metadata"], found[0]["id"]) == (None, "1")


def test_bytes_metadata_and_names(ses: SignatureES, photos: dict[str, NDArray[np.uint8]], photo_folder: Path) -> None:
    picture = content(Image.fromarray(photos["coffee"]))
    ses.add_image("a name", img=picture, bytestream=True, metadata={"category": "art", "more": [1, {"two": "日本"}]})
    ses.add_image("another", img=str(photo_folder / "rocket.png"), refresh_after=True)
    (found,) = ses.search_image(picture, bytestream=True)
    assert (found["path"], found["metadata"]) == ("a name", {"category": "art", "more": [1, {"two": "日本"}]})
    ses.add_image("a name", img=picture, bytestream=True, metadata={"category": "food"})
    (found,) = ses.search_image(picture, bytestream=True)
    assert found["metadata"] == {"category": "food"}
    (found,) = ses.search_image(str(photo_folder / "rocket.png"))
    assert (found["path"], found["metadata"]) == ("another", None)


def test_what_cannot_be_read_replaces_nothing(ses: SignatureES, photo_folder: Path) -> None:
    ses.add_image("a name", img=str(photo_folder / "coffee.png"), metadata=1)
    for img, metadata, error in ((b"no image", 2, ImageError), (b"", "half a letter: \ud83d", UsageError)):
        with pytest.raises(error):
            ses.add_image("a name", img=img, bytestream=True, metadata=metadata)
    (found,) = ses.search_image(str(photo_folder / "coffee.png"))
    assert (found["path"], found["metadata"]) == ("a name", 1)


def test_all_orientations(ses: SignatureES, photos: dict[str, NDArray[np.uint8]]) -> None:
    picture = Image.fromarray(photos["coffee"])
    ses.add_image("coffee", img=content(picture), bytestream=True)
    for edited in (picture.rotate(90, expand=True), ImageOps.mirror(picture), ImageOps.invert(picture)):
        assert ses.search_image(content(edited), bytestream=True) == []
        (found,) = ses.search_image(content(edited), all_orientations=True, bytestream=True)
        assert found["path"] == "coffee"
    assert len(ses.search_image(content(picture.rotate(20)), bytestream=True)) == 1


def test_images_are_deleted(ses: SignatureES, photo_folder: Path) -> None:
    path = str(photo_folder / "coffee.png")
    ses.add_image(path)
    ses.delete_image(path)
    ses.delete_image(path)
    assert ses.search_image(path) == []


def test_what_was_rejected_is_no_match_and_what_was_accepted_is(
    ses: SignatureES, photo_folder: Path, tiny_vocabulary: Vocabulary
) -> None:
    path, other = str(photo_folder / "coffee.png"), str(photo_folder / "rocket.png")
    for one in (path, other):
        ses.add_image(one)
    ses.index.reject(path, other)
    assert [one["path"] for one in ses.search_image(path)] == [path]
    ses.distance_cutoff = 1.0
    assert other not in [one["path"] for one in ses.search_image(path, all_orientations=True)]


def test_failures(ses: SignatureES, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ImageError):
        ses.add_image(str(tmp_path / "text.jpg"))
    with pytest.raises(ImageError):
        ses.search_image("http://127.0.0.1/a.jpg")
    with pytest.raises(UsageError, match="JSON"):
        ses.add_image("a", metadata={1j})
    for wrong in (("a", True), (b"a", False)):
        with pytest.raises(UsageError, match="bytestream"):
            ses.search_image(wrong[0], bytestream=wrong[1])
    with pytest.raises(UsageError, match="distance_cutoff"):
        SignatureES(ses.index, distance_cutoff=1.5)
    with pytest.raises(UsageError):
        SignatureES(ses.index, size=0)
