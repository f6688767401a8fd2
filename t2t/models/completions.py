"""Token ids in, token ids out, over the completions route of vLLM servers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from t2t.errors import ConfigError
from t2t.models.http import Answer, Fault, ServiceClient

_TOKEN = len("token_id:")


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
    logprobs: bool = False
    """Whether the log-probabilities of the sampled ids come back."""


class Completion(NamedTuple):
    """What a model sampled."""

    ids: list[int]
    """Sampled ids, stop token included; shape (n,)."""
    finish_reason: str
    """``stop`` or ``length``."""
    logprobs: tuple[float, ...] = ()
    """Natural log-probability of each id before temperature; shape (n,), or empty where none was asked for."""


class CompletionClient:
    """Sends prompts to one of several equal servers.

    Args:
        base_urls: addresses such as ``http://127.0.0.1:8000``, with or without ``/v1``.
        name: model name as served.
        timeout_s: longest wait for one reply.
        patience_s: how long a request is tried again after its first fault.
        key: sent as bearer; empty sends none.
        problem: says why no server will ever answer again; empty while one may.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        name: str,
        timeout_s: float,
        patience_s: float,
        *,
        key: str = "",
        problem: Callable[[], str] = str,
    ) -> None:
        if not base_urls:
            raise ConfigError("engine.base_urls is empty; name a server such as http://127.0.0.1:8000")
        self._name = name
        self._client = ServiceClient(base_urls, "completions", name, timeout_s, patience_s, key=key, problem=problem)
        self._heads: dict[Sampling, bytes] = {}
        self.faults = self._client.faults
        """Faults of the servers so far, by kind; each was tried again."""

    @property
    def requests(self) -> int:
        """Requests sent so far, further tries included."""
        return self._client.requests

    def choose_url(self) -> str:
        """The server to begin a talk with."""
        return self._client.choose_url()

    async def complete(
        self, prompt: bytes, sampling: Sampling, max_tokens: int, seed: int, prefer: str = ""
    ) -> Answer[Completion]:
        """Sample a reply; the answer names the server that gave it, which holds its prefix cache.

        Args:
            prompt: all of its ids, as `ids_text` writes them.
            sampling: how to draw.
            max_tokens: longest reply where less than ``sampling.max_tokens`` is left.
            seed: seed of the drawing, below 2**31.
            prefer: server to ask while it is up.

        Raises:
            ContextOverflow: the server finds the prompt too long.
            ConfigError: the server does not serve this model, or refuses the request.
            InfraError: the service failed until patience was spent.
            RunError: no server will ever answer again.
        """
        head = self._heads.get(sampling)
        if head is None:
            head = self._heads[sampling] = self._head(sampling)
        limit = min(max_tokens, sampling.max_tokens)
        body = b'%b"max_tokens":%d,"seed":%d,"prompt":[%b]}' % (head, limit, seed, prompt)
        return await self._client.post(body, _read_with_logprobs if sampling.logprobs else _read, prefer)

    def _head(self, sampling: Sampling) -> bytes:
        """The part of a request that is the same for all of a client, up to its last comma."""
        fields: dict[str, Any] = {
            "model": self._name,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop_token_ids": [sampling.stop_id],
            "skip_special_tokens": False,
        }
        # With return_token_ids the whole prompt would come back as well; the log-probabilities name their ids.
        if sampling.logprobs:
            fields |= {"logprobs": 0, "return_tokens_as_token_ids": True}
        else:
            fields["return_token_ids"] = True
        return orjson.dumps(fields)[:-1] + b","


def ids_text(ids: list[int]) -> bytes:
    """JSON text of ids without the brackets, so that a talk appends to what it has sent."""
    return orjson.dumps(ids)[1:-1]


def _read(url: str, value: Any) -> Completion:
    choice, reason = _choice(value)
    ids = choice.get("token_ids")
    if ids is None and isinstance(choice.get("text"), str):
        raise ConfigError(f"{url} gave no token ids; engine.base_urls needs vLLM 0.24 or later")
    if not isinstance(ids, list) or not set(map(type, ids)) <= {int}:
        raise Fault("wrong_shape", "the reply's token ids are no list of integers")
    return Completion(ids, reason)


def _read_with_logprobs(url: str, value: Any) -> Completion:
    choice, reason = _choice(value)
    if choice.get("logprobs") is None and isinstance(choice.get("text"), str):
        raise ConfigError(f"{url} gave no log-probabilities; set logprobs=false, or serve with vLLM 0.24 or later")
    try:
        found = choice["logprobs"]
        logprobs = tuple(found["token_logprobs"])
        ids = [int(token[_TOKEN:]) for token in found["tokens"]]
    except (TypeError, KeyError, ValueError):
        raise Fault("wrong_shape", "the reply's log-probabilities do not name their token ids") from None
    if len(ids) != len(logprobs) or not set(map(type, logprobs)) <= {float, int}:
        raise Fault("wrong_shape", f"the reply holds {len(ids)} ids and other log-probabilities")
    return Completion(ids, reason, logprobs)


def _choice(value: Any) -> tuple[dict[str, Any], str]:
    """The one choice of a reply, and why it ended."""
    try:
        choice: Any = value["choices"][0]
        reason: Any = choice["finish_reason"]
    except (TypeError, KeyError, IndexError):
        raise Fault("wrong_shape", "the reply is no completion") from None
    if reason in ("stop", "length"):
        return choice, reason
    if reason in ("abort", "error"):
        raise Fault("aborted", f"the reply ended with {reason}")
    raise Fault("wrong_shape", "the reply does not say why it ended")
