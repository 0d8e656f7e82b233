from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from featmatch.errors import UsageError
from featmatch.geometry.matches import GeometryOptions, Keypoints, TentativeMatches
from tests.geometry.known_maps import TRUTHS, made_matches, mapped

OPTIONS = GeometryOptions()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance", 0.0009), ("tolerance", 0.11), ("tolerance", float("nan")),
        ("angle_deg", 0.9), ("angle_deg", 181),
        ("octaves", 0.09), ("octaves", 5.1),
        ("hypotheses", 0),
        ("grid", 1), ("grid", 201),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"geometry options out of range: .*{field}={value}"):
        dataclasses.replace(OPTIONS, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("tolerance", 0.001, 0.1), ("angle_deg", 1, 180), ("octaves", 0.1, 5), ("hypotheses", 1, 10**6),
        ("grid", 2, 200),
    ],
)  # fmt: skip
def test_the_ends_of_each_range_are_allowed(field: str, lowest: float, highest: float) -> None:
    for value in (lowest, highest):
        assert getattr(dataclasses.replace(OPTIONS, **{field: value}), field) == value  # type: ignore[arg-type]


def test_an_option_of_another_type_is_refused() -> None:
    with pytest.raises(UsageError, match="grid"):
        GeometryOptions(grid="20")  # type: ignore[arg-type]


def test_rotation_and_octaves_are_from_query_to_reference() -> None:
    random = np.random.default_rng(0)
    query, reference = (
        Keypoints(*(random.uniform(1, 9, shape).astype(np.float32) for shape in ((5, 2), 5, 5))) for _ in range(2)
    )
    rows, others, costs = np.arange(5, dtype=np.int32), np.arange(5)[::-1], np.arange(5.0)
    matches = TentativeMatches.between(query, reference, costs=costs, query_rows=rows, reference_rows=others)
    assert_array_equal(matches.query, query.places)
    assert_array_equal(matches.reference, reference.places)
    assert_allclose(query.angles + matches.rotation, reference.angles, rtol=1e-6)
    assert_allclose(query.octaves + matches.octaves, reference.octaves, rtol=1e-6)
    assert matches.query_rows.tolist() == [0, 1, 2, 3, 4]
    assert matches.reference_rows.tolist() == [4, 3, 2, 1, 0]
    assert matches.costs is costs
    assert matches.rivals is None
    for column in (matches.query, matches.reference, matches.rotation, matches.octaves):
        assert column.dtype == np.float64
    assert matches.query_rows.dtype == np.int64


def test_chosen_rows_keep_together() -> None:
    matches = dataclasses.replace(
        made_matches(24, TRUTHS["shift"], 30, 0, noise_px=0), reference_rows=np.arange(30, 60)
    )
    assert_allclose(matches.reference, mapped(TRUTHS["shift"], matches.query))
    chosen = np.array([3, 1])
    kept = matches[chosen]
    assert len(kept) == 2
    assert kept.rivals is None
    for field in dataclasses.fields(matches):
        if field.name != "rivals":
            assert_array_equal(getattr(kept, field.name), getattr(matches, field.name)[chosen])
    crowded = dataclasses.replace(matches, rivals=np.arange(30))
    assert crowded[2:5].rivals is not None
    assert_array_equal(crowded[2:5].rivals, [2, 3, 4])


def test_matches_of_several_lie_side_by_side() -> None:
    several = [made_matches(seed, TRUTHS["shift"], count, 0, noise_px=0) for seed, count in enumerate((3, 0, 5))]
    every, ends = TentativeMatches.joined(several)
    assert ends.tolist() == [0, 3, 3, 8]
    assert every.rivals is None
    for start, end, one in zip(ends, ends[1:], several, strict=False):
        for field in dataclasses.fields(one):
            if field.name != "rivals":
                assert_array_equal(getattr(every[start:end], field.name), getattr(one, field.name))
    nothing, ends = TentativeMatches.joined([])
    assert len(nothing) == 0
    assert ends.tolist() == [0]
