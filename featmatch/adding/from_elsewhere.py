"""Pictures that are no image files here (addresses, other storage, tables) -> an index, under their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from featmatch.adding.batches import AddReport
from featmatch.adding.one_image import Failure
from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions
from featmatch.images.named import pictures_named
from featmatch.images.pixels import ImageSource


def add_from_elsewhere(
    names: Iterable[str],
    add_images: Callable[[Iterator[tuple[str, ImageSource]]], AddReport],
    decoding: DecodingOptions,
) -> AddReport:
    """Add the pictures that some names mean; those that cannot be had are among what failed.

    Args:
        names: as ``pictures_named`` takes them.
        add_images: adds pictures from memory, as ``Index.add_images`` does.
        decoding: what getting one of them may cost.
    """
    failed: list[Failure] = []

    def pictures() -> Iterator[tuple[str, ImageSource]]:
        for name, source in pictures_named(names, decoding):
            if isinstance(source, ImageError):
                failed.append(Failure(name, source.status, source.message))
            else:
                yield name, source

    report = add_images(pictures())
    report.failed.extend(failed)
    return report
