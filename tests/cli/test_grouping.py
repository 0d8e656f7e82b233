from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from featmatch import Group, Groups, Index, Member, Relation
from featmatch.adding.one_image import Failure
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
    forms = ("--json", "--csv", "--print0", "--script")
    for one, other in zip(forms, (*forms[1:], forms[0]), strict=True):
        ended = run("groups", index, one, other)
        assert (ended.status, ended.out) == (2, "")
        assert "only one of --json, --csv, --print0 and --script" in ended.err


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
    first, second, _ = ended.err.splitlines()
    assert first == "featmatch: bad.png: not shown: cannot be decoded"
    assert second.startswith("featmatch: the files of 2 images are not at hand")
    assert "so they are shown small and grey" in second


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
    assert run("groups", own_index, "--jobs", "1").err == "no copies found\n"


def test_totals_are_told_and_fail_turns_the_status(run: Run, index: Path, found: Groups) -> None:
    command = ("groups", index, "--jobs", "1")
    assert run(*command, "--fail").status == 0
    found.extend([group_of("a.jpg", "b.jpg", marked=("b.jpg",)), group_of("c.jpg", "d.jpg", "e.jpg")])
    assert run(*command).err == "2 groups, 5 files; 1 file can go, 9 bytes\n"
    assert [run(*command, "--fail", *form).status for form in ([], ["--json"], ["--csv"])] == [1, 1, 1]
    assert run(*command, "--json").err == ""


def test_groups_are_chosen_by_kind_probability_and_folders(run: Run, index: Path, found: Groups) -> None:
    names = [str(Index.open(index).folder.parent / "none"), *(record.name for record in Index.open(index).images())]
    crop = Relation("crop", 0.0, 1.0, False, False)
    found.append(Group((group_of(names[1]).original, Member(2, (names[2],), 10, 10, 9, crop, 0.9, np.eye(3), 9))))
    command = ("groups", index, "--jobs", "1", "--json")
    for wanted, status in ((["--kind", "crop"], 0), (["--kind", "copy", "--kind", "overlap"], 1),
                           (["--min-probability", "0.9"], 0), (["--min-probability", "0.91"], 1),
                           (["--across", *names[1:3]], 0), (["--across", *names[2:4]], 1),
                           (["--across", *names[:2]], 2), (["--kind", "nonsense"], 2)):  # fmt: skip
        assert run(*command, *wanted).status == status, wanted


def test_a_persons_rules_say_what_stays(run: Run, index: Path, found: Groups) -> None:
    names = [record.name for record in Index.open(index).images()]
    copy = Relation("copy", 0.0, 1.0, False, False)
    other = Member(2, (names[1],), 10, 10, 9, copy, 1.0, np.eye(3), 9)
    found.append(Group((group_of(names[0]).original, other), (names[1],), {names[0]: "original"}, "the shortest name"))
    command = ("groups", index, "--jobs", "1", "--keep", "name")
    assert len(names[0]) != len(names[1])
    kept, gone = sorted(names[:2], key=len)
    (line,) = run(*command, "--json").lines()
    assert line["marked"] == [gone]
    assert line.get("kept") == (None if kept == names[0] else kept)
    assert "kept" not in run("groups", index, "--jobs", "1", "--json").lines()[0]
    if kept == names[1]:
        said = run(*command).out.splitlines()
        assert said[2].endswith("by: the shortest name, can go)") and said[3].endswith(", kept)")
    assert run("groups", index, "--keep", "biggest").status == 2


def test_the_script_moves_what_can_go(run: Run, index: Path, pictures: dict[str, Path], found: Groups) -> None:
    coins = str(pictures["coins"])
    found.append(group_of(str(pictures["chelsea"]), coins, "gone.png", marked=(coins, "gone.png")))
    ended = run("groups", index, "--jobs", "1", "--script")
    assert ended.status == 0
    assert [line.split()[:3] for line in ended.out.splitlines()[-1:]] == [["mv", "-n", "--"]]
    assert os.path.realpath(coins) in ended.out
    assert "gone.png" not in ended.out


