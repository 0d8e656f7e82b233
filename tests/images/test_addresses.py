"""Fetching: which addresses are refused, and how much of the others is read. No network but this machine's own."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from featmatch.images.addresses import FetchError, Fetching

PUBLIC = "93.184.216.34"
Answer = Callable[[socket.socket], None]


def refusal(fetching: Fetching, url: str) -> str:
    with pytest.raises(FetchError) as refused:
        fetching.fetch(url)
    assert "." not in refused.value.detail or "10" not in refused.value.detail
    return refused.value.code


def nowhere(place: tuple[str, int], seconds: float) -> socket.socket:
    raise AssertionError(f"connected to {place}")


def looked_up(addresses: Sequence[str]) -> Fetching:
    return Fetching(("public",), 1000, look_up=lambda host, port: addresses, connect=nowhere)


def test_nothing_is_fetched_unless_it_is_asked_for() -> None:
    assert refusal(Fetching((), 1000, connect=nowhere), "https://example.org/a.jpg") == "fetch_off"


SPELLINGS = (
    "file:///etc/passwd", "ftp://example.org/a", "gopher://example.org/", "//example.org/a", "example.org", "",
    "data:image/png;base64,AAAA", "s3://bucket/a.jpg", "jar:http://example.org!/a", "http:example.org",
    "http://user@example.org/", "http://user:word@example.org/", "http://:word@example.org/", "http://@example.org/",
    "http://example.org:8080/", "https://example.org:80/", "http://example.org:443/", "http://example.org:22/",
    "http://example.org:0/", "http://example.org:-80/", "http://example.org:99999/", "http://example.org:6379/",
    "http://[::1", "http:///a", "http://example.org/a b", "http://exa\nmple.org/", "http://example.org/a\r\nX: y",
    "http://ex\u0430mple.org/", "http://example.org\\@127.0.0.1/",
)  # fmt: skip
OF_THIS_NETWORK = (
    "http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001/", "http://127.1/", "http://127.0.0.1/",
    "http://017700000001/", "http://0x7f.1/", "http://127.0.0.1:80/", "HTTP://127.0.0.1/", "http://127.0.0.1./",
    "http://0.0.0.0/", "http://0/", "http://[::1]/", "http://[::]/", "http://[::ffff:169.254.169.254]/",
    "http://localhost/", "https://localhost/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
    "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1/",
    "http://100.64.0.1/", "http://[fd00::1]/", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]/", "http://[fec0::1]/",
    "http://[64:ff9b:1::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://[2002:a9fe:a9fe::]/", "http://224.0.0.1/",
    "http://255.255.255.255/", "http://[ff02::1]/", "http://240.0.0.1/", "http://127.0.0.1#@example.org/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
)  # fmt: skip


@pytest.mark.parametrize("url", SPELLINGS)
def test_addresses_that_are_refused_by_their_spelling(url: str) -> None:
    assert refusal(looked_up([PUBLIC]), url) == "fetch_refused"


@pytest.mark.parametrize("url", OF_THIS_NETWORK)
def test_addresses_of_this_network_are_refused(url: str) -> None:
    assert refusal(Fetching(("public",), 1000, connect=nowhere), url) == "fetch_refused"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"], ["nonsense"], []]
)
def test_every_address_of_a_name_must_be_public(addresses: list[str]) -> None:
    assert refusal(looked_up(addresses), "http://rebinding.example/") == "fetch_refused"


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        (("a.example",), "a.example", True), (("a.example",), "A.EXAMPLE", True), (("a.example",), "a.example.", True),
        (("a.example",), "b.a.example", False), (("a.example",), "xa.example", False),
        ((".a.example",), "b.a.example", True), ((".a.example",), "a.example", True),
        ((".a.example",), "xa.example", False), (("b.example",), "a.example", False), (("public",), "a.example", True),
    ],
)  # fmt: skip
def test_hosts_that_are_named(hosts: tuple[str, ...], host: str, allowed: bool) -> None:
    asked: list[str] = []

    def look_up(name: str, port: int) -> list[str]:
        asked.append(name)
        return []

    fetching = Fetching(hosts, 1000, look_up=look_up, connect=nowhere)
    assert refusal(fetching, f"http://{host}/") == "fetch_refused"
    assert bool(asked) is allowed


def test_named_hosts_may_be_private_only_when_that_is_asked_for() -> None:
    connected: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], seconds: float) -> socket.socket:
        connected.append(place)
        raise ConnectionRefusedError

    for hosts, private, code in ((("a.example",), False, "fetch_refused"), (("public",), True, "fetch_refused"),
                                 (("a.example",), True, "fetch_failed")):  # fmt: skip
        fetching = Fetching(hosts, 1000, private, lambda host, port: ["10.0.0.1"], connect)
        assert refusal(fetching, "http://a.example/") == code
    assert connected == [("10.0.0.1", 80)]


@contextlib.contextmanager
def site(*answers: Answer) -> Iterator[Fetching]:
    """A site whose name is public, and which answers so, once each; what it is asked is in ``asked``."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    places: list[tuple[str, int]] = []

    def serve() -> None:
        for answer in answers:
            stream, _ = listening.accept()
            with stream:
                asked.append(stream.recv(4096))
                with contextlib.suppress(OSError):
                    answer(stream)

    def connect(place: tuple[str, int], seconds: float) -> socket.socket:
        places.append(place)
        return socket.create_connection(listening.getsockname(), seconds)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    fetching = Fetching(("public",), 1000, look_up=lambda host, port: [PUBLIC], connect=connect, seconds=5.0)
    object.__setattr__(fetching, "asked", asked)
    object.__setattr__(fetching, "places", places)
    with listening:
        yield fetching
        thread.join(30)
        assert not thread.is_alive()


