"""Search, batch, verify and explain: the answers are those of the command line."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from featmatch import Index, Match, Matches, Vocabulary, extract, verify
from featmatch.service.parameters import Parameters
from featmatch.service.searching import Wanted
from tests.proof.test_difference import ANNA, PAUL, form
from tests.search.test_sisters import EVA
from tests.service.conftest import Serve, problem
from tests.service.decoders import treacherous
from tools.small_index import small_index


def crop(path: Path) -> bytes:
    """A part of a picture, as a file."""
    buffer = io.BytesIO()
    Image.open(path).crop((8, 12, 90, 100)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_search_says_what_the_command_line_says(client: TestClient, index: Index, drawn: list[Path]) -> None:
    content = crop(drawn[2])
    answer = client.post("/v1/search", content=content)
    assert answer.status_code == 200
    told = answer.json()
    expected = json.loads(json.dumps(index.query(content).to_dict()))
    (match,) = expected["matches"]
    assert match["name"] == str(drawn[2])
    assert match["agreement"] is not None
    assert {name: told["matches"][0][name] for name in match} == match
    assert {name: told[name] for name in ("status", "damaged")} == {"status": "ok", "damaged": False}
    assert Matches.from_dict(told).to_dict() == expected
    assert (told["query"], told["width"], told["height"], told["region"]) == ("-", 82, 88, None)
    assert told["features"] == len(extract(content, index.options))
    assert list(told["times_ms"]) == ["decode", "extract", "words", "votes", "geometry", "pixels"]
    assert told["index"]["images"] == 5
    assert "decode;dur=" in answer.headers["server-timing"]
    links = told["matches"][0]["links"]
    assert links == {
        "image": "/v1/images/3", "thumbnail": "/v1/images/3/thumbnail",
        "proof": f"/v1/queries/{told['query_id']}/matches/3/proof",
    }  # fmt: skip
    assert told["matches"][0]["names"] == [str(drawn[2])]


def test_other_forms_are_looked_up_as_asked_for(client: TestClient, drawn: list[Path]) -> None:
    buffer = io.BytesIO()
    Image.open(drawn[2]).resize((130, 384), Image.Resampling.BICUBIC).save(buffer, "PNG")
    squeezed = buffer.getvalue()
    told = client.post("/v1/search", content=squeezed).json()
    assert [match["name"] for match in told["matches"]] == [str(drawn[2])]
    assert list(told["times_ms"])[-1] == "forms"
    plain = client.post("/v1/search?forms=none", content=squeezed).json()
    assert (plain["matches"], "forms" in plain["times_ms"]) == ([], False)
    pair = {"a": squeezed, "b": drawn[2].read_bytes()}
    assert client.post("/v1/verify", files=pair).json()["verified"]
    for url, data in (("/v1/search", {"image": squeezed}), ("/v1/verify", pair)):
        answer = client.post(url, files=data, data={"forms": "most"})
        assert problem(answer) == (422, "invalid_value")
    verified = client.post("/v1/verify", files=pair, data={"forms": "none"}).json()["verified"]
    assert verified == bool(verify(squeezed, drawn[2], forms="none"))


def test_what_is_related_has_a_proof_too(serve: Serve, small_words: Vocabulary, tmp_path: Path) -> None:
    """Three fillings of one form, of which one is the query's."""
    pages = [tmp_path / f"{number}.png" for number in range(3)]
    for page, filling in zip(pages, (ANNA, PAUL, EVA), strict=True):
        Image.fromarray(form(*filling)).save(page)
    index = small_index(tmp_path / "forms.fm", small_words)
    index.add(pages, jobs=1)
    client = serve(indexes={"": index})
    told = client.post("/v1/search?explain=true", content=pages[0].read_bytes()).json()
    assert [match["name"] for match in told["matches"]] == [str(pages[0])]
    assert {match["name"] for match in told["related"]} == set(map(str, pages[1:]))
    for match in told["related"]:
        assert match["relation"]["kind"] == "same template"
        assert match["evidence"]["is_sister"]
        assert match["differences"]
        assert match["names"] == [match["name"]]
        assert client.get(match["links"]["proof"]).status_code == 200


