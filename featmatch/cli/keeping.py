"""The commands that create and maintain an index."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import featmatch
from featmatch.cli.common import (
    CLUSTER_FILE,
    FAILED,
    FOUND,
    NOTHING_FOUND,
    PathArgument,
    complain,
    complain_of_files,
    count_of,
    features_option,
    index_argument,
    jobs_option,
    json_option,
    match_option,
    max_pixels_option,
    name_meant,
    open_reader,
    root_option,
    speed_option,
    tell,
    timeout_option,
    vocabulary_option,
    wait_option,
    wanted_features,
)
from featmatch.cli.printing import print_object, say, size_of
from featmatch.names import printable
from featmatch.system.progress import of_stage

if TYPE_CHECKING:
    from featmatch.adding.batches import AddReport
    from featmatch.store.info import IndexInfo


@click.command()
@index_argument
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@features_option
@speed_option
@vocabulary_option
@jobs_option
@click.option("--text", help="Text to store with each image that is added; --match searches it.")
@click.option(
    "--pages", is_flag=True, help="Index all pages of TIFF and PDF files, as FILE#page=N, not only the first."
)
@click.option(
    "--pictures/--no-pictures",
    default=None,
    help="Keep a small grey picture of each image that is added, which any recipient of INDEX can see (default), or "
    "none. INDEX remembers the choice.",
)
@timeout_option
@max_pixels_option
@root_option
@click.option("--prune", is_flag=True, help="Remove images below PATH from INDEX if their files are gone.")
@wait_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Tell of failed images only.")
@click.option("-v", "--verbose", is_flag=True, help="Tell of each image what became of it.")
def add(
    index: Path, paths: Sequence[str], features: str | None, speed: str | None, vocabulary: str | None, jobs: int,
    text: str | None, pages: bool, pictures: bool | None, timeout: float, max_pixels: int, root: str | None,
    prune: bool, wait: bool, as_json: bool, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Index files and whole folders; INDEX is made if need be.

    PATH may also be an archive (.zip, .tar), an http or https address, other storage (as s3://bucket/photos), or a
    table (.parquet, .arrow), also a folder of these, as Hugging Face's datasets has them. An address, or a .json file,
    may be that of an IIIF manifest or collection: the pictures of its canvases are fetched at the working size.

    Files that INDEX has and that are unchanged are skipped, so running `add` again continues an interrupted run.

    Images are named by their paths as given. INDEX stores the folder that relative names start from: FOLDER with
    --root, else the working directory of the first `add`. If the collection was moved, give its new --root once.
    """
    from featmatch.adding.batches import AddReport
    from featmatch.adding.from_elsewhere import add_from_elsewhere
    from featmatch.cli.progress import progress_bars
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import is_from_elsewhere

    wanted = wanted_features(features, speed)
    opened = featmatch.Index.open(index, create=True, features=wanted, vocabulary=vocabulary, root=root)
    elsewhere = [path for path in paths if is_from_elsewhere(path)]
    here = [path for path in paths if path not in elsewhere]
    with progress_bars(" images", hidden=quiet) as progress:
        how: dict[str, Any] = {
            "jobs": jobs, "text": text, "timeout": timeout, "max_pixels": max_pixels, "wait": wait,
            "pictures": pictures, "progress": of_stage(progress, "indexing"),
        }  # fmt: skip
        report = AddReport()
        if here:
            report.include(opened.add(here, pages=pages, prune=prune, **how))
        if elsewhere:
            add_images = partial(opened.add_images, **how)
            decoding = DecodingOptions(timeout, max_pixels)
            report.include(add_from_elsewhere(elsewhere, opened, add_images, decoding, text))
    if as_json:
        print_object(asdict(report))
    for name, done in [(name, "added") for name in report.added] + [(name, "skipped") for name in report.skipped]:
        if verbose:
            tell(f"{printable(name)}: {done}")
    for failure in report.failed:
        complain(f"{printable(failure.name)}: {failure.status}: {failure.message}")
    if not quiet:
        _tell_of_addition(report, vanished=prune)
    complain_of_files(opened)
    asked_for = {*paths, *map(os.path.normpath, paths)}  # an unreadable file found in a folder is no error
    return FAILED if any(failure.name in asked_for for failure in report.failed) else FOUND


def _tell_of_addition(report: AddReport, *, vanished: bool) -> None:
    for name in report.damaged:
        complain(f"{printable(name)}: damaged: the file is cut short; the part that is there was read")
    for name in report.vanished:
        complain(f"{printable(name)}: vanished: removed from the index")
    more = f", vanished {len(report.vanished)}" if vanished else ""
    tell(f"added {len(report.added)}, skipped {len(report.skipped)}, failed {len(report.failed)}{more}")


