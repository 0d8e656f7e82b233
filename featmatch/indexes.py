"""Several indexes that are asked as one: what is found is what one index would find that holds all of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from featmatch.arguments import check_run, checked_paths
from featmatch.cluster.asking import Patience
from featmatch.cluster.layout import is_cluster
from featmatch.cluster.opening import Members
from featmatch.cluster.ray_engine import served_shards, workshop_at
from featmatch.cluster.tasks import Workshop, done_in_order
from featmatch.errors import StoreError, UsageError
from featmatch.features.extraction import Features
from featmatch.grouping.groups import Group, Groups
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import ImageSource
from featmatch.images.sources import buffered
from featmatch.search.many import SearchOptions, look_up
from featmatch.search.matches import Match, Matches
from featmatch.search.queryable import Asked, Queryable
from featmatch.search.shards import Shards
from featmatch.search.similar import By, SimilarImage, similar_images
from featmatch.store.catalog import Catalog
from featmatch.store.joined import JoinedReader
from featmatch.store.joined_catalog import JoinedCatalog
from featmatch.store.reader import Reader
from featmatch.system.progress import Progress, ignore

_LIST_BYTES = 1 << 20  # of a file that lists indexes
_WHAT_TO_DO = "ask each alone, or index the photos of the older one anew (featmatch add NEW PATH...)"
_LINE_CHARS = 4096  # of a line of it: no path is longer


class Indexes(Queryable):
    """Several indexes, open for reading; ``open_all`` makes one. Safe to share between threads.

    An image is known by the index that holds it and by its number there (``Match.index``, ``Match.id``). A file that is
    in two of them, the same to the byte, is one image with the names of both. Where images are equally good, those of
    the index that was named first come first.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        shards: Shards | None = None,
        *,
        members: Members | None = None,
        served: Callable[[Sequence[str]], Shards] | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        """Ask these as one.

        Args:
            readers: each by what it is called.
            shards: what answers in place of the readers; None: they answer.
            members: what ``refresh`` opens, where a cluster has got other shards; None: they stay the same.
            served: what answers then in place of the readers, by what they are called; None: they answer.
            workshop: whose processes compare images for groups; None: those of this machine.

        Raises:
            UsageError: there is none, or two of them are the same.
            StoreError: they were made with different features or vocabularies.
        """
        if not readers:
            raise UsageError("no index was named")
        self._members, self._served = members, served
        self._elsewhere = None if workshop is None else partial(done_in_order, workshop)
        self._use(readers, shards)

    def _use(self, readers: Mapping[str, Reader], shards: Shards | None) -> None:
        """Ask these, if they can be asked as one."""
        (name, first), *others = readers.items()
        for other, reader in others:
            if reader.options != first.options:
                differing = first.options.differences(reader.options)
                raise StoreError(f"{name} and {other} were made with different features ({differing}); {_WHAT_TO_DO}")
            if reader.vocabulary.fingerprint != first.vocabulary.fingerprint:
                raise StoreError(f"{name} and {other} were made with different vocabularies; {_WHAT_TO_DO}")
        folders: dict[str, str] = {}
        for one, reader in readers.items():
            same = folders.setdefault(os.path.realpath(reader.folder), one)
            if same != one:
                raise UsageError(f"{same} and {one} are the same index")
        self._opened = dict(readers), shards

    @property
    def readers(self) -> dict[str, Reader]:
        """Each index by what it is called: the path that it was opened by."""
        return self._opened[0]

    @cached_property
    def joined(self) -> JoinedReader:
        """The same as one reader, in which each image has a number among all. It has a ``refresh`` of its own."""
        return JoinedReader(self.readers, self._newest)

    def __len__(self) -> int:
        """Number of names that can be found."""
        return sum(map(len, self.readers.values()))

    def refresh(self) -> None:
        """See what was committed to any of them since, and the shards that a cluster has now.

        Raises:
            StoreError: one of them cannot be read any more.
        """
        if self._members is None:
            for reader in self.readers.values():
                reader.refresh()
            return
        before = self.readers
        newest = self._members.newest(before)
        if list(newest) != list(before):
            self._use(newest, None if self._served is None else self._served(list(newest)))

    def _newest(self) -> Mapping[str, Reader]:
        self.refresh()
        return self.readers

    def path_of(self, match: Match) -> str | None:
        """Where the file of a match is now; None where it is not at hand (``Index.path_of``)."""
        return self.readers[match.index or ""].path_of(match.name)

    @property
    def trust_problem(self) -> str | None:
        """As that of the first index that has one."""
        return next((one.trust_problem for one in self.readers.values() if one.trust_problem is not None), None)

    @property
    def _asked(self) -> Asked:
        return self._opened

    def _look_up(self, image: ImageSource | Features, options: SearchOptions) -> Matches:
        """As for one index; if the cluster has got other shards since it was opened, they are asked once more."""
        image = image if isinstance(image, Features) else buffered(image)  # it may be looked up twice
        asked = self._asked
        found = look_up(asked[0], image, options, asked[1])
        if found.missing and self._members is not None:
            with contextlib.suppress(StoreError):  # an index that cannot be read is missing, which the answer says
                self.refresh()
            if self._asked is not asked:
                readers, shards = self._asked
                found = look_up(readers, image, options, shards)
        return found

    def similar(
        self,
        image: ImageSource,
        *,
        by: By = "phash",
        limit: int = 10,
        timeout: float = 60.0,
        max_pixels: int = MAX_PIXELS,
    ) -> list[SimilarImage]:
        """Rank images by their likeness as a whole to this one; arguments are those of ``Index.similar``."""
        found = similar_images(self.joined, image, by, limit, DecodingOptions(timeout, max_pixels))
        catalog = self.joined.snapshot.catalog
        return [replace(one, id=number, index=index) for one in found for index, number in [_index_of(one.id, catalog)]]

    def groups(self, *, jobs: int = -1, progress: Progress | None = None) -> Groups:
        """Find all groups of images that are copies of one another; arguments are those of ``Index.groups``.

        Each member says which index its number is of (``Member.index``). A name that two of the indexes have is told
        with its index in front, as ``B.fm:photos/a.jpg``. What was found is kept in the user's cache folder. If
        machines of a Ray cluster answer, they compare the images, too.

        Raises:
            StoreError: one of the indexes is damaged.
        """
        from featmatch.grouping.finding import find_groups  # SciPy takes longer to import than a query takes

        check_run(jobs, progress)
        found = find_groups(self.joined, jobs=jobs, progress=progress or ignore, elsewhere=self._elsewhere)
        catalog = self.joined.snapshot.catalog

        def of_its_index(group: Group) -> Group:
            members = ((_index_of(member.id, catalog), member) for member in group.members)
            return replace(group, members=tuple(replace(one, id=image, index=index) for (index, image), one in members))

        return Groups(map(of_its_index, found), found.unremembered)


