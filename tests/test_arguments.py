"""What cannot be meant is a ``UsageError``, in words, whatever is called with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import featmatch
from featmatch import Index, UsageError, Vocabulary
from featmatch.arguments import (
    check_kind,
    check_number,
    check_options,
    check_run,
    check_seconds,
    checked_path,
    checked_paths,
)

Photos = dict[str, NDArray[np.uint8]]

NO_PATH: tuple[Any, ...] = (None, 3, 2.5, b"a.jpg", ["a.jpg"], object(), np.zeros((9, 9), np.uint8), "a\0b")
NO_PATHS: tuple[Any, ...] = (
    "abc", b"abc", Path("abc"), None, 3, [None], [3], [b"abc"], ["abc", None], [["abc"]], ["a\0b"],
    [np.zeros((9, 9), np.uint8)], np.zeros((9, 9), np.uint8),
)  # fmt: skip
NO_IMAGE: tuple[Any, ...] = (None, 3, 2.5, ["a.jpg"], object(), {}, np.zeros(9), np.zeros((9, 9)), (1, 2))
NO_COUNT: tuple[Any, ...] = (0, -1, "3", 2.5, None, True, float("nan"), [3])
NO_JOBS: tuple[Any, ...] = (0, "2", 1.5, None, True, -1.0, [1])
NO_SECONDS: tuple[Any, ...] = (0, -1, "60", None, float("nan"), True, [60])
NO_TEXT: tuple[Any, ...] = (3, b"text", ["text"], object())
NO_FUNCTION: tuple[Any, ...] = (3, "print", [print])
NO_OPTIONS: tuple[Any, ...] = (3, "fast", {"words": 3}, object, featmatch.FeatureOptions.of)
NO_FEATURES: tuple[Any, ...] = ("psychic", 3, b"sift", ["sift"], {"detector": "sift"}, object())

# What is called, the argument that is wrong, and what it may not be; all else is as in _GOOD.
CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("Index.open", "path", NO_PATH), ("Index.open", "root", NO_PATH[1:]), ("Index.open", "features", NO_FEATURES),
    ("Index.open", "vocabulary", (3, b"v.npz", ["v.npz"], object())),
    ("index.add", "paths", NO_PATHS), ("index.add", "jobs", NO_JOBS), ("index.add", "timeout", NO_SECONDS),
    ("index.add", "text", (*NO_TEXT, "\udce9")), ("index.add", "progress", NO_FUNCTION),
    ("index.add_images", "images", (*NO_PATHS[:5], [None], [3], ["abc"], [("a", 3)], [("", b"")], [("a", b"", 3)])),
    ("index.add_images", "jobs", NO_JOBS), ("index.add_images", "text", (*NO_TEXT, "\udce9")),
    ("index.add_images", "on_conflict", (None, "fail", 3)), ("index.add_images", "timeout", NO_SECONDS),
    ("index.add_images", "progress", NO_FUNCTION),
    ("index.remove", "names", NO_PATHS), ("index.images", "match", (*NO_TEXT, "", "!")),
    ("index.path_of", "name", (3, None, b"a.png", ["a.png"])),
    ("index.query", "image", NO_IMAGE), ("index.query", "limit", NO_COUNT), ("index.query", "match", (*NO_TEXT, "")),
    ("index.query", "region", ("0123", 3, [], [1, 2, 3], (0, 0, 0, 5), (0, 0, None, 5), [[1, 2], [3, 4]], {"x": 1})),
    ("index.query", "voting", NO_OPTIONS), ("index.query", "geometry", NO_OPTIONS),
    ("index.query_many", "images", (*NO_PATHS[:5], [None], [3], [["abc"]], np.zeros((9, 9), np.uint8))),
    ("index.query_many", "jobs", NO_JOBS), ("index.query_many", "limit", NO_COUNT),
    ("index.query_many", "match", (*NO_TEXT, "")), ("index.query_many", "voting", NO_OPTIONS),
    ("index.query_many", "geometry", NO_OPTIONS), ("index.query_many", "timeout", NO_SECONDS),
    ("index.explain", "image", NO_IMAGE), ("index.explain", "name", NO_PATH),
    ("index.explain", "voting", NO_OPTIONS), ("index.explain", "geometry", NO_OPTIONS),
    *((f"index.{verb}", side, NO_PATH) for verb in ("accept", "reject", "forget") for side in ("a", "b")),
    ("index.groups", "jobs", NO_JOBS), ("index.groups", "progress", NO_FUNCTION),
    ("verify", "a", NO_IMAGE), ("verify", "b", NO_IMAGE), ("verify", "features", (None, *NO_FEATURES)),
    ("verify", "matching", NO_OPTIONS), ("verify", "geometry", NO_OPTIONS),
    ("extract", "image", NO_IMAGE), ("extract", "options", NO_OPTIONS),
    ("train_vocabulary", "paths", NO_PATHS), ("train_vocabulary", "features", (None, *NO_FEATURES)),
    ("train_vocabulary", "words", (0, -1, "64", 2.5, None, True, [64])), ("train_vocabulary", "options", NO_OPTIONS),
    ("train_vocabulary", "jobs", NO_JOBS), ("train_vocabulary", "progress", NO_FUNCTION),
    ("check", "path", NO_PATH), ("Vocabulary.load", "path", NO_PATH), ("vocabulary.save", "path", NO_PATH),
    ("FeatureOptions", "detector", (3, None, "", ["sift"])), ("FeatureOptions", "longest_px", ("640", None, 0, 0.5)),
    ("FeatureOptions.of", "speed", (3, None, "brisk", ["fast"])), ("FeatureOptions.of", "detector", (3, None, [])),
    ("VotingOptions", "words", ("3", None, 0, 2.5)), ("VotingOptions", "sigma", ("10", None, 0, float("nan"))),
    ("GeometryOptions", "tolerance", ("0.1", None, [0.1], float("nan"))), ("GeometryOptions", "grid", (2.5, None)),
    ("MatchingOptions", "ratio", ("0.8", None, True)),
    ("TrainingOptions", "words", ("64", None, 64.0)), ("TrainingOptions", "scales", (1.0, None, "1", ("1",), ())),
    ("TrainingOptions", "search", (3, None, "slow")),
]  # fmt: skip


# Each check by itself


@pytest.mark.parametrize("value", [1, 5, -1, -2, -99, np.int64(3), np.int8(-2)])
def test_numbers_of_processes(value: Any) -> None:
    check_run(value, None)
    check_run(value, print)


@pytest.mark.parametrize("value", NO_JOBS)
def test_what_is_no_number_of_processes(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^jobs is 1 or more; or -1: all cores, -2: all but one, and so on; not "):
        check_run(value, None)


def test_progress_is_a_function() -> None:
    with pytest.raises(UsageError, match=r"^progress is a function, not str$"):
        check_run(1, "print")


def test_paths() -> None:
    assert (checked_path("a//b", "x"), checked_path(Path("a/b"), "x")) == ("a//b", "a/b")
    assert checked_paths(iter(["a", Path("b")]), "x") == ["a", "b"]
    assert checked_paths((), "x") == []


@pytest.mark.parametrize(("value", "kind"), [(3, "int"), (None, "None"), (b"a", "bytes"), (["a"], "list")])
def test_what_is_no_path(value: Any, kind: str) -> None:
    with pytest.raises(UsageError, match=f"^x is a path, not {kind}$"):
        checked_path(value, "x")
    with pytest.raises(UsageError, match=f"^each of x is a path, not {kind}$"):
        checked_paths([value], "x")


def test_a_path_of_bytes_and_one_with_nul_is_none() -> None:
    class Odd:
        def __fspath__(self) -> bytes:
            return b"a"

    with pytest.raises(UsageError, match=r"^x is a path, not Odd$"):
        checked_path(Odd(), "x")
    with pytest.raises(UsageError, match="NUL"):
        checked_path("a\0b", "x")


@pytest.mark.parametrize(("value", "kind"), [("a", "str"), (b"a", "bytes"), (Path("a"), "PosixPath"), (3, "int")])
def test_one_path_is_no_list_of_paths(value: Any, kind: str) -> None:
    with pytest.raises(UsageError, match=f"^x is a list of paths, not {kind}$"):
        checked_paths(value, "x")


@pytest.mark.parametrize(("value", "said"), [(4, "4"), ("5", "'5'"), (5.0, "5.0"), (True, "True"), ([5], "list")])
def test_whole_numbers_of_so_much_or_more(value: Any, said: str) -> None:
    check_number(5, "x", 5)
    with pytest.raises(UsageError, match=rf"^x is a whole number of 5 or more, not {said}$"):
        check_number(value, "x", 5)


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (float("nan"), "nan"), (None, "None"), (True, "True")])
def test_seconds(value: Any, said: str) -> None:
    for good in (0.1, 1, float("inf"), np.float32(2)):
        check_seconds(good, "x")
    with pytest.raises(UsageError, match=rf"^x is more than 0 seconds, not {said}$"):
        check_seconds(value, "x")


def test_kinds() -> None:
    check_kind("a", "x", str, int)
    check_kind(3, "x", str, int)
    check_kind(None, "x", str)
    with pytest.raises(UsageError, match=r"^x is str or int, not float$"):
        check_kind(0.5, "x", str, int)
    with pytest.raises(UsageError, match=r"^x is str, not None$"):
        check_kind(None, "x", str, none=False)


@dataclass(frozen=True)
class Options:
    whole: int = 3
    real: float = 0.5
    text: str = "a"
    several: tuple[float, ...] = (1.0, 2.0)


@pytest.mark.parametrize(
    "good", [{}, {"whole": np.int32(7)}, {"real": 1}, {"real": np.float64(1)}, {"several": (1, 2.5)}, {"several": ()}]
)
def test_options_that_are_like_their_defaults(good: Any) -> None:
    check_options(Options(**good))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"whole": 3.0}, "whole of Options is like 3, not 3.0"),
        ({"whole": True}, "whole of Options is like 3, not True"),
        ({"real": "1"}, "real of Options is like 0.5, not '1'"),
        ({"real": None}, "real of Options is like 0.5, not None"),
        ({"text": b"a"}, "text of Options is like 'a', not bytes"),
        ({"several": [1.0]}, "several of Options is like (1.0, 2.0), not list"),
        ({"several": (1.0, "2")}, "several of Options is like (1.0, 2.0), not tuple"),
        ({"several": (1.0, True)}, "several of Options is like (1.0, 2.0), not tuple"),
    ],
)  # fmt: skip
def test_options_that_are_not(wrong: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(said)}$"):
        check_options(Options(**wrong))


# All that is public


@pytest.fixture(scope="module")
def called(
    small_photos: Path, vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each public function with arguments that are right."""
    folder = tmp_path_factory.mktemp("arguments")
    index = Index.open(folder / "i.fm", create=True, vocabulary=vocabulary_file)
    cat, coins = str(small_photos / "chelsea.png"), str(small_photos / "coins.png")
    index.add([cat], jobs=1)
    vocabulary = Vocabulary.load(vocabulary_file)
    pair = {"a": cat, "b": coins}
    return {
        "Index.open": (Index.open, {"path": folder / "i.fm"}),
        "index.add": (index.add, {"paths": [cat], "jobs": 1}),
        "index.add_images": (index.add_images, {"images": [("a", cat)], "jobs": 1}),
        "index.remove": (index.remove, {"names": ["nothing"]}),
        "index.images": (lambda match=None: list(index.images(match)), {}),
        "index.path_of": (index.path_of, {"name": cat}),
        "index.query": (index.query, {"image": cat}),
        "index.query_many": (lambda **how: list(index.query_many(**how)), {"images": [cat]}),
        "index.explain": (index.explain, {"image": cat, "name": cat}),
        "index.accept": (index.accept, pair),
        "index.reject": (index.reject, pair),
        "index.forget": (index.forget, pair),
        "index.groups": (index.groups, {"jobs": 1}),
        "verify": (featmatch.verify, {"a": cat, "b": cat}),  # what is proven at once is looked at in no other form
        "extract": (featmatch.extract, {"image": cat}),
        "train_vocabulary": (featmatch.train_vocabulary, {"paths": [cat], "words": 64, "jobs": 1}),
        "check": (featmatch.check, {"path": folder / "i.fm"}),
        "Vocabulary.load": (Vocabulary.load, {"path": vocabulary_file}),
        "vocabulary.save": (vocabulary.save, {"path": folder / "v.npz"}),
        "FeatureOptions": (featmatch.FeatureOptions, {}),
        "FeatureOptions.of": (featmatch.FeatureOptions.of, {}),
        "VotingOptions": (featmatch.VotingOptions, {}),
        "GeometryOptions": (featmatch.GeometryOptions, {}),
        "MatchingOptions": (featmatch.MatchingOptions, {}),
        "TrainingOptions": (featmatch.TrainingOptions, {}),
    }


