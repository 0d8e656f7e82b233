from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

import featmatch
from featmatch.__main__ import main as started_main
from tests.cli.conftest import bare


def test_python_m_featmatch_is_the_same(index: Path, pictures: dict[str, Path]) -> None:
    ended = bare("query", index, pictures["crop"], pictures["missing"], "--json")
    assert ended.returncode == 2
    assert len(ended.stdout.splitlines()) == 2
    assert len(ended.stderr.splitlines()) == 1


def test_decoders_do_not_talk_on_standard_error(own_index: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tif"
    Image.effect_noise((200, 200), 90).convert("1").save(damaged, compression="group4")
    content = bytearray(damaged.read_bytes())
    content[100:400] = bytes(range(1, 101)) * 3
    damaged.write_bytes(content)
    ended = bare("add", own_index, damaged)
    assert all(line.startswith(("featmatch: ", "added ")) for line in ended.stderr.splitlines())
    raw = subprocess.run(
        [sys.executable, "-c", "import sys; from PIL import Image; Image.open(sys.argv[1]).load()", str(damaged)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Fax4Decode" in raw.stderr  # what would be seen otherwise


def test_both_ways_to_start_are_one() -> None:
    assert started_main.__module__ == "featmatch.__main__"
    assert bare("--version").stdout == f"featmatch, version {featmatch.__version__}\n"
