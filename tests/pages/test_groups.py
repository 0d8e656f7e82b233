"""The page of groups, as text and in a browser."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

import featmatch
from featmatch.cli import cli
from featmatch.errors import FeatmatchError
from featmatch.grouping.groups import Group, Member
from featmatch.pages import groups as page
from featmatch.proof.relation import Kind, Relation
from featmatch.store.records import ImageRecord
from tests.browsers import chromium

Matrix = NDArray[np.float64]

LOST = ("gone.png", "other.png", "no.png")

ODD_NAMES = (
    'it\'s "this" <b>&amp;.png', "日本 写真.png", "two\nlines.png", '"begins".png', os.fsdecode(b"latin \xe9.png"),
)  # fmt: skip


def corner_scaled(x: float, y: float | None = None) -> Matrix:
    """Scaling that keeps the corner of the picture, not the centre of its first pixel."""
    y = x if y is None else y
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])


def warped(picture: NDArray[np.uint8], size: tuple[int, int], original_from_copy: Matrix) -> Image.Image:
    """The copy of a picture whose pixels are where the homography says."""
    from_corner = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # Pillow's pixels begin at whole numbers
    turned = from_corner @ original_from_copy @ np.linalg.inv(from_corner)
    coefficients = (turned / turned[2, 2]).ravel()[:8].tolist()
    return Image.fromarray(picture).transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


class Maker:
    """Members and the files they are about."""

    def __init__(self, folder: Path, photos: dict[str, NDArray[np.uint8]]) -> None:
        self.folder = folder
        self.photos = photos
        self.made = 0

    def path_of(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def member(
        self,
        image: Image.Image,
        *names: str,
        kind: Kind | None = None,
        homography: Matrix | None = None,
        probability: float = 1.0,
        mirrored: bool = False,
        negative: bool = False,
        rotation_deg: float = 0.0,
        scale: float = 1.0,
    ) -> Member:
        for name in names:
            image.save(self.path_of(name))
            os.utime(self.path_of(name), (1.5e9, 1.5e9))
        self.made += 1
        relation = kind and Relation(kind, rotation_deg, scale, mirrored, negative)
        size = os.stat(self.path_of(names[0])).st_size
        return Member(
            self.made, names, image.width, image.height, size, relation, probability, homography, 50 if kind else 0
        )

    def coffee(self) -> Group:
        """600 x 400, and copies of all kinds."""
        photo = self.photos["coffee"]
        crop = np.array([[1.0, 0, 150], [0, 1, 100], [0, 0, 1]]) @ corner_scaled(0.5)
        mirror = np.array([[-1.0, 0, 599], [0, 1, 0], [0, 0, 1]])
        angle = np.radians(25)
        turn = np.array([[np.cos(angle), -np.sin(angle), 120], [np.sin(angle), np.cos(angle), 20], [0, 0, 1]])
        bend = np.array([[0.8, 0.1, 50], [0.05, 0.9, 10], [2e-4, 1e-4, 1]])
        beyond = np.array([[1.0, 0, -200], [0, 1, -60], [0, 0, 1]])
        negative = Image.fromarray(255 - np.asarray(warped(photo, (300, 260), turn)))
        return Group((
            self.member(Image.fromarray(photo), "coffee.png", "the same.png"),
            self.member(warped(photo, (500, 400), crop), "crop.png", kind="crop", homography=crop, scale=2),
            self.member(warped(photo, (600, 400), mirror), "mirrored.jpg", kind="copy", homography=mirror,
                        mirrored=True, probability=0.97),
            self.member(negative, "negative.png", kind="crop", homography=turn, negative=True, rotation_deg=-25,
                        probability=0.91),
            self.member(warped(photo, (600, 400), bend), "bent.png", kind="crop", homography=bend, probability=0.85),
            self.member(warped(photo, (900, 500), beyond), "contains.png", kind="contains", homography=beyond),
        ))  # fmt: skip

    def odd(self) -> Group:
        """Names that are hard to show and to list."""
        photo = self.photos["chelsea"]
        half = corner_scaled(2.0)
        size = (photo.shape[1] // 2, photo.shape[0] // 2)
        return Group((
            self.member(Image.fromarray(photo), "chelsea.png"),
            self.member(warped(photo, size, half), *ODD_NAMES, kind="copy", homography=half, scale=0.5),
        ))  # fmt: skip

    def lost(self) -> Group:
        """One file is gone, one has changed, one is no image."""
        photo = Image.fromarray(self.photos["rocket"])
        copies = [self.member(photo, name, kind="copy", homography=np.eye(3)) for name in LOST]
        Path(self.path_of("gone.png")).unlink()
        Path(self.path_of("other.png")).write_bytes(b"another")
        Path(self.path_of("no.png")).write_bytes(bytes(copies[2].bytes))
        return Group((self.member(photo, "rocket.png"), *copies))


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, NDArray[np.uint8]]) -> Maker:
    return Maker(tmp_path_factory.mktemp("groups"), photos)


@pytest.fixture(scope="module")
def groups(maker: Maker) -> list[Group]:
    return [with_marks(group) for group in (maker.coffee(), maker.odd(), maker.lost())]


STAYING = {"contains.png": "shows more than the original", **dict.fromkeys(LOST, "not at hand")}


def with_marks(group: Group) -> Group:
    """All names can go but the original's own and ``STAYING``."""
    names = [name for member in group.members for name in member.names]
    spared = {names[0]: "original", **{name: STAYING[name] for name in names if name in STAYING}}
    return dataclasses.replace(group, marked=tuple(name for name in names if name not in spared), spared=spared)


