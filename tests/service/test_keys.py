"""API keys and their file."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

from featmatch import UsageError
from featmatch.service import keys
from featmatch.service.keys import Keys, new_key, read_keys


def test_a_key_is_shown_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    secret, other = new_key(file, "one", "read"), new_key(file, "two", "admin")
    assert re.fullmatch(r"fm_[0-9A-Za-z]{43}", secret)
    assert secret != other
    assert secret not in file.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = Keys(file)
    found = kept.key_of(secret)
    assert found is not None
    assert (found.name, found.scope) == ("one", "read")
    assert kept.key_of(secret[:-1]) is None
    assert kept.key_of("") is None
    assert kept.key_of("\udce9" * 500) is None
    with pytest.raises(UsageError, match="has a key one already"):
        new_key(file, "one", "read")


def test_a_key_has_the_same_length_whatever_its_bytes_are() -> None:
    assert [keys._base62(bytes(31) + bytes([last])) for last in (0, 61, 62)] == [
        "0" * 43,
        "0" * 42 + "z",
        "0" * 41 + "10",
    ]


def test_a_scope_has_what_those_below_it_have(tmp_path: Path) -> None:
    for scope in keys.SCOPES:
        new_key(tmp_path / "keys", scope, scope)
    allowed = [[key.allows(scope) for scope in keys.SCOPES] for key in read_keys(tmp_path / "keys")]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("line", ["nonsense", "a read 12", "a all " + "0" * 64, "a b read " + "0" * 64])
def test_a_line_that_is_no_key_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# mine\n\n{line}\n")
    with pytest.raises(UsageError, match=r"line 3 of .* is no key"):
        Keys(file)


def test_names_and_files_that_cannot_be(tmp_path: Path) -> None:
    for name in ("", "a b", "a" * 65, "a\n"):
        with pytest.raises(UsageError, match="name of a key"):
            new_key(tmp_path / "keys", name, "read")
    with pytest.raises(UsageError, match="cannot write"):
        new_key(tmp_path / "none" / "keys", "a", "read")
    with pytest.raises(UsageError, match="cannot read"):
        Keys(tmp_path / "gone")


def test_sessions_end_with_their_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    secret = new_key(file, "one", "read")
    kept = Keys(file)
    key = kept.key_of(secret)
    assert key is not None
    token = kept.begin_session(key)
    assert kept.key_of_session(token) == key
    assert kept.key_of_session("other") is None
    file.write_text("")
    kept.read_again()
    assert kept.key_of(secret) is None
    assert kept.key_of_session(token) is None


def test_keys_stay_where_the_file_cannot_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    secret = new_key(file, "one", "read")
    kept = Keys(file)
    file.write_text("nonsense")
    with pytest.raises(UsageError):
        kept.read_again()
    assert kept.key_of(secret) is not None


def test_the_oldest_sessions_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_MOST_SESSIONS", 2)
    secret = new_key(tmp_path / "keys", "one", "read")
    kept = Keys(tmp_path / "keys")
    key = kept.key_of(secret)
    assert key is not None
    tokens = [kept.begin_session(key) for _ in range(3)]
    assert [kept.key_of_session(token) is not None for token in tokens] == [False, True, True]
    kept.end_session(tokens[1])
    assert kept.key_of_session(tokens[1]) is None


def test_a_file_without_an_end_of_its_last_line_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    new_key(file, "one", "read")
    file.write_text(file.read_text().rstrip("\n"))
    new_key(file, "two", "read")
    assert [key.name for key in read_keys(file)] == ["one", "two"]
    (tmp_path / "empty").touch()
    new_key(tmp_path / "empty", "one", "read")
    assert (tmp_path / "empty").read_text().startswith("one")
