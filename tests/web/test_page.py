"""The served page in a browser: what a person does with it, from the first picture to the exported list."""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.service.keys import new_key
from tests.web.conftest import Open, Server, Start
from tests.web.drawn import MARKUP, ODD_NAMES, collage, draw, pixels

SIZES = {"desk": (1280, 800), "phone": (390, 800)}


@pytest.fixture(scope="module")
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One that writes, with groups, for tests that leave it as it is."""
    server = start("--writable", "--uploads", tmp_path_factory.mktemp("uploads"), "--files")
    server.group()
    return server


def saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


def choose(tab: Any, *files: Path) -> None:
    tab.locator("input[type=file]").first.set_input_files(list(files))


def shot(tab: Any, selector: str = ".stage") -> NDArray[np.float64]:
    return pixels(Image.open(io.BytesIO(tab.locator(selector).screenshot())))


def sharp(tab: Any) -> None:
    """Wait until the layers of the comparison have their best pictures."""
    tab.wait_for_function(
        """() => [...document.querySelectorAll('.sheet img')].every(
          (image) => image.complete && /^blob:|file$/.test(image.src))"""
    )


def search_for(tab: Any, picture: Image.Image, folder: Path) -> None:
    choose(tab, saved(picture, folder / "asked.png"))
    tab.locator(".match").first.wait_for()


# Search


def test_a_pasted_crop_finds_its_original_and_outlines_it(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    tab.locator(".drop").wait_for()
    content = base64.b64encode(saved(draw(7).crop((60, 40, 260, 220)), tmp_path / "crop.png").read_bytes()).decode()
    tab.evaluate(
        """async (content) => {
          const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    match = tab.locator(".match").first
    match.locator("img").wait_for()
    assert match.locator(".name .file").inner_text() == "07.png"
    assert match.locator(".sentence").inner_text() == "A crop: 30% of it"
    tab.wait_for_function("() => document.querySelector('.match img').naturalWidth > 0")
    drawn = match.locator("polygon.over").evaluate(
        """(polygon) => {
          const image = polygon.closest(".framed").querySelector("img").getBoundingClientRect();
          const scale = 400 / image.width, own = polygon.getBoundingClientRect();
          const ends = [own.left - image.left, own.top - image.top, own.right - image.left, own.bottom - image.top];
          return ends.map((end) => end * scale);
        }"""
    )
    assert np.abs(np.array(drawn) - (60, 40, 260, 220)).max() < 4


def test_a_region_of_a_collage_finds_what_is_there_only(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    choose(tab, saved(collage(5, 6), tmp_path / "both.png"))
    names = tab.locator(".match .name .file")
    tab.wait_for_function("() => document.querySelectorAll('.match').length === 2")
    assert sorted(names.all_inner_texts()) == ["05.png", "06.png"]
    surface = tab.locator(".region-surface").bounding_box()
    tab.mouse.move(surface["x"] + surface["width"] * 0.52, surface["y"] + 4)
    tab.mouse.down()
    tab.mouse.move(surface["x"] + surface["width"] - 2, surface["y"] + surface["height"] - 2, steps=5)
    tab.mouse.up()
    tab.wait_for_function("() => document.querySelectorAll('.match').length === 1")
    assert names.all_inner_texts() == ["06.png"]
    region = tab.locator("button.region")
    left = region.bounding_box()["x"]
    tab.keyboard.press("Shift+ArrowLeft")
    assert region.bounding_box()["x"] < left
    tab.get_by_role("button", name="Whole picture").click()
    tab.wait_for_function("() => document.querySelectorAll('.match').length === 2")


def test_nothing_found_says_what_to_do(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    choose(tab, saved(draw(999), tmp_path / "stranger.png"))
    tab.get_by_role("heading", name="Nothing here is a copy").wait_for()
    tab.locator(".state").get_by_role("button", name="Show unproven").click()
    tab.get_by_role("heading", name="Unproven").wait_for()
    choose(tab, saved(Image.new("RGB", (300, 200), "grey"), tmp_path / "plain.png"))
    tab.get_by_role("heading", name="too few details").wait_for()


def test_errors_name_the_cause(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address, allowed="422")
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    choose(tab, tmp_path / "broken.png")
    tab.get_by_role("alert").get_by_text("cannot be read as a picture").wait_for()
    (tmp_path / "large.png").write_bytes(bytes(34 << 20))
    choose(tab, tmp_path / "large.png")
    tab.get_by_role("alert").get_by_text(
        re.compile(r"33\.6 MB at most; this is 35\.7 MB|34 MB at most; this is 36 MB")
    ).wait_for()


def test_several_pictures_are_a_queue(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    choose(tab, *(saved(draw(seed).resize((300, 225)), tmp_path / f"{seed}.png") for seed in (10, 11, 999)))
    tab.wait_for_function(
        """() => [...document.querySelectorAll('.queue .count')].map((one) => one.textContent).join()
          === '1 match,1 match,0 matches'"""
    )
    tab.locator(".queue button", has_text="11.png").click()
    assert tab.locator(".match .file").inner_text() == "11.png"
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download all as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["10.png", "ok", "10.png"],
        ["11.png", "ok", "11.png"],
        ["999.png", "ok", ""],
    ]


def test_an_address_leads_back(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    search_for(tab, draw(12).resize((320, 240)), tmp_path)
    tab.locator(".match .look").first.click()
    tab.keyboard.press("4")
    tab.wait_for_function("() => location.hash.endsWith('?view=difference')")
    tab.reload()
    tab.locator("dialog.compare .stage[data-view=difference]").wait_for()
    tab.keyboard.press("Escape")
    tab.locator("dialog.compare").wait_for(state="detached")
    assert tab.locator(".match .file").inner_text() == "12.png"


def test_why_an_image_was_not_found(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    search_for(tab, draw(13), tmp_path)
    tab.get_by_text("A picture is missing here?").click()
    tab.get_by_label("Name of the image in the index").fill("14.png")
    tab.locator(".missing button").click()
    tab.locator(".ladder .lost").wait_for()
    assert tab.locator(".ladder .passed").count() >= 2


# Compare


def test_the_curtain_has_one_picture_on_each_side(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    query = draw(9)
    query.paste((255, 0, 0), (300, 200, 330, 230))  # so that the sides can be told apart
    search_for(tab, query, tmp_path)
    tab.locator(".match .look").first.click()
    sharp(tab)
    seen = shot(tab)
    box = tab.locator(".stage").bounding_box()
    layer = tab.locator(".sheet img").first.bounding_box()
    scale, left, top = layer["width"] / 400, layer["x"] - box["x"], layer["y"] - box["y"]
    way = (1 / scale, 0, -left / scale, 0, 1 / scale, -top / scale)
    size = (seen.shape[1], seen.shape[0])
    expected = pixels(draw(9).transform(size, Image.Transform.AFFINE, way, Image.Resampling.BILINEAR))
    difference = np.abs(seen - expected).mean(axis=2)
    rows = slice(round(top) + 8, round(top + 300 * scale) - 8)
    middle = round(box["width"] / 2)
    for columns in (slice(round(left) + 8, middle - 40), slice(middle + 40, round(left + 400 * scale) - 8)):
        assert difference[rows, columns].mean() < 3
    x, y = round(left + 315 * scale), round(top + 215 * scale)
    assert difference[y, x] < 40  # the reference is on the right
    tab.keyboard.press("x")  # now the query is there, with its red patch
    assert np.abs(shot(tab)[y, x] - (255, 0, 0)).max() < 20
    tab.keyboard.press("4")
    tab.locator(".stage[data-view=difference]").wait_for()
    assert shot(tab).mean() < 20


def test_zoom_and_the_line_by_keyboard(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    search_for(tab, draw(8).crop((20, 20, 320, 260)), tmp_path)
    tab.locator(".match .look").first.click()
    sharp(tab)
    layer = tab.locator(".sheet img").first
    width = layer.bounding_box()["width"]
    tab.keyboard.press("+")
    assert layer.bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.01)
    tab.keyboard.press("0")
    assert layer.bounding_box()["width"] == pytest.approx(width, rel=0.01)
    line = tab.get_by_role("slider", name="Curtain")
    line.focus()
    tab.keyboard.press("ArrowLeft")
    assert line.get_attribute("aria-valuenow") == "49"
    tab.keyboard.press("5")
    tab.mouse.move(200, 400)
    first, second = (cursor.bounding_box() for cursor in tab.locator(".cursor").all())
    assert (first["x"] < 640) and (second["x"] > 640)
    tab.keyboard.press("6")
    line = tab.locator(".marks g").nth(20)
    line.wait_for(state="attached")
    box = line.locator("circle").first.bounding_box()
    assert line.locator("circle").nth(1).bounding_box()["x"] > 640 > box["x"]
    tab.mouse.move(box["x"] + 4, box["y"] + 4)
    near = tab.locator(".marks g.near")
    assert near.count() == 1
    own, other = (shot(tab, f".patches canvas:nth-child({at})")[20:-20, 20:-20] for at in (1, 2))
    assert np.abs(own - other).mean() < 6 < own.std()


# Groups


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def test_groups_are_reviewed_by_keyboard_undone_and_exported_to_the_byte(server: Server, open_page: Open) -> None:
    tab = open_page(server.address + "#/groups")
    tab.locator(".group").first.wait_for()
    titles = tab.locator(".group h3").all_inner_texts()
    assert len(titles) == 5
    for _ in range(5):
        press(tab, "j", "ArrowRight", "ArrowRight", "x")
    press(tab, "z")  # the last one
    press(tab, "K")
    press(tab, "z")
    groups = server.ask("GET", "v1/groups?limit=100")["groups"]
    expected = [group["members"][1]["names"] for group in groups][:4]
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Take the list").click()
        tab.locator("[data-form=nul]").click()
    content = Path(download.value.path()).read_bytes()
    assert content == b"".join(os.fsencode(name) + b"\0" for names in expected for name in names)
    assert any(name.encode(errors="surrogateescape") in content for name in ODD_NAMES)


def test_rules_spare_what_only_looks_alike_and_scripts_are_quoted(
    server: Server, open_page: Open, tmp_path: Path
) -> None:
    tab = open_page(server.address + "#/groups")
    tab.get_by_role("button", name="Rules: what to keep").click()
    preview = tab.locator(".preview").inner_text()
    tab.get_by_role("button", name="Mark them").click()
    marked = tab.locator(".file-line input:checked")
    assert preview.startswith(f"Marks {marked.count()} of ")
    assert not tab.get_by_label("Mark 00 crop.png", exact=True).is_checked()
    assert tab.get_by_label("Mark 00 small.png", exact=True).is_checked()
    assert tab.get_by_label("Mark 03 same.png", exact=True).is_checked()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Take the list").click()
        tab.locator("[data-form=move]").click()
    script = Path(download.value.path()).read_bytes()
    assert f"mv -n -- '{ODD_NAMES[0]}' ".encode() in script
    press(tab, "Escape")
    press(tab, "z")
    assert marked.count() == 0


def test_never_all_files_of_a_group(server: Server, open_page: Open) -> None:
    tab = open_page(server.address + "#/groups")
    group = tab.locator(".group").first
    group.wait_for()
    for box in group.locator(".file-line input:enabled").all():
        box.check()
    group.get_by_text("the picture would be lost").wait_for()
    group.get_by_role("button", name="Keep the best").click()
    assert not group.locator(".original input").first.is_checked()
    group.locator(".member").nth(2).get_by_role("button", name="Make this the original").click()
    assert group.locator(".badge").count() == 1
    assert group.locator(".member").first.get_attribute("class").count("original") == 1


def test_what_was_rejected_does_not_return(start: Start, open_page: Open) -> None:
    server = start("--writable")
    tab = open_page(server.address + "#/groups", allowed="409")
    tab.get_by_role("button", name="Look for copies").click()
    tab.locator(".group").first.wait_for()
    assert tab.locator(".group").count() == 5
    first = tab.locator(".group").first
    names = first.locator(".name .file").all_inner_texts()
    press(tab, "j", "n")
    tab.locator(".group.rejected").wait_for()
    press(tab, "z")
    tab.locator(".group.rejected").wait_for(state="detached")
    assert server.ask("GET", "v1/verdicts")["verdicts"] == []
    press(tab, "n")
    tab.locator(".group.rejected").wait_for()
    told = [[name for member in group["members"] for name in member["names"]] for group in server.group()]
    assert len(told) == 4
    assert not any(set(names) & set(group) for group in told)


def test_focus_shows_one_group_after_the_other(server: Server, open_page: Open) -> None:
    tab = open_page(server.address + "#/groups")
    tab.locator(".group").first.wait_for()
    press(tab, "j", "Enter")
    dialog = tab.locator("dialog.focus")
    dialog.wait_for()
    press(tab, "a")
    dialog.get_by_text("Group 2").first.wait_for()
    press(tab, "K")
    dialog.get_by_text("2 decided").wait_for()
    press(tab, "c")
    tab.locator("dialog.compare").wait_for()
    press(tab, "Escape")
    tab.locator("dialog.compare").wait_for(state="detached")
    assert dialog.is_visible()
    press(tab, "Escape")
    dialog.wait_for(state="detached")
    assert tab.locator(".group.marked, .group.kept").count() == 2


# States


def test_an_empty_index_says_what_to_do(start: Start, open_page: Open, tmp_path: Path, photos: Path) -> None:
    from featmatch import Index

    Index.open(tmp_path / "empty.fm", create=True)
    server = start("--writable", "--uploads", tmp_path / "uploads", index=tmp_path / "empty.fm")
    tab = open_page(server.address)
    tab.get_by_role("heading", name="The index is empty").wait_for()
    tab.get_by_role("link", name="Add pictures").click()
    tab.locator(".adding input[type=file]").set_input_files([photos / "20.png", photos / MARKUP])
    tab.wait_for_function("() => document.querySelectorAll('.uploads .added').length === 2")
    tab.locator(".grid img").nth(1).wait_for()
    tab.get_by_text("2 images").first.wait_for()
    tab.locator(".grid a").first.click()
    tab.get_by_role("button", name="Remove from the index").click()
    tab.get_by_role("button", name="Undo").click()
    assert tab.locator(".grid img").count() == 2


def test_a_reader_without_a_key_is_asked_for_one(start: Start, open_page: Open, tmp_path: Path) -> None:
    key = new_key(tmp_path / "keys", "shop", "read")
    server = start("--keys", tmp_path / "keys")
    tab = open_page(server.address, allowed="401")
    tab.locator("input[name=key]").fill("fm_wrong")
    tab.get_by_role("button", name="Enter").click()
    tab.get_by_text("This key is not known").wait_for()
    tab.locator("input[name=key]").fill(key)
    tab.get_by_role("button", name="Enter").click()
    tab.locator(".examples img").first.wait_for()
    tab.goto(server.address + "#/jobs")
    tab.get_by_role("heading", name="No jobs here").wait_for()


def test_a_busy_service_is_waited_for(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address, allowed="503")
    tab.locator(".drop").wait_for()
    refused: list[str] = []

    def refuse(route: Any) -> None:
        if refused:
            route.continue_()
            return
        refused.append(route.request.url)
        headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
        route.fulfill(status=503, headers=headers, body='{"code": "busy", "status": 503}')

    tab.route("**/v1/search", refuse)
    choose(tab, saved(draw(15), tmp_path / "asked.png"))
    tab.get_by_text("Trying again in 1 second").wait_for()
    tab.locator(".match").wait_for()
    tab.locator(".banner").wait_for(state="hidden")


def test_a_service_that_is_gone_is_waited_for(start: Start, made_index: Path, open_page: Open, tmp_path: Path) -> None:
    server = start()
    tab = open_page(server.address, allowed="net::ERR_")
    tab.locator(".examples img").first.wait_for()
    server.end()
    choose(tab, saved(draw(16), tmp_path / "asked.png"))
    tab.get_by_text("The service does not answer").wait_for()
    start(index=made_index, port=server.port)
    tab.get_by_text("The service is back").wait_for()
    tab.locator(".match").wait_for()


def test_a_file_that_is_gone_is_said_to_be(start: Start, open_page: Open, tmp_path: Path, made_index: Path) -> None:
    server = start("--root", tmp_path)
    tab = open_page(server.address, allowed="410")
    choose(tab, saved(draw(17), tmp_path / "asked.png"))
    tab.locator(".match .gone").wait_for()
    tab.locator(".match .look").click()
    tab.get_by_text("cannot be shown").wait_for()


# Everybody


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker of accessibility, as text."""
    found = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    return (Path(found.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(tab: Any, axe: str) -> list[str]:
    tab.evaluate(axe)  # by the debugger: the page's policy allows no script of others
    found = tab.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
        for one in found["violations"]
    ]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_every_view_is_for_everybody(
    server: Server, open_page: Open, axe: str, tmp_path: Path, size: tuple[int, int], scheme: str, language: str
) -> None:
    tab = open_page(f"{server.address}?lang={language}", size=size, color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}

    def look(view: str) -> None:
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is too wide"
        found.update({view: told} if (told := violations(tab, axe)) else {})

    tab.locator(".examples img").first.wait_for()
    look("empty")
    search_for(tab, draw(18).crop((40, 30, 360, 280)), tmp_path)
    look("results")
    tab.locator(".match .look").first.click()
    for key in "156":
        press(tab, key)
        tab.locator(f"dialog.compare .views button:nth-child({key})[aria-pressed=true]").wait_for()
        look(f"compare {key}")
    press(tab, "Escape")
    tab.locator(".links button").first.click()
    tab.locator(".ladder").wait_for()
    look("explain")
    press(tab, "Escape")
    tab.goto(f"{server.address}?lang={language}#/groups")
    tab.locator(".group").first.wait_for()
    look("groups")
    tab.locator(".marked-bar .buttons button").first.click()
    look("rules")
    press(tab, "Escape")
    tab.evaluate("location.hash = '#/groups/2'")
    tab.locator("dialog.focus").wait_for()
    look("focus")
    for view, there in (("images", ".grid img"), ("images?add", ".adding input"), ("jobs", ".job")):
        tab.goto(f"{server.address}?lang={language}#/{view}")
        tab.reload()
        tab.locator(there).first.wait_for(state="attached")
        look(view)
    tab.goto(f"{server.address}?lang={language}#/images/1")
    tab.reload()
    tab.locator(".facts").wait_for()
    look("details")
    assert found == {}
    assert tab.evaluate("document.documentElement.lang") == language


def test_the_policy_has_no_holes(server: Server, open_page: Open) -> None:
    tab = open_page(server.address)
    answer = tab.request.get(server.address)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_markup_runs_nowhere(server: Server, open_page: Open) -> None:
    tab = open_page(server.address + "#/images")
    shown = MARKUP.rsplit("/", 1)[-1]
    tab.get_by_text(shown).first.wait_for()
    tab.get_by_role("link", name=shown).click()
    tab.locator("dialog .facts").wait_for()
    assert (
        tab.locator("dialog").get_by_text("<b>bold</b> words").count() + tab.locator("dialog input[name=text]").count()
        >= 1
    )
    tab.locator("dialog").get_by_label("Show its features").check()
    tab.locator("dialog .feature").nth(100).wait_for()
    assert tab.locator("img[src=x], dialog b >> text=bold").count() == 0
    tab.goto(server.address + "#/groups")
    tab.locator(".group").nth(4).get_by_text(shown).first.wait_for()
    assert tab.locator("img[src=x]").count() == 0
