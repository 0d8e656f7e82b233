"""IIIF manifests and collections (Presentation API 2 and 3) -> the pictures that they paint, and where more are.

What such a file says is a stranger's: it is read in another process, and only what is of the right kind is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions, decode_apart
from featmatch.names import single_line

MOST_BYTES = 64 << 20  # of one file
MOST_PICTURES = 100_000  # of one file
_MOST_SIDE = 1 << 28
_MOST_DEPTH = 20  # of objects in one file that are gone into

Thing: TypeAlias = "dict[str, Any]"

_SERVICE = re.compile(r"iiif\.io/api/image/([123])|iiif/image-api/([1])|ImageService([123])|iiif\.io/api/image")
_LEVEL = re.compile(r"level([012])")


@dataclass(frozen=True)
class Service:
    """An Image API service, as a manifest tells of it.

    Attributes:
        base: the address that requests begin with.
        version: of the Image API: 1, 2 or 3.
        level: of what it can do: 0, 1 or 2.
    """

    base: str
    version: int
    level: int


@dataclass(frozen=True)
class Painted:
    """A picture that a manifest paints on a canvas.

    Attributes:
        canvas: its id.
        label: what it is called.
        address: of some form of the picture.
        service: that gives it in any size; None: there is none.
        size: width and height of the picture, px, as the manifest says; None: it says nothing.
    """

    canvas: str
    label: str
    address: str
    service: Service | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Reference:
    """Something that is at another address.

    Attributes:
        address: of a manifest, a collection, or a page of annotations.
        canvas: that such a page is of: its id and label; None for all else.
        goes_on: whether it is the next page of what it was found in, and not within that.
    """

    address: str
    canvas: tuple[str, str] | None = None
    goes_on: bool = False


@dataclass
class Contents:
    """What one file has.

    Attributes:
        label: of the manifest.
        found: its pictures, and where there are more, in order.
        has_more: whether there is more than was read.
    """

    label: str = ""
    found: list[Painted | Reference] = field(default_factory=list)
    has_more: bool = False


def is_manifest(content: bytes) -> bool:
    """Whether a file may be a manifest: no picture begins as a JSON object does."""
    return content[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_manifest(content: bytes, decoding: DecodingOptions, canvas: tuple[str, str] | None = None) -> Contents:
    """Read a manifest, a collection, or a page of annotations, in another process.

    Args:
        content: of the file.
        decoding: what that may cost.
        canvas: the id and label of the one that a page of annotations is of.

    Raises:
        ImageError: it is none, or too large.
    """
    if len(content) > MOST_BYTES:
        raise ImageError("too_large", f"a manifest of more than {MOST_BYTES} bytes")
    return decode_apart(_read, content, canvas, options=decoding)


def _read(content: bytes, canvas: tuple[str, str] | None, decoding: DecodingOptions) -> Contents:
    del decoding
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ImageError("decode_failed", "neither a picture nor a IIIF manifest: no JSON") from error
    if not isinstance(told, dict) or _kind(told) not in ("Manifest", "Collection", "AnnotationPage", "AnnotationList"):
        raise ImageError("decode_failed", "neither a picture nor a IIIF manifest or collection")
    contents = Contents(_label(told))
    for found in _walk(told, canvas, 0):
        if len(contents.found) == MOST_PICTURES:
            contents.has_more = True
            break
        contents.found.append(found)
    return contents


def _walk(thing: Thing, canvas: tuple[str, str] | None, depth: int) -> Iterator[Painted | Reference]:
    """What is in an object of any kind, in order."""
    if depth > _MOST_DEPTH:
        return
    kind = _kind(thing)
    if kind == "Collection":
        keys = ("items", "collections", "manifests", "members", "first", "next")
        yield from _within(thing, keys, ("Collection", "Manifest"), None, depth)
    elif kind == "Manifest":
        yield from _within(thing, ("items", "sequences"), ("Canvas", "Sequence"), None, depth)
    elif kind == "Sequence":
        yield from _within(thing, ("canvases",), ("Canvas",), None, depth)
    elif kind == "Canvas":
        of_canvas = _id(thing), _label(thing)
        yield from _within(thing, ("items", "images"), ("AnnotationPage", "Annotation"), of_canvas, depth)
    elif kind in ("AnnotationPage", "AnnotationList") and canvas is not None:
        yield from _within(thing, ("items", "resources"), ("Annotation",), canvas, depth)
    elif kind == "Annotation" and canvas is not None and "painting" in str(thing.get("motivation", "painting")).lower():
        for body in _things(thing.get("body", thing.get("resource"))):
            picture = _picture(body)
            if picture is not None:
                yield _painted(picture, canvas)


def _within(
    thing: Thing, keys: tuple[str, ...], kinds: tuple[str, ...], canvas: tuple[str, str] | None, depth: int
) -> Iterator[Painted | Reference]:
    """What is in the objects that a thing has under some keys; those that are elsewhere are told as such."""
    for key in keys:
        for inner in _things(thing.get(key)):
            kind = _kind(inner) or _KINDS_BY_KEY.get(key, "")
            if kind not in kinds:
                continue
            if kind in _MAY_BE_ELSEWHERE and not any(part in inner for part in _PARTS):
                yield Reference(_id(inner), canvas, key == "next")
            else:
                yield from _walk({**inner, "type": kind}, canvas, depth + 1)


_KINDS_BY_KEY = {
    "collections": "Collection", "manifests": "Manifest", "sequences": "Sequence", "canvases": "Canvas",
    "images": "Annotation", "resources": "Annotation", "first": "Collection", "next": "Collection",
}  # fmt: skip
_MAY_BE_ELSEWHERE = ("Collection", "Manifest", "AnnotationPage")
_PARTS = ("items", "collections", "manifests", "members", "sequences", "first")


def _painted(picture: Thing, canvas: tuple[str, str]) -> Painted:
    services = [found for found in map(_service, _things(picture.get("service"))) if found is not None]
    best = max(services, key=lambda service: service.version, default=None)
    return Painted(*canvas, _id(picture), best, size_of(picture))


def _picture(body: Thing, depth: int = 0) -> Thing | None:
    """The picture of an annotation: itself, the first of a choice, or what a part is taken of."""
    if depth > _MOST_DEPTH or _kind(body) in ("Image", "") or "service" in body:
        return body if depth <= _MOST_DEPTH and _id(body) else None
    for key in ("default", "items", "full", "source", "item"):  # of choices and of parts, in version 2 and 3
        for inner in _things(body.get(key)):
            return _picture(inner, depth + 1)
    return None


def _service(told: Thing) -> Service | None:
    said = " ".join(str(told.get(key, "")) for key in ("type", "@type", "@context", "profile"))
    found = _SERVICE.search(said)
    if found is None:
        return None
    level = level_of(told)
    version = next((int(one) for one in found.groups() if one), 2)
    return Service(_id(told).rstrip("/"), version, 1 if level is None else level)


def level_of(told: Thing) -> int | None:
    """The level of the Image API that what is told of a service names, 0 to 2; None: it names none."""
    found = _LEVEL.search(str(told.get("profile", "")))
    return int(found[1]) if found else None


def _things(value: Any) -> list[Thing]:
    """The objects of a value that may be one, a list of some, or an address alone."""
    values = value if isinstance(value, list) else [value]
    return [{"id": one} if isinstance(one, str) else one for one in values if isinstance(one, (dict, str))]


def _kind(thing: Thing) -> str:
    """Of what kind a thing is: "Manifest" for sc:Manifest, too."""
    said = thing.get("type", thing.get("@type", ""))
    kinds = [str(one).rsplit(":", maxsplit=1)[-1] for one in (said if isinstance(said, list) else [said])]
    return kinds[0] if kinds else ""


def _id(thing: Thing) -> str:
    found = thing.get("id", thing.get("@id"))
    return found if isinstance(found, str) else ""


def _label(thing: Thing) -> str:
    """What a thing is called, on one line: in English or in no language where it is, else in the first that it has."""
    told = thing.get("label")
    if isinstance(told, dict) and "@value" not in told:
        told = next((told[language] for language in ("en", "none", "@none", *told) if language in told), "")
    values = told if isinstance(told, list) else [told]
    texts = (one.get("@value") if isinstance(one, dict) else one for one in values[:10])
    return single_line("; ".join(text[:1000] for text in texts if isinstance(text, str)))


def size_of(thing: Thing) -> tuple[int, int] | None:
    """Width and height that a thing from a stranger has, px; None where they can be none."""
    width, height = thing.get("width"), thing.get("height")
    return (width, height) if is_length(width) and is_length(height) else None


def is_length(value: Any) -> TypeGuard[int]:
    """Whether a value from a stranger can be a width or height, px."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_SIDE
