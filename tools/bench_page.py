"""How large the page of many groups is, how long it takes to write, and how quick it is in Chromium.

    python -m tools.bench_page [GROUPS]

Pictures are parts of scikit-image's photos, 640 x 480; each group has an original and two crops of it.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from featmatch.grouping.groups import Group, Member
from featmatch.pages.groups import write_page
from featmatch.proof.relation import Relation

_SIZE = (640, 480)
_FILTERS = """() => {
  const times = [];
  for (const kind of ["crop", "identical", "", "resized", ""]) {
    document.getElementById("kind").value = kind;
    const began = performance.now();
    filter();
    document.body.offsetHeight;  // laid out as well
    times.push(performance.now() - began);
  }
  return Math.max(...times);
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


def browse(page: Path) -> dict[str, float]:
    """Milliseconds of what a reader waits for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab: Any = browser.new_page(viewport={"width": 1300, "height": 900})
        tab.goto(page.as_uri(), wait_until="load")
        tab.wait_for_timeout(500)
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        times = {
            "first paint": tab.evaluate(paint),
            "usable": tab.evaluate("performance.timing.domInteractive - performance.timing.navigationStart"),
            "loaded": tab.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart"),
            "slowest filter, laid out": tab.evaluate(_FILTERS),
        }
        began = time.perf_counter()
        tab.evaluate("() => scrollTo(0, document.body.scrollHeight)")
        tab.screenshot()
        times["jump to the end, and drawn"] = 1000 * (time.perf_counter() - began)
        began = time.perf_counter()
        tab.locator("button.look").last.click()
        tab.screenshot()
        times["comparison opened, and drawn"] = 1000 * (time.perf_counter() - began)
        browser.close()
        return times


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="featmatch-") as folder:
        groups = make_groups(count, Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
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
