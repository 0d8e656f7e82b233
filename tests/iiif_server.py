"""A small IIIF server in a thread: an Image API of any level, and whatever files a test puts beside it."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from PIL import Image

from featmatch.images.addresses import Fetching
from featmatch.images.polite import PoliteFetching

HOST = "http://iiif.example"
_REQUEST = re.compile(r"/image/(\w+)/(full|[\d,]+)/(full|max|\d+,\d*)/0/(default|native)\.jpg")


@dataclass
class IiifServer:
    """What the server has, what it was asked, and how others reach it.

    Attributes:
        files: by path: JSON values, or bytes.
        pictures: by name, at /image/NAME.
        infos: by name: the info.json; without one there is none.
        busy: by path: the answers that come first, each a status and what Retry-After says.
        asked: the paths, in order.
        slept: the seconds that were waited; the clock goes on by them.
        most_at_once: how many requests were there at once.
        port: on this machine.
    """

    files: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    infos: dict[str, Any] = field(default_factory=dict)
    busy: dict[str, list[tuple[int, str | None]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reached_by(self, fetching: Fetching) -> Fetching:
        """The same fetching, for which this server is at iiif.example; all other names have private addresses."""

        def connect(place: tuple[str, int], seconds: float) -> socket.socket:
            assert place == ("93.184.216.34", 80)
            return socket.create_connection(("127.0.0.1", self.port), seconds)

        def look_up(host: str, port: int) -> list[str]:
            return ["93.184.216.34" if host == "iiif.example" else "10.0.0.1"]

        return replace(fetching, look_up=look_up, connect=connect)

    def fetching(self) -> PoliteFetching:
        """Fetches from this server, by a clock of its own."""
        return PoliteFetching(self.reached_by(Fetching(("public",), 1)), lambda: sum(self.slept), self.slept.append)

    def answer(self, path: str) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and content."""
        with self._lock:
            self.asked.append(path)
            if self.busy.get(path):
                return *self.busy[path].pop(0), b""
        if path in self.files:
            content = self.files[path]
            return 200, None, content if isinstance(content, bytes) else json.dumps(content).encode()
        found = _REQUEST.fullmatch(path)
        name = path.split("/")[2] if path.startswith("/image/") else ""
        if path == f"/image/{name}/info.json" and name in self.infos:
            return 200, None, json.dumps(self.infos[name]).encode()
        if found is None or name not in self.pictures:
            return 404, None, b""
        return 200, None, self._picture(name, found[2], found[3])

    def _picture(self, name: str, region: str, size: str) -> bytes:
        picture = self.pictures[name]
        if region != "full":
            left, top, width, height = map(int, region.split(","))
            picture = picture.crop((left, top, left + width, top + height))
        if size not in ("full", "max"):
            width_px, height_px = size.split(",")
            height_or = int(height_px or round(picture.height * int(width_px) / picture.width))
            picture = picture.resize((int(width_px), height_or), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=95)
        return content.getvalue()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request while it is there."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1


@contextlib.contextmanager
def iiif_server() -> Iterator[IiifServer]:
    """Serve for as long as the block takes."""
    server = IiifServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        shared: ClassVar[IiifServer] = server

        def do_GET(self) -> None:
            with self.shared.counted():
                status, wait, content = self.shared.answer(self.path)
            self.send_response(status)
            if wait is not None:
                self.send_header("Retry-After", wait)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


def service(name: str, level: int = 2, version: int = 3) -> dict[str, Any]:
    """What a manifest of version 3 says of the service of a picture."""
    base = f"{HOST}/image/{name}"
    return {"id": base, "type": f"ImageService{version}", "profile": f"level{level}"}


def canvas(name: str, label: Any, size: tuple[int, int], **service_of: Any) -> dict[str, Any]:
    """A canvas of version 3 with one picture on it."""
    address = f"{HOST}/image/{name}/full/max/0/default.jpg"
    body = {"id": address, "type": "Image", "width": size[0], "height": size[1]}
    body["service"] = [service(name, **service_of)]
    painting = {"type": "Annotation", "motivation": "painting", "body": body, "target": f"{HOST}/canvas/{name}"}
    return {
        "id": f"{HOST}/canvas/{name}", "type": "Canvas", "label": label, "height": size[1], "width": size[0],
        "items": [{"id": f"{HOST}/page/{name}", "type": "AnnotationPage", "items": [painting]}],
    }  # fmt: skip


def manifest(*canvases: dict[str, Any], label: Any = None) -> dict[str, Any]:
    """A manifest of version 3."""
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json", "id": f"{HOST}/manifest.json",
        "type": "Manifest", "label": {"en": ["A book"]} if label is None else label, "items": list(canvases),
    }  # fmt: skip


def info(name: str, size: tuple[int, int], *, level: int = 2, version: int = 3, **more: Any) -> dict[str, Any]:
    """An info.json."""
    profile: Any = f"level{level}" if version == 3 else [f"http://iiif.io/api/image/2/level{level}.json", {}]
    return {
        "@context": f"http://iiif.io/api/image/{version}/context.json", "id": f"{HOST}/image/{name}",
        "width": size[0], "height": size[1], "profile": profile, **more,
    }  # fmt: skip