def said(text: str, content: bytes = b"") -> Answer:
    return lambda stream: stream.sendall(text.replace("\n", "\r\n").encode() + content)


def found(content: bytes) -> Answer:
    return said(f"HTTP/1.1 200 OK\nContent-Length: {len(content)}\n\n", content)


def test_a_picture_is_fetched_from_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with site(found(b"picture")) as fetching:
        assert fetching.fetch("http://pictures.example/a.jpg?b=c#d") == b"picture"
        assert fetching.places == [(PUBLIC, 80)]  # type: ignore[attr-defined]
        (asked,) = fetching.asked  # type: ignore[attr-defined]
    assert asked.startswith(b"GET /a.jpg?b=c HTTP/1.1\r\nHost: pictures.example\r\n")
    assert b"Cookie" not in asked
    assert b"Authorization" not in asked


def test_redirects_are_followed_and_looked_at_anew() -> None:
    moved = said("HTTP/1.1 302 Found\nLocation: /b.jpg\nSet-Cookie: a=b\nContent-Length: 0\n\n")
    with site(moved, found(b"picture")) as fetching:
        assert fetching.fetch("http://pictures.example/a.jpg") == b"picture"
        assert fetching.asked[1].startswith(b"GET /b.jpg ")  # type: ignore[attr-defined]
        assert b"Cookie" not in fetching.asked[1]  # type: ignore[attr-defined]
    for target in (
        "http://127.0.0.1/", "//127.0.0.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd",
        "http://pictures.example:8080/", "http://user:word@pictures.example/", "data:image/png;base64,AAAA",
    ):  # fmt: skip
        away = said(f"HTTP/1.1 301 Moved\nLocation: {target}\nContent-Length: 0\n\n")
        with site(away) as fetching:
            by_name = Fetching(
                ("public",), 1000, connect=fetching.connect,
                look_up=lambda host, port: [PUBLIC if host == "pictures.example" else host],
            )  # fmt: skip
            assert refusal(by_name, "http://pictures.example/") == "fetch_refused"
    with site(*[moved] * 3, found(b"picture")) as fetching:
        assert fetching.fetch("http://pictures.example/a.jpg") == b"picture"
    with site(*[moved] * 4) as fetching, pytest.raises(FetchError, match="too many redirects"):
        fetching.fetch("http://pictures.example/")


