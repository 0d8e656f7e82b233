"""An IIIF manifest or collection -> the pictures of its canvases, fetched at the working size, politely."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from featmatch.errors import ImageError
from featmatch.images.addresses import FetchError, Fetching
from featmatch.images.decoding import DecodingOptions
from featmatch.images.iiif_manifests import MOST_BYTES, Painted, Reference, read_manifest
from featmatch.images.iiif_names import CanvasPicture, key_of
from featmatch.images.iiif_services import MOST_INFO_BYTES, Info, info_without, read_info
from featmatch.images.polite import PoliteFetching, some_at_once
from featmatch.names import plain

_MOST_PICTURE_BYTES = 64 << 20
_MOST_FILES = 100_000  # manifests and the like that one of them leads to
_MOST_DEPTH = 10  # of collections in collections


class FetchedPicture(NamedTuple):
    """A picture of a canvas.

    Attributes:
        name: what it is to be called; where something could not be had, that.
        source: the bytes of its file, why there are none, or None: the index has it.
        size: width and height at full resolution, px; None: those of the file.
        text: the title of the manifest, and its address.
    """

    name: str
    source: bytes | ImageError | None
    size: tuple[int, int] | None = None
    text: str = ""


class _Task(NamedTuple):
    """A picture that is to be fetched, and the text to keep with it."""

    painted: Painted
    text: str


class _File(NamedTuple):
    """A manifest or the like that is being gone through.

    Attributes:
        found: what is left of it.
        text: kept with its pictures.
        depth: how deep in collections it is.
    """

    found: deque[Painted | Reference | FetchedPicture]
    text: str
    depth: int


def _no_file(at: Reference, why: ImageError) -> _File:
    return _File(deque([FetchedPicture(at.address, why)]), "", 0)


def polite_fetching(decoding: DecodingOptions) -> PoliteFetching:
    """Fetches manifests and pictures from public hosts."""
    accept = "application/ld+json, application/json, image/*"
    return PoliteFetching(Fetching(("public",), MOST_BYTES, seconds=decoding.timeout, accept=accept))


@dataclass
class IiifRun:
    """One run over manifests. What one of them says twice, or two say, is fetched once.

    Attributes:
        fetching: how.
        decoding: what fetching and reading one file may cost.
        longest_px: pictures are asked for with this longer side.
        known: the names of pictures that the index has, by their keys; they are not fetched.
    """

    fetching: PoliteFetching
    decoding: DecodingOptions
    longest_px: int
    known: Mapping[tuple[str, str], str] = field(default_factory=dict)
    _seen: set[str | tuple[str, str]] = field(default_factory=set)
    _files: int = 1

    def pictures(self, content: bytes, address: str) -> Iterator[FetchedPicture]:
        """The pictures of a manifest or collection and of all that it leads to, in their order.

        What cannot be had is among them, with the reason; so is what the index has, which is not fetched again.

        Args:
            content: of the manifest or collection.
            address: where it is, or the path of its file.
        """
        self._seen.add(address)
        tasks = self._tasks(content, Reference(address))
        for _, picture in some_at_once(self._done, tasks, self.fetching.stop):
            yield picture

    def _tasks(self, content: bytes, at: Reference) -> Iterator[_Task | FetchedPicture]:
        """What is to be fetched; files that lead on are read when it is their turn."""
        files = [self._read(content, at, "", 0)]
        while files:
            found_in, text, depth = files[-1]
            if not found_in:
                files.pop()
                continue
            found = found_in.popleft()
            if isinstance(found, FetchedPicture):
                yield found
            elif isinstance(found, Painted):
                key = key_of(found.canvas, found.service.base if found.service else found.address)
                if self._is_new(key):
                    yield FetchedPicture(self.known[key], None) if key in self.known else _Task(found, text)
            elif self._is_new(found.address):
                files.append(self._led_to(found, text, depth if found.goes_on else depth + 1))

    def _led_to(self, reference: Reference, text: str, depth: int) -> _File:
        self._files += 1
        if depth > _MOST_DEPTH or self._files > _MOST_FILES:
            why = ImageError("too_large", "it is too deep in collections, or one of too many files")
            return _no_file(reference, why)
        try:
            content = self.fetching.fetch(reference.address, MOST_BYTES)
        except FetchError as error:
            return _no_file(reference, error)
        return self._read(content, reference, text, depth)

    def _read(self, content: bytes, at: Reference, text: str, depth: int) -> _File:
        try:
            contents = read_manifest(content, self.decoding, at.canvas)
        except ImageError as error:
            return _no_file(at, error)
        found: deque[Painted | Reference | FetchedPicture] = deque(contents.found)
        if contents.has_more:
            found.append(FetchedPicture(at.address, ImageError("too_large", f"only its first {len(found)} were read")))
        return _File(found, text if at.canvas else f"{contents.label} ({plain(at.address)})", depth)

    def _is_new(self, thing: str | tuple[str, str]) -> bool:
        new = thing not in self._seen
        self._seen.add(thing)
        return new

    def _done(self, task: _Task | FetchedPicture) -> FetchedPicture:
        """The picture of a task; called by several threads at once."""
        if isinstance(task, FetchedPicture):
            return task
        painted, text = task
        name = painted.canvas or painted.address
        try:
            info = self._info_of(painted)
            if info is None:
                has_regions = painted.service is not None and painted.service.level > 0
                picture = CanvasPicture(painted.address, painted.canvas, painted.label, has_regions)
                address = painted.address
            else:
                picture, address = info.whole(painted), info.request_for(self.longest_px)
            name = picture.name
            content = self.fetching.fetch(address, _MOST_PICTURE_BYTES)
        except ImageError as error:
            return FetchedPicture(name, error)
        return FetchedPicture(name, content, info.size if info else None, text)

    def _info_of(self, painted: Painted) -> Info | None:
        """What is known of a picture; None where its address is all there is.

        Raises:
            FetchError: the host may not be asked.
        """
        if painted.service is None:
            return None
        try:
            return read_info(self.fetching.fetch(f"{painted.service.base}/info.json", MOST_INFO_BYTES), painted.service)
        except FetchError as error:
            if error.code != "fetch_failed":
                raise
        except ImageError:
            pass
        return info_without(painted)
