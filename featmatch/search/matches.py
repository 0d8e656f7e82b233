"""What a search says: the images that a query matches, each with its proof."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import Status, UsageError
from featmatch.geometry.maps import Matrix
from featmatch.images.iiif_names import CanvasPicture
from featmatch.notebooks import frame_of, table_of
from featmatch.proof.proof import Proof
from featmatch.proof.relation import Relation

Verdict = Literal["accepted", "rejected"]

COLUMNS = (
    "id", "name", "probability", "score", "inliers", "agreement", "kind", "rotation_deg", "scale", "mirrored",
    "negative", "homography", "query_region", "reference_region", "query_overlap", "reference_overlap", "verdict",
    "damaged",
)  # fmt: skip
_SHOWN = ("probability", "inliers", "of query", "of image", "name", "relation")


@dataclass(frozen=True, eq=False)
class FoundImage:
    """An image of the index that something speaks for, as the stages of a search pass it on.

    Attributes:
        id: its number in the index.
        proof: what speaks for it.
        damaged: its file is cut short. False where it was not looked at: only of the best is it.
    """

    id: int
    proof: Proof
    damaged: bool = False

    @property
    def score(self) -> float:
        """Of the proof: log-odds."""
        return self.proof.score


@dataclass(frozen=True, eq=False)
class Match:
    """One reference image that the query matches, with the proof.

    Attributes:
        id: the image's number in the index.
        name: the image's name in the index.
        proof: what speaks for it.
        verdict: what the user said of the pair, if anything; goes before the evidence.
        damaged: the reference's file is cut short. False where it was not looked at: only of the best matches is it.
        index: what the index is called, where several were asked as one; None: one was asked.
        provisional: whether not all indexes answered: what more images share with the query is not known.
    """

    id: int
    name: str
    proof: Proof
    verdict: Verdict | None = None
    damaged: bool = False
    index: str | None = None
    provisional: bool = False

    @property
    def identity(self) -> tuple[str | None, int]:
        """What tells the image from all others: of several indexes each has numbers of its own."""
        return self.index, self.id

    @property
    def proven(self) -> bool:
        """Whether the claim is made: the evidence carries it, or the user accepted it; never what was rejected."""
        return self.verdict == "accepted" or (self.verdict is None and self.proof.proven)

    @property
    def related(self) -> bool:
        """Whether the pair shares a design, and is no copy: a form, a card, a frame with another content in it."""
        return self.verdict is None and self.proof.related

    @property
    def probability(self) -> float:
        """That one is a copy of the other, in whole or in part; 0 to 1."""
        return self.proof.probability

    @property
    def score(self) -> float:
        """All evidence in one number, log-odds; orders matches, across queries too."""
        return self.proof.score

    @property
    def inliers(self) -> int:
        """Feature pairs that agree with the homography."""
        return self.proof.inliers

    @property
    def relation(self) -> Relation:
        """What was done to the reference to get the query."""
        return self.proof.relation

    @property
    def homography(self) -> Matrix:
        """(3, 3) float64, maps query px to reference px, of the files as displayed."""
        return self.proof.homography

    @property
    def query_region(self) -> NDArray[np.float64]:
        """(M, 2) float64, the polygon of the query that lies in the reference, px."""
        return self.proof.query_region

    @property
    def reference_region(self) -> NDArray[np.float64]:
        """(M, 2) float64, the same polygon in the reference, px."""
        return self.proof.reference_region

    @property
    def query_overlap(self) -> float:
        """Share of the query's area within its region; 0 to 1."""
        return self.proof.query_overlap

    @property
    def reference_overlap(self) -> float:
        """Share of the reference's area within its region; 0 to 1."""
        return self.proof.reference_overlap

    @property
    def iiif(self) -> dict[str, str | None] | None:
        """Of a picture from a IIIF manifest its "canvas", that one's "label", and addresses; None of all others.

        The addresses are that of the whole "image", and of the "region" that was found of it, both at full resolution;
        that of the region is None where the service gives no parts of pictures.
        """
        picture = CanvasPicture.of_name(self.name)
        if picture is None:
            return None
        region = picture.region(self.reference_region.tolist(), self.proof.reference_size)
        return {"canvas": picture.canvas, "label": picture.label, "image": picture.address, "region": region}

    def __repr__(self) -> str:
        return f"Match({self.name!r}: {self.relation}, probability {self.probability:.4f})"

    def _repr_html_(self) -> str:
        return table_of("match", _SHOWN, [self._shown()])

    def _shown(self) -> tuple[object, ...]:
        """Its row of a table."""
        overlaps = f"{self.query_overlap:.0%}", f"{self.reference_overlap:.0%}"
        return f"{self.probability:.4f}", self.inliers, *overlaps, self.name, self.relation

    def to_dict(self) -> dict[str, Any]:
        """The match object of the JSON output: also the size of the reference, whose px ``reference_region`` is in."""
        width, height = self.proof.reference_size
        return {
            **({} if self.index is None else {"index": self.index}),
            "id": self.id,
            "name": self.name,
            **self.proof.to_dict(),
            "verdict": self.verdict,
            "damaged": self.damaged,
            "width": width,
            "height": height,
            **({"provisional": True} if self.provisional else {}),
            **({} if self.iiif is None else {"iiif": self.iiif}),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Match:
        """The match of such an object: all but the points of its inliers. What else is in it is passed over.

        Raises:
            UsageError: it is no match object.
        """
        with _refuse_others("a match"):
            number, name, verdict = int(told["id"]), str(told["name"]), told["verdict"]
            if verdict not in _VERDICTS.values():
                raise ValueError(f"the verdict is {verdict!r:.40}")
            index, provisional = told.get("index"), bool(told.get("provisional"))
            if index is not None and not isinstance(index, str):
                raise ValueError(f"the index is {index!r:.40}")
            return cls(number, name, Proof.from_dict(told), verdict, bool(told["damaged"]), index, provisional)


def in_order(found: Iterable[FoundImage]) -> list[FoundImage]:
    """The best first; equals stay as they come."""
    return sorted(found, key=lambda one: -one.score)


@dataclass(frozen=True)
class Holder:
    """An index that holds an image.

    Attributes:
        id: the image's number there.
        names: its names there.
        index: what the index is called, where several are asked as one.
        place: of the index among those.
    """

    id: int
    names: Sequence[str]
    index: str | None = None
    place: int = 0


def named(
    found: Iterable[FoundImage], holders: Mapping[int, Sequence[Holder]], verdicts: Mapping[int, bool]
) -> list[Match]:
    """A match for each image under each of its names, best first.

    Args:
        found: each image once.
        holders: of each image, in the order of the indexes.
        verdicts: of images that were accepted (true) or rejected (false) as copies of the query.
    """
    matches = (
        Match(holder.id, name, one.proof, _VERDICTS[verdicts.get(one.id)], one.damaged, holder.index)
        for one in found
        for holder in holders[one.id]
        for name in holder.names
    )
    return sorted(matches, key=lambda match: (-match.score, match.name))


_VERDICTS: dict[bool | None, Verdict | None] = {True: "accepted", False: "rejected", None: None}


class Matches(list[Match]):
    """The matches of one query, best first, and what became of the query itself.

    A list: a part of it (``matches[:3]``), a copy, or it with others behind (``matches + others``) tells the same of
    the query. ``sorted`` makes a plain list of it, as of any.

    Attributes:
        status: "ok", or "too_little_detail" where neither features nor the whole picture can prove anything, or
            "partial" where not all indexes that were asked as one answered.
        missing: those that did not.
        related: images that share a design with the query, or show the same thing, and are no copies; best first.
        message: why the query could not be read, in words; empty where it could.
        damaged: the query's file is cut short; it was read as far as it goes.
        times: milliseconds of "features" (decoding included), "words", "votes", "verification" and "pixels", and of
            "forms", where other forms or parts of the query were looked up; empty where the query ended before them.
        not_at_hand: names whose pixels were to be compared, but whose files are not at hand as they were added, best
            first; of answers that are not given, too: with their pixels they might be.
    """

    def __init__(
        self,
        matches: Iterable[Match] = (),
        status: Status = "ok",
        times: Mapping[str, float] | None = None,
        not_at_hand: Iterable[str] = (),
        damaged: bool = False,
        message: str = "",
        related: Iterable[Match] = (),
    ) -> None:
        super().__init__(matches)
        self.status: Status = status
        self.message = message
        self.related = list(related)
        self.damaged = damaged
        self.times = dict(times or {})
        self.not_at_hand = list(not_at_hand)
        self.missing: list[str] = []

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Match: ...

    @overload
    def __getitem__(self, place: slice, /) -> Matches: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> Match | Matches:
        return self._of_the_same(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def __add__(self, others: list[Any], /) -> Matches:  # type: ignore[override]  # of matches only
        return self._of_the_same(super().__add__(others))

    def to_dict(self) -> dict[str, Any]:
        """What the JSON output says of one query, but for its name."""
        matches = [match.to_dict() for match in self]
        related = [match.to_dict() for match in self.related]
        missing = {"missing": self.missing} if self.missing else {}
        return {"status": self.status, **missing, "damaged": self.damaged, "matches": matches, "related": related}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Matches:
        """The matches of such an object, also of one with more in it, as a line of ``featmatch query --json``.

        Raises:
            UsageError: it is none.
        """
        with _refuse_others("an answer to a query"):
            matches, related = ([Match.from_dict(match) for match in told[name]] for name in ("matches", "related"))
            answer = cls(matches, told["status"], damaged=bool(told["damaged"]), related=related)
            answer.missing = [str(index) for index in told.get("missing", ())]
            return answer

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each match, and the columns of the CSV output, but for the query's.

        Raises:
            MissingFeatureError: pandas is not installed.
        """
        rows = ({**told.pop("relation"), **told} for told in (match.to_dict() for match in self))
        return frame_of([{column: row[column] for column in COLUMNS} for row in rows], COLUMNS)

    def _repr_html_(self) -> str:
        return table_of(f"{self.status}, {len(self)} found", _SHOWN, [match._shown() for match in self])

    def copy(self) -> Matches:
        """The same matches of the same query, in another list."""
        return self._of_the_same(self)

    def _of_the_same(self, matches: Iterable[Match]) -> Matches:
        """Matches of the same query: all that is told of it is told of these."""
        others = Matches(matches)
        vars(others).update(vars(self))
        return others


@contextlib.contextmanager
def _refuse_others(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"not the JSON object of {what}: {error!r}") from error
