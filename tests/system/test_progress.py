from __future__ import annotations

from featmatch.system.progress import ignore, of_stage


def test_the_progress_of_a_stage_is_told_under_its_name() -> None:
    told: list[tuple[str, int, int]] = []
    progress = of_stage(lambda *done: told.append(done), "drawing")
    progress(1, 2)
    progress(2, 2)
    assert told == [("drawing", 1, 2), ("drawing", 2, 2)]


def test_no_progress_takes_both_forms() -> None:
    ignore(1, 2)
    ignore("drawing", 1, 2)
