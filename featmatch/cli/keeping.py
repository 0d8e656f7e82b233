"""The commands that make an index and look after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

import featmatch
from featmatch.cli import printing
from featmatch.cli.common import (
    FAILED,
    FOUND,
    NOTHING_FOUND,
    PathArgument,
    complain,
    complain_of_files,
    features_option,
    index_argument,
    jobs_option,
    json_option,
    match_option,
    max_pixels_option,
    name_meant,
    root_option,
    speed_option,
    tell,
    timeout_option,
    vocabulary_option,
    wait_option,
    wanted_features,
)
from featmatch.names import printable


@click.command()
@index_argument
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@features_option
@speed_option
@vocabulary_option
@jobs_option
@click.option("--text", help="Kept with each image that is added.")
@click.option("--pages", is_flag=True, help="All pages of TIFF and PDF files, as FILE#page=N, not the first only.")
@timeout_option
@max_pixels_option
@root_option
@click.option("--prune", is_flag=True, help="Take out what INDEX has below PATH..., but is no more.")
@wait_option
def add(
    index: Path, paths: Sequence[str], features: str | None, speed: str | None, vocabulary: str | None, jobs: int,
    text: str | None, pages: bool, timeout: float, max_pixels: int, root: str | None, prune: bool, wait: bool,
) -> int:  # fmt: skip
    """Index files and folders (recursively), creating INDEX if needed.

    What is there and unchanged is skipped, so running it again resumes. With --root, INDEX keeps names relative to that
    folder: when the collection has moved, say where it is now, once. Without, names are the paths as given; relative
    ones as seen from where the first `add` ran.
    """
    from featmatch.cli.progress import images_bar

    wanted = wanted_features(features, speed)
    opened = featmatch.Index.open(index, create=True, features=wanted, vocabulary=vocabulary, root=root)
    with images_bar() as progress:
        report = opened.add(
            paths, jobs=jobs, text=text, timeout=timeout, max_pixels=max_pixels, pages=pages, prune=prune, wait=wait,
            progress=progress,
        )  # fmt: skip
    for failure in report.failed:
        complain(f"{printable(failure.name)}: {failure.status}: {failure.message}")
    for name in report.damaged:
        complain(f"{printable(name)}: damaged: the file is cut short, and was read as far as it goes")
    for name in report.vanished:
        complain(f"{printable(name)}: vanished, taken out")
    complain_of_files(opened)
    vanished = f", vanished {len(report.vanished)}" if prune else ""
    tell(f"added {len(report.added)}, skipped {len(report.skipped)}, failed {len(report.failed)}{vanished}")
    asked_for = {os.path.normpath(path) for path in paths}  # what a folder holds beside good images is no error
    return FAILED if any(failure.name in asked_for for failure in report.failed) else FOUND


_clear_option = click.option(
    "--clear", is_flag=True, help="Take back what was said of A and B, be it this or the other."
)


@click.command()
@index_argument
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@wait_option
def remove(index: Path, names: Sequence[str], wait: bool) -> int:
    """Take images out of INDEX, by their names as `list` prints them, or by their paths. No file is deleted."""
    opened = featmatch.Index.open(index)
    meant = [name_meant(opened, name) for name in names]
    gone = opened.remove(meant, wait=wait)
    for name in meant:
        if name not in gone:
            complain(f"{printable(name)}: not in the index")
    tell(f"removed {len(gone)}")
    return FOUND if gone else NOTHING_FOUND


@click.command()
@index_argument
@click.argument("a")
@click.argument("b")
@_clear_option
@wait_option
def reject(index: Path, a: str, b: str, clear: bool, wait: bool) -> int:
    """Remember that A and B (names in INDEX, or files) are no copies of one another, whatever the evidence says.

    Kept by what is in the files, whatever they are called later.
    """
    return _judge(index, a, b, False, clear, wait)


@click.command()
@index_argument
@click.argument("a")
@click.argument("b")
@_clear_option
@wait_option
def accept(index: Path, a: str, b: str, clear: bool, wait: bool) -> int:
    """Remember that A and B (names in INDEX, or files) are copies of one another, however short the evidence is.

    Kept by what is in the files, whatever they are called later.
    """
    return _judge(index, a, b, True, clear, wait)


def _judge(index: Path, a: str, b: str, is_copy: bool, clear: bool, wait: bool) -> int:
    opened = featmatch.Index.open(index)
    a, b = name_meant(opened, a), name_meant(opened, b)
    if clear:
        return FOUND if opened.forget(a, b, wait=wait) else NOTHING_FOUND
    (opened.accept if is_copy else opened.reject)(a, b, wait=wait)
    return FOUND


@click.command("list")
@index_argument
@match_option
@json_option
def list_(index: Path, match: str | None, as_json: bool) -> int:
    """Print the name of each image in INDEX, one a line."""
    count = 0
    for record in featmatch.Index.open(index).images(match):
        count += 1
        if as_json:
            printing.print_object(vars(record))
        else:
            printing.say(printable(record.name))
    return FOUND if count else NOTHING_FOUND


@click.command()
@index_argument
@json_option
def info(index: Path, as_json: bool) -> int:
    """Say what INDEX holds, and how big it is."""
    found = featmatch.Index.open(index).info()
    if as_json:
        printing.print_object(vars(found))
    else:
        for name, value in vars(found).items():
            printing.say(f"{name:<12}{value}")
    return FOUND


@click.command()
@index_argument
@wait_option
def compact(index: Path, wait: bool) -> int:
    """Merge the parts of INDEX, and free what removed images take. Answers stay the same."""
    opened = featmatch.Index.open(index)
    before = opened.info()
    opened.compact(wait=wait)
    after = opened.info()
    tell(
        f"segments {before.segments} -> {after.segments}, bytes {before.bytes} -> {after.bytes}, "
        f"removed images {before.removed} -> {after.removed}"
    )
    return FOUND


@click.command()
@index_argument
@click.option("--repair", is_flag=True, help="Take out what is damaged, and say what was done.")
@wait_option
def check(index: Path, repair: bool, wait: bool) -> int:
    """Compare all files of INDEX with their checksums and with one another. Exit status 1: something is wrong.

    --repair takes damaged parts out; the next `add` of the same paths indexes their images anew.
    """
    report = featmatch.check(index, repair=repair, wait=wait)
    for problem in report.problems:
        printing.say(problem)
    for done in report.repairs:
        complain(done)
    for leftover in [] if repair else report.leftovers:
        complain(f"{printable(leftover)}: of a writer that was interrupted (or is at work); does no harm")
    for stranger in report.foreign:
        complain(f"{printable(stranger)}: is nothing of an index; left alone")
    if report.queued:
        complain(f"{len(report.queued)} images wait to be added again: featmatch add {index} PATH...")
    complain("clean" if report else f"{len(report.remaining)} problems")
    return FOUND if report else NOTHING_FOUND
