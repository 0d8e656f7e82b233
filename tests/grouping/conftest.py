"""An index of a photo, a part of it, its mirror image, and another photo; and its pairs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featmatch import Index, Vocabulary
from featmatch.grouping.two_views import TwoViews, images_in, proven_pairs, two_views
from featmatch.system.progress import ignore

BOX = (150, 60, 500, 360)


@pytest.fixture(scope="module")
def edited_index(
    photos: dict[str, NDArray[np.uint8]], tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory
) -> Index:
    """A photo, a part of it, its mirror image, and another photo."""
    folder = tmp_path_factory.mktemp("two views")
    whole = Image.fromarray(photos["coffee"])
    edited = {"whole": whole, "cut": whole.crop(BOX), "mirrored": ImageOps.mirror(whole)}
    for name, picture in {**edited, "other": Image.fromarray(photos["rocket"])}.items():
        picture.save(folder / f"{name}.png")
    index = Index.open(folder / "i.fm", create=True, vocabulary=tiny_vocabulary, root=folder)
    index.add([folder], jobs=1)
    return index


@pytest.fixture(scope="module")
def edited_views(edited_index: Index) -> list[TwoViews]:
    pairs, unremembered = proven_pairs(edited_index, jobs=1, progress=ignore)
    assert unremembered is None
    return list(two_views(pairs, images_in(edited_index, pairs), edited_index.vocabulary))


def mapped(homography: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    there = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return there[:, :2] / there[:, 2:]
