"""A picture to search for, loaded in another process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featmatch import ImageError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import load_grey
from featmatch.search.query import Query, load_query_apart
from featmatch.search.region import QueryRegion
from tools.small_index import draw_pictures

OPTIONS, DECODING = FeatureOptions(), DecodingOptions(timeout=60)


@pytest.mark.parametrize("region", [None, (10, 10, 60, 50)])
def test_another_process_finds_the_same(region: tuple[int, ...] | None, tmp_path: Path) -> None:
    (path,) = draw_pictures(tmp_path, 1)
    part = QueryRegion.of(region)
    query, decoding_ms = load_query_apart(path.read_bytes(), OPTIONS, part, DECODING)
    expected = Query.of(load_grey(path, longest_px=OPTIONS.longest_px, colours=True), OPTIONS, part)
    assert decoding_ms > 0
    assert len(query.features) > 8
    assert (query.whole is None) is (expected.whole is None) is (region is not None)
    for one, other in zip(query.variants, expected.variants, strict=True):
        assert np.array_equal(one.descriptors, other.descriptors)
        assert np.array_equal(one.keypoints, other.keypoints)
    assert np.array_equal(query.grey.pixels, expected.grey.pixels)


def test_what_is_wrong_is_said_here(tmp_path: Path) -> None:
    (path,) = draw_pictures(tmp_path, 1)
    with pytest.raises(UsageError, match="outside the picture"):
        load_query_apart(str(path), OPTIONS, QueryRegion.of((9000, 0, 5, 5)), DECODING)
    with pytest.raises(ImageError):
        load_query_apart(b"no picture", OPTIONS, None, DECODING)
