from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

from .schema import Problem, SharedUploadResult, StoredFile

# How requests are sent, and what can fail. client.py has the operations.

# Statuses that pass: timeout, another offset, rate limit, and a server that is away or overloaded. A full disk or
# quota (507) and damage (500) stay, and so does the 409 of a name that is taken.
TRANSIENT_STATUSES = (408, 409, 429, 502, 503, 504)

# The longest wait before the first retry. It doubles with each. If the server asks for a longer wait than the maximum,
# its response is raised.
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 60.0

PIECE_BYTES = 256 * 1024

# The longest body of an error that is read.
MAX_PROBLEM_BYTES = 64 * 1024

Result = TypeVar("Result")
Stored = TypeVar("Stored", StoredFile, SharedUploadResult)


class Stream(Protocol):
    """A binary stream that waits for its bytes, such as those of `open` and `io`."""

    def read(self, size: int, /) -> bytes | None: ...
    def seekable(self) -> bool: ...
    def seek(self, offset: int, /) -> int: ...
    def tell(self) -> int: ...


# The bytes of a file: in memory, in a file on disk, or from a stream, which is read from where it is.
Source = bytes | bytearray | memoryview | Path | Stream


class MagicStoreError(Exception):
    """A response that is not a success, or bytes that do not match their digest (`digest_mismatch`)."""

    status: int
    code: str | None
    "The stable code of the error; None if the response is not from MagicStore, but from a proxy for example."
    problem: Problem | None
    retry_after: float | None
    "Seconds to wait before the next attempt (`Retry-After`); None if the response does not say."

    def __init__(
        self, status: int, code: str | None, message: str, *, problem: Problem | None = None,
        retry_after: float | None = None
    ) -> None:
        super().__init__(f"{code or status}: {message}")
        self.status = status
        self.code = code
        self.problem = problem
        self.retry_after = retry_after


class ConnectionLost(ConnectionError):
    """The server can't be reached, or the connection ended or stalled. `__cause__` says why."""


class Body:
    """
    The bytes that a request sends, from where the stream is. If that can seek, it is read once before, for their size
    and digest.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.offset = 0
        self.size: int | None = None
        if not stream.seekable():
            self.headers = {"Transfer-Encoding": "chunked"}
            return
        self._start = stream.tell()
        size = 0
        while piece := stream.read(PIECE_BYTES):
            size += len(piece)
            self._hash.update(piece)
        self.size = size
        self.digest = repr_digest(self._hash.digest())
        self.headers = {**self.rest(0), "Repr-Digest": self.digest}

    def rest(self, offset: int) -> dict[str, str]:
        """Makes the next request send the bytes from an offset. Returns its headers."""
        if self.size is None or offset > self.size:
            raise ValueError("the upload is that of another file")
        self.offset = offset
        return {"Content-Length": str(self.size - offset)}

    def send(self, connection: http.client.HTTPConnection) -> None:
        """Sends the bytes. Errors of the stream pass through. If the server stops reading, its response says why."""
        for piece in self._pieces():
            try:
                connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                return
            except OSError as error:
                raise ConnectionLost(str(error)) from error

    def _pieces(self) -> Iterator[bytes]:
        if self.size is None:
            # RFC 9112 section 7.1.
            while piece := self._stream.read(PIECE_BYTES):
                self._hash.update(piece)
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"
            return
        self._stream.seek(self._start + self.offset)
        left = self.size - self.offset
        while left > 0:
            piece = self._stream.read(min(PIECE_BYTES, left))
            if not piece:
                raise ValueError("the source has become shorter")
            left -= len(piece)
            yield piece

    def verified(self, stored: Stored) -> Stored:
        if stored["sha256"] != self._hash.hexdigest():
            raise MagicStoreError(200, "digest_mismatch", "other bytes were stored than were sent")
        return stored


class Wire:
    """Sends requests to a server. `timeout` and `retries` as in MagicStore."""

    def __init__(self, base_url: str, *, timeout: float, retries: int, context: ssl.SSLContext | None) -> None:
        self.url = base_url.rstrip("/")
        self._url = urlsplit(self.url)
        if self._url.scheme not in ("http", "https") or self._url.hostname is None or self._url.port == 0:
            raise ValueError("base_url is an address such as https://files.example.org")
        self._timeout, self._retries, self._context = timeout, retries, context

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None, wait: float = 0
    ) -> http.client.HTTPResponse:
        """
        Sends a request, whose response may take `wait` seconds longer than the timeout. The caller closes it. Raises
        unless it is a success.
        """
        connection = self._connect(wait)
        try:
            connection.putrequest(method, self._url.path + path)
            # A connection for each request: nothing is sent on one that the server has just closed.
            for name, value in {**headers, "Connection": "close"}.items():
                connection.putheader(name, value)
            with on_the_wire():
                connection.endheaders()
            if body is not None:
                body.send(connection)
            with on_the_wire():
                response = connection.getresponse()
            if response.status >= 300:
                raise error_of(response)
            return response
        except BaseException:
            connection.close()
            raise

    def _connect(self, wait: float) -> http.client.HTTPConnection:
        host, port, timeout = cast(str, self._url.hostname), self._url.port, self._timeout + wait
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)

    def retried(self, attempt: Callable[[], Result], stored: Callable[[], int] = lambda: 0) -> Result:
        """
        The result of the first attempt that succeeds. One that stores bytes before it fails resets the count of
        failures and the wait.
        """
        failures, known = 0, stored()
        while True:
            try:
                return attempt()
            except (ConnectionLost, MagicStoreError) as error:
                if stored() > known:
                    failures, known = 0, stored()
                delay = delay_after(error, failures)
                if delay is None or failures >= self._retries:
                    raise
            time.sleep(delay)
            failures += 1


@contextmanager
def on_the_wire() -> Iterator[None]:
    """What fails in it is the connection, so that it can be tried again. A certificate that is refused stays so."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error


