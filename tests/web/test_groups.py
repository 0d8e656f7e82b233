"""Groups on the served page in a browser: reviewed, undone, and exported."""

from __future__ import annotations

import os
from pathlib import Path

from tests.web.acting import press
from tests.web.conftest import Open, Server, Start
from tests.web.drawn import ODD_NAMES


def test_groups_are_reviewed_by_keyboard_undone_and_exported_to_the_byte(server: Server, open_page: Open) -> None:
    tab = open_page(server.address + "#/groups")
    tab.locator(".group").first.wait_for()
    titles = tab.locator(".group h3").all_inner_texts()
    assert len(titles) == 10
    for _ in range(10):
        press(tab, "j", "ArrowRight", "ArrowRight", "x")
    press(tab, "z")  # the last one
    press(tab, "K")
    press(tab, "z")
    groups = server.ask("GET", "v1/groups?limit=100")["groups"]
    expected = [group["members"][1]["names"] for group in groups][:9]
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
    tab.get_by_role("button", name="Rules …").click()
    tab.get_by_role("button", name="Down In one of my folders").click()
    assert tab.locator(".rules li").nth(1).get_attribute("data-rule") == "folder"
    tab.get_by_role("button", name="Up In one of my folders").press("Enter")  # the keyboard followed it
    assert tab.locator(".rules li").first.get_attribute("data-rule") == "folder"
    preview = tab.locator(".preview").inner_text()
    tab.get_by_role("button", name="Mark them").click()
    assert tab.evaluate("document.activeElement.textContent") == "Rules …"  # where it was opened from
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
    assert tab.locator(".group").count() == 10
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
    assert len(told) == 9
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
