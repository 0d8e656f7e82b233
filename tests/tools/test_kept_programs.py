from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.kept_programs import compile_or_take

# A compiler that notes that it was called, and refuses sources that say so.
COMPILER = """#!/bin/sh
echo called >> "$CALLS"
grep -q wrong "$2" && exit 3
for last; do :; done
cat "$2" "${1#-I}/calls.h" > "$last"
"""


def test_what_was_made_of_the_same_is_taken_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, calls, source, header = (tmp_path / name for name in ("cc", "calls", "one.c", "calls.h"))
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    monkeypatch.setenv("CALLS", str(calls))
    (kept := tmp_path / "kept").mkdir()

    def made(*flags: str) -> tuple[int, int]:
        """The exit status, and how often the compiler was called until now."""
        built = tmp_path / f"build{len(os.listdir(tmp_path))}"
        built.mkdir()
        (built / "calls.h").write_text(header.read_text())
        program = built / "program"
        status = compile_or_take(kept, [str(compiler), f"-I{built}", str(source), *flags, "-o", str(program)])
        assert status or program.read_text() == source.read_text() + header.read_text()
        return status, calls.read_text().count("called")

    source.write_text("a\n")
    header.write_text("b\n")
    assert [made(), made(), made("-O2"), made("-O2")] == [(0, 1), (0, 1), (0, 2), (0, 2)]
    source.write_text("c\n")
    assert [made("-O2"), made("-O2")] == [(0, 3), (0, 3)]
    header.write_text("d\n")
    assert [made("-O2"), made("-O2")] == [(0, 4), (0, 4)]
    assert len(os.listdir(kept)) == 1
    source.write_text("wrong\n")
    assert [made(), made()] == [(3, 5), (3, 6)]
