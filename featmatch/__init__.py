"""Find the photo that a cropped, rotated, mirrored or pasted picture came from, with proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featmatch.adding import AddReport as AddReport
    from featmatch.adding import Failure as Failure
    from featmatch.answers import Match as Match
    from featmatch.answers import Matches as Matches
    from featmatch.answers import Relation as Relation
    from featmatch.answers import Verification as Verification
    from featmatch.errors import FeatmatchError as FeatmatchError
    from featmatch.errors import ImageError as ImageError
    from featmatch.errors import MissingFeatureError as MissingFeatureError
    from featmatch.errors import StoreError as StoreError
    from featmatch.errors import UsageError as UsageError
    from featmatch.errors import VocabularyError as VocabularyError
    from featmatch.explanation import Explanation as Explanation
    from featmatch.features import FeatureOptions as FeatureOptions
    from featmatch.features import Features as Features
    from featmatch.features import extract as extract
    from featmatch.geometry import GeometryOptions as GeometryOptions
    from featmatch.grouping.groups import Group as Group
    from featmatch.grouping.groups import Groups as Groups
    from featmatch.grouping.groups import Member as Member
    from featmatch.index import Index as Index
    from featmatch.info import IndexInfo as IndexInfo
    from featmatch.matching import MatchingOptions as MatchingOptions
    from featmatch.store.checking import CheckReport as CheckReport
    from featmatch.store.checking import check as check
    from featmatch.training import TrainingOptions as TrainingOptions
    from featmatch.training import train_vocabulary as train_vocabulary
    from featmatch.verification import verify as verify
    from featmatch.vocabulary import Vocabulary as Vocabulary
    from featmatch.voting import VotingOptions as VotingOptions

__version__ = "0.1.0"

# Each name is imported when it is first used: OpenCV, SciPy and numba take longer to import than most commands to run.
_HOMES = {
    "adding": ("AddReport", "Failure"),
    "answers": ("Match", "Matches", "Relation", "Verification"),
    "errors": (
        "FeatmatchError", "ImageError", "MissingFeatureError", "StoreError", "UsageError", "VocabularyError",
    ),
    "explanation": ("Explanation",),
    "features": ("FeatureOptions", "Features", "extract"),
    "geometry": ("GeometryOptions",),
    "grouping.groups": ("Group", "Groups", "Member"),
    "index": ("Index",),
    "info": ("IndexInfo",),
    "matching": ("MatchingOptions",),
    "store.checking": ("CheckReport", "check"),
    "training": ("TrainingOptions", "train_vocabulary"),
    "verification": ("verify",),
    "vocabulary": ("Vocabulary",),
    "voting": ("VotingOptions",),
}  # fmt: skip
_WITHOUT_OPENCV = ("errors", "info")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = tuple(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'featmatch' has no attribute {name!r}")
    home = _HOME_OF[name]
    if home not in _WITHOUT_OPENCV:
        importlib.import_module("featmatch.opencv").require()
    value = getattr(importlib.import_module(f"featmatch.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
