"""Pictures of requests; the ways in which they are given are tested with the search itself."""

from __future__ import annotations

import pytest

from featmatch.service.pictures_given import decoded
from featmatch.service.problems import Problem


def test_base64_is_strict() -> None:
    assert decoded("YWI=") == b"ab"
    for wrong in ("YWI", "Y W I =", "#", "YWI=\n", "é"):
        with pytest.raises(Problem, match="invalid_value"):
            decoded(wrong)
