"""The commands that look for copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import featmatch
from featmatch.cli.common import (
    FAILED,
    FORMS,
    FOUND,
    NOTHING_FOUND,
    PathArgument,
    also_option,
    complain,
    complain_of_files,
    features_option,
    forms_option,
    index_argument,
    jobs_option,
    json_option,
    match_option,
    max_pixels_option,
    name_meant,
    open_indexes,
    open_reader,
    path_of_match,
    ray_option,
    root_option,
    save,
    tell,
    timeout_option,
)
from featmatch.cli.outputs import OutputOption, parquet_option
from featmatch.cli.parquet import ParquetFile
from featmatch.cli.printing import print_object
from featmatch.cli.results import (
    MatchesCsv,
    match_rows,
    print_explanation,
    print_matches_json,
    print_matches_table,
    print_similar_table,
    print_verification,
    query_columns,
)
from featmatch.errors import FeatmatchError, ImageError
from featmatch.names import printable
from featmatch.system.workers import prepare

if TYPE_CHECKING:
    from featmatch.features.forms import Forms
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import NamedPicture
    from featmatch.proof.verified import Verification
    from featmatch.search.matches import Match, Matches
    from featmatch.search.similar import By

_DECODERS = "featmatch.images.preload"  # loaded in the process that will decode, while this one loads the rest
_COMPARED = "pixels were compared only as far as INDEX keeps small pictures of them"  # of images whose files are away


@click.command()
@index_argument
@also_option
@click.argument("images", nargs=-1, type=PathArgument(), metavar="IMAGE...")
@click.option(
    "--from",
    "lists",
    multiple=True,
    type=PathArgument(),
    metavar="FILE",
    help="Query the images named in FILE, too: one a line, or each ended by a NUL; -: on standard input.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Most matches to show for each image."
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header, one row per match.")
@parquet_option
@click.option("--all", "unproven", is_flag=True, help="Show unproven candidates too.")
@click.option("--related", is_flag=True, help="Show images of the same template or scene too: no copies.")
@match_option
@forms_option
@click.option("--draw", cls=OutputOption, metavar="DIR", help="Write a picture of each match into this folder.")
@jobs_option
@timeout_option
@max_pixels_option
@root_option
@ray_option
def query(
    index: Path, also: Sequence[Path], images: Sequence[str], lists: Sequence[str], limit: int, as_json: bool,
    as_csv: bool, parquet: Path | None, unproven: bool, related: bool, match: str | None, forms: Forms,
    draw: Path | None, jobs: int, timeout: float, max_pixels: int, root: str | None,
    ray: str | None,
) -> int:  # fmt: skip
    """Find what each IMAGE is a copy of, in whole or in part.

    IMAGE is a file; a folder or an archive (.zip, .tar), for all images in it; an http or https address; or -, for an
    image on standard input. The images in INDEX are searched. INDEX may be a text file that lists several indexes, one
    a line: they are asked as if they were one. Many IMAGEs are shared between processes (--jobs). Answers come in the
    order of the IMAGEs, each as soon as it and those before it are there.

    Exit status: 0 a match was found, 1 none was found, 2 an error, such as an IMAGE that cannot be read, or one of
    several indexes that did not answer.
    """
    if as_json and as_csv:
        raise click.UsageError("use only one of --json and --csv")
    if not images and not lists:
        raise click.UsageError("an IMAGE is wanted, or --from FILE")
    prepare(_DECODERS)
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import check_input_once, names_in, pictures_named
    from featmatch.search.answering import answer_each

    asked_for = [*images, *(name for file in lists for name in names_in(file))]
    check_input_once([*asked_for, *lists])
    opened = open_indexes(index, also, root, ray)
    several = not isinstance(opened, featmatch.Index)
    show: Callable[[str, Matches], None] = partial(print_matches_table, related=related)
    if as_json or as_csv:
        show = print_matches_json if as_json else MatchesCsv(several=several)
    table = None if parquet is None else ParquetFile(parquet, query_columns(several=several))
    decoding = DecodingOptions(timeout, max_pixels)
    query_many = partial(
        opened.query_many, jobs=jobs, limit=limit, unproven=unproven, match=match, forms=forms,
        timeout=timeout, max_pixels=max_pixels,
    )  # fmt: skip
    must_be_read = set(asked_for)  # an unreadable file found in a folder is no error
    status = NOTHING_FOUND
    failed = False
    away: set[str] = set()
    answers = answer_each(pictures_named(asked_for, decoding), query_many)
    for number, (picture, matches) in enumerate(answers, 1):
        name = picture.name
        if matches.message:
            complain(f"{printable(name)}: {matches.status}: {matches.message}")
            failed |= name in must_be_read
        for one in matches.missing:
            complain(f"{printable(name)}: {matches.status}: {printable(one)} did not answer")
            failed = True
        show(name, matches)
        if table is not None:
            for row in match_rows(name, matches):
                table.add(row)
        away.update(matches.not_at_hand)
        if any(found.proven for found in matches):
            status = FOUND
        if draw is not None:
            _draw_all(draw, number, picture, matches, partial(path_of_match, opened), decoding)
    if table is not None:
        table.write()
    complain_of_files(opened, len(away), _COMPARED)
    return FAILED if failed else status


@click.command()
@index_argument
@click.argument("image", type=PathArgument())
@click.option(
    "--by", type=click.Choice(["phash", "colour", "layout"]), default="phash", show_default=True,
    help="What is compared: perceptual hashes, colours, or where it is light and dark.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Most images to show.")
@json_option
@timeout_option
@max_pixels_option
def similar(
    index: Path, image: str, by: By, limit: int, as_json: bool, timeout: float, max_pixels: int
) -> int:  # fmt: skip
    """Rank the images in INDEX by their likeness to IMAGE.

    They are compared as a whole. The smallest distance comes first, and no claim is made: there always is a first.
    `query` says what is a copy. By phash the distance is the number of bits that differ, 0 to 64; by colour 0 to 1; by
    layout 0 to 2. Turned and mirrored pictures do not look alike. IMAGE is a file, an http or https address, or - for
    standard input.
    """
    prepare(_DECODERS)
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import picture_named

    source = picture_named(image, DecodingOptions(timeout, max_pixels))
    opened = open_indexes(index, (), None)
    found = opened.similar(source, by=by, limit=limit, timeout=timeout, max_pixels=max_pixels)
    if as_json:
        print_object({"query": image, "by": by, "similar": [one.to_dict() for one in found]})
    else:
        print_similar_table(image, by, found)
    return FOUND if found else NOTHING_FOUND


@click.command()
@click.argument("a", type=PathArgument())
@click.argument("b", type=PathArgument())
@features_option
@json_option
@click.option("--draw", cls=OutputOption, metavar="FILE", help="Write a picture of the result to this file.")
@click.option(
    "--forms",
    type=click.Choice(FORMS),
    default="all",
    show_default=True,
    help="Other forms of an image to try if nothing is proven: stretched, enlarged, sharpened and so on.",
)
@timeout_option
@max_pixels_option
def verify(
    a: str, b: str, features: str | None, as_json: bool, draw: Path | None, forms: Forms, timeout: float,
    max_pixels: int,
) -> int:  # fmt: skip
    """Check whether one of the images A and B is a copy of the other.

    A copy may show the whole of the other image or a part of it. A and B are files, http or https addresses, or -, for
    an image on standard input.
    """
    prepare(_DECODERS)
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import check_input_once, picture_named

    check_input_once([a, b])
    one, other = (picture_named(name, DecodingOptions(timeout, max_pixels)) for name in (a, b))
    proof: Verification = featmatch.verify(
        one, other, features=features or "sift", forms=forms, timeout=timeout, max_pixels=max_pixels
    )
    if as_json:
        print_object({**proof.to_dict(), "name": b if proof.proof else None})
    else:
        print_verification(a, b, proof)
    if draw is not None:
        save(proof.draw(), draw)
    return FOUND if proof else NOTHING_FOUND


@click.command()
@index_argument
@click.argument("query", type=PathArgument())
@click.argument("name")
@json_option
@click.option(
    "--draw",
    cls=OutputOption,
    metavar="FILE",
    help="Write a picture of the matching features to this file: kept ones green, dropped ones red.",
)
@timeout_option
@max_pixels_option
@root_option
def explain(
    index: Path, query: str, name: str, as_json: bool, draw: Path | None, timeout: float, max_pixels: int,
    root: str | None,
) -> int:  # fmt: skip
    """Show why QUERY does or does not match the image NAME.

    Prints a line for each stage of the search that the pair reaches, the conclusion, and what would let it pass. QUERY
    is a file, an address, or - for standard input; NAME is the name of an image in INDEX. Exit status: 0 it matches, 1
    it does not.
    """
    prepare(_DECODERS)
    from featmatch.images.decoding import DecodingOptions
    from featmatch.images.named import picture_named
    from featmatch.search.explaining import explain as find_why
    from featmatch.search.many import SearchOptions

    decoding = DecodingOptions(timeout, max_pixels)
    opened = open_reader(index, root)
    source = picture_named(query, decoding)
    options = SearchOptions(decoding=decoding)
    explanation = find_why(opened, source, name_meant(opened, name), options)
    if as_json:
        print_object({"query": query, **explanation.to_dict()})
    else:
        print_explanation(query, explanation)
    complain_of_files(opened, int(explanation.not_at_hand), _COMPARED)
    if draw is not None:
        try:
            save(explanation.draw(), draw)
        except ImageError as error:
            raise FeatmatchError(f"cannot draw {printable(explanation.name)}: {error.message}") from error
    return FOUND if explanation.proven else NOTHING_FOUND


def _draw_all(
    folder: Path,
    number: int,
    picture: NamedPicture,
    matches: Matches,
    path_of: Callable[[Match], str | None],
    decoding: DecodingOptions,
) -> None:
    from featmatch.proof.drawing import draw_proof

    assert not isinstance(picture.source, ImageError)  # or there would be no match
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatmatchError(f"cannot draw into {folder}: {error.strerror}") from error
    for place, match in enumerate(matches, 1):
        target = folder / f"{number:04d}-{place:02d}-{Path(picture.name).stem[:80]}.jpg"
        try:
            save(draw_proof(picture.source, path_of(match), match.proof, decoding=decoding), target)
        except ImageError as error:
            complain(f"cannot draw {printable(match.name)}: {error.message}")
        else:
            tell(f"drawn: {printable(str(target))}")
