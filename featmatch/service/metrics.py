"""Numbers for those who run the service, as Prometheus reads them. No names and no addresses are labels."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

import featmatch

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
        self.running = Gauge("featmatch_searches_running", "Searches under way.", registry=registry)
        self.waiting = Gauge("featmatch_searches_waiting", "Requests that wait for their search.", registry=registry)
        self.refused = Counter("featmatch_refused", "Requests refused.", ["reason"], registry=registry)
        self.claims = Counter("featmatch_claims", "Matches given, by kind of relation.", ["kind"], registry=registry)
        self.images = Gauge("featmatch_images", "Names of images in the index.", ["index"], registry=registry)
        self.features = Gauge("featmatch_features", "Features in the index.", ["index"], registry=registry)
        self.segments = Gauge("featmatch_segments", "Segments of the index.", ["index"], registry=registry)
        self.index_bytes = Gauge("featmatch_index_bytes", "Size of the index on disk.", ["index"], registry=registry)
        self.jobs = Gauge("featmatch_jobs", "Jobs, by kind and state.", ["kind", "state"], registry=registry)
        build = Gauge("featmatch_build_info", "The version that runs.", ["version"], registry=registry)
        build.labels(featmatch.__version__).set(1)

    def searched(self, times_ms: Mapping[str, float]) -> None:
        """Count the stages of one search."""
        for stage, milliseconds in times_ms.items():
            self.search_seconds.labels(stage).observe(milliseconds / 1000)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)
