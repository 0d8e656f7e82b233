"""Names and files: the same from any working directory, after a move, and never beyond what may be read."""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from featmatch import Index, UsageError, Vocabulary, cli
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.places import Naming, Places, name_known
from featmatch.system.trust import trusted_paths
from tools.small_index import draw_pictures, small_index


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 4)


@pytest.fixture
def home(pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME/photos with four pictures, HOME/part.png a part of the first; the working directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "home"
    (folder / "photos").mkdir(parents=True)
    for picture in pictures:
        shutil.copy2(picture, folder / "photos")
    Image.fromarray(np.asarray(Image.open(pictures[0]))[:, :70]).save(folder / "part.png")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def index(home: Path, small_words: Vocabulary, tmp_path: Path) -> Path:
    """An index that lies away from the photos."""
    return small_index(tmp_path / "indexes" / "i.fm", small_words).folder


def names(index: Path) -> list[str]:
    return [record.name for record in Index.open(index).images()]


def answers(index: Path | str, image: Path) -> list[dict[str, object]]:
    return [match.to_dict() for match in Index.open(index).query(image, unproven=True)]


def forget(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state", ignore_errors=True)


# Places by themselves


def places(**changes: Any) -> Places:
    """Of an index at /home/i.fm that did not move; nothing is trusted."""
    known: dict[str, Any] = {"given": None, "root": None, "base": None, "home": "/home", "beside": "/home"}
    return Places(**{**known, "trusted": frozenset(), **changes})


@pytest.mark.parametrize(
    ("known", "paths", "expected"),
    [
        (places(), ["a.jpg"], Naming("/work")),
        (places(), ["/a.jpg", "b.jpg"], Naming("/work")),
        (places(), ["/a.jpg"], Naming(None)),
        (places(base="/base"), ["a.jpg"], Naming("/base")),
        (places(root="/root", base="/base"), ["/root/a.jpg"], Naming("/root", is_root=True)),
        (places(given="/given", root="/root"), ["/root/a.jpg"], Naming("/given", is_root=True)),
        (places(base="/old/photos", home="/old"), ["/home/photos/a.jpg"], Naming("/home/photos")),
        (places(base="/old/photos", home="/old"), ["/home/photos/a.jpg", "/b.jpg"], Naming("/old/photos")),
        (places(root="/old/photos", home="/old"), ["/home/photos/a.jpg"], Naming("/home/photos", is_root=True)),
        (places(base="/old/photos", home="/old"), [], Naming("/home/photos")),
    ],
)
def test_files_are_named_by_the_root_or_else_the_base_where_it_is_now(
    known: Places, paths: list[str], expected: Naming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/work")
    assert known.naming(paths) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (places(), ["../photos/a.jpg"]),
        (places(root="/root"), ["../root/photos/a.jpg"]),
        (places(given="/given", base="/base"), ["../given/photos/a.jpg", "../base/photos/a.jpg"]),
    ],
)
def test_a_name_is_looked_for_in_all_folders(tmp_path: Path, known: Places, expected: list[str]) -> None:
    (tmp_path / "home").mkdir()
    for folder in ("given", "root", "base"):
        (tmp_path / folder / "photos").mkdir(parents=True)
        (tmp_path / folder / "photos" / "a.jpg").write_text("")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    moved = {
        field: value and str(tmp_path) + value
        for field, value in vars(known).items()
        if field in ("given", "root", "base", "home")
    }
    here = Places(**moved, beside=str(tmp_path), trusted=frozenset({str(tmp_path)}))
    found = [os.path.relpath(path, tmp_path / "home") for path in here.paths_of("photos/a.jpg")]
    assert [path for path in found if path in expected] == expected


def test_only_regular_files_that_are_trusted_are_found(tmp_path: Path) -> None:
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("in/a.jpg", "out/a.jpg", "in/scan.tif"):
        (tmp_path / name).write_text("")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "out" / "a.jpg")
    known = places(base=str(tmp_path / "in"), trusted=frozenset({str(tmp_path / "in")}))

    def found(name: str) -> list[str]:
        return [os.path.relpath(path, tmp_path) for path in known.paths_of(name)]

    assert found("a.jpg") == ["in/a.jpg"]
    assert found("scan.tif#page=3") == ["in/scan.tif#page=3"]
    assert found(str(tmp_path / "in" / "a.jpg")) == ["in/a.jpg"]
    for name in ("link.jpg", "folder", "none.jpg", "../out/a.jpg", str(tmp_path / "out" / "a.jpg"), "a.jpg\0"):
        assert found(name) == []


