"""Several indexes, asked as one, say what one index says that holds all of it."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import FeatureOptions, Index, Indexes, Match, Matches, StoreError, UsageError, Vocabulary, open_all
from featmatch.grouping.groups import Groups
from featmatch.search import shards as asking
from featmatch.search.voting import VotingOptions
from featmatch.store.catalog import Catalog
from featmatch.store.reader import Reader
from featmatch.system.workers import Lost
from tests.plain_pictures import blobs

Picture = NDArray[np.uint8]
FEATURES = FeatureOptions(features=150, longest_px=320)
COUNTS = (1, 2, 7)


def scene(seed: int) -> Picture:
    """Soft random blobs, 200 x 150 px, with more features than are kept."""
    cells = np.random.default_rng(seed).integers(0, 256, (20, 27, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(cells, (200, 150), interpolation=cv2.INTER_CUBIC), np.uint8)


def under_caption(picture: Picture) -> Picture:
    """The same with a design below it that many share."""
    captioned = picture.copy()
    captioned[110:] = scene(999)[:40]
    return captioned


def encoded(picture: Picture, level: int = 6) -> bytes:
    """The bytes of a PNG file; other levels give others of the same picture."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", compress_level=level)
    return stream.getvalue()


def collection() -> list[tuple[str, bytes]]:
    """Names and files: scenes, parts, plain pictures, four with one design, equals, and files that are there twice."""
    pictures = {f"scene{number}": scene(number) for number in range(8)}
    pictures |= {f"part{number}": scene(number)[:110, :140] for number in range(3)}
    pictures |= {f"mirrored{number}": np.ascontiguousarray(scene(number)[:, ::-1]) for number in range(2)}
    pictures |= {f"plain{number}": blobs(number) for number in range(4)}
    pictures |= {f"caption{number}": under_caption(scene(100 + number)) for number in range(4)}
    files = [(f"{name}.png", encoded(picture)) for name, picture in pictures.items()]
    files += [(f"equal{level}.png", encoded(scene(1), level)) for level in (1, 9)]
    files += [(f"twin-{name}.png", encoded(pictures[name])) for name in ("scene2", "plain1", "caption0", "part1")]
    return files


QUERIES: dict[str, Callable[[], Picture]] = {
    "scene": lambda: scene(1),
    "crop": lambda: scene(2)[20:130, 30:170],
    "two": lambda: np.vstack([scene(0)[:90], scene(1)[60:]]),
    "mirrored": lambda: np.ascontiguousarray(scene(3)[:, ::-1]),
    "plain": lambda: blobs(1),
    "caption": lambda: under_caption(scene(500)),
    "stranger": lambda: scene(700),
}
QUICK = tuple(name for name in QUERIES if name not in ("caption", "stranger"))  # those take two thirds of the time


@dataclasses.dataclass(frozen=True)
class Made:
    """One collection in one index, and in so many."""

    folder: Path

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    def paths(self, count: int) -> list[str]:
        return [str(self.folder / f"{count}-{number}.fm") for number in range(count)]

    def together(self, count: int) -> Indexes:
        return open_all(self.paths(count), root=self.photos)


@pytest.fixture(scope="module")
def made(small_words: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "photos").mkdir()
    files = collection()
    for name, content in files:
        (folder / "photos" / name).write_bytes(content)

    def add(path: Path, some: Sequence[str]) -> None:
        index = Index.open(path, create=True, features=FEATURES, vocabulary=small_words, root=folder / "photos")
        index.add([folder / "photos" / name for name in some], jobs=1)

    for count in COUNTS:
        parts = [[name for name, _ in files[number::count]] for number in range(count)]
        for path, part in zip(Made(folder).paths(count), parts, strict=True):
            add(Path(path), part)
    # Of equals the index that was named first comes first, so all are added in that order.
    for count in COUNTS[1:]:
        add(folder / f"all{count}.fm", [name for number in range(count) for name, _ in files[number::count]])
    return Made(folder)


def whole(made: Made, count: int) -> Index:
    """The one index whose images were added in the order of so many."""
    return Index.open(made.folder / ("1-0.fm" if count == 1 else f"all{count}.fm"), root=made.photos)


