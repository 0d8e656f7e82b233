"""Images that share a design with the query, and another content: told from the true one by what both explain of it.

A form, a card, a page of one type face: each sister agrees with the query in all that is printed, and contradicts it
in what is filled in. What one image explains, and another contradicts, speaks against the other, where the collection
shows that the design has several contents. The true one contradicts only what an edit or a camera did, which no sister
explains.

A small picture may be too coarse to show what is filled in. Where a sister was told, the design is known to come with
several contents; then an image that was seen coarsely counts as a sister too, unless it explains the query best.

A photograph is no design: what several images have written over it, each in its way, was put there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import project
from featmatch.proof.difference import ADDED, AGREEING, CONTRADICTING, SILENT, Difference
from featmatch.search.matches import FoundImage

_FEWEST_CELLS = 3  # in which another image agrees with the query, and this one shows something else
_LEAST_SHARE = 0.005  # the same, as a share of the cells that say anything
_LEAST_EXPLAINED = 0.2  # cells that only a rival explains, as a share of those that only this image does
_MOST_ONLY_HERE = 0.8  # cells that only this image explains, as a share of those where the two differ
_DESIGN = 0.25  # share of what agrees that must agree with another as well, to be of one design;
_DESIGN_OF_RIVAL = 0.6  # the same, of one that explains hardly less
_ALL_OVER, _HARDLY_ANY = 0.92, 0.05  # agreement, and share that contradicts, of an image that explains all of the query
_FAR_MORE = 3.0  # times the geometry of an image has a sister that explains far more of a query
_ANOTHER = 0.4  # correlation below which two images show something else in a cell


def told_from_sisters(found: Sequence[FoundImage]) -> list[FoundImage]:
    """The same images; those that others explain away are known as sisters.

    Args:
        found: images, of which those that were looked at have a ``Difference`` to the one query; it is gone
            from those that come back.
    """
    seen = [one.proof.difference for one in found if one.proof.difference is not None]
    sisters = [own for own in seen if is_sister(own, seen) and not own.is_photograph]
    known = [one for one in found if any(one.proof.difference is sister for sister in sisters)]
    told = []
    for one in found:
        proof, own = one.proof, one.proof.difference
        if own is not None:
            of_design = [other for other in known if _agrees_with(other, own, _DESIGN)]
            is_like_one = explains_less(one, of_design) or _may_be_sister(one, own, found, sisters)
            if one in known or (is_like_one and not own.is_photograph):
                proof = proof.as_sister()
            proof = dataclasses.replace(proof, difference=None)  # its pictures are large
        told.append(FoundImage(one.id, proof, one.damaged))
    return told


def explains_less(one: FoundImage, sisters: Sequence[FoundImage], times: float = _FAR_MORE) -> bool:
    """Whether a known sister explains far more of the query, by features, than an image that does not agree all over.

    The true one explains what its sisters do, and what is filled in. Not where a sister explains hardly more: a copy
    that lost most of its features, as under coarse JPEG, has as few of them in common with each of its originals.

    Args:
        one: the image.
        sisters: those that are known.
        times: how many times as much is far more.
    """
    evidence = one.proof.evidence
    if (evidence.agreement or 0.0) >= _ALL_OVER and (evidence.contradiction or 0.0) <= _HARDLY_ANY:
        return False
    return any(sister.proof.evidence.geometry > times * evidence.geometry for sister in sisters)


def _agrees_with(other: FoundImage, own: Difference, share: float) -> bool:
    return other.proof.difference is not None and _shared_design(own, other.proof.difference) >= share


def _may_be_sister(
    one: FoundImage, own: Difference, found: Sequence[FoundImage], sisters: Sequence[Difference]
) -> bool:
    """Whether an image that was seen coarsely has the design of a sister, and of another image that explains more.

    More does so by features, which the index has as fine as the query's; and no more contradicts it.
    """
    evidence = one.proof.evidence
    if not evidence.is_coarse or all(_shared_design(own, sister) < _DESIGN for sister in sisters):
        return False
    return any(
        other.proof.evidence.geometry > evidence.geometry
        and other.proof.difference is not None
        and other.proof.difference.share <= own.share
        and _shared_design(own, other.proof.difference) >= _DESIGN_OF_RIVAL
        for other in found
    )


def is_sister(own: Difference, seen: Iterable[Difference]) -> bool:
    """Whether another image explains what this one contradicts, or hardly less, and the design holds several contents.

    What an edit brought in, or a camera spoiled, no sister explains. But the unedited picture does not explain it
    either, where its edited copy is found as well; so three images must differ from one another in one place, which
    one picture and its copies hardly do.

    Args:
        own: the look at this image.
        seen: the looks at others of the same query; this one may be among them.
    """
    fewest = max(_FEWEST_CELLS, _LEAST_SHARE * (own.agreeing + own.contradicting))
    if _is_against(own.states).sum() < fewest:
        return False
    sharing = [other for other in seen if other is not own and _shared_design(own, other) >= _DESIGN]
    if not any(_is_rival(own, other, fewest) for other in sharing):
        return False
    said = np.argwhere((own.states == AGREEING) | _is_against(own.states))
    unlike = [_unlike(said, own, other) for other in sharing]
    for (one, here), (third, there) in combinations(zip(sharing, unlike, strict=True), 2):
        both = here & there
        if both.sum() >= fewest and _differ(said[both], own, one, third).sum() >= fewest:
            return True
    return False


def _is_rival(own: Difference, other: Difference, fewest: float) -> bool:
    """Whether another explains cells that this image contradicts, and shows differently; or all but a few as well.

    The former only within what agrees: beyond, the map may be off, as on the sides of a bottle, and any band of a
    label that two have may lie there. And not if it explains far less itself.
    """
    cells = np.argwhere(_is_against(own.states))
    differing = _differ(cells, own, own, other)
    enclosed = _is_against(own.enclosed[tuple(cells.T)])
    explained = differing & enclosed & (_states_at(own, cells, other) == AGREEING)
    if explained.sum() >= max(fewest, _LEAST_EXPLAINED * _only_here(own, other)):
        return True
    return bool(
        differing.sum() >= fewest
        and _shared_design(own, other) >= _DESIGN_OF_RIVAL
        and _only_here(own, other) <= _MOST_ONLY_HERE * differing.sum()
    )


def _only_here(own: Difference, other: Difference) -> int:
    """Number of cells that another image contradicts, and that this one explains."""
    here = _states_at(other, np.argwhere(_is_against(other.states)), own)
    return int((here == AGREEING).sum())


def _shared_design(own: Difference, other: Difference) -> float:
    """Share of the cells that agree with this image that agree with another as well."""
    there = _states_at(own, np.argwhere(own.states == AGREEING), other)
    return float((there == AGREEING).sum() / max(len(there), 1))


def _unlike(said: NDArray[np.intp], own: Difference, other: Difference) -> NDArray[np.bool_]:
    """(N,) whether another image shows something else in a cell: if one of them contradicts the query there."""
    asked = _is_against(own.states[tuple(said.T)]) | _is_against(_states_at(own, said, other))
    asked[asked] = _differ(said[asked], own, own, other)
    return np.asarray(asked)


def _is_against(states: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Whether an image shows something else than the query, or nothing where that shows something."""
    return np.asarray((states == CONTRADICTING) | (states == ADDED))


def _differ(cells: NDArray[np.intp], of: Difference, one: Difference, other: Difference) -> NDArray[np.bool_]:
    """(N,) whether two images show something else, in cells (N, 2) of the look at any of the same query."""
    differs: NDArray[np.bool_] = one.parts(cells, of).correlation(other.parts(cells, of)) < _ANOTHER
    return differs


def _states_at(own: Difference, cells: NDArray[np.intp], other: Difference) -> NDArray[np.int8]:
    """The states of another image at cells of this one, (N, 2) rows and columns; silent where it does not reach."""
    way = product(inverse(other.query_from_cells), own.query_from_cells)
    columns, rows = np.floor(project(way, cells[:, ::-1] + 0.5)).astype(np.int64).T
    height, width = other.states.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    states = np.full(len(cells), SILENT, np.int8)
    states[inside] = other.states[rows[inside], columns[inside]]
    return states
