"""Talks with a model that vLLM serves, by token ids: a history is never tokenised twice.

The servers themselves are in `t2t.models.engines`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from t2t.config import EngineConfig, ModelConfig
from t2t.models.chat import ContextOverflow, Reply
from t2t.models.completions import CompletionClient, Sampling, ids_text
from t2t.models.engines import engine_key
from t2t.models.rendering import Renderer
from t2t.records import Message, Turn

_MAX_SEED = 2**31


class Prefixes:
    """Lets the first talk with a system prompt go ahead alone, so that those after it find it in the cache.

    Otherwise every talk of the first batch computes the same prompt, since none has been cached yet.
    """

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._cached: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def turn(self, url: str, system: str) -> AsyncGenerator[None]:
        """Wait for the first talk that begins with `system` on a server; no wait when `system` is empty."""
        key = (url, system)
        if not system or key in self._cached:
            yield
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            if key not in self._cached:
                yield
                self._cached.add(key)
                return
        yield


class VLLMSession:
    """One talk: every prompt begins with the very ids that were sent and sampled before."""

    def __init__(
        self,
        renderer: Renderer,
        client: CompletionClient,
        prefixes: Prefixes,
        sampling: Sampling,
        max_context: int,
        tools: str,
        seed: int,
    ) -> None:
        self._renderer = renderer
        self._client = client
        self._prefixes = prefixes
        self._sampling = sampling
        self._max_context = max_context
        self._tools = tools
        self._seed = seed
        self._url = ""
        self._prompt = b""
        self._num_ids = 0
        self._sampled_ids: list[int] = []
        self._num_replies = 0
        self._num_calls = 0

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the messages that came since the last reply; a failed reply can be asked for again.

        Raises:
            ContextOverflow: the prompt is longer than the context.
            ConfigError: the server does not serve this model.
            InfraError: the service failed and retries did not help.
            RunError: the server is gone for good.
        """
        if self._num_ids:
            prompt_ids = self._renderer.continue_ids(messages, self._sampled_ids)
        else:
            prompt_ids = self._renderer.prompt_ids(messages, self._tools)
        num_ids = self._num_ids + len(prompt_ids)
        room = self._max_context - num_ids
        if room < 1:
            raise ContextOverflow(f"the prompt of {num_ids} tokens leaves no room in {self._max_context}")
        prompt = b",".join((self._prompt, ids_text(prompt_ids))) if self._num_ids else ids_text(prompt_ids)
        seed = (self._seed + self._num_replies) % _MAX_SEED
        url = self._url or self._client.choose_url()
        async with self._prefixes.turn(url, messages[0].content if not self._num_ids else ""):
            answer = await self._client.complete(prompt, self._sampling, room, seed, prefer=url)
        completion, self._url = answer.value, answer.url
        self._prompt = b",".join((prompt, ids_text(completion.ids))) if completion.ids else prompt
        self._num_ids = num_ids + len(completion.ids)
        self._sampled_ids = completion.ids
        text = self._renderer.reply_text(completion.ids)
        message, problem = self._renderer.parse(text, first_call=self._num_calls + 1)
        self._num_replies += 1
        self._num_calls += len(message.tool_calls)
        turn = Turn(
            prompt_ids=tuple(prompt_ids),
            sampled_ids=tuple(completion.ids),
            finish_reason=completion.finish_reason,
            logprobs=completion.logprobs,
        )
        return Reply(message, turn, problem, answer.seconds)


class VLLMChat:
    """A `ChatModel` behind one or more vLLM servers of the same weights.

    Args:
        model: template, tokenizer and context.
        engine: patience with a request.
        base_urls: the servers; a talk stays with the one it began on, which holds its prefix.
        name: model name as served.
        max_tokens: longest turn in tokens.
        temperature: 0 is greedy.
        top_p: share of the probability that is drawn from.
        logprobs: keep the log-probability of each sampled token.
        problem: says why no server will ever answer again; empty while one may.

    Raises:
        ConfigError: template, tokenizer or `base_urls` cannot work, or the variable of the key is not set.
    """

    def __init__(
        self,
        model: ModelConfig,
        engine: EngineConfig,
        base_urls: Sequence[str],
        name: str,
        *,
        max_tokens: int,
        temperature: float,
        top_p: float = 1.0,
        logprobs: bool = False,
        problem: Callable[[], str] = str,
    ) -> None:
        self.renderer = Renderer(model.template, model.source)
        """Turns talks into the ids that are sent."""
        self._client = CompletionClient(
            base_urls,
            name,
            engine.request_timeout_s,
            engine.patience_s,
            key=engine_key(engine),
            problem=problem,
        )
        self.faults = self._client.faults
        """Faults of the servers so far, by kind; each was tried again."""
        self._prefixes = Prefixes()
        self._sampling = Sampling(max_tokens, temperature, top_p, self.renderer.stop_id, logprobs)
        self._max_context = model.max_context

    @property
    def requests(self) -> int:
        """Requests sent so far, each try counted."""
        return self._client.requests

    def open(self, tools: str, seed: int = 0) -> VLLMSession:
        """Start a talk; `tools` is the JSON text of the tool schemas, `seed` that of its sampling."""
        return VLLMSession(self.renderer, self._client, self._prefixes, self._sampling, self._max_context, tools, seed)
