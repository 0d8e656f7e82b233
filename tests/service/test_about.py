"""Health, limits and numbers."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import featmatch
from featmatch import Index
from tests.service.conftest import Serve, problem


def test_the_service_tells_what_it_can(serve: Serve, tmp_path: Path) -> None:
    told = serve(max_upload=12345, searches=3).get("/v1").json()
    assert (told["version"], told["index"]["images"], told["scope"]) == (featmatch.__version__, 5, "admin")
    assert set(told["can"].values()) == {False}
    assert (told["limits"]["upload_bytes"], told["limits"]["searches"], told["limits"]["queue"]) == (12345, 3, 12)
    assert "root" not in told["index"]
    every = serve(
        writable=True, uploads=tmp_path / "u", files=True, fetch=("public",), allow_paths=(tmp_path,)
    ).get("/v1").json()  # fmt: skip
    assert set(every["can"].values()) == {True}


def test_the_type_of_a_refusal_leads_to_what_it_means(serve: Serve) -> None:
    client = serve(prefix="/photos")
    place, _, code = client.get("/photos/nowhere").json()["type"].partition("#")
    answer = client.get(place)
    assert (answer.status_code, place) == (200, "/photos/errors")
    assert f'<tr id="{code}">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_health_is_of_the_loop_and_of_the_index(client: TestClient, index: Index) -> None:
    assert client.get("/healthz/live").text == "ok\n"
    assert client.get("/healthz/ready").status_code == 200
    (index.folder / "catalog.sqlite").write_bytes(b"damaged")
    assert problem(client.get("/healthz/ready")) == (503, "starting")
    assert client.get("/healthz/live").status_code == 200
    assert problem(client.get("/v1/images")) == (500, "index_damaged")


def test_numbers_are_those_that_were_promised(client: TestClient, drawn: list[Path]) -> None:
    client.post("/v1/search", content=drawn[0].read_bytes())
    client.post("/v1/search", content=b"")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["featmatch_images", ("index", "/")] == 5
    assert found["featmatch_claims_total", ("kind", "copy")] == 1
    assert found["featmatch_refused_total", ("reason", "bad_request")] == 1
    assert found["featmatch_search_seconds_count", ("stage", "geometry")] == 1
    assert found["featmatch_searches_running",] == 0
    names = {name for name, *_ in found}
    assert names >= {
        "featmatch_requests_total", "featmatch_searches_waiting", "featmatch_features", "featmatch_segments",
        "featmatch_index_bytes", "featmatch_build_info",
    }  # fmt: skip
    assert str(drawn[0]) not in answer.text
