"""The page of groups, as text and in a browser."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import re
import shutil
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


@pytest.fixture(scope="module")
def written(maker: Maker, groups: list[Group]) -> Path:
    target = maker.folder / "page.html"
    page.write_page(target, groups, path_of=maker.path_of, dates={"crop.png": "2001-02-03"}, jobs=1)
    return target


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=found)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, written: Path) -> Iterator[Any]:
    """The page in a tab of its own, with what it asks for and complains of."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.complaints = []
    tab.asked = []
    tab.on("console", lambda message: tab.complaints.append(message.text))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(written.as_uri())
    yield tab
    assert tab.complaints == []
    assert {address.split(":")[0] for address in tab.asked} <= {"file", "data", "blob"}
    context.close()


def box(tab: Any, name: str) -> Any:
    return tab.get_by_label(f"Mark {name}", exact=True)


def copy_of(tab: Any, name: str) -> Any:
    return tab.locator("figure", has=box(tab, name)).locator("button.look")


def shot(tab: Any) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(tab.locator("#stage").screenshot())).convert("RGB"), np.float64)


def visible_groups(tab: Any) -> list[str]:
    return [one.get_attribute("id")[6:] for one in tab.locator(".group").all() if one.is_visible()]


# Parts of it


def one(*names: str, relation: Relation | None = None, homography: Matrix | None = None, **facts: Any) -> Member:
    return Member(1, names, 60, 40, 9, relation, 1.0, homography, 0, **facts)


@pytest.mark.parametrize(
    ("relation", "kinds"),
    [
        (None, []),
        (Relation("copy", 0.49, 1.019, False, False), ["copy"]),
        (Relation("crop", -0.51, 0.979, False, False), ["crop", "resized", "rotated"]),
        (Relation("whole picture", 0.0, 1.021, True, True), ["whole picture", "resized", "mirrored", "negative"]),
    ],
)
def test_the_filter_knows_members_by_what_was_done(relation: Relation | None, kinds: list[str]) -> None:
    assert page._kinds(one("a.png", relation=relation)) == kinds
    assert page._kinds(one("a.png", "b.png", relation=relation)) == ["identical", *kinds]
    assert page._kinds(one("a.png", "b.png", relation=relation, same_file=("b.png",))) == kinds


def test_facts_of_all_groups() -> None:
    crop = one("c.png", relation=Relation("crop", 0.0, 1.0, True, False))
    groups = [Group((one("a.png", "b.png"), crop)), Group((one("d.png", "e.png"),))]
    facts = page._facts(groups, 3)
    assert {name: facts[name] for name in ("groups", "images", "files", "longest")} == {
        "groups": 2, "images": 3, "files": 5, "longest": 3,
    }  # fmt: skip
    assert facts["kinds"] == [
        ("identical", "identical bytes", 2), ("crop", "crop of", 1), ("mirrored", "mirrored", 1),
    ]  # fmt: skip
    assert page._facts([], 0)["longest"] == 2
    assert len(facts["key"]) == 16
    keys = {page._facts([Group((one(*names),))], 1)["key"] for names in (("a", "b"), ("ab",), ("b", "a"))}
    keys |= {page._facts([Group((one("a"), one("b")))], 2)["key"], facts["key"]}
    assert len(keys) == 5  # what is kept of one page is not of another


def test_homographies_between_unit_squares_keep_corners() -> None:
    group = one("a.png")
    half = one("b.png", homography=corner_scaled(2.0))
    assert page._unit_homography(group, group) == ""
    original = dataclasses.replace(group, width=120, height=80)
    assert page._unit_homography(half, original) == "1 0 0 0 1 0 0 0 1"
    scaled_and_shifted = np.array([[0.5, 0, 0.25], [0, 0.5, 0.25], [0, 0, 1]])
    shifted = corner_scaled(1.0)
    shifted[:2, 2] += [30, 20]
    written = page._unit_homography(one("b.png", homography=-3 * shifted), original)
    found = np.array([float(value) for value in written.split()])
    np.testing.assert_allclose(found.reshape(3, 3), scaled_and_shifted)


def test_what_is_shown_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a b.png"
    file.write_bytes(b"x")
    os.utime(file, (1.5e9, 1.5e9))
    shown = page._shown_file("a\nb.png", str(file), {"a\nb.png": "2019-05-03T10:20:30+02:00"})
    assert shown["name"] == r'"a\012b.png"'
    assert base64.b64decode(shown["value"]) == os.fsencode(os.path.realpath(file))
    assert shown["href"] == Path(os.path.realpath(file)).as_uri()
    assert shown["date"] == "taken 2019-05-03 10:20"
    assert page._shown_file("a", f"{file}#page=2", {})["date"].startswith("2017-07-1")
    gone = page._shown_file("gone.png", str(tmp_path / "gone.png"), {"gone.png": "2019"})
    assert gone["date"] == "not there"
    away = page._shown_file("away.png", None, {"away.png": "2019"})
    assert (away["href"], away["date"], base64.b64decode(away["value"])) == ("", "not there", b"away.png")


# As text


