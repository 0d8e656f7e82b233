"""Files by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from featmatch.service.uploads import Uploads


def test_a_file_is_kept_once_and_found_by_its_content(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    sha256 = uploads.keep(b"picture")
    assert sha256 == hashlib.sha256(b"picture").hexdigest()
    assert uploads.keep(b"picture") == sha256
    path = uploads.path_of(sha256)
    assert path is not None
    assert Path(path).read_bytes() == b"picture"
    assert [file.name for file in (tmp_path / "uploads").rglob("*") if file.is_file()] == [sha256]
    uploads.remove(sha256)
    uploads.remove(sha256)
    assert uploads.path_of(sha256) is None
