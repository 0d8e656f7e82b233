"""Pictures that are no image files here (addresses, other storage, tables, IIIF) -> an index, under their names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator

from featmatch.adding.batches import AddReport
from featmatch.adding.given_images import GivenImage
from featmatch.adding.one_image import Failure
from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions
from featmatch.images.iiif import FetchedPicture, IiifRun, polite_fetching
from featmatch.images.iiif_manifests import MOST_BYTES, is_manifest
from featmatch.images.iiif_names import CanvasPicture
from featmatch.images.named import MANIFEST_SUFFIX, pictures_named
from featmatch.images.polite import PoliteFetching
from featmatch.store.reader import Reader
from featmatch.system.files import open_file


def add_from_elsewhere(
    names: Iterable[str],
    index: Reader,
    add_images: Callable[[Iterator[GivenImage]], AddReport],
    decoding: DecodingOptions,
    text: str | None = None,
    fetching: PoliteFetching | None = None,
) -> AddReport:
    """Add the pictures that some names mean; those that cannot be had are among what failed.

    Of an IIIF manifest these are the pictures of its canvases; those that the index has are not fetched again.

    Args:
        names: as ``pictures_named`` takes them, or of manifests, which are told by their content.
        index: that is added to.
        add_images: adds pictures from memory, as its ``add_images`` does.
        decoding: what getting one of them may cost.
        text: kept with each of them; of a manifest, its title and address are kept as well.
        fetching: of the pictures of manifests; None: from public hosts.
    """
    run: IiifRun | None = None
    failed: list[Failure] = []
    skipped: list[str] = []

    def pictures() -> Generator[GivenImage, None, None]:
        nonlocal run
        for named in pictures_named(names, decoding):
            source = _manifest_or(named.source)
            if isinstance(source, ImageError):
                failed.append(Failure(named.name, source.status, source.message))
            elif not (isinstance(source, bytes) and is_manifest(source)):
                yield GivenImage(named.name, source, text)
            else:
                run = run or _run(index, decoding, fetching)
                yield from of_manifest(run.pictures(source, named.name))

    def of_manifest(fetched: Iterator[FetchedPicture]) -> Iterator[GivenImage]:
        for name, source, size, title in fetched:
            if isinstance(source, ImageError):
                failed.append(Failure(name, source.status, source.message))
            elif source is None:
                skipped.append(name)
            else:
                yield GivenImage(name, source, " ".join(filter(None, (text, title))), size=size)

    with contextlib.closing(pictures()) as given:
        report = add_images(given)
    report.failed.extend(failed)
    report.skipped.extend(skipped)
    return report


def _run(index: Reader, decoding: DecodingOptions, fetching: PoliteFetching | None) -> IiifRun:
    pictures = map(CanvasPicture.of_name, index.snapshot.catalog.names())
    known = {picture.key: picture.name for picture in pictures if picture is not None}
    return IiifRun(fetching or polite_fetching(decoding), decoding, index.options.longest_px, known)


def _manifest_or(source: str | bytes | ImageError) -> str | bytes | ImageError:
    """The content of a manifest that is a file here; any other source as it is."""
    if not isinstance(source, str) or not source.lower().endswith(MANIFEST_SUFFIX):
        return source
    try:
        with open_file(source) as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        return ImageError("not_found", error.strerror or str(error))
