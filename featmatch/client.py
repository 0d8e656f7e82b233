"""An index that somebody serves, asked over HTTP as if it were here."""

from __future__ import annotations

import http.client
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
from PIL import Image

from featmatch.adding.batches import AddReport
from featmatch.adding.one_image import Failure
from featmatch.arguments import checked_paths
from featmatch.errors import FeatmatchError, ImageError, UsageError
from featmatch.features.forms import Forms
from featmatch.images.archives import is_archive, read_member
from featmatch.images.decoding import USUAL, DecodingOptions, decode_apart
from featmatch.images.folders import image_files
from featmatch.images.named import pictures_named
from featmatch.images.sources import ImageSource, buffered, picture_of
from featmatch.names import split_member
from featmatch.search.matches import Matches

_TRIES = 5
_MOST_WAIT_SECONDS = 60
_OF_PICTURES = ("decode_failed", "timeout", "too_large")


class ServiceError(FeatmatchError):
    """A service that refused, or cannot be reached.

    Attributes:
        status: of HTTP; 0: it cannot be reached.
        code: why, as programs read it; empty where it does not say.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class Client:
    """An index behind ``featmatch serve``. Its methods are those of ``Index``, as far as the service has them.

    Safe to share between threads. Where the service is busy, a call waits as long as it says, and tries again.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 60.0) -> None:
        """Connect to nothing yet.

        Args:
            url: where the service is, as "http://localhost:8520"; with the name of an index, if it serves several.
            key: of the service.
            timeout: seconds that an answer may take.

        Raises:
            UsageError: it is no such address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"url is like http://host:8520, not {url!r:.80}")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._timeout = timeout

    def query(
        self,
        image: ImageSource,
        *,
        limit: int = 10,
        unproven: bool = False,
        match: str | None = None,
        region: Sequence[Any] | None = None,
        forms: Forms = "few",
    ) -> Matches:
        """Find the images that this one is a copy of; arguments as for ``Index.query``.

        Raises:
            ImageError: the image cannot be read.
            UsageError: an argument cannot be meant.
            ServiceError: the service refuses, or cannot be reached.
        """
        options: dict[str, Any] = {"limit": limit, "all": str(unproven).lower()}
        options |= {} if forms == "few" else {"forms": forms}
        options |= {} if match is None else {"match": match}
        options |= {} if region is None else {"region": json.dumps(np.asarray(region).tolist())}
        told = self._ask("POST", "/v1/search", _content(image), options=options)
        return Matches.from_dict(told)

    def verify(self, a: ImageSource, b: ImageSource, *, forms: Forms = "all") -> Mapping[str, Any]:
        """Say whether one image is a copy of the other: the object of ``featmatch verify --json``.

        Args:
            a: the query.
            b: the reference.
            forms: as for ``featmatch.verify``.

        Raises:
            ImageError: an image cannot be read.
            ServiceError: the service refuses, or cannot be reached.
        """
        fields = [] if forms == "all" else [("forms", forms)]
        body, kind = _form([("a", _name(a), _content(a)), ("b", _name(b), _content(b))], fields)
        found: Mapping[str, Any] = self._ask("POST", "/v1/verify", body, kind)
        return found

    def add(
        self, paths: Iterable[str | os.PathLike[str]], *, text: str | None = None, on_conflict: str = "replace"
    ) -> AddReport:
        """Upload files, and the images in folders (recursively) or archives; their paths, as given, become names.

        Raises:
            UsageError: an argument cannot be meant.
            ServiceError: the service refuses, or cannot be reached. What came before is added.
        """
        given = checked_paths(paths, "paths")
        return self._upload((picture for path in given for picture in _pictures_at(path)), text, on_conflict)

    def add_images(
        self, images: Iterable[tuple[str, ImageSource]], *, text: str | None = None, on_conflict: str = "replace"
    ) -> AddReport:
        """Index images under names of your choice; arguments as for ``Index.add_images``.

        Raises:
            UsageError: an argument cannot be meant.
            ServiceError: the service refuses, or cannot be reached. What came before is added.
        """
        return self._upload(images, text, on_conflict)

    def _upload(
        self, images: Iterable[tuple[str, ImageSource | ImageError]], text: str | None, on_conflict: str
    ) -> AddReport:
        report = AddReport()
        for name, image in images:
            fields = [("name", name), ("on_conflict", on_conflict), *([] if text is None else [("text", text)])]
            try:
                content = _content(image)
            except ImageError as error:
                report.failed.append(Failure(name, error.status, error.message))
                continue
            body, kind = _form([("image", "image", content)], fields)
            told = self._ask("POST", "/v1/images", body, kind)
            report.added.extend(one["name"] for one in told["added"])
            report.skipped.extend(one["name"] for one in told["skipped"])
            report.damaged.extend(told["damaged"])
            report.failed.extend(Failure(one["name"], one["status"], one["detail"]) for one in told["failed"])
        return report

    def remove(self, names: Iterable[str]) -> list[str]:
        """Remove images by name; return those that were in the index."""
        removed: list[str] = self._tell("POST", "/v1/images/delete", {"names": list(names)})["removed"]
        return removed

    def images(self, match: str | None = None) -> Iterator[Mapping[str, Any]]:
        """All images that can be found, by number, as ``featmatch list --json`` tells of them."""
        after: int | None = 0
        while after is not None:
            options = {"after": after, "limit": 1000, **({} if match is None else {"match": match})}
            page = self._ask("GET", "/v1/images", options=options)
            yield from page["images"]
            after = page["next"]

    def groups(self) -> Iterator[Mapping[str, Any]]:
        """The groups of copies, as a job of the service made them last: objects of ``featmatch groups --json``."""
        after: int | None = 0
        while after is not None:
            page = self._ask("GET", "/v1/groups", options={"after": after, "limit": 1000})
            yield from page["groups"]
            after = page["next"]

    def reject(self, a: str, b: str) -> None:
        """Remember that two images of the index are no copies of one another."""
        self._judge(a, b, "rejected")

    def accept(self, a: str, b: str) -> None:
        """Remember that two images of the index are copies of one another."""
        self._judge(a, b, "accepted")

    def forget(self, a: str, b: str) -> None:
        """Remove any verdict on two images of the index."""
        self._judge(a, b, None)

    def _judge(self, a: str, b: str, verdict: str | None) -> None:
        self._tell("PUT", "/v1/verdicts", {"a": {"name": a}, "b": {"name": b}, "verdict": verdict})

    def _tell(self, method: str, path: str, told: Mapping[str, Any]) -> Any:
        return self._ask(method, path, json.dumps(told).encode(), "application/json")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/octet-stream",
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the service answers, in JSON."""
        target = self._path + path + (f"?{urlencode(options, errors='surrogateescape')}" if options else "")
        headers = {**self._headers, **({} if body is None else {"Content-Type": kind})}
        for tries_left in reversed(range(_TRIES)):
            status, wait, told = self._exchange(method, target, body, headers)
            if status < 400:
                return told
            if status != 503 or not tries_left:
                break
            time.sleep(min(wait, _MOST_WAIT_SECONDS))
        raise _error_of(status, told if isinstance(told, dict) else {})

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, int, Any]:
        """Status, seconds after which to try again, and content of one answer."""
        connection = self._connect(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServiceError(0, "", f"cannot reach {self._host}: {error}") from error
        finally:
            connection.close()
        wait = answer.getheader("Retry-After", "1")
        try:
            return answer.status, int(wait) if wait.isdigit() else 1, json.loads(content)
        except ValueError as error:
            if answer.status < 400:
                raise ServiceError(answer.status, "", f"{self._host} answers no JSON: is it featmatch?") from error
            return answer.status, 1, None


def _error_of(status: int, told: Mapping[str, Any]) -> FeatmatchError:
    code, detail = str(told.get("code", "")), str(told.get("detail", f"the service answers with status {status}"))
    if code in _OF_PICTURES:
        return ImageError("too_large" if code == "too_large" else "decode_failed", detail)
    if code in ("invalid_value", "unknown_field"):
        return UsageError(detail)
    return ServiceError(status, code, detail)


def _pictures_at(path: str) -> Iterator[tuple[str, ImageSource | ImageError]]:
    """The files that ``add`` means by a path, or why there is none."""
    if is_archive(path) and os.path.isfile(path):
        yield from pictures_named([path], USUAL)
    else:
        yield from ((file, file) for file in image_files([path]))


def _read_member(archive: str, name: str, decoding: DecodingOptions) -> bytes:
    del decoding
    return read_member(archive, name)


def _content(image: ImageSource | ImageError) -> bytes:
    """An image as a file."""
    if isinstance(image, ImageError):
        raise image
    source: Any = buffered(image)
    if isinstance(source, str) and (member := split_member(source)) is not None:
        return decode_apart(_read_member, *member, options=USUAL)
    if isinstance(source, (str, os.PathLike)):
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise ImageError("not_found", error.strerror or str(error), str(source)) from error
    if isinstance(source, (bytes, bytearray)):
        return bytes(source)
    picture = source if isinstance(source, Image.Image) else picture_of(source)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _name(image: ImageSource) -> str:
    return os.path.basename(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else "image"


def _form(files: Sequence[tuple[str, str, bytes]], fields: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
    """A form of files (part, name, content) and fields: body and content type."""
    boundary = f"featmatch-{os.urandom(16).hex()}"
    parts = [(f'name="{name}"', value.encode("utf-8", "surrogateescape")) for name, value in fields]
    parts += [(f'name="{part}"; filename="{quote(name)}"', content) for part, name, content in files]
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join(lines) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
