"""The stages of a search in one index, for tests that look at what is between them."""

from __future__ import annotations

from featmatch.search.asked import Asked
from featmatch.search.candidates import Candidate, Listed, candidates_of
from featmatch.search.query import Query
from featmatch.search.stages import Search


def candidates(search: Search, query: Query, asked: Asked | None = None) -> list[Candidate]:
    """The images with the most votes, best first, with their hits; accepted ones follow."""
    asked = asked or search.asked(query)
    (snapshot,) = search.snapshots
    segments = tuple(snapshot.segments.values())
    ranked = search.listed(asked).ranked
    listed = Listed.looked_up(ranked, segments)
    (found,) = candidates_of([listed], asked.words, asked.variants, asked.voting.hamming_limit)
    return [candidate for _, candidate in found]
