"""Manifests are added from a small IIIF server, and what is found leads to the region at full resolution."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.adding.batches import AddReport
from featmatch.adding.from_elsewhere import add_from_elsewhere
from featmatch.images.decoding import USUAL
from featmatch.images.polite import AT_ONCE
from featmatch.search.matches import Match
from tests.iiif_server import HOST, IiifServer, canvas, iiif_server, info, manifest

pytestmark = pytest.mark.usefixtures("decoded_here")

BOOK = f"{HOST}/manifest.json"
PAGES = ("coffee", "chelsea", "rocket")


@pytest.fixture
def server(photos: dict[str, NDArray[np.uint8]]) -> Iterator[IiifServer]:
    """One with a book of three pages, twice as large as the photos are."""
    with iiif_server() as server:
        for name in PAGES:
            picture = Image.fromarray(photos[name])
            picture = picture.resize((2 * picture.width, 2 * picture.height))
            server.pictures[name], server.infos[name] = picture, info(name, picture.size)
        pages = [canvas(name, {"en": [f"page {name}"]}, server.pictures[name].size) for name in PAGES]
        server.files["/manifest.json"] = manifest(*pages)
        yield server


@pytest.fixture
def index(tiny_vocabulary: Vocabulary, tmp_path: Path) -> Index:
    from featmatch.features.extraction import FeatureOptions

    features = FeatureOptions(longest_px=640)
    return Index.open(tmp_path / "i.fm", create=True, features=features, vocabulary=tiny_vocabulary)


def add(index: Index, server: IiifServer, told: Any, folder: Path) -> AddReport:
    """Add a manifest that is a file here; all that it leads to is on the server."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(told))
    images = lambda given: index.add_images(given, jobs=1)  # noqa: E731
    return add_from_elsewhere([str(path)], index, images, USUAL, "kept", fetching=server.fetching())


def failures(report: AddReport) -> dict[str, str]:
    return {failure.name: failure.message for failure in report.failed}


def part_of(picture: Image.Image, box: tuple[int, int, int, int]) -> bytes:
    content = io.BytesIO()
    picture.crop(box).resize((300, 200)).save(content, "PNG")
    return content.getvalue()


def box_of(match: Match) -> list[int]:
    assert match.iiif is not None
    assert match.iiif["region"] is not None
    return [int(one) for one in match.iiif["region"].split("/")[-4].split(",")]


def test_a_page_is_found_and_its_region_is_at_full_resolution(index: Index, server: IiifServer, tmp_path: Path) -> None:
    report = add(index, server, server.files["/manifest.json"], tmp_path)
    assert (len(report.added), report.failed) == (3, [])
    asked = {path for path in server.asked if path.endswith(".jpg")}
    assert asked == {f"/image/{name}/full/640,/0/default.jpg" for name in PAGES}
    assert server.most_at_once <= AT_ONCE
    assert [record.text for record in index.images()] == [f"kept A book ({tmp_path / 'manifest.json'})"] * 3
    (match, *_) = index.query(part_of(server.pictures["coffee"], (400, 200, 1000, 600)))
    address = f"{HOST}/image/coffee/full/max/0/default.jpg"
    assert match.name == f"{address}#canvas={HOST}/canvas/coffee&label=page coffee"
    assert match.iiif == {
        "canvas": f"{HOST}/canvas/coffee", "label": "page coffee", "image": address,
        "region": "{}/image/coffee/{},{},{},{}/max/0/default.jpg".format(HOST, *box_of(match)),
    }  # fmt: skip
    assert np.abs(np.subtract(box_of(match), [400, 200, 600, 400])).max() <= 6
    told = match.to_dict()
    assert (told["iiif"], told["width"], told["height"]) == (match.iiif, 1200, 800)
    assert Match.from_dict(told).to_dict() == told


def test_what_the_index_has_is_not_fetched_again(index: Index, server: IiifServer, tmp_path: Path) -> None:
    book = server.files["/manifest.json"]
    first = add(index, server, {**book, "items": book["items"][:2]}, tmp_path)
    server.asked.clear()
    book["items"][0]["label"] = "other"
    report = add(index, server, book, tmp_path)
    assert (report.skipped, len(report.added)) == (first.added, 1)
    assert {path.split("/")[2] for path in server.asked} == {"rocket"}


def test_it_goes_on_where_a_busy_host_ended_it(index: Index, server: IiifServer, tmp_path: Path) -> None:
    book = server.files["/manifest.json"]
    server.busy["/image/chelsea/info.json"] = [(429, "3"), (429, "9999")]
    report = add(index, server, {**book, "items": [book["items"][1]]}, tmp_path)
    assert (report.added, list(failures(report).values())) == (
        [],
        ["it asks to come again in 9999 seconds; add again then"],
    )
    assert server.slept == [3.0]
    assert len(add(index, server, book, tmp_path).added) == 3


