"""Groups -> the pairs of sisters in them, told in other processes: the files of their images are decoded.

Pictures are those of files that are at hand, else those that the index
keeps. What was told is kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from featmatch.grouping.clustering import cluster
from featmatch.grouping.designs import Designs
from featmatch.grouping.kept import BROKEN, KeptTexts, code_of_all, key_of
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.images.contents import stamp_of
from featmatch.images.pixels import GreyImage
from featmatch.names import split_page
from featmatch.proof.proof import PROVEN
from featmatch.search.pictures import Pictures, picture_of
from featmatch.store.joined import reader_of
from featmatch.store.reader import Folders, Reader
from featmatch.system.workers import in_order, processes_for

Key: TypeAlias = "tuple[int, int]"

_SECONDS = 60.0  # to look at a group, and as much again for each ten images of it
_KEPT = KeptTexts("designs")


@dataclass(frozen=True)
class _Group:
    """What another process is told of a group.

    Attributes:
        images: by id.
        pairs: between these, by both ids, the lower first.
        verdicts: of the user, by pair: what was accepted is no sister.
        paths: files of the images that are at hand.
        detector: of the index.
    """

    images: Mapping[int, ImageSize]
    pairs: Mapping[Key, Pair]
    verdicts: Mapping[Key, bool]
    paths: Mapping[int, Sequence[str]]
    detector: str

    def key(self, folders: Folders) -> bytes:
        """Of all that the answer depends on."""
        seen = []
        for image, size in self.images.items():
            stamps: list[tuple[int, ...]] = []
            with contextlib.suppress(OSError):
                stamps += [stamp_of(split_page(path)[0]) for path in self.paths[image]]
            seen.append((image, size.content, self.paths[image], stamps))
        paired = [(key, pair.homography.tobytes().hex(), pair.inliers) for key, pair in self.pairs.items()]
        where = [str(folder) for _, folder in folders]
        return key_of(code_of_all(), where, seen, paired, sorted(self.verdicts.items()))


def sisters_in(
    reader: Reader,
    groups: Sequence[Collection[int]],
    images: Mapping[int, ImageSize],
    pairs: Mapping[Key, Pair],
    *,
    jobs: int,
) -> set[Key]:
    """The pairs that would join sisters to groups; none of a group whose process is lost.

    Args:
        reader: the index.
        groups: the ids of the images in each.
        images: all of the index, by id.
        pairs: all that are known, by both ids, the lower first.
        jobs: processes, as for ``Index.groups``.
    """
    folders = tuple((name, folder.absolute()) for name, folder in reader.folders)
    asked = {group.key(folders): group for group in _asked(reader, groups, images, pairs)}
    texts = _KEPT.recall(asked)
    new = {key: group for key, group in asked.items() if key not in texts}
    seconds = _SECONDS * (1 + max((len(group.images) for group in new.values()), default=0) / 10)
    tasks = ((folders, group) for group in new.values())
    results = in_order(_told, tasks, jobs=processes_for(jobs, len(new)), seconds=seconds)
    with contextlib.closing(results):
        for key, told in zip(new, results, strict=True):
            if isinstance(told, list):
                texts[key] = json.dumps(told)
                _KEPT.keep({key: texts[key]})
    found: set[Key] = set()
    for text in texts.values():
        with contextlib.suppress(*BROKEN):
            found |= {(one, other) for one, other in json.loads(text)}
    return found


def _asked(
    reader: Reader, groups: Sequence[Collection[int]], images: Mapping[int, ImageSize], pairs: Mapping[Key, Pair]
) -> list[_Group]:
    group_of = {image: number for number, group in enumerate(groups) for image in group}
    pairs_of: dict[int, dict[Key, Pair]] = defaultdict(dict)
    for key, pair in sorted(pairs.items()):
        one, other = (group_of.get(image) for image in key)
        if one is not None and one == other:
            pairs_of[one][key] = pair
    pictures = Pictures(reader.snapshot, reader.places)
    verdicts = reader.snapshot.catalog.verdicts() if reader.snapshot.catalog.has_verdicts else {}
    return [
        _Group(
            {image: images[image] for image in sorted(groups[number])},
            own,
            {key: verdicts[key] for key in own if key in verdicts},
            {image: list(pictures.paths_of(image)) for image in sorted(groups[number])},
            reader.options.detector,
        )
        for number, own in pairs_of.items()
    ]


def _told(folders: Folders, group: _Group) -> list[Key]:
    reader = reader_in_process(folders)
    reader.refresh()

    def picture(image: int) -> GreyImage | None:
        return picture_of(image, group.paths[image], reader.snapshot)

    proven = [pair for pair in group.pairs.values() if pair.probability(group.detector) >= PROVEN]
    designs = Designs(proven, picture, group.detector)
    cluster(group.images, group.pairs, group.detector, group.verdicts, are_sisters=designs.are_sisters)
    return designs.told


@lru_cache(maxsize=1)
def reader_in_process(folders: Folders) -> Reader:
    """An index, opened once by a process that shares the cores with others."""
    import cv2

    cv2.setNumThreads(1)
    return reader_of(folders)
