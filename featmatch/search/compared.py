"""What one look at a query has found in all indexes, and what further looks add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from featmatch.search.matches import FoundImage, Holder
from featmatch.search.whole_search import preferred


class Compared(NamedTuple):
    """What all indexes have found, by pixels too; images by their numbers among all.

    Attributes:
        found: each image with the best of its proofs, best first.
        holders: the indexes that hold each of them, in order, by number.
        verdicts: of the user on the query and some of them, by number: true is a copy.
        away: those whose files are not at hand.
    """

    found: list[FoundImage]
    holders: Mapping[int, list[Holder]]
    verdicts: Mapping[int, bool]
    away: frozenset[int]

    @property
    def is_claimed(self) -> bool:
        """Whether any image is, by its proof or by the user."""
        return any(one.proof.proven or self.verdicts.get(one.id) for one in self.found)

    def with_more(self, seen: Compared, found: Sequence[FoundImage]) -> Compared:
        """The same and what another look has seen, of which only some images count as found."""
        return Compared(
            preferred(self.found, found), {**seen.holders, **self.holders}, {**seen.verdicts, **self.verdicts},
            self.away | seen.away,
        )  # fmt: skip
