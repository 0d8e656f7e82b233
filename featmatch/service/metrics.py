"""Numbers for those who run the service, as Prometheus reads them. No names and no addresses are labels."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import featmatch
from featmatch.service.mounted import Mounted

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OF_REQUESTS = ("route", "method", "status")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What is counted; one for each server. Safe to share between threads."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "featmatch_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self.search_seconds = Histogram(
            "featmatch_search_seconds",
            "Time of each stage of a search.",
            ["stage"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.refused = Counter("featmatch_refused", "Requests refused.", ["reason"], registry=registry)
        self.claims = Counter("featmatch_claims", "Matches given, by kind of relation.", ["kind"], registry=registry)
        build = Gauge("featmatch_build_info", "The version that runs.", ["version"], registry=registry)
        build.labels(featmatch.__version__).set(1)

    def searched(self, times_ms: Mapping[str, float]) -> None:
        """Count the stages of one search."""
        for stage, milliseconds in times_ms.items():
            self.search_seconds.labels(stage).observe(milliseconds / 1000)

    def watch(self, mounted: Sequence[Mounted]) -> None:
        """Tell of the state of indexes, too, as it is when somebody asks."""
        self.registry.register(_State(mounted))

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, mounted: Sequence[Mounted]) -> None:
        self._mounted = mounted

    def describe(self) -> Iterable[Metric]:
        """Nothing before somebody asks."""
        return []

    def collect(self) -> Iterable[Metric]:
        """What there is now."""
        slots = self._mounted[0].slots
        yield GaugeMetricFamily("featmatch_searches_running", "Searches under way.", slots.running)
        yield GaugeMetricFamily("featmatch_searches_waiting", "Requests that wait for their search.", slots.waiting)
        infos = {mounted.base or "/": mounted.index.info() for mounted in self._mounted}
        for name, about, value in (
            ("images", "Names of images in the index.", "images"),
            ("features", "Features in the index.", "features"),
            ("segments", "Segments of the index.", "segments"),
            ("index_bytes", "Size of the index on disk.", "bytes"),
        ):
            family = GaugeMetricFamily(f"featmatch_{name}", about, labels=["index"])
            for base, info in infos.items():
                family.add_metric([base], getattr(info, value))
            yield family
        jobs = GaugeMetricFamily("featmatch_jobs", "Jobs, by kind and state.", labels=["kind", "state"])
        states = Counts((job.kind, job.state) for mounted in self._mounted for job in mounted.jobs.all())
        for kind_and_state, count in sorted(states.items()):
            jobs.add_metric(kind_and_state, count)
        yield jobs
