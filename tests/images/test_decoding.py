from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featmatch
from featmatch.errors import ImageError, UsageError
from featmatch.images.decoding import DecodingOptions, decode_apart, decode_each
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import load_grey
from tests.images.decoders import decoder, refusing, telling


def nested_pdf(levels: int = 12) -> bytes:
    """A page of forms that each draw the next one ten times."""
    draws = b"/F Do " * 10
    resources = "<</XObject<</F %d 0 R>>>>"
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 600]/Resources{resources % 5}/Contents 4 0 R>>".encode(),
        b"<</Length %d>>stream\n%s\nendstream" % (len(draws), draws),
    ]
    form = "/Type/XObject/Subtype/Form/BBox[0 0 600 600]"
    for level in range(levels):
        inside = f"/Resources{resources % (6 + level)}" if level < levels - 1 else ""
        drawn = draws if level < levels - 1 else b"0 0 300 300 re f"
        bodies.append(f"<</Length {len(drawn)}{form}{inside}>>stream\n".encode() + drawn + b"\nendstream")
    content, places = b"%PDF-1.5\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return content + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(bodies) + 1, table, len(bodies) + 1, len(content),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "source", "options", "reason"),
    [
        ("crash", "a.jpg", DecodingOptions(), "its process ended: SIGABRT"),
        ("crash", b"content", DecodingOptions(), "its process ended: SIGABRT"),
        ("hang", Path("a.jpg"), DecodingOptions(timeout=0.2), "took more than 0.2 seconds"),
        ("memory", "a.jpg", DecodingOptions(), "wants more than 4096 MB of memory"),
        ("memory", bytearray(b"content"), DecodingOptions(), "wants more than 4096 MB of memory"),
    ],
)
def test_what_a_file_does_to_its_decoder_is_an_error(
    kind: str, source: Any, options: DecodingOptions, reason: str
) -> None:
    with pytest.raises(ImageError) as raised:
        decode_apart(decoder, source, kind, options=options)
    assert (raised.value.status, raised.value.message) == ("decode_failed", reason)


def test_many_are_decoded_in_order_and_what_they_do_are_values() -> None:
    picture = np.zeros((2, 2), np.uint8)
    sources: list[Any] = ["a.jpg", Path("b.jpg"), picture, b"content", bytearray(b"content")]
    found = list(decode_each(decoder, sources, "", options=DecodingOptions()))
    assert [source for source, _ in found] == sources
    assert [got[1] for _, got in found] == ["a.jpg", "b.jpg", picture, b"content", b"content"]  # type: ignore[index]
    assert [got[0] == os.getpid() for _, got in found] == [False, False, True, False, False]  # type: ignore[index]
    lost = [error for _, error in decode_each(decoder, sources[:2], "crash", options=DecodingOptions())]
    assert [str(error) for error in lost] == [f"{name}.jpg: its process ended: SIGABRT" for name in "ab"]
    refused = [error for _, error in decode_each(refusing, sources[:3], options=DecodingOptions())]
    assert [(type(error), error.status) for error in refused] == 3 * [(ImageError, "too_large")]


def test_the_next_is_decoded_while_the_caller_is_busy_with_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "second")
    sources = ["first", str(tmp_path / "second"), "third", "fourth"]
    taken: list[str] = []

    def images() -> Iterator[str]:
        for source in sources:
            taken.append(source)
            yield source

    each = decode_each(telling, images(), options=DecodingOptions())
    assert next(each)[1] == sources[0]
    with open(tmp_path / "second") as told:
        assert told.read() == "told"
    assert taken == sources[:2]
    assert [got for _, got in each] == sources[1:]


def test_files_are_decoded_elsewhere_and_pictures_here() -> None:
    for source in ("a.jpg", Path("a.jpg"), b"content"):
        process, got = decode_apart(decoder, source, "", options=DecodingOptions())
        assert process != os.getpid()
        assert got == (str(source) if isinstance(source, Path) else source)
    for picture in (np.zeros((2, 2), np.uint8), Image.new("L", (2, 2))):
        assert decode_apart(decoder, picture, "", options=DecodingOptions())[0] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory here")
def test_a_nested_pdf_harms_no_one(vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pypdfium2")
    monkeypatch.setattr(DecodingOptions, "memory_bytes", 1 << 30)  # 4 GB take longer to fill
    nested = tmp_path / "nested.pdf"
    nested.write_bytes(nested_pdf())
    index = featmatch.Index.open(tmp_path / "i.fm", create=True, vocabulary=vocabulary_file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError) as raised:
        index.query(nested)
    assert raised.value.status == "decode_failed"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KB


def test_max_pixels_lets_more_in(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (179_000, 1_000)).save(path)
    with pytest.raises(ImageError, match="max-pixels") as raised:
        load_grey(path, longest_px=100)
    assert raised.value.status == "too_large"
    assert load_grey(path, longest_px=179, decoding=DecodingOptions(max_pixels=1 << 28)).pixels.shape == (1, 179)


def test_max_pixels_lets_less_in(photo_folder: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    photo = photo_folder / "coffee.png"
    index = featmatch.Index.open(tmp_path / "i.fm", create=True, vocabulary=vocabulary_file)
    assert [failure.status for failure in index.add([photo], max_pixels=239_999).failed] == ["too_large"]
    assert index.add([photo], max_pixels=240_000).failed == []
    for decode in (
        featmatch.extract, index.query, lambda file, **how: featmatch.verify(file, file, **how),
        lambda file, **how: index.explain(file, str(photo), **how),
    ):  # fmt: skip
        with pytest.raises(ImageError, match="600 x 400 pixels; 239999 at most") as raised:
            decode(photo, max_pixels=239_999)
        assert raised.value.status == "too_large"
    assert index.query(photo, max_pixels=240_000)[0].proven


def test_memory_grows_with_the_pixels_that_are_let_in() -> None:
    usual = DecodingOptions().memory_bytes
    assert DecodingOptions(max_pixels=1).memory_bytes == usual == 4 << 30
    assert DecodingOptions(max_pixels=3 * MAX_PIXELS).memory_bytes == 3 * usual


@pytest.mark.parametrize("how", [{"timeout": 0}, {"timeout": float("nan")}, {"max_pixels": 0}])
def test_bounds_that_cannot_be_meant(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DecodingOptions(**how)


def test_a_daemonic_process_adds_and_looks_up_by_itself(
    small_photos: Path, vocabulary_file: Path, tmp_path: Path
) -> None:
    script = (
        "import multiprocessing, sys, featmatch\n"
        "def work(folder, vocabulary, photo):\n"
        "    index = featmatch.Index.open(folder, create=True, vocabulary=vocabulary)\n"
        "    assert index.add([photo], jobs=1).added == [photo]\n"
        "    assert index.query(photo)[0].name == photo and featmatch.verify(photo, photo)\n"
        "    assert [len(found) for found in index.query_many(13 * [photo], jobs=1)] == 13 * [1]\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=work, args=sys.argv[1:], daemon=True)\n"
        "    process.start(); process.join(); sys.exit(process.exitcode)\n"
    )
    (tmp_path / "daemon.py").write_text(script)
    arguments = [tmp_path / "i.fm", vocabulary_file, small_photos / "coffee.png"]
    ended = subprocess.run(
        [sys.executable, tmp_path / "daemon.py", *arguments], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