def forms(content: bytes, number: int, path: Path) -> dict[str, dict[str, Any]]:
    """The ways in which a picture is given."""
    text = base64.b64encode(content).decode()
    return {
        "raw": {"content": content, "headers": {"Content-Type": "image/png"}},
        "as curl": {"content": content, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        "form": {"files": {"image": ("piece.png", content)}},
        "base64": {"json": {"base64": text}},
        "inner": {"json": {"image": {"base64": text}}},
        "id": {"json": {"id": number}},
        "name": {"json": {"name": str(path)}},
    }


@pytest.mark.parametrize("form", list(forms(b"", 0, Path())))
def test_a_picture_is_given_in_many_ways(lasting: TestClient, drawn: list[Path], form: str) -> None:
    answer = lasting.post("/v1/search", **forms(crop(drawn[1]), 2, drawn[1])[form])
    told = answer.json()
    assert [match["id"] for match in told["matches"]] == [2]
    names = {"form": "piece.png", "id": str(drawn[1]), "name": str(drawn[1])}
    assert told["query"] == names.get(form, "-")
    again = lasting.post("/v1/search", json={"query": told["query_id"], "limit": 1}).json()
    assert again["matches"][0]["id"] == 2


def test_options_are_heeded_wherever_they_stand(client: TestClient, drawn: list[Path]) -> None:
    left, right = (np.asarray(Image.open(path)) for path in drawn[:2])
    buffer = io.BytesIO()
    Image.fromarray(np.hstack([left, right])).save(buffer, "PNG")
    both = buffer.getvalue()
    found = client.post("/v1/search", content=both).json()["matches"]
    assert {match["id"] for match in found} == {1, 2}
    assert len(client.post("/v1/search?limit=1", content=both).json()["matches"]) == 1
    width, height = left.shape[1], left.shape[0]
    one = client.post(f"/v1/search?region=0,0,{width},{height}", content=both).json()
    assert ([match["id"] for match in one["matches"]], one["region"]) == ([1], [0, 0, width, height])
    corners = [[width, 0], [2 * width, 0], [2 * width, height], [width, height]]
    other = client.post("/v1/search", files={"image": both}, data={"region": json.dumps(corners)}).json()
    assert ([match["id"] for match in other["matches"]], other["region"]) == ([2], corners)
    text = base64.b64encode(both).decode()
    assert client.post("/v1/search", json={"base64": text, "match": drawn[1].stem}).json()["matches"][0]["id"] == 2
    assert client.post("/v1/search", json={"base64": text, "min_probability": 1}).json()["matches"] == []
    assert {match["id"] for match in client.post("/v1/search?min_probability=0", content=both).json()["matches"]} > {1}
    explained = client.post("/v1/search?explain=true&all=1", content=both).json()["matches"]
    assert "evidence" in explained[0]
    assert len(explained) >= 2


def test_finding_nothing_is_an_answer(client: TestClient, drawn: list[Path]) -> None:
    assert client.post("/v1/search", content=drawn[7].read_bytes()).json()["matches"] == []
    buffer = io.BytesIO()
    Image.new("L", (90, 90)).save(buffer, "PNG")
    plain = client.post("/v1/search", content=buffer.getvalue())
    assert (plain.status_code, plain.json()["status"]) == (200, "too_little_detail")


@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"content": b""}, (400, "bad_request")),
        ({"content": b"no picture"}, (422, "decode_failed")),
        ({"content": b"x", "headers": {"Content-Type": "text/html"}}, (415, "unsupported_content_type")),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, (400, "bad_request")),
        ({"json": [1]}, (400, "bad_request")),
        ({"json": {}}, (400, "bad_request")),
        ({"json": {"id": 1, "name": "a"}}, (400, "bad_request")),
        ({"json": {"id": 99}}, (404, "no_such_image")),
        ({"json": {"id": "1; DROP"}}, (422, "invalid_value")),
        ({"json": {"name": "nobody"}}, (404, "no_such_image")),
        ({"json": {"query": "q_none"}}, (404, "no_such_query")),
        ({"json": {"base64": "#"}}, (422, "invalid_value")),
        ({"json": {"url": "https://example.org/a.jpg"}}, (403, "fetch_off")),
        ({"json": {"id": 1, "limt": 3}}, (422, "unknown_field")),
        ({"json": {"image": {"id": 1, "limit": 3}}}, (422, "unknown_field")),
        ({"json": {"image": 1}}, (400, "bad_request")),
        ({"json": {"id": 1, "limit": 0}}, (422, "invalid_value")),
        ({"json": {"id": 1, "limit": 101}}, (422, "invalid_value")),
        ({"json": {"id": 1, "limit": True}}, (422, "invalid_value")),
        ({"json": {"id": 1, "all": "perhaps"}}, (422, "invalid_value")),
        ({"json": {"id": 1, "match": "!"}}, (422, "invalid_value")),
        ({"json": {"id": 1, "region": [1, 2, 3]}}, (422, "invalid_value")),
        ({"json": {"id": 1, "region": [5000, 0, 9, 9]}}, (422, "invalid_value")),
        ({"json": {"id": 1, "min_probability": 1.5}}, (422, "invalid_value")),
        ({"json": {"id": 1}, "params": {"limit": 3}}, (422, "unknown_field")),
        ({"content": b'{"id": 1, "id": 2}', "headers": {"Content-Type": "application/json"}}, (422, "invalid_value")),
        ({"content": b"x", "params": {"nonsense": 3}}, (422, "unknown_field")),
        ({"files": [("image", b"x"), ("image", b"x")]}, (400, "bad_request")),
        ({"files": {"picture": b"x"}}, (422, "unknown_field")),
        ({"data": {"limit": 1}, "files": {"image": b"x", "other": b"x"}}, (422, "unknown_field")),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    lasting: TestClient, request_of: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert problem(lasting.post("/v1/search", **request_of)) == refusal


