from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from featmatch.errors import StoreError, UsageError
from featmatch.store.catalog import Catalog
from featmatch.store.layout import CATALOG
from featmatch.store.whereabouts import Whereabouts
from featmatch.system.trust import trusted_paths
from featmatch.words.vocabulary import Vocabulary
from tools.small_index import draw_pictures, small_index


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME/photos with two pictures; the working directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    draw_pictures(tmp_path / "home" / "photos", 2)
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def index(home: Path, small_words: Vocabulary, tmp_path: Path) -> Path:
    """An empty index that lies away from the photos."""
    return small_index(tmp_path / "indexes" / "i.fm", small_words).folder


def catalog_of(index: Path) -> Catalog:
    return Catalog(index / CATALOG)


def kept(index: Path) -> dict[str, object]:
    return {key: catalog_of(index).meta.get(key) for key in ("root", "base", "home")}


def test_an_addition_names_its_files_and_is_kept(index: Path, home: Path) -> None:
    where = Whereabouts(index, None)
    catalog = catalog_of(index)
    naming, files = where.prepare_addition(["photos"], catalog)
    assert files == ["photos/000.png", "photos/001.png"]
    assert [naming.name_of(file) for file in files] == files
    assert kept(index) == {"root": None, "base": str(home), "home": str(index.parent)}
    assert trusted_paths(index) == {str(home / "photos")}
    assert where.problem is None
    newest = catalog_of(index)
    assert list(where.places(newest).paths_of("photos/000.png")) == [str(home / "photos" / "000.png")]
    later = Whereabouts(index, None).places(newest)
    assert list(later.paths_of("photos/001.png")) == [str(home / "photos" / "001.png")]


def test_a_given_root_is_kept_and_trusted(index: Path, home: Path, tmp_path: Path) -> None:
    where = Whereabouts(index, str(home / "photos"))
    assert where.given == str(home / "photos")
    assert list(where.places(catalog_of(index)).paths_of("000.png")) == [str(home / "photos" / "000.png")]
    naming, _ = where.prepare_addition([str(home / "photos" / "000.png")], catalog_of(index))
    assert (naming.folder, naming.is_root) == (str(home / "photos"), True)
    assert kept(index) == {"root": str(home / "photos"), "base": None, "home": str(index.parent)}
    moved = shutil.copytree(home / "photos", tmp_path / "moved")
    Whereabouts(index, str(moved)).prepare_addition([str(moved)], catalog_of(index))
    assert kept(index)["root"] == str(moved)


def test_what_is_kept_already_is_not_written_again(index: Path, home: Path) -> None:
    Whereabouts(index, None).prepare_addition([str(home / "photos")], catalog_of(index))
    assert kept(index) == {"root": None, "base": None, "home": str(index.parent)}  # no relative path was given yet
    Whereabouts(index, None).prepare_addition(["photos"], catalog_of(index))
    assert kept(index)["base"] == str(home)
    before = (index / CATALOG).stat().st_ino
    Whereabouts(index, None).prepare_addition(["photos"], catalog_of(index))
    Whereabouts(index, None).prepare_addition([str(home / "photos")], catalog_of(index))
    assert (index / CATALOG).stat().st_ino == before


def test_a_path_without_a_name_changes_nothing(index: Path, home: Path) -> None:
    (home / "root").mkdir()
    where = Whereabouts(index, str(home / "root"))
    with pytest.raises(UsageError):
        where.prepare_addition(["photos"], catalog_of(index))
    assert kept(index)["home"] is None
    assert trusted_paths(index) == frozenset()


def test_the_index_is_not_added_to_itself(home: Path, small_words: Vocabulary) -> None:
    index = small_index(home / "photos" / "i.fm", small_words).folder
    shutil.copy(home / "photos" / "000.png", index)
    shutil.copy(home / "photos" / "000.png", home / "photos" / "i.fm.png")
    _, files = Whereabouts(index, None).prepare_addition(["photos"], catalog_of(index))
    assert files == ["photos/000.png", "photos/001.png", "photos/i.fm.png"]
    _, files = Whereabouts(index, None).prepare_addition([str(index)], catalog_of(index))
    assert files == []


def test_links_are_trusted_where_they_lead_out_of_what_was_named(index: Path, home: Path, tmp_path: Path) -> None:
    (away,) = draw_pictures(tmp_path / "away", 1, seed=7)
    (home / "photos" / "out.png").symlink_to(away)
    (home / "photos" / "in.png").symlink_to(home / "photos" / "000.png")
    where = Whereabouts(index, None)
    where.prepare_addition([str(home / "photos")], catalog_of(index))
    assert trusted_paths(index) == {str(home / "photos"), str(away)}


def test_what_lies_beside_the_index_needs_no_record(home: Path, small_words: Vocabulary) -> None:
    index = small_index(home / "i.fm", small_words).folder
    where = Whereabouts(index, None)
    where.prepare_addition(["photos", "nothing there"], catalog_of(index))
    assert trusted_paths(index) == frozenset()
    assert list(where.places(catalog_of(index)).paths_of("photos/000.png")) == [str(home / "photos" / "000.png")]


def test_pages_are_trusted_by_their_file(index: Path, home: Path) -> None:
    Whereabouts(index, None).prepare_addition([f"{home / 'photos' / '000.png'}#page=2"], catalog_of(index))
    assert trusted_paths(index) == {str(home / "photos" / "000.png")}


def test_places_are_those_of_the_catalogue_that_is_asked(index: Path, home: Path) -> None:
    where = Whereabouts(index, None)
    old = catalog_of(index)
    places = where.places(old)
    assert where.places(old) is places
    where.prepare_addition(["photos"], old)
    new = catalog_of(index)
    assert where.places(new).base == str(home)
    assert where.places(old).base is None


def test_a_record_that_cannot_be_used_is_told_and_stops_nothing(index: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "featmatch").mkdir(parents=True)
    (tmp_path / "state" / "featmatch" / "trusted.sqlite").write_bytes(b"no database" * 100)
    where = Whereabouts(index, None)
    with pytest.raises(StoreError):
        trusted_paths(index)
    _, files = where.prepare_addition(["photos"], catalog_of(index))
    assert len(files) == 2
    assert where.problem is not None
    assert "cannot use the record" in where.problem
    # What this process was told is trusted in it, nevertheless.
    assert list(where.places(catalog_of(index)).paths_of("photos/000.png")) == [str(home / "photos" / "000.png")]
    other = Whereabouts(index, None)
    assert list(other.places(catalog_of(index)).paths_of("photos/000.png")) == []
    assert other.problem is not None
