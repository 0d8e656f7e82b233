"""Measure `featmatch groups` on a collection with planted copies.

    python -m tools.bench_groups PHOTOS... [--workspace DIR] [--decorated 300] [--halves] [--twins FILE] [--jobs N]

Of the photos, 2,000 are the collection. 400 copies of 133 of them are put beside it, in groups of 2 to 6: each edit of
`featmatch evaluate --suite single` at each of its strengths in turn, and identical files. What is pasted into, or shown
beside, are photos that the collection has not. Then all are indexed and grouped, and each pair of files counts: it is
right in one group where both show one photo. What the photos themselves have twice is named in --twins FILE, two names
a line, a tab between; such pairs do not count. With --halves each photo is cut in two, a left and a right one, which
show different things: twice as many photos, where there are too few to measure how long a large collection takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from featmatch import Index
from featmatch.evaluation.compositions import EDITS, Step
from featmatch.evaluation.decorations import DECORATIONS
from featmatch.evaluation.edits import Picture, Random
from featmatch.evaluation.trials import read_twins
from featmatch.grouping.groups import Group
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display
from tools.small_index import memory_bytes

IDENTICAL = "identical bytes"
_SINGLES = [Step(name, strength) for name, edit in EDITS.items() for strength in edit.strengths]
_KINDS = ("logo", "caption", "logo and caption")


@dataclass
class Collection:
    """Files, and what each shows.

    Attributes:
        shows: photo by file; a photo shows itself.
        edits: what was done, by file; of copies only.
    """

    shows: dict[str, str] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)


def main() -> None:
    """Make the collection, group it, and print what is right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="files and folders, of more photos than the collection is to have")
    parser.add_argument("--count", type=int, default=2000, help="photos of the collection")
    parser.add_argument("--copies", type=int, default=400)
    parser.add_argument("--decorated", type=int, default=0, help="photos that bear the same logo, caption, or both")
    parser.add_argument("--halves", action="store_true", help="cut each photo in two")
    parser.add_argument("--features", default="sift")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--twins", type=Path)
    parser.add_argument("--workspace", type=Path, help="kept, with the files and the index")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        folder = Path(os.path.abspath(arguments.workspace or temporary)) / "collection"
        shutil.rmtree(folder, ignore_errors=True)
        photos = list(image_files(arguments.photos))
        if arguments.halves:
            photos = halved(photos, folder.parent / "halves")
        collection = make(
            photos, folder,
            count=arguments.count, copies=arguments.copies, decorated=arguments.decorated, seed=arguments.seed,
        )  # fmt: skip
        index = Index.open(folder.parent / "index", create=True, features=arguments.features)
        begin = time.perf_counter()
        index.add([folder], jobs=arguments.jobs, prune=True)
        added = time.perf_counter()
        groups = index.groups(jobs=arguments.jobs)
        grouped, used = time.perf_counter(), time.process_time()
        again = index.groups(jobs=arguments.jobs)
        print(
            f"{len(index)} of {len(collection.shows)} files added in {added - begin:.0f} s, "
            f"{len(groups)} groups in {grouped - added:.1f} s, again in {time.perf_counter() - grouped:.1f} s "
            f"({time.process_time() - used:.1f} s of this process's CPU); {memory_bytes() / 1e6:.0f} MB of memory\n"
        )
        assert [group.to_dict() for group in again] == [group.to_dict() for group in groups]
        indexed = {record.name for record in index.images()}
        report(groups, collection, indexed, read_twins(arguments.twins) if arguments.twins else [])


