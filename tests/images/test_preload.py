from __future__ import annotations

import subprocess
import sys

from featmatch.cli import searching


def test_a_process_that_decodes_loads_what_it_needs_and_nothing_heavy() -> None:
    """It starts in half the time without NumPy and OpenCV; the command line names this module to it."""
    program = f"import importlib, sys; importlib.import_module({searching._DECODERS!r}); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert {"featmatch.images.pixels", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.GifImagePlugin"} <= loaded
    assert loaded.isdisjoint({"numpy", "cv2", "joblib", "featmatch.system.workers"})
