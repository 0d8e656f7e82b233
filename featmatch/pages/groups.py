"""Groups as one HTML page without other files: the modules of the served page, and the groups with their pictures."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from featmatch.errors import FeatmatchError, ImageError
from featmatch.grouping.groups import Group, bytes_in_copies
from featmatch.grouping.standing import PathOf
from featmatch.names import split_page
from featmatch.pages.thumbnails import embedded
from featmatch.store.records import ImageRecord
from featmatch.system.files import replace_file
from featmatch.system.progress import Progress, ignore
from featmatch.system.workers import Lost, in_order, processes_for
from featmatch.web.bundling import LANGUAGES, script, style, words

_THUMBNAIL_PX = 320  # longer side; shown at 200 px, and larger when laid over one another
_SMALL_THUMBNAIL_PX = 160
_MANY = 5000  # images above which thumbnails are small, or browsers take long to open the page
_SECONDS = 60.0  # to make a thumbnail

KeptPictureOf: TypeAlias = Callable[[str], "NDArray[np.uint8] | None"]

NOT_AT_HAND = "not at hand"  # why an image is not shown

_TOLD = ("format", "taken", "camera", "caption", "text", "mtime_ns", "features")  # of an image, beside its group's


def write_page(
    target: Path,
    groups: Sequence[Group],
    *,
    path_of: PathOf,
    records: Mapping[str, ImageRecord] | None = None,
    kept_picture_of: KeptPictureOf = lambda _: None,
    jobs: int = -1,
    progress: Progress = ignore,
) -> dict[str, str]:
    """Write the page of the groups. The file appears only when it is complete.

    An image whose files are gone, changed or unreadable is shown as the index keeps it, small and grey, or not at all;
    the page says so.

    Args:
        target: the file to write.
        groups: of one index.
        path_of: name -> path of its file; None: not at hand.
        records: name -> what the index knows of the image, as when it was taken.
        kept_picture_of: name -> (h, w) uint8, the picture that the index keeps of the image; None: it keeps none.
        jobs: processes that make thumbnails; -1: one for each core, -2: one less, and so on.
        progress: called with the number of images done, and of all.

    Returns:
        Name -> why its file is not shown, for images whose files are not.

    Raises:
        FeatmatchError: the page cannot be written.
    """
    images = sum(len(group.members) for group in groups)
    longest_px = _THUMBNAIL_PX if images <= _MANY else _SMALL_THUMBNAIL_PX
    looks = (
        ([path for name in member.names if (path := path_of(name)) is not None], member.bytes, longest_px)
        for group in groups
        for member in group.members
    )
    unseen: dict[str, str] = {}
    processes = processes_for(jobs, images)
    try:
        with (
            closing(in_order(_look, looks, jobs=processes, seconds=_SECONDS)) as pictures,
            replace_file(target) as file,
        ):
            counted = _counted(pictures, images, progress)
            shown = (
                _shown_group(number, group, counted, path_of, records or {}, unseen)
                for number, group in enumerate(groups, 1)
            )
            shown = (_with_kept(group, kept_picture_of) for group in shown)
            for text in _template().generate(groups=shown, facts=_facts(groups, images)):
                file.write(text.encode())
    except OSError as error:
        raise FeatmatchError(f"cannot write {target}: {error.strerror or error}") from error
    return unseen


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"hash": _hash, "data": _data}
    page = (resources.files("featmatch.pages") / "groups.html").read_text(encoding="utf-8")
    # The script, the style and the words are our own text, and must not be escaped.
    return environment.from_string(page, globals={
        "script": Markup(script("report")), "style": Markup(style(embedded=True)),
        "words": [(language, _data(json.loads(words(language)))) for language in LANGUAGES],
    })  # fmt: skip


def _hash(text: str) -> Markup:
    """What the policy of the page calls its own script or style."""
    return Markup(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'")


def _data(value: Any) -> Markup:
    """As JSON within a script element: in ASCII, so that text of any kind can be written, and without tags."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _facts(groups: Sequence[Group], images: int) -> dict[str, Any]:
    """What the page says about all groups together."""
    names = hashlib.sha256()
    for group in groups:
        for member in group.members:
            names.update(b"\0".join(map(os.fsencode, member.names)) + b"\0\0")
    return {
        "key": names.hexdigest()[:16],
        "images": images,
        "totals": {
            "groups": len(groups),
            "files": sum(map(len, groups)),
            "bytes_in_copies": sum(map(bytes_in_copies, groups)),
        },
    }


def _look(paths: Sequence[str], size: int, longest_px: int) -> tuple[str | None, str]:
    """A thumbnail of the first of these files that is as it was added, and ""; or None and why there is none."""
    reasons = []
    for path in paths:
        try:
            if os.stat(split_page(path)[0]).st_size == size:
                return embedded(path, longest_px), ""
            reasons.append("changed since it was added")
        except (ImageError, OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            said = getattr(error, "message", None) or getattr(error, "strerror", None) or str(error)
            reasons.append("no such file" if missing else said)
    return None, reasons[0] if reasons else NOT_AT_HAND


def _counted(
    pictures: Iterable[tuple[str | None, str] | Lost], images: int, progress: Progress
) -> Iterator[tuple[str | None, str]]:
    """Pass pictures on, and report progress; for a lost process, None and why."""
    for done, picture in enumerate(pictures, 1):
        progress(done, images)
        yield (None, picture.reason) if isinstance(picture, Lost) else picture


def _shown_group(
    number: int,
    group: Group,
    pictures: Iterator[tuple[str | None, str]],
    path_of: PathOf,
    records: Mapping[str, ImageRecord],
    unseen: dict[str, str],
) -> dict[str, Any]:
    """What the page has of a group. Takes the group's pictures from ``pictures``; adds to ``unseen``."""
    told = {"group": number, **group.to_dict(), "spared": dict(group.spared)}
    for member, shown in zip(group.members, told["members"], strict=True):
        picture, reason = next(pictures)
        if picture is None:
            unseen[member.names[0]] = reason
        record = records.get(member.names[0])
        shown |= {
            **{name: getattr(record, name, None) for name in _TOLD},
            "picture": picture,
            "files": {name: _shown_file(name, path_of(name)) for name in member.names},
        }
    return told


def _with_kept(told: dict[str, Any], kept_picture_of: KeptPictureOf) -> dict[str, Any]:
    """A group as the page has it, with the index's own pictures where there are no others."""
    for member in told["members"]:
        if member["picture"] is None and (kept := kept_picture_of(member["names"][0])) is not None:
            member |= {"picture": embedded(kept, max(kept.shape)), "kept": True}
    return told


def _shown_file(name: str, path: str | None) -> dict[str, str]:
    """What the page has of a name: the path of its file, byte for byte, and its address."""
    file = None if path is None else os.path.realpath(split_page(path)[0])
    return {"path": file or name, "href": "" if file is None else Path(file).as_uri()}
