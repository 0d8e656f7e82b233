"""Groups -> which of their files can be deleted (are marked), so that the original of each group stays.

The marked files are safe as a whole: after all of them were moved or deleted, the file of each original is still there;
it was looked at when the list was made. Where that cannot be promised, no file of the group is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.grouping.choosing import NOT_COMPARED
from featmatch.grouping.groups import Group, Member
from featmatch.grouping.standing import Identity, Standing, Standings

ORIGINAL = "original"  # why the file of an original stays, where nothing else keeps it

_AS_FINE = 1.1  # ratio of the px along a side above which a picture may resolve more than its original
_WITHIN = 0.95  # share of a picture that must lie in its original, or it shows something of its own


def marked(groups: Iterable[Group], standings: Standings, own: Mapping[int, str]) -> list[Group]:
    """Say for each name whether it is a further name of the same file, and whether its file can go.

    Groups of which all names are one file are left out: there is nothing to clean up.

    Args:
        groups: all of an index.
        standings: of all their names.
        own: by image id, what it has that its original has not, empty: nothing; an image that is missing here was not
            compared.
    """
    told = [with_sorted_names(group, standings) for group in groups]
    marking = _Marking([group for group in told if len(group) > 1], standings, own)
    return [marking.marked(group) for group in marking.groups]


def with_sorted_names(group: Group, standings: Standings) -> Group:
    """The group with its names and members sorted, real files first, and with ``same_file`` filled in."""
    names = [name for member in group.members for name in member.names]

    firsts: dict[tuple[Identity, int | None], str] = {}
    for name in sorted(names, key=standings.order):
        firsts.setdefault((standings.of(name).file, standings.of(name).page), name)
    of_files = set(firsts.values())
    original, *others = (
        replace(
            member,
            names=tuple(sorted(member.names, key=lambda name: (name not in of_files, standings.order(name)))),
            same_file=tuple(sorted((name for name in member.names if name not in of_files), key=standings.order)),
        )
        for member in group.members
    )
    by = group.original_by
    if not others:  # one image, of several files
        ranks = [standings.of(name).rank for name in original.names if name in of_files]
        by = "a real file" if ranks[:1] < ranks[1:2] else "the shortest name"
    return replace(group, members=(original, *sorted(others, key=lambda member: member.names[0])), original_by=by)


class _Marking:
    """Which images each file stands for, and which files links lead to, over all groups."""

    def __init__(self, groups: Sequence[Group], standings: Standings, own: Mapping[int, str]) -> None:
        self.groups = groups
        self._own = own
        self._standings = standings
        self._images: dict[Identity, set[int]] = {}
        self._linked: set[Identity] = set()
        for group in groups:
            for member in group.members:
                for name in member.names:
                    standing = standings.of(name)
                    self._images.setdefault(standing.file, set()).add(member.id)
                    if standing.is_link:
                        self._linked.add(standing.file)

    def marked(self, group: Group) -> Group:
        original = self._standings.of(group.original.names[0])
        if not original.is_real:
            reason = f"the original is {original.trouble or 'only there as a link'}"
            spared = {name: reason for member in group.members for name in member.names}
        else:
            spared = {name: why for member in group.members for name, why in self._spared(member, group)}
        spared |= {name: "same file" for member in group.members for name in member.same_file}
        names = [name for member in group.members for name in member.names]
        return replace(group, marked=tuple(name for name in names if name not in spared), spared=spared)

    def _spared(self, member: Member, group: Group) -> Iterable[tuple[str, str]]:
        """Names of a member whose files cannot go, and why."""
        shown = _why_not(member, group.original) or self._own.get(member.id, NOT_COMPARED)
        first = member.names[0]
        kept = False  # whether a file of these bytes stays, so that others of the same bytes can go
        for name in member.names:
            why = self._why_not(self._standings.of(name))
            if not why and shown and not kept:
                why = shown
            # Only the first file's pixels were compared. Sizes and times do not prove that the others are the same to
            # the byte, and an index from a stranger may claim anything: so they are read.
            if not why and name != first and not all(map(self._standings.has_content, (first, name))):
                why = "changed since it was added"
            if why:
                yield name, why
            kept |= bool(why) and self._standings.of(name).is_real

    def _why_not(self, standing: Standing) -> str:
        """Why a file cannot go, whatever picture it holds; empty: it can."""
        if standing.trouble:
            return standing.trouble
        if standing.is_link:
            return "a link"
        if standing.page is not None:
            return "a page of a file"
        if len(self._images[standing.file]) > 1:
            return "stands for other images as well"
        return "a link leads to it" if standing.file in self._linked else ""


def _why_not(member: Member, original: Member) -> str:
    """Why an image cannot go although its original is there; empty: it can."""
    if member is original:
        return ORIGINAL
    if member.relation is None or member.homography is None:
        return "by a person's word only"
    size = member.width, member.height
    within = shared_region(member.homography, size, (original.width, original.height))
    if member.relation.kind in ("overlap", "contains") or polygon_area(within) < _WITHIN * member.width * member.height:
        return "shows more than the original"
    return "finer than the original" if member.relation.scale > _AS_FINE else ""