def test_dedupe_goes_from_folders_to_groups_and_knows_them_again(
    run: Run, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = tmp_path / "one", tmp_path / "the other"
    one.mkdir()
    other.mkdir()
    shutil.copy(pictures["chelsea"], one / "a.png")
    shutil.copy(pictures["chelsea"], other / "日本.png")
    (one / "text.jpg").write_text("no image")
    command = ("dedupe", one, f"{other}/", "--jobs", "1")
    first = run(*command, "--json")
    (line,) = first.lines()
    assert (first.status, sorted(line["members"][0]["names"])) == (0, [str(one / "a.png"), str(other / "日本.png")])
    assert first.err == f"featmatch: {one}/text.jpg: decode_failed: not an image, or of an unknown format\n"
    monkeypatch.chdir(tmp_path)
    calls: list[str] = []

    def index_file(path: str, *more: object) -> Failure:
        calls.append(path)
        return Failure(path, "decode_failed", "")

    monkeypatch.setattr("featmatch.adding.batches.index_file", index_file)
    monkeypatch.setattr("featmatch.system.workers.may_start", lambda: False)
    assert run("dedupe", "the other", "one", "--print0", "--jobs", "1").out == str(other / "日本.png") + "\0"
    assert calls == [str(one / "text.jpg")]
    assert len(list((tmp_path / "cache" / "featmatch" / "dedupe").iterdir())) == 1
    (other / "日本.png").unlink()
    ended = run(*command)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.endswith("no copies found\n")
    assert run(*command, "--fail").status == 0
    assert run("dedupe", tmp_path / "none").status == 2
    assert run("dedupe", one, "--keep", "nonsense").status == 2


def test_pairs_are_printed_and_written(run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.fm"
    shutil.copytree(index, copy)
    assert run("pairs", copy, "--jobs", 1)[:2] == (1, "probability  inliers  names\n")
    Index.open(copy).add([pictures["crop"]], jobs=1)
    (told,) = run("pairs", copy, "--jobs", 1, "--json").lines()
    assert set(told["names"]) == {str(pictures["crop"]), str(pictures["chelsea"])}
    assert run("pairs", copy, "--jobs", 1).out.splitlines()[1].endswith("  ".join(told["names"]))
    ended = run("pairs", copy, "--jobs", 1, "--hloc", tmp_path / "p.txt", "--colmap", tmp_path / "d.db")
    assert (ended.status, ended.out) == (0, "")
    assert (tmp_path / "p.txt").read_text() == " ".join(told["names"]) + "\n"
    assert (tmp_path / "d.db").read_bytes().startswith(b"SQLite format 3")
    assert run("pairs", copy, "--min-probability", 1, "--jobs", 1).status == 1
    both = tmp_path / "both"
    assert run("pairs", copy, "--hloc", both, "--colmap", both).err.endswith("--hloc and --colmap are two files\n")
    ended = run("pairs", copy, "--jobs", 1, "--colmap", tmp_path / "none" / "d.db")
    assert (ended.status, ended.err.startswith("featmatch: cannot write")) == (2, True)


def test_dedupe_looks_across_two_folders(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    for folder, names in ((train, ("chelsea", "coins")), (test, ("stranger",))):
        folder.mkdir()
        for name in names:
            shutil.copy(pictures[name], folder)
    command = ("dedupe", "--jobs", 1, "--fail", "--across")
    assert run(*command, train, test).status == 0
    shutil.copy(pictures["coins"], train / "again.png")
    assert run("dedupe", "--jobs", 1, "--fail", train, test).status == 1
    assert run(*command, train, test).status == 0
    shutil.copy(pictures["crop"], test)
    ended = run(*command, train, test, "--json")
    (group,) = ended.lines()
    assert ended.status == 1
    assert {Path(name).name for member in group["members"] for name in member["names"]} == {"chelsea.png", "crop.png"}
    assert "--across takes two FOLDERs, not 1" in run(*command, train).err
