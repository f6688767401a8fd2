"""Talks with a model behind any OpenAI-compatible endpoint, for callers that a model plays.

Text and calls travel as the endpoint has them; no token ids come back, so such a model is not trained.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from t2t.config import ApiConfig
from t2t.errors import ConfigError
from t2t.models.chat import Reply
from t2t.models.http import Fault, ServiceClient, read_key
from t2t.models.rendering import to_openai
from t2t.records import Message, ToolCall, Turn

_MAX_SEED = 2**31


class _Received(NamedTuple):
    message: Message
    problem: str
    finish_reason: str


class ApiChat:
    """A `ChatModel` behind the chat completions route.

    Args:
        settings: endpoint, model name, key and sampling.

    Raises:
        ConfigError: no endpoint or no model is named, or the variable of the key is not set.
    """

    def __init__(self, settings: ApiConfig) -> None:
        if not settings.base_urls or not settings.model:
            raise ConfigError("an endpoint needs base_urls, such as [http://127.0.0.1:8000], and model")
        self._settings = settings
        self._client = ServiceClient(
            settings.base_urls,
            "chat/completions",
            settings.model,
            settings.request_timeout_s,
            settings.patience_s,
            key=read_key(settings.api_key_env),
        )
        self._heads: dict[str, bytes] = {}
        self.faults = self._client.faults
        """Faults of the endpoint so far, by kind; each was tried again."""

    @property
    def requests(self) -> int:
        """Requests sent so far, further tries included."""
        return self._client.requests

    def open(self, tools: str, seed: int = 0) -> "ApiSession":
        """Start a talk; `tools` is the JSON text of the tool schemas, `seed` that of its sampling."""
        if tools not in self._heads:
            self._heads[tools] = self._head(tools)
        return ApiSession(self._client, self._heads[tools], seed, seeded="seed" not in self._settings.args)

    def _head(self, tools: str) -> bytes:
        """The part of a request that all talks with the same tools share, up to its last comma."""
        schemas: list[Any] = orjson.loads(tools) if tools else []
        fields: dict[str, Any] = {
            "model": self._settings.model,
            "max_tokens": self._settings.max_tokens,
            "temperature": self._settings.temperature,
            **({"tools": schemas} if schemas else {}),
            **self._settings.args,
        }
        return orjson.dumps(fields)[:-1] + b","


class ApiSession:
    """One talk; the whole history travels with every request, as the very bytes that were sent before."""

    def __init__(self, client: ServiceClient, head: bytes, seed: int, *, seeded: bool) -> None:
        """Begin without messages; `head` is the part of each request before its seed and messages."""
        self._client = client
        self._head = head
        self._seed = seed
        self._seeded = seeded
        self._history = b""
        self._num_replies = 0
        self._url = ""

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the messages that came since the last reply; a failed reply can be asked for again.

        Raises:
            ContextOverflow: the endpoint finds the history too long.
            ConfigError: the endpoint does not serve this model, or refuses the request.
            InfraError: the service failed and retries did not help.
        """
        history = _join(self._history, *map(_to_wire, messages))
        seed = b'"seed":%d,' % ((self._seed + self._num_replies) % _MAX_SEED) if self._seeded else b""
        body = b'%b%b"messages":[%b]}' % (self._head, seed, history)
        answer = await self._client.post(body, _read, prefer=self._url or self._client.choose_url())
        received, self._url = answer.value, answer.url
        self._history = _join(history, _to_wire(received.message))
        self._num_replies += 1
        return Reply(received.message, Turn(finish_reason=received.finish_reason), received.problem, answer.seconds)


def _join(history: bytes, *messages: bytes) -> bytes:
    return b",".join((history, *messages) if history else messages)


def _to_wire(message: Message) -> bytes:
    """A message as the route takes it: arguments are JSON text."""
    if not message.tool_calls and message.result is None:
        return b'{"role":"%b","content":%b}' % (message.role.encode(), orjson.dumps(message.content))
    plain = to_openai(message)
    for call in plain.get("tool_calls", ()):
        call["function"]["arguments"] = orjson.dumps(call["function"]["arguments"]).decode()
    return orjson.dumps(plain)


def _read(url: str, value: Any) -> _Received:
    try:
        choice: Any = value["choices"][0]
        reason: Any = choice.get("finish_reason")
        content: Any = choice["message"].get("content")
        made: list[tuple[Any, Any, Any]] = [
            (call["id"], call["function"]["name"], call["function"].get("arguments") or "{}")
            for call in choice["message"].get("tool_calls") or ()
        ]
    except (TypeError, KeyError, IndexError, AttributeError):
        raise Fault("wrong_shape", f"{url} gave no chat completion") from None
    texts = [content or "", reason or "", *(one for call in made for one in call)]
    if not all(isinstance(text, str) for text in texts):
        raise Fault("wrong_shape", f"{url} gave a chat completion whose texts are none")
    if reason in ("abort", "error"):
        raise Fault("aborted", f"the reply ended with {reason}")
    calls: list[ToolCall] = []
    problem = ""
    for identity, name, text in made:
        try:
            arguments: Any = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problem = f"the arguments of {name} are no JSON: {error}"
            continue
        if not isinstance(arguments, dict):
            problem = f"the arguments of {name} are no object"
            continue
        calls.append(ToolCall(id=identity, name=name, arguments=arguments))
    message = Message(role="assistant", content=(content or "").strip(), tool_calls=tuple(calls))
    return _Received(message, problem, reason or "")
