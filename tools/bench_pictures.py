"""Measure what pictures kept in an index tell, at several sizes, against the files and against nothing at all.

    python -m tools.bench_pictures FOLDER [--set NAME]... [--photos FOLDER] [--stored SIDE,STEP]... [--count N]
                                          [--workspace DIR] [--cost]

FOLDER is as for ``tools.bench_real``. Of the photos half are indexed, and edits of all are looked up, as in the suite
``random``. Each query is searched once; then its candidates are compared by their files, by the pictures that the index
keeps, by no pixels, and by pictures of each longer side and step. A table shows the bytes a picture takes, and how the
claims fit those by files. With --cost another table, of what they cost: each file of a set is indexed in this process,
with a picture and without in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from featmatch.adding.one_image import IndexedFile, index_file
from featmatch.evaluation.trials import EvaluationOptions, Trial, make, plan_for
from featmatch.images.decoding import USUAL
from featmatch.images.folders import image_files
from featmatch.images.pixels import GreyImage, ImageSource, load_grey
from featmatch.images.stored import packed_picture, restored_picture
from featmatch.index import Index
from featmatch.search.shard import Shard
from featmatch.search.stages import Search
from featmatch.search.verification import compare_pixels
from featmatch.search.whole_search import preferred
from featmatch.store.layout import VOCABULARY
from tools.bench_real import index_of, questions_in

Source = str | tuple[int, int]
Claims = dict[Source, set[int]]
Pictures = dict[int, GreyImage | None]
FILES, KEPT, NOTHING = "files", "in the index", "nothing"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--stored", action="append", type=_size, default=[], metavar="SIDE,STEP")
    parser.add_argument("--set", dest="sets", action="append", help="only this set; repeatable")
    parser.add_argument("--count", type=int, default=100, help="queries of a set at most, and of edited photos")
    parser.add_argument("--workspace", type=Path, help="kept, with the indexes")
    parser.add_argument("--cost", action="store_true", help="measure bytes and time instead")
    arguments = parser.parse_args()
    if arguments.cost:
        _print_costs(arguments)
        return
    print("| set | pictures | bytes | right claims | wrong claims | by files only | by pictures only |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        for name, index, queries in _sets(arguments, arguments.workspace or Path(temporary)):
            _measure(name, index, queries[:: -(-len(queries) // arguments.count)], arguments.stored)


def _size(text: str) -> tuple[int, int]:
    side, step = map(int, text.split(","))
    return side, step


def _sets(
    arguments: argparse.Namespace, workspace: Path
) -> Iterator[tuple[str, Index, list[tuple[ImageSource, set[str]]]]]:
    """Each set: its index, and its queries with the files that are right."""
    for name, (questions, files) in questions_in(arguments.folder):
        if arguments.sets and name not in arguments.sets:
            continue
        yield name, index_of(workspace / name, files), [(one.query, set(one.right)) for one in questions]
    if arguments.photos:
        plan = plan_for(list(image_files([arguments.photos])), EvaluationOptions())
        trials = [
            Trial("random", number, positive) for number in range(arguments.count // 2) for positive in (True, False)
        ]
        made = (make(trial, plan) for trial in trials)
        queries: list[tuple[ImageSource, set[str]]] = [(one.picture, set(one.sources)) for one in made]
        yield "edited photos", index_of(workspace / "photos", plan.indexed), queries


def _print_costs(arguments: argparse.Namespace) -> None:
    sets = {name: files for name, (_, files) in questions_in(arguments.folder)}
    if arguments.photos:
        sets["photos"] = list(image_files([arguments.photos]))
    print("| set | images | bytes of features | of the picture | indexed without, ms | with it, ms | read again, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        index = index_of(Path(temporary) / "index", [])
        for name, files in sets.items():
            if not arguments.sets or name in arguments.sets:
                some = list(dict.fromkeys(files))
                rows = [_cost(file, index) for file in some[:: -(-len(some) // arguments.count)]]
                mean, median = np.mean(rows, axis=0)[:2], np.median(rows, axis=0)[2:]
                told = [*(f"{value:.0f}" for value in mean), *(f"{value:.1f}" for value in median)]
                print(f"| {name} | {len(rows)} | {' | '.join(told)} |", flush=True)


def _cost(file: str, index: Index) -> tuple[float, ...]:
    """Bytes of the features and of the picture, and ms of CPU to index one file without and with it and to read it."""
    vocabulary = index.folder.absolute() / VOCABULARY
    times: dict[bool | None, list[float]] = defaultdict(list)
    for _ in range(3):
        for pictures in (False, True):
            began = time.process_time()
            found = index_file(file, vocabulary, index.options, USUAL, pictures=pictures)
            times[pictures].append(1000 * (time.process_time() - began))
        assert isinstance(found, IndexedFile)
        image = found.image
        began = time.process_time()
        restored_picture(image.picture, image.width, image.height)
        times[None].append(1000 * (time.process_time() - began))
    return 18.0 * len(image.words), len(image.picture), *(float(np.median(times[one])) for one in (False, True, None))


def _measure(
    name: str, index: Index, queries: list[tuple[ImageSource, set[str]]], sizes: list[tuple[int, int]]
) -> None:
    search, own = Search.of(index), Shard.of(index, USUAL)
    numbers = {index.path_of(record.name): record.id for record in index.images()}
    greys: dict[int, GreyImage] = {}
    bytes_of: dict[Source, dict[int, int]] = defaultdict(dict)

    def stored(image: int, size: tuple[int, int]) -> GreyImage:
        if image not in greys:
            path = next(path for path, number in numbers.items() if number == image)
            assert path is not None
            options = index.options
            greys[image] = load_grey(path, longest_px=options.longest_px, shortest_px=options.shortest_px)
        grey = greys[image]
        packed = packed_picture(grey, *size)
        bytes_of[size][image] = len(packed)
        return restored_picture(packed, grey.width, grey.height)

    counts: dict[Source, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    pictures: dict[Source, Callable[[int], GreyImage | None]] = {
        FILES: own.pictures.of, KEPT: own.snapshot.stored_picture, NOTHING: lambda _: None,
    }  # fmt: skip
    for size in sizes:
        pictures[size] = lambda image, size=size: stored(image, size)  # type: ignore[misc]
    for image, right in queries:
        claims = _claims(search.for_another(), image, pictures)
        is_right = {numbers[path] for path in right}
        for source, claimed in claims.items():
            here = (
                len(claimed & is_right), len(claimed - is_right),
                len(claims[FILES] - claimed), len(claimed - claims[FILES]),
            )  # fmt: skip
            counts[source] = [a + b for a, b in zip(counts[source], here, strict=True)]
    for source, found in counts.items():
        sizes_of = list(bytes_of[source].values())
        taken = f"{sum(sizes_of) / len(sizes_of):.0f}" if sizes_of else ""
        shown = source if isinstance(source, str) else f"{source[0]} px, step {source[1]}"
        print(f"| {name} | {shown} | {taken} | {' | '.join(map(str, found))} |", flush=True)


def _claims(search: Search, image: ImageSource, pictures: dict[Source, Callable[[int], GreyImage | None]]) -> Claims:
    """What is claimed by each kind of pictures: numbers of images."""
    query = search.read(image)
    if not query.enough:
        return {source: set() for source in pictures}
    asked = search.asked(query)
    proved = search.proved(query, asked, search.listed(asked))
    claims: Claims = {}
    for source, picture_of in pictures.items():

        def pictures_of(images: Sequence[int], of: Callable[[int], GreyImage | None] = picture_of) -> Pictures:
            return {image: of(image) for image in images}

        both = (compare_pixels(some, query.grey, pictures_of) for some in (proved.by_features, proved.as_whole))
        claims[source] = {one.id for one in preferred(*both) if one.proof.proven}
    return claims


if __name__ == "__main__":
    main()
