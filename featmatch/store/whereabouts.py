"""Where the files of an index are and which of them this user trusts; ``add`` keeps both."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from featmatch.errors import StoreError
from featmatch.images.folders import image_files
from featmatch.names import absolute, split_page
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CLUSTER_FILE
from featmatch.store.places import Naming, Places
from featmatch.system.trust import beside, covers, spellings, trust, trusted_paths


class Whereabouts:
    """The places of an index, kept in step with its catalogue.

    Attributes:
        given: the root that this run was given; it is trusted.
        problem: why the record of what this user added cannot be used, if it cannot; then only what this process was
            told is trusted.
    """

    def __init__(self, index: Path, given: str | None) -> None:
        self.given = given
        self.problem: str | None = None
        self._index = index
        self._named = set() if given is None else spellings(given)
        self._known: tuple[weakref.ref[Catalog], Places] | None = None  # lets unread generations go

    def places(self, catalog: Catalog) -> Places:
        """Where the files are, as a catalogue has it."""
        known = self._known
        if known is None or known[0]() is not catalog:
            try:
                trusted = trusted_paths(self._index)
            except StoreError as error:
                trusted, self.problem = frozenset(), str(error)
            trusted |= beside_of(self._index) | self._named
            known = self._known = weakref.ref(catalog), Places.of(catalog, self.given, trusted)
        return known[1]

    def prepare_addition(self, paths: Sequence[str], catalog: Catalog) -> tuple[Naming, list[str]]:
        """How ``add`` names files, and the image files at the given paths; keeps both for later runs.

        The caller holds the writer's lock.

        Raises:
            UsageError: a path has no name; then nothing is written.
        """
        naming = self.places(catalog).naming(paths)
        for path in paths:
            naming.name_of(path)
        files = list(image_files(paths))
        self.keep(naming, paths, files, catalog)
        own = os.path.realpath(self._index)
        return naming, [file for file in files if not os.path.realpath(file).startswith(own + os.sep)]

    def keep(self, naming: Naming, paths: Sequence[str], files: Sequence[str], catalog: Catalog) -> None:
        """Keep for later runs how files are named, and that the user named these. The caller holds the writer's lock.

        Args:
            naming: how they are named.
            paths: as given.
            files: the image files at these paths.
            catalog: of the index.
        """
        named = {spelled for path in paths for spelled in spellings(absolute(split_page(path)[0]))}
        links = {os.path.realpath(file) for file in files if os.path.islink(file)}
        self._trust(named | {path for path in links if not covers(named, path)})
        self._keep_folders(naming, catalog)

    def _trust(self, paths: set[str]) -> None:
        """Keep what the user named outside the index."""
        self._named |= {path for path in paths if os.path.exists(path)}
        try:
            known = trusted_paths(self._index) | beside_of(self._index)
            new = {path for path in self._named if not covers(known, path)}
            if new:
                trust(self._index, new)
        except StoreError as error:
            self.problem = str(error)
        self._known = None

    def _keep_folders(self, naming: Naming, catalog: Catalog) -> None:
        """Keep in the index what its names are relative to, and where the index was at that time."""
        key = "root" if naming.is_root else "base"
        if catalog.folder("home") is None or naming.folder not in (None, catalog.folder(key)):
            with change_catalog(catalog.path) as change:
                change.describe("home", os.path.dirname(os.path.realpath(self._index)))
                if naming.folder is not None:
                    change.describe(key, naming.folder)


def beside_of(index: Path) -> frozenset[str]:
    """The folder that holds an index; or that holds the cluster of which the index is a shard."""
    folder = Path(os.path.realpath(index))
    return beside(folder.parent if os.path.isfile(folder.parent / CLUSTER_FILE) else folder)
