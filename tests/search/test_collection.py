"""All indexes of a search, asked as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featmatch import Indexes, Vocabulary, open_all
from featmatch.search.many import SearchOptions
from featmatch.search.shards import LocalShards, PictureRequest, ProofRequest, TallyRequest
from tests.test_indexes import scene
from tools.small_index import draw_pictures, small_index


class Heard(LocalShards):
    """Keeps the kinds of all that was asked, round by round."""

    def __init__(self, local: LocalShards) -> None:
        super().__init__(local.shards, local.names)
        self.rounds: list[set[tuple[type, ...]]] = []

    def ask(self, requests: Any) -> Any:
        self.rounds.append({tuple(map(type, own)) for own in requests.values()})
        return super().ask(requests)


@pytest.fixture(scope="module")
def two(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Indexes:
    folder: Path = tmp_path_factory.mktemp("two")
    drawn = draw_pictures(folder / "photos", 6)
    for number in range(2):
        small_index(folder / f"{number}.fm", small_words).add(drawn[number::2], jobs=1)
    return open_all([folder / "0.fm", folder / "1.fm"])


@pytest.mark.parametrize(
    ("forms", "rows", "counts"),
    [("none", 150, [1]), ("few", 150, [1, 3]), ("few", 90, [1, 1]), ("all", 150, [1, 5, 12])],
)
def test_each_form_of_a_round_is_asked_for_by_itself(two: Indexes, forms: Any, rows: int, counts: list[int]) -> None:
    search = SearchOptions(forms=forms).search_in(two.readers)
    assert isinstance(search.shards, LocalShards)
    heard = Heard(search.shards)
    object.__setattr__(search, "shards", heard)
    query = scene(700)[:rows]
    assert not search.answer(query, limit=10, unproven=False)
    asked = [one for one in heard.rounds if not any(PictureRequest in kinds for kinds in one)]
    kinds = (TallyRequest, ProofRequest)
    assert asked == [{(kind,)} for count in counts for kind in kinds for _ in range(count)]


def test_one_index_is_not_asked_for_all_that_it_has_listed(two: Indexes) -> None:
    first = next(iter(two.readers.values()))
    search = SearchOptions(forms="none").search_in(first)
    wanted: list[tuple[str, ...]] = []

    class Kept(LocalShards):
        def ask(self, requests: Any) -> Any:
            wanted.extend(one.contents for own in requests.values() for one in own if isinstance(one, ProofRequest))
            return super().ask(requests)

    assert isinstance(search.shards, LocalShards)
    object.__setattr__(search, "shards", Kept(search.shards.shards))
    query = search.read(scene(700))
    asked = search.asked(query)
    listing = search.listed(asked)
    proved = search.proved(query, asked, listing)
    assert len(listing.ranked.images)
    assert wanted == [()]
    assert set(proved.holders) == {one.id for one in proved.by_features}
