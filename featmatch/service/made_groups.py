"""Groups of copies, as a job made them."""

from __future__ import annotations

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
    """

    groups: Groups
    made: str
    generation: str
    names: int

    def totals(self) -> dict[str, int]:
        """How many groups and files there are, and bytes of all but the originals."""
        return {
            "groups": len(self.groups),
            "files": sum(len(group) for group in self.groups),
            "bytes_in_copies": sum(map(bytes_in_copies, self.groups)),
        }


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
