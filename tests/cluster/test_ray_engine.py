"""Shards on a real Ray cluster of a head and two nodes, of which one is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from featmatch import MissingFeatureError, UsageError, open_all
from featmatch.cluster.layout import Layout
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG
from featmatch.store.numbers import CLUSTER
from tests.cluster.conftest import Clusters
from tests.test_indexes import QUERIES, collection

ROOT = Path(__file__).parents[2]
_SECONDS = 600

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install 'featmatch[cluster]')"
)


@needs_ray
def test_machines_answer_as_one_index_and_one_may_be_killed(clusters: Clusters, tmp_path: Path) -> None:
    two, one = tmp_path / "two.fmc", tmp_path / "one.fmc"
    for folder, replicas in ((two, 2), (one, 1)):
        shutil.copytree(clusters.of(2), folder)
        layout = replace(Layout.read(folder), replicas=replicas, identity=os.urandom(16).hex()).write(folder)
        for path in layout.folders(folder):
            with change_catalog(path / CATALOG) as change:
                change.describe(CLUSTER, layout.identity)
    arguments = [str(two), str(one), str(clusters.photos), "12"]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.cluster.ray_driver", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert "is not served there" in told["not served"]
    assert told["replicas"] == [4, 4]
    assert all(told["equal"])
    assert (told["answers"], told["wrong"], told["partial"], told["errors"]) == (24, 0, 0, [])
    assert told["added"] == [len(collection()), 0, 3, True, []]
    assert told["groups"]
    assert told["split"] == [6, [True] * len(QUERIES)]
    assert told["stopped"] == 6
    alone = told["alone"]
    assert (alone["same"], alone["status"], alone["missing"]) == (True, "partial", ["shard-0000"])
    assert alone["provisional"]
    assert alone["recovered"]


def test_only_one_cluster_is_answered_for_by_machines(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    for paths in ([clusters.of(2), clusters.of(7)], [clusters.folder / "one.fm"]):
        with pytest.raises(UsageError, match="for one cluster"):
            open_all(paths, ray="auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingFeatureError, match=r"pip install 'featmatch\[cluster\]'"):
        open_all([clusters.of(2)], ray="auto")
