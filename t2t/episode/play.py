"""The one conversation loop: an agent, a caller and an environment play a task.

What the model does wrong is data: a malformed call goes back to it as an error, an endless talk and
a full context end the episode with their `StopReason`. What a service does wrong raises `InfraError`
and leaves no record. What a domain does wrong raises as it is and stops the stage.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from t2t.config import TalkConfig
from t2t.domain.environment import Environment
from t2t.domain.rule import Rule
from t2t.episode.agent import system_prompt
from t2t.episode.user import ScriptedSimulator, UserSimulator, UserTurn
from t2t.models.chat import ChatSession, ContextOverflow
from t2t.records import Message, Rollout, StopReason, Task, ToolCall, ToolResult, Turn, UserAction
from t2t.verify.verifier import Talk, verify

_MAX_ACTIONS = 12
"""Uses of their tools that a caller may make before they speak."""

T = TypeVar("T")


class Limits(NamedTuple):
    """Bounds of one talk; 0 is no bound."""

    max_turns: int
    """Agent turns."""
    max_errors: int
    """Refused or malformed calls in a row."""
    max_tokens: int = 0
    """Tokens that the agent samples in all."""
    max_seconds: float = 0.0
    """Time that the agent and the tools take; neither a service that fails counts nor the caller."""
    tool_seconds: float = 0.0
    """Time that one call may take."""


def limits_of(settings: TalkConfig) -> Limits:
    """Bounds as they are configured."""
    return Limits(
        max_turns=settings.max_turns,
        max_errors=settings.max_errors,
        max_tokens=settings.max_talk_tokens,
        max_seconds=settings.max_seconds,
        tool_seconds=settings.tool_seconds,
    )


async def play(
    task: Task,
    agent: str,
    attempt: int,
    session: ChatSession,
    environment: Environment,
    limits: Limits,
    user: UserSimulator | None = None,
) -> Rollout:
    """Play `task` once and judge it.

    Args:
        task: The task.
        agent: Name of the agent in the record.
        attempt: Number of this attempt, from 0.
        session: A fresh talk with the agent.
        environment: A fresh environment on the task's data.
        limits: Bounds of the talk.
        user: Plays the caller; the scripted one where none is given.

    Raises:
        InfraError: the service of the agent or of the caller failed; nothing was recorded, the attempt is owed.
    """
    user = user or ScriptedSimulator(task.scenario, task.id)
    talk = _Talk(environment, limits)
    system = Message(role="system", content=system_prompt(environment.domain))
    messages = talk.messages
    messages.append(system)
    said = await talk.hear(user, await user.open())
    new = [system, Message(role="user", content=said.text)]
    messages.append(new[-1])
    turns: list[Turn] = []
    agreed: list[int] = []
    stop_reason = StopReason.USER_FAILED if said.failed else None
    while stop_reason is None:
        try:
            reply = await session.reply(new)
        except ContextOverflow:
            stop_reason = StopReason.CONTEXT_OVERFLOW
            break
        done = False
        messages.append(reply.message)
        turns.append(reply.turn)
        talk.seconds += reply.seconds
        talk.tokens += len(reply.turn.sampled_ids)
        if reply.problem or reply.message.tool_calls:
            new = await talk.call_tools(reply.message.tool_calls, reply.problem)
        else:
            said = await talk.hear(user, await user.answer(reply.message.content))
            if said.failed:
                stop_reason = StopReason.USER_FAILED
                break
            done = said.done
            if said.agrees:
                talk.confirmed = True
                agreed.append(len(messages))
            new = [Message(role="user", content=said.text)]
        messages.extend(new)
        stop_reason = StopReason.USER_DONE if done else talk.exhausted(len(turns))
    final_hash = await _apart(environment, environment.state_hash)
    failed = await _apart(environment, lambda: environment.failed(task.expectation.assertions))
    outcome = Talk(tuple(messages), stop_reason, final_hash, tuple(dict.fromkeys(talk.broken)), failed)
    return Rollout(
        id=f"{task.id}/{agent}/{attempt}",
        task_id=task.id,
        domain=task.domain,
        intent=task.intent,
        agent=agent,
        attempt=attempt,
        messages=outcome.messages,
        turns=tuple(turns) if any(turn.sampled_ids for turn in turns) else (),
        stop_reason=stop_reason,
        final_hash=final_hash,
        reward=verify(task, outcome),
        user_faults=tuple(user.faults),
        agreed=tuple(agreed),
    )


class _Talk:
    """What a talk has come to so far."""

    def __init__(self, environment: Environment, limits: Limits) -> None:
        self.messages: list[Message] = []
        self.broken: list[str] = []
        self.confirmed = False
        self.seconds = 0.0
        self.tokens = 0
        self._environment = environment
        self._limits = limits
        self._errors = 0

    def exhausted(self, num_turns: int) -> StopReason | None:
        """The bound that the talk has reached, if any."""
        limits = self._limits
        if self._errors >= limits.max_errors > 0:
            return StopReason.MAX_ERRORS
        if self.tokens >= limits.max_tokens > 0:
            return StopReason.MAX_TOKENS
        if self.seconds >= limits.max_seconds > 0:
            return StopReason.TIMEOUT
        return StopReason.MAX_TURNS if num_turns >= limits.max_turns > 0 else None

    async def call_tools(self, calls: Sequence[ToolCall], problem: str) -> list[Message]:
        """The results of the agent's calls, and that of a call that could not be read."""
        made: list[Message] = []
        if problem:
            self._errors += 1
            text = f"Error: {problem}"
            result = ToolResult(call_id="", name="", content=text, is_error=True, error="malformed")
            made.append(Message(role="tool", content=text, result=result))
        for call in calls:
            result, rules = await self._answer(call, self.confirmed)
            self.broken.extend(rule.clause for rule in rules)
            self._errors = self._errors + 1 if result.is_error else 0
            tool = self._environment.domain.tool_by_name.get(call.name)
            if tool is not None and tool.writes and not result.is_error:
                self.confirmed = False
            made.append(Message(role="tool", content=result.content, result=result))
        return made

    async def hear(self, user: UserSimulator, turn: UserTurn) -> UserTurn:
        """Let the caller use their tools until they speak; calls and results go into the messages."""
        for _ in range(_MAX_ACTIONS):
            if not turn.actions:
                return turn
            results = await self._act(turn.actions)
            turn = await user.tell_results(turn.actions, results)
        return UserTurn("", failed=True)

    async def _act(self, actions: Sequence[UserAction]) -> list[ToolResult]:
        """What the caller does with tools of their own; asking for it may break clauses."""
        number = len(self.messages)
        calls = tuple(
            action.call.model_copy(update={"id": f"user_{number}_{place}"}) for place, action in enumerate(actions)
        )
        self.messages.append(Message(role="user", content="", tool_calls=calls))
        results: list[ToolResult] = []
        for call in calls:
            result, rules = await self._answer(call, None)
            self.broken.extend(rule.clause for rule in rules)
            results.append(result)
            self.messages.append(Message(role="tool", content=result.content, result=result))
        return results

    async def _answer(self, call: ToolCall, confirmed: bool | None) -> tuple[ToolResult, tuple[Rule, ...]]:
        started = time.monotonic()
        answer = await _apart(
            self._environment, lambda: self._environment.answer(call, confirmed, self._limits.tool_seconds)
        )
        self.seconds += time.monotonic() - started
        return answer


async def _apart(environment: Environment, work: Callable[[], T]) -> T:
    """Result of `work`; in a thread where the domain waits for a server of its own, so that other talks go on."""
    if environment.domain.forks or not _in_event_loop():
        return work()
    return await asyncio.to_thread(work)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
