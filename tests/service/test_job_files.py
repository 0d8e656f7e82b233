"""Jobs on disk; tests/service/test_jobs.py has what becomes of them."""

from __future__ import annotations

import os
from pathlib import Path

from featmatch import Index
from featmatch.service.job_files import JobFiles


def test_each_index_has_its_own_and_a_new_one_inherits_nothing(index: Index, tmp_path: Path) -> None:
    files = JobFiles.of_index(index.folder)
    files.keep(7, {"kind": "add"})
    files.close()
    (tmp_path / "link").symlink_to(index.folder)
    again = JobFiles.of_index(tmp_path / "link")
    assert again.all() == [(7, {"kind": "add"})]
    again.drop(7)
    assert again.all() == []
    again.keep(8, {})
    again.close()
    assert again.all() == []
    os.utime(index.folder / "vocabulary.npz", ns=(1, 1))
    other = JobFiles.of_index(index.folder)
    assert other.all() == []
    other.close()
