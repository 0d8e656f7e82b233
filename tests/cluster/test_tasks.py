"""Tasks are done in order, whatever becomes of the processes that do them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from featmatch.cluster.tasks import done_in_order
from featmatch.system.workers import Lost
from tests.cluster.engine import Fault, Workplace

TASKS = [(number,) for number in range(8)]
LATE = 10.0


def squared(number: int) -> int:
    return number * number


def results(place: Workplace) -> list[object]:
    return list(done_in_order(place, squared, TASKS, late_seconds=LATE))


def test_what_is_lost_is_done_again_and_order_stays() -> None:
    faults: dict[int, Fault] = {0: 7.0, 1: Lost("gone"), 2: "gone", 3: 5.0, 5: Lost("gone")}
    place = Workplace(faults.get)
    assert results(place) == [squared(*task) for task in TASKS]
    assert len(place.calls) == len(TASKS) + 3
    assert place.time == 7.0  # what was done again went on meanwhile
    assert not place.ends


def test_a_task_that_is_late_is_done_by_another_process_too() -> None:
    place = Workplace(lambda call: 1e9 if call == 1 else None)
    assert results(place) == [squared(*task) for task in TASKS]
    assert place.time == LATE
    assert len(place.calls) == len(TASKS) + 1
    assert not place.ends  # what is late is given up at the end


def test_what_comes_to_nothing_when_it_is_done_elsewhere_is_not_done_again() -> None:
    lost_late: Iterator[Fault] = iter([12.0, Lost("gone")])
    place = Workplace(lambda call: next(lost_late) if call == 1 else 5.0 if call == 5 else None)
    assert results(place) == [squared(*task) for task in TASKS]
    assert place.time == LATE + 5.0
    assert len(place.calls) == len(TASKS) + 1


def test_a_task_that_ends_each_process_costs_itself() -> None:
    place = Workplace(places=1, fault=lambda call: Lost("killed") if 2 <= call < 5 else None)
    assert results(place) == [0, 1, Lost("killed"), *(squared(*task) for task in TASKS[3:])]
    place = Workplace(places=1, fault=lambda call: 1e9 if 2 <= call < 5 else None)
    assert results(place) == [0, 1, Lost("took more than 10 seconds, in each of 3 processes"), 9, 16, 25, 36, 49]
    assert place.time == 3 * LATE


def test_no_more_tasks_are_taken_than_keep_all_busy_and_those_are_given_up() -> None:
    place, taken = Workplace(), itertools.count()
    done = done_in_order(place, squared, ((next(taken),) for _ in TASKS))
    assert next(done) == 0
    assert next(taken) == place.places
    done.close()
    assert not place.ends
