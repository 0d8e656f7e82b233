"""The live service against its own description, with requests that nobody thought of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from tests.service.conftest import Serve

EXAMPLES = int(os.environ.get("FEATMATCH_CONTRACT_EXAMPLES", "2"))  # of each operation


@pytest.fixture
def client(serve: Serve, tmp_path: Path) -> TestClient:
    """Of a server that does all that there is."""
    return serve(
        writable=True, uploads=tmp_path / "uploads", files=True, allow_paths=(tmp_path / "allowed",),
        allowed_hosts=("testserver",),
    )  # fmt: skip


def operations(client: TestClient) -> dict[str, Any]:
    import schemathesis  # here, so that a process that runs other tests does not: it takes more than a second

    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    found: Any = schema.get_all_operations()
    return {operation.ok().label: operation.ok() for operation in found}


def test_whatever_is_asked_is_answered_as_described(client: TestClient) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    told = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
    found = operations(client)
    assert len(found) > 30
    for operation in found.values():

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.validate_response(case.call(), checks=[not_a_server_error, *told])

        ask()
