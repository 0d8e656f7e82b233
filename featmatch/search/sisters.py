"""Images that share a design with the query, and another content: told from the true one by what both explain of it.

A form, a card, a page of one type face: each sister agrees with the query in all that is printed, and contradicts it in
what is filled in. What one image explains, and another contradicts, speaks against the other; never the other way
round: an image is not pulled down by one that explains less of the query than itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import project
from featmatch.proof.difference import AGREEING, CONTRADICTING, SILENT, Difference
from featmatch.search.matches import FoundImage

_FEWEST_CELLS = 3  # in which another image shows something else, and that the query may agree with
_LEAST_SHARE = 0.005  # the same, as a share of the cells that say anything
_MOST_ONLY_HERE = 0.8  # cells that only this image explains, as a share of those; with more it is no sister
_DESIGN = 0.6  # share of what agrees that must agree with the better image as well,
_DESIGN_OF_WITNESS = 0.25  # and with the third
_ANOTHER = 0.4  # correlation below which two images show something else in a cell


def told_from_sisters(found: Sequence[FoundImage]) -> list[FoundImage]:
    """The same images; those that others explain away are known as sisters.

    Args:
        found: images, of which those that were looked at have a ``Difference`` to the one query; it is gone
            from those that come back.
    """
    seen = [one.proof.difference for one in found]
    told = []
    for one, own in zip(found, seen, strict=True):
        proof = one.proof
        if own is not None:
            others = [other for other in seen if other is not None and other is not own]
            proof = proof.as_sister() if _is_sister(own, others) else proof
            proof = dataclasses.replace(proof, difference=None)  # its pictures are large
        told.append(FoundImage(one.id, proof, one.damaged))
    return told


def _is_sister(own: Difference, others: Sequence[Difference]) -> bool:
    """Whether another explains more than this one, a third has the design too, and all three differ in one place.

    Without the third they may be a picture and its edited copy, which differ as much as two fillings of a form: a
    watermark contradicts in a third of the cells.
    """
    fewest = max(_FEWEST_CELLS, _LEAST_SHARE * (own.agreeing + own.contradicting))
    cells = np.argwhere(own.states == CONTRADICTING)
    if len(cells) < fewest:
        return False
    here = own.parts(cells, own)
    witnesses, better = [], []
    for other in others:
        design = _shared_design(own, other)
        if design >= _DESIGN_OF_WITNESS:
            there = other.parts(cells, own)
            differing = here.correlation(there) < _ANOTHER
            if differing.sum() >= fewest:
                witnesses.append((there, differing))
                if design >= _DESIGN and _only_here(own, other) <= _MOST_ONLY_HERE * differing.sum():
                    better.append((there, differing))
    for one, differs in better:
        for third, differs_too in witnesses:
            both = differs & differs_too
            if third is not one and both.sum() >= fewest and (one.correlation(third, both) < _ANOTHER).sum() >= fewest:
                return True
    return False


def _shared_design(own: Difference, other: Difference) -> float:
    """Share of the cells that agree with this image that agree with another as well."""
    there = _states_at(own, np.argwhere(own.states == AGREEING), other)
    return float((there == AGREEING).sum() / max(len(there), 1))


def _only_here(own: Difference, other: Difference) -> int:
    """Number of cells that another image contradicts, and that this one explains."""
    here = _states_at(other, np.argwhere(other.states == CONTRADICTING), own)
    return int((here == AGREEING).sum())


def _states_at(own: Difference, cells: NDArray[np.intp], other: Difference) -> NDArray[np.int8]:
    """The states of another image at cells of this one, (N, 2) rows and columns; silent where it does not reach."""
    way = product(inverse(other.query_from_cells), own.query_from_cells)
    columns, rows = np.floor(project(way, cells[:, ::-1] + 0.5)).astype(np.int64).T
    height, width = other.states.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    states = np.full(len(cells), SILENT, np.int8)
    states[inside] = other.states[rows[inside], columns[inside]]
    return states
