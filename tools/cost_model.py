"""What a collection of some size takes: bytes, shards, machines, time to add, money. As a Markdown table.

    python -m tools.cost_model [--images 1e6 1e7 1e8 1e9] [--features 500] [--latency-ms 150] [--queries-a-second 1] ...

Each figure is an option; what was measured is its default, from docs/benchmarks.md. It is a model: it multiplies. What
it leaves out is told in docs/cluster.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields
from typing import Any

_HOURS_A_MONTH = 730.0
_MEASURED_FEATURES = 500.0  # of each image and query in "Few bits that must agree"


@dataclass(frozen=True)
class Costs:
    """What is assumed. Where it says so, the default was measured on the machine of docs/benchmarks.md."""

    features: float = 500.0  # of an image
    query_features: float = 500.0  # of a query
    bytes_a_feature: float = 18.0  # measured
    bytes_an_image: float = 99.0 + 310.0  # measured: how it looks as a whole, and its line in the catalogue
    picture_bytes: float = 6_000.0  # measured: the small picture of a photo; 0 with --no-pictures
    scan_core_ns: float = 28.0  # measured: 8.4 postings of each image, 3.4 ns; grows with both features
    image_core_ns: float = 3.0  # measured: of each image, whatever its features
    fixed_core_ms: float = 25.0  # measured: features, words and verification of a query
    shard_core_ms: float = 2.0  # measured: of each further shard, its fixed share of a search
    messages_ms: float = 6.0  # measured: to ask other machines and hear from them
    add_core_ms: float = 28.0  # measured: of a photo of 481 px; 210 of one of 24 megapixels
    replicas: float = 2.0
    latency_ms: float = 150.0  # wanted, of one query on idle machines
    queries_a_second: float = 1.0
    load: float = 0.5  # share of the cores that may be busy
    cores: float = 16.0  # of a machine
    memory_gb: float = 128.0  # of a machine
    memory_share: float = 0.75  # of it for the columns of shards
    most_images_a_shard: float = 2e6  # so that one is split, or copied to another machine, in minutes
    machine_an_hour: float = 1.0  # price, in any money


@dataclass(frozen=True)
class Size:
    """What a collection takes.

    Attributes:
        images: how many it has.
        index_gb: one copy of all shards on disk.
        mapped_gb: of it, what searches read.
        shards: indexes.
        machines: that serve all replicas.
        bound: what decides how many machines there are.
        latency_ms: of a query on idle machines.
        core_seconds: of a query, on all machines together.
        add_core_hours: to add all.
        a_month: price of the machines.
    """

    images: float
    index_gb: float
    mapped_gb: float
    shards: int
    machines: int
    bound: str
    latency_ms: float
    core_seconds: float
    add_core_hours: float
    a_month: float


def size_of(images: float, costs: Costs) -> Size:
    """What so many images take."""
    mapped_gb = images * (costs.features * costs.bytes_a_feature + 99) / 1e9
    index_gb = images * (costs.features * costs.bytes_a_feature + costs.bytes_an_image + costs.picture_bytes) / 1e9
    ratio = costs.features * costs.query_features / _MEASURED_FEATURES**2
    scan = images * (costs.scan_core_ns * ratio + costs.image_core_ns) * 1e-9  # core seconds, shared evenly by machines
    shards = max(1, math.ceil(images / costs.most_images_a_shard))
    core_seconds = scan + (costs.fixed_core_ms + costs.shard_core_ms * (shards - 1)) / 1e3

    def latency_ms(machines: float) -> float:
        apart = costs.messages_ms if machines > costs.replicas else 0.0
        own = math.ceil(shards * costs.replicas / machines) / costs.replicas  # that one scans for a query
        return 1e3 * scan * own / shards / costs.cores + costs.fixed_core_ms + costs.shard_core_ms * own + apart

    of_memory = costs.replicas * mapped_gb / (costs.memory_gb * costs.memory_share)
    of_load = costs.queries_a_second * core_seconds / (costs.cores * costs.load)
    of_latency = costs.replicas
    while latency_ms(of_latency) > costs.latency_ms and of_latency < costs.replicas * shards:
        of_latency += 1
    needed = {"memory": of_memory, "load": of_load, "latency": of_latency, "replicas": costs.replicas}
    bound = max(needed, key=lambda name: (math.ceil(needed[name]), name == "replicas"))
    machines = math.ceil(needed[bound])
    return Size(
        images, index_gb, mapped_gb, shards, machines, bound, latency_ms(machines), core_seconds,
        images * costs.add_core_ms / 3.6e6, machines * costs.machine_an_hour * _HOURS_A_MONTH,
    )  # fmt: skip


def table(sizes: list[Size]) -> str:
    """Sizes as a Markdown table, a column each."""
    rows: list[tuple[str, Any]] = [
        ("index on disk, GB", lambda one: f"{one.index_gb:,.0f}"),
        ("of it read by searches, GB", lambda one: f"{one.mapped_gb:,.0f}"),
        ("shards", lambda one: f"{one.shards:,}"),
        ("machines, all replicas", lambda one: f"{one.machines:,} ({one.bound})"),
        ("a query, ms", lambda one: f"{one.latency_ms:,.0f}"),
        ("a query, core seconds", lambda one: f"{one.core_seconds:,.2f}"),
        ("to add all, core hours", lambda one: f"{one.add_core_hours:,.0f}"),
        ("machines, a month", lambda one: f"{one.a_month:,.0f}"),
    ]
    lines = ["| images | " + " | ".join(f"{one.images:,.0f}" for one in sizes) + " |"]
    lines.append("| --- |" + " ---: |" * len(sizes))
    lines += [f"| {name} | " + " | ".join(shown(one) for one in sizes) + " |" for name, shown in rows]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--images", nargs="+", type=float, default=[1e6, 1e7, 1e8, 1e9])
    for field in fields(Costs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = vars(parser.parse_args(arguments))
    images = given.pop("images")
    print(table([size_of(count, Costs(**given)) for count in images]))


if __name__ == "__main__":
    main()
