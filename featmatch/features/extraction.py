"""Grey pixels -> keypoints spread over the picture, and their descriptors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featmatch.arguments import check_kind, check_options
from featmatch.errors import UsageError
from featmatch.features.detectors import descriptor_size, detect
from featmatch.features.given import GivenArrays
from featmatch.geometry.exact import log2
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import GreyImage, ImageSource, load_grey

SPEEDS = ("fast", "balanced", "thorough")

_LONGEST_PX = 1 << 24  # side of a picture of which features are given
# By what a feature is chosen before others of its place: by its contrast; or, by scale, with coarse ones favoured. A
# crop at full size has most of its features finer than those that were kept of the whole picture, at its working size:
# of the coarse ones that both have, more are chosen by scale, so that fewer suffice (docs/benchmarks.md).
CHOICES = ("contrast", "scale")

_FORMER_AT_LONGEST = 4000  # of ``sift``, as long as it chose by contrast

# Features kept of a picture of 640 px, and of one at the largest working size. Detectors whose features are cheaper and
# less distinctive keep more of them: otherwise a tenth of a 480 px photo would hold too few.
_FEATURES = {
    "sift": (800, 1900),
    "opencv-sift": (800, 4000),
    "akaze": (1500, 6000),
    "orb": (1500, 6000),
    "brisk": (1500, 6000),
    "kaze": (800, 4000),
    "surf": (800, 4000),
}


@dataclass(frozen=True)
class FeatureOptions:
    """How features are taken from a picture. All of it belongs to the fingerprint of an index."""

    detector: str = "sift"  # one of DETECTORS, or what Features of another tool are called
    longest_px: int = 2000  # working size: longer sides above this are scaled down to it; 64 to 10000
    shortest_px: int = 0  # working size: longer sides below this are scaled up to it; 0 to longest_px and 2000
    features: int = 0  # kept of a picture of 640 px or less; 10 to 100000; 0: the detector's own
    features_at_longest: int = 0  # kept of one at longest_px, in proportion between; at least features; 0: likewise
    choice: str = "scale"  # one of CHOICES; detectors other than ``sift`` choose by contrast, whatever is said

    def __post_init__(self) -> None:
        check_options(self)
        descriptor_size(self.detector)
        if not (64 <= self.longest_px <= 10_000 and 0 <= self.shortest_px <= min(self.longest_px, 2000)):
            raise UsageError("longest_px is 64 to 10000, and shortest_px 0 to longest_px and 2000")
        if self.choice not in CHOICES:
            raise UsageError(f"choice is one of {', '.join(CHOICES)}, not {self.choice!r}")
        if self.detector != "sift":
            object.__setattr__(self, "choice", "contrast")
        features, features_at_longest = _FEATURES.get(self.detector, _FEATURES["sift"])
        object.__setattr__(self, "features", self.features or features)
        object.__setattr__(
            self, "features_at_longest", self.features_at_longest or max(features_at_longest, self.features)
        )
        if not 10 <= self.features <= self.features_at_longest <= 100_000:
            raise UsageError("features is 10 to features_at_longest, and that at most 100000")

    @classmethod
    def of(cls, detector: str = "sift", speed: str = "balanced") -> FeatureOptions:
        """Options by speed, one of ``SPEEDS``; docs/benchmarks.md says what each finds, and in what time.

        Raises:
            UsageError: there is no such detector, or no such speed.

        >>> FeatureOptions.of("sift", "fast").features < FeatureOptions.of("sift", "thorough").features
        True
        """
        balanced = cls(detector)
        if speed not in SPEEDS:
            raise UsageError(f"unknown speed {speed!r}; one of {', '.join(SPEEDS)}")
        if speed == "fast":
            return cls(detector, 640, 0, balanced.features // 2, balanced.features // 2)
        if speed == "thorough":
            return cls(detector, 3000, 800, 2 * balanced.features, 2 * balanced.features_at_longest)
        return balanced

    @classmethod
    def of_index(cls, kept: Any) -> FeatureOptions:
        """Options as an index stores them, checked: the index may come from a stranger.

        Raises:
            UsageError: they are no such options.
        """
        names = set(cls.__dataclass_fields__)
        if not isinstance(kept, dict) or not {"detector"} <= kept.keys() <= names:
            raise UsageError(f"it keeps other options than {', '.join(sorted(names))}")
        for name, value in kept.items():
            if type(value) is not (str if name in ("detector", "choice") else int):
                raise UsageError(f"{name} is {value!r:.40}")
        made: dict[str, Any] = {"choice": "contrast"} | kept  # where nothing is said, there was no other choice yet
        return cls(**made)

    def stands_for(self, made: FeatureOptions) -> bool:
        """Whether the same arguments may have made an index with these: now, or when ``sift`` chose by contrast.

        >>> old = FeatureOptions(features_at_longest=4000, choice="contrast")
        >>> FeatureOptions().stands_for(old), FeatureOptions(features=900).stands_for(old)
        (True, False)
        """
        if self == made or self.detector != "sift":
            return self == made
        former = {
            max(_FEATURES["sift"][1], self.features): max(_FORMER_AT_LONGEST, self.features),
            2 * _FEATURES["sift"][1]: 2 * _FORMER_AT_LONGEST,  # thorough
        }
        at_longest = (self.features_at_longest, former.get(self.features_at_longest, 0))
        return made.features_at_longest in at_longest and made == replace(
            self, features_at_longest=made.features_at_longest, choice="contrast"
        )

    def description(self) -> str:
        """All options in one line, for people to read."""
        return ", ".join(f"{name} {value}" for name, value in vars(self).items())

    def differences(self, other: FeatureOptions) -> str:
        """The options in which two differ, in one line, for people to read.

        >>> FeatureOptions().differences(FeatureOptions(features_at_longest=4000, choice="contrast"))
        'features_at_longest 1900 and 4000, choice scale and contrast'
        """
        both = zip(vars(self).items(), vars(other).values(), strict=True)
        return ", ".join(f"{name} {own} and {other_s}" for (name, own), other_s in both if own != other_s)

    def limit(self, long_side_px: int) -> int:
        """Number of features to keep of a picture with this longer side at its working size.

        >>> FeatureOptions().limit(640), FeatureOptions().limit(2000)
        (800, 1900)
        """
        share = (long_side_px - 640) / max(self.longest_px - 640, 1)
        return round(self.features + min(max(share, 0.0), 1.0) * (self.features_at_longest - self.features))


@dataclass(frozen=True, repr=False)
class Features:
    """Keypoints and descriptors of one picture, strongest and best spread first.

    Attributes:
        detector: one of ``DETECTORS``; of another tool, "arrays:" or "points:" (without angles and sizes), its name,
            and the values of a descriptor: "points:superpoint-256".
        width: of the picture as displayed, px.
        height: of the picture as displayed, px.
        keypoints: (N, 2) float32, x then y, px of the original.
        sizes: (N,) float32, diameter of each keypoint, px of the original; 1 where it has none.
        angles: (N,) float32, radians in [0, 2 pi), from +x towards +y (clockwise as seen); 0 where it has none.
        descriptors: (N, D) uint8: SIFT as RootSIFT times 512; binary ones as one 0 or 1 a bit; others times 255,
            plus 128. In all of them the squared L2 distance is the one to compare.
        picture: that they were found in, where another tool found them and it was given; else None.
    """

    detector: str
    width: int
    height: int
    keypoints: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    picture: GreyImage | None = None

    @classmethod
    def from_arrays(
        cls,
        name: str,
        keypoints: ArrayLike,
        descriptors: ArrayLike,
        *,
        size: tuple[int, int] | None = None,
        picture: ImageSource | None = None,
        angles: ArrayLike | None = None,
        sizes: ArrayLike | None = None,
        scores: ArrayLike | None = None,
    ) -> Features:
        """Features that another tool found: SuperPoint, ALIKED or DISK, say, of hloc or Kornia.

        Args:
            name: of the detector: letters, digits, ``.``, ``_`` and ``-``. It and the size of descriptors are part of
                the fingerprint of an index.
            keypoints: (N, 2), x then y, px of the picture as displayed.
            descriptors: (N, D), D from 64 to 1024, to be compared by their angle: they are brought to unit length.
            size: width and height of the picture, px; that of ``picture``, where nothing is given.
            picture: in which they were found. With it, pixels are compared as well, and the index keeps a small one.
            angles: (N,), radians, from +x towards +y. Without angles and sizes, keypoints agree by their places alone,
                which takes more of them to prove.
            sizes: (N,), diameters, px; with ``angles`` only.
            scores: (N,), by which the strongest come first; else they are in that order already.

        Raises:
            UsageError: an argument cannot be meant, or they do not go together.
            ImageError: the picture cannot be read.

        >>> random = np.random.default_rng(0)
        >>> Features.from_arrays("superpoint", [[10, 20], [30, 40]], random.normal(size=(2, 256)), size=(640, 480))
        Features(2 of points:superpoint-256, 640 x 480 px)
        """
        grey = None if picture is None else load_grey(picture, longest_px=FeatureOptions.longest_px, colours=True)
        width, height = _picture_size(size, grey)
        arrays = GivenArrays.of(keypoints, descriptors, angles, sizes, scores, (width, height))
        kind = "points" if angles is None else "arrays"
        detector = f"{kind}:{name}-{arrays.descriptors.shape[1]}"
        descriptor_size(detector)
        return cls(detector, width, height, *arrays, grey)

    def __repr__(self) -> str:
        return f"Features({len(self)} of {self.detector}, {self.width} x {self.height} px)"

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Features:
        return replace(
            self,
            keypoints=self.keypoints[rows],
            sizes=self.sizes[rows],
            angles=self.angles[rows],
            descriptors=self.descriptors[rows],
        )

    @cached_property
    def octaves(self) -> NDArray[np.float64]:
        """(N,) float64: log2 of each size in px, of those below 1 px as of 1."""
        return log2(np.maximum(self.sizes, 1))


def _picture_size(size: tuple[int, int] | None, grey: GreyImage | None) -> tuple[int, int]:
    """Width and height, px, of a picture that is given, or whose size is.

    Raises:
        UsageError: neither is, or they are not the same.
    """
    own = None if grey is None else (grey.width, grey.height)
    if size is None and own is None:
        raise UsageError("size or picture is needed")
    sides = () if size is None else tuple(size)
    whole = all(isinstance(side, (int, np.integer)) and 1 <= side <= _LONGEST_PX for side in sides)
    if size is not None and (len(sides) != 2 or not whole or own not in (None, sides)):
        raise UsageError(f"size is the width and height of the picture, px, not {size!r:.60}")
    width, height = own or sides
    return int(width), int(height)


def features_wanted(features: object) -> FeatureOptions:
    """Options as they are, or the usual ones of a detector given by name.

    Raises:
        UsageError: it is neither, or there is no such detector.
    """
    check_kind(features, "features", str, FeatureOptions, none=False)
    return features if isinstance(features, FeatureOptions) else FeatureOptions(detector=str(features))


def extract(
    image: ImageSource,
    options: FeatureOptions | None = None,
    *,
    timeout: float = 60.0,
    max_pixels: int = MAX_PIXELS,
) -> Features:
    """Find the features of an image.

    Args:
        image: a path, the bytes of a file, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image.
        options: detector, working size and number of features.
        timeout: seconds that decoding a file may take.
        max_pixels: of a file; a larger one is refused.

    Raises:
        ImageError: the image cannot be read; its ``status`` says why.
        MissingFeatureError: the installed OpenCV lacks the detector.
        UsageError: ``image`` is of no type or shape that is an image.

    Example:
        >>> import featmatch
        >>> features = featmatch.extract("photos/coffee.jpg")
        >>> features.width, features.height, features.keypoints.shape == (len(features), 2)
        (600, 400, True)
        >>> features.descriptors.shape[1], features.descriptors.dtype
        (128, dtype('uint8'))
    """
    check_kind(options, "options", FeatureOptions)
    options = options or FeatureOptions()
    decoding = DecodingOptions(timeout, max_pixels)
    grey = load_grey(image, longest_px=options.longest_px, shortest_px=options.shortest_px, decoding=decoding)
    return extract_grey(grey, options)


def extract_grey(grey: GreyImage, options: FeatureOptions) -> Features:
    """Find the features of a decoded picture.

    Raises:
        MissingFeatureError: the installed OpenCV lacks the detector, or the kernels of featmatch are not built.
        UsageError: the detector is another tool's.
    """
    height, width = grey.pixels.shape
    limit = options.limit(max(height, width))

    def choose(points: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.intp]:
        return spread(points, responses, width, height, limit)

    found = detect(grey.pixels, options.detector, limit, choose, favour_coarse=options.choice == "scale")
    return Features(
        options.detector,
        grey.width,
        grey.height,
        grey.to_original(found.points),
        found.sizes * np.float32((grey.scale_x * grey.scale_y) ** 0.5),
        found.angles,
        found.descriptors,
    )


def spread(
    points: NDArray[np.float32], responses: NDArray[np.float32], width: int, height: int, limit: int
) -> NDArray[np.intp]:
    """Choose keypoints that cover the picture: the strongest of each grid cell in turn, then the next, and so on.

    Args:
        points: (N, 2) float32, x then y, px of the working picture.
        responses: (N,) float32, strength of each.
        width: of the working picture, px.
        height: of the working picture, px.
        limit: how many to choose.

    Returns:
        (min(N, limit),) indices, in the order of choice.
    """
    cell_px = max(np.sqrt(width * height / max(limit / 4, 1)), 1.0)  # about four of those chosen in a cell
    columns = int(width // cell_px) + 1
    cells = (points[:, 1] // cell_px).astype(np.int64) * columns + (points[:, 0] // cell_px).astype(np.int64)
    order = np.lexsort((-responses, cells))
    sorted_cells = cells[order]
    turn = np.arange(len(order)) - np.searchsorted(sorted_cells, sorted_cells)
    by_turn = np.lexsort((order, -responses[order], turn))
    return order[by_turn[:limit]]
