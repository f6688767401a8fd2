"""HTTP/1.1 requests to one server without TLS, over connections that are kept: a fifth of aiohttp's cost.

What comes back is read by httptools, the parser of uvicorn and Node.js: answers with a length, in chunks, or until
the end of the connection. No redirects, no compression, no cookies.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

_TICK_S = 0.25
"""How late a time-out may come."""


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    headers: Mapping[bytes, bytes]
    """By name in lower case; of several with one name the last."""
    content: bytes


class Wire:
    """Connections to one server.

    Args:
        url: full address of the route, ``http://host:port/path``.
        headers: sent with every request, beside the length.
        connect_timeout_s: longest wait for a connection.
        opening: bounds the connections that are opened at once; may be shared.
        places: bounds the requests under way; may be shared.
        keep_alive_s: how long a connection may rest before it is not used again.
        max_bytes: longest content that is read.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        connect_timeout_s: float,
        opening: asyncio.Semaphore,
        places: asyncio.Semaphore,
        keep_alive_s: float,
        max_bytes: int,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._connect_timeout_s, self._keep_alive_s, self._max_bytes = connect_timeout_s, keep_alive_s, max_bytes
        self._opening, self._places = opening, places
        self._resting: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def post(self, body: bytes, timeout_s: float) -> Answer:
        """Send `body` and read the whole answer.

        Raises:
            TimeoutError: it was not whole in time.
            EOFError: the server ended in the middle of the answer, or sent something else than one.
            OverflowError: the answer is longer than any that is read.
            OSError: there is no connection, or it broke before the answer.
        """
        async with self._places:
            ends = time.monotonic() + timeout_s
            connection = self._take() or await self._connect(min(timeout_s, self._connect_timeout_s))
            connection.ends = ends
            self._busy.add(connection)
            self._watch(timeout_s)
            try:
                return await connection.send(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            finally:
                self._busy.discard(connection)
                if connection.usable:
                    connection.rests_since = time.monotonic()
                    self._resting.append(connection)
                else:
                    connection.close()

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._resting, *self._busy):
            connection.close()
        self._resting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, timeout_s: float) -> None:
        """See to time-outs, all by one timer; one of its own for each request costs more than sending it."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(min(timeout_s / 4, _TICK_S), self._look, timeout_s)

    def _look(self, timeout_s: float) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in self._busy:
            if now >= connection.ends:
                connection.give_up()
        if self._busy:
            self._watch(timeout_s)

    def _take(self) -> "_Connection | None":
        now = time.monotonic()
        while self._resting:
            connection = self._resting.pop()
            if connection.usable and now - connection.rests_since < self._keep_alive_s:
                return connection
            connection.close()
        return None

    async def _connect(self, timeout_s: float) -> "_Connection":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s), self._opening:
            _, connection = await loop.create_connection(
                lambda: _Connection(loop, self._max_bytes), self._host, self._port
            )
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time; the parser calls the methods whose names begin with ``on_``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_bytes: int) -> None:
        self._loop, self._max_bytes = loop, max_bytes
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._open = False
        self.rests_since = self.ends = 0.0
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []
        self._size = 0
        self._begun = self._headed = False

    @property
    def usable(self) -> bool:
        """True when it can take a request."""
        return self._open and self._answer is None

    def send(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request; its answer."""
        assert self._transport is not None
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return self._answer

    def give_up(self) -> None:
        """Wait no longer."""
        self._fail(TimeoutError())

    def close(self) -> None:
        """End the connection."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport, self._open = cast(asyncio.WriteTransport, transport), True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(EOFError(f"the answer is no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._open = False
        if self._headed and exc is None and not {b"content-length", b"transfer-encoding"} & self._headers.keys():
            self.on_message_complete()  # an answer that ends with the connection
        elif self._begun:
            self._fail(EOFError(f"the answer broke off after {self._size} bytes"))
        else:
            self._fail(ConnectionResetError("the server ended the connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The content begins."""
        self._headed = True
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_bytes:
            self._fail(OverflowError())

    def on_body(self, body: bytes) -> None:
        """Take some content."""
        self._content.append(body)
        self._size += len(body)
        if self._size > self._max_bytes:
            self._fail(OverflowError())

    def on_message_complete(self) -> None:
        """The answer is whole."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._content)))
        self._open = self._open and self._headers.get(b"connection", b"").lower() != b"close"
        self._begin()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self._open = False
