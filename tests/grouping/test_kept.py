from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from featmatch.grouping.kept import KeptTexts, digests_of, key_of

KEPT = KeptTexts("tests", most=2)
ONE, OTHER, THIRD = key_of(1), key_of(2), key_of(3)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/featmatch/tests.sqlite"


def test_keys_tell_apart_whatever_json_does() -> None:
    assert key_of(1, [2.5, "a"], None) == key_of(1, [2.5, "a"], None)
    assert len({key_of(*some) for some in [(), (1,), ("1",), (1, 2), ([1, 2],), (None,), (0.1 + 0.2,), (0.3,)]}) == 8


def test_what_was_kept_is_there_for_this_user_alone(file: Path) -> None:
    assert KEPT.recall([ONE]) == {}
    KEPT.keep({ONE: "one", OTHER: "other"})
    KEPT.keep({OTHER: "another"})
    assert KEPT.recall([OTHER, THIRD, ONE]) == {OTHER: "another", ONE: "one"}
    assert KeptTexts("others").recall([ONE]) == {}
    assert file.parent.stat().st_mode & 0o077 == 0


def test_where_there_are_too_many_it_begins_anew() -> None:
    for key, kept in ((ONE, [ONE]), (OTHER, [ONE, OTHER]), (THIRD, [ONE, OTHER, THIRD]), (ONE, [ONE])):
        KEPT.keep({key: "a text"})
        assert list(KEPT.recall([ONE, OTHER, THIRD])) == kept


@pytest.mark.parametrize("damage", ["text", "folder", "another table"])
def test_where_the_file_is_damaged_nothing_is_kept(file: Path, damage: str) -> None:
    file.parent.mkdir(parents=True)
    if damage == "text":
        file.write_text("no database")
    if damage == "folder":
        file.mkdir()
    if damage == "another table":
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE texts (number INTEGER)")
        connection.close()
    KEPT.keep({ONE: "one"})
    assert KEPT.recall([ONE]) == {}


def test_digests_follow_the_code(tmp_path: Path) -> None:
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text("a = 1")
    same = digests_of(files)
    files[1].write_text("a = 2")
    assert same[0] == same[1] == digests_of(files)[0] != digests_of(files)[1]
