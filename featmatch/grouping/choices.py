"""The originals that were chosen before, in the user's cache folder.

To choose an original the files of its group are decoded, which takes far longer than all else once the pairs are known.
The choices are not kept in the index: they decide which files can be deleted, and an index may come from a stranger.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import PIL

from featmatch.grouping import choosing, detail, sameness
from featmatch.grouping.choosing import Choice, Contender
from featmatch.grouping.kept import BROKEN, KeptTexts, digests_of, key_of
from featmatch.images.contents import content_of

_KEPT = KeptTexts("choices")


def key_of_group(group: Sequence[Contender]) -> bytes:
    """Of what a choice depends on: all that is known of the images but ids and paths, and the code."""
    known = []
    for one in group:
        columns = {name: value for name, value in vars(one).items() if name not in ("id", "path", "placed")}
        placed = None if one.placed is None else [value.hex() for value in one.placed.ravel().tolist()]
        known.append([columns, placed, one.path is not None])
    return key_of(_ways(), known)


@cache
def _ways() -> list[str]:
    """Versions of the code that chooses."""
    modules = (choosing, detail, sameness)
    return [cv2.__version__, PIL.__version__, *digests_of(Path(str(module.__file__)) for module in modules)]


def recall(groups: Sequence[Sequence[Contender]]) -> list[Choice | None]:
    """The choice that was kept for each group; None: there is none."""
    keys = [key_of_group(group) for group in groups]
    texts = _KEPT.recall(keys)
    return [_read(texts.get(key), group) for key, group in zip(keys, groups, strict=True)]


def keep(group: Sequence[Contender], choice: Choice) -> None:
    """Keep the choice for a group, if its files have the contents that the catalogue says they have.

    The key is made from the catalogue's checksums, but the choice from the files: a false catalogue must not have a
    choice kept for other contents.
    """
    with contextlib.suppress(*BROKEN):
        if all(one.path is None or content_of(one.path) == one.content for one in group):
            _KEPT.keep({key_of_group(group): _written(choice, group)})


def _written(choice: Choice, group: Sequence[Contender]) -> str:
    """A choice as JSON; images are named by their content (SHA-256), as ids differ from index to index."""
    contents = {one.id: one.content for one in group}
    own = {contents[image]: said for image, said in choice.own.items()}
    return json.dumps({"original": contents[choice.original], "by": choice.by, "own": own})


def _read(text: str | None, group: Sequence[Contender]) -> Choice | None:
    """The inverse of ``_written``; None for any other text."""
    if text is None:
        return None
    with contextlib.suppress(*BROKEN):
        images = {one.content: one.id for one in group}
        choice = Choice(**json.loads(text))
        own = {images[content]: said for content, said in choice.own.items()}  # type: ignore[index]  # as written
        return dataclasses.replace(choice, original=images[choice.original], own=own)  # type: ignore[index]
    return None
