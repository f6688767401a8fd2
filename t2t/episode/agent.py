"""What the agent is told, and the agents that need no model: the reference and the idle one."""

from collections.abc import Sequence

from t2t.domain.domain import Domain
from t2t.models.chat import Reply
from t2t.records import Message, Task, Turn


def system_prompt(domain: Domain) -> str:
    """System message of every talk in a domain; equal for all its tasks, so that engines cache it."""
    return f"You serve callers with the tools below and follow the policy.\n\n{domain.policy}"


def agent_view(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The talk as the agent has it: without what the caller does with tools of their own."""
    return tuple(
        message
        for message in messages
        if not (message.role == "user" and message.tool_calls)
        and not (message.result is not None and message.result.requestor == "user")
    )


class ReferenceAgent:
    """Plays a task's known answer as a talk: asks what is missing, confirms, acts, refuses with the reason."""

    def __init__(self, task: Task) -> None:
        """Take the moves of `task`."""
        self._moves = list(task.expectation.moves)

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """The next move; once all are made, a goodbye."""
        if not self._moves:
            return Reply(Message(role="assistant", content="Goodbye."), Turn())
        move = self._moves.pop(0)
        return Reply(Message(role="assistant", content=move.say, tool_calls=move.calls), Turn())


class IdleAgent:
    """Says goodbye at once and does nothing: the floor of every measure."""

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """A goodbye."""
        return Reply(Message(role="assistant", content="Thank you for calling. Goodbye."), Turn())


class RefusingAgent:
    """Refuses whatever it is asked, names every reason there is, and ends the talk."""

    def __init__(self, domain: Domain) -> None:
        """Take the reasons of `domain`."""
        reasons = [*(rule.reason for rule in domain.rules), *(one.reason for one in domain.constraints)]
        self._texts = [f"I am sorry, I can't do that: {'; '.join(dict.fromkeys(reasons))}."]

    async def reply(self, messages: Sequence[Message]) -> Reply:
        """The refusal, then a goodbye."""
        text = self._texts.pop() if self._texts else "I am sorry, I can't do that. Goodbye."
        return Reply(Message(role="assistant", content=text), Turn())
