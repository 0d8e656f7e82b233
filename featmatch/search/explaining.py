"""Run a search for one image stage by stage, and report the stage at which it was lost, or how it was proven."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import ImageError
from featmatch.features.symmetry import Variant
from featmatch.images.pixels import ImageSource
from featmatch.images.sources import buffered
from featmatch.proof.proof import FEWEST_FEATURES, Proof
from featmatch.proof.whole_evidence import WholeEvidence
from featmatch.search.asked import Asked
from featmatch.search.candidates import Candidate, Listed, candidates_of
from featmatch.search.explanation import RANKED, Explanation, Seen, SharedWords, Stage, Verified, Votes, sentence
from featmatch.search.many import SearchOptions
from featmatch.search.matches import Match
from featmatch.search.merging import Listing
from featmatch.search.query import Query
from featmatch.search.query_words import QueryWords
from featmatch.search.stages import Search
from featmatch.search.voting import VotingOptions, hidden_rows, tally
from featmatch.store.places import name_known
from featmatch.store.reader import Reader
from featmatch.store.segment import Segment
from featmatch.store.snapshot import Snapshot

_LOOSER_WORDS, _LOOSER_HAMMING_LIMIT, _LOOSER_TOLERANCE = 8, 26, 0.02
_ADDING = ("featmatch add",)
_SHORTLISTS = (20, 50, 100, 200, 500, 1000, 2000, 5000, RANKED)


def explain(
    reader: Reader,
    image: ImageSource,
    name: str,
    options: SearchOptions,
    *,
    loaded: Query | None = None,
) -> Explanation:
    """Report where ``Index.query`` loses an image, or how it proves it. See ``Index.explain``.

    ``loaded`` is the image, if it was loaded before.
    """
    search = options.search_in(reader)
    (snapshot,), image = search.snapshots, buffered(image)
    query = search.read(image if loaded is None else loaded)
    known = name_known(name, snapshot.catalog, reader.places)
    content = (known and snapshot.catalog.content_named(known)) or ""
    number = snapshot.catalog.image_with(content)
    told = Explanation(
        name=known or name, verdict="", lost="index",
        query=Seen(query.grey.width, query.grey.height, len(query.features)),
        files=(image, reader.path_of(known or name) or (None if known else name)), decoding=options.decoding,
    )  # fmt: skip
    if not number:
        waits = "it waits to be added again, since its features were lost"
        why, ways = (waits, _ADDING) if known else _absence(search, told.files[1] or name)
        return dataclasses.replace(told, verdict=f"not in the index: {why}", options=ways)
    segment, row = snapshot.place_of(number)
    told = dataclasses.replace(
        told, image=Seen(int(segment.widths[row]), int(segment.heights[row]), int(segment.features[row]))
    )
    if not query.enough:
        why = f"too little detail: the query has fewer than {FEWEST_FEATURES} features, and is plain as a whole"
        return dataclasses.replace(told, verdict=why, lost="detail")
    asked = search.asked(query, image)
    verdicts = {} if asked.content is None else snapshot.catalog.verdicts_of(asked.content)
    pair = _Pair(search, snapshot, query, asked, number, content, told.name, verdicts.get(content) is False)
    told = pair.walked(told, segment, row)
    return dataclasses.replace(told, not_at_hand=(None, number) in pair.away)


@dataclass(frozen=True)
class _Pair:
    """A query with enough detail to be searched for, and an image of the index."""

    search: Search
    snapshot: Snapshot
    query: Query
    asked: Asked
    image: int
    content: str
    name: str
    rejected: bool
    # Identities of images whose pictures were looked for and are not at hand.
    away: set[tuple[str | None, int]] = dataclasses.field(default_factory=set)

    def walked(self, told: Explanation, segment: Segment, row: int) -> Explanation:
        """Complete an explanation with the results of the stages from the words on."""
        search, voting = self.search, self.search.voting
        segments = tuple(self.snapshot.segments.values())
        solo = dataclasses.replace(
            search,
            voting=dataclasses.replace(voting, shortlist=len(Variant)),
            among=frozenset((self.content,)),
            forms=(),
        )
        listing = search.listed(self.asked)
        by_votes = solo.listed(dataclasses.replace(self._asked_by(solo), content=None))
        by_votes = dataclasses.replace(by_votes, verdicts=listing.verdicts)
        asked = self.asked
        listed = Listed.looked_up(by_votes.ranked, segments)
        (ranked,) = candidates_of([listed], asked.words, asked.variants, voting.hamming_limit)
        alone = [candidate for _, candidate in ranked]
        found = self._answers(search, listing)
        given = next((one for one in found if (one.id, one.name) == (self.image, self.name)), None)
        tried = {Variant(one) for one in listing.ranked.variants[listing.ranked.images == self.image].tolist()}
        match = given
        if given is None or not given.proven:
            best = next((one for one in self._answers(solo, by_votes) if one.name == self.name), None)
            missed = best is not None and not _is_whole(best) and best.relation.variant not in tried
            if best is not None and missed and (given is None or best.proven):
                match = best  # ``query`` verifies another variant, if any
        proven = [(one.id, one.name) for one in found if one.proven]
        place = proven.index((self.image, self.name)) + 1 if (self.image, self.name) in proven else None
        if not alone:
            common = max((_common(segment, row, asked.words, variant) for variant in Variant), key=lambda it: it.common)
            whole = None if match is None else Verified(0, match, place, np.empty((2, 0, 2)))
            return self._ended(dataclasses.replace(told, words=common, agreement=whole), verified=whole is not None)
        of_match = match.relation.variant if match is not None and not _is_whole(match) else None
        shown = next((one for one in alone if one.variant == of_match), alone[0])
        longest = dataclasses.replace(voting, shortlist=RANKED)
        hidden = [hidden_rows(one, self.snapshot.removed, None) for one in segments]
        everyone, _ = tally(asked.words, len(asked.variants), segments, hidden, longest)
        pairs = list(zip(everyone.images.tolist(), everyone.variants.tolist(), strict=True))
        own = (self.image, int(shown.variant))
        dropped = _dropped(shown, match.proof if match else None, told.query.width)
        told = dataclasses.replace(
            told,
            words=_common(segment, row, asked.words, shown.variant),
            votes=Votes(
                shown.variant, len(shown.matches), shown.votes, pairs.index(own) + 1 if own in pairs else None,
                len(pairs), voting.shortlist,
            ),
            agreement=Verified(dropped.shape[1] + (match.inliers if match else 0), match, place, dropped),
        )  # fmt: skip
        return self._ended(told, verified=shown.variant in tried or (match is not None and match is given))

    def _asked_by(self, search: Search) -> Asked:
        """What another search asks."""
        known = self.asked if search.voting.words == self.search.voting.words else search.asked(self.query)
        return dataclasses.replace(
            self.asked, words=known.words, voting=search.voting, geometry=search.geometry, among=search.among
        )

    def _answers(self, search: Search, listing: Listing | None = None) -> list[Match]:
        """The matches that ``query`` would return with ``unproven=True``, without a limit."""
        answers, away = search.matches(self.query, self._asked_by(search), listing)
        self.away.update(away)
        return answers

    def _ended(self, told: Explanation, *, verified: bool) -> Explanation:
        lost = self._lost(told, verified)
        options: list[str] = []
        if lost == "verdict":
            options = ["featmatch reject --clear", "featmatch query --all"]
        elif lost is not None:
            rank = told.votes.rank if told.votes and not verified else None
            options = [text for text, search in self._looser(rank) if self._proves(search)]
            if lost == "probability":
                options.insert(0, "featmatch query --all")
        return dataclasses.replace(told, lost=lost, verdict=sentence(told, lost), options=tuple(options))

    def _lost(self, told: Explanation, verified: bool) -> Stage | None:
        match = told.agreement.match if told.agreement else None
        if told.agreement is not None and told.agreement.place is not None:
            return None
        if told.agreement is None:
            return "votes" if told.words and told.words.common else "words"
        if self.rejected:
            return "verdict"
        if not verified:
            return "shortlist"
        return "geometry" if match is None else "probability"

    def _looser(self, rank: int | None) -> Iterator[tuple[str, Search]]:
        """Searches with looser options, each with the option as it is written in Python."""
        search, voting, geometry = self.search, self.search.voting, self.search.geometry
        if rank is not None:
            enough = next(length for length in _SHORTLISTS if length >= rank)
            yield f"VotingOptions(shortlist={enough})", _with(search, dataclasses.replace(voting, shortlist=enough))
        if voting.words < _LOOSER_WORDS:
            looser = dataclasses.replace(voting, words=_LOOSER_WORDS)
            yield f"VotingOptions(words={_LOOSER_WORDS})", _with(search, looser)
        if voting.hamming_limit < _LOOSER_HAMMING_LIMIT:
            limit = _LOOSER_HAMMING_LIMIT
            looser = dataclasses.replace(voting, hamming_limit=limit, voting_limit=limit)
            yield f"VotingOptions(hamming_limit={limit}, voting_limit={limit})", _with(search, looser)
        if geometry.tolerance < _LOOSER_TOLERANCE:
            tolerant = dataclasses.replace(geometry, tolerance=_LOOSER_TOLERANCE)
            yield f"GeometryOptions(tolerance={_LOOSER_TOLERANCE})", dataclasses.replace(search, geometry=tolerant)

    def _proves(self, search: Search) -> bool:
        # What other images share with the query speaks against this one: if it is not proven alone, that is the answer.
        plain = dataclasses.replace(search, forms=())
        alone = dataclasses.replace(plain, among=frozenset((self.content,)))
        return all(
            any(match.id == self.image and match.proven for match in self._answers(one)) for one in (alone, plain)
        )


def _with(search: Search, voting: VotingOptions) -> Search:
    return dataclasses.replace(search, voting=voting)


def _absence(search: Search, file: ImageSource) -> tuple[str, tuple[str, ...]]:
    """Why an image is not in the index, and the command that would add it."""
    try:
        enough = search.read(file).enough
    except ImageError as error:
        return f"it was removed or never added, and its file cannot be read ({error.status})", ()
    if not enough:
        return "it has too little detail to be added", ()
    return "it was removed, or never added", _ADDING


def _common(segment: Segment, row: int, words: QueryWords, variant: Variant) -> SharedWords:
    """Count the visual words of one variant that occur in the image of that row."""
    distinct = np.unique(words.ids[words.variants == variant])
    wanted = np.uint32(row)
    common = 0
    for start, end in zip(segment.lists[distinct].tolist(), segment.lists[distinct + 1].tolist(), strict=True):
        common += bool((segment.postings.image[start:end] == wanted).any())
    return SharedWords(len(distinct), common)


def _is_whole(match: Match) -> bool:
    return isinstance(match.proof.evidence, WholeEvidence)


def _dropped(candidate: Candidate, proof: Proof | None, query_width: int) -> NDArray[np.float64]:
    """(2, N, 2) float64, px: hits that are no inliers, the best one of each keypoint of the query and of the image."""
    sides = [candidate.matches.query.copy(), candidate.matches.reference]
    if candidate.variant.mirrored:
        sides[0][:, 0] = query_width - 1 - sides[0][:, 0]
    kept = [proof.query_points, proof.reference_points] if proof else [np.empty((0, 2))] * 2
    taken = [np.isin(side @ [1, 1j], inliers @ [1, 1j]) for side, inliers in zip(sides, kept, strict=True)]
    rows = np.flatnonzero(~taken[0] & ~taken[1])
    for side in sides:
        rows = np.sort(rows[np.unique(side[rows] @ [1, 1j], return_index=True)[1]])
    return np.stack([side[rows] for side in sides])