@contextmanager
def opened(source: Source) -> Iterator[Stream]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif hasattr(source, "read"):
        yield source
    else:
        raise TypeError("a source is bytes, a Path or a binary stream")


def upload_fields(
    source: Source, media_type: str | None, modified_at: datetime | None, if_match: str | None,
    if_none_match: str | None
) -> dict[str, str]:
    if modified_at is None and isinstance(source, Path):
        modified_at = datetime.fromtimestamp(source.stat().st_mtime, timezone.utc)
    fields = {
        "Content-Type": media_type, "If-Match": if_match, "If-None-Match": if_none_match,
        "X-File-Modified": None if modified_at is None else rfc3339(modified_at)
    }
    return {name: value for name, value in fields.items() if value is not None}


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def segment(name: str) -> str:
    """A name as one segment of a path. Proxies remove `.` and `..`, so that another operation would answer."""
    if name in ("", ".", ".."):
        raise MagicStoreError(400, "name_invalid", f"{name!r} is no name")
    return quote(name, safe="")


def query_string(query: Mapping[str, object]) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items() if value is not None
    }
    return f"?{urlencode(given)}" if given else ""


def basic_authorization(username: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def repr_digest(sha256: bytes) -> str:
    """The value of Repr-Digest (RFC 9530 section 3)."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def header_field(response: http.client.HTTPResponse, name: str) -> str:
    value = response.headers[name]
    if value is None:
        raise MagicStoreError(response.status, None, f"the response has no {name}; is it from MagicStore?")
    return value


def error_of(response: http.client.HTTPResponse) -> MagicStoreError:
    with response, on_the_wire():
        text = response.read(MAX_PROBLEM_BYTES)
    seconds = response.headers.get("retry-after", "")
    retry_after = float(seconds) if seconds.isdecimal() else None
    try:
        problem = cast(Problem, json.loads(text))
        code, detail = problem["code"], problem["detail"]
    except (ValueError, KeyError, TypeError):
        return MagicStoreError(response.status, None, response.reason, retry_after=retry_after)
    return MagicStoreError(response.status, code, detail, problem=problem, retry_after=retry_after)


def delay_after(error: ConnectionLost | MagicStoreError, failures: int) -> float | None:
    """Seconds to wait before the next attempt; None if there is none."""
    # At random, so that clients that lost the same server don't come back at the same time.
    delay: float = min(FIRST_WAIT_SECONDS * 2 ** failures, MAX_WAIT_SECONDS) * random.uniform(0.5, 1)
    if isinstance(error, ConnectionLost):
        return delay
    asked = error.retry_after or 0.0
    stays = error.status not in TRANSIENT_STATUSES or error.code == "name_taken" or asked > MAX_WAIT_SECONDS
    return None if stays else max(delay, asked)