@pytest.mark.parametrize(("name", "argument", "wrong"), CALLS, ids=[f"{call[0]}-{call[1]}" for call in CALLS])
def test_what_cannot_be_meant_is_a_usage_error(
    called: dict[str, tuple[Callable[..., Any], dict[str, Any]]], name: str, argument: str, wrong: tuple[Any, ...]
) -> None:
    function, good = called[name]
    function(**good)
    for value in wrong:
        with pytest.raises(UsageError) as raised:
            function(**{**good, argument: value})
        said = str(raised.value)
        assert said
        assert "\n" not in said
        assert "0x" not in said  # no address of an object


def test_numbers_of_numpy_are_numbers(called: dict[str, tuple[Callable[..., Any], dict[str, Any]]]) -> None:
    function, good = called["index.query"]
    options: Any = {"words": np.int32(3), "sigma": np.float32(10)}
    assert function(**good, limit=np.int64(1), voting=featmatch.VotingOptions(**options))
    assert featmatch.GeometryOptions(octaves=1).octaves == 1


def test_an_image_that_cannot_be_read_is_named(photo_folder: Path, tmp_path: Path) -> None:
    cat, missing, text = photo_folder / "chelsea.png", tmp_path / "nothing.jpg", tmp_path / "text.jpg"
    text.write_text("no image")
    for a, b, wrong in ((cat, missing, missing), (text, cat, text), (missing, text, missing)):
        with pytest.raises(featmatch.ImageError, match=rf"^{wrong}: ") as raised:
            featmatch.verify(a, b)
        assert raised.value.name == str(wrong)
        assert raised.value.status == ("not_found" if wrong is missing else "decode_failed")
        assert str(wrong) not in raised.value.message
    with pytest.raises(featmatch.ImageError) as raised:
        featmatch.extract(b"no image")
    assert raised.value.name is None


def test_what_holds_arrays_is_shown_on_one_line(
    small_photos: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    cat = small_photos / "chelsea.png"
    proof = featmatch.verify(cat, cat)
    index = Index.open(tmp_path / "i.fm", create=True, vocabulary=tiny_vocabulary)
    index.add([cat], jobs=1)
    shown = [
        tiny_vocabulary, featmatch.extract(cat), proof, proof.proof, index.query(cat)[0], index.explain(cat, cat),
        *index.snapshot.segments.values(), index.info(),
    ]  # fmt: skip
    for thing in shown:
        assert len(repr(thing).splitlines()) == 1, thing
        assert "array(" not in repr(thing), thing
    explanation = index.explain(cat, cat)
    assert repr(explanation) == f"Explanation({explanation.name!r}: {explanation.verdict})"
    assert (explanation._repr_png_() or b"").startswith(b"\x89PNG")
    assert repr(tiny_vocabulary) == "Vocabulary(detector='sift', words=1024, search='two-level')"
