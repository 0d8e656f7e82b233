from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest

import featmatch
from featmatch.features import detectors
from featmatch.system import opencv

BROKEN = {
    "an empty folder, as one that was taken away leaves it": "",
    "a part of the other build": "def SIFT_create(): ...",
    "what the other build does not fit": "from cv2.cv2 import *",
    "a library that is not there": "raise ImportError('libGL.so.1: cannot open shared object file')",
    "another kind of error": "raise AttributeError('partially initialized module cv2 has no attribute gapi')",
}


def test_opencv_is_whole_here() -> None:
    opencv.require()


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_opencv_is_told_of_with_what_to_do(what: str, tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(BROKEN[what])
    for name in ("opencv_python", "opencv_contrib_python_headless"):
        folder = tmp_path / f"{name}-5.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 5.0\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import featmatch
for name in ("Index", "verify", "extract", "train_vocabulary"):
    try:
        getattr(featmatch, name)
    except featmatch.MissingFeatureError as error:
        print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == 4
    for line in told:
        assert line.startswith("OpenCV ")
        assert "opencv-python and opencv-contrib-python-headless are installed side by side" in line
        assert "pip uninstall opencv-python opencv-contrib-python-headless" in line
        assert line.endswith("&& pip install opencv-contrib-python-headless")


def test_the_command_line_tells_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from featmatch.cli import main; main()"
    for command in (["list", "i.fm"], ["verify", "a.jpg", "b.jpg"], ["evaluate", "x"], ["train", "o.npz", "x"]):
        ended = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("featmatch: OpenCV is not whole: it has no SIFT_create, ")
        assert len(ended.stderr.splitlines()) == 1


def test_a_detector_that_this_build_lacks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "_opencv", object())
    with pytest.raises(featmatch.MissingFeatureError, match=r"has no AKAZE_create; .* pip install opencv-contrib"):
        detectors._moved("AKAZE_create")


def test_without_ipp_is_for_a_while_and_for_one_thread() -> None:
    used = cv2.ipp.useIPP()
    with opencv.without_ipp():
        assert not cv2.ipp.useIPP()
        with ThreadPoolExecutor(1) as other:
            assert other.submit(cv2.ipp.useIPP).result() == used
    assert cv2.ipp.useIPP() == used
    with pytest.raises(ValueError, match="as it may"), opencv.without_ipp():
        raise ValueError("as it may")
    assert cv2.ipp.useIPP() == used
