"""Requests to model services over HTTP: what may pass is tried again, what cannot is said at once.

What a service does wrong (gone, slow, overloaded, half an answer) is tried again and ends in
`InfraError`; what a setting does wrong is a `ConfigError`, and is not tried again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
import orjson

from t2t.errors import ConfigError, InfraError
from t2t.models.chat import ContextOverflow

RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before each further try of a request."""

_LONGEST_WAIT_S = 60.0
_OVERLOADED = 429
_CLIENT_ERROR = 400
_NO_ACCESS = (401, 403)
_NOT_FOUND = 404
_SERVER_ERROR = 500

T = TypeVar("T")


class Fault(Exception):
    """A fault of the service that may pass; the text says what it was."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        """Note the fault, and how long the service asks to be left alone."""
        super().__init__(text)
        self.wait_s = wait_s


class ServiceClient:
    """Sends requests to one of several equal servers.

    Args:
        urls: full addresses of the route.
        name: model name as served, for messages.
        timeout_s: longest wait for one answer.
        retry_delays_s: waits before each further try.
        headers: further headers; they never reach a message or a file.
    """

    def __init__(
        self,
        urls: Sequence[str],
        name: str,
        timeout_s: float,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._urls = list(urls)
        self._loads = dict.fromkeys(self._urls, 0)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._retry_delays_s = tuple(retry_delays_s)
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[aiohttp.ClientSession] | None = None
        self._session: aiohttp.ClientSession | None = None

    def choose_url(self, failed: str = "") -> str:
        """The server with the fewest requests under way; `failed` only if there is no other."""
        others = [url for url in self._urls if url != failed]
        return min(others or self._urls, key=self._loads.__getitem__)

    async def post(self, url: str, body: Mapping[str, Any], read: Callable[[str, Any], T]) -> tuple[T, str]:
        """Send `body` and read the answer; also the server that gave it.

        Args:
            url: server to ask first.
            body: JSON of the request.
            read: makes the result of the URL and the answer's JSON; raises `Fault` for what may pass.

        Raises:
            ContextOverflow: the server finds the prompt too long.
            ConfigError: the server does not serve this model, or refuses the request.
            InfraError: the service failed at every try.
        """
        sent = orjson.dumps(body)
        fault = ""
        for delay_s in (*self._retry_delays_s, None):
            wait_s = 0.0
            try:
                return read(url, await self._send(url, sent)), url
            except Fault as error:
                fault, wait_s = str(error), error.wait_s
            if delay_s is not None:
                await asyncio.sleep(max(delay_s, min(wait_s, _LONGEST_WAIT_S)))
                url = self.choose_url(failed=url)
        tries = len(self._retry_delays_s) + 1
        raise InfraError(f"{url} failed {tries} times, last: {fault}")

    async def _send(self, url: str, body: bytes) -> Any:
        session = await self._get_session()
        self._loads[url] += 1
        try:
            async with session.post(url, data=body, headers=self._headers) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Fault(f"{type(error).__name__} {error}".strip()) from None
        finally:
            self._loads[url] -= 1
        if response.status == _OVERLOADED or response.status >= _SERVER_ERROR:
            asked = response.headers.get("Retry-After", "")
            wait_s = float(asked) if asked.isdecimal() else 0.0
            raise Fault(f"HTTP {response.status} {_message_of(content)}", wait_s)
        if response.status >= _CLIENT_ERROR:
            raise self._refusal(url, response.status, content)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Fault(f"half an answer of {len(content)} bytes") from None

    def _refusal(self, url: str, status: int, content: bytes) -> ConfigError | ContextOverflow:
        message = _message_of(content)
        if status == _CLIENT_ERROR and _is_overflow(content):
            return ContextOverflow(message)
        if status in _NO_ACCESS:
            return ConfigError(f"{url} gives no access (HTTP {status}); check the key")
        if status == _NOT_FOUND:
            return ConfigError(f"{url} does not serve the model {self._name!r}: {message}")
        return ConfigError(f"{url} refused a request with HTTP {status}: {message}")

    async def _get_session(self) -> aiohttp.ClientSession:
        """The HTTP session of the running loop; the loop closes it when it ends, as it does all generators."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._holder = _hold_session(self._timeout)
            self._session = await anext(self._holder)
        return self._session


async def _hold_session(timeout: aiohttp.ClientTimeout) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def _error_of(content: bytes) -> dict[str, Any]:
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    error: Any = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def _message_of(content: bytes) -> str:
    text = str(_error_of(content).get("message") or content[:200].decode(errors="replace"))
    return " ".join(text.split())[:300]


def _is_overflow(content: bytes) -> bool:
    error = _error_of(content)
    known = error.get("param") == "input_tokens" or error.get("code") == "context_length_exceeded"
    return known or "maximum context length" in _message_of(content)
