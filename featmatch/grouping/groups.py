"""The result of grouping: groups of images that are copies of one another, each with its original first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from featmatch.names import split_page
from featmatch.notebooks import frame_of, table_of

if TYPE_CHECKING:
    from featmatch.proof.relation import Relation

COLUMNS = (
    "group", "original", "id", "name", "width", "height", "bytes", "description", "probability", "inliers", "kind",
    "rotation_deg", "scale", "mirrored", "negative", "homography", "original_by", "marked",
)  # fmt: skip
_AS_IT_IS = 0.02  # scales nearer to 1 than this count as the same size
_SIZES = {0.25: "a quarter of the size", 0.5: "half size", 2.0: "double size"}


@dataclass(frozen=True, eq=False)
class Member:
    """One image of a group. Files that are the same to the byte are one image with several names.

    Attributes:
        id: the image's number in the index.
        names: all its names in the index, one at least: real files first, then links and what is not at hand, the
            shortest first.
        width: px, as displayed.
        height: px, as displayed.
        bytes: size of the file.
        relation: what was done to the original to get this image; None for the original.
        probability: that the two are copies of one another, in whole or in part; 1 for the original.
        homography: (3, 3) float64, maps px of this image to px of the original; None for the original.
        inliers: feature pairs that agree with it; 0 for the original.
        accepted: whether it is here only because the user accepted it: then it has no relation and no homography.
        same_file: those of its names that are further names of one of its files: other spellings, and links.
        index: what the index is called whose number ``id`` is, where several were asked as one; None: one was asked.
    """

    id: int
    names: tuple[str, ...]
    width: int
    height: int
    bytes: int
    relation: Relation | None
    probability: float
    homography: NDArray[np.float64] | None
    inliers: int
    accepted: bool = False
    same_file: tuple[str, ...] = ()
    index: str | None = None

    def said_of(self, name: str) -> str:
        """What is said beside a name: the description, "identical bytes" or "same file" for further names."""
        if name in self.same_file:
            return "same file"
        return self.description() if name == self.names[0] else "identical bytes"

    def description(self) -> str:
        """The relation in words.

        >>> from featmatch import Relation
        >>> copy = Relation("copy", rotation_deg=0.0, scale=0.5, mirrored=True, negative=False)
        >>> Member(2, ("b.jpg",), 320, 240, 9_000, copy, 0.99, np.diag([2.0, 2, 1]), 80).description()
        'mirrored, same at half size'
        """
        relation = self.relation
        if relation is None:
            return "accepted as a copy" if self.accepted else "original"
        if relation.kind != "copy":
            return str(relation)
        said = []
        if abs(relation.rotation_deg) >= 0.5:
            said.append(f"rotated {relation.rotation_deg:.0f}°")
        if relation.mirrored:
            said.append("mirrored")
        if relation.negative:
            said.append("negative")
        if abs(relation.scale - 1) >= _AS_IT_IS:
            said.append(f"same at {_size(relation.scale)}")
        if said:
            return ", ".join(said)
        suffix = PurePath(split_page(self.names[0])[0]).suffix.lower()
        return "JPEG copy" if suffix in (".jpg", ".jpeg") else "copy"

    def to_dict(self) -> dict[str, Any]:
        """The member object of the JSON output."""
        return {
            "id": self.id,
            **({} if self.index is None else {"index": self.index}),
            "names": list(self.names),
            "same_file": list(self.same_file),
            "width": self.width,
            "height": self.height,
            "bytes": self.bytes,
            "description": self.description(),
            "relation": None if self.relation is None else self.relation.to_dict(),
            "probability": round(self.probability, 6),
            "inliers": self.inliers,
            "homography": None if self.homography is None else self.homography.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Group:
    """Images that are copies of one another, in whole or in part.

    Attributes:
        members: the original first, then by name. A group may have one member only: several files of the same bytes.
        marked: names of files that can be deleted: when all marked files of all groups are gone, the file of each
            original is still there. If that file is not at hand as it was added, none of the group is marked.
        spared: all other names, and why they are not marked.
        original_by: the criterion that decided which image is the original, as "shows the most" (``docs/groups.md``).
        kept: name of the file that stays by a person's own rules (``grouping/keeping.py``); None: there are none, or it
            is the original's.
    """

    members: tuple[Member, ...]
    marked: tuple[str, ...] = ()
    spared: Mapping[str, str] = field(default_factory=dict)
    original_by: str = ""
    kept: str | None = None

    @property
    def original(self) -> Member:
        """The image that the others are copies and crops of."""
        return self.members[0]

    def __repr__(self) -> str:
        return f"Group({len(self)} files, original {self.original.names[0]!r})"

    def _repr_html_(self) -> str:
        return Groups([self])._repr_html_()

    def __len__(self) -> int:
        """Number of files. Identical files count each, several names of one file once."""
        return sum(len(member.names) - len(member.same_file) for member in self.members)

    def __iter__(self) -> Iterator[Member]:
        """The members, the original first."""
        return iter(self.members)

    def to_dict(self) -> dict[str, Any]:
        """The group object of the JSON output."""
        return {
            "files": len(self),
            "original_by": self.original_by,
            **({} if self.kept is None else {"kept": self.kept}),
            "marked": list(self.marked),
            "members": [member.to_dict() for member in self.members],
        }


class Groups(list[Group]):
    """The groups of an index, the largest first.

    Attributes:
        unremembered: why the pairs could not be saved in the index, so that the next call compares the images again;
            None: they were saved.
    """

    def __init__(self, groups: Iterable[Group] = (), unremembered: str | None = None) -> None:
        super().__init__(groups)
        self.unremembered = unremembered

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each file: the member object of the JSON output, made flat, with the ``COLUMNS`` of the CSV."""
        for number, group in enumerate(self, 1):
            of_group = {"group": number, "original": group.original.names[0], "original_by": group.original_by}
            for member in group.members:
                row: dict[str, Any] = of_group | member.to_dict()
                row |= row.pop("relation") or {}
                del row["names"], row["same_file"]
                for name in member.names:
                    yield row | {"name": name, "description": member.said_of(name), "marked": name in group.marked}

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with a row for each file.

        Raises:
            MissingFeatureError: pandas is not installed.
        """
        return frame_of([{column: row.get(column) for column in COLUMNS} for row in self.rows()], COLUMNS)

    def _repr_html_(self) -> str:
        shown = ("group", "probability", "inliers", "width", "height", "bytes", "name", "description")
        rows = ([row[column] for column in shown] for row in self.rows())
        return table_of(f"{len(self)} groups, {sum(map(len, self))} files", shown, rows)

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Group: ...

    @overload
    def __getitem__(self, place: slice, /) -> Groups: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> Group | Groups:
        """One group; of a slice, ``Groups`` again."""
        if isinstance(place, slice):
            return Groups(super().__getitem__(place), self.unremembered)
        return super().__getitem__(place)


def bytes_in_copies(group: Group) -> int:
    """Bytes of the files of a group, but for one of the original."""
    return sum(map(_bytes_of, group.members)) - group.original.bytes


def _bytes_of(member: Member) -> int:
    return member.bytes * (len(member.names) - len(member.same_file))


def _size(scale: float) -> str:
    for known, words in _SIZES.items():
        if abs(scale / known - 1) < _AS_IT_IS:
            return words
    return f"{scale:.0%} of the size"
