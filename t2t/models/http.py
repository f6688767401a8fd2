"""Requests to model services over HTTP: what may pass is tried again, what cannot is said at once.

What a service does wrong (gone, slow, overloaded, half an answer) is counted, tried again for a while
and ends in `InfraError`; what a setting does wrong is a `ConfigError`, and is not tried again.
"""

import asyncio
import logging
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
import orjson
import yarl

from t2t.errors import ConfigError, InfraError, RunError
from t2t.models.chat import ContextOverflow
from t2t.models.wire import Wire

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 8 * 2**20
"""Longest answer that is read; the rest of a longer one is not."""

_LONGEST_WAIT_S = 60.0
"""Longest that a service may ask to be left alone."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_FIRST_ASIDE_S = 0.5
# A try costs a refused connection; a server that is back should not idle.
_LONGEST_ASIDE_S = 10.0
_TRIAL_S = 1.0
"""A request that has not failed after this long shows that its server is back, though the answer is still to come."""
_TICK_S = 1.0
_FAULTS_IN_A_ROW = 3
_ONE_REQUEST = ("http_429", "too_large", "aborted")
"""Faults that say nothing of other requests."""
_CONNECT_TIMEOUT_S = 30.0
# uvicorn, and so vLLM, drops a connection that rested for 5 s; a request sent at that moment would be lost.
_KEEP_ALIVE_S = 4.0
_SPARE_FILES = 256
_CONNECTIONS_AT_ONCE = 256
_LONGEST_MESSAGE = 300
"""Characters of a service's own words in a message of ours."""
_OVERLOADED = 429
_OK = 200
_REDIRECT = 300
_CLIENT_ERROR = 400
_NO_ACCESS = (401, 403)
_NOT_FOUND = 404
_SERVER_ERROR = 500

T = TypeVar("T")


class Fault(Exception):
    """A fault of the service that may pass; the text says what it was."""

    def __init__(self, kind: str, text: str, wait_s: float = 0.0) -> None:
        """Note the kind of the fault, for counting, and how long the service asks to be left alone."""
        super().__init__(text)
        self.kind = kind
        self.wait_s = wait_s


_NONE_UP = Fault("connection", "no server is up")


class Answer(NamedTuple, Generic[T]):
    """What came back, and from where."""

    value: T
    """What was read from the answer."""
    url: str
    """The server that gave it."""
    seconds: float
    """How long the try took that succeeded; failed ones and the waits between are not counted."""


