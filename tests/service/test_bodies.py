"""Bodies of all requests together; those of one are tested with the calls."""

from __future__ import annotations

import pytest
from starlette.formparsers import MultiPartException
from starlette.testclient import TestClient

from featmatch.service.bodies import Bodies
from featmatch.service.options import ServeOptions
from tests.service.conftest import Serve, problem


def test_there_is_room_again_when_a_request_ends() -> None:
    bodies = Bodies(10)
    with bodies.of_one() as one, bodies.of_one() as other:
        one(4)
        other(6)
        with pytest.raises(MultiPartException, match="too large together"):
            one(1)
    with pytest.raises(ValueError, match="the end"), bodies.of_one() as one:
        one(10)
        raise ValueError("the end")
    with bodies.of_one() as one:
        one(10)


@pytest.mark.parametrize("form", [False, True])
def test_a_body_for_which_there_is_no_room_is_refused_for_a_while(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, form: bool
) -> None:
    monkeypatch.setattr(ServeOptions, "max_bodies", 1000)
    client: TestClient = serve()
    given = {"files": {"image": b"x" * 900}} if form else {"content": b"x" * 1001}
    assert problem(client.post("/v1/search", **given)) == (503, "busy")
    assert problem(client.post("/v1/search", content=b"x" * 1000)) == (422, "decode_failed")
