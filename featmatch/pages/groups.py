"""Groups as one HTML page without other files: copies side by side, and laid over their originals."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from featmatch.errors import FeatmatchError, ImageError
from featmatch.grouping.groups import Group, Member
from featmatch.grouping.standing import PathOf
from featmatch.names import printable, split_page
from featmatch.pages.thumbnails import embedded
from featmatch.system.files import replace_file
from featmatch.system.progress import Progress, ignore
from featmatch.system.workers import Lost, in_order, processes_for

_THUMBNAIL_PX = 320  # longer side; shown at 200 px, and larger when laid over one another
_SMALL_THUMBNAIL_PX = 160
_MANY = 5000  # images above which thumbnails are small, or browsers take long to open the page
_SECONDS = 60.0  # to make a thumbnail

NOT_AT_HAND = "not at hand"  # why an image is not shown

_KINDS = {
    "identical": "identical bytes", "copy": "copy of the whole", "crop": "crop of", "contains": "contains",
    "overlap": "overlaps", "whole picture": "alike as a whole", "resized": "of another size",
    "rotated": "rotated", "mirrored": "mirrored", "negative": "negative",
}  # fmt: skip


def write_page(
    target: Path,
    groups: Sequence[Group],
    *,
    path_of: PathOf,
    dates: Mapping[str, str] | None = None,
    jobs: int = -1,
    progress: Progress = ignore,
) -> dict[str, str]:
    """Write the page of the groups. The file appears only when it is complete.

    An image whose files are gone, changed or unreadable has no picture on the page, which says why.

    Args:
        target: the file to write.
        groups: of one index.
        path_of: name -> path of its file; None: not at hand.
        dates: name -> when the photo was taken, in ISO 8601; other files show the date of their last change.
        jobs: processes that make thumbnails; -1: one for each core, -2: one less, and so on.
        progress: called with the number of images done, and of all.

    Returns:
        Name -> why there is no picture, for images without one.

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
            shown = (_shown_group(group, counted, path_of, dates or {}, unseen) for group in groups)
            for text in _template().generate(groups=shown, facts=_facts(groups, images)):
                file.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise FeatmatchError(f"cannot write {target}: {error.strerror or error}") from error
    return unseen


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files("featmatch.pages")
    # The script and the style are our own text, and must not be escaped.
    parts = {name: Markup((folder / f"groups.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    return environment.from_string((folder / "groups.html").read_text(encoding="utf-8"), globals=parts)


def _facts(groups: Sequence[Group], images: int) -> dict[str, Any]:
    """What the page says about all groups together."""
    names = hashlib.sha256()
    kinds: Counter[str] = Counter()
    for group in groups:
        for member in group.members:
            kinds.update(_kinds(member))
            names.update(b"\0".join(map(os.fsencode, member.names)) + b"\0\0")
    return {
        "key": names.hexdigest()[:16],
        "groups": len(groups),
        "images": images,
        "files": sum(map(len, groups)),
        "longest": max(map(len, groups), default=2),
        "kinds": [(kind, _KINDS.get(kind, kind), kinds[kind]) for kind in sorted(kinds, key=_order_of_kind)],
    }


def _order_of_kind(kind: str) -> int:
    return list(_KINDS).index(kind) if kind in _KINDS else len(_KINDS)


def _kinds(member: Member) -> list[str]:
    """The kinds of relation by which the page's filter finds a member."""
    kinds = ["identical"] if len(member.names) - len(member.same_file) > 1 else []
    if member.relation is not None:
        relation = member.relation.to_dict()
        kinds.append(relation["kind"])
        kinds += ["resized"] if abs(relation["scale"] - 1) >= 0.02 else []
        kinds += ["rotated"] if abs(relation["rotation_deg"]) >= 0.5 else []
        kinds += [kind for kind in ("mirrored", "negative") if relation[kind]]
    return kinds


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
    group: Group,
    pictures: Iterator[tuple[str | None, str]],
    path_of: PathOf,
    dates: Mapping[str, str],
    unseen: dict[str, str],
) -> dict[str, Any]:
    """What the template shows of a group. Takes the group's pictures from ``pictures``; adds to ``unseen``."""
    members: list[dict[str, Any]] = []
    for member in group.members:
        picture, reason = next(pictures)
        if picture is None:
            unseen[member.names[0]] = reason
        members.append({
            "member": member,
            "picture": picture,
            "reason": reason,
            "kinds": ",".join(_kinds(member)),
            "unit": _unit_homography(member, group.original),
            "negative": member.relation is not None and member.relation.negative,
            "comparable": picture is not None and bool(members) and members[0]["picture"] is not None,
            "files": [
                {
                    **_shown_file(name, path_of(name), dates),
                    "said": "" if name == member.names[0] else member.said_of(name),
                    "why": "" if name in group.marked else group.spared.get(name, "not marked"),
                }
                for name in member.names
            ],
        })  # fmt: skip
    return {"files": len(group), "by": group.original_by, "members": members}


def _shown_file(name: str, path: str | None, dates: Mapping[str, str]) -> dict[str, str]:
    """What the template shows of a name; ``value`` is its file's path, byte for byte, as base64."""
    file = None if path is None else os.path.realpath(split_page(path)[0])
    date = "not there"
    if file is not None:
        with suppress(OSError, ValueError, OverflowError):
            date = f"{datetime.fromtimestamp(os.stat(file).st_mtime):%Y-%m-%d %H:%M}"
    taken = dates.get(name, "")[: len("2019-05-03T10:20")].replace("T", " ")
    return {
        "name": printable(name),
        "value": base64.b64encode(os.fsencode(file or name)).decode(),
        "href": "" if file is None else Path(file).as_uri(),
        "date": f"taken {taken}" if taken and date != "not there" else date,
    }


def _unit_homography(member: Member, original: Member) -> str:
    """The member's homography between unit squares, nine numbers row by row: it fits thumbnails of any size.

    In pixel coordinates the centre of the top-left pixel is 0; in a browser, and here, its outer corner is.
    """
    if member.homography is None:
        return ""
    from_corner = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    in_pixels = from_corner @ member.homography @ np.linalg.inv(from_corner)
    unit = np.diag([1 / original.width, 1 / original.height, 1]) @ in_pixels @ np.diag([member.width, member.height, 1])
    return " ".join(f"{value:.9g}" for value in (unit / unit[2, 2]).ravel())
