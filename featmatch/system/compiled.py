"""Functions compiled by numba, whose machine code is kept on disk between processes.

Machine code is made anew when the file of the function changes, and only then. So all that a kernel is compiled from
(other kernels, constants, intrinsics) stands in its own file; whatever else it needs comes in as an argument.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

import numba
from numba.core.caching import FunctionCache


class _Kept(FunctionCache):
    """Machine code in a folder. Where that cannot be read or written, or is full, compiling anew costs time only."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Compiled code reads a named tuple by position: with the same types in another order, it has to be made anew.
        fields = tuple(getattr(argument, "fields", ()) for argument in sig)
        return super()._index_key(sig, codegen), fields  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            yield


def compiled(function: Any) -> Any:
    """Compile a function at its first call, and keep the machine code where there is a folder to keep it in."""
    dispatcher: Any = numba.njit(nogil=True)(function)
    with contextlib.suppress(RuntimeError):  # there is no such folder
        dispatcher._cache = _Kept(function)  # type: ignore[no-untyped-call]
    return dispatcher
