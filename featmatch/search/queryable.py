"""What can be asked of one index and of several alike: one list of options, and one way to the search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from featmatch.arguments import check_run
from featmatch.features.extraction import Features
from featmatch.features.forms import Forms
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import ImageSource
from featmatch.search.many import SearchOptions, look_up, look_up_each
from featmatch.search.matches import Matches
from featmatch.search.region import QueryRegion, RegionSource
from featmatch.search.shards import Shards
from featmatch.search.stages import Readers
from featmatch.search.voting import VotingOptions

# Where one looks; where there are shards, they answer in place of the readers.
Asked: TypeAlias = "tuple[Readers, Shards | None]"


class Queryable:
    """One index, or several as one, in which pictures can be looked up."""

    @property
    def _asked(self) -> Asked:
        raise NotImplementedError

    def query(
        self,
        image: ImageSource | Features,
        *,
        limit: int = 10,
        unproven: bool = False,
        match: str | None = None,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        region: RegionSource | None = None,
        forms: Forms = "few",
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> Matches:
        """Find the images that this one is a copy of, in whole or in part.

        Args:
            image: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image; or ``Features`` of the
                detector of the index, which are looked up as they are.
            limit: how many matches to return at most.
            unproven: return candidates as well whose evidence does not carry a claim.
            match: look only among images that fit these words, as ``images`` does.
            voting: how candidates are found.
            geometry: what counts as agreement.
            region: the part of the image that alone is looked up, by its features: (x, y, width, height) or the corners
                [(x, y), ...] of a polygon, px of the image as displayed. Answers stay in the px of the whole image.
            forms: other forms of the image, stretched, enlarged and so on, that are looked up if nothing is proven: a
                "few", for about as much time again, "all", or "none".
            timeout: seconds that decoding one file may take: the image, or one that it is compared with.
            max_pixels: of such a file; a larger one is refused.

        Returns:
            The matches, best first; ``.status`` is "too_little_detail" where the image has too few features and is
            plain as a whole, ``.not_at_hand`` names those whose files were not at hand, so that pixels were compared by
            the small pictures in the index or not at all, and ``.times`` has the milliseconds of each stage.

        Of several indexes: where one fails meanwhile, ``.status`` is "partial" and ``.missing`` names it; what the
        others claim is ``provisional``. If a cluster has got other shards since it was opened, they are asked then.

        Raises:
            StoreError: all indexes failed.
            ImageError: the image cannot be read; its ``status`` says why.
            UsageError: an argument cannot be meant, there is no word in ``match``, or the region lies outside.
            MissingFeatureError: as ``images``.
        """
        decoding, part = DecodingOptions(timeout, max_pixels), QueryRegion.of(region)
        options = SearchOptions(limit, unproven, match, voting, geometry, decoding, part, forms)
        return self._look_up(image, options)

    def _look_up(self, image: ImageSource | Features, options: SearchOptions) -> Matches:
        readers, shards = self._asked
        return look_up(readers, image, options, shards)

    def query_many(
        self,
        images: Iterable[ImageSource],
        *,
        jobs: int = -1,
        limit: int = 10,
        unproven: bool = False,
        match: str | None = None,
        voting: VotingOptions | None = None,
        geometry: GeometryOptions | None = None,
        forms: Forms = "few",
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> Iterator[Matches]:
        """``query`` for many images, on several cores. All are looked up in the state that was the newest at the call.

        An image that cannot be read costs its own answer only: that has no matches, and its ``.status`` and
        ``.message`` say why.

        Args:
            images: any number, also from a generator. They are taken some way ahead of the answers.
            jobs: processes; -1: one for each core, -2: one less, and so on. The answers do not depend on it. With 1,
                and for few images, this process looks them up itself; the next image is decoded meanwhile.
            limit: as for ``query``, and so are the others.
            unproven: likewise.
            match: likewise.
            voting: likewise.
            geometry: likewise.
            forms: likewise.
            timeout: likewise.
            max_pixels: likewise.

        Returns:
            The matches of each image, in the order of the images, as they are found.

        Raises:
            UsageError: as for ``query``; also while the answers are read, where one of the images is none.
            MissingFeatureError: as ``images``.
        """
        check_run(jobs, None)
        decoding = DecodingOptions(timeout, max_pixels)
        options = SearchOptions(limit, unproven, match, voting, geometry, decoding, forms=forms)
        readers, shards = self._asked
        return look_up_each(readers, images, options, jobs=jobs, shards=shards)
