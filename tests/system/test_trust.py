"""What this user named to an index, kept outside of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from featmatch import Index, StoreError, Vocabulary
from featmatch.system.trust import covers, forget_below, spellings, trust, trusted_paths
from tools.small_index import draw_pictures, small_index


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that nothing was written to."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def index(small_words: Vocabulary, tmp_path: Path, state: Path) -> Path:
    return small_index(tmp_path / "indexes" / "a.fm", small_words).folder


@pytest.mark.parametrize(
    ("trusted", "path", "covered"),
    [
        ({"/a"}, "/a", True), ({"/a"}, "/a/b/c", True), ({"/a"}, "/ab", False), ({"/a/b"}, "/a", False),
        ({"/"}, "/x", True), (set(), "/x", False), ({"/x", "/a/b"}, "/a/b/c", True),
    ],
)  # fmt: skip
def test_what_is_trusted_covers_what_lies_below(trusted: set[str], path: str, covered: bool) -> None:
    assert covers(trusted, path) is covered


def test_both_spellings_of_a_linked_folder_are_meant(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert spellings(str(tmp_path / "x" / ".." / "link")) == {str(tmp_path / "link"), str(tmp_path / "real")}


def test_it_is_remembered_for_one_index_only(index: Path, small_words: Vocabulary, state: Path) -> None:
    assert trusted_paths(index) == frozenset()
    assert not state.exists()  # looking writes nothing
    odd = os.fsdecode(b"/\xff\xe4 \n")
    trust(index, ["/photos", odd])
    trust(index, ["/photos", "/more"])
    other = small_index(index.with_name("b.fm"), small_words).folder
    assert trusted_paths(index) == {"/photos", "/more", odd}
    assert trusted_paths(other) == frozenset()
    index.with_name("link").symlink_to(index)
    assert trusted_paths(index.with_name("link")) == trusted_paths(index)


def test_an_index_at_the_same_place_inherits_nothing(index: Path, small_words: Vocabulary, tmp_path: Path) -> None:
    trust(index, ["/photos"])
    shutil.move(index, tmp_path / "gone")
    small_index(index, small_words)
    assert trusted_paths(index) == frozenset()
    trust(index, ["/other"])
    shutil.rmtree(index)
    shutil.move(tmp_path / "gone", index)
    assert trusted_paths(index) == frozenset()  # what was there before is forgotten for good


def test_indexes_of_a_folder_can_be_forgotten(index: Path, small_words: Vocabulary, tmp_path: Path) -> None:
    kept = small_index(tmp_path / "indexes 2" / "a.fm", small_words).folder
    forget_below(tmp_path)  # there is nothing yet
    for one in (index, kept):
        trust(one, ["/photos"])
    forget_below(tmp_path / "indexes")
    assert trusted_paths(index) == frozenset()
    assert trusted_paths(kept) == {"/photos"}


def test_processes_that_write_at_once_lose_nothing(index: Path) -> None:
    code = "\n".join(
        (
            "import sys, pathlib; from featmatch.system.trust import trust",
            "for number in range(30): trust(pathlib.Path(sys.argv[1]), [f'/{sys.argv[2]}/{number}'])",
        )
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(index), str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(trusted_paths(index)) == 90


def test_a_record_that_cannot_be_used_is_an_error(index: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "featmatch").mkdir(parents=True)
    (state / "featmatch" / "trusted.sqlite").write_bytes(b"no database" * 100)
    for use in (lambda: trusted_paths(index), lambda: trust(index, ["/photos"])):
        with pytest.raises(StoreError, match=r"trusted\.sqlite"):
            use()
    forget_below(index.parent)  # as far as it goes
    monkeypatch.setenv("XDG_STATE_HOME", str(index / "vocabulary.npz"))
    assert trusted_paths(index) == frozenset()  # there is none
    with pytest.raises(StoreError, match=r"vocabulary\.npz"):
        trust(index, ["/photos"])


def test_a_user_without_a_home_has_no_record(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: Path("~") / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="no folder"):
        trust(index, ["/photos"])
    assert not (tmp_path / "~").exists()


def test_without_a_record_only_this_process_knows(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(index / "vocabulary.npz"))
    (picture,) = draw_pictures(tmp_path / "photos", 1)
    opened = Index.open(index)
    assert opened.trust_problem is None  # nothing is missed yet
    assert opened.add([picture], jobs=1, pictures=False).added == [str(picture)]
    assert opened.trust_problem is not None
    assert opened.path_of(str(picture)) == str(picture)
    assert opened.query(picture).not_at_hand == []
    later = Index.open(index)
    assert later.path_of(str(picture)) is None
    (match,) = later.query(picture)
    assert (match.proof.evidence.agreement, later.query(picture).not_at_hand) == (None, [str(picture)])
