"""The one conversation loop: an agent, a caller and an environment play a task.

What the model does wrong is data: a malformed call goes back to it as an error, an endless talk and
a full context end the episode with their `StopReason`. What a service does wrong raises `InfraError`
and leaves no record. What a domain does wrong raises as it is and stops the stage.
"""

from collections.abc import Sequence
from typing import NamedTuple

from t2t.domain.environment import Environment
from t2t.episode.agent import system_prompt
from t2t.episode.user import ScriptedSimulator, UserSimulator, UserTurn
from t2t.models.chat import ChatSession, ContextOverflow
from t2t.records import Message, Rollout, StopReason, Task, ToolResult, Turn, UserAction
from t2t.verify.verifier import Talk, verify

_MAX_ACTIONS = 12
"""Uses of their tools that a caller may make before they speak."""


class Limits(NamedTuple):
    """Bounds of one talk."""

    max_turns: int
    """Agent turns."""
    max_errors: int
    """Refused or malformed calls in a row."""


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
    system = Message(role="system", content=system_prompt(environment.domain))
    messages: list[Message] = [system]
    turn = await _act(user, await user.open(), environment, messages, [])
    new = [system, Message(role="user", content=turn.text)]
    messages.append(new[-1])
    turns: list[Turn] = []
    broken: list[str] = []
    confirmed = False
    errors = 0
    stop_reason = StopReason.USER_FAILED if turn.failed else StopReason.MAX_TURNS
    for _ in range(0 if turn.failed else limits.max_turns):
        try:
            reply = await session.reply(new)
        except ContextOverflow:
            stop_reason = StopReason.CONTEXT_OVERFLOW
            break
        messages.append(reply.message)
        turns.append(reply.turn)
        new = []
        if reply.problem:
            errors += 1
            result = ToolResult(call_id="", name="", content=f"Error: {reply.problem}", is_error=True)
            new.append(Message(role="tool", content=result.content, result=result))
        for call in reply.message.tool_calls:
            result, rules = environment.answer(call, confirmed)
            broken.extend(rule.clause for rule in rules)
            errors = errors + 1 if result.is_error else 0
            tool = environment.domain.tool_by_name.get(call.name)
            if tool is not None and tool.writes and not result.is_error:
                confirmed = False
            new.append(Message(role="tool", content=result.content, result=result))
        if not new:
            turn = await _act(user, await user.answer(reply.message.content), environment, messages, broken)
            if turn.failed:
                stop_reason = StopReason.USER_FAILED
                break
            confirmed = confirmed or turn.agrees
            new.append(Message(role="user", content=turn.text))
            if turn.done:
                stop_reason = StopReason.USER_DONE
        messages.extend(new)
        if stop_reason is StopReason.USER_DONE:
            break
        if errors >= limits.max_errors:
            stop_reason = StopReason.MAX_ERRORS
            break
    final_hash = environment.state_hash()
    failed = environment.failed(task.expectation.assertions)
    talk = Talk(tuple(messages), stop_reason, final_hash, tuple(dict.fromkeys(broken)), failed)
    return Rollout(
        id=f"{task.id}/{agent}/{attempt}",
        task_id=task.id,
        domain=task.domain,
        intent=task.intent,
        agent=agent,
        attempt=attempt,
        messages=talk.messages,
        turns=tuple(turns) if any(turn.sampled_ids for turn in turns) else (),
        stop_reason=stop_reason,
        final_hash=final_hash,
        reward=verify(task, talk),
    )


async def _act(
    user: UserSimulator, turn: UserTurn, environment: Environment, messages: list[Message], broken: list[str]
) -> UserTurn:
    """Let the caller use their tools until they speak; calls and results go into `messages`."""
    for _ in range(_MAX_ACTIONS):
        if not turn.actions:
            return turn
        made, clauses = _do(environment, turn.actions, len(messages))
        messages.extend(made)
        broken.extend(clauses)
        turn = await user.tell_results(turn.actions, [message.result for message in made if message.result])
    return UserTurn("", failed=True)


def _do(environment: Environment, actions: Sequence[UserAction], number: int) -> tuple[list[Message], list[str]]:
    """What the caller does with tools of their own: the calls and their results, and the clauses that asking broke."""
    calls = tuple(
        action.call.model_copy(update={"id": f"user_{number}_{place}"}) for place, action in enumerate(actions)
    )
    made = [Message(role="user", content="", tool_calls=calls)]
    broken: list[str] = []
    for call in calls:
        result, rules = environment.answer(call)
        broken.extend(rule.clause for rule in rules)
        made.append(Message(role="tool", content=result.content, result=result))
    return made, broken
