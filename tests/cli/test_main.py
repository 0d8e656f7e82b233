from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

import featmatch
from featmatch.__main__ import main as started_main
from tests.cli.conftest import bare


def test_python_m_featmatch_is_the_same(index: Path, pictures: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "featmatch", "query", str(index)]
    for image, status in (("crop", 0), ("missing", 2)):
        ended = subprocess.run([*command, str(pictures[image]), "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == status
        assert len(ended.stdout.splitlines()) == 1
        assert "Traceback" not in ended.stderr


def test_decoders_do_not_talk_on_standard_error(own_index: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tif"
    Image.effect_noise((200, 200), 90).convert("1").save(damaged, compression="group4")
    content = bytearray(damaged.read_bytes())
    content[100:400] = bytes(range(1, 101)) * 3
    damaged.write_bytes(content)
    for command in ("query", "add"):
        ended = subprocess.run(
            [sys.executable, "-m", "featmatch", command, str(own_index), str(damaged)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert all(line.startswith(("featmatch: ", "added ")) for line in ended.stderr.splitlines())
    raw = subprocess.run(
        [sys.executable, "-c", "import sys; from PIL import Image; Image.open(sys.argv[1]).load()", str(damaged)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Fax4Decode" in raw.stderr  # what would be seen otherwise


def test_both_ways_to_start_are_one() -> None:
    assert started_main.__module__ == "featmatch.__main__"
    assert bare("--version").stdout == f"featmatch, version {featmatch.__version__}\n"
