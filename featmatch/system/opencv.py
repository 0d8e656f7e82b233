"""Is OpenCV complete? Its builds share the folder ``cv2``: installing two, or removing one of two, breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from featmatch.errors import MissingFeatureError

_WANTED = "opencv-contrib-python-headless"
_BUILDS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", _WANTED)
# One function of each part that is used; where it is there, so is the rest of that part.
_NEEDED = ("SIFT_create", "ORB_create", "findHomography", "USAC_MAGSAC", "flann", "resize", "imencode")

# What the loader says of an intact library when memory runs out.
_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")


def require() -> None:
    """Import OpenCV.

    Raises:
        MissingFeatureError: it cannot be imported, or is not complete; the message says how to mend that.
    """
    try:
        import cv2
    except Exception as error:  # of two builds, one may call functions that the other lacks
        if any(said in str(error) for said in _NO_MEMORY):
            raise MemoryError from error
        raise MissingFeatureError(f"OpenCV cannot be imported ({error}); {remedy()}") from error
    lacking = [name for name in _NEEDED if not hasattr(cv2, name)]
    if lacking:
        raise MissingFeatureError(f"OpenCV is not whole: it has no {', '.join(lacking)}; {remedy()}")


@contextmanager
def without_ipp() -> Iterator[None]:
    """OpenCV without Intel's library, whose results depend on the processor, and which other processors lack.

    It concerns this thread alone.
    """
    import cv2

    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)


def remedy() -> str:
    """Which builds of OpenCV are installed, and the command that installs a complete one."""
    from importlib import metadata  # takes longer to import than all else here

    installed = {str(one.metadata["Name"]).lower() for one in metadata.distributions()}
    found = [name for name in _BUILDS if name in installed]
    said = f"{' and '.join(found) or 'no build of it'} {'are' if len(found) > 1 else 'is'} installed"
    if len(found) > 1:
        said += " side by side, in one folder; keep one"
    first = f"pip uninstall {' '.join(found)} && " if found else ""
    return f"{said}: {first}pip install {_WANTED}"