def _index_of(number: int, catalog: Catalog) -> tuple[str, int]:
    """The index that holds an image, by its number among all, and its number there."""
    assert isinstance(catalog, JoinedCatalog)
    place, image = catalog.numbering.place_of(number)
    return catalog.called[place], image


def names_several(path: str | os.PathLike[str]) -> bool:
    """Whether a path names several indexes: it is a cluster, or a file that lists some."""
    return os.path.isfile(path) or is_cluster(path)


def open_all(
    paths: Iterable[str | os.PathLike[str]],
    *,
    root: str | os.PathLike[str] | None = None,
    ray: str | None = None,
    patience: Patience | None = None,
) -> Indexes:
    """Open several indexes, to be asked as one that holds all.

    Args:
        paths: of the indexes; also of clusters, and of text files that list some, one a line, relative to the file.
        root: where the collection is now, as for ``Index.open``; of all of them.
        ray: address of a Ray cluster, or "auto", whose machines answer for the one cluster that is named, as
            ``featmatch cluster serve`` lets them (``docs/cluster.md``); None: this process answers.
        patience: how long such an answer is waited for; None: 1 second for one replica, 20 in all.

    Raises:
        StoreError: as ``Index.open``; or they were made with different features or vocabularies.
        UsageError: there is none, or one is named twice; or a list cannot be read; or with ``ray`` it is no cluster.
        MissingFeatureError: Ray is not installed, and was asked for.

    >>> from featmatch import Index
    >>> for number, name in enumerate(["chelsea", "coffee"]):
    ...     _ = Index.open(f"{number}.fm", create=True).add([f"photos/{name}.jpg"], jobs=1)
    >>> [(match.index, match.name) for match in open_all(["0.fm", "1.fm"]).query("piece.jpg")]
    [('1.fm', 'photos/coffee.jpg')]
    """
    given = checked_paths(paths, "paths")
    named = [one for path in given for one in _listed(path)]
    if ray is not None and (len(given) != 1 or not is_cluster(given[0])):
        raise UsageError("machines answer for one cluster, and nothing else")
    if not named:
        raise UsageError("no index was named")
    members, served, workshop = Members(named, root), None, None
    if ray is not None:
        workshop = workshop_at(ray)
        served = partial(served_shards, Path(given[0]), patience=patience or Patience())
    readers = members.newest({})
    shards = None if served is None else served(list(readers))
    return Indexes(readers, shards, members=members, served=served, workshop=workshop)


def _listed(path: str) -> list[str]:
    """The indexes and clusters that a path names: itself; or if it is a file, those in it."""
    if not os.path.isfile(path):
        return [path]
    try:
        if os.path.getsize(path) > _LIST_BYTES:
            raise UsageError(f"{path} is too large for a list of indexes")
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no index, and no list of indexes: {error}") from error
    named = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not named or not all(line.isprintable() and len(line) <= _LINE_CHARS for line in named):
        raise UsageError(f"{path} is no index, and lists none")
    return [os.path.join(os.path.dirname(path), line) for line in named]
