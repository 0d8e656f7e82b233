"""The command line: parse, call, print."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import featmatch
from featmatch import tables
from featmatch.errors import FeatmatchError, ImageError
from featmatch.quiet import keep_decoders_quiet

if TYPE_CHECKING:
    from featmatch.answers import Matches, Verification

FOUND, NOTHING_FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
_DETECTORS = ("sift", "akaze", "orb", "brisk", "kaze", "surf")
_SUITES = ("random", "single", "crops", "hard")

_features = click.option(
    "--features", type=click.Choice(_DETECTORS), default=None, help="Kind of features.  [default: sift]"
)
_vocabulary = click.option("--vocabulary", type=click.Path(), help="Vocabulary file.  [default: the shipped one]")
_jobs = click.option(
    "--jobs", type=int, default=-1, metavar="N", help="Processes; -1: one for each core.  [default: -1]"
)
_root = click.option(
    "--root",
    type=click.Path(),
    metavar="FOLDER",
    help="Where the collection is now; names are relative to this folder.  [default: as INDEX keeps it]",
)
_wait = click.option("--wait", is_flag=True, help="Wait for another writer to end, rather than failing at once.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_index = click.argument("index", type=click.Path(path_type=Path))


class _Commands(click.Group):
    """Commands whose expected failures are one line on standard error and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except FeatmatchError as error:
            _complain(str(error))
            context.exit(FAILED)
        except MemoryError:
            _complain("out of memory")
            context.exit(FAILED)

    def list_commands(self, context: click.Context) -> list[str]:
        del context
        return list(self.commands)  # in the order of their use, not of the alphabet


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(featmatch.__version__, prog_name="featmatch")
def cli() -> None:
    """Find the photo that a cropped, rotated, mirrored or pasted picture came from, with proof.

    INDEX is a directory. Exit status: 0 something was found (or the work was done), 1 nothing was found, 2 an error.
    """


@cli.command()
@_index
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_features
@_vocabulary
@_jobs
@click.option("--text", help="Kept with each image that is added.")
@click.option("--pages", is_flag=True, help="All pages of TIFF and PDF files, as FILE#page=N, not the first only.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
    help="For each image; one that takes longer has failed.",
)  # fmt: skip
@_root
@click.option("--prune", is_flag=True, help="Take out what INDEX has below PATH..., but is no more.")
@_wait
def add(
    index: Path, paths: Sequence[str], features: str | None, vocabulary: str | None, jobs: int, text: str | None,
    pages: bool, timeout: float, root: str | None, prune: bool, wait: bool,
) -> int:  # fmt: skip
    """Index files and folders (recursively), creating INDEX if needed.

    What is there and unchanged is skipped, so running it again resumes. With --root, INDEX keeps names relative to that
    folder: when the collection has moved, say where it is now, once.
    """
    from featmatch.progress import images_bar

    opened = featmatch.Index.open(index, create=True, features=features, vocabulary=vocabulary, root=root)
    with images_bar() as progress:
        report = opened.add(
            paths, jobs=jobs, text=text, timeout=timeout, pages=pages, prune=prune, wait=wait, progress=progress
        )
    for failure in report.failed:
        _complain(f"{tables.printable(failure.name)}: {failure.status}: {failure.message}")
    for name in report.vanished:
        _complain(f"{tables.printable(name)}: vanished, taken out")
    vanished = f", vanished {len(report.vanished)}" if prune else ""
    click.echo(
        f"added {len(report.added)}, skipped {len(report.skipped)}, failed {len(report.failed)}{vanished}", err=True
    )
    asked_for = {os.path.normpath(path) for path in paths}  # what a folder holds beside good images is no error
    return FAILED if any(failure.name in asked_for for failure in report.failed) else FOUND


@cli.command()
@_index
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Matches for each image.")
@_as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.option("--all", "unproven", is_flag=True, help="Show candidates as well that are not proven.")
@click.option("--draw", type=click.Path(path_type=Path), metavar="DIR", help="Draw each match into this folder.")
@_root
def query(
    index: Path, images: Sequence[str], limit: int, as_json: bool, as_csv: bool, unproven: bool, draw: Path | None,
    root: str | None,
) -> int:  # fmt: skip
    """Find what each IMAGE is a copy of, in whole or in part."""
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    opened = featmatch.Index.open(index, root=root)
    show: Callable[[str, Matches], None] = (
        tables.print_json if as_json else tables.CsvPrinter() if as_csv else tables.print_table
    )
    status = NOTHING_FOUND
    failed = False
    for number, name in enumerate(images, 1):
        try:
            matches = opened.query(name, limit=limit, unproven=unproven)
        except ImageError as error:
            from featmatch.answers import Matches

            _complain(f"{tables.printable(name)}: {error.status}: {error}")
            matches, failed = Matches(status=error.status), True
        show(name, matches)
        if any(match.proven for match in matches):
            status = FOUND
        if draw is not None:
            _draw_all(draw, number, name, matches, opened.path_of)
    return FAILED if failed else status


