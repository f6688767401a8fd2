"""What a served model makes of given ids: log-probabilities, greedy choices; and how its chat route renders a talk."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from t2t.config import EngineConfig
from t2t.errors import ConfigError
from t2t.models.engines import engine_key
from t2t.models.http import Fault, ServiceClient
from t2t.models.rendering import to_openai
from t2t.records import Message

_NUM_RIVALS = 5
"""Likeliest tokens that come back with a greedy one, as in vLLM's own comparisons of models."""
_TOKEN = len("token_id:")


class Choice(NamedTuple):
    """One greedy token."""

    token: int
    """Its id."""
    best: Mapping[int, float]
    """Natural log-probability of the likeliest tokens, itself among them, by id."""


class Scorer:
    """Asks servers of one model.

    Args:
        engine: patience with a request.
        base_urls: the servers.
        name: model name as served.
        problem: says why no server will ever answer again; empty while one may.

    Raises:
        ConfigError: the variable of the key is not set.
    """

    def __init__(
        self, engine: EngineConfig, base_urls: Sequence[str], name: str, problem: Callable[[], str] = str
    ) -> None:
        self._name = name
        self._completions, self._chat = (
            ServiceClient(
                base_urls,
                route,
                name,
                engine.request_timeout_s,
                engine.patience_s,
                key=engine_key(engine),
                problem=problem,
            )
            for route in ("completions", "chat/completions")
        )

    async def choose(self, prompt_ids: Sequence[int], max_tokens: int, stop_id: int) -> list[Choice]:
        """Go on greedily after a prompt, to the stop token or for `max_tokens`.

        Raises:
            ContextOverflow: the prompt is too long for the server.
            ConfigError: the server does not serve this model, or refuses the request.
            InfraError: the service failed until patience was spent.
        """
        fields = {
            "prompt": list(prompt_ids),
            "max_tokens": max_tokens,
            "stop_token_ids": [stop_id],
            "skip_special_tokens": False,
            "logprobs": _NUM_RIVALS,
            "return_tokens_as_token_ids": True,
        }
        return (await self._completions.post(self._body(fields), _read_choices)).value

    async def score(self, ids: Sequence[int]) -> list[float]:
        """Natural log-probability of each id but the first, after all before it; shape (n - 1,).

        Raises: as `choose`.
        """
        fields = {"prompt": list(ids), "max_tokens": 1, "prompt_logprobs": 0}

        def read(url: str, value: Any) -> list[float]:
            return _read_scores(url, value, ids)

        return (await self._completions.post(self._body(fields), read)).value

    async def render(self, messages: Sequence[Message], tools: str) -> list[int]:
        """Ids of a talk as the server's own chat template renders it; `tools` is the JSON text of the schemas.

        Raises: as `choose`.
        """
        fields = {
            "messages": [_to_wire(message) for message in messages],
            "tools": json.loads(tools),
            "tool_choice": "none",
            "add_generation_prompt": False,
            "max_tokens": 1,
            "return_token_ids": True,
        }
        return (await self._chat.post(self._body(fields), _read_prompt)).value

    def _body(self, fields: Mapping[str, Any]) -> bytes:
        return orjson.dumps({"model": self._name, "temperature": 0.0, **fields})


def _to_wire(message: Message) -> dict[str, Any]:
    """A message as the chat route takes it: arguments are JSON text."""
    plain = to_openai(message)
    for call in plain.get("tool_calls", ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return plain


def _read_choices(url: str, value: Any) -> list[Choice]:
    try:
        found = value["choices"][0]["logprobs"]
        ids = [int(token[_TOKEN:]) for token in found["tokens"]]
        best = [{int(token[_TOKEN:]): float(one) for token, one in top.items()} for top in found["top_logprobs"]]
        choices = [Choice(token, top) for token, top in zip(ids, best, strict=True)]
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        raise Fault("wrong_shape", "the reply holds no likeliest tokens") from None
    if not choices or any(token not in top for token, top in choices):
        raise Fault("wrong_shape", "the reply's likeliest tokens leave out the chosen one")
    return choices


def _read_scores(url: str, value: Any, ids: Sequence[int]) -> list[float]:
    try:
        found = value["choices"][0].get("prompt_logprobs")
        if found is None:
            raise ConfigError(f"{url} gave no log-probabilities of a prompt; serve with vLLM 0.24 or later")
        return [float(place[str(token)]["logprob"]) for token, place in zip(ids[1:], found[1:], strict=True)]
    except (TypeError, KeyError, IndexError, ValueError, AttributeError):
        raise Fault("wrong_shape", "the reply's log-probabilities are not those of the prompt") from None


def _read_prompt(url: str, value: Any) -> list[int]:
    try:
        ids = value["prompt_token_ids"]
        if ids is None:
            raise ConfigError(f"{url} gave no token ids; it needs vLLM 0.24 or later")
        return [int(token) for token in ids]
    except (TypeError, KeyError, ValueError):
        raise Fault("wrong_shape", "the reply does not hold the ids of its prompt") from None