def test_page_holds_everything_it_shows(written: Path) -> None:
    text = written.read_text()
    assert text.count("data:image/jpeg;base64,") == 9  # of 12 images, one is gone, one changed, one no image
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    for words in ("crop of", "mirrored", "same at half size", "600 \u00d7 400", "taken 2001-02-03", "2017-07-14"):
        assert words in text
    assert "it&#39;s &#34;this&#34; &lt;b&gt;&amp;amp;.png" in text
    assert r"latin \351.png" in text
    assert r"two\012lines.png" in text


def test_images_that_cannot_be_shown_do_no_harm(maker: Maker, groups: list[Group], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    unseen = page.write_page(
        tmp_path / "a.html", groups, path_of=maker.path_of, jobs=2, progress=lambda *done: seen.append(done)
    )
    assert set(unseen) == {"gone.png", "other.png", "no.png"}
    assert unseen["gone.png"] == "no such file"
    assert "changed" in unseen["other.png"]
    text = (tmp_path / "a.html").read_text()
    for reason in unseen.values():
        assert f"No picture: {reason}" in text
    assert seen == [(number, 12) for number in range(1, 13)]


def test_of_identical_files_any_will_do(maker: Maker, tmp_path: Path) -> None:
    member = maker.member(Image.fromarray(maker.photos["coins"]), "coins.png", "coins too.png")
    Path(maker.path_of("coins.png")).unlink()
    assert page.write_page(tmp_path / "a.html", [Group((member,))], path_of=maker.path_of, jobs=1) == {}
    text = (tmp_path / "a.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 1
    assert text.count("not there") == 1


def test_no_groups(tmp_path: Path) -> None:
    page.write_page(tmp_path / "a.html", [], path_of=str, jobs=1)
    assert "0 groups" in (tmp_path / "a.html").read_text()


def test_many_images_have_smaller_thumbnails(maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = [maker.coffee()]
    sizes = []
    for many in (6, 5):
        monkeypatch.setattr(page, "_MANY", many)
        page.write_page(tmp_path / "a.html", group, path_of=maker.path_of, jobs=1)
        sizes.append((tmp_path / "a.html").stat().st_size)
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
    for root, pictures in ((["--root", str(tmp_path / "moved")], 2), ([], 0)):
        assert cli.main([*command, *root], standalone_mode=False) == 0
        text = (tmp_path / "a.html").read_text()
        assert text.count("data:image/jpeg;base64,") == pictures
        assert "mirrored.png</a>" in text
        assert "rocket.png" not in text
        assert ("the files of 2 images are not at hand" in capfd.readouterr().err) == (pictures == 0)


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
    assert re.findall(r"taken (.*?)<", text) == ["2003-04-05 06:07"]
    assert "2017-07-14" in text


# In a browser


def test_all_pictures_are_shown(opened: Any) -> None:
    loaded = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    opened.locator("#group-3").scroll_into_view_if_needed()
    assert opened.locator(".look img").evaluate_all(loaded)
    assert opened.locator(".none").count() == 3
    assert opened.locator("button.look").count() == 6
    assert opened.locator("figure b").first.inner_text() == "original"


@pytest.mark.parametrize("name", ["crop.png", "mirrored.jpg", "negative.png", "bent.png", "contains.png"])
def test_copy_lies_on_its_original(opened: Any, name: str) -> None:
    copy_of(opened, name).click()
    for picture in ("below", "above"):  # the files themselves take the thumbnails' place
        opened.locator(f"#{picture}[src^='file:']").wait_for()
    opened.get_by_label("Overlay").check()
    blended = shot(opened)
    opened.get_by_label("Difference").check()
    opened.locator("#gain input").fill("1")
    difference = shot(opened)
    assert blended.mean() > 60
    assert difference.mean() < 5
    opened.evaluate("pair.unit[2] += 0.03; layOut()")  # 3 % to the side
    assert shot(opened).mean() > 2 * difference.mean()


def test_opacity_blinking_brightness_and_both_beside_one_another(opened: Any) -> None:
    copy_of(opened, "negative.png").click()
    above = opened.locator("#above")
    for share in ("0", "100"):
        opened.locator("#opacity input").fill(share)
        assert float(above.evaluate("image => getComputedStyle(image).opacity")) == float(share) / 100
    opened.get_by_label("Blink").check()
    assert above.evaluate("image => image.getAnimations().length") == 1
    opened.get_by_label("Difference").check()
    assert above.evaluate("image => image.getAnimations().length") == 0
    dark = shot(opened).mean()
    opened.locator("#gain input").fill("8")
    assert shot(opened).mean() > 2 * dark
    opened.get_by_label("Side by side").check()
    left, right = (opened.locator(at).bounding_box() for at in ("#below", "#above"))
    assert left["x"] + left["width"] <= right["x"]
    assert left["height"] == right["height"] > 300


def test_comparison_by_keyboard(opened: Any) -> None:
    copy_of(opened, "crop.png").focus()
    opened.keyboard.press("Enter")
    told = opened.locator("#told")
    assert told.inner_text().startswith("crop.png: crop of")
    opened.locator("#marking").focus()
    opened.keyboard.press("Space")
    opened.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("mirrored.jpg")
    opened.keyboard.press("ArrowLeft")
    assert told.inner_text().startswith("crop.png")
    opened.keyboard.press("Escape")
    assert box(opened, "crop.png").is_checked()
    assert not box(opened, "mirrored.jpg").is_checked()
    assert copy_of(opened, "crop.png").evaluate("button => button === document.activeElement")


def test_filters(opened: Any) -> None:
    assert visible_groups(opened) == ["1", "2", "3"]
    kinds = opened.locator("#kind option").evaluate_all("options => options.map(option => option.value)")
    assert kinds == ["", "identical", "copy", "crop", "contains", "resized", "rotated", "mirrored", "negative"]
    expected = {"identical": "12", "copy": "123", "crop": "1", "contains": "1", "resized": "12", "negative": "1"}
    for kind, shown in expected.items():
        opened.locator("#kind").select_option(kind)
        assert "".join(visible_groups(opened)) == shown
    assert opened.locator("figure.other").count() == 8  # negative.png is the only copy that fits
    opened.locator("#kind").select_option("")
    for limit, value, shown in (
        ("highest", "0.9", "1"), ("highest", "", "123"), ("lowest", "0.99", "123"), ("lowest", "1.1", ""),
        ("lowest", "", "123"), ("fewest", "5", "12"), ("most", "6", "2"), ("fewest", "", "23"), ("most", "", "123"),
    ):  # fmt: skip
        opened.locator(f"#{limit}").fill(value)
        assert "".join(visible_groups(opened)) == shown, (limit, value)
    opened.locator("#most").fill("4")
    assert opened.locator("#shown").inner_text() == "1 of 3 groups"


def test_marks_are_counted_and_kept(opened: Any) -> None:
    assert opened.locator("#copy").is_disabled()
    box(opened, "crop.png").check()
    assert opened.locator("#marked").inner_text().startswith("1 file, ")
    opened.reload()
    assert box(opened, "crop.png").is_checked()
    opened.locator("#clear").click()
    assert opened.locator("#marked").inner_text() == "no file"


def test_what_stays_cannot_be_marked(opened: Any) -> None:
    for name in ("coffee.png", *STAYING):
        assert box(opened, name).is_disabled()
        assert box(opened, name).get_attribute("title").startswith("Stays: ")
    opened.locator("#mark").click()
    assert opened.locator(".file input:checked").count() == opened.locator(".file input:enabled").count() == 5 + 5
    opened.evaluate("localStorage.setItem(stored, JSON.stringify(groups.map((group) => group.members[0].first.value)))")
    opened.reload()
    assert opened.locator(".file input:checked").count() == 0
    copy_of(opened, "contains.png").click()
    assert opened.locator("#marking").is_disabled()


def test_marking_what_is_shown_spares_originals(opened: Any) -> None:
    opened.locator("#kind").select_option("identical")
    opened.locator("#mark").click()
    assert box(opened, "the same.png").is_checked()
    assert opened.locator(".file input:checked").count() == 1 + len(ODD_NAMES) - 1
    opened.locator("#clear").click()
    opened.locator("#kind").select_option("")
    opened.locator("#lowest").fill("0.9")
    opened.locator("#mark").click()
    for name, marked in {"coffee.png": False, "the same.png": True, "crop.png": True, "bent.png": False}.items():
        assert box(opened, name).is_checked() == marked
    assert not box(opened, "rocket.png").is_checked()


def quoted(path: str) -> str:
    """As the page has a path on a line."""
    content = os.fsencode(path)
    try:
        if content.decode().isprintable():
            return path
    except UnicodeDecodeError:
        pass
    return '"' + "".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in content) + '"'


def test_paths_are_copied_as_lines(opened: Any, maker: Maker) -> None:
    opened.evaluate("() => { navigator.clipboard.writeText = async text => { window.copied = text; }; }")
    for one in opened.locator("#group-2 .file input:enabled").all():
        one.check()
    opened.locator("#copy").click()
    opened.get_by_text("Copied").wait_for()
    expected = [quoted(maker.path_of(name)) for name in ODD_NAMES]
    assert opened.evaluate("window.copied").splitlines() == expected
    assert opened.evaluate("line(new Uint8Array([0x22, 0x5c, 0x61]))") == r'"\"\\a"'


def test_paths_are_listed_where_nothing_can_be_copied(opened: Any, maker: Maker) -> None:
    opened.evaluate("() => { navigator.clipboard.writeText = async () => { throw Error('no'); }; }")
    box(opened, "crop.png").check()
    opened.locator("#copy").click()
    assert opened.locator("#list textarea").input_value() == maker.path_of("crop.png") + "\n"


def test_paths_are_saved_to_the_byte(opened: Any, maker: Maker, tmp_path: Path) -> None:
    for one in opened.locator("#group-2 .file input:enabled").all():
        one.check()
    with opened.expect_download() as download:
        opened.locator("#save").click()
    download.value.save_as(tmp_path / "names")
    assert (tmp_path / "names").read_bytes() == b"".join(os.fsencode(maker.path_of(name)) + b"\0" for name in ODD_NAMES)
