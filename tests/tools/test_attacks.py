"""The short form of ``tools/attack_index.py``: each attack is checked, and a quarter of them meet one command more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from featmatch import Vocabulary
from tests.tools.conftest import worker_for_a_while
from tools.attacks import ATTACKS, LINKS

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="forks, and watches what it forked"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # the threads are NumPy's, and idle
]

COMMANDS = ("query", "list", "groups", "add", "explain", "compact", "vocabulary", "match", "info", "reject", "repair")


@pytest.fixture(scope="module")
def siege(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from tools.attack_index import Siege

    with worker_for_a_while():
        yield Siege(tmp_path_factory.mktemp("attack"), small_words)


def test_there_are_many() -> None:
    assert len(ATTACKS) >= 150


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_harms_no_one(siege: object, attack: str) -> None:
    from tools.attack_index import Siege

    assert isinstance(siege, Siege)
    siege.failures.clear()
    number = list(ATTACKS).index(attack)
    writers = ("add", "groups") if attack in LINKS else ()
    other = (COMMANDS[number // 4 % len(COMMANDS)],) if number % 4 == 0 else ()
    siege.run([attack], dict.fromkeys((*writers, *other, "check")))
    assert siege.failures == []


def test_what_changes_the_victim_is_told(siege: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.attack_index import Siege

    def spoils(index: Path, victim: Path) -> None:
        (index / "spoilt").write_text("")
        monkeypatch.setattr("tools.attack_index._run", lambda *_, **__: _spoiling(victim))

    def _spoiling(victim: Path) -> object:
        from tools.attack_index import Run

        (victim / "precious.txt").write_text("other")
        return Run(0, 0.1, 1, "")

    assert isinstance(siege, Siege)
    siege.failures.clear()
    monkeypatch.setitem(ATTACKS, "spoils", spoils)
    siege.run(["spoils"], ["list"])
    assert len(siege.failures) == 1
    assert "the victim was changed" in siege.failures[0]
