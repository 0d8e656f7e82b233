"""API keys: a file of names, scopes and digests; and the sessions of browsers, which stand for a key."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from featmatch.errors import UsageError

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")  # each has what those before it have

_NAME = re.compile(r"[\w.@-]{1,64}")
_LINE = re.compile(r"([\w.@-]{1,64}) (read|write|admin) ([0-9a-f]{64})")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES = 32
_MOST_SESSIONS = 1000
_MOST_CHARACTERS = 200  # of a key that somebody sends


@dataclass(frozen=True)
class Key:
    """Somebody who may use the service.

    Attributes:
        name: of the key, as logs have it.
        scope: what it allows.
        sha256: of the secret, hexadecimal.
    """

    name: str
    scope: Scope
    sha256: str

    def allows(self, scope: Scope) -> bool:
        """Whether it allows what needs a scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


class Keys:
    """The keys of a file. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Raises:
            UsageError: there is no such file, or a line of it is no key.
        """
        self._path = path
        self._sessions: OrderedDict[str, Key] = OrderedDict()
        self._lock = threading.Lock()
        self.read_again()

    def read_again(self) -> None:
        """Read the file again; sessions of keys that are gone end. What cannot be read leaves the keys as they were.

        Raises:
            UsageError: as for a new one.
        """
        keys = read_keys(self._path)
        with self._lock:
            self._keys = keys
            gone = [token for token, key in self._sessions.items() if key not in keys]
            for token in gone:
                del self._sessions[token]

    def key_of(self, secret: str) -> Key | None:
        """The key of a secret, compared in constant time."""
        digest = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def begin_session(self, key: Key) -> str:
        """A token for a browser, which stands for a key."""
        token = secrets.token_urlsafe(_SECRET_BYTES)
        with self._lock:
            self._sessions[_digest(token)] = key
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return token

    def key_of_session(self, token: str) -> Key | None:
        """The key that a token stands for."""
        with self._lock:
            return self._sessions.get(_digest(token))

    def end_session(self, token: str) -> None:
        """Let a token stand for nothing."""
        with self._lock:
            self._sessions.pop(_digest(token), None)


def read_keys(path: Path) -> list[Key]:
    """The keys of a file; blank lines and those that begin with # are passed over.

    Raises:
        UsageError: it cannot be read, or a line of it is no key.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the keys in {path}: {getattr(error, 'strerror', None) or error}") from error
    keys = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UsageError(f"line {number} of {path} is no key: NAME read|write|admin SHA256 is wanted")
        keys.append(Key(found[1], found[2], found[3]))  # type: ignore[arg-type]  # the pattern has the scopes
    return keys


def new_key(path: Path, name: str, scope: Scope) -> str:
    """Make a key, keep its digest in a file, and return the secret, which is nowhere else.

    Raises:
        UsageError: the name is none, or is in use; or the file cannot be read or written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("the name of a key is 1 to 64 letters, digits and . @ _ -")
    if path.exists() and any(key.name == name for key in read_keys(path)):
        raise UsageError(f"{path} has a key {name} already")
    secret = "fm_" + _base62(secrets.token_bytes(_SECRET_BYTES))
    try:
        unended = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write("\n" * unended + f"{name} {scope} {_digest(secret)}\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret[:_MOST_CHARACTERS].encode("utf-8", "surrogatepass")).hexdigest()


def _base62(content: bytes) -> str:
    number, digits = int.from_bytes(content, "big"), ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits.rjust(43, "0")
