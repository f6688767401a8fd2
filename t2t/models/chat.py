"""What the conversation loop asks of a model."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from t2t.errors import T2TError
from t2t.records import Message, Turn


class ContextOverflow(T2TError):
    """The next prompt does not fit the model's context; an end of the talk, not a fault."""


class Reply(NamedTuple):
    """One turn of a model."""

    message: Message
    """The assistant message: text, calls or both."""
    turn: Turn
    """Its tokens; empty for models that show none."""
    problem: str = ""
    """Why a call in the text could not be read, for the agent; empty when all is well."""
    seconds: float = 0.0
    """How long the try took that gave it; tries that a fault of the service ended are not counted."""


class ChatSession(Protocol):
    """One talk with a model, which keeps the history as it was sent and sampled."""

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the messages that came since the last reply.

        Raises:
            ContextOverflow: the prompt is longer than the context.
            InfraError: the service failed and retries did not help.
        """
        ...


class ChatModel(Protocol):
    """A model that talks."""

    def open(self, tools: str, seed: int = 0) -> ChatSession:
        """Start a talk; `tools` is the JSON text of the tool schemas, `seed` that of its sampling, below 2**31."""
        ...
