"""What a process that works for another one does to behave."""

from __future__ import annotations

import os
import threading
import time
from functools import lru_cache

_LOOK_EVERY_S = 0.5


@lru_cache(maxsize=1)
def end_with_parent() -> None:
    """Let this process end soon after its parent, however that ended: nobody else tells an idle worker."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)
