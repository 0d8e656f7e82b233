"""Groups -> those of them that are asked for: by kind, by probability, or across two folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace

from featmatch.errors import UsageError
from featmatch.grouping.groups import Group, Groups, Member
from featmatch.names import is_below, printable
from featmatch.store.reader import Reader

COPY = "copy"


def selected(groups: Groups, kinds: Collection[str] = (), least_probability: float = 0.0) -> Groups:
    """The groups with those copies of their originals only that are wanted; one without any is left out.

    Args:
        groups: all of an index.
        kinds: what relations may be; none: anything. Identical files, and what a person accepted, are copies.
        least_probability: that an image is a copy of the original; what a person accepted is sure.
    """

    def wanted(member: Member) -> bool:
        kind = COPY if member.relation is None else member.relation.kind
        return (not kinds or kind in kinds) and (member.accepted or member.probability >= least_probability)

    return _chosen(groups, lambda group: _with_members(group, wanted, identical=not kinds or COPY in kinds))


def across(groups: Groups, reader: Reader, one: str, other: str) -> Groups:
    """The groups that have files of both folders, without files of other folders, but for the original.

    Args:
        groups: all of an index.
        reader: the index.
        one: a folder, as a name in the index begins or as it is on disk. Of two that lie in one another, the inner one
            has its files.
        other: likewise.

    Raises:
        UsageError: the index has no image below one of them.
    """
    inside, outside = (_names_below(folder, reader) for folder in (one, other))
    if is_below(os.path.abspath(one), os.path.abspath(other)):
        inside -= outside
    else:
        outside -= inside

    def of_both(group: Group) -> Group | None:
        names = {name for member in group for name in member.names}
        return _with_names(group, inside | outside) if names & inside and names & outside else None

    return _chosen(groups, of_both)


def _names_below(folder: str, reader: Reader) -> set[str]:
    below = set(reader.places.names_below(folder, (record.name for record in reader.images())))
    if not below:
        raise UsageError(f"the index has no image below {printable(folder)}")
    return below


def _chosen(groups: Groups, choose: Callable[[Group], Group | None]) -> Groups:
    return Groups((found for group in groups if (found := choose(group)) is not None), groups.unremembered)


def _with_members(group: Group, wanted: Callable[[Member], bool], *, identical: bool) -> Group | None:
    """A group with some of its copies, and with identical files or without."""
    original, *others = group.members if identical else map(_first_file, group.members)
    return _reduced(group, [original, *filter(wanted, others)])


def _first_file(member: Member) -> Member:
    return replace(member, names=member.names[:1], same_file=())


def _with_names(group: Group, wanted: Collection[str]) -> Group | None:
    original, *others = group.members
    names = [name for name in original.names if name in wanted]
    members = [_named(original, names or original.names[:1])]
    members += [_named(other, kept) for other in others if (kept := [name for name in other.names if name in wanted])]
    return _reduced(group, members)


def _named(member: Member, names: Collection[str]) -> Member:
    return replace(member, names=tuple(names), same_file=tuple(name for name in member.same_file if name in names))


def _reduced(group: Group, members: list[Member]) -> Group | None:
    names = {name for member in members for name in member.names}
    reduced = replace(
        group,
        members=tuple(members),
        marked=tuple(name for name in group.marked if name in names),
        spared={name: why for name, why in group.spared.items() if name in names},
    )
    return reduced if len(reduced) > 1 else None