@click.command()
@index_argument
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option(
    "--under", "folders", multiple=True, type=PathArgument(), metavar="FOLDER",
    help="Remove all images below FOLDER; repeatable.",
)  # fmt: skip
@wait_option
def remove(index: Path, names: Sequence[str], folders: Sequence[str], wait: bool) -> int:
    """Remove images from INDEX; no file is deleted.

    NAME is a name as `list` prints it, the path of a file, or a pattern of names: 'photos/2019/*.jpg', where * is
    anything, ? one character, and [abc] one of these. Quote patterns, or the shell takes them for its own.
    """
    if not names and not folders:
        raise click.UsageError("a NAME is wanted, or --under FOLDER")
    from featmatch.store.removal import names_fitting, names_under

    opened = open_reader(index) if (index / CLUSTER_FILE).is_file() else featmatch.Index.open(index)
    found = {name: names_fitting(opened, name_meant(opened, name)) for name in names}
    below = {f"--under {folder}": names_under(opened, folder) for folder in folders}
    wanted = [name for meant in (found | below).values() for name in meant]
    if isinstance(opened, featmatch.Index):
        removed = opened.remove(wanted, wait=wait)
    else:
        from featmatch.cluster.writing import remove_from_cluster

        removed = remove_from_cluster(index, wanted, wait=wait)
    for name, meant in (found | below).items():
        if not any(one in removed for one in meant):
            complain(f"{printable(name)}: not in the index")
    tell(f"removed {len(removed)}")
    return FOUND if removed else NOTHING_FOUND


def _verdict_command(name: str, *, is_copy: bool, explained: str) -> click.Command:
    @click.command(name, help=explained)
    @index_argument
    @click.argument("a")
    @click.argument("b")
    @click.option("--clear", is_flag=True, help="Remove any verdict on A and B.")
    @wait_option
    def judge(index: Path, a: str, b: str, clear: bool, wait: bool) -> int:
        opened = featmatch.Index.open(index)
        a, b = name_meant(opened, a), name_meant(opened, b)
        if clear:
            return FOUND if opened.forget(a, b, wait=wait) else NOTHING_FOUND
        (opened.accept if is_copy else opened.reject)(a, b, wait=wait)
        return FOUND

    return judge


_VERDICT = """Record that A and B {}.

From then on `query` {}. A and B are names in INDEX, or files. The verdict is stored for their content, so it survives
renaming.
"""

reject = _verdict_command(
    "reject",
    is_copy=False,
    explained=_VERDICT.format("are not copies", "no longer reports the pair, however strong the evidence"),
)
accept = _verdict_command(
    "accept",
    is_copy=True,
    explained=_VERDICT.format("are copies", "reports the pair on any geometric evidence, however weak"),
)


@click.command("list")
@index_argument
@match_option
@json_option
def list_(index: Path, match: str | None, as_json: bool) -> int:
    """Print the names of the images in INDEX, one per line."""
    count = 0
    for record in open_reader(index).images(match):
        count += 1
        if as_json:
            print_object(vars(record))
        else:
            say(printable(record.name))
    return FOUND if count else NOTHING_FOUND


@click.command()
@index_argument
@json_option
def info(index: Path, as_json: bool) -> int:
    """Print what INDEX holds, and how large it is."""
    found = open_reader(index).info()
    if as_json:
        print_object(vars(found))
    else:
        _say_info(found)
    return FOUND


def _say_info(found: IndexInfo) -> None:
    said = {name: size_of(getattr(found, name)) for name in ("bytes", "picture_bytes")}
    explained = {
        "removed": "take room until `featmatch compact`" if found.removed else "",
        "queued": "their features were lost: `featmatch add` their files again" if found.queued else "",
        "root": "names are relative to it" if found.root else "",
        "base": "relative names are relative to it" if found.base else "",
    }
    for name, value in vars(found).items():
        shown = said.get(name) or (f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value))
        more = f"  ({explained[name]})" if explained.get(name) else ""
        say(f"{name:<14}{printable(shown)}{more}")


@click.command()
@index_argument
@wait_option
def compact(index: Path, wait: bool) -> int:
    """Merge the segments of INDEX, and free unused space.

    The data of removed images is dropped. Answers stay the same.
    """
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
@click.option("--repair", is_flag=True, help="Remove what is damaged, and report what was done.")
@wait_option
def check(index: Path, repair: bool, wait: bool) -> int:
    """Check INDEX for damage.

    Compares all its files with their checksums and with one another. Exit status 1: something is wrong.

    --repair removes damaged parts; the next `add` of the same paths indexes their images again.
    """
    report = featmatch.check(index, repair=repair, wait=wait)
    for problem in report.problems:
        say(problem)
    for done in report.repairs:
        complain(done)
    for leftover in [] if repair else report.leftovers:
        complain(f"{printable(leftover)}: left by an interrupted (or running) writer; harmless")
    for stranger in report.foreign:
        complain(f"{printable(stranger)}: not part of an index; left alone")
    if report.queued:
        complain(f"{count_of(len(report.queued), 'image')} to be added again: featmatch add {index} PATH...")
    complain("clean" if report else count_of(len(report.remaining), "problem"))
    return FOUND if report else NOTHING_FOUND
