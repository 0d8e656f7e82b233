"""The search of the served page in a browser: from the first picture to the saved answers."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.web.acting import choose, saved, search_for
from tests.web.conftest import Open, Server
from tests.web.drawn import collage, draw


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
    tab.locator(".match").get_by_role("link", name="Details").click()
    tab.locator("dialog .facts").wait_for()
    tab.keyboard.press("Escape")
    tab.locator(".match .file").get_by_text("12.png").wait_for()  # and not among the images


def test_why_an_image_was_not_found(server: Server, open_page: Open, tmp_path: Path) -> None:
    tab = open_page(server.address)
    search_for(tab, draw(13), tmp_path)
    tab.get_by_text("A picture is missing here?").click()
    tab.get_by_label("Name of the image in the index").fill("14.png")
    tab.locator(".missing button").click()
    tab.locator(".ladder .lost").wait_for()
    assert tab.locator(".ladder .passed").count() >= 2
