from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.grouping import detail
from featmatch.grouping.detail import Comparison, compare_detail
from tests.grouping.edited import EDITS

Photos = dict[str, NDArray[np.uint8]]

# Spectra by hand: energies of six bands, each half an octave finer than the one before

NATURAL = (9.0, 5.0, 3.0, 1.0, 0.72, 0.5184)


def spectra(
    fine: tuple[float, ...] = NATURAL, coarse: tuple[float, ...] = NATURAL, coherence: tuple[float, ...] = (1.0,) * 6
) -> detail._Spectra:
    return detail._Spectra(*(np.array(values) for values in (fine, coarse, coherence)))


def judged(
    fine: tuple[float, ...] = NATURAL,
    coarse: tuple[float, ...] = NATURAL,
    coherence: tuple[float, ...] = (1.0,) * 6,
    growth: float = 1.0,
) -> Comparison | None:
    return detail._judged(spectra(fine, coarse, coherence), growth)


def coherent(*finest: float) -> tuple[float, ...]:
    return (1.0,) * (6 - len(finest)) + finest


def with_finest(*finest: float) -> tuple[float, ...]:
    return NATURAL[: 6 - len(finest)] + finest


def test_the_same_is_the_same_and_is_alike_if_nothing_was_lost() -> None:
    assert judged() == Comparison(0, 0, True)
    assert judged(coherence=coherent(0.986)) == Comparison(0, 0, True)
    assert judged(coherence=coherent(0.984)) == Comparison(0, 0, False)
    assert judged(growth=0.921) == Comparison(0, 0, True)


def test_without_anything_in_common_nothing_is_told() -> None:
    assert detail._judged(None, 1.0) is None
    assert judged(coherence=(0.79, 1, 1, 1, 1, 1)) is None
    assert judged(coherence=(0.81, 1, 1, 1, 1, 1)) is not None


def test_a_comparison_is_turned_round() -> None:
    assert not Comparison(1, -1).alike
    assert Comparison(1, -1, True).back() == Comparison(-1, 1, True)


@pytest.mark.parametrize(
    ("finest", "others", "coherence", "more"),
    [
        ((0.72, 0.5184), (0.02, 0.01), (0.2, 0.2), True),
        ((0.07, 0.09), (0.001, 0.001), (0.0, 0.0), True),  # above 0.15 of the band below them
        ((0.07, 0.07), (0.001, 0.001), (0.0, 0.0), False),
        ((0.5, 0.5), (0.2, 0.19), (0.0, 0.0), True),  # above 2.5 times what the other has
        ((0.5, 0.5), (0.2, 0.21), (0.0, 0.0), False),
        ((0.72, 0.5184), (0.02, 0.01), (0.95, 0.95), False),  # the same, only stronger
        ((0.72, 1.20), (0.02, 0.01), (0.2, 0.2), True),
        ((0.72, 1.22), (0.02, 0.01), (0.2, 0.2), False),  # noise does not fall off
        ((0.72, 0.36), (0.02, 0.011), (0.0, 0.51), False),  # amplified, and clipped
        ((0.72, 0.36), (0.02, 0.009), (0.0, 0.51), True),  # more than 6 times: the other was blurred
        ((0.72, 0.36), (0.02, 0.011), (0.0, 0.49), True),
    ],
)
def test_detail_is_what_one_picture_has_alone(
    finest: tuple[float, ...], others: tuple[float, ...], coherence: tuple[float, ...], more: bool
) -> None:
    one, other = with_finest(*finest), with_finest(*others)
    there, back = judged(one, other, coherent(*coherence)), judged(other, one, coherent(*coherence))
    assert there is not None
    assert back is not None
    if more:
        assert (there, back) == (Comparison(1, -1), Comparison(-1, 1))
    else:
        assert there.detail == back.detail == 0


def test_what_is_blurred_much_is_measured_by_the_sharper_picture() -> None:
    blurred = with_finest(0.001, 0.0001, 0.0001)
    assert judged(NATURAL, blurred, coherent(0.79, 0.1, 0.1)) == Comparison(1, -1)
    # By its own band below, the noise of the blurred picture would be detail.
    noise = with_finest(0.001, 0.001, 0.001)
    assert judged(fine=with_finest(1.0, 0.02, 0.01), coarse=noise, coherence=coherent(0.79, 0, 0)) != Comparison(-1, 1)


