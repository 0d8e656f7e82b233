"""How quick the page is in Chromium: from a dropped picture to its proof, and with many groups; and how large it is.

    python -m tools.bench_page [GROUPS]

Pictures of groups are parts of scikit-image's photos, 640 x 480; each group has an original and two crops of it. The
picture that is dropped is a piece of one of the demonstration's photos (tools/demo), turned, at low quality.
"""

from __future__ import annotations

import gzip
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index
from featmatch.grouping.groups import Group, Member
from featmatch.pages.groups import write_page
from featmatch.proof.relation import Relation
from featmatch.service.page import parts
from tools.demo import bundled_photos, make_query

_SIZE = (640, 480)
_FILTERS = """async () => {
  const times = [], select = document.querySelectorAll(".filter-bar select")[0];
  for (const kind of ["crop", "resized", "", "crop", ""]) {
    const began = performance.now();
    select.value = kind;
    select.dispatchEvent(new Event("change"));
    await new Promise((resolve) => new MutationObserver((_, observer) => { observer.disconnect(); resolve(); })
      .observe(document.querySelector("ol.groups"), { childList: true }));
    document.body.offsetHeight;  // laid out as well
    times.push(performance.now() - began - 150);  // that it waits for the next letter
  }
  return Math.max(...times);
}"""
_SCROLL = """async () => {
  const times = [];
  let last = performance.now();
  for (let frame = 0; frame < 240; frame++) {
    scrollBy(0, 120);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  times.sort((a, b) => a - b);
  return [times[120], times[228]];
}"""


def make_groups(count: int, folder: Path, seed: int = 1) -> list[Group]:
    """Groups of three, and their files."""
    rng = np.random.default_rng(seed)
    names = ("astronaut", "brick", "chelsea", "coffee", "grass", "rocket")
    photos = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in names]
    groups = []
    for number in range(count):
        photo = photos[number % len(photos)]
        left, top = rng.uniform(0, 0.5, 2) * photo.size
        original = photo.resize(_SIZE, box=(left, top, left + 0.5 * photo.width, top + 0.5 * photo.height))
        members = [_member(original, folder / f"{number:05d}.jpg", 3 * number, None)]
        for place in (1, 2):
            x, y = (float(value) for value in rng.uniform(0, 150, 2))
            share = float(rng.uniform(0.5, 0.68))
            copy = original.resize(_SIZE, box=(x, y, x + share * _SIZE[0], y + share * _SIZE[1]))
            corner = [0.5 * share - 0.5 + x, 0.5 * share - 0.5 + y]
            homography = np.array([[share, 0, corner[0]], [0, share, corner[1]], [0, 0, 1]])
            members.append(_member(copy, folder / f"{number:05d}-{place}.jpg", 3 * number + place, homography))
        groups.append(Group(tuple(members)))
    return groups


def _member(image: Image.Image, path: Path, number: int, homography: NDArray[np.float64] | None) -> Member:
    image.save(path, quality=85)
    relation = None if homography is None else Relation("crop", 0.0, float(1 / homography[0, 0]), False, False)
    return Member(number, (str(path),), *_SIZE, path.stat().st_size, relation, 0.999, homography, 50)


@contextmanager
def tab_of_chromium() -> Iterator[Any]:
    """A tab to browse in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser.new_page(viewport={"width": 1300, "height": 900})
        browser.close()


def browse(page: Path) -> dict[str, float]:
    """Milliseconds of what a reader of many groups waits for."""
    with tab_of_chromium() as tab:
        tab.goto(page.as_uri(), wait_until="load")
        tab.locator("li.group").first.wait_for()
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        times = {"first paint": tab.evaluate(paint), "slowest filter, laid out": tab.evaluate(_FILTERS)}
        times["a frame while scrolling, median"], times["a frame while scrolling, 95 %"] = tab.evaluate(_SCROLL)
        for words, key in (("next group by key", "j"), ("mark by key", "x"), ("undo by key", "z")):
            began = time.perf_counter()
            for _ in range(10):
                tab.keyboard.press(key)
            times[words] = 100 * (time.perf_counter() - began)
        began = time.perf_counter()
        tab.locator("button.look").nth(1).click()
        tab.locator("dialog.compare .sheet img[src]").first.wait_for()
        times["comparison opened"] = 1000 * (time.perf_counter() - began)
        return times


def drop(folder: Path) -> dict[str, float]:
    """Milliseconds from a picture that is dropped to what is shown of it, at the first time and later."""
    photos = bundled_photos(folder / "photos")
    query = folder / "query.jpg"
    make_query(next(photo for photo in photos if "astronaut" in photo), query)
    Index.open(folder / "index", create=True).add(photos, jobs=2)
    command = [sys.executable, "-m", "featmatch", "serve", str(folder / "index"), "--port", "0", "--log", "text"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server, tab_of_chromium() as tab:
        assert server.stderr is not None
        address = re.findall(r"http://\S+", server.stderr.readline())[0]
        tab.goto(address)
        tab.locator(".examples img").first.wait_for()
        times = {
            "page, first paint": tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        }
        for which in ("first", "second"):
            began = time.perf_counter()
            tab.locator("input[type=file]").first.set_input_files(query)
            tab.locator(".match polygon.over").first.wait_for(state="attached")
            times[f"{which} drop to outlined match"] = 1000 * (time.perf_counter() - began)
            tab.locator(".match .look").first.click()
            tab.wait_for_function(
                "() => [...document.querySelectorAll('.sheet img')].every((image) => image.naturalWidth)"
            )
            times[f"{which} drop to both under the curtain"] = 1000 * (time.perf_counter() - began)
            tab.keyboard.press("6")
            tab.locator(".marks g").first.wait_for(state="attached")
            times[f"{which} drop to the lines of the proof"] = 1000 * (time.perf_counter() - began)
            tab.keyboard.press("Escape")
            tab.get_by_role("button", name="Clear").click()
        server.kill()
        return times


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    sizes = {name: len(gzip.compress(part.content, 9)) for name, part in parts().items()}
    rest = sum(sizes.values()) - sizes["en.json"] - sizes["ja.json"]
    visits = ", ".join(f"{(rest + sizes[f'{language}.json']) / 1000:.1f} kB in {language}" for language in ("en", "ja"))
    print(f"gzipped, for a visit: {visits}")
    with tempfile.TemporaryDirectory(prefix="featmatch-") as folder:
        for what, milliseconds in drop(Path(folder)).items():
            print(f"{what}: {milliseconds:.0f} ms")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        groups = make_groups(count, Path(folder))
        began = time.perf_counter()
        page = Path(folder) / "page.html"
        write_page(page, groups, path_of=str)
        print(f"{count} groups of 3: written in {time.perf_counter() - began:.1f} s")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{page.stat().st_size / 1e6:.1f} MB; memory grew by {(after - before) / 1000:.0f} MB at most")
        for what, milliseconds in browse(page).items():
            print(f"{what}: {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
