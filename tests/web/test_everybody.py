"""The page is for everybody: accessible in each view, size, theme and language, and safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.web.acting import press, search_for
from tests.web.conftest import Open, Server
from tests.web.drawn import MARKUP, draw

SIZES = {"desk": (1280, 800), "phone": (390, 800)}


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker of accessibility, as text."""
    found = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    return (Path(found.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(tab: Any) -> list[str]:
    found = tab.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
        for one in found["violations"]
    ]


# Each theme in each size once, each language in both: a language changes no colours.
LOOKS = {"en": {"desk": "light", "phone": "dark"}, "ja": {"desk": "dark", "phone": "light"}}


@pytest.mark.parametrize("language", LOOKS)
def test_every_view_is_for_everybody(server: Server, open_page: Open, axe: str, tmp_path: Path, language: str) -> None:
    tab = open_page(f"{server.address}?lang={language}", size=SIZES["desk"], reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    tab.evaluate(axe)  # by the debugger: the page's policy allows no script of others

    def look(view: str) -> None:
        for size, scheme in LOOKS[language].items():
            tab.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
            tab.emulate_media(color_scheme=scheme)
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is too wide"
            if told := violations(tab):
                found[f"{view}, {size}, {scheme}"] = told
        tab.set_viewport_size({"width": SIZES["desk"][0], "height": SIZES["desk"][1]})

    def visit(place: str, there: str) -> None:
        tab.evaluate(f"location.hash = '#/{place}'")
        tab.locator(there).first.wait_for(state="attached")

    tab.locator(".examples img").first.wait_for()
    look("empty")
    search_for(tab, draw(18).crop((40, 30, 360, 280)), tmp_path)
    look("results")
    tab.locator(".match .look").first.click()
    for number in (1, 5, 6):
        button = tab.locator(f"dialog.compare .views button:nth-child({number})")
        button.click()  # the mouse stays on it
        assert button.get_attribute("aria-pressed") == "true"
        look(f"compare {number}")
    press(tab, "Escape")
    tab.locator(".links button").first.click()
    tab.locator(".ladder").wait_for()
    look("explain")
    press(tab, "Escape")
    visit("groups", ".group")
    look("groups")
    tab.locator(".marked-bar .buttons button").first.click()
    look("rules")
    press(tab, "Escape")
    visit("groups/2", "dialog.focus")
    look("focus")
    press(tab, "Escape")
    rest = {"images": ".grid img", "images?add": ".adding input", "jobs": ".job", "images/1": ".facts"}
    for place, there in rest.items():
        visit(place, there)
        look(place)
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
    tab.locator(".group").get_by_text(shown).first.wait_for()
    assert tab.locator("img[src=x]").count() == 0
