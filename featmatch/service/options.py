"""What a service is started with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from featmatch.images.decoding import DecodingOptions

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServeOptions:
    """How ``featmatch serve`` serves; each field is an option of the command."""

    host: str = "127.0.0.1"  # address to listen on
    port: int = 8520
    keys: Path | None = None  # file of API keys; None: no keys, and only loopback may be listened on
    writable: bool = False  # whether images and verdicts may be changed
    uploads: Path | None = None  # folder in which uploaded files are kept; None: there are no uploads
    files: bool = False  # whether the original files are served
    allow_paths: tuple[Path, ...] = ()  # folders whose files jobs may add
    root: Path | None = None  # where the collection is now
    fetch: tuple[str, ...] = ()  # hosts that pictures may be fetched from; "public": all that are
    fetch_private: bool = False  # whether named hosts may have private addresses
    max_upload: int = 32 << 20  # bytes of one image
    searches: int = field(default_factory=lambda: os.cpu_count() or 1)  # at the same time
    queue: int | None = None  # searches that wait; None: four times as many as run
    search_timeout: float = 30.0  # seconds
    decode_timeout: float = 20.0  # seconds for one file
    body_timeout: float = 60.0  # seconds in which a body has to come
    allowed_hosts: tuple[str, ...] = ()  # further names that the server goes by
    cors: tuple[str, ...] = ()  # origins whose pages may ask
    compat: tuple[str, ...] = ()  # other servers whose addresses are answered, too: "pastec", "matchengine"
    metrics_port: int | None = None  # numbers are told there, too, without a key
    prefix: str = ""  # before all paths, as "/photos"
    log: Literal["json", "text"] = "json"

    @property
    def waiting(self) -> int:
        """How many searches may wait."""
        return 4 * self.searches if self.queue is None else self.queue

    @property
    def max_batch(self) -> int:
        """Bytes of a request with several images."""
        return 8 * self.max_upload

    @property
    def max_bodies(self) -> int:
        """Bytes of the bodies of all requests that are under way."""
        return 4 * self.max_batch

    @property
    def decoding(self) -> DecodingOptions:
        """What decoding one file may cost."""
        return DecodingOptions(timeout=self.decode_timeout)

    @property
    def hosts(self) -> frozenset[str]:
        """Names that a request may call the server by, against DNS rebinding."""
        return frozenset(name.lower() for name in (*_LOOPBACK, self.host, *self.allowed_hosts))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in _LOOPBACK