def test_a_path_may_mean_several_names_the_likeliest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    known = places(given=str(tmp_path / "photos"), base=str(tmp_path), home="/old", beside="/home")
    meant = list(known.names_of("way/../way/a.jpg"))
    assert meant[:2] == ["way/../way/a.jpg", "way/a.jpg"]
    assert {str(tmp_path / "way" / "a.jpg"), str(tmp_path / "photos" / "a.jpg"), "a.jpg", "photos/a.jpg"} < set(meant)
    assert meant.index("a.jpg") < meant.index("photos/a.jpg")


def test_the_name_that_the_index_has_is_known(path: Path) -> None:
    with change_catalog(path) as change:
        change.name("photos/a.jpg", change.add_image("0" * 64, 1, (1, 1), 0, 1), 1)
        change.add_segment(1, 1, 0, bytes(32))
    catalog = Catalog(path)
    known = places(base="/base")
    assert name_known("photos/a.jpg", catalog, known) == "photos/a.jpg"
    assert name_known("/base/photos/a.jpg", catalog, known) == "photos/a.jpg"
    assert name_known("photos/b.jpg", catalog, known) is None


# What files are called


@pytest.mark.parametrize(
    ("folder", "path", "name"),
    [
        ("/home", "photos/a.jpg", "photos/a.jpg"), ("/home", "./x/../a.jpg", "a.jpg"), ("/home", ".", "."),
        ("/home", "../home/a.jpg", "a.jpg"), ("/home", "../a.jpg", "/a.jpg"), ("/home", "/home/a.jpg", "/home/a.jpg"),
        ("/home/photos", "photos/a.jpg", "a.jpg"), ("/hom", "a.jpg", "/home/a.jpg"), ("/", "a.jpg", "home/a.jpg"),
        (None, "a.jpg", "/home/a.jpg"), (None, "/x/../a.jpg", "/a.jpg"),
    ],
)  # fmt: skip
def test_relative_paths_are_as_seen_from_the_base(
    folder: str | None, path: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: "/home")
    assert Naming(folder).name_of(path) == name