@pytest.mark.parametrize(
    ("own", "slope", "expected"),
    [
        (0.34, 0.47, Comparison(0, 1)),  # nothing beyond what interpolation leaves: the finer one was enlarged
        (0.36, 0.47, Comparison(1, -1)),
        (0.34, 0.49, Comparison(1, -1)),
        (0.16, 0.49, Comparison(1, -1)),
        (0.14, 0.49, Comparison(0, -1)),
        (1.50, 1.09, Comparison(1, -1)),
        (1.50, 1.11, Comparison(0, -1)),  # noise
    ],
)
def test_what_the_smaller_picture_has_no_pixels_for(own: float, slope: float, expected: Comparison) -> None:
    # At half the size two bands are beyond; of them the last is the square of the slope.
    lone = own - slope**2
    fine = with_finest(1.0, abs(lone), slope**2)
    coherence = coherent(0.0, 0.0) if lone >= 0 else coherent(1.0, (1 - own / slope**2) ** 0.5)
    assert judged(growth=0.5, fine=fine, coherence=coherence) == expected
    assert judged(growth=0.919, fine=fine, coherence=coherent(1.0, 1.0)) == Comparison(0, 1 if slope < 0.48 else -1)


@pytest.mark.parametrize(("gain", "made"), [(1.30, 1), (1.1, 0), (1 / 1.30, -1)])
def test_what_is_stronger_in_the_fine_bands_was_sharpened(gain: float, made: int) -> None:
    """Sharpening amplifies the bands below nearly as much."""
    fine = (*NATURAL[:2], *(np.array(NATURAL[2:]) * gain ** np.array([1, 1.6, 2, 2])).tolist())
    assert detail._sharpened(spectra(fine=fine)) == made
    assert detail._sharpened(spectra(fine=NATURAL, coarse=fine)) == -made


def test_contrast_is_no_sharpening() -> None:
    louder = tuple((1.25**2 * np.array(NATURAL)).tolist())
    assert detail._sharpened(spectra(fine=louder)) == 0


def test_a_gain_is_as_sure_as_the_coherence() -> None:
    fine = (*NATURAL[:3], *(np.array(NATURAL[3:]) * [1.5, 1.8, 1.8]).tolist())
    assert detail._sharpened(spectra(fine=fine)) == 1
    assert detail._sharpened(spectra(fine=fine, coherence=coherent(0.8, 0.7, 0.7))) == 0
    assert detail._sharpened(spectra(fine=fine, coherence=coherent(1.0, 0.0, 1.0))) == 1


def test_blur_is_told_from_sharpening_by_how_photos_fall_off() -> None:
    """Only the finest bands differ: the one that falls off as photos do is the source."""
    crisp = with_finest(0.72, 1.1)
    assert detail._sharpened(spectra(fine=crisp)) == 1  # it falls off less than photos
    soft = with_finest(0.5, 0.2)
    assert detail._sharpened(spectra(fine=soft)) == 1  # blurred: made of the natural one
    assert detail._sharpened(spectra(fine=NATURAL, coarse=soft)) == -1
    assert detail._sharpened(spectra(fine=NATURAL, coarse=crisp)) == -1


# Windows and how they are laid on one another


def test_agreement_is_a_correlation() -> None:
    window = np.random.default_rng(1).normal(100, 20, (16, 16)).astype(np.float32)
    assert detail._agreement(window, 3 * window + 7) == pytest.approx(1, abs=1e-5)
    assert detail._agreement(window, -window) == pytest.approx(-1, abs=1e-5)
    assert detail._agreement(window, np.full_like(window, 5)) == 0
    other = np.random.default_rng(2).normal(100, 20, (16, 16)).astype(np.float32)
    assert abs(detail._agreement(window, other)) < 0.2


def test_pictures_of_one_raster_are_shifted_by_whole_pixels() -> None:
    way = np.array([[1.0, 0, 3.3], [0, 1, -2.6], [0, 0, 1]])
    expected = [[1, 0, 3], [0, 1, -3], [0, 0, 1]]
    for one in (way, 2 * way):
        straight = detail._straight(one, 64)
        assert straight is not None
        np.testing.assert_array_equal(straight, expected)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for off, found in ((0.0099, True), (0.0101, False)):
            bent = way.copy()
            bent[row, column] += off
            assert (detail._straight(bent, 64) is not None) == found
    middle = np.array([[1.009, 0, 0], [0, 1.0, 0], [0, 0, 1]])  # what is right is right in the middle
    straight = detail._straight(middle, 256)
    assert straight is not None
    np.testing.assert_array_equal(straight[:2, 2], [1, 0])


def grey(photos: Photos, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(photos[name]).convert("L"))


def test_windows_are_the_largest_that_fit_with_most_to_see(photos: Photos) -> None:
    photo = grey(photos, "coffee")
    eye = np.eye(3)
    assert [window.shape for window, _ in detail._windows(photo, photo, eye)] == [(256, 256)] * 4
    assert [window.shape for window, _ in detail._windows(photo[:200], photo[:200], eye)] == [(128, 128)] * 4
    assert {window.shape for window, _ in detail._windows(photo[:100, :80], photo[:100, :80], eye)} == {(64, 64)}
    assert {window.shape for window, _ in detail._windows(photo[:300, :80], photo[:300, :80], eye)} == {(64, 64)}
    assert list(detail._windows(photo[:63], photo[:63], eye)) == []
    part = np.full_like(photo, 128)
    part[:, 340:] = photo[:, 340:]
    stds = [window.std() for window, _ in detail._windows(part, part, eye)]
    assert len(stds) == 4
    assert min(stds) > 5


