from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import featmatch
from featmatch import errors
from featmatch.errors import FeatmatchError, ImageError, UsageError, name_errors


def test_all_errors_are_of_one_tree() -> None:
    own = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(own) == 7
    assert all(issubclass(one, FeatmatchError) for one in own)
    assert all(getattr(featmatch, one.__name__) is one for one in own)
    assert issubclass(UsageError, ValueError)


@pytest.mark.parametrize(("name", "said"), [(None, "too large"), ("a.jpg", "a.jpg: too large")])
def test_an_image_error_survives_pickling(name: str | None, said: str) -> None:
    error = pickle.loads(pickle.dumps(ImageError("too_large", "too large", name)))
    assert (error.status, error.message, error.name, str(error)) == ("too_large", "too large", name, said)


@pytest.mark.parametrize(
    ("source", "before", "after"),
    [("a.jpg", None, "a.jpg"), (Path("a.jpg"), None, "a.jpg"), ("a.jpg", "b.jpg", "b.jpg"), (b"a.jpg", None, None)],
)
def test_an_error_gets_the_name_of_its_image_once(source: object, before: str | None, after: str | None) -> None:
    with pytest.raises(ImageError) as raised, name_errors(source):
        raise ImageError("not_found", "no such file", before)
    assert raised.value.name == after


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError), name_errors("a.jpg"):
        raise KeyError