def make(photos: Sequence[str], folder: Path, *, count: int, copies: int, decorated: int, seed: int) -> Collection:
    """Write the collection; names are told apart by the folder that a photo came from."""
    random = np.random.default_rng(seed)
    shuffled = [photos[place] for place in random.permutation(len(photos))]
    collection = Collection()
    originals = []
    for number, photo in enumerate(shuffled[:count]):
        name = "-".join(Path(photo).parts[-2:])
        target = folder / "photos" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if number < decorated:
            target = target.with_suffix(".png")
            Image.fromarray(_decorated(load_display(photo), _KINDS[number % len(_KINDS)], seed)).save(target)
        else:
            shutil.copyfile(photo, target)
        collection.shows[str(target)] = str(target)
        originals.append(target)
    others = _others(shuffled[count:])
    (folder / "copies").mkdir()
    each, group, wanted = max(count * 3 // copies, 1), 0, 1
    left = wanted
    for number in range(copies):
        original = originals[group * each % count]
        kind = number % (len(_SINGLES) + 1)
        target = folder / "copies" / f"{number:04d}.png"
        if kind == len(_SINGLES):
            target = target.with_suffix(original.suffix)
            shutil.copyfile(original, target)
        else:
            step = _SINGLES[kind]
            picture = EDITS[step.edit].function(
                load_display(str(original)),
                step.strength,
                np.random.default_rng([seed, number]),
                lambda _: next(others),
            )
            Image.fromarray(picture).save(target)
        collection.shows[str(target)] = str(original)
        collection.edits[str(target)] = IDENTICAL if kind == len(_SINGLES) else str(_SINGLES[kind])
        left -= 1
        if left == 0:
            group, wanted = group + 1, wanted % 5 + 1
            left = wanted
    return collection


def halved(photos: Sequence[str], folder: Path) -> list[str]:
    """Write the left and the right half of each photo, and return their names."""
    names = []
    for photo in photos:
        picture = load_display(photo)
        middle = picture.shape[1] // 2
        for side, half in (("left", picture[:, :middle]), ("right", picture[:, middle:])):
            name = folder / Path(photo).parts[-2] / f"{Path(photo).stem}-{side}.png"
            name.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(half).save(name, compress_level=1)
            names.append(str(name))
    return names


def _decorated(photo: Picture, kind: str, seed: int) -> Picture:
    for name in ("logo", "caption"):
        if name in kind:
            design: Random = np.random.default_rng([seed, len(name)])
            photo = DECORATIONS[name](photo, design, np.random.default_rng(0))
    return photo


def _others(photos: Sequence[str]) -> Iterator[Picture]:
    """Each photo once: two pictures that show the same other photo would be copies of one another."""
    for photo in photos:
        yield load_display(photo)


def report(
    groups: Sequence[Group], collection: Collection, indexed: set[str], twins: Sequence[tuple[str, str]]
) -> None:
    """Print precision and recall of the pairs, what is wrong, and what is missing by edit."""
    same = _twin_photos(collection, twins)
    right, wrong = set(), []
    for group in groups:
        for a, b in combinations(sorted(name for member in group.members for name in member.names), 2):
            shown = collection.shows[a], collection.shows[b]
            if shown[0] == shown[1]:
                right.add((a, b))
            elif frozenset(shown) not in same:
                wrong.append((a, b))
    of_photo = defaultdict(list)
    for name, photo in collection.shows.items():
        of_photo[photo].append(name)
    expected = {pair for names in of_photo.values() for pair in combinations(sorted(names), 2)}
    possible = {pair for pair in expected if indexed.issuperset(pair)}
    glued = sum(
        len({collection.shows[name] for member in group.members for name in member.names}) > 1 for group in groups
    )
    print("| pairs | found right | wrong | precision | recall | recall of what is in the index |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {len(expected)} | {len(right)} | {len(wrong)} | {len(right) / max(len(right) + len(wrong), 1):.4f} "
        f"| {len(right) / max(len(expected), 1):.4f} | {len(right) / max(len(possible), 1):.4f} |\n"
    )
    print(f"groups with more than one original, twins among them: {glued}")
    for a, b in wrong:
        print(f"wrong: {_short_name(a, collection)} / {_short_name(b, collection)}")
    for name in sorted(set(collection.shows) - indexed):
        print(f"too little detail: {_short_name(name, collection)}")
    found: dict[str, int] = defaultdict(int)
    all_of: dict[str, int] = defaultdict(int)
    for name, edit in collection.edits.items():
        all_of[edit] += 1
        found[edit] += tuple(sorted((name, collection.shows[name]))) in right
    print("\n| edit | copies | with their original |\n| --- | ---: | ---: |")
    for edit in sorted(all_of, key=lambda edit: found[edit] / all_of[edit]):
        if found[edit] < all_of[edit]:
            print(f"| {edit} | {all_of[edit]} | {found[edit]} |")
    for name, edit in sorted(collection.edits.items()):
        if tuple(sorted((name, collection.shows[name]))) not in right:
            print(f"missed: {name} ({edit}) of {collection.shows[name]}")


def _twin_photos(collection: Collection, twins: Sequence[tuple[str, str]]) -> set[frozenset[str]]:
    """Pairs of photos of the collection, or of halves of photos, that are known to show the same."""
    named = defaultdict(set)
    for photo in collection.shows.values():
        named[Path(photo).stem.removesuffix("-left").removesuffix("-right")].add(photo)
    stems = [["-".join(Path(name).with_suffix("").parts[-2:]) for name in pair] for pair in twins]
    return {frozenset((a, b)) for one, other in stems for a in named[one] for b in named[other]}


def _short_name(name: str, collection: Collection) -> str:
    return f"{name} ({collection.edits.get(name, 'photo')})"


if __name__ == "__main__":
    main()
