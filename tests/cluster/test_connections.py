"""Requests and answers between processes; here the other one is a thread."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from featmatch.cluster.connections import Address, Connection, Listener, ended
from featmatch.system.workers import Lost

HERE = "127.0.0.1"
LONG = 1 << 24  # bytes; more than lie between two sockets
_PATIENCE = 20.0  # seconds; nothing here takes as long


def reply(message: bytes) -> bytes:
    if message == b"wrong":
        raise ValueError("what is wrong")
    if message == b"odd":
        raise KeyError
    return b"re: " + message


@pytest.fixture(scope="module")
def address() -> Address:
    return Listener(reply, HERE).address


@contextlib.contextmanager
def raw_server() -> Iterator[tuple[Address, Callable[[], socket.socket]]]:
    """Somebody who listens and does what a test does; gives the address, and what accepts."""
    with socket.create_server((HERE, 0)) as server:
        yield Address(HERE, server.getsockname()[1], b"token"), lambda: server.accept()[0]


def said(connection: Connection, message: bytes) -> object:
    connection.ask(message)
    assert ended([connection], _PATIENCE) == [connection]
    return connection.result


def test_one_request_after_another_is_answered_on_one_connection(address: Address) -> None:
    connection = Connection(address)
    assert said(connection, b"one") == b"re: one"
    assert said(connection, b"") == b"re: "
    assert said(connection, b"wrong") == Lost("what is wrong")
    assert said(connection, b"odd") == Lost("KeyError")
    assert said(connection, bytes(LONG)) == b"re: " + bytes(LONG)
    assert connection.is_open


def test_several_are_waited_for_together(address: Address) -> None:
    every = [Connection(address) for _ in range(5)]
    for number, one in enumerate(every):
        one.ask(b"%d" % number)
    waiting = list(every)
    while waiting:
        waiting = [one for one in waiting if one not in ended(waiting, _PATIENCE)]
    assert [one.result for one in every] == [b"re: %d" % number for number in range(5)]


def test_whoever_does_not_know_the_token_is_not_answered(address: Address) -> None:
    for token in (bytes(len(address.token)), address.token[:-1] + b"\0"):
        assert token != address.token
        assert isinstance(said(Connection(address._replace(token=token)), b"one"), Lost)
    assert said(Connection(address), b"one") == b"re: one"
    assert Listener(reply, HERE).address.token != address.token


def test_one_that_was_ended_while_nobody_asked_is_not_open() -> None:
    with raw_server() as (address, accept):
        connection = Connection(address)
        with accept():
            assert connection.is_open
        assert connection.is_open is False


def test_nobody_listens() -> None:
    with raw_server() as (address, _):
        pass
    connection = Connection(address)
    assert not connection.is_open
    assert isinstance(said(Connection(address), b"one"), Lost)


def test_what_does_not_answer_or_read_is_waited_for_no_longer_than_said() -> None:
    with raw_server() as (address, accept):
        connection = Connection(address)
        with accept() as other:
            connection.ask(bytes(LONG))  # of which most is not sent yet
            assert ended([connection], 0) == []
            wanted = len(address.token) + 9 + LONG
            received = 0
            reading = threading.Thread(target=lambda: other.sendall(struct.pack("<?Q", False, 3) + b"yes"))
            while received < wanted:
                part = other.recv(1 << 20)
                received += len(part)
                connection.go_on()
            assert received == wanted
            reading.start()
            assert ended([connection], _PATIENCE) == [connection]
            reading.join()
        assert connection.result == b"yes"


@pytest.mark.parametrize("content", [b"", b"\0", struct.pack("<?Q", False, 5) + b"half"])
def test_half_an_answer_is_none(content: bytes) -> None:
    with raw_server() as (address, accept):
        connection = Connection(address)
        connection.ask(b"one")
        with accept() as other:
            other.recv(1 << 10)
            other.sendall(content)
            assert ended([connection], 0) == []
        assert ended([connection], _PATIENCE) == [connection]
    assert isinstance(connection.result, Lost)
    assert connection.is_open is False


def test_more_than_an_answer_is_none() -> None:
    with raw_server() as (address, accept):
        connection = Connection(address)
        connection.ask(b"one")
        with accept() as other:
            other.sendall(struct.pack("<?Q", False, 2) + b"yes")
            assert ended([connection], _PATIENCE) == [connection]
    assert isinstance(connection.result, Lost)
