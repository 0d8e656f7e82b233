"""Pairs -> groups, each of one picture. Union-find that looks at what it would join.

Pairs are taken in turn, as Kruskal takes edges: whole copies first, then those of which most is there in both, weak
ones last. So the path between two members is the strongest that there is. Each group knows its original, and how each
member lies on it. Two groups become one only if the pair's homography puts their originals on one another: at least
half of one must lie in the other. So a collage belongs to one of the pictures that it shows, and two pictures that each
hold a part of a third stay apart. What holds the original as a small part goes with it only if it has no copies of its
own, and if not many do: what many pictures hold is a stamp, such as a logo. A weak pair joins no two groups, only a
single image to one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from featmatch.geometry.maps import Matrix, project
from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.grouping.pairs import Pair
from featmatch.proof.proof import PROVEN

_WHOLE = 0.8  # of its features lie in the other: a picture is there as a whole
_CLEAR = 0.3  # of what both show is there in both: they are surely copies
_HALF = 0.5  # of an original lies in another, or they are not of one picture
_STRONG = 0.95  # probability from which a pair joins two groups
_FINER = 1.2  # times as fine, in px a side, a picture is no crop, but what was put into the other
_MOST_HOLDERS = 8  # pictures that hold an original as a small part; more make it a stamp


@dataclass(frozen=True)
class ImageSize:
    """What an image is while groups grow: width and height, px, and its content (SHA-256), which orders equals."""

    width: int
    height: int
    content: str


@dataclass(frozen=True, eq=False)
class Placed:
    """How an image lies on the original of its group.

    Attributes:
        homography: (3, 3) float64, image px to px of the original; None: by a person's word only.
        mirrored: whether one is mirrored.
        negative: whether one is a negative.
        probability: of all pairs on the way.
        inliers: of the weakest pair on the way.
        holder: whether it shows the original as a small part.
    """

    homography: Matrix | None
    mirrored: bool
    negative: bool
    probability: float
    inliers: int
    holder: bool = False

    def then(self, other: Placed) -> Placed:
        """The way on from the image that this one leads to."""
        known = self.homography is not None and other.homography is not None
        return Placed(
            other.homography @ self.homography if known else None,  # type: ignore[operator]
            self.mirrored ^ other.mirrored,
            self.negative ^ other.negative,
            self.probability * other.probability,
            min(self.inliers, other.inliers),
            self.holder or other.holder,
        )

    def back(self) -> Placed:
        """The way from the original to the image."""
        inverse = None if self.homography is None else np.asarray(np.linalg.inv(self.homography), np.float64)
        return Placed(inverse, self.mirrored, self.negative, self.probability, self.inliers, self.holder)


@dataclass(eq=False)
class Cluster:
    """A group: its original, and how each member lies on it. While it grows, the original is what stands for it."""

    original: int
    members: dict[int, Placed]

    def based_on(self, original: int) -> Cluster:
        """The same group with another original."""
        way = self.members[original].back()
        members = {image: placed.then(way) for image, placed in self.members.items()}
        return Cluster(original, members | {original: _HERE})


_HERE = Placed(np.eye(3), False, False, 1.0, 1 << 30)


def cluster(
    images: Mapping[int, ImageSize],
    pairs: Mapping[tuple[int, int], Pair],
    detector: str,
    verdicts: Mapping[tuple[int, int], bool],
    choose: Callable[[Sequence[Cluster]], Sequence[int]] | None = None,
) -> list[Cluster]:
    """Join pairs into groups of two images and more. Numbers tell images apart, and decide nothing.

    Args:
        images: all that can be in a group, by number.
        pairs: by both numbers, the lower first.
        detector: of the index.
        verdicts: what a person said of pairs of images, the lower number first: whether they are copies.
        choose: the originals of groups; where nothing is given, those that stood for them while they grew.
    """
    joining = _Joining(images, pairs, detector, verdicts)
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
    def __init__(
        self,
        images: Mapping[int, ImageSize],
        pairs: Mapping[tuple[int, int], Pair],
        detector: str,
        verdicts: Mapping[tuple[int, int], bool],
    ) -> None:
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
        """The pairs that are proven: whole copies first, then the surest."""
        proven = [key for key, probability in self._probability.items() if probability >= PROVEN]

        def rank(key: tuple[int, int]) -> tuple[bool, bool, float, float, tuple[str, str]]:
            pair = self._pairs[key]
            is_whole = min(pair.in_reference.covered, pair.in_query.covered) >= _WHOLE and pair.again >= _CLEAR
            contents = self._contents((pair.reference, pair.query))
            return self._probability[key] < _STRONG, not is_whole, -pair.again, -pair.geometry, contents

        return [self._pairs[key] for key in sorted(proven, key=rank)]

    def join(self, pair: Pair) -> None:
        """Make one group of two, if both are of one picture."""
        first, second = self._of[pair.reference], self._of[pair.query]
        if first is second or self._parted(first, second):
            return
        way = self._placed(pair)
        if way.probability < _STRONG and min(len(first.members), len(second.members)) > 1:
            return
        # From the original of the second group to that of the first.
        way = second.members[pair.query].back().then(way).then(first.members[pair.reference])
        if way.homography is None:
            return
        direct = self._pair(second.original, first.original)
        if direct is not None:
            way = direct
        decision = self._decided(first, second, way)
        if decision is None:
            return
        keeps_first, holder = decision
        kept, lost, way = (first, second, way) if keeps_first else (second, first, way.back())
        for image, placed in lost.members.items():
            found = placed.then(way)
            held = holder if image == lost.original else found.holder
            kept.members[image] = Placed(
                found.homography, found.mirrored, found.negative, found.probability, found.inliers, held
            )
            self._of[image] = kept

    def join_accepted(self) -> None:
        """What a person accepted belongs together, whatever is known of it."""
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
        """Part an original from the pictures that hold it, where they are too many."""
        for group in {id(group): group for group in self._of.values()}.values():
            holders = [image for image, placed in group.members.items() if placed.holder]
            if len(holders) > _MOST_HOLDERS:
                for image in holders:
                    del group.members[image]
                    self._of[image] = Cluster(image, {image: _HERE})

    def groups(self) -> list[Cluster]:
        """Groups of two and more."""
        found = {id(group): group for group in self._of.values() if len(group.members) > 1}
        return [self.by_own_pairs(group) for group in found.values()]

    def by_own_pairs(self, group: Cluster) -> Cluster:
        """Place each member as its pair with the original says, where that is proven itself."""
        for image, placed in list(group.members.items()):
            direct = None if image == group.original else self._pair(image, group.original)
            if direct is not None:
                group.members[image] = replace(direct, holder=placed.holder)
        return group

    def _in_order(self, key: tuple[int, int]) -> tuple[int, int]:
        """Two images, that whose content comes first being the first."""
        one, other = key
        return key if self._images[one].content <= self._images[other].content else (other, one)

    def _contents(self, key: tuple[int, int]) -> tuple[str, str]:
        return self._images[key[0]].content, self._images[key[1]].content

    def _parted(self, first: Cluster, second: Cluster) -> bool:
        """Whether a person said of one of the pairs that would come together that it is none."""
        if not self._rejected:
            return False
        return any(self._rejected.get(image, set()) & second.members.keys() for image in first.members)

    def _placed(self, pair: Pair) -> Placed:
        probability = self._probability[_key(pair.query, pair.reference)]
        return Placed(pair.homography, pair.mirrored, pair.negative, probability, pair.inliers)

    def _pair(self, image: int, other: int) -> Placed | None:
        """The way from one image to another that their own pair says, if it is proven."""
        key = _key(image, other)
        if self._probability.get(key, 0.0) < PROVEN:
            return None
        placed = self._placed(self._pairs[key])
        return placed if self._pairs[key].query == image else placed.back()

    def _decided(self, first: Cluster, second: Cluster, way: Placed) -> tuple[bool, bool] | None:
        """Whether the first original stays the original, and whether the other holds it; None: they stay apart."""
        assert way.homography is not None
        a, b = self._images[first.original], self._images[second.original]
        region = shared_region(way.homography, (b.width, b.height), (a.width, a.height))
        area_b = polygon_area(region) if len(region) else 0.0
        area_a = polygon_area(project(way.homography, region)) if len(region) else 0.0
        if not (area_a > 0 and area_b > 0):
            return None
        in_a, in_b = self._covered(first.original, second.original, area_a / (a.width * a.height),
                                   area_b / (b.width * b.height))  # fmt: skip
        if max(in_a, in_b) < _HALF:
            return None
        finer = (area_a / area_b) ** 0.5  # px of a for each px of b, along a side
        if min(in_a, in_b) >= _HALF:
            return self._is_better(a, b, finer, in_a, in_b), False
        small_is_a = in_a > in_b  # the one that lies in the other, which shows more
        small, large = (first, second) if small_is_a else (second, first)
        is_finer = (finer if small_is_a else 1 / finer) > _FINER
        if not is_finer or (len(small.members) == 1 and len(large.members) > 1):
            return not small_is_a, False  # a crop of it
        return (small_is_a, True) if len(large.members) == 1 else None

    def _covered(self, a: int, b: int, area_a: float, area_b: float) -> tuple[float, float]:
        """How much of each lies in the other: of their features where the pair is proven, else of their areas."""
        if self._probability.get(_key(a, b), 0.0) < PROVEN:
            return area_a, area_b
        pair = self._pairs[_key(a, b)]
        if pair.query == a:
            return pair.in_reference.covered, pair.in_query.covered
        return pair.in_query.covered, pair.in_reference.covered

    @staticmethod
    def _is_better(a: ImageSize, b: ImageSize, finer: float, in_a: float, in_b: float) -> bool:
        """While groups grow, the finer one stands for both; then that which shows more; then either, by content."""
        if not 1 / _FINER < finer < _FINER:
            return finer > 1
        if min(in_a, in_b) < _WHOLE and in_a != in_b:
            return in_a < in_b
        return finer > 1 if abs(finer - 1) > 0.02 else a.content < b.content


def _key(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