def test_limits_of_size_are_kept_before_and_while_reading(serve: Serve, drawn: list[Path]) -> None:
    client = serve(max_upload=1000)
    assert problem(client.post("/v1/search", content=b"x" * 1000)) == (422, "decode_failed")
    assert problem(client.post("/v1/search", content=b"x" * 1001)) == (413, "body_too_large")
    assert problem(client.post("/v1/search", content=b"x" * (2 << 20))) == (413, "body_too_large")

    def unending() -> Any:
        for _ in range(100):
            yield b"x" * (64 << 10)

    assert problem(client.post("/v1/search", content=unending())) == (413, "body_too_large")
    assert problem(client.post("/v1/search", json={"base64": "A" * 4000})) == (413, "body_too_large")
    assert problem(client.post("/v1/search", files={"image": b"x" * 1001})) == (413, "body_too_large")


def test_too_many_pixels_are_refused_by_the_header(client: TestClient) -> None:
    header = b"P5 20000 20000 255\n" + bytes(100)
    assert problem(client.post("/v1/search", content=header)) == (422, "too_large")


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
def test_a_picture_that_is_too_much_for_its_decoder_costs_its_own_request(
    serve: Serve, drawn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(decode_timeout=1.0)
    monkeypatch.setattr("featmatch.search.query._load_timed", treacherous)
    good = drawn[0].read_bytes()
    for last, code in ((b"C", "decode_failed"), (b"H", "timeout"), (b"M", "decode_failed")):
        assert problem(client.post("/v1/search", content=good + last)) == (422, code)
        assert client.post("/v1/search", content=good).json()["matches"][0]["id"] == 1
    files = [("image", (name, good + name.encode())) for name in "aKb"]
    lines = [json.loads(line) for line in client.post("/v1/search/batch", files=files).text.splitlines()]
    assert [line["status"] for line in lines] == ["ok", "decode_failed", "ok"]


def test_too_many_parts_are_refused(client: TestClient) -> None:
    many = [("image", (f"{number}.png", b"x")) for number in range(10_000)]
    for path in ("/v1/search", "/v1/search/batch", "/v1/verify", "/v1/explain"):
        assert problem(client.post(path, files=many)) == (400, "bad_request")
    fields = {f"field{number}": "1" for number in range(10_000)}
    assert problem(client.post("/v1/search", files={"image": b"x"}, data=fields)) == (400, "bad_request")
    long = {"match": "x" * (65 << 10)}
    assert problem(client.post("/v1/search", files={"image": b"x"}, data=long)) == (400, "bad_request")
    broken = {"content": b"--no", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}
    assert problem(client.post("/v1/search", **broken)) == (400, "bad_request")  # type: ignore[arg-type]


def test_a_batch_is_a_line_for_each_picture(client: TestClient, drawn: list[Path]) -> None:
    files = [("image", (f"{number}.png", drawn[number].read_bytes())) for number in (0, 3)]
    answer = client.post("/v1/search/batch", files=[files[0], ("image", ("text.png", b"no picture")), files[1]])
    assert answer.headers["content-type"] == "application/x-ndjson"
    one, text, other = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["query"], text["query"], other["query"]] == ["0.png", "text.png", "3.png"]
    assert (one["matches"][0]["id"], other["matches"][0]["id"]) == (1, 4)
    assert (text["status"], text["matches"]) == ("decode_failed", [])
    listed = client.post("/v1/search/batch", json={"queries": [{"id": 2}, {"id": 99}, {"id": 3, "x": 1}], "limit": 1})
    lines = [json.loads(line) for line in listed.text.splitlines()]
    assert [line["status"] for line in lines] == ["ok", "no_such_image", "unknown_field"]


