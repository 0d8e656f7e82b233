"""Shards with several replicas, of which some are slow, lost or wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch import Index, Indexes, Matches, StoreError
from featmatch.cluster.asking import Patience, ReplicatedShards
from featmatch.cluster.layout import Layout
from featmatch.features.forms import Form, Round, SeenForm
from featmatch.search.shards import PictureRequest
from featmatch.store.numbers import BY_AGE, BY_INDEX
from featmatch.store.reader import Reader
from featmatch.system.workers import Lost
from tests.cluster.conftest import Clusters
from tests.cluster.engine import Engine, Fault
from tests.test_indexes import QUERIES, QUICK, said

NEVER = 1e9
PATIENCE = Patience(hedge=1.0, all=20.0)


class Served:
    """A cluster that replicas answer for."""

    def __init__(self, clusters: Clusters, shards: int, replicas: int, folder: Path | None = None) -> None:
        folder = folder or clusters.of(shards)
        folders = Layout.read(folder).folders(folder)
        self.names = list(map(str, folders))
        self.engine = Engine.of(folders, clusters.photos)
        numbering = BY_AGE if shards > 1 else BY_INDEX
        self.way = ReplicatedShards(self.engine, replicas, self.names, numbering, PATIENCE)
        self.indexes = Indexes({str(folder): Reader(folder, clusters.photos) for folder in folders}, self.way)

    def answer(self, query: str) -> Matches:
        return self.indexes.query(QUERIES[query](), unproven=True)


@pytest.mark.parametrize(("count", "queries"), [(1, QUICK), (7, ("two", "plain", "caption"))])
def test_answers_as_bytes_are_those_of_one_index(clusters: Clusters, count: int, queries: Iterable[str]) -> None:
    served = Served(clusters, count, 2)
    for name in queries:
        assert said(served.answer(name)) == clusters.said_by_one(name)
    assert served.engine.time == 0
    (many,) = served.indexes.query_many([QUERIES["crop"]()], unproven=True, jobs=4)
    assert said(many) == said(served.answer("crop"))


def whatever(shard: int, replica: int, number: int) -> Fault:
    """Half of the calls fail in some way; of two in a row for one shard, one does not."""
    random = np.random.default_rng([shard, number])
    faults: list[Fault] = [None, None, None, 0.5, 3.0, NEVER, Lost("its process ended"), b"", b"featmatch message 1\n"]
    return faults[int(random.integers(len(faults)))] if replica == number % 3 % 2 else None


def test_with_two_replicas_no_fault_of_one_is_seen(clusters: Clusters) -> None:
    served = Served(clusters, 2, 2)
    for seed in range(5):
        served.engine.fault = lambda shard, replica, number, seed=seed: (  # type: ignore[misc]
            whatever(shard, replica, number + 1000 * seed) if replica == (seed % 2) else None
        )
        for name in QUICK[seed % 2 :: 2]:
            assert said(served.answer(name)) == clusters.said_by_one(name)
    assert served.engine.given_up  # others were quicker


def test_a_slow_replica_is_gone_round_after_the_hedge_and_asked_last_then(clusters: Clusters) -> None:
    served = Served(clusters, 2, 2)
    served.engine.fault = lambda shard, replica, _: NEVER if (shard, replica) == (1, 0) else None
    times = []
    for _ in range(4):
        before = served.engine.time
        assert said(served.answer("scene")) == clusters.said_by_one("scene")
        times.append(served.engine.time - before)
    assert sum(times) <= PATIENCE.hedge  # once; then the other one is asked at once


def test_a_machine_that_cannot_be_reached_is_waited_for_once(clusters: Clusters) -> None:
    served = Served(clusters, 7, 2)
    served.engine.machine = lambda _, replica: replica
    served.engine.fault = lambda shard, replica, _: NEVER if replica else None
    for name in ("scene", "two"):
        assert said(served.answer(name)) == clusters.said_by_one(name)
    assert 0 < served.engine.time <= PATIENCE.hedge


def test_a_replica_that_failed_is_asked_after_others_of_a_machine_that_was_late(clusters: Clusters) -> None:
    served = Served(clusters, 1, 2)
    served.engine.machine = lambda *_: "the only one"
    served.way.late(0, 1)
    assert [served.way.order(0) for _ in range(2)] == [[0, 1], [0, 1]]


def test_a_shard_without_replicas_is_missing_in_time(clusters: Clusters) -> None:
    served = Served(clusters, 2, 2)
    for fault, least, most in ((NEVER, PATIENCE.all, PATIENCE.all), (Lost("its process ended"), 0, 0)):
        served.engine.fault = lambda shard, replica, _, fault=fault: fault if shard == 0 else None  # type: ignore[misc]
        before = served.engine.time
        answer = served.answer("two")
        assert (answer.status, answer.missing) == ("partial", [served.names[0]])
        assert answer
        assert all(match.provisional and match.index == served.names[1] for match in answer)
        assert least <= served.engine.time - before <= most
    served.engine.fault = lambda *_: Lost("its process ended")
    with pytest.raises(StoreError, match="its process ended"):
        served.answer("two")
    served.engine.fault = lambda *_: NEVER
    with pytest.raises(StoreError, match="did not answer within 20 seconds"):
        served.answer("two")


def test_one_that_begins_anew_is_asked_again(clusters: Clusters) -> None:
    served = Served(clusters, 2, 1)
    served.engine.fault = lambda *call: Lost("its process ended") if call[2] == 0 else None
    assert said(served.answer("scene")) == clusters.said_by_one("scene")
    assert len(served.engine.calls) > 2


def test_replicas_take_turns(clusters: Clusters) -> None:
    served = Served(clusters, 1, 3)
    firsts = [served.way.begun().order(0) for _ in range(3)]
    assert sorted(order[0] for order in firsts) == [0, 1, 2]
    served.way.failed(0, 1)
    assert [served.way.begun().order(0)[-1] for _ in range(3)] == [1, 1, 1]
    served.engine.time += 6
    assert {served.way.begun().order(0)[0] for _ in range(3)} == {0, 1, 2}


def test_a_search_stays_with_its_replicas_as_they_keep_what_they_found(clusters: Clusters) -> None:
    served = Served(clusters, 2, 2)
    served.answer("scene")
    first = set(served.engine.calls)
    served.engine.calls.clear()
    served.answer("scene")
    assert (len(first), first & set(served.engine.calls)) == (2, set())


def test_nobody_is_late_while_nobody_waits(clusters: Clusters) -> None:
    served = Served(clusters, 2, 2)
    answers = served.way.begun().send({0: [PictureRequest(())], 1: [PictureRequest(())]})
    served.engine.time += 30
    assert answers() == {0: ({},), 1: ({},)}
    assert len(served.engine.calls) == 2


def test_a_form_is_made_while_the_one_before_is_asked(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(clusters, 2, 1)
    calls: list[int] = []

    def form_of(self: Form, *arguments: Any) -> SeenForm | None:
        calls.append(len(served.engine.calls))
        return of(self, *arguments)

    of = Form.of
    monkeypatch.setattr(Form, "of", form_of)
    forms = [Form(), Form(filter="blur"), Form(filter="sharpen")]
    monkeypatch.setattr("featmatch.search.stages.forms_of", lambda _: [Round(tuple(forms))])
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    assert not served.indexes.query(noise)
    tallies = np.diff(calls).tolist()
    assert tallies == [2, 4]  # of two shards each: votes for one form; for the next, and proofs of the one before


@pytest.mark.parametrize(("forgotten", "removed"), [(False, 1), (True, 1), (True, 2)])
def test_a_search_is_answered_in_one_state(clusters: Clusters, tmp_path: Path, forgotten: bool, removed: int) -> None:
    """Images are removed between the stages of a search, and the replica may have forgotten the state before."""
    shutil.copytree(clusters.of(1), tmp_path / "copy.fmc")
    served = Served(clusters, 1, 1, tmp_path / "copy.fmc")
    index = Index.open(served.names[0], root=clusters.photos)
    before = said(served.answer("scene"))
    first, names = len(served.engine.calls), ["scene1.png", "equal1.png"][:removed]

    def remove(_: int, __: int, number: int) -> None:
        if (number - first) % 3 == 1 and names:  # proofs are asked for; and again, where the first search was in vain
            index.remove([names.pop()])
            if forgotten:
                served.engine.replicas[0]._kept.clear()

    served.engine.fault = remove
    if removed == 2:
        with pytest.raises(StoreError, match="changed while it was asked"):
            served.answer("scene")
    else:
        answer = said(served.answer("scene"))
        assert (answer == before) != forgotten
        assert answer == before or answer == said(index.query(QUERIES["scene"](), unproven=True))
    served.engine.fault = lambda *_: None
    assert said(served.answer("scene")) == said(index.query(QUERIES["scene"](), unproven=True)) != before
    assert not names
