"""A person's own rules -> which file of each group stays, in place of the original's; and which can go beside it.

The rules are those of the web page, and have its words. Each leaves the files that it likes best; the first that tells
files apart decides, and where all do not, the original stays.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TypeAlias

import numpy as np

from featmatch.errors import UsageError
from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.grouping.groups import Group, Groups, Member
from featmatch.grouping.marking import ORIGINAL
from featmatch.store.records import ImageRecord

_RAW = frozenset(["dng", "nef", "cr2", "cr3", "arw", "orf", "rw2", "raf", "pef", "srw", "raw", "heic", "heif", "avif"])
_AS_MUCH = 0.95  # share of the most scene from which a picture shows as much
_SURE = 0.95  # probability from which one picture may stand for another
_WITHIN = 0.95  # share of a picture that the kept one must show
_LESS = "the kept file shows or resolves less"
_AS_FINE = 1.1  # ratio of px along a side above which a picture may resolve more


@dataclass(frozen=True)
class _File:
    """A file of a group, as rules see it."""

    name: str
    member: Member
    record: ImageRecord
    is_original: bool


Rule: TypeAlias = Callable[[Sequence[_File]], Sequence[_File]]


def rules_of(text: str) -> list[Rule]:
    r"""The rules that a text lists, the most important first.

    They are ``folder:NAME`` (in this folder, or any of that name; ``*`` is anything), ``raw`` (raw or HEIC before
    JPEG), ``detail`` (what featmatch takes for the original), ``scene`` (shows more of it), ``pixels`` or ``larger``,
    ``camera`` (has date and camera), ``oldest`` or ``older`` (taken first), and ``name`` (the shortest).

    Raises:
        UsageError: one of them is not known.

    >>> len(rules_of("folder:originals,raw,larger,older"))
    4
    """
    return [_rule_of(word.strip()) for word in text.split(",")]


def keep_by(groups: Groups, rules: Sequence[Rule], records: Mapping[str, ImageRecord]) -> Groups:
    """Say for each group which file stays by some rules, and mark those that can go then.

    Where a kept file shows and resolves as much as the original, it stands for that, and the original can go. Else the
    original stays, too. Nothing is marked that could not go beside the original.

    Args:
        groups: of an index.
        rules: the most important first.
        records: of all their names.
    """
    return Groups((_kept(group, rules, records) for group in groups), groups.unremembered)


def _kept(group: Group, rules: Sequence[Rule], records: Mapping[str, ImageRecord]) -> Group:
    files: Sequence[_File] = [
        _File(name, member, records[name], member is group.original)
        for member in group
        for name in member.names
        if name not in member.same_file
    ]
    for rule in rules:
        files = rule(files)
    best = files[0]
    if best.name == group.original.names[0]:
        return group
    member_of = {name: member for member in group for name in member.names}
    may_go = {*group.marked, *(name for name, why in group.spared.items() if why == ORIGINAL)}
    going = set(group.marked)
    if best.name in may_go and _stands_for(best.member, group.original):
        going = {name for name in may_go if _stands_for(best.member, member_of[name])}
    going.discard(best.name)
    spared = {name: why for name, why in group.spared.items() if name not in going}
    spared |= dict.fromkeys(may_go - going - spared.keys(), _LESS) | {best.name: "kept"}
    return replace(group, marked=tuple(name for name in member_of if name in going), spared=spared, kept=best.name)


def _stands_for(kept: Member, other: Member) -> bool:
    """Whether nothing of one image is lost if the other stays: that shows all of it, and resolves as much."""
    if kept is other:
        return True
    if min(kept.probability, other.probability) < _SURE or kept.accepted or other.accepted:
        return False
    if "whole picture" in {one.relation.kind for one in (kept, other) if one.relation is not None}:
        return False
    kept_from_other = product(inverse(_to_original(kept)), _to_original(other))
    size, kept_size = (other.width, other.height), (kept.width, kept.height)
    part = polygon_area(shared_region(kept_from_other, size, kept_size))
    kept_part = polygon_area(shared_region(inverse(kept_from_other), kept_size, size))
    return part >= _WITHIN * math.prod(size) and part <= _AS_FINE**2 * kept_part


def _to_original(member: Member) -> Matrix:
    return np.eye(3) if member.homography is None else member.homography


def _rule_of(word: str) -> Rule:
    kind, colon, folder = word.partition(":")
    if kind == "folder" and folder:
        return _in_folder(folder)
    if word not in _RULES or colon:
        known = ", ".join(["folder:NAME", *_RULES])
        raise UsageError(f"{word!r} is no rule of what to keep; these are: {known}")
    return _RULES[word]


def _in_folder(folder: str) -> Rule:
    spelled = os.path.normpath(folder).replace(os.sep, "/")
    start = "" if spelled.startswith(("/", "*")) else "(?:.*/)?"
    pattern = re.compile(start + ".*".join(map(re.escape, spelled.split("*"))) + "/", re.DOTALL)
    return _most(lambda file: float(pattern.match(file.name.replace(os.sep, "/")) is not None))


def _is_raw(file: _File) -> float:
    kinds = {(file.record.format or "").lower(), PurePath(file.name).suffix[1:].lower()}
    return float(not kinds.isdisjoint(_RAW))


def _scene(file: _File) -> float:
    """Area that a picture shows, px of the original."""
    member = file.member
    corners = shared_region(np.eye(3), (member.width, member.height), (member.width, member.height))
    area = polygon_area(project(_to_original(member), corners))
    return area if math.isfinite(area) else 0.0  # it reaches beyond the horizon


def _most(value: Callable[[_File], float], share: float = 1.0) -> Rule:
    """The rule that leaves the files of the highest value, or of such a share of it."""

    def rule(files: Sequence[_File]) -> Sequence[_File]:
        values = [value(file) for file in files]
        least = max(values) * share if max(values) > 0 else max(values)
        return [file for file, one in zip(files, values, strict=True) if one >= least]

    return rule


def _oldest(files: Sequence[_File]) -> Sequence[_File]:
    first = min((file.record.taken for file in files if file.record.taken), default=None)
    return [file for file in files if file.record.taken == first] if first else files


_pixels = _most(lambda file: file.member.width * file.member.height)
_RULES: Mapping[str, Rule] = {
    "raw": _most(_is_raw),
    "detail": _most(lambda file: float(file.is_original)),
    "scene": _most(_scene, _AS_MUCH),
    "pixels": _pixels,
    "larger": _pixels,
    "camera": _most(lambda file: float(bool(file.record.taken and file.record.camera))),
    "oldest": _oldest,
    "older": _oldest,
    "name": _most(lambda file: -len(file.name)),
}