class _Server:
    """What a client knows of one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.address = yarl.URL(url)
        self.load = 0
        """Requests under way."""
        self.chosen = 0
        """Times it was the choice, for talks that wait before they send."""
        self.faults = 0
        """Faults since it last gave a good answer, each of a request that was sent after the one before."""
        self.failed_at = 0.0
        """When the last of them was met."""
        self.pause_s = 0.0
        """How long it was set aside last; 0 when it has answered well since."""
        self.aside = False
        """It failed, and gets no requests but the one that tries it again."""
        self.on_trial = False
        """A request tries it again."""
        self.free_at = 0.0
        """When it may be tried, or when its trial counts as passed."""


class ServiceClient:
    """Sends requests to one of several equal servers.

    A server that fails is set aside for growing pauses, then tried again by one request; meanwhile the others
    get its requests, and where there is no other they wait.

    Args:
        base_urls: addresses such as ``http://127.0.0.1:8000``, with or without ``/v1``.
        route: path below ``/v1/``.
        name: model name as served, for messages.
        timeout_s: longest wait for one answer, to its last byte.
        patience_s: how long a request is tried again after its first fault.
        key: sent as bearer; it never reaches a message.
        problem: says why no server will ever answer again; empty while one may.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        route: str,
        name: str,
        timeout_s: float,
        patience_s: float,
        *,
        key: str = "",
        problem: Callable[[], str] = str,
    ) -> None:
        self.faults = Counter[str]()
        """Faults so far by kind, such as ``http_429``, ``http_5xx``, ``connection``, ``timeout``, ``half_reply``."""
        self.requests = 0
        """Requests sent so far, further tries included."""
        self._name = name
        self._servers = {
            server.url: server
            for server in (_Server(f"{url.rstrip('/').removesuffix('/v1')}/v1/{route}") for url in base_urls)
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S)
        self._patience_s = patience_s
        self._key = key
        self._problem = problem
        self._jitter = random.Random()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[_Links] | None = None
        self._links: _Links | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def choose_url(self) -> str:
        """The server to begin a talk with: one that should be tried again, else the one with the fewest requests."""
        now = time.monotonic()
        up: list[_Server] = []
        for server in self._servers.values():
            if server.aside and not server.on_trial and now >= server.free_at:
                return server.url
            if not server.aside:
                up.append(server)
        server = min(up or self._servers.values(), key=_busyness)
        server.chosen += 1
        return server.url

    async def post(self, body: bytes, read: Callable[[str, Any], T], prefer: str = "") -> Answer[T]:
        """Send `body` and read the answer.

        Args:
            body: JSON of the request.
            read: makes the result of the URL and the answer's JSON; raises `Fault` for what may pass.
            prefer: server to ask while it is up.

        Raises:
            ContextOverflow: a server finds the prompt too long.
            ConfigError: a server does not serve this model, or refuses the request.
            InfraError: the service failed until patience was spent.
            RunError: no server will ever answer again.
        """
        links = await self._get_links()
        deadline = tries = 0
        avoid = ""
        fault = _NONE_UP
        while True:
            while (server := self._take(prefer, avoid)) is None:
                self._check_problem()
                now = time.monotonic()
                deadline = deadline or now + self._patience_s
                if now >= deadline:
                    raise self._failure(tries, fault)
                await self._wait(min(deadline, min(one.free_at for one in self._servers.values())))
            tries += 1
            started = time.monotonic()
            try:
                value = read(server.url, await self._send(links, server, body))
            except Fault as error:
                fault = error
                self._note(server, error, started)
            else:
                if server.faults or server.pause_s:
                    self._note_success(server)
                return Answer(value, server.url, time.monotonic() - started)
            now = time.monotonic()
            deadline = deadline or now + self._patience_s
            if now >= deadline:
                raise self._failure(tries, fault)
            avoid = server.url
            if not server.aside:
                pause_s = min(_FIRST_PAUSE_S * 2 ** min(tries - 1, 20), _LONGEST_PAUSE_S)
                pause_s = max(pause_s * self._jitter.uniform(0.75, 1.25), min(fault.wait_s, _LONGEST_WAIT_S))
                await asyncio.sleep(min(pause_s, deadline - now))

    def _take(self, prefer: str, avoid: str) -> _Server | None:
        """The server to send to; None when all are set aside."""
        preferred = self._servers.get(prefer)
        if preferred is not None and not preferred.aside and prefer != avoid:
            return preferred
        now = 0.0
        up: list[_Server] = []
        for server in self._servers.values():
            if server.aside:
                now = now or time.monotonic()
                if now < server.free_at:
                    continue
                if server.on_trial:
                    server.aside = server.on_trial = False
            up.append(server)
        if not up:
            return None
        steady = [server for server in up if server.url != avoid and not server.aside]
        back = [server for server in up if server.aside]
        server = back[0] if back else min(steady or up, key=_busyness)
        if server.aside:
            server.on_trial = True
            server.free_at = now + _TRIAL_S
        return server

    def _note(self, server: _Server, fault: Fault, started: float) -> None:
        self.faults[fault.kind] += 1
        if fault.kind in _ONE_REQUEST:
            return
        # Many requests that fail at once are one event.
        if started >= server.failed_at:
            server.faults += 1
            server.failed_at = time.monotonic()
        tried = server.on_trial and started >= server.free_at - _TRIAL_S
        lasting = fault.kind == "connection" or server.faults >= _FAULTS_IN_A_ROW
        # Of the many requests that a server takes with it, the first one sets it aside.
        if tried or (lasting and not server.aside):
            if not server.pause_s:
                log.warning(f"{server.url} is set aside and tried again: {self._scrub(str(fault))}")
            server.pause_s = min(max(2 * server.pause_s, _FIRST_ASIDE_S), _LONGEST_ASIDE_S)
            server.free_at = time.monotonic() + server.pause_s
            server.aside, server.on_trial = True, False

    def _note_success(self, server: _Server) -> None:
        if server.pause_s:
            log.info(f"{server.url} answers again")
        server.faults = 0
        server.pause_s = 0.0
        server.aside = server.on_trial = False
        self._wake()

    async def _wait(self, until: float) -> None:
        """Wait until some moment, a success, or a second has passed; any number of requests share one timer."""
        loop = asyncio.get_running_loop()
        when = loop.time() + min(max(until - time.monotonic(), 0.001), _TICK_S)
        if self._timer is None or self._timer.when() > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(when, self._wake)
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _check_problem(self) -> None:
        if problem := self._problem():
            raise RunError(problem)

    def _failure(self, tries: int, fault: Fault) -> InfraError:
        where = next(iter(self._servers)) if len(self._servers) == 1 else f"{len(self._servers)} servers"
        return InfraError(
            f"{where} failed {tries} times within patience_s={self._patience_s:g}, last: {self._scrub(str(fault))}"
        )

    async def _send(self, links: "_Links", server: _Server, body: bytes) -> Any:
        self.requests += 1
        server.load += 1
        try:
            if wire := links.wires.get(server.url):
                status, headers, content = await wire.post(body, self._timeout.total or 0.0)
                asked = headers.get(b"retry-after", b"").decode(errors="replace")
            else:
                assert links.session is not None
                async with links.session.post(server.address, data=body, allow_redirects=False) as response:
                    content = await _read_bounded(response)
                status, asked = response.status, response.headers.get("Retry-After", "")
        except TimeoutError:
            raise Fault("timeout", f"no whole answer within {self._timeout.total:g} s") from None
        except OverflowError:
            raise Fault("too_large", f"the answer is longer than {MAX_REPLY_BYTES} bytes") from None
        except (aiohttp.ClientPayloadError, EOFError) as error:
            raise Fault("half_reply", f"the answer broke off: {error}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Fault("connection", f"{type(error).__name__} {error}".strip()) from None
        finally:
            server.load -= 1
        if status != _OK:
            raise self._refusal(server.url, status, asked, content)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Fault("half_reply", f"half an answer of {len(content)} bytes") from None

    def _refusal(self, url: str, status: int, asked: str, content: bytes) -> Fault | ConfigError | ContextOverflow:
        # Without the key before the text is cut: half a key would no longer be known as one.
        content = content.replace(self._key.encode(), b"***") if self._key else content
        message = self._scrub(_message_of(content))[:_LONGEST_MESSAGE]
        if status == _OVERLOADED or status >= _SERVER_ERROR:
            kind = "http_429" if status == _OVERLOADED else "http_5xx"
            return Fault(kind, f"HTTP {status} {message}".strip(), float(asked) if asked.isdecimal() else 0.0)
        if status == _CLIENT_ERROR and _is_overflow(content):
            return ContextOverflow(message)
        if status in _NO_ACCESS:
            return ConfigError(f"{url} gives no access (HTTP {status}); check the key that api_key_env names")
        if status == _NOT_FOUND:
            return ConfigError(f"{url} does not serve the model {self._name!r}: {message}")
        if _REDIRECT <= status < _CLIENT_ERROR:
            return ConfigError(f"{url} sends elsewhere (HTTP {status}); name the address it sends to")
        return ConfigError(f"{url} refused a request with HTTP {status}: {message}")

    def _scrub(self, text: str) -> str:
        """The text without the key, should a service repeat it."""
        return text.replace(self._key, "***") if self._key else text

    async def _get_links(self) -> "_Links":
        """The connections of the running loop; the loop closes them when it ends, as it does all generators."""
        loop = asyncio.get_running_loop()
        if self._links is None or self._loop is not loop:
            self._loop = loop
            self._waiting, self._timer = [], None
            self._holder = _hold_links(list(self._servers), self._timeout, self._key)
            self._links = await anext(self._holder)
        return self._links


def read_key(variable: str) -> str:
    """The key in an environment variable; empty where none is named.

    Raises:
        ConfigError: the variable is not set.
    """
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise ConfigError(f"api_key_env={variable}: that variable is not set")
    return key


def _busyness(server: _Server) -> tuple[int, int]:
    return server.load, server.chosen


class _Connector(aiohttp.TCPConnector):
    """Opens few connections at once: thousands together overflow what a server accepts, and time out."""

    _openings: asyncio.Semaphore | None = None

    async def connect(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        self._openings = self._openings or asyncio.Semaphore(_CONNECTIONS_AT_ONCE)
        async with self._openings:
            return await super().connect(req, traces, timeout)


class _Links(NamedTuple):
    """Connections to the servers: over plain TCP by address, and for all others a session."""

    wires: Mapping[str, Wire]
    session: aiohttp.ClientSession | None


async def _hold_links(urls: Sequence[str], timeout: aiohttp.ClientTimeout, key: str) -> AsyncGenerator[_Links]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    limit = _raise_file_limit()
    opening, places = asyncio.Semaphore(_CONNECTIONS_AT_ONCE), asyncio.Semaphore(limit or sys.maxsize)
    wires = {
        url: Wire(
            url,
            headers,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            opening=opening,
            places=places,
            keep_alive_s=_KEEP_ALIVE_S,
            max_bytes=MAX_REPLY_BYTES,
        )
        for url in urls
        if url.startswith("http://")
    }
    session = None
    if len(wires) < len(urls):
        session = aiohttp.ClientSession(
            timeout=timeout,
            connector=_Connector(limit=limit, keepalive_timeout=_KEEP_ALIVE_S),
            headers=headers,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
    try:
        yield _Links(wires, session)
    finally:
        for wire in wires.values():
            wire.close()
        if session is not None:
            await session.close()
        await asyncio.sleep(0)  # connections close in the loop's next round


def _raise_file_limit() -> int:
    """Let this process open as many files as it may; the number of connections that leaves, 0 for no bound."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 0 if hard == resource.RLIM_INFINITY else max(hard - _SPARE_FILES, 16)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer.

    Raises:
        OverflowError: it is longer than any answer.
    """
    length = response.content_length
    if length is not None and length <= MAX_REPLY_BYTES:
        return await response.read()
    content = bytearray()
    if length is None:
        async for part in response.content.iter_any():
            content += part
            if len(content) > MAX_REPLY_BYTES:
                break
        else:
            return bytes(content)
    response.close()
    raise OverflowError


def _error_of(content: bytes) -> dict[str, Any]:
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    error: Any = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def _message_of(content: bytes) -> str:
    """What the service says in an error; long, where it is."""
    return " ".join(str(_error_of(content).get("message") or content[:200].decode(errors="replace")).split())


def _is_overflow(content: bytes) -> bool:
    error = _error_of(content)
    known = error.get("param") == "input_tokens" or error.get("code") == "context_length_exceeded"
    return known or "maximum context length" in _message_of(content)