@cli.command()
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@_features
@_as_json
@click.option("--draw", type=click.Path(path_type=Path), metavar="FILE", help="Draw the answer into this picture.")
def verify(a: str, b: str, features: str | None, as_json: bool, draw: Path | None) -> int:
    """Say whether image A is a copy of image B, in whole or in part."""
    proof: Verification = featmatch.verify(a, b, features=features or "sift")
    if as_json:
        tables.print_object(proof.to_dict())
    else:
        click.echo(tables.sentence(a, b, proof))
    if draw is not None:
        _save(proof.draw(), draw)
    return FOUND if proof else NOTHING_FOUND


@cli.command()
@_index
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_wait
def remove(index: Path, names: Sequence[str], wait: bool) -> int:
    """Take images out of INDEX, by their names as `list` prints them. No file is deleted.

    A name with a newline in it is printed whole by `list --json`.
    """
    gone = featmatch.Index.open(index).remove(names, wait=wait)
    for name in names:
        if name not in gone:
            _complain(f"{tables.printable(name)}: not in the index")
    click.echo(f"removed {len(gone)}", err=True)
    return FOUND if gone else NOTHING_FOUND


@cli.command("list")
@_index
@_as_json
def list_(index: Path, as_json: bool) -> int:
    """Print the name of each image in INDEX, one a line."""
    count = 0
    for record in featmatch.Index.open(index).images():
        count += 1
        if as_json:
            tables.print_object(vars(record))
        else:
            click.echo(tables.printable(record.name))
    return FOUND if count else NOTHING_FOUND


@cli.command()
@_index
@_as_json
def info(index: Path, as_json: bool) -> int:
    """Say what INDEX holds, and how big it is."""
    found = featmatch.Index.open(index).info()
    if as_json:
        tables.print_object(vars(found))
    else:
        for name, value in vars(found).items():
            click.echo(f"{name:<12}{value}")
    return FOUND


@cli.command()
@_index
@_wait
def compact(index: Path, wait: bool) -> int:
    """Merge the parts of INDEX, and free what removed images take. Answers stay the same."""
    opened = featmatch.Index.open(index)
    before = opened.info()
    opened.compact(wait=wait)
    after = opened.info()
    click.echo(
        f"segments {before.segments} -> {after.segments}, bytes {before.bytes} -> {after.bytes}, "
        f"removed images {before.removed} -> {after.removed}",
        err=True,
    )
    return FOUND


