"""The demonstration that ``tools/demo`` runs: find the photo that a cropped and turned picture came from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageOps

from featmatch.images.folders import image_files

OUT = Path(__file__).parent.parent / "demo"
MOST_PHOTOS = 500
_COPIED = ("astronaut", "chelsea", "coffee", "rocket")


def main() -> int:
    """Run featmatch's own command line, as a user would."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    folders = [word for word in sys.argv[1:] if word != "--serve"]
    photos = list(image_files(folders)) if folders else bundled_photos(OUT / "photos")
    if not folders:
        make_copies(photos, OUT / "copies")  # for the tutorials
    if not photos:
        print(f"no photos in {folders[0]}", file=sys.stderr)
        return 2
    if len(photos) > MOST_PHOTOS:
        print(f"{len(photos)} photos; the demonstration uses at most {MOST_PHOTOS} of them")
        photos = photos[:: -(-len(photos) // MOST_PHOTOS)]
    index, query = OUT / "demo.fm", OUT / "piece.jpg"
    by_size = sorted(photos, key=os.path.getsize, reverse=True)  # the largest file most likely has enough detail
    original = next((photo for photo in by_size if make_query(photo, query)), None)
    if original is None:
        print("none of the photos could be opened", file=sys.stderr)
        return 2
    run("add", index, *photos)
    print(f"\nThe query {query} is a piece of {original}, turned by 17° and saved as a low-quality JPEG.\n")
    answer = run("query", index, query, "--json", "--draw", OUT / "drawn")
    run("query", index, query)
    matches = json.loads(answer)["matches"] if answer else []
    if not matches or matches[0]["name"] != original:
        print(f"\nfeatmatch did not find {original}", file=sys.stderr)
        return 1
    best = matches[0]
    drawn = next((OUT / "drawn").iterdir())
    print(
        f"\nFound: {best['name']}\n  probability {best['probability']}, {best['inliers']} inliers, turned by "
        f"{best['relation']['rotation_deg']}°, {best['reference_overlap']:.0%} of the photo\n  homography, query to "
        f"photo: {best['homography']}\n  drawn: {drawn}"
    )
    return serve(index, query) if "--serve" in sys.argv[1:] else 0


def serve(index: Path, query: Path) -> int:
    """Answer over HTTP, until Ctrl-C; say where, and how to ask."""
    print(f"\nAsk: curl -s --data-binary @{query} localhost:8520/v1/search\nEnd: Ctrl-C\n", flush=True)
    return subprocess.run([sys.executable, "-m", "featmatch", "serve", index, "--log", "text"], check=False).returncode


def bundled_photos(folder: Path) -> list[str]:
    """Save the photos that come inside the scikit-image wheel as files."""
    import skimage

    folder.mkdir()
    saved = []
    for file in sorted((Path(skimage.__file__).parent / "data").iterdir()):
        if file.suffix in (".png", ".jpg"):
            with Image.open(file) as image:
                if min(image.size) >= 200:
                    saved.append(str(shutil.copy(file, folder)))
    return saved


def make_copies(photos: list[str], folder: Path) -> list[str]:
    """Save copies of four of the bundled photos, as people make them."""
    folder.mkdir()
    made = []
    for photo in photos:
        if Path(photo).stem not in _COPIED:
            continue
        with Image.open(photo) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        edited = {
            "small": picture.resize((width // 2, height // 2)),
            "mirrored": ImageOps.mirror(picture),
            "crop": picture.crop((width // 6, height // 6, width * 5 // 6, height * 5 // 6)),
        }
        for what, copy in edited.items():
            made.append(str(folder / f"{Path(photo).stem} {what}.jpg"))
            copy.save(made[-1], quality=80)
    return made


def make_query(photo: str, target: Path) -> bool:
    """Turn a photo by 17 degrees, crop it to 45 % of each side, and save it at low quality.

    Returns:
        Whether the photo could be read.
    """
    try:
        with Image.open(photo) as image:
            turned = ImageOps.exif_transpose(image).convert("RGB").rotate(17, Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError):
        return False
    width, height = turned.size
    turned.crop((width * 275 // 1000, height * 275 // 1000, width * 725 // 1000, height * 725 // 1000)).save(
        target, quality=30
    )
    return True


def run(*arguments: str | Path) -> str:
    """Run a featmatch command, show it, and return what it printed."""
    words = [str(argument) for argument in arguments]
    print("$ featmatch", *(words if len(words) < 8 else [*words[:3], f"... ({len(words) - 3} more)"]), flush=True)
    printed = subprocess.run(
        [sys.executable, "-m", "featmatch", *words], check=False, stdout=subprocess.PIPE, text=True
    ).stdout
    if "--json" not in words:
        print(printed, end="", flush=True)
    return printed


if __name__ == "__main__":
    sys.exit(main())
