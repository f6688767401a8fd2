"""Answers in a given form from a model behind the chat completions route, each paid for once.

The form is a pydantic record; the model gets its JSON schema, and what comes back is read into the
record or says why it cannot be. Answers are kept in a journal as they came, so that a second run
asks for nothing it has.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from t2t.config import ApiConfig
from t2t.journal import Journal, key_of
from t2t.models.api import ApiChat
from t2t.models.chat import ContextOverflow
from t2t.records import Message

T = TypeVar("T", bound=BaseModel)
Item = TypeVar("Item")
Result = TypeVar("Result")

TRUNCATED = "the answer is cut off"
"""Reason of a `Malformed` that reached the longest reply."""

_MAX_SEED = 2**31
_WINDOW = 4


class Malformed(NamedTuple):
    """An answer that is not what was asked for."""

    reason: str
    """Why, for counting."""
    text: str
    """The answer as it came."""


class Ask(Protocol):
    """Asks a model for a record, as `StructuredClient.ask` does."""

    async def __call__(self, messages: Sequence[Message], form: type[T], seed: int) -> "T | Malformed":
        """Ask once."""
        ...


class StructuredClient:
    """A model that answers in records.

    Args:
        api: endpoint, model name, key and sampling.
        name: hash of all that decides an answer beside question and seed; see `t2t.models.use.Served`.
        journal: what was answered before.

    Raises:
        ConfigError: no endpoint or no model is named, or the variable of the key is not set.
    """

    def __init__(self, api: ApiConfig, name: str, journal: Journal) -> None:
        self._api = api
        self._name = name
        self._journal = journal
        self._chats: dict[type[BaseModel], ApiChat] = {}
        # What is wrong with the settings is said now, not at the first question.
        ApiChat(api)

    async def ask(self, messages: Sequence[Message], form: type[T], seed: int) -> T | Malformed:
        """The answer to `messages` in this form.

        Args:
            messages: the whole talk.
            form: closed record; every field of it must be required, for some endpoints take no other schema.
            seed: seed of the sampling.

        Raises:
            ConfigError: the endpoint does not serve this model, gives no access or refuses the request.
            InfraError: the service failed and retries did not help.
        """
        schema = form.model_json_schema()
        seed %= _MAX_SEED
        key = key_of(["structured", self._name, schema, [one.model_dump(mode="json") for one in messages], seed])
        kept = self._journal.get(key)
        if not isinstance(kept, dict):
            try:
                reply = await self._chat(form).open("", seed).reply(messages)
            except ContextOverflow:
                return Malformed("the question does not fit the context", "")
            kept = dict[str, JsonValue](text=reply.message.content, finish_reason=reply.turn.finish_reason)
            self._journal.put(key, kept)
        return _read(form, str(kept["text"]), str(kept["finish_reason"]))

    def _chat(self, form: type[BaseModel]) -> ApiChat:
        if form not in self._chats:
            schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": True}
            args = {**self._api.args, "response_format": {"type": "json_schema", "json_schema": schema}}
            self._chats[form] = ApiChat(self._api.model_copy(update={"args": args}))
        return self._chats[form]


def _read(form: type[T], text: str, finish_reason: str) -> T | Malformed:
    if finish_reason == "length":
        return Malformed(TRUNCATED, text)
    try:
        return form.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Malformed(f"{where}: {first['msg']}" if where else "the answer is no JSON", text)


def in_order(items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], concurrency: int) -> Iterator[Result]:
    """The results of `work` on each item, in the order of the items.

    Items are taken as they are needed: a few more than `concurrency`, so that one slow item holds up none.
    Requests rest while the one who iterates is busy.

    Args:
        items: taken one by one, outside of the event loop.
        work: is awaited at most `concurrency` times at once.
        concurrency: at least 1.
    """
    slots = asyncio.Semaphore(concurrency)

    async def limited(item: Item) -> Result:
        async with slots:
            return await work(item)

    async def wait_for(task: asyncio.Task[Result]) -> Result:
        return await task

    source = iter(items)
    waiting: deque[asyncio.Task[Result]] = deque()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        try:
            while True:
                room = _WINDOW * concurrency - len(waiting)
                waiting.extend(loop.create_task(limited(item)) for item in islice(source, room))
                if not waiting:
                    return
                yield runner.run(wait_for(waiting.popleft()))
        finally:
            # Who stops at one failure has seen enough: asyncio need not complain of the others.
            for task in waiting:
                if task.done():
                    task.exception()
