"""What is said on the standard streams: by real processes, since they are the whole process's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has other streams")


def ran(program: str, **how: Any) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a program."""
    script = f"import os, sys\nfrom featmatch.system.quiet import *\n{program}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, **how)
    return ended.returncode, ended.stdout, ended.stderr


def closing(*descriptors: int) -> Callable[[], None]:
    """What a process does before it runs a program, so that it begins without these streams."""

    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


def test_what_is_silenced_says_nothing_more() -> None:
    assert ran("silence(); os.write(2, b'decoder'); sys.stderr.write('Python'); os.write(1, b'out')") == (0, "out", "")
    assert ran("silence(1); os.write(1, b'decoder'); os.write(2, b'err')") == (0, "", "err")


def test_python_is_heard_and_decoders_are_not() -> None:
    program = "keep_decoders_quiet(); os.write(2, b'decoder'); print('Python', file=sys.stderr)"
    assert ran(program) == (0, "", "Python\n")


def test_what_python_says_is_heard_at_once() -> None:
    assert ran("keep_decoders_quiet(); sys.stderr.write('Python'); os._exit(3)") == (3, "", "Python")


def test_the_end_of_the_process_itself_is_heard() -> None:
    status, _, err = ran("keep_decoders_quiet(); os.abort()")
    assert status < 0
    assert "Fatal Python error: Aborted" in err


def test_names_that_are_no_text_can_be_said() -> None:
    program = "keep_decoders_quiet(); print(os.fsdecode(bytes([233])), file=sys.stderr)"
    assert ran(program, env={"PYTHONUTF8": "1"}) == (0, "", "\\udce9\n")


def test_another_object_in_the_place_of_standard_error_stays() -> None:
    program = "import io; sys.stderr = other = io.StringIO(); keep_decoders_quiet(); assert sys.stderr is other"
    assert ran(f"{program}; os.write(2, b'heard')") == (0, "", "heard")
    program = "sys.stderr = open(os.devnull, 'w'); keep_decoders_quiet(); os.write(2, b'heard')"
    assert ran(program) == (0, "", "heard")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_the_next_file_takes_the_place_of_no_stream(closed: tuple[int, ...]) -> None:
    program = (
        "keep_streams_open(); handle = os.open(os.devnull, os.O_RDONLY)\n"
        "os._exit(handle * 10 + (sys.stdout is not None) + (sys.stderr is not None))"
    )
    assert ran(program, preexec_fn=closing(*closed))[0] == 32


def test_a_result_that_nobody_can_get_is_an_error() -> None:
    program = "keep_streams_open()\ntry:\n    os.write(1, b'x')\nexcept OSError:\n    os._exit(7)"
    assert ran(program, preexec_fn=closing(1))[0] == 7


def test_what_is_said_to_nobody_is_no_error() -> None:
    program = "keep_streams_open(); print('x', file=sys.stderr); os._exit(10 * os.write(2, b'x') + sys.stderr.fileno())"
    assert ran(program, preexec_fn=closing(2))[0] == 12


def test_streams_that_are_open_stay_as_they_are() -> None:
    program = (
        "before = sys.stdout, sys.stderr; keep_streams_open(); assert (sys.stdout, sys.stderr) == before; print(1)"
    )
    assert ran(program) == (0, "1\n", "")
