"""The short form of tools/fuzz_images.py, and what the long form found."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from featmatch.errors import ImageError
from featmatch.images.pixels import load_display
from tools import fuzz_images


def test_mutated_pictures_are_decoded_or_refused() -> None:
    """In a process of its own: it forks, which OpenCV's threads would not survive."""
    command = [sys.executable, fuzz_images.__file__, "--first", "1000000", "--count", "40"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == list(fuzz_images.MAIN_FORMATS)
    assert all("40 mutations, " in line and "0 findings" in line for line in lines)


@pytest.mark.parametrize("suffix", fuzz_images.MAIN_FORMATS)
def test_mutated_pictures_can_be_shown_or_are_refused(suffix: str) -> None:
    shown = 0
    for number in range(2_000_000, 2_000_040):
        with contextlib.suppress(ImageError):
            shown += load_display(fuzz_images.mutated(suffix, number)).shape[2] == 3
    assert shown > 0


def test_mutations_are_the_same_each_time() -> None:
    first = [fuzz_images.mutated("PNG", number) for number in range(20)]
    assert first == [fuzz_images.mutated("PNG", number) for number in range(20)]
    assert len(set(first)) == 20


def test_what_may_not_be_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(content: bytes, options: object) -> None:
        del options
        match content[0] % 4:
            case 0:
                raise ValueError("odd")
            case 1:
                os._exit(7)
            case 2:
                signal.pause()

    monkeypatch.setattr(fuzz_images, "extract", extract)
    monkeypatch.setattr(fuzz_images, "mutated", lambda suffix, number: bytes([number]))
    outcome = fuzz_images.run("PNG", range(5), seconds=1.0)
    assert [(finding.number, finding.what) for finding in outcome.findings] == [
        (0, "raised ValueError: odd"), (1, "process ended with 7"), (2, "hung for 1 s"), (4, "raised ValueError: odd"),
    ]  # fmt: skip
    assert outcome.decoded == 1
