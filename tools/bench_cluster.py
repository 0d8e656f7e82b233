"""How much longer does a search take in shards, and over Ray? Prints a Markdown table.

    python -m tools.bench_cluster PHOTOS... [--images 1000] [--queries 40] [--shards 4] [--repeats 1] [--work D] [--ray]

The same photos are in one index and in a cluster; queries are crops of some of them, and photos that are in neither.
Each query is asked of one index, of the shards in this process, and, with --ray, of the shards on a Ray that is
started for it on this machine, in turn; of several repeats the shortest counts, where other programs are at work. Times
are without the extraction of features.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from featmatch import Index, Indexes, Matches, open_all
from featmatch.adding.batches import AddOptions
from featmatch.cluster.adding import add_to_cluster
from featmatch.cluster.layout import is_cluster
from featmatch.cluster.ray_engine import start_replicas
from featmatch.cluster.writing import create_cluster
from featmatch.features.forms import Forms
from featmatch.images.folders import image_files
from featmatch.system.progress import ignore

_OBJECTS = 80 << 20  # bytes of Ray's object store, which is not used
_WARM = 2  # queries that are asked first, and not counted


def main() -> None:
    """Build, ask, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="files and folders")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="how often each query is asked; the shortest counts")
    parser.add_argument("--work", type=Path, help="folder of the indexes; they are kept there")
    parser.add_argument("--ray", action="store_true", help="ask over Ray, too")
    arguments = parser.parse_args()
    names = list(image_files(arguments.photos))
    inside, outside = names[: arguments.images], names[arguments.images :]
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        work = (arguments.work or Path(temporary)).absolute()
        one, several = work / "one.fm", work / f"{arguments.shards}.fmc"
        index = Index.open(one, create=True)
        index.add(inside)
        if not is_cluster(several):
            create_cluster(several, arguments.shards, arguments.replicas)
        add_to_cluster(several, inside, AddOptions(-1), root=None, wait=False, progress=ignore)
        ways: dict[str, Index | Indexes] = {"one index": index, "shards, one process": open_all([several])}
        if arguments.ray:
            stack.enter_context(ray_here())
            start_replicas(several)
            ways["shards, over Ray"] = open_all([several], ray="auto")
        half = arguments.queries // 2
        found = [crop_of(name) for name in inside[:: max(len(inside) // half, 1)][:half]]
        kinds: tuple[Forms, ...] = ("none", "few")
        for forms in kinds:
            print(f"\nforms {forms}\n")
            for kind, queries in {"in the index": found, "nowhere": list(map(whole, outside[:half]))}.items():
                asked_once(ways, queries[:_WARM], forms)
                print_table(kind, [asked_once(ways, queries, forms) for _ in range(arguments.repeats)])


def asked_once(ways: dict[str, Index | Indexes], queries: list[bytes], forms: Forms) -> dict[str, list[float]]:
    """What each query takes each way, ms."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for query in queries:
        answers = {way: asked.query(query, forms=forms) for way, asked in ways.items()}
        said = {tuple((match.name, match.probability) for match in answer) for answer in answers.values()}
        assert len(said) == 1, f"answers differ: {said}"
        for way, answer in answers.items():
            times[way].append(milliseconds(answer))
    return times


def print_table(kind: str, repeats: list[dict[str, list[float]]]) -> None:
    """Print what queries took, of several repeats the shortest."""
    times = {way: [min(own) for own in zip(*(one[way] for one in repeats), strict=True)] for way in repeats[0]}
    first = next(iter(times))
    print(f"| {kind} | ms, p50 | by one index, p50 | more than one process, ms, p50 |\n| --- | ---: | ---: | ---: |")
    for way, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(own, times[first], strict=True))
        more = statistics.median(a - b for a, b in zip(own, times["shards, one process"], strict=True))
        print(f"| {way} | {statistics.median(own):.1f} | {ratio:.2f} | {more:.1f} |")


def milliseconds(answer: Matches) -> float:
    """What a search took after its features were found."""
    return sum(taken for stage, taken in answer.times.items() if stage != "features")


def whole(name: str) -> bytes:
    """The bytes of a file."""
    return Path(name).read_bytes()


def crop_of(name: str) -> bytes:
    """A part of a photo, as a file."""
    with Image.open(name) as picture:
        wide, high = picture.size
        part = picture.convert("RGB").crop((wide // 5, high // 5, wide * 4 // 5, high * 4 // 5))
    stream = io.BytesIO()
    part.save(stream, "JPEG", quality=80)
    return stream.getvalue()


@contextlib.contextmanager
def ray_here() -> Iterator[None]:
    """A Ray of one machine, on the loopback only, until the end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # as docs/cluster.md says
    import ray

    ray.init(
        num_cpus=2, object_store_memory=_OBJECTS, include_dashboard=False, _node_ip_address="127.0.0.1",
        namespace="featmatch", log_to_driver=False, logging_level="ERROR", configure_logging=False,
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
