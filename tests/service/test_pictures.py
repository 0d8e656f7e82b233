"""Thumbnails, files, proofs and differences."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from featmatch import Index, Vocabulary
from featmatch.service.keys import new_key
from featmatch.service.mounted import Mounted
from featmatch.service.options import ServeOptions
from featmatch.service.pictures import difference
from featmatch.service.slots import Slots
from featmatch.service.thumbnails import Thumbnails
from tests.service.conftest import Serve, problem
from tools.small_index import small_index


def shown(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_thumbnail_is_small_upright_and_may_be_kept(client: TestClient, index: Index, drawn: list[Path]) -> None:
    answer = client.get("/v1/images/1/thumbnail?size=160")
    sha256 = next(index.images()).sha256
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{sha256}-160"'
    assert "immutable" in answer.headers["cache-control"]
    difference_of_pixels = shown(answer.content).astype(int) - np.asarray(Image.open(drawn[0]))
    assert np.abs(difference_of_pixels).mean() < 6
    again = client.get("/v1/images/1/thumbnail?size=160", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    webp = client.get("/v1/images/1/thumbnail", headers={"Accept": "image/webp,*/*"})
    assert webp.headers["content-type"] == "image/webp"
    for query in ("size=161", "size=x", "size=160&gain=2"):
        assert client.get(f"/v1/images/1/thumbnail?{query}").status_code == 422
    assert problem(client.get("/v1/images/9/thumbnail")) == (404, "no_such_image")


@pytest.fixture
def own(drawn: list[Path], small_words: Vocabulary, tmp_path: Path) -> tuple[Index, Path]:
    """An index of one file that may be changed, with EXIF that is nobody's business."""
    file = tmp_path / "collection" / "a.jpg"
    file.parent.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "<script>secret</script>"
    Image.open(drawn[0]).save(file, exif=exif, quality=95)
    index = small_index(tmp_path / "own.fm", small_words)
    assert index.add([file.parent], jobs=1).added
    return index, file


def test_thumbnails_tell_nothing_but_the_picture(serve: Serve, own: tuple[Index, Path]) -> None:
    content = serve(indexes={"": own[0]}).get("/v1/images/1/thumbnail").content
    assert b"secret" not in content
    assert not Image.open(io.BytesIO(content)).getexif()


def test_a_file_that_changed_or_went_is_told_of(serve: Serve, own: tuple[Index, Path]) -> None:
    index, file = own
    client = serve(indexes={"": index}, files=True)
    os.utime(file, ns=(1, 1))
    assert problem(client.get("/v1/images/1/thumbnail")) == (409, "file_changed")
    assert problem(client.post("/v1/search", json={"id": 1})) == (409, "file_changed")
    file.unlink()
    assert problem(client.get("/v1/images/1/file")) == (410, "file_gone")


def test_a_thumbnail_that_was_made_stays_when_its_file_goes(serve: Serve, own: tuple[Index, Path]) -> None:
    index, file = own
    client = serve(indexes={"": index})
    first = client.get("/v1/images/1/thumbnail").content
    file.unlink()
    assert client.get("/v1/images/1/thumbnail").content == first


def test_where_a_file_is_gone_the_index_shows_its_own_small_picture(serve: Serve, own: tuple[Index, Path]) -> None:
    index, file = own
    client = serve(indexes={"": index})
    colours = Image.open(file).convert("L")
    kept = file.rename(file.with_suffix(".away"))
    grey = client.get("/v1/images/1/thumbnail?size=160")
    assert grey.status_code == 200
    picture = Image.open(io.BytesIO(grey.content))
    assert picture.mode == "L"
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(colours)).mean() < 6
    assert "no-cache" in grey.headers["cache-control"]
    webp = client.get("/v1/images/1/thumbnail?size=160", headers={"Accept": "image/webp"})
    assert Image.open(io.BytesIO(webp.content)).format == "WEBP"
    kept.rename(file)
    back = client.get("/v1/images/1/thumbnail?size=160", headers={"If-None-Match": grey.headers["etag"]})
    assert back.status_code == 200
    assert Image.open(io.BytesIO(back.content)).mode == "RGB"


def test_a_file_that_is_gone_has_no_thumbnail_where_no_picture_is_kept(
    serve: Serve, drawn: list[Path], small_words: Vocabulary, tmp_path: Path
) -> None:
    index = small_index(tmp_path / "without.fm", small_words)
    copy = Path(shutil.copy(drawn[0], tmp_path))
    assert index.add([copy], jobs=1, pictures=False).added
    copy.unlink()
    assert problem(serve(indexes={"": index}).get("/v1/images/1/thumbnail")) == (410, "file_gone")


def test_only_pictures_below_the_folders_that_were_named_are_given_out(
    serve: Serve, own: tuple[Index, Path], tmp_path: Path
) -> None:
    index, file = own
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def mode(**options: Any) -> str:
        answer = serve(indexes={"": index}, **options).get("/v1/images/1/thumbnail")
        return Image.open(io.BytesIO(answer.content)).mode

    assert mode(allow_paths=(elsewhere,)) == "L"
    assert mode(allow_paths=(file.parent,)) == "RGB"
    assert mode(root=tmp_path) == "RGB"
    assert problem(serve(indexes={"": index}, allow_paths=(elsewhere,), files=True).get("/v1/images/1/file"))[0] == 410


