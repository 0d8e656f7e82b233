#!/usr/bin/env python3
"""Decode and extract mutated pictures, and say what crashed, hung, took too much memory or raised something else.

    tools/fuzz_images.py [--formats JPEG,PNG ...] [--first 0] [--count 20000] [--keep FOLDER]

Mutation N of a format is the same on every machine with the same Pillow, so any can be made again by its number, and a
run can go on where one ended (--first). A child process works through the numbers and is watched from outside.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import resource
import signal
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from featmatch.errors import ImageError
from featmatch.features.extraction import FeatureOptions, extract

MEMORY_BYTES = 2 << 30
SECONDS = 10.0
SIZE_PX = 96

# How Pillow writes each format: different parts of a decoder are at work in each variant.
_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"mode": "CMYK"}, {"mode": "L", "quality": 30}, {"exif": b"Exif\0\0II*\0"}),
    "PNG": ({}, {"mode": "P"}, {"mode": "RGBA"}, {"mode": "I;16"}, {"mode": "1"}, {"save_all": True}),
    "WEBP": ({}, {"lossless": True}, {"mode": "RGBA"}, {"save_all": True}),
    "TIFF": (
        {}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate", "mode": "RGBA"},
        {"compression": "jpeg"}, {"compression": "group4", "mode": "1"}, {"compression": "packbits", "mode": "P"},
        {"mode": "F"}, {"mode": "I;16"}, {"save_all": True}, {"big_tiff": True},
    ),
    "GIF": ({"mode": "P"}, {"mode": "L"}, {"mode": "P", "save_all": True}),
    "BMP": ({}, {"mode": "P"}, {"mode": "1"}, {"mode": "RGBA"}),
    "PPM": ({}, {"mode": "L"}, {"mode": "1"}, {"mode": "I;16"}),
    "HEIF": ({}, {"mode": "L"}, {"mode": "RGBA"}),
    "AVIF": ({"speed": 10}, {"speed": 10, "mode": "RGBA"}),
    "JPEG2000": ({}, {"mode": "L"}, {"tile_size": (32, 32)}),
    "PDF": ({}, {"mode": "L"}, {"save_all": True}),
}  # fmt: skip
FORMATS = tuple(_VARIANTS)
MAIN_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")


@dataclass(frozen=True)
class Finding:
    """A mutation that did what none may.

    Attributes:
        suffix: the format.
        number: of the mutation.
        what: it did.
    """

    suffix: str
    number: int
    what: str


@dataclass(frozen=True)
class Outcome:
    """What a run through some mutations came to.

    Attributes:
        decoded: how many still are pictures.
        refused: how many are not.
        slowest_s: longest time that one took, s.
        peak_bytes: most memory that the child had, bytes.
        findings: what may not be.
    """

    decoded: int
    refused: int
    slowest_s: float
    peak_bytes: int
    findings: list[Finding]


@cache
def seeds(suffix: str) -> tuple[bytes, ...]:
    """Small files of a format."""
    import skimage.data

    photos = [Image.fromarray(getattr(skimage.data, name)()) for name in ("astronaut", "coffee")]
    first, second = (photo.convert("RGB").resize((SIZE_PX, SIZE_PX * 3 // 4)) for photo in photos)
    if suffix == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    files = []
    for variant in _VARIANTS[suffix]:
        how = dict(variant)
        mode = how.pop("mode", "RGB")
        image, other = (
            photo.convert("I").convert(mode) if mode == "I;16" else photo.convert(mode) for photo in (first, second)
        )
        if how.get("save_all"):
            how["append_images"] = [other]
        file = io.BytesIO()
        image.save(file, suffix, **how)
        files.append(file.getvalue())
    return tuple(files)


def mutated(suffix: str, number: int) -> bytes:
    """The mutation of that number: a seed with one to sixteen bytes, numbers or stretches changed."""
    random = np.random.default_rng((FORMATS.index(suffix), number))
    files = seeds(suffix)
    content = bytearray(files[number % len(files)])
    # Headers are a small part of a file and most of what can go wrong; half of all changes are made there.
    head = min(len(content), 400)
    for _ in range(int(2 ** random.integers(0, 5))):
        if len(content) < 8:
            break
        place = int(random.integers(0, head if random.random() < 0.5 else len(content)))
        length = int(2 ** random.integers(0, 7))
        match random.integers(0, 8):
            case 0:
                content[place : place + 1] = bytes([content[min(place, len(content) - 1)] ^ 1 << random.integers(0, 8)])
            case 1:
                content[place : place + 1] = random.bytes(1)
            case 2:
                content[place : place + 2] = random.choice([b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0", b"\0\1"])
            case 3:
                content[place : place + 4] = random.choice([b"\0\0\0\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\1\0"])
            case 4:
                del content[place : place + length]
            case 5:
                content[place:place] = random.bytes(length)
            case 6:
                source = int(random.integers(0, len(content)))
                content[place : place + length] = content[source : source + length]
            case 7:
                if random.random() < 0.2:
                    del content[place:]
    return _mended(content) if suffix == "PNG" and number % 4 else bytes(content)


def _mended(content: bytearray) -> bytes:
    """A PNG file with checksums that fit: they would keep nearly all mutations from what lies behind them."""
    place = 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        if place + 12 + length > len(content):
            break
        checksum = zlib.crc32(content[place + 4 : place + 8 + length])
        struct.pack_into(">I", content, place + 8 + length, checksum)
        place += 12 + length
    return bytes(content)


def run(suffix: str, numbers: Sequence[int], *, seconds: float = SECONDS) -> Outcome:
    """Work through mutations in child processes, each started anew after one that ended."""
    context = multiprocessing.get_context("fork")
    decoded = refused = peak = 0
    slowest = 0.0
    findings = []
    left = list(numbers)
    seeds(suffix)
    while left:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(theirs, suffix, left), daemon=True)
        child.start()
        theirs.close()
        what = ""
        while left and not what:
            try:
                if not ours.poll(seconds):
                    what = f"hung for {seconds:g} s"
                    break
                problem, was_decoded, took, peak_bytes = ours.recv()
            except EOFError:
                child.join()
                what = f"process ended with {child.exitcode}"
                break
            slowest, peak = max(slowest, took), max(peak, peak_bytes)
            decoded, refused = decoded + was_decoded, refused + (not was_decoded)
            number = left.pop(0)
            if problem:
                findings.append(Finding(suffix, number, problem))
        if what:
            findings.append(Finding(suffix, left.pop(0), what))
        child.kill()
        child.join()
        ours.close()
    return Outcome(decoded, refused, slowest, peak, findings)


def _work(pipe: Connection, suffix: str, numbers: Sequence[int]) -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options = FeatureOptions(longest_px=SIZE_PX, features=100)
    before = _peak()
    for number in numbers:
        content = mutated(suffix, number)
        start = time.perf_counter()
        decoded, problem = False, ""
        try:
            extract(content, options)
            decoded = True
        except ImageError:
            pass
        except BaseException as error:
            problem = f"raised {type(error).__name__}: {error}"
        peak = _peak()
        if peak > MEMORY_BYTES >= before:
            problem = problem or f"took {peak >> 20} MB"
        before = peak
        pipe.send((problem, decoded, time.perf_counter() - start, peak))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", type=lambda text: text.split(","), default=MAIN_FORMATS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="write what was found into this folder")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # its threads would not survive a fork
    found = 0
    for suffix in arguments.formats:
        start = time.perf_counter()
        outcome = run(suffix, range(arguments.first, arguments.first + arguments.count))
        found += len(outcome.findings)
        print(
            f"{suffix}: {arguments.count} mutations, {outcome.decoded} decoded, {outcome.refused} refused, "
            f"{len(outcome.findings)} findings; "
            f"slowest {outcome.slowest_s:.2f} s, peak {outcome.peak_bytes >> 20} MB, "
            f"{time.perf_counter() - start:.0f} s in all",
            flush=True,
        )
        for finding in outcome.findings:
            print(f"  {finding.suffix} {finding.number}: {finding.what}", flush=True)
            if arguments.keep:
                with contextlib.suppress(FileExistsError):
                    arguments.keep.mkdir(parents=True)
                (arguments.keep / f"{finding.suffix}-{finding.number}").write_bytes(mutated(suffix, finding.number))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
