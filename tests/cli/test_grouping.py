from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from featmatch import Group, Groups, Index, Member
from tests.cli.conftest import Run


def group_of(*names: str, marked: tuple[str, ...] = ()) -> Group:
    members = (Member(number, (name,), 10, 10, 9, None, 1.0, None, 0) for number, name in enumerate(names, 1))
    return Group(tuple(members), marked)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Groups:
    """What the command will find: a list to be filled."""
    groups = Groups()

    def grouped(index: Index, *, jobs: int, progress: Any) -> Groups:
        assert jobs == 1
        progress(1, 2)
        return groups

    monkeypatch.setattr(Index, "groups", grouped)
    return groups


def test_only_one_form_may_be_asked_for(run: Run, index: Path) -> None:
    forms = ("--json", "--csv", "--print0")
    for one, other in zip(forms, (*forms[1:], forms[0]), strict=True):
        ended = run("groups", index, one, other)
        assert (ended.status, ended.out) == (2, "")
        assert "only one of --json, --csv and --print0" in ended.err


def test_each_form_is_printed_and_no_group_is_nothing_found(run: Run, index: Path, found: Groups) -> None:
    command = ("groups", index, "--jobs", "1")
    for form in ([], ["--json"], ["--print0"]):
        assert run(*command, *form)[:2] == (1, "")
    header = run(*command, "--csv")
    assert (header.status, header.out.count("\n")) == (1, 1)
    found.append(group_of("a.jpg", "b.jpg"))
    assert run(*command).out.startswith("group 1, 2 files:\n")
    (line,) = run(*command, "--json").lines()
    assert (line["group"], line["files"]) == (1, 2)
    assert run(*command, "--csv").out.splitlines()[1].startswith("1,a.jpg,1,a.jpg,")
    assert [run(*command, form).status for form in ("--json", "--csv")] == [0, 0]


def test_print0_is_the_real_paths_of_marked_files(
    run: Run, index: Path, pictures: dict[str, Path], found: Groups, tmp_path: Path
) -> None:
    names = [str(pictures[name]) for name in ("astronaut", "chelsea", "coins")]
    found.append(group_of(*names[:2]))
    assert run("groups", index, "--jobs", "1", "--print0")[:2] == (1, "")  # none of them can go
    found.append(group_of(*names, "gone.png", marked=(names[1], "gone.png")))
    ended = run("groups", index, "--jobs", "1", "--print0")
    assert (ended.status, ended.out) == (0, os.path.realpath(names[1]) + "\0")


def test_the_page_shows_what_is_at_hand_and_the_rest_is_told(
    run: Run, index: Path, pictures: dict[str, Path], found: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featmatch.pages import groups as page

    reasons = {"away.png": page.NOT_AT_HAND, "bad.png": "cannot be decoded", "also away.png": page.NOT_AT_HAND}
    written: dict[str, Any] = {}

    def write_page(target: Path, groups: Groups, *, progress: Any, **options: Any) -> dict[str, str]:
        progress(1, 1)
        written.update(options, target=target, groups=groups)
        return reasons

    monkeypatch.setattr(page, "write_page", write_page)
    images = [SimpleNamespace(name="coins.png"), SimpleNamespace(name="bad.png")]
    monkeypatch.setattr(Index, "images", lambda index: iter(images))
    found.append(group_of(str(pictures["coins"]), "bad.png"))
    ended = run("groups", index, "--jobs", "1", "--html", tmp_path / "page.html")
    assert ended.status == 0
    assert (written["target"], written["groups"], written["jobs"]) == (tmp_path / "page.html", found, 1)
    assert written["records"] == {image.name: image for image in images}
    assert written["path_of"](str(pictures["coins"])) == str(pictures["coins"])
    first, second = ended.err.splitlines()
    assert first == "featmatch: bad.png: not shown: cannot be decoded"
    assert second.startswith("featmatch: the files of 2 images are not at hand")
    assert "so they are not shown" in second


def test_files_are_looked_for_below_the_root(run: Run, index: Path, tmp_path: Path, found: Groups) -> None:
    (tmp_path / "coins.png").touch()
    found.append(group_of("a.png", "coins.png", marked=("coins.png",)))
    ended = run("groups", index, "--jobs", "1", "--print0", "--root", tmp_path)
    assert ended[:2] == (0, os.path.realpath(tmp_path / "coins.png") + "\0")


def test_results_that_cannot_be_kept_are_told(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    assert run("add", own_index, pictures["coins"], "--jobs", "1").status == 0
    with FileLock(own_index / "writer.lock"):
        ended = run("groups", own_index, "--jobs", "1")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("featmatch: the results are not kept in the index: ")
    assert run("groups", own_index, "--jobs", "1").err == ""
