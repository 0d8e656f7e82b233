"""Groups of copies, and verdicts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from featmatch import Index
from tests.service.conftest import Serve, problem


@pytest.fixture
def grouped(index: Index, serve: Serve, drawn: list[Path], tmp_path: Path) -> TestClient:
    """A server of an index with a copy of its first picture, and of groups."""
    buffer = io.BytesIO()
    Image.open(drawn[0]).save(buffer, "WEBP", quality=90)
    index.add_images([("copies/one.webp", buffer.getvalue())])
    client = serve(writable=True, uploads=tmp_path / "uploads")
    assert problem(client.get("/v1/groups")) == (409, "groups_not_made")
    assert client.get("/v1/groups").json()["job"] == {"kind": "groups"}
    place = client.post("/v1/jobs", json={"kind": "groups"}).headers["location"]
    assert client.get(f"{place}/events").text.rstrip().split("event: ")[-1].startswith("done")
    return client


def test_groups_are_those_of_the_command_line(grouped: TestClient, index: Index, drawn: list[Path]) -> None:
    told = grouped.get("/v1/groups")
    (group,) = told.json()["groups"]
    (found,) = index.groups(jobs=1)
    links = [member.pop("links") for member in group["members"]]
    formats = [{name: member.pop(name) for name in ("format", "taken", "camera")} for member in group["members"]]
    assert formats == [{"format": form, "taken": None, "camera": None} for form in ("PNG", "WEBP")]
    assert group.pop("spared") == found.spared
    assert group == {"group": 1, **found.to_dict()}
    assert links[1]["proof"] == "/v1/images/6/with/1/proof"
    assert (told.json()["total"], told.json()["next"], told.json()["behind"]) == (1, None, 0)
    assert told.json()["totals"] == {"groups": 1, "files": 2, "bytes_in_copies": group["members"][1]["bytes"]}
    assert grouped.get("/v1/groups", headers={"If-None-Match": told.headers["etag"]}).status_code == 304
    weak = f"W/{told.headers['etag']}"  # as a proxy that packs answers makes it
    assert grouped.get("/v1/groups", headers={"If-None-Match": f'"other", {weak}'}).status_code == 304
    grouped.post("/v1/images", files={"image": ("new", drawn[5].read_bytes())})
    again = grouped.get("/v1/groups", headers={"If-None-Match": told.headers["etag"]})
    assert (again.status_code, again.json()["behind"]) == (200, 1)
    grouped.delete("/v1/images/3")
    assert grouped.get("/v1/groups").json()["behind"] == 1
    grouped.post("/v1/images", files={"image": ("same file", drawn[1].read_bytes())})
    assert grouped.get("/v1/groups").json()["behind"] == 1
    stale = grouped.put("/v1/groups/1/verdict", headers={"If-Match": told.headers["etag"]})
    assert problem(stale) == (412, "precondition_failed")


def test_groups_are_filtered(grouped: TestClient) -> None:
    for query, count in (
        ("kind=copy", 1), ("kind=crop", 0), ("min_files=2", 1), ("min_files=3", 0), ("prefix=copies/", 1),
        ("prefix=nowhere/", 0), ("min_probability=0.5", 1), ("min_probability=1", 0), ("after=1", 0),
    ):  # fmt: skip
        assert len(grouped.get(f"/v1/groups?{query}").json()["groups"]) == count, query


def test_a_group_that_was_rejected_does_not_return(grouped: TestClient, index: Index) -> None:
    tag = grouped.get("/v1/groups").headers["etag"]
    assert grouped.put("/v1/groups/1/verdict", headers={"If-Match": tag}).json() == {
        "verdict": "rejected", "pairs": 1,
    }  # fmt: skip
    index.refresh()
    assert index.groups(jobs=1) == []
    told = grouped.get("/v1/groups").json()
    assert (told["groups"], told["total"], told["totals"]["groups"]) == ([], 0, 0)
    assert problem(grouped.put("/v1/groups/2/verdict", json={})) == (404, "no_such_group")
    assert problem(grouped.put("/v1/groups/1/verdict", json={"verdict": "accepted"})) == (422, "invalid_value")


def test_verdicts_are_kept_listed_and_forgotten(writable: TestClient, index: Index, drawn: list[Path]) -> None:
    pair = {"a": {"id": 2}, "b": {"name": str(drawn[0])}}
    assert writable.put("/v1/verdicts", json={**pair, "verdict": "rejected"}).status_code == 200
    several = [{**pair, "verdict": "accepted"}, {"a": {"id": 3}, "b": {"id": 4}, "verdict": "rejected"}]
    before = index.snapshot.catalog.stamp
    assert writable.put("/v1/verdicts", json={"verdicts": several}).json() == {"verdicts": 2}
    assert index.snapshot.catalog.stamp != before
    listed = writable.get("/v1/verdicts").json()["verdicts"]
    assert [(one["a"]["id"], one["b"]["id"], one["verdict"]) for one in listed] == [
        (1, 2, "accepted"), (3, 4, "rejected"),
    ]  # fmt: skip
    assert listed[0]["a"]["names"] == [str(drawn[0])]
    accepted = writable.post("/v1/search", json={"id": 1}).json()["matches"]
    assert {match["id"]: match["verdict"] for match in accepted}[1] is None
    writable.put("/v1/verdicts", json={**pair, "verdict": None})
    assert len(writable.get("/v1/verdicts").json()["verdicts"]) == 1


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"a": {"id": 1}, "b": {"id": 2}}, (400, "bad_request")),
        ({"a": {"id": 1}, "b": {"id": 2}, "verdict": "perhaps"}, (422, "invalid_value")),
        ({"a": {"id": 1}, "b": {"id": 99}, "verdict": None}, (404, "no_such_image")),
        ({"a": {"id": 1}, "b": {"id": 1}, "verdict": "accepted"}, (422, "invalid_value")),
        ({"a": 1, "b": {"id": 1}, "verdict": "accepted"}, (400, "bad_request")),
        ({"a": {}, "b": {"id": 1}, "verdict": "accepted"}, (400, "bad_request")),
        ({"a": {"id": 1}, "b": {"id": 2}, "verdict": "accepted", "c": 1}, (422, "unknown_field")),
        ({"verdicts": []}, (422, "invalid_value")),
    ],
)
def test_a_verdict_that_cannot_be_meant_is_refused(
    writable: TestClient, told: dict[str, object], refusal: tuple[int, str]
) -> None:
    assert problem(writable.put("/v1/verdicts", json=told)) == refusal
    assert writable.get("/v1/verdicts").json() == {"verdicts": []}


def test_all_verdicts_of_a_request_are_kept_or_none(writable: TestClient) -> None:
    good, bad = ({"a": {"id": 1}, "b": {"id": number}, "verdict": "rejected"} for number in (2, 99))
    assert problem(writable.put("/v1/verdicts", json={"verdicts": [good, bad]})) == (404, "no_such_image")
    assert writable.get("/v1/verdicts").json() == {"verdicts": []}


def test_a_service_that_only_reads_takes_no_verdicts(client: TestClient) -> None:
    verdict = {"a": {"id": 1}, "b": {"id": 2}, "verdict": "rejected"}
    assert problem(client.put("/v1/verdicts", json=verdict)) == (403, "read_only")
