"""Talks with a model behind any OpenAI-compatible endpoint, for callers that a model plays.

Text and calls travel as the endpoint has them; no token ids come back, so such a model is not trained.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, JsonValue, ValidationError

from t2t.config import ApiConfig
from t2t.errors import ConfigError
from t2t.models.chat import Reply
from t2t.models.http import RETRY_DELAYS_S, Fault, ServiceClient
from t2t.models.rendering import to_openai
from t2t.records import Message, ToolCall, Turn

_MAX_SEED = 2**31


class _Function(BaseModel):
    name: str
    arguments: str = "{}"


class _Call(BaseModel):
    id: str
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Answer(BaseModel):
    choices: list[_Choice]


class _Received(NamedTuple):
    message: Message
    problem: str
    finish_reason: str


class ApiChat:
    """A `ChatModel` behind the chat completions route.

    Args:
        settings: endpoint, model name, key and sampling.
        retry_delays_s: waits before each further try.

    Raises:
        ConfigError: no endpoint or no model is named, or the variable of the key is not set.
    """

    def __init__(self, settings: ApiConfig, retry_delays_s: Sequence[float] = RETRY_DELAYS_S) -> None:
        if not settings.base_urls or not settings.model:
            raise ConfigError("an endpoint needs base_urls, such as [http://127.0.0.1:8000], and model")
        headers: dict[str, str] = {}
        if settings.api_key_env:
            key = os.environ.get(settings.api_key_env, "")
            if not key:
                raise ConfigError(f"api_key_env={settings.api_key_env}: that variable is not set")
            headers["Authorization"] = f"Bearer {key}"
        urls = [f"{url.rstrip('/').removesuffix('/v1')}/v1/chat/completions" for url in settings.base_urls]
        self._settings = settings
        self._client = ServiceClient(urls, settings.model, settings.request_timeout_s, retry_delays_s, headers)

    def open(self, tools: str, seed: int = 0) -> "ApiSession":
        """Start a talk; `tools` is the JSON text of the tool schemas, `seed` that of its sampling."""
        return ApiSession(self._client, self._settings, tools, seed)


class ApiSession:
    """One talk; the whole history travels with every request."""

    def __init__(self, client: ServiceClient, settings: ApiConfig, tools: str, seed: int) -> None:
        """Begin without messages."""
        self._client = client
        self._settings = settings
        self._tools: list[JsonValue] = orjson.loads(tools) if tools else []
        self._seed = seed
        self._history: list[Mapping[str, Any]] = []
        self._num_replies = 0
        self._url = ""

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the messages that came since the last reply; a failed reply can be asked for again.

        Raises:
            ContextOverflow: the endpoint finds the history too long.
            ConfigError: the endpoint does not serve this model, or refuses the request.
            InfraError: the service failed and retries did not help.
        """
        history = [*self._history, *map(_to_wire, messages)]
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": history,
            "max_tokens": self._settings.max_tokens,
            "temperature": self._settings.temperature,
            "seed": (self._seed + self._num_replies) % _MAX_SEED,
            **({"tools": self._tools} if self._tools else {}),
            **self._settings.args,
        }
        received, self._url = await self._client.post(self._url or self._client.choose_url(), body, _read)
        self._history = [*history, _to_wire(received.message)]
        self._num_replies += 1
        return Reply(received.message, Turn(finish_reason=received.finish_reason), received.problem)


def _to_wire(message: Message) -> dict[str, Any]:
    """A message as the route takes it: arguments are JSON text."""
    plain = to_openai(message)
    for call in plain.get("tool_calls", ()):
        call["function"]["arguments"] = orjson.dumps(call["function"]["arguments"]).decode()
    return plain


def _read(url: str, value: Any) -> _Received:
    try:
        choice = _Answer.model_validate(value).choices[0]
    except (ValidationError, IndexError):
        raise Fault(f"{url} gave no chat completion") from None
    calls: list[ToolCall] = []
    problem = ""
    for call in choice.message.tool_calls or ():
        try:
            arguments: Any = orjson.loads(call.function.arguments or "{}")
        except orjson.JSONDecodeError as error:
            problem = f"the arguments of {call.function.name} are no JSON: {error}"
            continue
        if not isinstance(arguments, dict):
            problem = f"the arguments of {call.function.name} are no object"
            continue
        calls.append(ToolCall(id=call.id, name=call.function.name, arguments=arguments))
    message = Message(role="assistant", content=(choice.message.content or "").strip(), tool_calls=tuple(calls))
    return _Received(message, problem, choice.finish_reason or "")
