"""The commands of a cluster: one collection in many indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from featmatch.cli.common import (
    FAILED,
    FOUND,
    NOTHING_FOUND,
    PathArgument,
    complain,
    count_of,
    features_option,
    jobs_option,
    json_option,
    max_pixels_option,
    root_option_of,
    speed_option,
    tell,
    timeout_option,
    vocabulary_option,
    wait_option_of,
    wanted_features,
)
from featmatch.cli.printing import print_object, say, size_of
from featmatch.names import printable
from featmatch.system.progress import of_stage

_cluster_argument = click.argument("folder", type=PathArgument(path_type=Path), metavar="CLUSTER")
_root_option, _wait_option = root_option_of("CLUSTER"), wait_option_of("CLUSTER")


@click.group()
def cluster() -> None:
    """Keep one collection in many indexes, its shards.

    CLUSTER is a folder, as photos.fmc. `query`, `groups`, `explain`, `similar`, `list`, `info`, `serve` and `remove`
    take it in place of INDEX; other commands say what takes their place.
    """


@cluster.command()
@_cluster_argument
@click.option("--shards", type=click.IntRange(1, 1000), default=4, show_default=True, help="Indexes that share it.")
@click.option(
    "--replicas", type=click.IntRange(1, 100), default=2, show_default=True,
    help="Processes that answer for each shard, where several machines serve it.",
)  # fmt: skip
@features_option
@speed_option
@vocabulary_option
def create(
    folder: Path, shards: int, replicas: int, features: str | None, speed: str | None, vocabulary: str | None
) -> int:
    """Make an empty CLUSTER."""
    from featmatch.cluster.writing import create_cluster
    from featmatch.features.extraction import features_wanted
    from featmatch.words.vocabulary import Vocabulary

    wanted = wanted_features(features, speed)
    options = None if wanted is None else features_wanted(wanted)
    words = None if vocabulary is None else Vocabulary.load(vocabulary)
    create_cluster(folder, shards, replicas, options, words)
    tell(f"{printable(str(folder))}: {count_of(shards, 'shard')}")
    return FOUND


@cluster.command()
@_cluster_argument
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@click.option("--text", help="Text to keep with each image that is added.")
@click.option(
    "--ray", "address", metavar="ADDRESS",
    help="Let the machines of this Ray cluster read the files; auto: the one that runs on this machine.",
)  # fmt: skip
@jobs_option
@timeout_option
@max_pixels_option
@_root_option
@_wait_option
@json_option
def add(
    folder: Path, paths: Sequence[str], text: str | None, address: str | None, jobs: int, timeout: float,
    max_pixels: int, root: str | None, wait: bool, as_json: bool,
) -> int:  # fmt: skip
    """Index files and folders, each in the shard that holds its content.

    Done again, it goes on where it ended: what is there and unchanged is skipped. With --ray, all cores of all machines
    read files; these, and CLUSTER, must have the same paths on all of them, and --jobs counts for nothing.
    """
    from featmatch.adding.batches import AddOptions
    from featmatch.cli.progress import progress_bars
    from featmatch.cluster.adding import add_to_cluster
    from featmatch.cluster.ray_engine import workshop_at
    from featmatch.images.decoding import DecodingOptions

    options = AddOptions(jobs, DecodingOptions(timeout, max_pixels), text=text)
    with progress_bars(" images") as progress:
        report = add_to_cluster(
            folder, paths, options, root=root, wait=wait, progress=of_stage(progress, "indexing"),
            workshop=None if address is None else workshop_at(address),
        )  # fmt: skip
    if as_json:
        print_object(asdict(report))
    for failure in report.failed:
        complain(f"{printable(failure.name)}: {failure.status}: {failure.message}")
    tell(f"added {len(report.added)}, skipped {len(report.skipped)}, failed {len(report.failed)}")
    return FAILED if any(failure.name in paths for failure in report.failed) else FOUND


@cluster.command()
@_cluster_argument
@json_option
def status(folder: Path, as_json: bool) -> int:
    """Say what CLUSTER holds."""
    from featmatch.cluster.telling import status_of

    told = status_of(folder).to_dict()
    if as_json:
        print_object(told)
        return FOUND
    say(f"{'shard':<12} {'slots':>6} {'images':>12} {'features':>14} {'segments':>8} {'bytes':>10}")
    for one in [*told["shards"], told | {"shard": "all", "slots": sum(one["slots"] for one in told["shards"])}]:
        say(
            f"{one['shard']:<12} {one['slots']:>6} {one['images']:>12,} {one['features']:>14,} {one['segments']:>8} "
            f"{size_of(one['bytes']):>10}"
        )
    return FOUND


@cluster.command()
@_cluster_argument
def check(folder: Path) -> int:
    """Check all of CLUSTER for damage; exit status 1: something is wrong.

    Compares all files with their checksums, and what shards hold with what they should hold. To repair a shard, use
    `featmatch check --repair` on its folder.
    """
    from featmatch.cluster.telling import check_cluster

    problems = check_cluster(folder)
    for problem in problems:
        say(printable(problem))
    return NOTHING_FOUND if problems else FOUND


@cluster.command()
@_cluster_argument
@click.argument("number", type=click.IntRange(min=0), metavar="NUMBER")
@_wait_option
def split(folder: Path, number: int, wait: bool) -> int:
    """Make two shards of the one with this NUMBER, each with half of what it holds."""
    from featmatch.cluster.writing import split_shard

    layout = split_shard(folder, number, wait=wait)
    tell(f"{printable(str(folder))}: {count_of(len(layout.shards), 'shard')}")
    return FOUND


@cluster.command()
@_cluster_argument
@click.option(
    "--ray", "address", default="auto", show_default=True, metavar="ADDRESS",
    help="Of the Ray cluster; auto: the one that runs on this machine.",
)  # fmt: skip
@_root_option
@click.option("--stop", is_flag=True, help="End what answers for CLUSTER.")
def serve(folder: Path, address: str, root: str | None, stop: bool) -> int:
    """Let the machines of a Ray cluster answer for CLUSTER; for `featmatch query CLUSTER IMAGE --ray ADDRESS`.

    All of them, and whoever asks, see CLUSTER under the same path. Each shard is answered for by as many processes as
    it has replicas, which go on when this command has ended.
    """
    from featmatch.cluster.ray_engine import connect, start_replicas, stop_replicas

    connect(address)
    count = stop_replicas(folder) if stop else start_replicas(folder, root)
    tell(f"{printable(str(folder))}: {count_of(count, 'replica')} {'ended' if stop else 'ready'}")
    return FOUND
