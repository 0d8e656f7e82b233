"""The short form of ``tools/check_levels.py``: made pictures, all libraries forced down at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.check_levels import STEPS, apart, differing, largest_difference, listed, made, settings


def test_steps_are_the_same_to_the_bit_whatever_the_processor_has(tmp_path: Path) -> None:
    listed(tmp_path, made(tmp_path))
    plain = apart(tmp_path, "plain", {}, with_answers=False)
    forced = apart(tmp_path, "all", settings()["all"], with_answers=False)
    off = {step: largest_difference(plain.steps[step], forced.steps[step]) for step in STEPS}
    assert all(plain.steps[step] for step in STEPS), "a step was not run"
    assert not any(off.values()), off
    if "?" not in forced.features or "?" in plain.features:
        pytest.skip(f"this OpenCV cannot be forced down: {forced.features}")


def test_differences_are_told() -> None:
    one: list[NDArray[Any]] = [np.zeros(3), np.array([1, 2], np.float32)]
    other: list[NDArray[Any]] = [np.zeros(3), np.array([1, 2.5], np.float32)]
    assert largest_difference(one, one) == 0
    assert largest_difference(one, other) == 0.5
    assert largest_difference(one, one[:1]) == np.inf
    assert largest_difference([np.zeros(3)], [np.zeros(2)]) == np.inf
    answer = {"verified": True, "probability": 0.5, "relation": {"kind": "crop"}, "region": [[1.0, 2.0]]}
    assert differing([answer], [answer]) == {}
    assert differing([answer], [answer | {"probability": 0.75, "region": [[1.0, 2.25]]}]) == {
        "probability": 0.25, "region": 0.25,
    }  # fmt: skip
    changes: tuple[dict[str, Any], ...] = ({"verified": False}, {"relation": {"kind": "copy"}}, {"region": []})
    for changed in changes:
        assert np.inf in differing([answer], [answer | changed]).values()
    assert differing([answer], []) == {"claims": np.inf}
