"""Several indexes, and ways below which they are served."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from featmatch import Index, StoreError, Vocabulary
from featmatch.service.app import open_service
from featmatch.service.options import ServeOptions
from tests.service.conftest import Serve, problem
from tools.small_index import small_index


def test_several_indexes_are_served_below_their_names(
    serve: Serve, index: Index, drawn: list[Path], small_words: Vocabulary, tmp_path: Path
) -> None:
    other = small_index(tmp_path / "other.fm", small_words)
    other.add(drawn[5:6], jobs=1)
    client = serve(indexes={"five": index, "one": other}, prefix="/photos")
    assert client.get("/photos/five/v1").json()["index"]["images"] == 5
    assert client.get("/photos/one/v1").json()["index"]["images"] == 1
    assert problem(client.get("/photos/v1")) == (404, "no_such_route")
    assert client.get("/photos/healthz/live").status_code == 200
    assert problem(client.get("/one/v1")) == (404, "no_such_route")
    found = client.post("/photos/one/v1/search", content=drawn[5].read_bytes()).json()
    links = found["matches"][0]["links"]
    assert links["thumbnail"] == "/photos/one/v1/images/1/thumbnail"
    assert client.get(links["proof"]).status_code == 200
    assert problem(client.get(f"/photos/five/v1/queries/{found['query_id']}/thumbnail")) == (404, "no_such_query")
    assert client.get("/photos/one/openapi.json").json()["servers"] == [{"url": "/photos/one"}]


def test_one_index_may_have_no_name(serve: Serve, index: Index) -> None:
    client = serve(indexes={"": index, "same": index})
    assert client.get("/v1").json() == client.get("/same/v1").json()


def test_an_index_that_is_none_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no featmatch index"):
        open_service({"": tmp_path}, ServeOptions())


def test_decoders_are_made_ready_before_the_first_picture_comes(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[tuple[str, ...], int]] = []
    monkeypatch.setattr("featmatch.service.app.prepare", lambda *names, processes: told.append((names, processes)))
    for searches in (1, 9):
        open_service({"": Path(index.folder)}, ServeOptions(searches=searches))
    (names, one), (_, more) = told
    assert (one, more) == (1, 2)
    assert all(importlib.import_module(name) for name in names)
