"""A compiler that keeps what it made, by all that it was made of.

python kept_programs.py FOLDER COMPILER ARGUMENT... -o PROGRAM
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def compile_or_take(folder: Path, command: Sequence[str]) -> int:
    """Run a compiler unless its program was kept; of each name the last one is.

    Returns:
        The exit status of the compiler.
    """
    program, kept = Path(command[-1]), _place(folder, command)
    if not kept.exists():
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
        for former in folder.glob(f"{program.name}-*"):
            former.unlink()
        partial = kept.with_suffix(f".{program.parent.name}")
        shutil.copy2(program, partial)
        partial.replace(kept)
    shutil.copy2(kept, program)
    return 0


def _place(folder: Path, command: Sequence[str]) -> Path:
    """Its name, and a digest of the compiler, its arguments, and all sources beside those that it is given."""
    compiler = shutil.which(command[0]) or command[0]
    told = [compiler, Path(compiler).stat().st_mtime_ns, *(one for one in command[1:-1] if not one.startswith("-I"))]
    digest = hashlib.sha256(repr(told).encode())
    given = {Path(one[2:] if one.startswith("-I") else one) for one in command if one.endswith(".c") or one[:2] == "-I"}
    for path in sorted({near for one in given for near in (one if one.is_dir() else one.parent).glob("*.[ch]")}):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return folder / f"{Path(command[-1]).name}-{digest.hexdigest()[:16]}"


if __name__ == "__main__":
    sys.exit(compile_or_take(Path(sys.argv[1]), sys.argv[2:]))
