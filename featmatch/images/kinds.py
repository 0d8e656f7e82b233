"""Which decoder reads a file, by its first bytes; and the suffixes of image files."""

from __future__ import annotations

from typing import IO, Literal, TypeAlias

from PIL import TiffImagePlugin

Kind: TypeAlias = Literal["avif", "heif", "pdf", "pillow", "raw", "tiff"]

_HEIF_SUFFIXES = (".heic", ".heif", ".hif")
_RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
_PILLOW_SUFFIXES = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".icns", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf",
    ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".tif", ".tiff", ".webp",
)  # fmt: skip
SUFFIXES = frozenset((*_PILLOW_SUFFIXES, *_HEIF_SUFFIXES, *_RAW_SUFFIXES, ".pdf"))

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM")
_HEAD_BYTES = 1024
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))

_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 262, 330, 50706  # tags of TIFF
_SENSOR_PHOTOMETRICS = frozenset((32803, 34892))  # colour filter array, linear raw


def kind_of(file: IO[bytes]) -> Kind:
    """Which decoder is to read a file, by its first bytes; the file is at its start again afterwards."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if _is_pdf(head):
        return "pdf"
    if head.startswith(_RAW_MAGIC) or head[6:14] == b"HEAPCCDR" or head[4:12] == b"ftypcrx ":
        return "raw"
    if head.startswith(TIFF_MAGIC):
        return "raw" if head[8:10] == b"CR" or _is_raw_tiff(file, head) else "tiff"
    if head[4:8] == b"ftyp":
        boxes = range(16, min(int.from_bytes(head[:4], "big"), _HEAD_BYTES), 4)
        brands = {head[start : start + 4] for start in (8, *boxes)}
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIF_BRANDS:
            return "heif"
    return "pillow"


def begins_like_pages(file: IO[bytes]) -> bool:
    """Whether a file begins as PDF and TIFF files do, which can have several pages."""
    head = file.read(_HEAD_BYTES)
    return _is_pdf(head) or head.startswith(TIFF_MAGIC)


def _is_pdf(head: bytes) -> bool:
    return head.lstrip().startswith(b"%PDF-")


def _is_raw_tiff(file: IO[bytes], head: bytes) -> bool:
    """Whether a TIFF file is a camera's: its first picture is a sensor's, or a preview of one that comes later."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:16] if head[2:3] == b"+" or head[3:4] == b"+" else head[:8])
        file.seek(tags.next)
        tags.load(file)
        return (
            _DNG_VERSION in tags
            or tags.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
            or (_SUB_IFDS in tags and bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1))
        )
    except Exception:  # a damaged directory; opening the file raises an error that says so
        return False
    finally:
        file.seek(0)
