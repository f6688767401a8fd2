"""A model whose replies are kept, so that an interrupted run pays for none of them twice."""

from collections.abc import Sequence
from typing import cast

from pydantic import BaseModel, JsonValue

from t2t.journal import Journal, key_of
from t2t.models.chat import ChatModel, ChatSession, Reply
from t2t.records import Message, Turn

_MAX_SEED = 2**31


class _Kept(BaseModel):
    """A reply as the journal has it."""

    message: Message
    turn: Turn
    problem: str


class JournaledChat:
    """A `ChatModel` that asks `model` only for what `journal` does not hold.

    Args:
        model: answers what is not there.
        journal: takes each reply as it comes.
        name: model and sampling settings: all that decides a reply beside the talk and its seed.
    """

    def __init__(self, model: ChatModel, journal: Journal, name: str) -> None:
        self._model = model
        self._journal = journal
        self._name = name

    def open(self, tools: str, seed: int = 0) -> "JournaledSession":
        """Start a talk; `tools` is the JSON text of the tool schemas, `seed` that of its sampling, below 2**31."""
        return JournaledSession(self._model, self._journal, self._name, tools, seed)


class JournaledSession:
    """One talk, each of whose replies is found by the name, the tools, the seed and every message before it.

    Where the talk goes on past what is kept, the model is handed all of it at once, with the seed that
    this reply would have had.
    """

    def __init__(self, model: ChatModel, journal: Journal, name: str, tools: str, seed: int) -> None:
        self._model = model
        self._journal = journal
        self._tools = tools
        self._seed = seed
        self._key = key_of([name, tools, seed])
        self._session: ChatSession | None = None
        self._unsaid: list[Message] = []
        self._num_replies = 0

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the messages that came since the last reply; a failed reply can be asked for again.

        Raises:
            ContextOverflow: the talk is longer than the model's context.
            InfraError: the service failed and retries did not help; the replies before it are kept.
        """
        key = key_of([self._key, [message.model_dump(mode="json") for message in messages]])
        unsaid = [*self._unsaid, *messages]
        reply = self._find(key) if self._session is None else None
        if reply is None:
            if self._session is None:
                self._session = self._model.open(self._tools, (self._seed + self._num_replies) % _MAX_SEED)
            reply = await self._session.reply(unsaid)
            kept = _Kept(message=reply.message, turn=reply.turn, problem=reply.problem)
            self._journal.put(key, cast(JsonValue, kept.model_dump(mode="json")))
            self._unsaid = []
        else:
            self._unsaid = [*unsaid, reply.message]
        self._key = key_of([key, reply.message.model_dump(mode="json")])
        self._num_replies += 1
        return reply

    def _find(self, key: str) -> Reply | None:
        value = self._journal.get(key)
        if value is None:
            return None
        kept = _Kept.model_validate(value)
        return Reply(kept.message, kept.turn, kept.problem)