@pytest.mark.parametrize(("x", "y"), [(0, 0), (40, 25), (-30, -20)])
def test_windows_show_the_same_of_both(photos: Photos, x: int, y: int) -> None:
    photo = grey(photos, "coffee")
    way = np.array([[1.0, 0, -x], [0, 1, -y], [0, 0, 1]])
    cut = photo[max(y, 0) :, max(x, 0) :]
    cut = np.pad(cut, ((max(-y, 0), 0), (max(-x, 0), 0)), mode="reflect")
    found = list(detail._windows(photo, cut, way + np.array([[0, 0, 0.3], [0, 0, -0.4], [0, 0, 0]])))
    assert found
    for window, other in found:
        np.testing.assert_allclose(window, other, atol=1e-3)  # registered to whole pixels


def test_spectra_of_a_picture_and_itself_are_coherent(photos: Photos) -> None:
    photo = grey(photos, "camera")
    seen = detail._spectra(photo, photo, np.eye(3))
    assert seen is not None
    np.testing.assert_allclose(seen.coherence, 1, atol=1e-6)
    np.testing.assert_allclose(seen.fine, seen.coarse)
    assert (np.diff(seen.fine) < 0).all()  # photos fall off
    doubled = detail._spectra(photo, (photo // 2).astype(np.uint8), np.eye(3))
    assert doubled is not None
    np.testing.assert_allclose(doubled.coarse[:4], doubled.fine[:4] / 4, rtol=0.05)


def test_energies_of_all_windows_are_added_up(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = list(detail._windows(grey(photos, "camera"), grey(photos, "camera"), np.eye(3)))[:2]
    found = []
    for given in (windows[:1], windows[1:], windows):
        monkeypatch.setattr(detail, "_windows", lambda *_, given=given: given)
        found.append(detail._spectra(np.empty((0, 0), np.uint8), np.empty((0, 0), np.uint8), np.eye(3)))
    first, second, both = found
    assert first is not None
    assert second is not None
    assert both is not None
    np.testing.assert_allclose(both.fine, first.fine + second.fine)


def test_noise_has_the_same_energy_in_each_wave() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300)).astype(np.uint8)
    seen = detail._spectra(noise, noise, np.eye(3))
    assert seen is not None
    areas = np.diff(detail._EDGES**2)
    np.testing.assert_allclose(seen.fine / areas, (seen.fine / areas).mean(), rtol=0.15)


# Whole pictures


@pytest.mark.parametrize("name", ["astronaut", "camera"])
def test_a_homography_that_is_a_little_off_tells_the_same(photos: Photos, name: str) -> None:
    photo = Image.fromarray(photos[name]).convert("L")
    off = np.array([[1.0005, 0.0003, -0.07], [0.0001, 1.0005, -0.04], [0, 0, 1]])
    source, edited = np.asarray(photo), np.asarray(EDITS["sharpened beyond all measure"][0](photo))
    for way in (np.eye(3), off, np.linalg.inv(off)):
        assert compare_detail(source, edited, way) == Comparison(0, -1)
    assert compare_detail(edited, source, np.eye(3)) == Comparison(0, 1)


@pytest.mark.parametrize("name", ["astronaut", "grass"])
@pytest.mark.parametrize("edit", EDITS)
def test_detail_is_what_pixels_resolve(photos: Photos, name: str, edit: str) -> None:
    photo = Image.fromarray(photos[name]).convert("L")
    function, expected = EDITS[edit]
    copy = function(photo)
    x, y = copy.width / photo.width, copy.height / photo.height
    homography = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    off = homography @ np.array([[1.001, 0.0005, 0.6], [0, 0.999, -0.4], [0, 0, 1]])  # as precise as features are
    found = compare_detail(np.asarray(photo), np.asarray(copy), off)
    assert found is not None
    assert found.detail == expected[0]
    assert found.made in ({0, -1} if edit in ("compressed much", "noisy") else {expected[1]})


def test_pictures_that_share_too_little_are_not_compared(photos: Photos) -> None:
    a, b = (np.asarray(Image.fromarray(photos[name]).convert("L")) for name in ("coffee", "rocket"))
    assert compare_detail(a, b, np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]])) is None
    assert compare_detail(a, b, np.eye(3)) is None
    flat = np.full((300, 300), 90, np.uint8)
    assert compare_detail(flat, flat, np.eye(3)) is None


def test_the_order_of_two_pictures_only_turns_the_answer_round(photos: Photos) -> None:
    photo = grey(photos, "astronaut")
    small = np.asarray(Image.fromarray(photo).resize((256, 256), Image.Resampling.LANCZOS))
    way = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    back = np.asarray(np.linalg.inv(way), np.float64)
    assert compare_detail(photo, small, way) == Comparison(1, -1)
    assert compare_detail(small, photo, back) == Comparison(-1, 1)
