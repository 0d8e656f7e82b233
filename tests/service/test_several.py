"""Several indexes that are served as one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from featmatch import Index, Vocabulary, open_all
from featmatch.cluster.writing import create_cluster
from featmatch.service.app import open_service
from featmatch.service.options import ServeOptions
from featmatch.store.numbers import BY_INDEX
from tests.service.conftest import Serve, problem
from tools.small_index import small_index

COPY = "copies/one.webp"
_BY_NATURE = ("mtime_ns", "made", "next", "generation", "query_id", "times_ms")
# Numbers of the images of the one index, and of the same images in two: the second and the fifth are in both.
OF_TWO = {1: 1, 2: 2, 3: 3, 4: BY_INDEX.number_of(1, 2), 5: BY_INDEX.number_of(1, 3), 6: BY_INDEX.number_of(1, 4)}


@pytest.fixture
def clients(serve: Serve, index: Index, drawn: list[Path], small_words: Vocabulary, tmp_path: Path) -> list[TestClient]:
    """Of one index, and of two that hold the same."""
    buffer = io.BytesIO()
    Image.open(drawn[0]).save(buffer, "WEBP", quality=90)
    index.add_images([(COPY, buffer.getvalue())])
    index.add_images([("twin.png", drawn[1].read_bytes())])
    first, second = (small_index(tmp_path / name, small_words) for name in ("a.fm", "b.fm"))
    first.add(drawn[:3], jobs=1)
    second.add_images([("twin.png", drawn[1].read_bytes())])
    second.add(drawn[3:5], jobs=1)
    second.add_images([(COPY, buffer.getvalue())])
    joined = open_all([tmp_path / "a.fm", tmp_path / "b.fm"]).joined
    return [
        serve(writable=True, uploads=tmp_path / "uploads", files=True),
        serve(indexes={"": joined}, writable=True, uploads=tmp_path / "uploads", files=True),
    ]


def at_home(told: Any) -> Any:
    """What the server of one says, in the numbers of two, without what differs by nature."""
    text = json.dumps(told)
    text = re.sub(r'(/v1/images/|/matches/|/with/|"id": )(\d+)', lambda it: it[1] + str(OF_TWO[int(it[2])]), text)
    return json.loads(text)


def plain(told: Any) -> Any:
    """Without what differs by nature."""
    if isinstance(told, list):
        return [plain(one) for one in told]
    if isinstance(told, dict):
        return {name: plain(one) for name, one in told.items() if name not in _BY_NATURE}
    return re.sub(r"/queries/q_[\w-]+/", "/queries/", told) if isinstance(told, str) else told


def test_two_answer_as_one(clients: list[TestClient], drawn: list[Path]) -> None:
    one, two = clients
    for path in ("/v1/images", "/v1/images?limit=4", "/v1/images?match=twin", "/v1/images?format=png",
                 f"/v1/images?name={COPY}", "/v1/images?name=none", "/v1/verdicts"):  # fmt: skip
        assert plain(two.get(path).json()) == plain(at_home(one.get(path).json())), path
    page = two.get("/v1/images?limit=4").json()
    assert [image["id"] for image in two.get(f"/v1/images?after={page['next']}").json()["images"]] == [
        BY_INDEX.number_of(1, 3), BY_INDEX.number_of(1, 4)
    ]  # fmt: skip
    for number, same in OF_TWO.items():
        for path in ("", "/thumbnail", "/file", "/features"):
            of_one, of_two = one.get(f"/v1/images/{number}{path}"), two.get(f"/v1/images/{same}{path}")
            assert of_one.status_code == of_two.status_code
            if path == "":
                assert plain(of_two.json()) == plain(at_home(of_one.json()))
            elif of_one.status_code == 200:
                assert of_one.content == of_two.content
    assert (
        two.get(f"/v1/images/{BY_INDEX.number_of(1, 1)}").json() == two.get("/v1/images/2").json()
    )  # if it was first, once
    assert problem(two.get(f"/v1/images/{BY_INDEX.number_of(9, 1)}")) == (404, "no_such_image")
    for picture in drawn:
        asked = [client.post("/v1/search?all=true", content=picture.read_bytes()).json() for client in clients]
        assert plain(asked[1]) == plain(at_home(asked[0]))
        for match, same in list(zip(asked[0]["matches"], asked[1]["matches"], strict=True))[-2:]:  # a page takes long
            of_one, of_two = one.get(match["links"]["proof"]), two.get(same["links"]["proof"])
            assert of_one.status_code == of_two.status_code
            assert of_one.status_code != 200 or of_one.content == of_two.content
    body: Mapping[str, Any] = {"image": ("x.png", drawn[0].read_bytes())}
    for name in (COPY, str(drawn[4])):
        asked = [client.post("/v1/explain", files=body, data={"name": name}).json() for client in clients]
        assert plain(asked[1]) == plain(at_home(asked[0]))


def test_groups_of_two_are_those_of_one(clients: list[TestClient]) -> None:
    told = []
    for client in clients:
        place = client.post("/v1/jobs", json={"kind": "groups"}).headers["location"]
        assert client.get(f"{place}/events").text.rstrip().split("event: ")[-1].startswith("done")
        told.append(client.get("/v1/groups").json())
    assert len(told[0]["groups"]) == 2
    assert plain(told[1]) == plain(at_home(told[0]))


def test_several_are_not_changed(clients: list[TestClient], drawn: list[Path]) -> None:
    two = clients[1]
    can = two.get("/v1").json()["can"]
    assert (can["jobs"], can["write"], can["upload"], can["add_paths"]) == (True, False, False, False)
    for answer in (
        two.post("/v1/images", files={"image": ("new", drawn[5].read_bytes())}),
        two.delete("/v1/images/1"),
        two.patch("/v1/images/1", json={"text": "x"}),
        two.post("/v1/images/delete", json={"ids": [1]}),
        two.put("/v1/verdicts", json={"a": {"id": 1}, "b": {"id": 2}, "verdict": "rejected"}),
        two.post("/v1/jobs", json={"kind": "compact"}),
        two.post("/v1/jobs", json={"kind": "add", "paths": ["/"]}),
    ):
        assert problem(answer) == (403, "read_only")
    assert two.post("/v1/jobs", json={"kind": "check"}).status_code == 202
    assert two.get("/v1").json()["index"]["images"] == 7


def test_what_is_added_to_one_of_them_is_seen(clients: list[TestClient], drawn: list[Path], tmp_path: Path) -> None:
    Index.open(tmp_path / "b.fm").add([drawn[6]], jobs=1)
    (match,) = clients[1].post("/v1/search", content=drawn[6].read_bytes()).json()["matches"]
    assert (match["id"], match["names"]) == (BY_INDEX.number_of(1, 5), [str(drawn[6])])


def test_a_list_and_a_cluster_are_served_as_one(
    clients: list[TestClient], small_words: Vocabulary, tmp_path: Path
) -> None:
    (tmp_path / "both.txt").write_text("a.fm\nb.fm\n")
    options = ServeOptions(searches=1)
    create_cluster(tmp_path / "empty.fmc", 3, 1, None, small_words)
    opened = [
        open_service({"": tmp_path / "both.txt"}, options),
        open_service({"": tmp_path / "a.fm"}, options, [tmp_path / "b.fm"]),
    ]
    assert [len(service.mounted[""].index) for service in opened] == [7, 7]
    assert len(open_service({"": tmp_path / "empty.fmc"}, options).mounted[""].index.folders) == 3
