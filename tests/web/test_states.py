"""What the page says where something is not as wished: an empty index, a service that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featmatch.service.keys import new_key
from tests.web.acting import choose, saved
from tests.web.conftest import Open, Server, Start
from tests.web.drawn import MARKUP, draw


def test_an_empty_index_says_what_to_do(start: Start, open_page: Open, tmp_path: Path, photos: Path) -> None:
    from featmatch import Index

    Index.open(tmp_path / "empty.fm", create=True)
    server = start("--writable", "--uploads", tmp_path / "uploads", index=tmp_path / "empty.fm")
    tab = open_page(server.address, allowed="409")
    tab.get_by_role("heading", name="The index is empty").wait_for()
    tab.evaluate("location.hash = '#/groups'")
    tab.locator(".groups-view").get_by_role("heading", name="The index is empty").wait_for()
    tab.get_by_role("link", name="Add pictures").click()
    tab.locator(".adding input[type=file]").set_input_files([photos / "20.png", photos / MARKUP])
    tab.wait_for_function("() => document.querySelectorAll('.uploads .added').length === 2")
    tab.locator(".grid img").nth(1).wait_for()
    tab.get_by_text("2 images").first.wait_for()
    tab.locator(".grid a").first.click()
    tab.get_by_role("button", name="Remove from the index").click()
    tab.get_by_role("button", name="Undo").click()
    assert tab.locator(".grid img").count() == 2


@pytest.mark.parametrize(("language", "words"), [("en", "Pictures are being added"), ("ja", "画像を追加しています")])
def test_adding_under_way_says_so(server: Server, open_page: Open, language: str, words: str) -> None:
    tab = open_page(server.address + "page/icon.svg", allowed="status of 4")
    about = {**server.ask("GET", "v1"), "index": {"images": 0, "generation": 0}}
    counts = {"done": 310, "total": 1204, "added": 310, "skipped": 0, "failed": 0}
    progress = {**counts, "per_second": 20, "seconds_left": 45}
    job = {"id": "j_0", "kind": "add", "state": "running", "failures": [], "progress": progress}
    job["created"] = "2026-01-01T00:00:00+00:00"
    tab.route("**/v1", lambda route: route.fulfill(json=about))
    tab.route("**/v1/images?*", lambda route: route.fulfill(json={"images": [], "next": None, "total": 0}))
    tab.route("**/v1/groups*", lambda route: route.fulfill(status=409, json={"code": "groups_not_made", "status": 409}))
    tab.route("**/v1/jobs", lambda route: route.fulfill(json={"jobs": [job]}))
    tab.goto(f"{server.address}?lang={language}")
    for place, view in {"search": "search", "groups": "groups-view", "images": "images"}.items():
        tab.evaluate(f"location.hash = '#/{place}'")
        tab.locator(f".view.{view}").get_by_role("heading", name=words).wait_for()
        tab.get_by_text("1,204").last.wait_for()


def test_a_reader_without_a_key_is_asked_for_one(start: Start, open_page: Open, tmp_path: Path) -> None:
    key = new_key(tmp_path / "keys", "shop", "read")
    server = start("--keys", tmp_path / "keys", "--queue", 100)  # so that no key is busy, however slow it is
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
    tab = open_page(server.address, allowed="net::ERR_|503")
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
