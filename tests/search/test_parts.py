"""What the sisters of a query do not explain is looked up alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Index, Vocabulary, VotingOptions
from featmatch.features.forms import Form, Round
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage
from featmatch.proof.difference import Differences
from featmatch.proof.proof import Proof
from featmatch.search import stages
from featmatch.search.compared import Compared
from featmatch.search.matches import FoundImage
from featmatch.search.parts import unexplained
from featmatch.search.query import Query
from featmatch.search.stages import Search
from featmatch.store.reader import Reader
from tests.proof.proofs import made_proof
from tools.small_index import draw_pictures, small_index

LEFT, TOP, WIDTH, HEIGHT = SLOT = (20, 260, 180, 90)  # of a page, px: squeezed, and small


def page(print_: Image.Image, content: Image.Image) -> Image.Image:
    """A page of one design, which is printed in black, with another picture squeezed into its slot."""
    drawn = Image.new("RGB", (240, 380), "white")
    drawn.paste(print_.resize((200, 220)).convert("1", dither=Image.Dither.NONE), (20, 20))
    drawn.paste(content.resize((WIDTH, HEIGHT)), (LEFT, TOP))
    return drawn


@pytest.fixture
def index(small_words: Vocabulary, tmp_path: Path) -> Index:
    """Four pages of one design, each with another picture, and a picture that only the query has in its page."""
    print_, *contents, wanted = (
        Image.fromarray(np.asarray(Image.open(one))) for one in draw_pictures(tmp_path / "a", 6)
    )
    (tmp_path / "photos").mkdir()
    for number, content in enumerate(contents):
        page(print_, content).save(tmp_path / "photos" / f"page-{number}.png")
    wanted.resize((384, 512)).save(tmp_path / "photos" / "wanted.png")
    page(print_, wanted).save(tmp_path / "query.png")
    made = small_index(tmp_path / "index", small_words)
    made.add([tmp_path / "photos"], jobs=1)
    return made


def test_the_content_of_a_page_is_found_where_only_its_design_is_known(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tmp_path / "query.png"
    form = Form(2.4, 90, area_px=3_000, part=100)  # of all the page, it shows too little of the content
    monkeypatch.setattr(stages, "forms_of", lambda name: () if name == "none" else (Round((form,)),))
    found = index.query(query)
    assert [Path(one.name).name for one in found] == ["wanted.png"]
    corners = np.array([[LEFT, TOP], [LEFT + WIDTH, TOP + HEIGHT]]) - 0.5
    assert np.abs(project(found[0].homography, corners) - [[-0.5, -0.5], [383.5, 511.5]]).max() < 12
    assert found[0].query_overlap == pytest.approx(WIDTH * HEIGHT / (240 * 380), abs=0.03)
    assert {Path(one.name).name for one in found.related} == {f"page-{number}.png" for number in range(4)}
    assert list(found.times)[-1] == "forms"

    assert index.query(query, forms="none") == []
    assert index.query(query, region=(0, 0, 240, 380)) == []  # what was asked for is looked up, and no part of it
    few = VotingOptions(shortlist=4)  # by votes of the whole page, only pages are listed
    assert len(index.query(query, voting=few)) == 1
    index.reject(query, found[0].name)
    assert index.query(query, voting=few) == []
    index.forget(query, found[0].name)
    monkeypatch.setattr(stages, "unexplained", lambda *_: [])
    assert index.query(query) == []


def test_parts_are_looked_up_while_nothing_is_claimed_and_a_known_sister_is_no_copy_by_one(
    index: Index, tmp_path: Path
) -> None:
    search = Search.of(Reader(tmp_path / "index"), forms="few")
    query = search.read(tmp_path / "query.png")
    asked = search.asked(query)
    numbers = {Path(record.name).stem: record.id for record in index.images()}
    slot = sister(30, (LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT))
    for name, is_claimed in (("page-0", True), ("wanted", False)):
        known = Compared([FoundImage(numbers[name], slot.proof)], {}, {}, frozenset())
        assert search.with_parts(query, asked, known).is_claimed == is_claimed
    proven = FoundImage(numbers["page-1"], made_proof(np.eye(3), (240, 380), (240, 380)))
    enough = Compared([proven, FoundImage(numbers["page-0"], slot.proof)], {}, {}, frozenset())
    assert search.with_parts(query, asked, enough) is enough


def test_what_a_part_claims_is_decided_by_what_verify_says_of_the_whole(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search.of(Reader(tmp_path / "index"), forms="few")
    query = search.read(tmp_path / "query.png")
    asked = search.asked(query)
    (page,) = (record.id for record in index.images() if Path(record.name).stem == "page-0")
    slot = sister(30, (LEFT, TOP, LEFT + WIDTH, TOP + HEIGHT))
    known = Compared([FoundImage(page, slot.proof)], {}, {}, frozenset())

    def as_verified(of: Search, picture: Query, seen: Compared) -> Compared:
        return seen if of.region else seen._replace(found=[] if picture is query else seen.found)

    monkeypatch.setattr(Search, "as_verified", as_verified)
    assert not search.with_parts(query, asked, known).is_claimed


def sister(geometry: float, *parts: tuple[float, float, float, float]) -> FoundImage:
    """An image known as a sister, which shows something else in these rectangles (left, top, right, bottom), px."""
    proof = made_proof(np.eye(3), (100, 100), (100, 100), score=geometry).as_sister()
    corners = [np.array([[x, y], [right, y], [right, low], [x, low]]) for x, y, right, low in parts]
    return FoundImage(1, Proof(**{**vars(proof), "differences": Differences(0.5, corners, corners)}))


def test_parts_are_those_of_the_sister_that_explains_most_and_large() -> None:
    query = GreyImage(np.zeros((100, 100), np.uint8), 100, 100, 1.0, 1.0)
    large, second, third, small = (0, 0, 50, 50), (0, 60, 40, 90), (50, 60, 90, 90), (80, 0, 100, 20)
    closest, other = sister(30, large, second, third), sister(20, small, third)
    told = [one.corners[0] + one.corners[2] for one in unexplained([other, closest], query)]
    assert told == [large, second]
    assert unexplained([sister(30, large, small)], query)[0].corners[2] == (50, 50)
    assert len(unexplained([sister(30, large, small)], query)) == 1
    proven = FoundImage(1, made_proof(np.eye(3), (100, 100), (100, 100)))
    assert unexplained([proven], query) == unexplained([], query) == []
