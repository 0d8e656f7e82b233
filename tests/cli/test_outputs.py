"""No option that writes a file overwrites a picture that is read or indexed, or what is in an index."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from featmatch.cli import cli
from featmatch.cli.outputs import OutputArgument, OutputOption
from featmatch.system.files import sha256_of
from tests.cli.conftest import Run

# What takes a path of something to write, and is no such option: the service names the files of its folder itself.
OTHERS = {("serve", "--uploads"), ("serve", "--config")}


class Writing(NamedTuple):
    """A command, and an option of it (or an argument) that names what it writes."""

    command: str
    option: str
    metavar: str

    def line(self, target: Path, photos: Path, index: Path) -> list[object]:
        """A command line that reads the photos, and would write the target."""
        picture = photos / "chelsea.png"
        read: dict[str, list[object]] = {
            "query": [index, picture], "verify": [picture, photos / "coins.png"], "explain": [index, picture, picture],
            "groups": [index], "dedupe": [photos], "pairs": [index], "evaluate": [photos, "--count", 1],
            "train": [photos, "--words", 16],
        }  # fmt: skip
        if self.option.startswith("--"):
            return [self.command, *read[self.command], self.option, target]
        return [self.command, target, *read[self.command]]


def commands(group: click.Group, within: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield within + name, command
        if isinstance(command, click.Group):
            yield from commands(command, f"{within}{name} ")


def writing() -> list[Writing]:
    found = []
    for name, command in commands(cli):
        for param in command.params:
            if type(param.type) is click.Path and (name, param.opts[0]) not in OTHERS:
                assert isinstance(param, (OutputOption, OutputArgument)), f"{name} {param.opts[0]} is not guarded"
                found.append(Writing(name, param.opts[0], param.metavar or ""))
    return found


@pytest.fixture
def collection(pictures: dict[str, Path], index: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Photos, and an index of them."""
    photos, own = tmp_path / "photos", tmp_path / "photos.fm"
    shutil.copytree(pictures["collection"], photos)
    shutil.copytree(index, own)
    return photos, own


def state(folder: Path) -> dict[Path, str]:
    return {path: sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_there_are_such_options() -> None:
    found = {(one.command, one.option) for one in writing()}
    assert {("query", "--draw"), ("pairs", "--colmap"), ("evaluate", "--json"), ("train", "out")} <= found


@pytest.mark.parametrize("one", writing(), ids=lambda one: f"{one.command} {one.option}")
def test_nothing_is_written_over_what_is_read_or_indexed(
    one: Writing, run: Run, collection: tuple[Path, Path], pictures: dict[str, Path], tmp_path: Path
) -> None:
    photos, own = collection
    indexed = pictures["collection"] / "astronaut.png"  # the index knows it by this path
    targets = [own / "catalog.sqlite", own / "segments" / "new"]
    if one.metavar == "DIR":
        targets[1:1] = [own]
    else:
        (tmp_path / "link.png").symlink_to(photos / "chelsea.png")
        reads_index = one.line(photos, photos, own)[1] == own
        targets += [indexed] if reads_index else [photos / "chelsea.png", tmp_path / "link.png"]
    before = state(tmp_path), state(pictures["collection"])
    for target in targets:
        ended = run(*one.line(target, photos, own))
        assert ended.status == 2, target
        assert "would be overwritten" in ended.err or "lies in the index" in ended.err
        assert ended.out == ""
    assert (state(tmp_path), state(pictures["collection"])) == before


def test_drawings_that_were_indexed_are_kept(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    drawn = tmp_path / "drawn"
    query = ("query", own_index, pictures["chelsea"], "--draw", drawn)
    assert run(*query).status == 0
    assert run(*query).status == 0  # its own earlier drawings may go
    assert run("add", own_index, drawn).status == 0
    ended = run(*query)
    assert ended.status == 2 and "is in the index" in ended.err


def test_earlier_output_and_other_files_are_replaced(run: Run, collection: tuple[Path, Path], tmp_path: Path) -> None:
    photos, own = collection
    out = tmp_path / "proof.png"
    for _ in range(2):
        assert run("verify", photos / "chelsea.png", photos / "chelsea.png", "--draw", out).status == 0
    page = photos / "groups.html"  # beside the photos, but no image
    page.write_text("former")
    run("groups", own, "--html", page)
    assert "former" not in page.read_text()


def test_a_file_of_which_parts_are_indexed_is_kept(run: Run, collection: tuple[Path, Path], tmp_path: Path) -> None:
    photos, own = collection
    archive = shutil.make_archive(os.fspath(tmp_path / "packed"), "zip", photos)
    assert run("add", own, archive).status == 0
    ended = run("pairs", own, "--hloc", archive)
    assert ended.status == 2 and "is in the index" in ended.err
    several = tmp_path / "several.txt"
    several.write_text(f"{own}\n")
    ended = run("query", several, photos / "coins.png", "--parquet", archive)
    assert ended.status == 2 and "is in the index" in ended.err


def test_what_a_list_names_is_read(run: Run, collection: tuple[Path, Path], tmp_path: Path) -> None:
    photos, own = collection
    names = tmp_path / "names.txt"
    names.write_text(f"{photos / 'chelsea.png'}\n")
    ended = run("query", own, "--from", names, "--parquet", names)
    assert ended.status == 2 and "it is read" in ended.err
