from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from featmatch import Index, Indexes, open_all
from featmatch.search.queryable import Queryable


@pytest.mark.parametrize("region", [None, (0, 0, 70, 90)])
def test_one_index_and_several_answer_alike(built: Path, region: tuple[int, int, int, int] | None) -> None:
    picture, root = built / "half.png", built / "photos"
    alone, together = Index.open(built / "index", root=root), open_all([built / "index"], root=root)
    for index in (alone, together):
        assert isinstance(index, Queryable)
    one, other = (index.query(picture, region=region, unproven=True) for index in (alone, together))
    assert one and [match.name for match in one] == [match.name for match in other]
    assert [match.score for match in one] == [match.score for match in other]
    (many,) = together.query_many([picture], jobs=1)
    assert [match.name for match in many] == [match.name for match in alone.query(picture)]


def test_neither_has_options_of_its_own() -> None:
    for name in ("query", "query_many"):
        assert name not in vars(Index) and name not in vars(Indexes)
        assert inspect.getdoc(getattr(Index, name))
