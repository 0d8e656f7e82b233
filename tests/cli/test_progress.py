from __future__ import annotations

from typing import Any

import pytest

from featmatch.cli import progress as bars
from featmatch.cli.progress import progress_bars


class Bar:
    """Stands in for tqdm: what would be drawn."""

    all: list[Bar]

    def __init__(self, **options: Any) -> None:
        assert options["disable"] is None  # drawn on a terminal only
        self.about = (options["desc"], options["total"], options["unit"])
        self.n = 0
        self.open = True
        assert all(not other.open for other in Bar.all)
        Bar.all.append(self)

    def update(self, count: int) -> None:
        assert self.open
        self.n += count

    def close(self) -> None:
        self.open = False


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.all = []
    monkeypatch.setattr(bars, "tqdm", Bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    return Bar.all


def test_each_stage_has_its_bar(drawn: list[Bar]) -> None:
    with progress_bars(" images") as progress:
        assert drawn == []
        for done in (2, 5):
            progress("indexing", done, 5)
        progress("drawing", 1, 3)
        assert [bar.open for bar in drawn] == [False, True]
    assert [(bar.about, bar.n) for bar in drawn] == [(("indexing", 5, " images"), 5), (("drawing", 3, " images"), 1)]
    assert not drawn[1].open


def test_bars_are_closed_whatever_ends_the_work(drawn: list[Bar]) -> None:
    with pytest.raises(KeyboardInterrupt), progress_bars() as progress:
        progress("features", 1, 2)
        raise KeyboardInterrupt
    assert [(bar.about[2], bar.open) for bar in drawn] == [("it", False)]


def test_no_bar_is_drawn_without_progress(drawn: list[Bar]) -> None:
    with progress_bars():
        pass
    assert drawn == []


def test_nothing_is_drawn_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    with progress_bars() as progress:
        progress("features", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_line_is_told_every_ten_seconds_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    clock = iter([100.0, 109.9, 110.0, 111.0, 119.9, 125.0, 140.0])
    monkeypatch.setattr("featmatch.cli.progress.time.monotonic", lambda: next(clock))
    with progress_bars(" images") as progress:
        for done in range(1, 6):
            progress("indexing" if done < 5 else "comparing", done, 1000)
        progress("comparing", 1000, 1000)  # what is done is told otherwise
    assert capsys.readouterr() == ("", "indexing: 2 of 1000 images\ncomparing: 5 of 1000 images\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_shown_where_that_is_wanted(
    terminal: bool, drawn: list[Bar], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr(bars, "_SECONDS", 0.0)
    with progress_bars(hidden=True) as progress:
        progress("indexing", 1, 2)
    assert (drawn, capsys.readouterr()) == ([], ("", ""))