@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"json": {"queries": []}}, (400, "bad_request")),
        ({"json": {"queries": [{"id": 1}] * 17}}, (400, "bad_request")),
        ({"json": {"queries": [3]}}, (400, "bad_request")),
        ({"json": {"queries": [{"id": 1}], "other": 1}}, (422, "unknown_field")),
        ({"files": {"picture": b"x"}}, (422, "unknown_field")),
        ({"content": b"x"}, (415, "unsupported_content_type")),
    ],
)
def test_a_batch_that_cannot_be_meant_is_refused(
    lasting: TestClient, request_of: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert problem(lasting.post("/v1/search/batch", **request_of)) == refusal


def test_verify_says_what_the_command_line_says(client: TestClient, drawn: list[Path]) -> None:
    content = crop(drawn[5])
    answer = client.post("/v1/verify", files={"a": ("a.png", content), "b": ("b.png", drawn[5].read_bytes())})
    expected = json.loads(json.dumps(verify(content, str(drawn[5])).to_dict()))
    assert answer.json() == {**expected, "name": "b.png"}
    assert answer.json()["verified"] is True
    of_index = client.post("/v1/verify", json={"a": {"id": 2}, "b": {"name": str(drawn[1])}}).json()
    assert of_index == json.loads(json.dumps(verify(str(drawn[1]), str(drawn[1])).to_dict()))
    text = base64.b64encode(crop(drawn[1])).decode()
    mixed = client.post("/v1/verify", json={"a": {"base64": text}, "b": {"id": 2}}).json()
    assert mixed == json.loads(json.dumps(verify(crop(drawn[1]), str(drawn[1])).to_dict()))
    unlike = client.post("/v1/verify", json={"a": {"id": 1}, "b": {"id": 2}})
    assert (unlike.status_code, unlike.json()["verified"]) == (200, False)
    assert problem(client.post("/v1/verify", json={"a": {"id": 1}})) == (400, "bad_request")
    assert problem(client.post("/v1/verify", files={"a": b"x"})) == (400, "bad_request")
    assert problem(client.post("/v1/verify", content=b"x")) == (415, "unsupported_content_type")
    assert problem(client.post("/v1/verify", json={"a": {"id": 1, "c": 2}, "b": {"id": 2}})) == (422, "unknown_field")


def test_explain_says_what_the_command_line_says(client: TestClient, index: Index, drawn: list[Path]) -> None:
    content = crop(drawn[2])
    answer = client.post("/v1/explain?id=3", content=content).json()
    expected = json.loads(json.dumps(index.explain(content, str(drawn[2])).to_dict()))
    assert answer == {"query": "-", **expected}
    missed = client.post("/v1/explain", files={"image": content}, data={"name": str(drawn[0])}).json()
    assert missed["proven"] is False
    index.reject(drawn[2], drawn[1])
    assert problem(client.post("/v1/explain", content=content)) == (400, "bad_request")
    assert problem(client.post("/v1/explain?id=3&name=a", content=content)) == (400, "bad_request")
    assert problem(client.post("/v1/explain?id=77", content=content)) == (404, "no_such_image")
    inner = {"image": {"id": 3}, "id": 3}
    assert client.post("/v1/explain", json=inner).json()["proven"] is True
    beside = {"base64": base64.b64encode(content).decode(), "id": 3}
    assert client.post("/v1/explain", json=beside).json()["proven"] is True
    assert problem(client.post("/v1/explain", json={"id": 2, "name": "a"})) == (400, "bad_request")


def test_options_that_would_help_are_those_of_the_interface(
    client: TestClient, index: Index, drawn: list[Path]
) -> None:
    one = drawn[2].read_bytes()
    index.reject(drawn[2], drawn[1])
    told = client.post("/v1/explain", json={"image": {"id": 2}, "id": 3}).json()
    assert told["lost"] in ("verdict", "votes", "words", "geometry", "shortlist", "probability")
    assert not any("featmatch" in option for option in told["options"])
    absent = client.post("/v1/explain?name=nobody", content=one).json()
    assert (absent["lost"], absent["options"]) == ("index", [])


def a_match(number: int, probability: float, verdict: str | None = None) -> Match:
    relation = {"kind": "copy", "rotation_deg": 0, "scale": 1, "mirrored": False, "negative": False}
    corners = [[0, 0], [9, 0], [9, 9]]
    return Match.from_dict(
        {
            "id": number, "name": f"{number}.png", "probability": probability, "score": 1, "inliers": 9, "agreement": 1,
            "relation": relation, "homography": np.eye(3).tolist(), "query_region": corners, "query_overlap": 1,
            "reference_region": corners, "reference_overlap": 1, "differences": None, "differing_share": None,
            "verdict": verdict, "damaged": False, "width": 10, "height": 10,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, [1, 2, 5]),  # what `featmatch query` prints: the proven ones, and what was accepted
        ({"all": True}, [1, 2, 3, 4, 5]),
        ({"min_probability": 0.8}, [1, 2]),
        ({"min_probability": 0.9}, [1]),
        ({"min_probability": 0.5}, [1, 2, 4]),
        ({"min_probability": 0.5, "all": True}, [1, 2, 3, 4]),
        ({"min_probability": 0.5, "limit": 2}, [1, 2]),
        ({"limit": 3}, [1, 2, 5]),
    ],
)
def test_matches_are_told_from_a_probability_on(asked: dict[str, Any], told: list[int]) -> None:
    some: list[Any] = [(1, 0.95), (2, 0.8), (3, 0.99, "rejected"), (4, 0.6), (5, 0.1, "accepted")]
    found = [a_match(*one) for one in some]
    assert [match.id for match in Wanted.of(Parameters(asked)).of_those(found)] == told


def test_a_name_that_takes_long_to_look_up_costs_no_more_than_the_time_that_there_is(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(60)
        return []

    client = serve(fetch=("public",))
    (mounted,) = client.app.mounted.values()  # type: ignore[attr-defined]
    monkeypatch.setattr(mounted, "fetching", dataclasses.replace(mounted.fetching, look_up=slow, seconds=-0.9))
    assert problem(client.post("/v1/search", json={"url": "http://slow.example/a.jpg"})) == (422, "fetch_failed")
    over.set()