def test_services_of_few_sizes_and_without_info(index: Index, server: IiifServer, tmp_path: Path) -> None:
    sizes = [{"width": 600, "height": 400}, {"width": 300, "height": 200}]
    server.infos["coffee"] = info("coffee", (1200, 800), level=0, version=2, sizes=sizes)
    del server.infos["chelsea"]
    del server.infos["rocket"]
    book = server.files["/manifest.json"]
    del book["items"][2]["items"][0]["items"][0]["body"]["width"]
    book["items"][2]["items"][0]["items"][0]["body"].pop("service")
    report = add(index, server, book, tmp_path)
    assert [name.split("#")[0].removeprefix(f"{HOST}/image/") for name in report.added] == [
        "coffee/full/600,/0/default.jpg", "chelsea/full/max/0/default.jpg", "rocket/full/max/0/default.jpg",
    ]  # fmt: skip
    asked = [path for path in server.asked if path.endswith(".jpg")]
    assert sorted(asked) == sorted(
        [f"/image/{one}/0/default.jpg" for one in ("coffee/full/600,", "chelsea/full/640,", "rocket/full/max")]
    )
    found = {name: index.query(part_of(server.pictures[name], (200, 100, 800, 500)))[0] for name in PAGES}
    assert found["coffee"].iiif["region"] is None  # type: ignore[index]
    assert np.abs(np.subtract(found["coffee"].reference_region.max(axis=0), [800, 500])).max() <= 6
    assert np.abs(np.subtract(box_of(found["chelsea"]), [200, 100, 600, 400])).max() <= 6
    assert found["rocket"].iiif["region"] is None  # type: ignore[index]


def test_collections_are_followed_once_and_not_for_ever(index: Index, server: IiifServer, tmp_path: Path) -> None:
    for n in range(20):
        next_one = {"type": "Collection", "id": f"{HOST}/c{n + 1}"}
        server.files[f"/c{n}"] = {"type": "Collection", "items": [next_one]}
    book, top = {"type": "Manifest", "id": BOOK}, {"type": "Collection", "id": f"{HOST}/top"}
    gone, private = {"type": "Manifest", "id": f"{HOST}/gone"}, {"type": "Manifest", "id": "http://169.254.169.254/m"}
    odd = {"type": "Manifest", "id": "javascript:alert(1)"}
    items = [book, {"type": "Collection", "id": f"{HOST}/c0"}, book, top, gone, private, odd]
    server.files["/top"] = {"type": "Collection", "items": [book, top, gone]}
    report = add(index, server, {"type": "Collection", "items": items}, tmp_path)
    assert len(report.added) == 3
    assert server.asked.count("/manifest.json") == server.asked.count("/top") == server.asked.count("/gone") == 1
    refused = "refused: only http and https addresses of public hosts, at their usual ports, are fetched"
    assert failures(report) == {
        f"{HOST}/c10": "it is too deep in collections, or one of too many files",
        f"{HOST}/gone": "it answered with status 404",
        "http://169.254.169.254/m": refused,
        "javascript:alert(1)": refused,
    }  # fmt: skip


def test_a_collection_has_as_many_pages_as_it_likes(index: Index, server: IiifServer, tmp_path: Path) -> None:
    pages = 600  # more than would fit on a stack
    for n in range(pages):
        books = [BOOK] if n == pages - 1 else []
        server.files[f"/p{n}"] = {"@type": "sc:Collection", "manifests": books, "next": f"{HOST}/p{(n + 1) % pages}"}
    report = add(index, server, {"@type": "sc:Collection", "first": f"{HOST}/p0"}, tmp_path)
    assert (len(report.added), report.failed) == (3, [])


def test_a_manifest_may_be_below_a_folder_of_any_name(index: Index, server: IiifServer, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    assert len(add(index, server, server.files["/manifest.json"], folder).added) == 3
    assert index.query(part_of(server.pictures["coffee"], (400, 200, 1000, 600)))


def test_hostile_pages_cost_themselves_only(index: Index, server: IiifServer, tmp_path: Path) -> None:
    book = server.files["/manifest.json"]
    script, inside, false, long, half = (json.loads(json.dumps(book["items"][0])) for _ in range(5))
    script["id"] = "javascript:alert(1)"
    inside["items"][0]["items"][0]["body"]["service"][0]["id"] = "http://127.0.0.1/image/coffee"
    inside["id"] = f"{HOST}/canvas/inside"
    server.pictures["false"], server.infos["false"] = server.pictures["coffee"], info("false", (800, 1200))
    false["items"][0]["items"][0]["body"]["service"][0]["id"] = f"{HOST}/image/false"
    false["id"] = f"{HOST}/canvas/false"
    long["id"] = f"{HOST}/canvas/" + "x" * 5000
    half["items"][0]["items"][0]["body"]["service"][0]["id"] = f"{HOST}/image/\ud800"
    half["id"] = f"{HOST}/canvas/half"
    report = add(index, server, manifest(script, inside, false, long, half, book["items"][1]), tmp_path)
    assert [name.split("=")[-1] for name in report.added] == ["page chelsea"]
    told = failures(report)
    assert told["javascript:alert(1)"] == "its canvas has no http or https address"
    assert told[f"{HOST}/canvas/inside"].startswith("refused")
    assert told[f"{HOST}/canvas/half"].startswith("refused")
    assert any("another shape" in message for message in told.values())
    assert any("too long" in message for message in told.values())
    assert len(told) == 5