def records_of(groups: list[Group]) -> dict[str, ImageRecord]:
    """What an index would know of their files."""
    return {
        name: ImageRecord(
            member.id, name, member.bytes, int(1.5e18), "0f" * 32, member.width, member.height, 9, None, "PNG",
            "2001-02-03T04:05:06", "Canon EOS", "<b>caption</b>",
        )
        for group in groups for member in group.members for name in member.names
    }  # fmt: skip


@pytest.fixture(scope="module")
def written(maker: Maker, groups: list[Group]) -> Path:
    target = maker.folder / "page.html"
    page.write_page(target, groups, path_of=maker.path_of, records=records_of(groups), jobs=1)
    return target


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Any, written: Path) -> Iterator[Any]:
    """The page in a tab of its own, with what it asks for and complains of."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True, locale="en")
    tab = context.new_page()
    tab.complaints = []
    tab.asked = []
    tab.on("console", lambda message: tab.complaints.append(message.text))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(written.as_uri())
    tab.locator(".group").first.wait_for()
    yield tab
    assert tab.complaints == []
    assert {address.split(":")[0] for address in tab.asked} <= {"file", "data", "blob"}
    context.close()


def card_of(tab: Any, name: str) -> Any:
    return tab.locator("li.member", has=tab.get_by_label(f"Mark {name}", exact=True))


def shot(tab: Any) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(tab.locator(".stage").screenshot())).convert("RGB"), np.float64)


# As text


def one(*names: str) -> Member:
    return Member(1, names, 60, 40, 9, None, 1.0, None, 0)


def test_facts_of_all_groups() -> None:
    facts = page._facts([Group((one("a.png", "b.png"), one("c.png"))), Group((one("d.png", "e.png"),))], 3)
    assert facts["images"] == 3
    assert facts["totals"] == {"groups": 2, "files": 5, "bytes_in_copies": 18 + 9}
    keys = {page._facts([Group((one(*names),))], 1)["key"] for names in (("a", "b"), ("ab",), ("b", "a"))}
    keys |= {page._facts([Group((one("a"), one("b")))], 2)["key"], facts["key"]}
    assert len(keys) == 5  # what is kept of one page is not of another


def test_what_is_shown_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a b.png"
    file.write_bytes(b"x")
    path = os.path.realpath(file)
    assert page._shown_file("a b.png", str(file)) == {"path": path, "href": Path(path).as_uri()}
    assert page._shown_file("a", f"{file}#page=2")["path"] == path
    assert page._shown_file("away.png", None) == {"path": "away.png", "href": ""}


def test_page_holds_everything_it_shows(written: Path) -> None:
    text = written.read_text()
    assert text.count("data:image/jpeg;base64,") == 9  # of 12 images, one is gone, one changed, one no image
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert "unsafe" not in text
    assert "<b>" not in text
    assert r"latin \udce9.png" in text


def test_images_that_cannot_be_shown_do_no_harm(maker: Maker, groups: list[Group], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    unseen = page.write_page(
        tmp_path / "a.html", groups, path_of=maker.path_of, jobs=2, progress=lambda *done: seen.append(done)
    )
    assert set(unseen) == {"gone.png", "other.png", "no.png"}
    assert unseen["gone.png"] == "no such file"
    assert "changed" in unseen["other.png"]
    assert seen == [(number, 12) for number in range(1, 13)]


def test_where_files_are_gone_the_pictures_of_the_index_are_shown(
    maker: Maker, groups: list[Group], tmp_path: Path
) -> None:
    kept = {name: np.full((3, 4), 77, np.uint8) for name in ("gone.png", "coins.png")}
    page.write_page(
        tmp_path / "a.html", groups, path_of=maker.path_of, kept_picture_of=kept.get, jobs=1
    )  # those of files that are there are not asked for
    text = (tmp_path / "a.html").read_text()
    assert text.count('"kept":true') == 1
    assert text.count("data:image/jpeg;base64,") == 10


def test_of_identical_files_any_will_do(maker: Maker, tmp_path: Path) -> None:
    member = maker.member(Image.fromarray(maker.photos["coins"]), "coins.png", "coins too.png")
    Path(maker.path_of("coins.png")).unlink()
    assert page.write_page(tmp_path / "a.html", [Group((member,))], path_of=maker.path_of, jobs=1) == {}
    assert (tmp_path / "a.html").read_text().count("data:image/jpeg;base64,") == 1


def test_no_groups(tmp_path: Path) -> None:
    page.write_page(tmp_path / "a.html", [], path_of=str, jobs=1)
    assert '"groups":0' in (tmp_path / "a.html").read_text()


def test_many_images_have_smaller_thumbnails(maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = [maker.coffee()]
    sizes = []
    for many in (6, 5):
        monkeypatch.setattr(page, "_MANY", many)
        page.write_page(tmp_path / "a.html", group, path_of=maker.path_of, jobs=1)
        sizes.append(sum(map(len, re.findall(r"data:image/jpeg;base64,[^\"]+", (tmp_path / "a.html").read_text()))))
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_page_that_is_not_finished_is_not_there(
    maker: Maker, groups: list[Group], tmp_path: Path, error: type[BaseException] | BaseException
) -> None:
    (tmp_path / "a.html").write_text("old")

    def fail(done: int, total: int) -> None:
        if done == total:
            raise error

    with pytest.raises((KeyboardInterrupt, FeatmatchError)):
        page.write_page(tmp_path / "a.html", groups, path_of=maker.path_of, jobs=1, progress=fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "old"


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FeatmatchError, match="cannot write"):
        page.write_page(tmp_path / "no" / "a.html", [], path_of=str)


def test_command_writes_the_page(
    photos: dict[str, NDArray[np.uint8]], vocabulary_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("coffee", "rocket"):
        Image.fromarray(photos[name]).save(tmp_path / "photos" / f"{name}.png")
    Image.fromarray(photos["coffee"][:, ::-1]).save(tmp_path / "photos" / "mirrored.png")
    index = featmatch.Index.open(tmp_path / "index", create=True, vocabulary=vocabulary_file, root=tmp_path / "photos")
    index.add([tmp_path / "photos"], jobs=1)
    (tmp_path / "photos").rename(tmp_path / "moved")
    command = ["groups", str(tmp_path / "index"), "--jobs", "1", "--html", str(tmp_path / "a.html")]
    for root, kept in ((["--root", str(tmp_path / "moved")], 0), ([], 2)):
        assert cli.main([*command, *root], standalone_mode=False) == 0
        text = (tmp_path / "a.html").read_text()
        assert text.count("data:image/jpeg;base64,") == 2  # where the files are gone, those that the index keeps
        assert text.count('"kept":true') == kept
        assert "mirrored.png" in text
        assert "rocket.png" not in text
        assert ("the files of 2 images are not at hand" in capfd.readouterr().err) == (kept > 0)


def test_command_shows_when_photos_were_taken(
    photos: dict[str, NDArray[np.uint8]], tiny_vocabulary: featmatch.Vocabulary, tmp_path: Path
) -> None:
    photo = Image.fromarray(photos["coffee"])
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2003:04:05 06:07:08"
    photo.save(tmp_path / "coffee.jpg", exif=exif.tobytes())
    photo.resize((300, 200)).save(tmp_path / "half.png")
    os.utime(tmp_path / "half.png", (1.5e9, 1.5e9))
    index = featmatch.Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path / "coffee.jpg", tmp_path / "half.png"], jobs=1)
    command = ["groups", str(tmp_path / "index"), "--jobs", "1", "--html", str(tmp_path / "a.html")]
    assert cli.main(command, standalone_mode=False) == 0
    text = (tmp_path / "a.html").read_text()
    assert re.findall(r'"taken":"(.*?)"', text) == ["2003-04-05T06:07:08"]


# In a browser


def test_all_pictures_are_shown(opened: Any) -> None:
    opened.locator(".group").nth(2).scroll_into_view_if_needed()
    opened.wait_for_function(
        "() => [...document.images].filter((image) => image.complete && image.naturalWidth > 0).length === 9"
    )
    assert opened.locator(".gone").count() == 3
    assert opened.locator(".badge").count() == 3
    assert opened.locator(".group").nth(0).locator(".sentence").nth(2).inner_text().startswith("mirrored")


@pytest.mark.parametrize("name", ["crop.png", "mirrored.jpg", "negative.png", "bent.png", "contains.png"])
def test_copy_lies_on_its_original(opened: Any, name: str) -> None:
    card_of(opened, name).locator("button.look").click()
    opened.wait_for_function(
        "() => [...document.querySelectorAll('.sheet img')].every((image) => image.src.startsWith('file:'))"
    )
    opened.keyboard.press("2")
    blended = shot(opened)
    opened.keyboard.press("4")
    opened.get_by_role("slider", name="Gain").fill("1")
    difference = shot(opened)
    assert blended.mean() > 60
    assert difference.mean() < 5


def test_what_stays_is_said_and_further_names_cannot_be_marked(opened: Any) -> None:
    assert card_of(opened, "contains.png").get_by_text("Shows something that the original has not").count() == 1
    assert opened.get_by_label("Mark coffee.png", exact=True).is_enabled()


def test_marks_are_counted_and_kept(opened: Any) -> None:
    opened.get_by_label("Mark crop.png", exact=True).check()
    opened.get_by_text("1 file marked").wait_for()
    opened.reload()
    assert opened.get_by_label("Mark crop.png", exact=True).is_checked()
    opened.get_by_role("button", name="Unmark all").click()
    assert not opened.get_by_label("Mark crop.png", exact=True).is_checked()


def test_paths_are_saved_to_the_byte(opened: Any, maker: Maker) -> None:
    boxes = opened.locator(".group").nth(1).locator("li.member").nth(1).locator("input[type=checkbox]")
    for box in boxes.all():
        box.check()
    opened.get_by_role("button", name="Take the list").click()
    with opened.expect_download() as download:
        opened.locator("[data-form=nul]").click()
    expected = b"".join(os.fsencode(os.path.realpath(maker.path_of(name))) + b"\0" for name in ODD_NAMES)
    assert Path(download.value.path()).read_bytes() == expected


def test_the_report_speaks_japanese(browser: Any, written: Path) -> None:
    context = browser.new_context(locale="ja-JP")
    tab = context.new_page()
    tab.goto(written.as_uri())
    tab.get_by_text("印の付いたファイルはありません").wait_for()
    assert tab.evaluate("document.documentElement.lang") == "ja"
    context.close()
