"""What the tests of the harnesses share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from featmatch.system import worker_loop


@contextlib.contextmanager
def worker_for_a_while() -> Iterator[None]:
    """Let a harness make this process a worker, whose memory is limited; what comes afterwards has no such limit."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_loop, "_at_work", threading.Event())
        yield
    resource.setrlimit(resource.RLIMIT_DATA, before)