def told(matches: Sequence[Match]) -> list[Any]:
    """All that is said of matches, to the bit, but for where they are."""
    return [
        (
            {name: value for name, value in match.to_dict().items() if name not in ("id", "index")},
            match.score, match.probability, match.proof.query_points.tobytes(), match.proof.reference_points.tobytes(),
        )
        for match in matches
    ]  # fmt: skip


def said(answer: Matches) -> Any:
    return told(answer), told(answer.related), answer.status, answer.missing, answer.not_at_hand, answer.damaged


@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize("count", COUNTS)
def test_several_say_what_one_says(made: Made, count: int, at_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not at_hand:
        monkeypatch.setattr("featmatch.search.pictures.Pictures.of", lambda *_: None)
    one, several = whole(made, count), made.together(count)
    plain: dict[str, Any] = {"forms": "none"}
    few = {"voting": VotingOptions(shortlist=5)} if at_hand else {"limit": 3}
    options = {1: plain, 2: {} if at_hand else plain, 7: plain | few}[count]
    found = 0
    for name in {1: QUICK, 2: QUERIES, 7: (*QUICK, "caption")}[count]:
        query = QUERIES[name]()
        answer = several.query(query, unproven=True, **options)
        assert said(answer) == said(one.query(query, unproven=True, **options))
        found += sum(match.proven for match in answer)
        for match in answer:
            names = several.readers[match.index or ""].snapshot.catalog.names_of([match.id])
            assert match.name in names[match.id]
    assert found > 6


def test_many_features_in_lists_in_parts_and_in_whole_ones_say_the_same(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featmatch.search.query_words._MANY_FEATURES", 0)
    for module in ("segment", "segment_writer"):
        monkeypatch.setattr(f"featmatch.store.{module}.parts_for", lambda *_: 64)
    shutil.copytree(whole(made, 2).folder, tmp_path / "cut.fm")
    one, several = Index.open(tmp_path / "cut.fm", root=made.photos), made.together(2)
    one.compact()
    assert [segment.parts for segment in one.snapshot.segments.values()] == [64]
    pictures = [QUERIES[name]() for name in QUICK]
    answers = [(one.query(picture, unproven=True), several.query(picture, unproven=True)) for picture in pictures]
    assert [said(answer) for answer, _ in answers] == [said(answer) for _, answer in answers]
    assert sum(match.proven for answer, _ in answers for match in answer) > 6


def test_what_several_share_is_no_proof_though_each_index_has_one_of_them(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featmatch.search.pictures.Pictures.of", lambda *_: None)
    several = made.together(7)
    query = QUERIES["caption"]()
    alone = [Index.open(path).query(query) for path in several.readers]
    assert sum(bool(answer) for answer in alone) > 1
    assert several.query(query) == []


def test_a_file_that_is_in_two_is_one_image_with_both_names(made: Made) -> None:
    matches = made.together(2).query(scene(2))
    names = {match.name: match for match in matches}
    one, other = names["scene2.png"], names["twin-scene2.png"]
    assert one.index != other.index
    assert one.proof is other.proof


def test_many_are_looked_up_in_several(made: Made) -> None:
    several, pictures = made.together(2), [QUERIES[name]() for name in QUICK]
    plain: dict[str, Any] = {"unproven": True, "forms": "none"}
    expected = [said(several.query(one, **plain)) for one in pictures]
    assert list(map(said, several.query_many(pictures, jobs=1, **plain))) == expected
    enough = several.query_many([*pictures, *pictures, *pictures[:2]], jobs=2, **plain)  # for two processes
    assert list(map(said, enough)) == [*expected, *expected, *expected[:2]]


def test_words_of_names_count_in_each(made: Made) -> None:
    matches = made.together(2).query(scene(2), match="twin")
    assert {match.name for match in matches} == {"twin-scene2.png"}
    with pytest.raises(UsageError, match="no word"):
        made.together(2).query(scene(2), match="!")


def test_a_verdict_in_one_index_counts_for_an_image_of_another(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "query.png").write_bytes(encoded(scene(1)[:100]))
    monkeypatch.setattr(Catalog, "has_verdicts", True)
    several, query, path = made.together(2), tmp_path / "query.png", made.paths(2)
    first, second = (several.readers[one].snapshot.catalog for one in path)
    name = next(match.name for match in several.query(query) if match.index == path[1])
    content = second.content_named(name)
    monkeypatch.setattr(Catalog, "verdicts_of", lambda own, _: {content: False} if own is first else {})
    verdicts = {match.name: match.verdict for match in several.query(query, unproven=True)}
    assert verdicts[name] == "rejected"
    monkeypatch.setattr(Catalog, "verdicts_of", lambda own, _: {content: True} if own is first else {})
    narrow = VotingOptions(shortlist=1)
    assert name in {match.name for match in several.query(query, voting=narrow)}


# Groups


def grouped(groups: Groups, of: Index | Indexes) -> list[Any]:
    """All that is said of groups, to the bit; images by what they are called at home."""
    assert groups.unremembered is None
    readers: dict[str | None, Reader] = {None: of} if isinstance(of, Index) else dict(of.readers.items())
    told = []
    for group in groups:
        one = group.to_dict()
        for member, shown in zip(group, one["members"], strict=True):
            assert readers[member.index].snapshot.catalog.names_of([shown.pop("id")])[member.id]
            shown.pop("index", None)
            shown["probability"] = member.probability
        told.append((one, dict(group.spared), group.kept))
    return told


def test_groups_of_several_are_those_of_one(made: Made, decoded_here: None) -> None:
    one = whole(made, 1)
    expected = grouped(one.groups(jobs=1), one)
    assert len(expected) >= 5
    several = made.together(7)
    assert grouped(several.groups(jobs=1), several) == expected
    done: list[int] = []
    again = several.groups(jobs=1, progress=lambda images, _: done.append(images))
    assert grouped(again, several) == expected
    assert done == [len(several.joined.snapshot.catalog.in_order_of_contents())]  # all was remembered
    alone = made.together(1)  # remembers what the one index does
    assert grouped(alone.groups(jobs=1), alone) == expected


def test_a_name_that_two_have_is_told_with_its_index(small_words: Vocabulary, tmp_path: Path) -> None:
    paths = []
    for name, number in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        files = {"same.png": scene(1), "own.png": scene(number + 5), "part.png": scene(number)[:100]}
        for file, picture in files.items():
            (tmp_path / name / file).write_bytes(encoded(picture))
        paths.append(tmp_path / f"{name}.fm")
        index = Index.open(paths[-1], create=True, features=FEATURES, vocabulary=small_words, root=tmp_path / name)
        index.add([tmp_path / name], jobs=1)
    a, b = map(str, paths)
    several = open_all(paths)
    (group,) = several.groups(jobs=1)
    names = [(member.index, set(member.names)) for member in group]
    assert names == [(a, {f"{a}:same.png", f"{b}:same.png"}), (a, {f"{a}:part.png"})]
    assert set(group.marked) == {f"{b}:same.png", f"{a}:part.png"}
    assert several.joined.path_of(f"{b}:same.png") == str(tmp_path / "b" / "same.png")
    assert several.joined.path_of("same.png") == str(tmp_path / "a" / "same.png")
    assert several.joined.places.names_below(str(tmp_path / "b"), group.marked) == [f"{b}:same.png"]


# Indexes that do not answer


class Unsteady(asking.LocalShards):
    """Answers come in another order, some twice; and some indexes are lost, at one kind of request."""

    lost: tuple[int, ...] = ()
    at: type = asking.TallyRequest

    def ask(self, requests: Any) -> Any:
        answers: dict[int, Any] = {}
        for place in reversed(requests):
            if place in self.lost and isinstance(requests[place][0], self.at):
                answers[place] = Lost("took more than 0.1 seconds")
                continue
            for _ in range(2):
                answers[place] = [request.answered_by(self.shards[place]) for request in requests[place]]
        return answers


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> type[Unsteady]:
    monkeypatch.setattr("featmatch.search.stages.LocalShards", Unsteady)
    monkeypatch.setattr(Unsteady, "lost", ())
    return Unsteady


def test_late_answers_and_those_that_come_twice_change_nothing(made: Made, unsteady: type[Unsteady]) -> None:
    one, several = whole(made, 7), made.together(7)
    for name in ("two", "plain", "caption"):
        answers = [asked.query(QUERIES[name](), unproven=True, forms="none") for asked in (several, one)]
        assert said(answers[0]) == said(answers[1])


@pytest.mark.parametrize("at", [asking.TallyRequest, asking.ProofRequest, asking.PictureRequest])
def test_where_an_index_is_lost_the_answer_says_so(
    made: Made, unsteady: type[Unsteady], at: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsteady, "lost", (0,))
    monkeypatch.setattr(unsteady, "at", at)
    names = made.paths(2)
    answer = made.together(2).query(QUERIES["two"]())
    assert (answer.status, answer.missing) == ("partial", [names[0]])
    assert answer
    assert all(match.provisional and match.index == names[1] for match in answer)
    told = answer.to_dict()
    assert (told["status"], told["missing"], told["matches"][0]["provisional"]) == ("partial", [names[0]], True)
    again = Matches.from_dict(told)
    assert (again.status, again.missing, again[0].provisional, again[0].index) == ("partial", names[:1], True, names[1])


def test_where_all_are_lost_there_is_no_answer(
    made: Made, unsteady: type[Unsteady], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsteady, "lost", (0, 1))
    with pytest.raises(StoreError, match=r"took more than 0\.1 seconds"):
        made.together(2).query(scene(1))


def test_an_index_that_is_damaged_meanwhile_is_missing(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    several = made.together(2)
    second = several.readers[made.paths(2)[1]].snapshot.catalog
    contents_of = Catalog.contents_of

    def fail(own: Catalog, images: Any) -> Any:
        if own is second:
            raise StoreError("it is damaged")
        return contents_of(own, images)

    monkeypatch.setattr(Catalog, "contents_of", fail)
    assert several.query(scene(0)).missing == [made.paths(2)[1]]


# Which are opened


def test_indexes_are_listed_in_a_file(made: Made) -> None:
    listed = made.folder / "all.txt"
    listed.write_text("# mine\n\n2-0.fm\n  2-1.fm  \n")
    assert list(open_all([listed]).readers) == made.paths(2)
    assert len(open_all([listed])) == len(whole(made, 2))
    with pytest.raises(UsageError, match="named twice"):
        open_all([listed, made.paths(2)[0]])


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe", b"a\x00b", b"a" * 5000])
def test_what_lists_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UsageError, match="no index, and"):
        open_all([tmp_path / "list"])


def test_what_cannot_be_asked_as_one_is_refused(made: Made, small_words: Vocabulary, tmp_path: Path) -> None:
    first = made.paths(2)[0]
    with pytest.raises(UsageError, match="no index was named"):
        open_all([])
    with pytest.raises(StoreError, match="no featmatch index"):
        open_all([first, tmp_path / "nothing.fm"])
    with pytest.raises(UsageError, match="the same index"):
        open_all([first, made.folder / "photos" / ".." / Path(first).name])
    Index.open(tmp_path / "options.fm", create=True, vocabulary=small_words)
    with pytest.raises(StoreError, match=r"\(longest_px 320 and 2000, features 150 and 800\); ask each alone"):
        open_all([first, tmp_path / "options.fm"])
    Index.open(tmp_path / "words.fm", create=True, features=FEATURES)
    with pytest.raises(StoreError, match="made with different vocabularies; ask each alone"):
        open_all([first, tmp_path / "words.fm"])


def test_both_see_what_was_added_since(made: Made, small_words: Vocabulary, tmp_path: Path) -> None:
    indexes = [Index.open(tmp_path / name, create=True, features=FEATURES, vocabulary=small_words) for name in "ab"]
    several = open_all([tmp_path / "a", tmp_path / "b"])
    assert several.query(scene(1)) == []
    indexes[1].add([made.photos / "scene1.png"], jobs=1)
    assert several.query(scene(1)) == []
    several.refresh()
    (match,) = several.query(scene(1))
    assert match.index == str(tmp_path / "b")
    assert several.path_of(match) == str(made.photos / "scene1.png")
