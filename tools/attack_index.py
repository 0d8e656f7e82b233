"""Run every command on indexes that a stranger made, with a folder of somebody else beside them.

    python -m tools.attack_index

``tools/attacks.py`` has what he does. Each command runs in a process of its own, on a copy of its own. What counts: the
folder beside stays as it is; no crash, nothing above 10 s or 1 GB; no error that was not foreseen; exit status 0, 1, or
2 with one line that says why; and ``check`` sees it. Exit status 1: something of that did not hold.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from featmatch import Vocabulary, check, cli
from tools.attacks import ATTACKS
from tools.small_index import draw_pictures, index_in_this_process, settle, small_index, small_vocabulary

SECONDS = 10
MOST_BYTES = 1 << 30
_ROOM = 6 << 30  # of addresses, so that what wants all memory does not get it

# Attacks that do no harm, so that nobody need notice.
UNSEEN = frozenset((
    "a journal that names the victim", "things of somebody else", "trees that crash", "the pairs are a hard link",
    "the lock is a hard link", "a verdict on text", "looks that say anything", "the next segment is text",
    "pictures of noise", "a manifest of a format that has none",
    "the next segment overflows", "pairs of images that are not there", "a folder where the next catalogue goes",
    "words that are long", "words that are listed wrongly",
    "postings out of order", "pairs by a horizon", "pairs of 4 GiB", "no catalogue, and segments is a link",
))  # fmt: skip

COMMANDS: dict[str, Sequence[str]] = {
    "list": ("list", "INDEX", "--json"),
    "match": ("list", "INDEX", "--match", "pictures 00"),
    "info": ("info", "INDEX"),
    "query": ("query", "INDEX", "pictures/002.png", "--all"),
    "groups": ("groups", "INDEX", "--jobs", "1", "--json"),
    "explain": ("explain", "INDEX", "pictures/002.png", "pictures/001.png"),
    "add": ("add", "INDEX", "pictures", "new", "--jobs", "1"),
    "vocabulary": ("add", "FRESH", "pictures/000.png", "--jobs", "1", "--vocabulary", "INDEX/vocabulary.npz"),
    "remove": ("remove", "INDEX", "pictures/002.png"),
    "reject": ("reject", "INDEX", "pictures/001.png", "pictures/002.png"),
    "accept": ("accept", "INDEX", "pictures/001.png", "pictures/003.png"),
    "compact": ("compact", "INDEX"),
    "check": ("check", "INDEX"),
    "repair": ("check", "INDEX", "--repair"),
}


@dataclass
class Run:
    """How one command on one index ended."""

    status: int
    seconds: float
    peak_bytes: int
    said: str


@dataclass
class Siege:
    """Indexes under attack.

    Attributes:
        folder: to work in.
        vocabulary: for the good index.
        failures: what should not have happened, in words.
        tally: how often each status came, and what was worst.
    """

    folder: Path
    vocabulary: Vocabulary
    failures: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        settle()
        index_in_this_process()
        self._sandbox = self.folder / "sandbox"
        pictures = draw_pictures(self._sandbox / "pictures", 5)
        shutil.copy(pictures[3], self._sandbox / "pictures" / "copy.png")
        with (self._sandbox / "pictures" / "copy.png").open("ab") as file:
            file.write(b"another file of the same pixels")
        draw_pictures(self._sandbox / "new", 1, seed=2)
        self._good = self.folder / "good"
        before = os.getcwd()
        os.chdir(self._sandbox)
        try:
            index = small_index(self._good, self.vocabulary)
            index.add(["pictures/000.png", "pictures/001.png", "pictures/002.png"], jobs=1, text="first")
            index.add(["pictures/003.png", "pictures/004.png", "pictures/copy.png"], jobs=1)
            index.remove(["pictures/000.png"])
            index.reject("pictures/003.png", "pictures/004.png")
            index.groups(jobs=1)
            index.query("pictures/002.png")  # what is loaded now need not be loaded by each child
            index.explain("pictures/002.png", "pictures/001.png")
            check(self._good)
        finally:
            os.chdir(before)

    def run(self, attacks: Iterable[str], commands: Iterable[str]) -> None:
        """Try these attacks with these commands, and keep what did not hold."""
        for attack in attacks:
            told = []
            for command in commands:
                run = self._tried(attack, command)
                told.append(f"{command} {run.status}")
                self.tally[f"status {run.status}"] += 1
                self.tally["slowest_ms"] = max(self.tally["slowest_ms"], round(1000 * run.seconds))
                self.tally["largest_bytes"] = max(self.tally["largest_bytes"], run.peak_bytes)
                self.failures += [f"{attack}: {command}: {wrong}" for wrong in _wrongs(attack, command, run)]
            print(f"{attack:<42}{', '.join(told)}", flush=True)
            self.tally["attacks"] += 1

    def _tried(self, attack: str, command: str) -> Run:
        """One command on a fresh copy; the folder of the victim is compared with what it was."""
        index, victim = self._sandbox / "index", self._sandbox / "victim"
        for folder in (index, victim, self._sandbox / "fresh"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._good, index)
        _make_victim(victim)
        ATTACKS[attack](index, victim)
        mine = [path for path in index.rglob("*precious*") if not path.is_symlink()]
        before = _seen([victim, *mine])
        run = _run(COMMANDS[command], self._sandbox)
        if _seen([victim, *mine]) != before:
            run = replace(run, said=f"{run.said}\nTHE VICTIM WAS CHANGED")
        return run


def _wrongs(attack: str, command: str, run: Run) -> list[str]:
    lines = [line for line in run.said.splitlines() if line.startswith("featmatch: ")]
    found = {
        f"status {run.status}: {run.said[-500:]}": run.status not in (0, 1, 2),
        f"not foreseen: {run.said[-1500:]}": "Traceback" in run.said or "FEATMATCH_DEBUG" in run.said,
        f"the victim was changed: {run.said[-300:]}": "THE VICTIM WAS CHANGED" in run.said,
        f"{run.seconds:.1f} s": run.seconds > SECONDS,
        f"{run.peak_bytes} bytes": run.peak_bytes > MOST_BYTES or "out of memory" in run.said,
        f"no line that says why: {run.said[-300:]!r}": run.status == 2 and len(lines) != 1,
        "check does not see it": command == "check" and run.status == 0 and attack not in UNSEEN,
    }
    return [wrong for wrong, is_so in found.items() if is_so]


def _run(arguments: Sequence[str], folder: Path) -> Run:
    """A command in a child process; its status is negative where a signal ended it."""
    output = folder.parent / "output"
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        told = [text.replace("INDEX", "index").replace("FRESH", "fresh") for text in arguments]
        _be_command(told, folder, output)
    _, status, usage = os.wait4(child, 0)
    scale = 1 if sys.platform == "darwin" else 1024
    said = output.read_text(errors="replace")
    return Run(os.waitstatus_to_exitcode(status), time.monotonic() - started, usage.ru_maxrss * scale, said)


def _be_command(arguments: Sequence[str], folder: Path, output: Path) -> None:
    status = 99
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS + 1)
        resource.setrlimit(resource.RLIMIT_AS, (_ROOM, _ROOM))
        os.chdir(folder)
        for kind in ("STATE", "CACHE"):  # whoever runs this is not the one who adds
            os.environ[f"XDG_{kind}_HOME"] = str(folder.parent / kind)
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        sys.argv = ["featmatch", *arguments]
        cli.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _make_victim(victim: Path) -> None:
    for name in ("precious.txt", "segments/notes.txt", "segments/000007/photo.jpg", "segments/000001/x.npy"):
        (victim / name).parent.mkdir(parents=True, exist_ok=True)
        (victim / name).write_text(f"precious {name}")


def _seen(tops: Iterable[Path]) -> list[tuple[str, int, int, bytes]]:
    """Names, types, times and contents of all there is below some paths."""
    found = []
    for top in tops:
        for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
            state = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(state.st_mode) else b""
            found.append((str(path), state.st_mode, state.st_mtime_ns, content))
    return found


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description="Run every command on indexes that a stranger made.")
    parser.add_argument("--attacks", nargs="*", choices=ATTACKS, default=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--commands", nargs="*", choices=COMMANDS, default=list(COMMANDS), metavar="COMMAND")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-attack-") as folder:
        siege = Siege(Path(folder), small_vocabulary())
        siege.run(arguments.attacks, arguments.commands)
    print({**siege.tally, "failures": len(siege.failures)})
    for failure in siege.failures:
        print(failure)
    return 1 if siege.failures else 0


if __name__ == "__main__":
    sys.exit(main())
