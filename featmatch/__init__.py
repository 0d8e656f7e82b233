"""Find the photo that a cropped, rotated, mirrored or pasted picture came from, with proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featmatch.adding.batches import AddReport as AddReport
    from featmatch.adding.one_image import Failure as Failure
    from featmatch.client import Client as Client
    from featmatch.client import ServiceError as ServiceError
    from featmatch.errors import FeatmatchError as FeatmatchError
    from featmatch.errors import ImageError as ImageError
    from featmatch.errors import MissingFeatureError as MissingFeatureError
    from featmatch.errors import StoreError as StoreError
    from featmatch.errors import UsageError as UsageError
    from featmatch.errors import VocabularyError as VocabularyError
    from featmatch.errors import WriterBusyError as WriterBusyError
    from featmatch.features.extraction import FeatureOptions as FeatureOptions
    from featmatch.features.extraction import Features as Features
    from featmatch.features.extraction import extract as extract
    from featmatch.geometry.matches import GeometryOptions as GeometryOptions
    from featmatch.grouping.groups import Group as Group
    from featmatch.grouping.groups import Groups as Groups
    from featmatch.grouping.groups import Member as Member
    from featmatch.index import Index as Index
    from featmatch.indexes import Indexes as Indexes
    from featmatch.indexes import open_all as open_all
    from featmatch.proof.matching import MatchingOptions as MatchingOptions
    from featmatch.proof.pair import verify as verify
    from featmatch.proof.proof import Proof as Proof
    from featmatch.proof.relation import Relation as Relation
    from featmatch.proof.verified import Verification as Verification
    from featmatch.search.explanation import Explanation as Explanation
    from featmatch.search.matches import Match as Match
    from featmatch.search.matches import Matches as Matches
    from featmatch.search.voting import VotingOptions as VotingOptions
    from featmatch.store.checking import CheckReport as CheckReport
    from featmatch.store.checking import check as check
    from featmatch.store.info import IndexInfo as IndexInfo
    from featmatch.words.training import TrainingOptions as TrainingOptions
    from featmatch.words.training import train_vocabulary as train_vocabulary
    from featmatch.words.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

# Each name is imported when it is first used: OpenCV and SciPy take longer to import than most commands to run.
_HOMES = {
    "adding.batches": ("AddReport",),
    "adding.one_image": ("Failure",),
    "client": ("Client", "ServiceError"),
    "proof.pair": ("verify",),
    "proof.proof": ("Proof",),
    "proof.relation": ("Relation",),
    "proof.verified": ("Verification",),
    "search.matches": ("Match", "Matches"),
    "errors": (
        "FeatmatchError", "ImageError", "MissingFeatureError", "StoreError", "UsageError", "VocabularyError",
        "WriterBusyError",
    ),
    "search.explanation": ("Explanation",),
    "features.extraction": ("FeatureOptions", "Features", "extract"),
    "geometry.matches": ("GeometryOptions",),
    "grouping.groups": ("Group", "Groups", "Member"),
    "index": ("Index",),
    "indexes": ("Indexes", "open_all"),
    "store.info": ("IndexInfo",),
    "proof.matching": ("MatchingOptions",),
    "store.checking": ("CheckReport", "check"),
    "words.training": ("TrainingOptions", "train_vocabulary"),
    "words.vocabulary": ("Vocabulary",),
    "search.voting": ("VotingOptions",),
}  # fmt: skip
_WITHOUT_OPENCV = ("errors", "store.info")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = tuple(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'featmatch' has no attribute {name!r}")
    home = _HOME_OF[name]
    if home not in _WITHOUT_OPENCV:
        importlib.import_module("featmatch.system.opencv").require()
    value = getattr(importlib.import_module(f"featmatch.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
