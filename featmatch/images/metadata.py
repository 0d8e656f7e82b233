"""Metadata of an image file: format, date taken, camera and caption (EXIF, IPTC, XMP)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, IptcImagePlugin

from featmatch.errors import ImageError
from featmatch.images.sources import open_header

_MOST_CHARACTERS = 2000  # of a caption; longer ones are cut
_MOST_XMP_BYTES = 1 << 20

_XMP = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_IPTC_CHARSET, _IPTC_DATE, _IPTC_TIME, _IPTC_CAPTION = (1, 90), (2, 55), (2, 60), (2, 120)
_MOMENT = re.compile(r"([12]\d{3})[:-]?(\d\d)[:-]?(\d\d)(?:[ T]?(\d\d):?(\d\d):?(\d\d)?)?")


@dataclass(frozen=True)
class Metadata:
    """What a file says of its picture; None where it says nothing.

    Attributes:
        format: such as "JPEG", "HEIF" or "PDF"; "RAW" for all raw files of cameras.
        taken: when, in ISO 8601, by the camera's clock: "2019-05-03T10:20:30", or the day alone.
        camera: maker and model.
        caption: description in words.
    """

    format: str | None = None
    taken: str | None = None
    camera: str | None = None
    caption: str | None = None


def read_metadata(source: str | bytes | Image.Image) -> Metadata:
    """Read what a file, or its bytes, say of the picture. Damaged metadata counts as none, and so does a picture's."""
    if isinstance(source, Image.Image):
        return Metadata()
    try:
        with open_header(source) as (name, image, exif):
            return _metadata_of(name, image, exif)
    except ImageError:
        return Metadata()


def _metadata_of(name: str, image: Image.Image | None, exif: Image.Exif) -> Metadata:
    """Date and camera are EXIF's, or else those of XMP or IPTC; captions are XMP's, or else those of IPTC or EXIF."""
    details: dict[int, Any] = {}
    xmp, iptc = _Xmp(None), {}
    with _damaged_is_none():
        details = exif.get_ifd(ExifTags.IFD.Exif)
    if image is not None:
        with _damaged_is_none():
            xmp = _Xmp(image.info.get("xmp"))
        with _damaged_is_none():
            iptc = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]  # any image will do
    return Metadata(
        format=name,
        taken=_first(
            lambda: _moment(details.get(ExifTags.Base.DateTimeOriginal)),
            lambda: _moment(details.get(ExifTags.Base.DateTimeDigitized)),
            lambda: _moment(xmp.value("exif:DateTimeOriginal")),
            lambda: _moment(xmp.value("photoshop:DateCreated")),
            lambda: _moment(xmp.value("xmp:CreateDate")),
            lambda: _moment(_iptc_text(iptc, _IPTC_DATE) + _iptc_text(iptc, _IPTC_TIME)),
        ),
        camera=_first(
            lambda: _camera(_exif_text(exif.get(ExifTags.Base.Make)), _exif_text(exif.get(ExifTags.Base.Model))),
            lambda: _camera(xmp.value("tiff:Make"), xmp.value("tiff:Model")),
        ),
        caption=_first(
            lambda: _clean(xmp.value("dc:description")),
            lambda: _clean(_iptc_text(iptc, _IPTC_CAPTION)),
            lambda: _clean(_exif_text(exif.get(ExifTags.Base.ImageDescription))),
        ),
    )


def _first(*ways: Callable[[], str]) -> str | None:
    for way in ways:
        with _damaged_is_none():
            if found := way():
                return found
    return None


@contextlib.contextmanager
def _damaged_is_none() -> Iterator[None]:
    with contextlib.suppress(Exception):  # parsers answer damaged metadata with errors of every kind
        yield


class _Xmp:
    """The properties of an XMP packet."""

    def __init__(self, packet: bytes | str | None) -> None:
        self._root: Any = None
        if packet and len(packet) <= _MOST_XMP_BYTES:
            from defusedxml import ElementTree

            self._root = ElementTree.fromstring(packet.rstrip(b"\0 ") if isinstance(packet, bytes) else packet)

    def value(self, name: str) -> str:
        """A property: an attribute, a text, or the first of several texts; "" where there is none."""
        if self._root is None:
            return ""
        prefix, _, local = name.partition(":")
        for description in self._root.iter(f"{{{_XMP['rdf']}}}Description"):
            if found := description.get(f"{{{_XMP[prefix]}}}{local}"):
                return str(found)
            element = description.find(name, _XMP)
            if element is not None:
                items = [item.text for item in element.iterfind(".//rdf:li", _XMP)]
                return next(filter(None, [*items, element.text]), "")
        return ""


def _exif_text(value: object) -> object:
    """A text of EXIF: it should be ASCII, and Pillow reads it as Latin-1; most writers put UTF-8 there."""
    with contextlib.suppress(UnicodeError):
        return value.encode("latin-1").decode() if isinstance(value, str) else value
    return value


def _iptc_text(iptc: dict[tuple[int, int], Any], key: tuple[int, int]) -> str:
    value = iptc.get(key, b"")
    value = value[0] if isinstance(value, list) else value
    if iptc.get(_IPTC_CHARSET) != b"\x1b%G":  # it does not say that it is UTF-8, but mostly is
        with contextlib.suppress(UnicodeDecodeError):
            return str(value.decode())
        return str(value.decode("latin-1"))
    return str(value.decode(errors="replace"))


def _moment(value: object) -> str:
    """A time in ISO 8601; "" for what is none, such as "0000:00:00 00:00:00".

    >>> _moment("2019:05:03 10:20:30")
    '2019-05-03T10:20:30'
    """
    found = _MOMENT.match(_clean(value))
    if found is None:
        return ""
    year, month, day, hour, minute, second = found.groups()
    if not ("01" <= month <= "12" and "01" <= day <= "31"):
        return ""
    return f"{year}-{month}-{day}" + (f"T{hour}:{minute}:{second or '00'}" if hour else "")


def _camera(make: object, model: object) -> str:
    """Maker and model; many models begin with their maker already.

    >>> _camera("NIKON CORPORATION", "NIKON D90"), _camera("Apple", "iPhone 12")
    ('NIKON D90', 'Apple iPhone 12')
    """
    maker, name = _clean(make), _clean(model)
    first = maker.partition(" ")[0].casefold()
    return name if first and name.casefold().startswith(first) else f"{maker} {name}".strip()


def _clean(value: object) -> str:
    """A text on one line, without padding and control characters."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return ""
    shown = "".join(character if character.isprintable() else " " for character in value.partition("\0")[0])
    return " ".join(shown.split())[:_MOST_CHARACTERS]
