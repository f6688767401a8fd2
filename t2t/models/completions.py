"""Token ids in, token ids out, over the completions route of vLLM servers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from t2t.errors import ConfigError
from t2t.models.http import RETRY_DELAYS_S, Fault, ServiceClient


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
        urls = [f"{url.rstrip('/').removesuffix('/v1')}/v1/completions" for url in base_urls]
        self.faults = Counter[str]()
        """Faults of the servers so far, by kind; each was tried again."""
        self._client = ServiceClient(urls, name, timeout_s, retry_delays_s)

    def choose_url(self) -> str:
        """The server with the fewest requests under way."""
        return self._client.choose_url()

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
        body = {
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
        return await self._client.post(url, body, _read)


def _read(url: str, value: Any) -> Completion:
    try:
        choice = _Answer.model_validate(value).choices[0]
    except (ValidationError, IndexError):
        raise ConfigError(f"{url} gave no token ids; engine.base_urls needs vLLM 0.24 or later") from None
    if choice.finish_reason in ("abort", "error"):
        raise Fault(f"the reply ended with {choice.finish_reason}")
    return Completion(choice.token_ids, choice.finish_reason)