@cli.command()
@_index
@click.option("--repair", is_flag=True, help="Take out what is damaged, and say what was done.")
@_wait
def check(index: Path, repair: bool, wait: bool) -> int:
    """Compare all files of INDEX with their checksums and with one another. Exit status 1: something is wrong.

    --repair takes damaged parts out; the next `add` of the same paths indexes their images anew.
    """
    report = featmatch.check(index, repair=repair, wait=wait)
    for problem in report.problems:
        click.echo(tables.printable(problem))
    for done in report.repairs:
        _complain(tables.printable(done))
    for leftover in [] if repair else report.leftovers:
        _complain(f"{tables.printable(leftover)}: of a writer that was interrupted (or is at work); does no harm")
    if report.queued:
        _complain(f"{len(report.queued)} images wait to be added again: featmatch add {index} PATH...")
    _complain("clean" if report else f"{len(report.remaining)} problems")
    return FOUND if report else NOTHING_FOUND


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_features
@click.option("--words", type=int, default=65_536, show_default=True, help="Number of visual words.")
@click.option(
    "--word-search", type=click.Choice(["two-level", "flann"]), default="two-level", show_default=True,
    help="How words are found.",
)  # fmt: skip
@_jobs
def train(out: Path, paths: Sequence[str], features: str | None, words: int, word_search: str, jobs: int) -> int:
    """Train a vocabulary on the images at PATH..., and write it to the file OUT.

    Until it is done, nothing is written to OUT.
    """
    from featmatch.progress import stages_bar

    if not out.absolute().parent.is_dir():  # better said now than after an hour
        raise FeatmatchError(f"cannot write {out}: no such folder")
    options = featmatch.TrainingOptions(words=words, search=word_search)
    with stages_bar() as progress:
        vocabulary = featmatch.train_vocabulary(
            paths, features=features or "sift", options=options, jobs=jobs, progress=progress
        )
    vocabulary.save(out)
    click.echo(f"{out}: {len(vocabulary)} words from {vocabulary.provenance['images']} images", err=True)
    return FOUND


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--distractors", type=click.Path(), multiple=True, metavar="PATH", help="Index this as well; repeatable.")
@_features
@_vocabulary
@click.option(
    "--suite", "suites", type=click.Choice([*_SUITES, "all"]), multiple=True, default=["random"], show_default=True,
    help="What is tried: compositions of edits, edits alone, crops, look-alikes; repeatable.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), default=300, show_default=True, help="Positives of each suite.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all chance.")
@_jobs
@click.option("--index", type=click.Path(path_type=Path), metavar="DIR", help="Keep the index here, to use it again.")
@click.option(
    "--twins", type=click.Path(path_type=Path), metavar="FILE", help="Known copies: two names a line, a tab between."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write report and records.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with plots.")
def evaluate(
    paths: Sequence[str], distractors: Sequence[str], features: str | None, vocabulary: str | None,
    suites: Sequence[str], count: int, seed: int, jobs: int, index: Path | None, twins: Path | None,
    json_file: Path | None, html_file: Path | None,
) -> int:  # fmt: skip
    """Say how well edited copies of the photos at PATH... are found, how fast, and how big it gets.

    One half of the photos is indexed: edited copies of these should be found. Edited copies of the other half, as many,
    should not. Processes side by side disturb each other's times: use --jobs 1 to measure them.
    """
    from featmatch.evaluation import report, running
    from featmatch.evaluation.trials import SUITES, EvaluationOptions, read_twins
    from featmatch.progress import stages_bar

    options = EvaluationOptions(SUITES if "all" in suites else tuple(suites), count, seed)
    pairs = read_twins(twins) if twins else []
    with contextlib.ExitStack() as stack:
        workspace = index or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featmatch-")))
        with stages_bar() as progress:
            done = running.evaluate(
                paths, workspace, options, distractors=distractors, features=features, vocabulary=vocabulary,
                twins=pairs, jobs=jobs, progress=progress,
            )  # fmt: skip
        found = report.report_of(done)
        click.echo(report.text_of(found))
        if json_file is not None:
            _write(json_file, json.dumps(report.without_nan(found)) + "\n")
        if html_file is not None:
            from featmatch.evaluation.page import page_of

            _write(html_file, page_of(found, done, workspace))
    return FOUND


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FeatmatchError(f"cannot write {target}: {error.strerror}") from error


def _draw_all(folder: Path, number: int, query_name: str, matches: Matches, path_of: Callable[[str], str]) -> None:
    from featmatch.drawing import draw_match

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatmatchError(f"cannot draw into {folder}: {error.strerror}") from error
    for place, match in enumerate(matches, 1):
        target = folder / f"{number:04d}-{place:02d}-{Path(query_name).stem[:80]}.jpg"
        try:
            _save(draw_match(query_name, path_of(match.name), match), target)
        except ImageError as error:
            _complain(f"cannot draw {tables.printable(match.name)}: {error}")
        else:
            click.echo(f"drawn: {tables.printable(str(target))}", err=True)


def _save(picture: Any, target: Path) -> None:
    from PIL import Image

    try:
        Image.fromarray(picture).save(target)
    except (OSError, ValueError) as error:
        raise FeatmatchError(f"cannot write {target}: {error}") from error


def _complain(message: str) -> None:
    click.echo(f"featmatch: {message}", err=True)


def main() -> None:
    """Run the command line and exit with its status."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the processes it starts; results say what went wrong
    keep_decoders_quiet()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    try:
        status = cli(standalone_mode=False, prog_name="featmatch")
    except click.ClickException as error:
        error.show()
        status = FAILED
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted; what was committed stays, and running it again goes on")
        status = INTERRUPTED
    sys.exit(status)
