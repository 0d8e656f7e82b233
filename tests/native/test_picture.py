"""Small pictures as bytes, at each instruction level; what is expected is said once more in ``picture_twin``."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from featmatch.errors import UsageError
from featmatch.native.picture import MOST_SIDE_PX, pack, reduced, unpack
from tests.native import picture_twin as twin

pytestmark = pytest.mark.usefixtures("level")  # each test at each of them


def drawn(height: int, width: int, seed: int = 1) -> twin.Pixels:
    """Soft waves, an edge, and some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    soft = 128 + 60 * np.sin(rows / 9 + seed) + 50 * np.cos(columns / 7)
    noisy = soft + 70 * (columns > width / 2) + random.normal(0, 6, soft.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


SHAPES = [(1, 1), (1, 9), (17, 1), (7, 8), (8, 16), (30, 41)]
STEPS = [1, 2, 24, 255]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", STEPS)
def test_a_picture_gives_the_bytes_of_the_twin_and_these_its_picture(shape: tuple[int, int], step: int) -> None:
    for pixels in (drawn(*shape), np.random.default_rng(2).integers(256, size=shape, dtype=np.uint8)):
        packed = pack(pixels, step)
        assert packed.tobytes() == twin.pack(pixels, step)
        np.testing.assert_array_equal(
            unpack(packed, (shape[1], shape[0]), step), twin.unpack(packed.tobytes(), (shape[1], shape[0]), step)
        )


@pytest.mark.parametrize("step", STEPS)
def test_any_bytes_are_some_picture(step: int) -> None:
    random = np.random.default_rng(step)
    for content in (b"", b"\0", b"\xff" * 4000, random.bytes(900), random.bytes(30)):
        given = np.frombuffer(content, np.uint8)
        np.testing.assert_array_equal(unpack(given, (37, 29), step), twin.unpack(content, (37, 29), step))


def test_a_picture_comes_back_the_nearer_the_finer_the_step() -> None:
    pixels = drawn(100, 75)
    packed = {step: pack(pixels, step) for step in (1, 8, 24, 80)}
    errors = [float(np.abs(unpack(one, (75, 100), step) - pixels.astype(float)).mean()) for step, one in packed.items()]
    assert errors == sorted(errors)
    assert errors[0] < 0.5
    assert errors[2] < 5
    lengths = [len(one) for one in packed.values()]
    assert lengths == sorted(lengths, reverse=True)
    assert 8 * lengths[2] < pixels.size


def test_a_plain_picture_takes_hardly_a_byte() -> None:
    for tone in (0, 128, 255):
        packed = pack(np.full((192, 256), tone, np.uint8), 24)
        assert len(packed) < 24
        assert np.abs(unpack(packed, (256, 192), 24).astype(int) - tone).max() <= 2


def test_bytes_end_in_none_that_is_zero_and_longer_ones_mean_the_same() -> None:
    for seed in range(20):
        packed = pack(drawn(24, 33, seed), 24)
        assert packed[-1] != 0
        longer = np.concatenate([packed, np.zeros(9, np.uint8)])
        np.testing.assert_array_equal(unpack(longer, (33, 24), 24), unpack(packed, (33, 24), 24))


def test_carries_run_through_bytes_that_are_full() -> None:
    # Of many short pictures some end in a carry; the twin has none, since its number is as long as it needs.
    random = np.random.default_rng(7)
    for _ in range(150):
        pixels = random.integers(256, size=random.integers(1, 20, 2), dtype=np.uint8)
        assert pack(pixels, 3).tobytes() == twin.pack(pixels, 3)


def test_the_same_bits_as_ever() -> None:
    rows, columns = np.mgrid[:192, :256]  # whole numbers only
    pixels = ((rows * columns // 40 + 90 * (columns > 99)) % 256).astype(np.uint8)
    packed = pack(pixels, 24)
    assert hashlib.sha256(packed.tobytes()).hexdigest()[:16] == "bec762f17c40a791"
    assert hashlib.sha256(unpack(packed, (256, 192), 24).tobytes()).hexdigest()[:16] == "31ea0d704e82a6ec"


@pytest.mark.parametrize(("shape", "size"), [((9, 7), (7, 9)), ((9, 7), (3, 4)), ((1, 50), (7, 1)), ((33, 20), (1, 1))])
def test_px_of_a_reduced_picture_are_means(shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(256, size=shape, dtype=np.uint8)
    np.testing.assert_array_equal(reduced(pixels, size), twin.reduced(pixels, size))


def test_large_pictures_are_reduced_without_an_overflow() -> None:
    white = np.full((2, 1 << 15), 255, np.uint8)
    for pixels, size in ((white, (512, 1)), (white.T, (2, 511)), (white, ((1 << 15) - 1, 2))):
        assert (reduced(pixels, size) == 255).all()


def test_views_are_taken_as_they_look() -> None:
    pixels = drawn(40, 60)
    np.testing.assert_array_equal(reduced(pixels[::2, ::3], (10, 10)), reduced(pixels[::2, ::3].copy(), (10, 10)))
    np.testing.assert_array_equal(pack(pixels.T, 9), pack(pixels.T.copy(), 9))
    packed = pack(pixels, 9)
    np.testing.assert_array_equal(unpack(np.repeat(packed, 2)[::2], (60, 40), 9), unpack(packed, (60, 40), 9))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (1, MOST_SIDE_PX + 1), (MOST_SIDE_PX + 1, 1)])
def test_pictures_of_other_sizes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"1 to 1024 px"):
        pack(np.zeros(shape, np.uint8), 24)
    with pytest.raises(UsageError, match=r"1 to 1024 px"):
        unpack(np.zeros(9, np.uint8), (shape[1], shape[0]), 24)


def test_the_largest_picture_is_not_refused() -> None:
    pixels = np.random.default_rng(1).integers(256, size=(MOST_SIDE_PX, MOST_SIDE_PX), dtype=np.uint8)
    assert len(pack(pixels, 1)) < pixels.size * 3 // 2
    assert unpack(pack(pixels, 60), pixels.shape, 60).shape == pixels.shape


@pytest.mark.parametrize("step", [0, -1, 256, 1 << 32])
def test_other_steps_are_refused(step: int) -> None:
    with pytest.raises(UsageError, match="a step of 1 to 255"):
        pack(np.zeros((4, 4), np.uint8), step)
    with pytest.raises(UsageError, match="a step of 1 to 255"):
        unpack(np.zeros(4, np.uint8), (4, 4), step)


def test_a_picture_is_not_reduced_to_a_larger_one_nor_to_nothing() -> None:
    for size in ((5, 4), (4, 5), (0, 4), (4, 0)):
        with pytest.raises(UsageError, match="cannot be reduced"):
            reduced(np.zeros((4, 4), np.uint8), size)
    with pytest.raises(UsageError, match="cannot be reduced"):
        reduced(np.zeros((1, (1 << 15) + 1), np.uint8), (4, 1))


def test_arrays_of_another_kind_are_refused() -> None:
    for wrong in (np.zeros((4, 4)), np.zeros(4, np.uint8)):
        with pytest.raises(UsageError):
            pack(wrong, 24)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            reduced(wrong, (2, 2))  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        unpack(np.zeros((4, 4), np.uint8), (4, 4), 24)
