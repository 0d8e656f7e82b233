"""Groups of copies, as a job made them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from featmatch.grouping.groups import Group, Groups, bytes_in_copies


@dataclass(frozen=True)
class MadeGroups:
    """Groups, and when and of what they were made.

    Attributes:
        groups: the largest first.
        made: when, ISO 8601.
        generation: of the index.
        names: how many there were in the index.
        newest: number of the image that was added last.
    """

    groups: Groups
    made: str
    generation: str
    names: int
    newest: int

    def standing(self, verdicts: Mapping[tuple[int, int], bool]) -> list[tuple[int, Group]]:
        """The groups by number, but for those of which all copies were rejected since.

        Args:
            verdicts: by pair of images, the older one first; False: no copies of one another.
        """
        return [(number, one) for number, one in enumerate(self.groups, 1) if not _is_rejected(one, verdicts)]


@dataclass(frozen=True)
class GroupFilter:
    """Which groups are wanted.

    Attributes:
        kind: of the relation of one of the copies at least; None: any.
        min_probability: that one of the copies has at least.
        min_files: that the group has.
        prefix: that a name of the group begins with.
    """

    kind: str | None = None
    min_probability: float = 0.0
    min_files: int = 0
    prefix: str = ""

    def fits(self, group: Group) -> bool:
        """Whether a group is wanted."""
        copies = group.members[1:] or group.members
        return (
            len(group) >= self.min_files
            and any(member.probability >= self.min_probability for member in copies)
            and (self.kind is None or any(member.relation and member.relation.kind == self.kind for member in copies))
            and any(name.startswith(self.prefix) for member in group for name in member.names)
        )


def totals(groups: Collection[Group]) -> dict[str, int]:
    """How many groups and files there are, and bytes of all but the originals."""
    return {
        "groups": len(groups),
        "files": sum(len(group) for group in groups),
        "bytes_in_copies": sum(map(bytes_in_copies, groups)),
    }


def _is_rejected(group: Group, verdicts: Mapping[tuple[int, int], bool]) -> bool:
    pairs = [(min(group.original.id, one.id), max(group.original.id, one.id)) for one in group.members[1:]]
    return bool(pairs) and all(verdicts.get(pair) is False for pair in pairs)
