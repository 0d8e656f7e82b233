"""Which faults of a module would its tests not notice? Puts small ones in, one at a time, and runs the tests.

The tests of PACKAGE/ROOM/MODULE.py are tests/ROOM/test_MODULE.py; what these miss is tried on all of tests/ROOM.
Run from the top of the working tree, which stays as it is: all happens in a copy. Only Linux has what this needs.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import dataclasses
import functools
import gc
import importlib
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from py_compile import PycInvalidationMode

from tools.forking import Stage, adopt_orphans, end_with_parent, passes, processor_s
from tools.mutations import Mutant, sampled

_LEFT_OUT = (".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "demo")


@dataclass(frozen=True)
class Task:
    """A mutant of a module and the tests that may notice it, the nearest first."""

    module: Path
    mutant: Mutant
    stages: tuple[Stage, ...]


@dataclass
class Count:
    """Of the mutants of a module."""

    module: Path
    tried: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """Those that some test noticed."""
        return self.tried - len(self.survivors)

    @property
    def share(self) -> float:
        """Of the killed ones, in percent."""
        return 100 * self.killed / self.tried if self.tried else 100.0

    def line(self, name: str) -> str:
        """Of the table at the end."""
        return f"{name:44} {self.tried:8} {self.killed:7} {len(self.survivors):9} {self.share:6.1f} %"


def _copy_of(root: Path, folder: Path) -> Path:
    """A copy of a working tree with bytecode of its sources, which is told from a mutant's by a checksum."""
    tree = folder / "tree"
    shutil.copytree(root, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    compileall.compile_dir(tree, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return tree


def _import_as_they_did(tree: Path) -> None:
    """Import what tests imported, so that those of mutants need not: nothing of the project."""
    for name in (tree.parent / "imported").read_text().split("\n"):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


@functools.cache
def _sound_run(tree: Path, arguments: tuple[str, ...]) -> Stage:
    """Run the tests of the sound tree.

    Raises:
        SystemExit: they fail.
    """
    for more in (("--collect-only",), ()):
        start, processor = time.monotonic(), processor_s()
        if not passes(tree, Stage((*arguments, *more)), sound=True):
            print((tree.parent / "output").read_text()[-4000:], file=sys.stderr)
            raise SystemExit(f"without a mutant, in a copy of the tree, the tests fail: {' '.join(arguments)}")
        _import_as_they_did(tree)
    took_s = time.monotonic() - start
    return Stage(arguments, 5 + math.ceil(5 * (processor_s() - processor)), 30 + 10 * took_s)


def _stages(tree: Path, module: Path, tests: list[str], then: list[str]) -> tuple[Stage, ...]:
    room = Path("tests", *module.parts[1:-1])
    nearest = tests or [str(room / f"test_{module.stem.strip('_')}.py")]
    then = then or ([str(room)] if len(room.parts) > 1 else [])
    found = [tuple(path for path in paths if (tree / path).exists()) for paths in (nearest, then)]
    if not any(found):
        print(f"{module} has no tests: there is no {' '.join(nearest)}", file=sys.stderr)
    stages = [_sound_run(tree, paths) for paths in found if paths]
    if all(found):
        others = (*found[1], *(f"--ignore={path}" for path in found[0]))
        stages[1] = dataclasses.replace(stages[1], arguments=others)
    return tuple(stages)


_tree: Path  # of this process of the pool


def _start(sound: Path, work: Path) -> None:
    global _tree  # noqa: PLW0603
    end_with_parent()
    adopt_orphans()
    _tree = Path(tempfile.mkdtemp(dir=work)) / sound.name
    shutil.copytree(sound.parent, _tree.parent, dirs_exist_ok=True)


def _survives(task: Task) -> bool:
    path = _tree / task.module
    sound = path.read_bytes()
    path.write_text(task.mutant.source)
    try:
        return all(passes(_tree, stage) for stage in task.stages)
    finally:
        path.write_bytes(sound)


def _modules(root: Path, names: list[str]) -> Iterator[Path]:
    for name in names:
        path = root / name
        for found in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            if not found.is_file():
                raise SystemExit(f"there is no {found.relative_to(root)}")
            yield found.relative_to(root)


def _told(module: Path, mutant: Mutant) -> str:
    return f"{module}:{mutant.line}  {mutant.kind}  {mutant.before} -> {mutant.after}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="tools/mutate", description=__doc__)
    parser.add_argument("modules", nargs="+", help="such as featmatch/geometry/maps; or folders of them")
    parser.add_argument("--sample", type=int, default=40, help="mutants a module, at most (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="another one draws another sample (default: 0)")
    parser.add_argument("--only", type=int, metavar="LINE", help="all mutants of this line")
    parser.add_argument("--list", action="store_true", help="show the mutants; run nothing")
    parser.add_argument("--tests", nargs="+", default=[], help="in place of the test file of the module")
    parser.add_argument("--then", nargs="+", default=[], help="tests for what survives, in place of tests/ROOM")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there as well")
    parser.add_argument("--least", type=float, default=0.0, help="percent; exit with 1 where fewer are killed")
    options = parser.parse_args()
    root = Path.cwd()
    modules = list(_modules(root, options.modules))
    mutants = {
        module: sampled((root / module).read_text(), options.sample, options.seed, options.only) for module in modules
    }
    if options.list:
        print("\n".join(_told(module, mutant) for module in modules for mutant in mutants[module]))
        return
    with tempfile.TemporaryDirectory(prefix="mutants-") as work:
        counts = _run(root, mutants, options, Path(work))
    total = Count(Path(), sum(count.tried for count in counts), [m for count in counts for m in count.survivors])
    print(f"\n{'module':44} {'mutants':>8} {'killed':>7} {'survived':>9} {'share':>8}")
    for count in counts:
        print(count.line(str(count.module)))
    print(total.line("all"))
    if options.json:
        options.json.write_text(json.dumps([_as_json(count) for count in counts], indent=1) + "\n")
    sys.exit(total.share < options.least)


def _run(root: Path, mutants: dict[Path, list[Mutant]], options: argparse.Namespace, work: Path) -> list[Count]:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # nor are there threads to be lost in a fork
    adopt_orphans()
    sound = _copy_of(root, work / "sound")
    tasks: list[Task] = []
    for module, of_module in mutants.items():
        if of_module:
            stages = _stages(sound, module, options.tests, options.then)
            tasks += [Task(module, mutant, stages) for mutant in of_module]
    counts = {module: Count(module) for module in mutants}
    gc.collect()
    gc.freeze()
    start, processor = time.monotonic(), processor_s()
    with ProcessPoolExecutor(options.jobs, get_context("fork"), _start, (sound, work)) as pool:
        for task, survives in zip(tasks, pool.map(_survives, tasks), strict=True):
            counts[task.module].tried += 1
            if survives:
                counts[task.module].survivors.append(task.mutant)
                print(_told(task.module, task.mutant), flush=True)
    took = (of / max(len(tasks), 1) for of in (time.monotonic() - start, processor_s() - processor))
    print("\n{:.2f} s a mutant, {:.2f} s of the processor".format(*took), file=sys.stderr)
    return list(counts.values())


def _as_json(count: Count) -> dict[str, object]:
    survivors = [{key: vars(mutant)[key] for key in ("line", "kind", "before", "after")} for mutant in count.survivors]
    return {"module": str(count.module), "mutants": count.tried, "killed": count.killed, "survivors": survivors}


if __name__ == "__main__":
    main()
