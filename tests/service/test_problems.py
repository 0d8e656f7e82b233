"""Refusals."""

from __future__ import annotations

import errno
import json

import pytest

from featmatch import ImageError, MissingFeatureError, StoreError, UsageError, WriterBusyError
from featmatch.service.problems import CODES, Problem, problem_of


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_told_in_one_shape(code: str) -> None:
    answer = Problem(code, "one\x1b[31mtwo", job={"kind": "groups"}).response("r-1")
    told = json.loads(bytes(answer.body))
    status, title = CODES[code]
    assert (answer.status_code, told["status"], told["title"], told["code"]) == (status, status, title, code)
    assert (told["request_id"], told["job"]) == ("r-1", {"kind": "groups"})
    assert "\x1b" not in told["detail"]
    assert ("retry-after" in answer.headers) is (status in (429, 503))
    assert ("www-authenticate" in answer.headers) is (status == 401)


def not_written(number: int) -> StoreError:
    error = StoreError("cannot write")
    error.__cause__ = OSError(number, "cannot be written to")
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ImageError("decode_failed", "not an image", "/secret/a.jpg"), "decode_failed"),
        (ImageError("decode_failed", "took more than 20 seconds"), "timeout"),
        (ImageError("too_large", "9 pixels"), "too_large"),
        (ImageError("not_found", "no such file"), "file_gone"),
        (UsageError("no such word"), "invalid_value"),
        (MissingFeatureError("no FTS5"), "invalid_value"),
        (WriterBusyError("another process"), "writer_busy"),
        (StoreError("damaged"), "index_damaged"),
        (not_written(errno.ENOSPC), "disk_full"),
        (not_written(errno.EROFS), "read_only"),
        (not_written(errno.EACCES), "read_only"),
        (not_written(errno.EIO), "index_damaged"),
        (OSError(errno.ENOSPC, "no space left"), "disk_full"),
        (Problem("busy"), "busy"),
        (OSError(errno.EIO, "disk"), None),
        (RuntimeError("ours"), None),
    ],
)
def test_what_errors_of_the_library_mean_to_a_client(error: Exception, code: str | None) -> None:
    found = problem_of(error)
    assert (found and found.code) == code
    assert found is None or "/secret" not in found.detail
