"""Token ids in, token ids out, over the completions route of vLLM servers.

What a service does wrong (gone, slow, overloaded, half an answer) is tried again and ends in
`InfraError`; what a setting does wrong is a `ConfigError`, and is not tried again.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, NamedTuple

import aiohttp
import orjson
from pydantic import BaseModel, ValidationError

from t2t.errors import ConfigError, InfraError
from t2t.models.chat import ContextOverflow

RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before each further try of a request."""

_OVERLOADED = 429
_CLIENT_ERROR = 400
_NOT_FOUND = 404
_SERVER_ERROR = 500


class Sampling(NamedTuple):
    """How replies are drawn."""

    max_tokens: int
    """Longest reply in tokens."""
    temperature: float
    """0 is greedy."""
    top_p: float
    """Share of the probability that is drawn from."""
    stop_id: int
    """Token that ends a reply."""


class Completion(NamedTuple):
    """What a model sampled."""

    ids: list[int]
    """Sampled ids, stop token included; shape (n,)."""
    finish_reason: str
    """``stop`` or ``length``."""


class _Choice(BaseModel):
    token_ids: list[int]
    finish_reason: Literal["stop", "length", "abort", "error"]


class _Answer(BaseModel):
    choices: list[_Choice]


class _Fault(Exception):
    """A fault of the service that may pass; the text says what it was."""


class CompletionClient:
    """Sends prompts to one of several equal servers.

    Args:
        base_urls: addresses such as ``http://127.0.0.1:8000``, with or without ``/v1``.
        name: model name as served.
        timeout_s: longest wait for one reply.
        retry_delays_s: waits before each further try.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        name: str,
        timeout_s: float,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        if not base_urls:
            raise ConfigError("engine.base_urls is empty; name a server such as http://127.0.0.1:8000")
        self._name = name
        self._urls = [f"{url.rstrip('/').removesuffix('/v1')}/v1/completions" for url in base_urls]
        self._loads = dict.fromkeys(self._urls, 0)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._retry_delays_s = tuple(retry_delays_s)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[aiohttp.ClientSession] | None = None
        self._session: aiohttp.ClientSession | None = None

    def choose_url(self, failed: str = "") -> str:
        """The server with the fewest requests under way; `failed` only if there is no other."""
        others = [url for url in self._urls if url != failed]
        return min(others or self._urls, key=self._loads.__getitem__)

    async def complete(self, url: str, ids: Sequence[int], sampling: Sampling, seed: int) -> tuple[Completion, str]:
        """Sample a reply to the prompt `ids`; also the server that gave it, which holds its prefix cache.

        Args:
            url: server to ask first.
            ids: the whole prompt.
            sampling: how to draw.
            seed: seed of the drawing, below 2**31.

        Raises:
            ContextOverflow: the server finds the prompt too long.
            ConfigError: the server does not serve this model, or refuses the request.
            InfraError: the service failed at every try.
        """
        body = orjson.dumps(
            {
                "model": self._name,
                "prompt": list(ids),
                "max_tokens": sampling.max_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": seed,
                "stop_token_ids": [sampling.stop_id],
                "return_token_ids": True,
                "skip_special_tokens": False,
            }
        )
        fault = ""
        for delay_s in (*self._retry_delays_s, None):
            try:
                return await self._send(url, body), url
            except _Fault as error:
                fault = str(error)
            if delay_s is not None:
                await asyncio.sleep(delay_s)
                url = self.choose_url(failed=url)
        tries = len(self._retry_delays_s) + 1
        raise InfraError(f"{url} failed {tries} times, last: {fault}")

    async def _send(self, url: str, body: bytes) -> Completion:
        session = await self._get_session()
        self._loads[url] += 1
        try:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Fault(f"{type(error).__name__} {error}".strip()) from None
        finally:
            self._loads[url] -= 1
        if response.status == _OVERLOADED or response.status >= _SERVER_ERROR:
            raise _Fault(f"HTTP {response.status} {_message_of(content)}")
        if response.status >= _CLIENT_ERROR:
            raise self._refusal(url, response.status, content)
        return _read(url, content)

    def _refusal(self, url: str, status: int, content: bytes) -> ConfigError | ContextOverflow:
        message = _message_of(content)
        if status == _CLIENT_ERROR and _is_overflow(content):
            return ContextOverflow(message)
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


def _read(url: str, content: bytes) -> Completion:
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise _Fault(f"half an answer of {len(content)} bytes") from None
    try:
        choice = _Answer.model_validate(value).choices[0]
    except (ValidationError, IndexError):
        raise ConfigError(f"{url} gave no token ids; engine.base_urls needs vLLM 0.24 or later") from None
    if choice.finish_reason in ("abort", "error"):
        raise _Fault(f"the reply ended with {choice.finish_reason}")
    return Completion(choice.token_ids, choice.finish_reason)


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
    return _error_of(content).get("param") == "input_tokens" or "maximum context length" in _message_of(content)
