from __future__ import annotations

import pytest

from featmatch.native.library import LEVELS, levels


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One instruction level after the other, as far as there are such kernels here."""
    if request.param not in levels():
        pytest.skip("this processor has it not, or the compiler does not know it")
    monkeypatch.setenv("FEATMATCH_CPU", request.param)
    return str(request.param)
