"""An index -> its groups: new images are compared block by block, their pairs are saved, and all pairs are joined.

Images that stay alone then, and have few features, are looked up, and join groups of which they match several members.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import FeatmatchError, StoreError
from featmatch.features.given import geometry_of
from featmatch.features.looks import FEW_FEATURES
from featmatch.grouping import choices
from featmatch.grouping.asking import asked
from featmatch.grouping.choosing import NOT_COMPARED, Choice, Contender, choose
from featmatch.grouping.clustering import Cluster, cluster
from featmatch.grouping.groups import Group, Groups, Member
from featmatch.grouping.joining import JoiningOptions, stored_images
from featmatch.grouping.marking import marked
from featmatch.grouping.pairs import Collection, Pair, pairs_of
from featmatch.grouping.placing import ImageSize, Placed
from featmatch.grouping.remembered import Remembered, pairs_folder, recall, remember
from featmatch.grouping.standing import Standings
from featmatch.grouping.telling import reader_in_process, sisters_in
from featmatch.proof.relation import relation_of
from featmatch.store.catalog import Catalog
from featmatch.store.reader import Folders, Reader
from featmatch.store.records import ImageRecord
from featmatch.store.writing import hold_writer_lock
from featmatch.system.progress import Progress
from featmatch.system.workers import Lost, in_order, processes_for

# Calls a function with each of some tasks on other machines, and yields the results in order; a ``Lost`` for none.
Elsewhere: TypeAlias = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Generator[Any, None, None]]

_BLOCK_IMAGES = 100  # images that are compared as one task, and saved as one record
_BLOCKS, _MOST_OF_BLOCK = 1000, 1000  # tasks for more images, as each goes once through all postings; and their most
_FEW_IMAGES = 200  # new images up to which starting processes takes longer than comparing
_BLOCK_SECONDS = 3600.0
_known_collections: WeakKeyDictionary[Catalog, Collection] = WeakKeyDictionary()
_SEVERAL = 2  # members of a group that a look-up must match: one may be another drawing of the same symbol
_CHOICE_SECONDS = 60.0  # to choose an original, and as much again for each ten images of the group


def find_groups(reader: Reader, *, jobs: int, progress: Progress, elsewhere: Elsewhere | None = None) -> Groups:
    """Find all groups of an index, the largest first; ``Index.groups`` explains the arguments.

    Images are compared ``elsewhere``, on machines that see the index under the same path; None: on this one.
    """
    reader.refresh()
    catalog = reader.snapshot.catalog
    sizes: dict[int, ImageSize] = {}
    names: Counter[int] = Counter()
    for record in catalog.images():
        names[record.id] += 1
        sizes[record.id] = ImageSize(record.width, record.height, record.sha256)
    digests = {image: int(size.content[:16], 16) for image, size in sizes.items()}
    known, unremembered = compare_all(reader, digests, jobs, progress, elsewhere)
    records: dict[int, list[ImageRecord]] = {}
    standings = Standings(reader.path_of)
    chosen_of: dict[int, Choice] = {}

    def originals(clusters: Sequence[Cluster]) -> list[int]:
        wanted = {image for found in clusters for image in found.members}
        wanted |= {image for image, count in names.items() if count > 1}
        for record in catalog.images():
            if record.id in wanted:
                records.setdefault(record.id, []).append(record)
                standings.know(record)
        chosen = list(_choices([contenders_of(found, records, standings) for found in clusters], jobs))
        chosen_of.update({choice.original: choice for choice in chosen})
        return [choice.original for choice in chosen]

    pairs = known.pairs | _asked(reader, known.pairs, sizes, standings, jobs)
    detector, verdicts = reader.options.detector, catalog.verdicts()
    likely = [found.members for found in cluster(sizes, pairs, detector, verdicts)]
    told = sisters_in(reader, likely, sizes, pairs, jobs=jobs)
    clusters = cluster(sizes, pairs, detector, verdicts, originals, lambda pair: pair.key in told)
    joined = {image for found in clusters for image in found.members}
    groups = [_group(found, chosen_of[found.original].by, sizes, records) for found in clusters]
    groups += [Group((_original(records[image]),)) for image in records.keys() - joined]
    own = {image: said for choice in chosen_of.values() for image, said in choice.own.items()}
    standings.look_again()  # files may have changed while originals were chosen
    groups = marked(groups, standings, own)
    return Groups(sorted(groups, key=lambda group: (-len(group), group.original.names[0])), unremembered)


def _asked(
    reader: Reader,
    pairs: Mapping[tuple[int, int], Pair],
    sizes: Mapping[int, ImageSize],
    standings: Standings,
    jobs: int,
) -> dict[tuple[int, int], Pair]:
    """The pairs of what stays alone with several members of one group, where surer than those that are known."""
    catalog, detector = reader.snapshot.catalog, reader.options.detector
    groups = cluster(sizes, pairs, detector, catalog.verdicts())
    group_of = {image: number for number, group in enumerate(groups) for image in group.members}
    alone = sizes.keys() - group_of.keys()
    for segment in reader.snapshot.segments.values():
        alone -= set(segment.ids[segment.features >= FEW_FEATURES].tolist())
    names: dict[int, list[str]] = {}
    for record in catalog.images():
        if record.id in alone:
            standings.know(record)
            names.setdefault(record.id, []).append(record.name)
    best = {image: standings.of(min(some, key=standings.order)) for image, some in names.items()}
    files = {image: one.path_of_image for image, one in best.items() if one.path_of_image and not one.trouble}
    found = asked(reader, files, sizes, jobs=jobs)
    joining = {key: (image, group_of[other]) for key in found for image, other in (key, key[::-1]) if other in group_of}
    matched = Counter(joining.values())
    return {
        key: found[key]
        for key, way in joining.items()
        if matched[way] >= _SEVERAL
        and (key not in pairs or found[key].probability(detector) > pairs[key].probability(detector))
    }


def contenders_of(
    found: Cluster, records: Mapping[int, Sequence[ImageRecord]], standings: Standings
) -> list[Contender]:
    """What is known of each image of a group, to choose the original by."""
    contenders = []
    for image, placed in found.members.items():
        first = min(records[image], key=lambda record: standings.order(record.name))
        standing = standings.of(first.name)
        contenders.append(
            Contender(
                image, first.name, standing.path_of_image if standing.is_real else None, placed.homography,
                placed.negative, placed.holder, first.sha256, first.width, first.height, first.bytes, first.format,
                first.camera, first.taken,
            )
        )  # fmt: skip
    return contenders


def _choices(groups: Sequence[Sequence[Contender]], jobs: int) -> Iterator[Choice]:
    """Choose the originals of groups, in other processes; a group whose process is lost goes by what is stored."""
    known = choices.recall(groups)
    new = [group for group, choice in zip(groups, known, strict=True) if choice is None]
    there = [group for group in new if any(one.path for one in group)]
    processes = processes_for(jobs, len(there))
    seconds = _CHOICE_SECONDS * (1 + max(map(len, there), default=0) / 10)
    results = in_order(choose, [(group,) for group in there], jobs=processes, seconds=seconds)
    with contextlib.closing(results):
        for group, before in zip(groups, known, strict=True):
            choice = before or (next(results) if any(one.path for one in group) else None)
            if not isinstance(choice, Choice):  # no file is at hand, or the process was lost
                choice = choose([replace(one, path=None) for one in group])
            elif before is None and NOT_COMPARED not in choice.own.values():  # those may be compared another time
                choices.keep(group, choice)
            yield choice


def compare_all(
    reader: Reader, digests: Mapping[int, int], jobs: int, progress: Progress, elsewhere: Elsewhere | None = None
) -> tuple[Remembered, str | None]:
    """The pairs of all images: those that were found before, and those of new images, which are compared and kept.

    Args:
        reader: the index.
        digests: by id, the first eight bytes of the SHA-256 of each image that is in it.
        jobs: processes, as for ``Index.groups``.
        progress: called with images compared and in all.
        elsewhere: where images are compared; None: on this machine.

    Returns:
        The pairs, and why what is new could not be kept, or None.
    """
    log = pairs_folder(reader)
    known = recall(log, digests)
    new = sorted(digests.keys() - known.compared)
    compared = _compared(reader, new, known, jobs, elsewhere)
    return known, _keep_compared(compared, len(new), log, known, digests, progress)


def _keep_compared(
    compared: Generator[tuple[list[int], list[Pair]], None, None],
    new: int,
    log: Path,
    known: Remembered,
    digests: Mapping[int, int],
    progress: Progress,
) -> str | None:
    """Keep the pairs of so many new images as they are compared; return why they could not be saved, or None."""
    done, kept = len(digests) - new, 0
    progress(done, len(digests))
    waiting: list[tuple[list[int], list[Pair]]] = []
    reason: str | None = None

    def keep() -> None:
        nonlocal reason
        if not waiting:
            return
        try:
            with hold_writer_lock(log):
                images = [image for block, _ in waiting for image in block]
                remember(log, images, [pair for _, pairs in waiting for pair in pairs], digests)
            waiting.clear()
            reason = None
        except StoreError as error:
            reason = str(error)

    try:
        with contextlib.closing(compared) as results:
            for block, pairs in results:
                known.add(block, pairs)
                waiting.append((block, pairs))
                kept += len(block)
                keep()
                progress(done + kept, len(digests))
    finally:
        keep()  # another writer may have released the lock meanwhile
    return reason


def _compared(
    reader: Reader, new: Sequence[int], known: Remembered, jobs: int, elsewhere: Elsewhere | None
) -> Generator[tuple[list[int], list[Pair]], None, None]:
    """Compare new images; yield them block by block with the pairs that they make."""
    size = _block_images(reader)
    blocks = [list(new[start : start + size]) for start in range(0, len(new), size)]
    # New images nearly always have the highest ids. Where one was compared before that has a higher id than a new one,
    # it counts as earlier all the same, so that no pair is left out.
    earlier = np.array(sorted(image for image in known.compared if new and image > new[0]), np.int64)
    if elsewhere is None and (jobs == 1 or len(new) <= _FEW_IMAGES):
        for block in blocks:
            yield block, compare_block(reader, block, earlier)
        return
    folders = tuple((name, folder.absolute()) for name, folder in reader.folders)
    tasks = ((folders, block, earlier) for block in blocks)
    if elsewhere is None:
        processes = processes_for(jobs, len(blocks))
        results = in_order(_compare_in_process, tasks, jobs=processes, seconds=_BLOCK_SECONDS)
    else:
        results = elsewhere(_compare_in_process, tasks)
    with contextlib.closing(results):
        for block, pairs in zip(blocks, results, strict=True):
            if isinstance(pairs, Lost):
                raise FeatmatchError(f"a process that compared images was lost: {pairs.reason}")
            yield block, pairs


def _block_images(reader: Reader) -> int:
    """How many images are compared as one task."""
    images = sum(len(segment.ids) for segment in reader.snapshot.segments.values())
    return max(_BLOCK_IMAGES, min(images // _BLOCKS, _MOST_OF_BLOCK))


def compare_block(reader: Reader, block: Sequence[int], earlier: NDArray[np.int64]) -> list[Pair]:
    """Compare images with all of lower ids, and with ``earlier``."""
    collection = _collection(reader)
    images = sorted(stored_images(collection.segments, block, collection.detector), key=lambda image: image.id)
    return pairs_of(images, collection, earlier, JoiningOptions(), geometry_of(collection.detector, None))


def _collection(reader: Reader) -> Collection:
    """The images of an index; put together once for each state of the catalogue."""
    snapshot = reader.snapshot
    if snapshot.catalog not in _known_collections:
        segments = tuple(snapshot.segments.values())
        places = {image: place for place, image in enumerate(snapshot.catalog.in_order_of_contents())}
        listed = np.fromiter(places, np.int64)  # a damaged segment may name others
        live = [np.isin(segment.ids, listed) for segment in segments]
        collection = Collection(segments, live, reader.vocabulary, reader.options.detector, places)
        _known_collections[snapshot.catalog] = collection
    return _known_collections[snapshot.catalog]


def _compare_in_process(folders: Folders, block: Sequence[int], earlier: NDArray[np.int64]) -> list[Pair]:
    reader = reader_in_process(folders)
    reader.refresh()
    return compare_block(reader, block, earlier)


def _group(
    found: Cluster, by: str, sizes: Mapping[int, ImageSize], records: Mapping[int, Sequence[ImageRecord]]
) -> Group:
    original = sizes[found.original]
    others = [
        _member(records[image], placed, original) for image, placed in found.members.items() if image != found.original
    ]
    return Group((_original(records[found.original]), *others), original_by=by)


def _original(records: Sequence[ImageRecord]) -> Member:
    one = records[0]
    names = tuple(record.name for record in records)
    return Member(one.id, names, one.width, one.height, one.bytes, None, 1.0, None, 0)


def _member(records: Sequence[ImageRecord], placed: Placed, original: ImageSize) -> Member:
    alone = _original(records)
    if placed.homography is None:
        return replace(alone, probability=placed.probability, inliers=placed.inliers, accepted=True)
    homography = placed.homography / placed.homography[2, 2]
    relation = relation_of(
        homography, (alone.width, alone.height), (original.width, original.height),
        mirrored=placed.mirrored, negative=placed.negative,
    )  # fmt: skip
    if placed.inliers == 0:  # no features say so
        relation = replace(relation, kind="whole picture")
    return replace(
        alone, relation=relation, probability=placed.probability, homography=homography, inliers=placed.inliers
    )
