"""The commands of a cluster, and those that take one in place of an index."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from featmatch.cluster.layout import Layout
from featmatch.store.layout import CLUSTER_FILE
from tests.cli.conftest import Run
from tests.cluster.engine import Workplace


@pytest.fixture(scope="module")
def made(pictures: dict[str, Path], vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster of three photos, made by hand. Not to be written to."""
    from click.testing import CliRunner

    from featmatch.cli import cli

    folder = tmp_path_factory.mktemp("cluster") / "photos.fmc"
    photos = [str(pictures[name]) for name in ("astronaut", "coins", "chelsea")]
    for command in (
        ["create", folder, "--shards", "3", "--vocabulary", vocabulary_file],
        ["add", folder, *photos, "--jobs", "1"],
    ):
        assert CliRunner().invoke(cli, ["cluster", *map(str, command)]).exit_code == 0
    return folder


def test_a_cluster_is_made_added_to_and_told_of(run: Run, made: Path, pictures: dict[str, Path]) -> None:
    (told,) = run("cluster", "status", made, "--json").lines()
    assert (told["images"], len(told["shards"]), told["replicas"]) == (3, 3, 2)
    lines = run("cluster", "status", made).out.splitlines()
    assert [line.split()[0] for line in lines] == ["shard", "shard-0000", "shard-0001", "shard-0002", "all"]
    assert lines[-1].split()[1:3] == ["4096", "3"]
    assert run("cluster", "check", made)[:2] == (0, "")
    ended = run("cluster", "create", made)
    assert (ended.status, "is a cluster already" in ended.err) == (2, True)


def test_it_stands_in_place_of_an_index(
    run: Run, made: Path, index: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = run("query", index, pictures["crop"], "--json").lines()
    (several,) = run("query", made, pictures["crop"], "--json").lines()
    (match,), (same,) = several["matches"], one["matches"]
    assert Path(match.pop("index")).parent == made
    assert match | {"id": 0} == same | {"id": 0}
    assert run("groups", made, "--jobs", "1").status == 1
    assert len(run("list", made).out.splitlines()) == 3
    (told,) = run("info", made, "--json").lines()
    assert told["images"] == 3
    one_by_one = [run("explain", one, pictures["crop"], same["name"], "--json").lines()[0] for one in (index, made)]
    assert one_by_one[0]["verdict"] == one_by_one[1]["verdict"]
    assert one_by_one[1]["lost"] is None
    monkeypatch.setenv("FEATMATCH_INDEX", str(index))
    (again,) = run("query", made, pictures["crop"], "--json").lines()
    assert "index" in again["matches"][0]
    monkeypatch.delenv("FEATMATCH_INDEX")
    listed = made.parent / "list.txt"
    listed.write_text(f"{made.name}\n")
    assert run("query", listed, pictures["crop"]).status == 0


def test_a_shard_is_split(run: Run, made: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(made, folder)
    ended = run("cluster", "split", folder, "1")
    assert (ended.status, ended.err) == (0, f"{folder}: 4 shards\n")
    assert len(Layout.read(folder).shards) == 4
    assert run("query", folder, pictures["crop"]).status == 0
    ended = run("cluster", "add", folder, pictures["chelsea"], tmp_path / "none.jpg", "--jobs", "1", "--json")
    assert (ended.status, json.loads(ended.out)["skipped"]) == (2, [str(pictures["chelsea"])])
    assert "added 0, skipped 1, failed 1" in ended.err
    (folder / CLUSTER_FILE).write_text("{}")
    assert run("cluster", "status", folder).status == 2
    shutil.rmtree(folder / "shard-0000")
    assert run("cluster", "check", folder).status == 2


def test_what_is_wrong_is_told(run: Run, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(made, folder)
    shutil.rmtree(folder / "shard-0000")
    ended = run("cluster", "check", folder)
    assert (ended.status, "shard-0000" in ended.out) == (1, True)


def test_machines_are_asked_if_told_so(
    run: Run, made: Path, index: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[object] = []

    def count(*given: object) -> int:
        seen.extend(given)
        return len(given) * 3

    monkeypatch.setattr("featmatch.cluster.ray_engine.connect", seen.append)
    monkeypatch.setattr("featmatch.cluster.ray_engine.start_replicas", count)
    monkeypatch.setattr("featmatch.cluster.ray_engine.stop_replicas", count)
    assert run("cluster", "serve", made, "--ray", "here:1").err == f"{made}: 6 replicas ready\n"
    assert run("cluster", "serve", made, "--stop").err == f"{made}: 3 replicas ended\n"
    assert seen == ["here:1", made, None, "auto", made]
    for command in (["query", index, pictures["crop"]], ["groups", index]):
        ended = run(*command, "--ray", "auto")
        assert (ended.status, "for one cluster" in ended.err) == (2, True)
    folder, place = tmp_path / "copy.fmc", Workplace()
    shutil.copytree(made, folder)
    monkeypatch.setattr("featmatch.cluster.ray_engine.RayWorkshop", lambda: place)
    ended = run("cluster", "add", folder, pictures["stranger"], "--ray", "there:1", "--json")
    assert (json.loads(ended.out)["added"], len(place.calls), seen[-1]) == ([str(pictures["stranger"])], 1, "there:1")


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        (["add", "INDEX", "PICTURE"], "featmatch cluster add"), (["check", "INDEX"], "featmatch cluster check"),
        (["compact", "INDEX"], "one of its shards"), (["pairs", "INDEX"], "featmatch groups"),
        (["accept", "INDEX", "PICTURE", "PICTURE"], "one of its shards"),
        (["reject", "INDEX", "PICTURE", "PICTURE"], "one of its shards"),
    ],
)  # fmt: skip
def test_what_takes_one_index_says_what_to_do_with_a_cluster(
    run: Run, made: Path, pictures: dict[str, Path], command: list[str], instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"INDEX": made, "PICTURE": pictures["coins"]}
    ended = run(*(places.get(word, word) for word in command))
    assert ended.status == 2
    assert ended.err.startswith(f"featmatch: {made} is a cluster: ")
    assert instead in ended.err
    assert ended.err.count("\n") == 1
    monkeypatch.setenv("FEATMATCH_INDEX", str(made))
    assert run(*(places.get(word, word) for word in command if word != "INDEX")) == ended


def test_the_likeness_to_all_images_is_told(run: Run, made: Path, pictures: dict[str, Path]) -> None:
    (told,) = run("similar", made, pictures["crop"], "--json").lines()
    assert len(told["similar"]) == 3
    assert {Path(one["index"]).parent for one in told["similar"]} == {made}
    distances = [one["distance"] for one in told["similar"]]
    assert distances == sorted(distances)
    assert run("similar", made, pictures["coins"]).out.splitlines()[2].split()[-1] == str(pictures["coins"])


def test_images_are_removed_wherever_they_are(run: Run, made: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy.fmc"
    shutil.copytree(made, folder)
    pattern = f"{str(pictures['coins'])[:-7]}*ns.*"
    ended = run("remove", folder, pattern, pictures["chelsea"], "nobody")
    assert (ended.status, ended.err) == (0, "featmatch: nobody: not in the index\nremoved 2\n")
    assert run("list", folder).out.splitlines() == run("list", made, "--match", "astronaut").out.splitlines()
    assert run("remove", folder, pictures["coins"]).status == 1
