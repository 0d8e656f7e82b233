"""Pairs -> groups, each of one picture: union-find that checks the geometry before it joins two groups.

Pairs are taken in the order of their strength, as Kruskal's algorithm takes edges: whole copies first, then the pairs
with the largest share of repeated features, weak ones last. So two members are linked by the strongest path that there
is. Each group has an original, and a homography from each member to it.

Two groups are joined only if the pair's homography lays at least half of one original on the other, and if the pair
shows most of what the originals then have in common. So a collage goes with one of the pictures that it shows, and
two pictures that each share a part with a third stay apart. A single image that holds the original as a small part (a
holder) joins its group if there are not many: what many different pictures hold is a stamp, such as a logo. If both
have copies, and the part is not so small, the finer one and its copies are taken for zooms, and go with the pictures
that they are zooms of. Further zooms must overlap these: finer pictures side by side are more likely those that a
collage shows. A weak pair never joins two groups, only a single image to a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from featmatch.geometry.exact import product
from featmatch.geometry.maps import project
from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.grouping.pairs import WHOLE, Pair
from featmatch.grouping.placing import ImageSize, Placed, shares
from featmatch.proof.proof import PROVEN

_CLEAR = 0.3  # ``Pair.again`` from which whole copies are taken before all other pairs
_HALF = 0.5  # share of one original that must lie on the other, or their groups stay apart
_STRONG = 0.95  # probability from which a pair joins two groups
_FINER = 1.2  # resolution ratio (px a side) above which the smaller picture is the pasted source, not a crop
_SAME_SIZE = 0.02  # resolution ratios nearer to 1 are the homography's error
_MOST_HOLDERS = 8  # different pictures that hold an original; more make it a stamp
_ZOOM = 0.2  # least share of a picture that zooms of it show, and of one of two zooms that lies in the other


@dataclass(eq=False)
class Cluster:
    """A group: its original, how each member (the original, too) lies on it, and which stood for groups of zooms."""

    original: int
    members: dict[int, Placed]
    zooms: list[int] = field(default_factory=list)

    def based_on(self, original: int) -> Cluster:
        """The same group with another original."""
        way = self.members[original].back()
        members = {image: placed.then(way) for image, placed in self.members.items()}
        return Cluster(original, members | {original: _HERE})


_HERE = Placed(np.eye(3), False, False, 1.0, 1 << 30)


class _Decision(NamedTuple):
    """How two groups become one: which original is kept, and what the other one is."""

    keeps_first: bool
    holder: bool = False
    zoom: bool = False


def cluster(
    images: Mapping[int, ImageSize],
    pairs: Mapping[tuple[int, int], Pair],
    detector: str,
    verdicts: Mapping[tuple[int, int], bool],
    choose: Callable[[Sequence[Cluster]], Sequence[int]] | None = None,
    are_sisters: Callable[[Pair], bool] | None = None,
) -> list[Cluster]:
    """Join pairs into groups of at least two images. The result does not depend on the ids of the images.

    Args:
        images: all that can be in a group, by id.
        pairs: by both ids, the lower first.
        detector: of the index.
        verdicts: user verdicts by pair, the lower id first: True = copy.
        choose: groups -> the id of each one's original; None: the finest or largest image of each.
        are_sisters: whether a pair is of one design with two contents: asked of those that would join two groups, and
            of the originals of these. None: none is.
    """
    joining = _Joining(images, pairs, detector, verdicts, are_sisters)
    for pair in joining.in_order():
        joining.join(pair)
    joining.join_accepted()
    joining.drop_stamps()
    found = joining.groups()
    if choose is None:
        return found
    chosen = zip(found, choose(found), strict=True)
    return [joining.by_own_pairs(group.based_on(original)) for group, original in chosen]


class _Joining:
    """The groups while they grow: at first, each image is one of its own."""

    def __init__(
        self,
        images: Mapping[int, ImageSize],
        pairs: Mapping[tuple[int, int], Pair],
        detector: str,
        verdicts: Mapping[tuple[int, int], bool],
        are_sisters: Callable[[Pair], bool] | None,
    ) -> None:
        self._are_sisters = are_sisters
        self._verdicts = verdicts
        self._images = images
        self._pairs = pairs
        self._probability = {
            key: 1.0 if verdicts.get(key) else pair.probability(detector)
            for key, pair in pairs.items()
            if key[0] in images and key[1] in images
        }
        accepted = [key for key, is_copy in verdicts.items() if is_copy and set(key) <= images.keys()]
        self._accepted = sorted(map(self._in_order, accepted), key=self._contents)
        self._rejected: dict[int, set[int]] = {}
        for (a, b), is_copy in verdicts.items():
            if not is_copy:
                self._rejected.setdefault(a, set()).add(b)
                self._rejected.setdefault(b, set()).add(a)
        self._of: dict[int, Cluster] = {image: Cluster(image, {image: _HERE}) for image in images}

    def in_order(self) -> Iterable[Pair]:
        """The proven pairs, the strongest first."""
        proven = [key for key, probability in self._probability.items() if probability >= PROVEN]

        def rank(key: tuple[int, int]) -> tuple[bool, bool, float, float, tuple[str, str]]:
            pair = self._pairs[key]
            is_clear = pair.is_whole and pair.again >= _CLEAR
            contents = self._contents((pair.reference, pair.query))
            return self._probability[key] < _STRONG, not is_clear, -pair.again, -pair.geometry, contents

        return [self._pairs[key] for key in sorted(proven, key=rank)]

    def join(self, pair: Pair) -> None:
        """Join the groups of both images, if these are of one picture."""
        first, second = self._of[pair.reference], self._of[pair.query]
        if first is second or self._parted(first, second):
            return
        way = self._placed(pair)
        if way.probability < _STRONG and min(len(first.members), len(second.members)) > 1:
            return
        # from the original of the second group to that of the first
        way = second.members[pair.query].back().then(way).then(first.members[pair.reference])
        if way.homography is None:
            return
        direct = self._pair(second.original, first.original)
        if direct is not None:
            way = direct
        elif not self._shows_most(pair, first, second, way):
            return
        decision = self._decided(first, second, way)
        if decision is None:
            return
        kept, lost, way = (first, second, way) if decision.keeps_first else (second, first, way.back())
        apart = decision.zoom and not self._overlaps_zooms(kept, lost.original, way)
        if apart or any(map(self._told_sisters, (pair.key, _key(first.original, second.original)))):
            return
        for image, placed in lost.members.items():
            found = placed.then(way)
            kept.members[image] = replace(found, holder=decision.holder if image == lost.original else found.holder)
            self._of[image] = kept
        kept.zooms += [*lost.zooms, *([lost.original] if decision.zoom else [])]

    def join_accepted(self) -> None:
        """Join what the user accepted as copies, whatever the pairs say."""
        for a, b in self._accepted:
            first, second = self._of[a], self._of[b]
            if first is not second and not self._parted(first, second):
                pair = self._pairs.get(_key(a, b))
                way = Placed(None, False, False, 1.0, 0) if pair is None else self._placed(pair)
                way = way if pair is None or pair.query == b else way.back()
                way = second.members[b].back().then(way).then(first.members[a])
                for image, placed in second.members.items():
                    first.members[image] = placed.then(way)
                    self._of[image] = first

    def drop_stamps(self) -> None:
        """Take the holders out of each group that has too many different ones."""
        for group in {id(group): group for group in self._of.values()}.values():
            holders = [image for image, placed in group.members.items() if placed.holder]
            if len(holders) > _MOST_HOLDERS and self._different(holders) > _MOST_HOLDERS:
                for image in holders:
                    del group.members[image]
                    self._of[image] = Cluster(image, {image: _HERE})

    def groups(self) -> list[Cluster]:
        """The groups of at least two images."""
        found = {id(group): group for group in self._of.values() if len(group.members) > 1}
        return [self.by_own_pairs(group) for group in found.values()]

    def by_own_pairs(self, group: Cluster) -> Cluster:
        """Place each member by its own pair with the original, where that is proven, instead of by a chain of pairs."""
        for image, placed in list(group.members.items()):
            direct = None if image == group.original else self._pair(image, group.original)
            if direct is not None:
                group.members[image] = replace(direct, holder=placed.holder)
        return group

    def _in_order(self, key: tuple[int, int]) -> tuple[int, int]:
        """Two images, the one whose content sorts first in front."""
        one, other = key
        return key if self._images[one].content <= self._images[other].content else (other, one)

    def _contents(self, key: tuple[int, int]) -> tuple[str, str]:
        return self._images[key[0]].content, self._images[key[1]].content

    def _told_sisters(self, key: tuple[int, int]) -> bool:
        """Whether a pair, if it is proven, is of sisters; what the user accepted is not."""
        if self._are_sisters is None or self._verdicts.get(key) or self._probability.get(key, 0.0) < PROVEN:
            return False
        return self._are_sisters(self._pairs[key])

    def _parted(self, first: Cluster, second: Cluster) -> bool:
        """Whether the user rejected a pair that joining these groups would bring together."""
        if not self._rejected:
            return False
        return any(self._rejected.get(image, set()) & second.members.keys() for image in first.members)

    def _placed(self, pair: Pair) -> Placed:
        probability = self._probability[pair.key]
        return Placed(pair.homography, pair.mirrored, pair.negative, probability, pair.inliers)

    def _pair(self, image: int, other: int) -> Placed | None:
        """How one image lies on another by their own pair; None if that is not proven."""
        key = _key(image, other)
        if self._probability.get(key, 0.0) < PROVEN:
            return None
        placed = self._placed(self._pairs[key])
        return placed if self._pairs[key].query == image else placed.back()

    def _shows_most(self, pair: Pair, first: Cluster, second: Cluster, way: Placed) -> bool:
        """Whether a pair shows at least half of what the originals have in common if they lie as it says."""
        onto = first.members[pair.reference].homography
        if onto is None or way.homography is None:
            return False
        of = self._images
        shown = shared_region(pair.homography, of[pair.query].size, of[pair.reference].size)
        common = shared_region(way.homography, of[second.original].size, of[first.original].size)
        proven = polygon_area(project(product(onto, pair.homography), shown))
        return proven >= _HALF * polygon_area(project(way.homography, common))

    def _overlaps_zooms(self, group: Cluster, image: int, way: Placed) -> bool:
        """Whether an image that ``way`` lays on the original of a group overlaps all that stood for zooms there."""
        for zoom in group.zooms:
            onto = way.then(group.members[zoom].back()).homography
            both = None if onto is None else shares(onto, self._images[image], self._images[zoom])
            if both is None or max(both) < _ZOOM:
                return False
        return True

    def _different(self, holders: Sequence[int]) -> int:
        """How many different pictures these are: copies of one another, by their own pairs, count once."""
        left, count = set(holders), 0
        while left:
            count += 1
            reached = [left.pop()]
            while reached:
                image = reached.pop()
                same = {other for other in left if self._same_frame(image, other)}
                left -= same
                reached += same
        return count

    def _same_frame(self, one: int, other: int) -> bool:
        """Whether most of each of two images lies in the other, by their own pair."""
        key = _key(one, other)
        pair = self._pairs[key] if self._probability.get(key, 0.0) >= PROVEN else None
        return pair is not None and min(pair.in_reference.covered, pair.in_query.covered) >= _HALF

    def _decided(self, first: Cluster, second: Cluster, way: Placed) -> _Decision | None:
        """How two groups become one if ``way`` lays the second original on the first; None: they do not."""
        a, b = self._images[first.original], self._images[second.original]
        areas = None if way.homography is None else shares(way.homography, b, a)
        if areas is None:
            return None
        area_b, area_a = areas
        in_a, in_b = self._covered(first.original, second.original, area_a, area_b)
        if max(in_a, in_b) < _HALF:
            return None
        finer = math.sqrt(area_a * a.area / (area_b * b.area))  # px of a for each px of b, along a side
        if min(in_a, in_b) >= _HALF:
            if min(areas) < _HALF:  # one shows more, but nothing much is there
                return _Decision(area_a < area_b)
            return _Decision(self._is_better(a, b, finer, in_a, in_b))
        small_is_a = in_a > in_b  # the small one lies in the large one, which shows more
        small, large = (first, second) if small_is_a else (second, first)
        is_finer = (finer if small_is_a else 1 / finer) > _FINER
        if is_finer and len(large.members) == 1:
            return _Decision(small_is_a, holder=True)
        is_zoom = is_finer and len(small.members) > 1  # else a crop
        return _Decision(not small_is_a, zoom=is_zoom) if not is_zoom or min(in_a, in_b) >= _ZOOM else None

    def _covered(self, a: int, b: int, area_a: float, area_b: float) -> tuple[float, float]:
        """Share of each image that lies in the other: of its features if their pair is proven, else of its area."""
        if self._probability.get(_key(a, b), 0.0) < PROVEN:
            return area_a, area_b
        pair = self._pairs[_key(a, b)]
        if pair.query == a:
            return pair.in_reference.covered, pair.in_query.covered
        return pair.in_query.covered, pair.in_reference.covered

    @staticmethod
    def _is_better(a: ImageSize, b: ImageSize, finer: float, in_a: float, in_b: float) -> bool:
        """Whether ``a`` is the better original: the finer one, else the one that shows more, else by content."""
        if not 1 / _FINER < finer < _FINER:
            return finer > 1
        if min(in_a, in_b) < WHOLE and in_a != in_b:
            return in_a < in_b
        return finer > 1 if abs(finer - 1) > _SAME_SIZE else a.content < b.content


def _key(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
