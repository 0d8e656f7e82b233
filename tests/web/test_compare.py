"""The comparison of the served page in a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.web.acting import search_for, sharp, shot
from tests.web.conftest import Open, Server
from tests.web.drawn import draw, pixels


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