def test_a_name_that_changes_its_mind_leads_nowhere() -> None:
    """DNS rebinding: a name is asked once; with a redirect, it is looked at anew."""
    moved = said("HTTP/1.1 302 Found\nLocation: http://rebinding.example/b\nContent-Length: 0\n\n")
    for answer, outcome in ((found(b"picture"), b"picture"), (moved, "fetch_refused")):
        answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
        with site(answer) as fetching:
            rebinding = dataclasses.replace(fetching, look_up=lambda *_, left=answers: left.pop(0))
            if isinstance(outcome, bytes):
                assert rebinding.fetch("http://rebinding.example/a") == outcome
            else:
                assert refusal(rebinding, "http://rebinding.example/a") == outcome
            assert fetching.places == [(PUBLIC, 80)]  # type: ignore[attr-defined]


def test_a_large_picture_comes_whole() -> None:
    content = bytes(range(256)) * 2000
    with site(found(content)) as fetching:
        patient = dataclasses.replace(fetching, most_bytes=len(content))
        assert patient.fetch("http://pictures.example/") == content


def test_https_is_asked_for_the_name_and_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    class Context:
        def wrap_socket(self, stream: socket.socket, *, server_hostname: str) -> socket.socket:
            names.append(server_hostname)
            return stream

    monkeypatch.setattr("featmatch.images.addresses.ssl.create_default_context", Context)
    with site(found(b"picture")) as fetching:
        assert fetching.fetch("https://pictures.example/a.jpg") == b"picture"
        assert fetching.places == [(PUBLIC, 443)]  # type: ignore[attr-defined]
    assert names == ["pictures.example"]


def test_hosts_are_public_unless_it_is_said() -> None:
    assert not Fetching(("a.example",), 1).private


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (said("HTTP/1.1 200 OK\nContent-Length: 10000000000\n\n"), "body_too_large"),
        (said("HTTP/1.1 200 OK\n\n", b"x" * 2000), "body_too_large"),
        (said("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"), "fetch_failed"),
        (said("HTTP/1.1 200 OK\nContent-Length: 10\n\n", b"short"), "fetch_failed"),
        (said("nonsense\n\n"), "fetch_failed"),
        (said(""), "fetch_failed"),
    ],
)  # fmt: skip
def test_answers_that_are_none(answer: Answer, code: str) -> None:
    with site(answer) as fetching:
        assert refusal(fetching, "http://pictures.example/") == code


@pytest.mark.parametrize("slow_head", [True, False])
def test_a_site_that_goes_on_slowly_is_cut_off(slow_head: bool) -> None:
    """It sends byte after byte until the other side has had enough; nobody waits for a clock."""

    def trickle(stream: socket.socket) -> None:
        stream.sendall(b"HTTP/1.1 200 OK\r\n" if slow_head else b"HTTP/1.1 200 OK\r\n\r\n")
        stream.settimeout(0.01)
        for _ in range(3000):
            stream.sendall(b"x" if not slow_head else b"a")
            with contextlib.suppress(TimeoutError):
                if not stream.recv(1):
                    return

    with site(trickle) as fetching:
        quick = Fetching(fetching.hosts, 10_000_000, look_up=fetching.look_up, connect=fetching.connect, seconds=0.2)
        assert refusal(quick, "http://pictures.example/") == "fetch_failed"


def test_a_name_that_nobody_knows() -> None:
    def look_up(host: str, port: int) -> list[str]:
        raise socket.gaierror

    assert refusal(Fetching(("public",), 9, look_up=look_up, connect=nowhere), "http://a.example/") == "fetch_failed"


def test_a_refusal_is_an_image_error_and_survives_pickling() -> None:
    broken, large = FetchError("fetch_failed", "it broke off"), FetchError("body_too_large", "too many bytes")
    for error, status, said in ((broken, "not_found", "it broke off"), (large, "too_large", "too many bytes")):
        again = pickle.loads(pickle.dumps(error))
        assert (again.status, again.message, again.code, again.detail) == (status, said, error.code, error.detail)
    assert FetchError("fetch_refused").detail == ""
    assert "public hosts" in FetchError("fetch_refused").message
