"""Make the pictures of README and documentation, from the demonstration's photos.

    python -m tools.screenshots [FOLDER]        write found, search, compare and groups.webp; default: docs/page

Needs chromium and playwright. The same photos, queries and window give the same pictures, but for fonts.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from featmatch import Index, verify
from tools.demo import bundled_photos, make_copies, make_query

OUT = Path(__file__).parent.parent / "docs" / "page"
_SIZE = (1200, 720)


def take(tab: Any, target: Path) -> None:
    """What the tab shows, as a small file."""
    tab.wait_for_function("() => [...document.images].every((image) => image.complete)")
    with Image.open(io.BytesIO(tab.screenshot())) as shown:
        shown.convert("RGB").save(target, quality=82, method=6)


def visit(tab: Any, address: str, query: Path, out: Path) -> None:
    """Search, compare, and look through the groups."""
    tab.goto(address)
    tab.locator(".examples img").first.wait_for()
    for _ in range(2):  # the first search of a service reads the index
        tab.locator("input[type=file]").first.set_input_files(query)
        tab.locator(".results[aria-busy=false] .match img").first.wait_for()
        tab.get_by_role("button", name="Clear").click()
    tab.locator("input[type=file]").first.set_input_files(query)
    tab.locator(".results[aria-busy=false] .match img").first.wait_for()
    take(tab, out / "search.webp")
    tab.locator(".match .look").first.click()
    tab.wait_for_function("() => [...document.querySelectorAll('.sheet img')].every((image) => image.naturalWidth)")
    take(tab, out / "compare.webp")
    tab.keyboard.press("Escape")
    tab.goto(address + "#/groups")
    tab.get_by_role("button", name="Look for copies").click()
    tab.locator("li.group").first.wait_for()
    tab.get_by_role("button", name="Rules …").click()
    tab.get_by_role("button", name="Mark them").click()
    tab.locator(".toast").wait_for(state="detached")
    take(tab, out / "groups.webp")


def main() -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="featmatch-") as name:
        folder = Path(name)
        photos = bundled_photos(folder / "photos")
        copies = make_copies(photos, folder / "copies")
        astronaut = next(photo for photo in photos if "astronaut" in photo)
        make_query(astronaut, folder / "query.jpg")
        proof = Image.fromarray(verify(folder / "query.jpg", astronaut).draw())
        proof.thumbnail((1000, 1000))
        proof.save(out / "found.webp", quality=75, method=6)
        Index.open(folder / "photos.fm", create=True, root=folder).add([*photos, *copies])
        command = [sys.executable, "-m", "featmatch", "serve", str(folder / "photos.fm"), "--writable", "--port", "0"]
        with (
            subprocess.Popen([*command, "--root", name], stderr=subprocess.PIPE, text=True) as server,
            sync_playwright() as playwright,
        ):
            assert server.stderr is not None
            address = re.findall(r"http://\S+", server.stderr.readline())[0]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            window: Any = {"width": _SIZE[0], "height": _SIZE[1]}
            visit(
                browser.new_page(viewport=window, color_scheme="light", locale="en"),
                address + "/",
                folder / "query.jpg",
                out,
            )
            browser.close()
            server.kill()


if __name__ == "__main__":
    main()