def test_where_others_may_ask_only_named_folders_are_given_out(
    serve: Serve, own: tuple[Index, Path], tmp_path: Path
) -> None:
    index, file = own
    bearer = {"Authorization": f"Bearer {new_key(tmp_path / 'keys', 'reader', 'read')}"}
    closed = serve(indexes={"": index}, keys=tmp_path / "keys")
    opened = serve(indexes={"": index}, keys=tmp_path / "keys", allow_paths=(file.parent,))
    for client, mode in ((closed, "L"), (opened, "RGB")):
        thumbnail = client.get("/v1/images/1/thumbnail", headers=bearer).content
        assert Image.open(io.BytesIO(thumbnail)).mode == mode


def test_an_index_of_a_stranger_leads_to_no_file(serve: Serve, own: tuple[Index, Path], tmp_path: Path) -> None:
    index, file = own
    received = tmp_path / "downloads" / "received.fm"
    shutil.copytree(index.folder, received)
    client = serve(indexes={"": Index.open(received)}, files=True)
    assert file.exists()
    assert problem(client.get("/v1/images/1/file")) == (410, "file_gone")


def test_the_file_itself_is_given_out_only_when_asked_for(serve: Serve, own: tuple[Index, Path]) -> None:
    index, file = own
    assert problem(serve(indexes={"": index}).get("/v1/images/1/file")) == (403, "files_off")
    client = serve(indexes={"": index}, files=True)
    answer = client.get("/v1/images/1/file")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    part = client.get("/v1/images/1/file", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, file.read_bytes()[:10])


def test_a_proof_of_a_query_is_drawn_as_long_as_it_is_kept(client: TestClient, drawn: list[Path]) -> None:
    told = client.post("/v1/search", content=drawn[2].read_bytes()).json()
    place = f"/v1/queries/{told['query_id']}"
    proof = client.get(told["matches"][0]["links"]["proof"] + "?size=320")
    assert proof.headers["content-type"] == "image/png"
    assert max(shown(proof.content).shape) == 320
    assert shown(client.get(f"{place}/thumbnail?size=160").content).shape == (128, 96, 3)
    same = client.get(f"{place}/matches/3/difference?gain=4")
    assert same.status_code == 200
    assert shown(same.content).mean() < 2
    assert problem(client.get(f"{place}/matches/1/proof")) == (404, "no_such_image")
    assert problem(client.get(f"{place}/matches/3/difference?gain=99")) == (422, "invalid_value")
    assert problem(client.get("/v1/queries/q_none/thumbnail")) == (404, "no_such_query")


def test_two_images_of_the_index_are_compared(serve: Serve, index: Index, drawn: list[Path], tmp_path: Path) -> None:
    part = Image.open(drawn[0])
    part.crop((10, 6, part.width, part.height)).save(tmp_path / "part.png")
    index.add([tmp_path / "part.png"], jobs=1)
    client = serve()
    whole = shown(client.get("/v1/images/1/with/6/difference?size=1280&gain=16").content)
    assert whole.shape == (part.height, part.width, 3)
    assert whole.mean() < 2  # also outside the part
    proof = shown(client.get("/v1/images/6/with/1/proof?size=1280").content)
    assert (proof.ndim, proof.shape[2]) == (3, 3)
    assert problem(client.get("/v1/images/1/with/2/difference")) == (404, "no_such_image")
    found = client.post("/v1/search", json={"name": str(tmp_path / "part.png")}).json()
    assert [match["id"] for match in found["matches"]] == [6, 1]
    place = f"/v1/queries/{found['query_id']}/matches/1"
    assert client.get(f"{place}/proof").headers["content-type"] == "image/png"
    assert shown(client.get(f"{place}/difference?size=1280").content).shape == (part.height - 6, part.width - 10, 3)
    assert client.get("/v1/images/1/with/1/proof").headers["content-type"] == "image/png"
    assert shown(client.get("/v1/images/1/with/1/difference").content).mean() < 2
    assert problem(client.get("/v1/images/1/with/99/proof")) == (404, "no_such_image")


def test_a_difference_is_taken_in_the_frame_of_the_query(index: Index, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    reference = np.asarray(Image.fromarray(random.integers(0, 255, (9, 12, 3), np.uint8)).resize((120, 90)))
    query = reference[10:70, 20:100].copy()
    query[:10, :10] = 255 - query[:10, :10]
    files = []
    for name, pixels in (("query", query), ("reference", reference)):
        files.append(str(tmp_path / f"{name}.png"))
        Image.fromarray(pixels).save(files[-1])
    mounted = Mounted(index, ServeOptions(), Slots(1, 1, 9), Thumbnails(tmp_path))
    reference_from_query = np.array([[1.0, 0, 20], [0, 1, 10], [0, 0, 1]])
    found = difference(mounted, files[0], files[1], reference_from_query, 1280, 1.0)
    assert found.shape == (60, 80, 3)
    np.testing.assert_array_equal(found[12:, 12:], 0)
    expected = np.abs(query[:9, :9].astype(int) - reference[10:19, 20:29])
    np.testing.assert_allclose(found[:9, :9], expected, atol=1)
    outside = np.array([[1.0, 0, 80], [0, 1, 10], [0, 0, 1]])
    np.testing.assert_array_equal(difference(mounted, files[0], files[1], outside, 1280, 4.0)[:, 45:], 0)
