"""Pictures at an address, fetched so that nobody can make this machine look into its own network.

A name is looked up once, every address that it has must be public, and the connection goes to the very address that was
looked at. So a name that says something else the next time (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from featmatch.errors import ImageError

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_MOST_REDIRECTS = 3
_CONNECT_SECONDS = 3.0
_BLOCK = 1 << 16
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_USER_AGENT = "featmatch"
_WHY_NOT = {
    "fetch_off": "no addresses are fetched",
    "fetch_refused": "refused: only http and https addresses of public hosts, at their usual ports, are fetched",
    "fetch_failed": "the address cannot be fetched",
}


class FetchError(ImageError):
    """A picture that may not be fetched from its address, or cannot be.

    Attributes:
        code: "fetch_off", "fetch_refused", "fetch_failed" or "body_too_large".
        detail: what is wrong with this address, in words; empty where the code says all.
        wait: where the host is busy and says so, the seconds after which to ask again; 0: it does not say when.
    """

    def __init__(self, code: str, detail: str = "", wait: float | None = None) -> None:
        super().__init__("too_large" if code == "body_too_large" else "not_found", detail or _WHY_NOT[code])
        self.args = code, detail, wait
        self.code = code
        self.detail = detail
        self.wait = wait


def _look_up(host: str, port: int) -> list[str]:
    return [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Fetching:
    """What may be fetched.

    Attributes:
        hosts: names of hosts, exactly, or with a dot before them all below them too; "public": all that are.
        private: whether hosts that are named may have private addresses.
        most_bytes: of a picture.
        look_up: the addresses of a host.
        connect: a connection to an address and port, within so many seconds.
        seconds: for all of it.
        accept: the kinds of content that are asked for.
    """

    hosts: Sequence[str]
    most_bytes: int
    private: bool = False
    look_up: Callable[[str, int], Sequence[str]] = _look_up
    connect: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection
    seconds: float = 10.0
    accept: str = "image/*"

    def fetch(self, url: str) -> bytes:
        """The content at an address.

        Raises:
            FetchError: it may not be fetched ("fetch_off", "fetch_refused"), cannot be ("fetch_failed"), or has too
                many bytes ("body_too_large").
        """
        if not self.hosts:
            raise FetchError("fetch_off")
        last = time.monotonic() + self.seconds
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                parts = self._allowed(url)
                found = self._get(parts, last)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError("fetch_failed") from error
        raise FetchError("fetch_failed", "too many redirects")

    def _allowed(self, url: str) -> SplitResult:
        """The parts of an address that may be fetched, as far as its spelling says."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise FetchError("fetch_refused") from error
        host = (parts.hostname or "").rstrip(".")
        plain = url.isascii() and url.isprintable() and " " not in url
        if not plain or parts.scheme not in _PORTS or not host or parts.username is not None or "@" in parts.netloc:
            raise FetchError("fetch_refused")
        if port not in (None, _PORTS[parts.scheme]) or not (self._is_named(host) or "public" in self.hosts):
            raise FetchError("fetch_refused")
        return parts

    def _is_named(self, host: str) -> bool:
        return any(
            host == name or (name.startswith(".") and (host.endswith(name) or host == name[1:])) for name in self.hosts
        )

    def _get(self, parts: SplitResult, last: float) -> bytes | str:
        """The content, or where it is instead."""
        host, port = (parts.hostname or "").rstrip("."), _PORTS[parts.scheme]
        address = self._address_of(host, port)
        connection = http.client.HTTPConnection(host, port)
        with contextlib.closing(connection):
            stream = self.connect((address, port), min(self._left(last), _CONNECT_SECONDS))
            connection.sock = stream
            stream.settimeout(self._left(last))
            with _cut_off(connection, self._left(last)) as watch:
                if parts.scheme == "https":
                    context = ssl.create_default_context()
                    watch(context.wrap_socket(stream, server_hostname=host))
                found = self._ask(connection, parts)
            self._left(last)  # else it was cut off
            return found

    def _ask(self, connection: http.client.HTTPConnection, parts: SplitResult) -> bytes | str:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": _USER_AGENT, "Accept": self.accept, "Accept-Encoding": "identity"}
        connection.request("GET", target, headers=headers)
        with contextlib.closing(connection.getresponse()) as answer:
            if answer.status in _REDIRECTS:
                return answer.getheader("Location") or ""
            if answer.status != 200:
                wait = _seconds_to_wait(answer.getheader("Retry-After")) if answer.status in _BUSY else None
                raise FetchError("fetch_failed", f"it answered with status {answer.status}", wait)
            return self._read(answer)

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        if answer.length is not None and answer.length > self.most_bytes:
            raise FetchError("body_too_large", f"the picture at this address has more than {self.most_bytes} bytes")
        content = bytearray()
        while block := answer.read1(_BLOCK):
            content += block
            if len(content) > self.most_bytes:
                raise FetchError("body_too_large", f"the picture at this address has more than {self.most_bytes} bytes")
        if answer.length:
            raise FetchError("fetch_failed", "it broke off")
        return bytes(content)

    def _left(self, last: float) -> float:
        left = last - time.monotonic()
        if left <= 0:
            raise FetchError("fetch_failed", f"it took more than {self.seconds:g} seconds")
        return left

    def _address_of(self, host: str, port: int) -> str:
        """The address to connect to, if all that the host has may be.

        Raises:
            FetchError: one of them may not.
        """
        try:
            found = self.look_up(host, port)
        except (OSError, UnicodeError) as error:
            raise FetchError("fetch_failed", "the host is not known") from error
        allowed = self.private and self._is_named(host)
        if not found or not (allowed or all(_is_public(address) for address in found)):
            raise FetchError("fetch_refused")
        return found[0]


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, seconds: float) -> Iterator[Callable[[socket.socket], None]]:
    """Shut a connection down after so many seconds, however slowly the other side goes on.

    Yields:
        A function to put another stream in the place of the one that is there, as TLS does.
    """
    streams = [connection.sock]

    def watch(stream: socket.socket) -> None:
        streams[0] = connection.sock = stream

    def shut() -> None:
        with contextlib.suppress(OSError):
            streams[0].shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()


def _seconds_to_wait(said: str | None) -> float:
    """What Retry-After says: seconds, or a date."""
    if said is None:
        return 0.0
    if said.strip().isdecimal():
        return float(said)
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


def _is_public(text: str) -> bool:
    """Whether an address is on the public network, also what is wrapped in it."""
    try:
        address: Address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    return all(_is_global(one) for one in _unwrapped(address))


def _is_global(address: Address) -> bool:
    is_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local  # withdrawn, yet global to Python
    return address.is_global and not (address.is_multicast or address.is_reserved or is_local)


def _unwrapped(address: Address) -> list[Address]:
    """The addresses that this one leads to: of IPv4 within IPv6 (mapped, NAT64, 6to4), the inner one; of Teredo all."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    return [address]