def test_names_are_as_given_and_the_base_is_kept(index: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Index.open(index).info().base is None
    assert Index.open(index).add([home / "photos" / "000.png"], jobs=1).added == [str(home / "photos" / "000.png")]
    assert Index.open(index).info().base is None  # no relative path was given yet
    assert Index.open(index).add(["photos/001.png"], jobs=1).added == ["photos/001.png"]
    assert Index.open(index).info().base == str(home)
    monkeypatch.chdir(home / "photos")
    assert Index.open(index).add(["002.png"], jobs=1).added == ["photos/002.png"]
    (home.parent / "away").mkdir()
    shutil.copy2("003.png", home.parent / "away")
    assert Index.open(index).add(["../../away"], jobs=1).added == [str(home.parent / "away" / "003.png")]
    assert Index.open(index).add(["001.png"], jobs=1).skipped == ["photos/001.png"]
    assert Index.open(index).info().base == str(home)


def test_an_index_without_a_base_gets_one_from_the_next_addition(index: Path, home: Path) -> None:
    Index.open(index).add(["photos"], jobs=1)
    with change_catalog(index / "catalog.sqlite") as change:
        for key in ("base", "home"):
            change._connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    assert Index.open(index).path_of("photos/000.png") is None
    assert len(Index.open(index).add(["photos"], jobs=1).skipped) == 4
    assert Index.open(index).path_of("photos/000.png") == str(home / "photos" / "000.png")


def test_prune_meets_all_spellings_of_what_was_given(index: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Index.open(index).add(["photos"], jobs=1)
    for number in (0, 1):
        (home / "photos" / f"00{number}.png").unlink()
    monkeypatch.chdir(home.parent)
    assert Index.open(index).add(["photos"], jobs=1, prune=True).vanished == []  # HOME/../photos is another
    assert Index.open(index).add([home / "photos"], jobs=1, prune=True).vanished == ["photos/000.png", "photos/001.png"]


def test_a_folder_is_the_same_through_a_link(index: Path, home: Path, tmp_path: Path) -> None:
    Index.open(index).add(["photos"], jobs=1)
    link = tmp_path / "link"
    link.symlink_to(home)
    assert Index.open(index).remove([str(link / "photos" / "001.png")]) == [str(link / "photos" / "001.png")]
    (home / "photos" / "000.png").unlink()
    assert Index.open(index).add([link / "photos"], jobs=1, prune=True).vanished == ["photos/000.png"]


def test_pages_are_known_from_elsewhere_too(index: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = [Image.open(home / "photos" / f"00{number}.png") for number in range(3)]
    first.save("scan.tif", save_all=True, append_images=others)
    Index.open(index).add(["scan.tif"], pages=True, jobs=1)
    monkeypatch.chdir("/")
    report = Index.open(index).add([os.path.relpath(home / "scan.tif", "/")], jobs=1)
    assert (report.added, report.skipped) == ([], [f"scan.tif#page={page}" for page in (1, 2, 3)])
    assert Index.open(index).path_of("scan.tif#page=2") == str(home / "scan.tif#page=2")
    (match,) = Index.open(index).query(home / "photos" / "001.png")
    assert match.proof.evidence.agreement is not None


def test_a_file_that_is_called_like_a_page_is_none(index: Path, home: Path) -> None:
    shutil.copy2("photos/000.png", "a.png")
    shutil.copy2("photos/001.png", "a.png#page=2")
    Index.open(index).add(["a.png#page=2"], jobs=1)
    assert Index.open(index).add(["a.png"], jobs=1).added == ["a.png"]
    assert names(index) == ["a.png#page=2", "a.png"]
    assert Index.open(index).path_of("a.png#page=2") == str(home / "a.png#page=2")


# The same from anywhere


def test_a_query_has_the_same_answers_from_anywhere(
    index: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.open(index).add(["photos"], jobs=1, pictures=False)
    expected = answers(index, home / "part.png")
    assert expected[0]["agreement"] is not None
    held = Index.open(os.path.relpath(index))  # by a relative path
    for place in (home / "photos", index.parent, Path("/")):
        monkeypatch.chdir(place)
        assert answers(os.path.relpath(index), home / "part.png") == expected
        held.refresh()
        assert [match.to_dict() for match in held.query(home / "part.png", unproven=True)] == expected
    forget(tmp_path)
    without = answers(index, home / "part.png")
    assert without[0]["agreement"] is None
    assert without[0]["probability"] != expected[0]["probability"]  # so it matters


def test_commands_have_the_same_answers_from_anywhere(
    index: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy2("photos/000.png", "photos/copy.png")
    Index.open(index).add(["photos"], jobs=1)
    page = tmp_path / "page.html"
    query = ["query", str(index), str(home / "part.png"), "--json", "--all"]
    explain = ["explain", str(index), str(home / "part.png"), "photos/000.png", "--json"]
    groups = ["groups", str(index), "--html", str(page), "--json"]
    for command in (query, explain, groups):
        seen = set()
        for place in (home, Path("/"), tmp_path / "gone"):
            place.mkdir(exist_ok=True)
            monkeypatch.chdir(place)
            if place.name == "gone":
                place.rmdir()
            done = CliRunner().invoke(cli.cli, command, standalone_mode=False)
            assert (done.return_value, done.stderr) == (0, "")
            seen.add((done.stdout, page.read_bytes() if command is groups else b""))
        assert len(seen) == 1
    assert (home / "photos" / "copy.png").as_uri() in page.read_text()
    assert "data:image/jpeg" in page.read_text()


def test_a_relative_path_needs_a_working_directory(
    index: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    opened = Index.open(index)
    before = (index / "catalog.sqlite").read_bytes()
    with pytest.raises(UsageError, match="working directory"):
        opened.add(["photos"], jobs=1)
    with pytest.raises(UsageError, match="working directory"):
        Index.open(index, root="photos")
    assert (index / "catalog.sqlite").read_bytes() == before
    assert opened.add([home / "photos" / "000.png"], jobs=1).added == [str(home / "photos" / "000.png")]
    assert opened.remove(["photos/000.png", str(home / "photos" / "000.png")]) == [str(home / "photos" / "000.png")]


@pytest.mark.parametrize("place", ["home", "photos", "elsewhere"])
def test_names_and_paths_are_understood_everywhere(
    place: str, index: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.open(index).add(["photos", home / "part.png"], jobs=1)
    monkeypatch.chdir({"home": home, "photos": home / "photos", "elsewhere": Path("/")}[place])
    opened = Index.open(index)
    by_path = os.path.relpath(home / "photos" / "001.png")
    opened.reject("photos/000.png", by_path)
    assert opened.forget(home / "photos" / "000.png", "photos/001.png")
    assert opened.explain(home / "part.png", by_path).name == "photos/001.png"
    assert opened.explain(home / "part.png", "photos/000.png").not_at_hand is False
    part = os.path.relpath(home / "part.png")
    assert opened.remove([by_path, "photos/000.png", part, "photos/none.png"]) == [by_path, "photos/000.png", part]
    assert names(index) == ["photos/002.png", "photos/003.png"]


def test_what_is_not_at_hand_is_said_once_a_run(
    index: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Index.open(index).add(["photos"], jobs=1)
    Image.open("photos/000.png").rotate(90).save("turned.png")
    Index.open(index).add(["turned.png"], jobs=1)
    forget(tmp_path)
    name, part, queries = str(index), "part.png", ["part.png", "turned.png", "photos/001.png"]
    for images, command in (
        ("2 images", ["query", name, part]),
        ("3 images", ["query", name, *queries]),
        ("1 image", ["explain", name, part, "photos/000.png"]),
        ("2 images", ["groups", name, "--html", str(tmp_path / "page.html"), "--jobs", "1", "--csv"]),
    ):
        assert cli.cli(command, standalone_mode=False) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "not at hand" in line] == lines
        assert len(lines) == 1
        assert f"the files of {images} are" in lines[0]
        assert "--root FOLDER" in lines[0]
        assert cli.cli([*command, "--root", str(home)], standalone_mode=False) == 0
        assert "not at hand" not in capsys.readouterr().err


def test_a_record_that_cannot_be_written_fails_no_command(
    index: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    broken = tmp_path / "broken" / "featmatch" / "trusted.sqlite"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no database" * 100)
    for state, warnings in ((tmp_path / "file", 1), (tmp_path / "broken", 2)):
        monkeypatch.setenv("XDG_STATE_HOME", str(state))
        assert cli.cli(["add", str(index), "photos", "--jobs", "1"], standalone_mode=False) == 0
        assert capsys.readouterr().err.count("cannot use the record of what you added") == 1
        assert cli.cli(["query", str(index), "part.png"], standalone_mode=False) == 0
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == warnings
        assert "not at hand" in lines[0]
        assert cli.cli(["query", str(index), "part.png", "--root", str(home)], standalone_mode=False) == 0
        assert "not at hand" not in capsys.readouterr().err


# Collections that move


@pytest.mark.parametrize("way", ["beside", "above", "absolute", "root"])
def test_a_collection_that_moves_with_its_index_just_works(
    way: str, home: Path, small_words: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = small_index(home / "i.fm", small_words).folder
    monkeypatch.chdir(home.parent if way == "above" else home)
    given = {"beside": "photos", "above": "home/photos", "absolute": str(home / "photos"), "root": "photos"}[way]
    Index.open(index, root="photos" if way == "root" else None).add([given], jobs=1)
    before = [{**one, "name": ""} for one in answers(index, home / "part.png")]
    known = names(index)
    forget(tmp_path)
    assert [{**one, "name": ""} for one in answers(index, home / "part.png")] == before
    (tmp_path / "new").mkdir()
    monkeypatch.chdir("/")
    moved = home.rename(tmp_path / "new" / "home")
    index = moved / "i.fm"
    assert [{**one, "name": ""} for one in answers(index, moved / "part.png")] == before
    assert Index.open(index).path_of(known[0]) == str(moved / "photos" / "000.png")
    if way == "absolute":
        return  # from here on it has other paths
    monkeypatch.chdir(moved.parent if way == "above" else moved)
    assert len(Index.open(index).add([given], jobs=1).skipped) == 4
    assert names(index) == known
    shutil.copy2(moved / "photos" / "000.png", moved / "photos" / "new.png")
    monkeypatch.chdir(moved / "photos")
    assert Index.open(index).add(["."], jobs=1).added == [os.path.join(os.path.dirname(known[0]), "new.png")]


def test_an_index_that_moves_alone_keeps_what_its_names_mean(
    index: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.open(index).add(["photos"], jobs=1)
    moved = tmp_path / "deep" / "backup" / "i.fm"
    moved.parent.mkdir(parents=True)
    index.rename(moved)
    opened = Index.open(moved)
    assert opened.path_of("photos/000.png") is None  # nobody said so of an index at that place
    assert len(opened.add(["photos"], jobs=1).skipped) == 4
    monkeypatch.chdir("/")
    for one in (opened, Index.open(moved)):
        assert one.path_of("photos/000.png") == str(home / "photos" / "000.png")
    assert Index.open(moved).info().base == str(home)


def test_of_two_copies_the_one_that_did_not_change_is_compared(index: Path, home: Path) -> None:
    Index.open(index).add(["photos"], jobs=1)
    shutil.copytree(home / "photos", index.parent / "photos")
    Image.new("RGB", (90, 90)).save("photos/000.png")
    whole = answers(index, home / "part.png")
    assert whole[0]["agreement"] is not None
    shutil.rmtree(index.parent / "photos")
    assert Index.open(index).query(home / "part.png").not_at_hand[0] == "photos/000.png"


def test_only_what_lies_elsewhere_is_put_on_record(home: Path, small_words: Vocabulary, tmp_path: Path) -> None:
    index = small_index(home / "i.fm", small_words).folder
    Index.open(index).add(["photos"], jobs=1)
    assert not (tmp_path / "state").exists()
    (tmp_path / "more").mkdir()
    Index.open(index).add([home / "part.png", tmp_path / "more"], jobs=1)
    assert trusted_paths(index) == {str(tmp_path / "more")}
    Index.open(index, root=tmp_path).add([tmp_path / "more"], jobs=1)
    assert trusted_paths(index) == {str(tmp_path / "more"), str(tmp_path)}


def test_links_that_add_followed_are_followed_later(index: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(home / "photos" / "000.png")
    (tmp_path / "folder").symlink_to(home / "photos")
    Index.open(index).add([tmp_path / "links", tmp_path / "folder" / "001.png"], jobs=1)
    opened = Index.open(index)
    for link in (tmp_path / "links" / "a.png", tmp_path / "folder" / "001.png"):
        assert opened.path_of(str(link)) == str(link)
    assert opened.path_of(str(home / "photos" / "002.png")) is None  # beside the target of a link
    (tmp_path / "links" / "a.png").unlink()
    (tmp_path / "links" / "a.png").symlink_to(home / "photos" / "003.png")
    assert opened.path_of(str(tmp_path / "links" / "a.png")) is None


# An index that someone sent


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of all files that this process opens. An audit hook would stay, and slow down all further tests."""
    opened: list[str] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def watching(path: object, *arguments: Any, **options: Any) -> Any:
            opened.append(os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else "")
            return real(path, *arguments, **options)

        return watching

    for module in (builtins, io, os):
        monkeypatch.setattr(module, "open", watched(module.open))
    return opened


def _absolute(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    return str(victim / "000.png"), {}


def _climbing(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    return os.path.relpath(victim / "000.png", received), {}


def _root(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    return "000.png", {"root": str(victim)}


def _base(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    return "photos/000.png", {"base": str(victim.parent)}


def _home(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    return "/x/000.png", {"home": os.path.normpath(os.path.join("/x", os.path.relpath(received, victim)))}


def _linked_folder(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    (received / "link").symlink_to(victim)
    return "link/000.png", {}


def _linked_file(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    (received / "link.png").symlink_to(victim / "000.png")
    return "link.png", {}


def _linked_kept(received: Path, victim: Path) -> tuple[str, dict[str, str]]:
    (received / "link").symlink_to(victim)
    return "000.png", {"root": str(received / "link")}


_Trick = Callable[[Path, Path], "tuple[str, dict[str, str]]"]
_TRICKS = (_absolute, _climbing, _root, _base, _linked_folder, _linked_file, _linked_kept)


@pytest.fixture
def received(home: Path, small_words: Vocabulary, tmp_path: Path) -> Path:
    """A folder from elsewhere, with an index of two pictures that are copies of one another, but for the pictures."""
    folder = tmp_path / "made" / "elsewhere"
    made = small_index(folder / "i.fm", small_words)
    Image.open("photos/000.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    made.add(["photos/000.png", tmp_path / "mirrored.png"], jobs=1, pictures=False)
    shutil.copytree(folder, tmp_path / "received" / "here")
    return tmp_path / "received" / "here"


def _play(trick: _Trick, received: Path, victim: Path) -> str:
    name, described = trick(received, victim)
    with change_catalog(received / "i.fm" / "catalog.sqlite") as change:
        change._connection.execute("DELETE FROM meta WHERE key IN ('base', 'home')")
        change._connection.execute("UPDATE names SET name = ? WHERE id = 1", (name,))
        for key, folder in described.items():
            change.describe(key, folder)
    return name


@pytest.mark.usefixtures("decoded_here")  # where opens are recorded
@pytest.mark.parametrize("trick", _TRICKS)
def test_it_leads_to_no_file_of_this_machine(
    trick: _Trick, received: Path, home: Path, opens: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = _play(trick, received, home / "photos")
    index, query = received / "i.fm", str(home / "part.png")
    del opens[:]
    opened = Index.open(index)
    assert opened.path_of(name) is None
    found = opened.query(query)
    assert {one.proof.evidence.agreement for one in found} == {None}
    assert name in [one.name for one in found]
    assert name in found.not_at_hand
    assert opened.explain(query, name).not_at_hand
    for status, command in (
        (0, ["query", str(index), query, "--draw", str(tmp_path / "drawn")]),
        (2, ["explain", str(index), query, name, "--draw", str(tmp_path / "drawn.png")]),
        (0, ["groups", str(index), "--html", str(tmp_path / "page.html"), "--jobs", "1"]),
        (0, ["accept", str(index), query, name]),
        (2 if trick in (_root, _linked_kept) else 0, ["add", str(index), query, "--jobs", "1", "--prune"]),
    ):
        assert cli.cli(command, standalone_mode=False) == status
        assert "not at hand" in capsys.readouterr().err or command[0] in ("accept", "add")
    assert name in [record.name for record in Index.open(index).images()]
    assert list((tmp_path / "drawn").iterdir()) == []
    assert not (tmp_path / "drawn.png").exists()
    page = (tmp_path / "page.html").read_text()
    assert "data:image/jpeg" not in page
    assert 'href="file:' not in page
    assert not [path for path in opens if path.endswith(("000.png", "link.png"))]
    # With the user's own word it is the very file that was indexed, so only trust has kept it from being read.
    seen = next(one for one in Index.open(index, root="/").query(query) if one.name == name)
    assert seen.proof.evidence.agreement is not None
    assert [path for path in opens if path.endswith(("000.png", "link.png"))]


def test_names_that_lead_away_are_not_even_looked_for(
    received: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def watched(real: Callable[[str], object]) -> Callable[[str], object]:
        def watching(path: str) -> object:
            looked.append(str(path))
            return real(path)

        return watching

    for function in ("realpath", "isfile", "exists"):
        monkeypatch.setattr(os.path, function, watched(getattr(os.path, function)))
    opened = Index.open(received / "i.fm")
    del looked[:]
    for trick in (_absolute, _climbing):
        assert opened.path_of(trick(received, home / "photos")[0]) is None
    assert opened.path_of("/net/host/a.png\0") is None
    assert opened.path_of("a.png\0") is None
    trusted = str(tmp_path / "state/featmatch/trusted.sqlite")  # pathlib asks for it so, with Python 3.14
    assert not [path for path in looked if path != trusted and not path.startswith(str(received))]


def test_a_kept_place_cannot_point_out_of_where_the_index_is(received: Path, home: Path) -> None:
    assert Index.open(received / "i.fm").path_of(_play(_home, received, home / "photos")) is None


def test_what_is_no_regular_file_is_not_at_hand(received: Path, home: Path) -> None:
    name = _play(lambda *_: ("pipe.png", {}), received, home)
    os.mkfifo(received / name)
    opened = Index.open(received / "i.fm")
    assert opened.path_of(name) is None
    assert name in opened.query(home / "part.png").not_at_hand
    (received / name).unlink()
    (received / name).mkdir()
    assert opened.path_of(name) is None


def test_an_index_at_the_top_of_all_is_no_leave_to_read_everything(
    index: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.open(index).add([home / "photos"], jobs=1)
    monkeypatch.setattr("featmatch.store.whereabouts.trusted_paths", lambda index: frozenset())
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: "/i.fm" if str(path) == str(index) else real(path))
    assert Index.open(index).path_of(str(home / "photos" / "000.png")) is None


def test_prune_looks_at_nothing_but_what_it_was_given(
    received: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def is_gone(path: str) -> bool:
        looked.append(path)
        return True

    _play(_absolute, received, home / "no such folder")
    monkeypatch.setattr("featmatch.adding.pruning._is_gone", is_gone)
    report = Index.open(received / "i.fm").add([home / "photos"], jobs=1, prune=True)
    assert looked
    assert report.vanished == looked
    assert all(path.startswith(str(home / "photos")) for path in looked)
