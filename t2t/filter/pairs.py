"""Two talks of one task, one right and one wrong, as a preference."""

from collections.abc import Sequence
from itertools import takewhile

from pydantic import JsonValue

from t2t.episode.agent import agent_view
from t2t.records import Message, Pair, Rollout


def make_pair(chosen: Rollout, rejected: Rollout, tools: str) -> Pair | None:
    """Pair a right talk with a wrong one.

    Args:
        chosen: The talk to prefer.
        rejected: Another talk of the same task.
        tools: JSON text of the tool schemas that the agent saw.

    Returns:
        The pair; None where one of the two holds no turn of the agent beyond what both begin with.
    """
    right, wrong = (_until_last_reply(agent_view(one.messages)) for one in (chosen, rejected))
    alike = takewhile(lambda both: _said(both[0]) == _said(both[1]), zip(right, wrong, strict=False))
    common = sum(1 for _ in alike)
    if len(right) == common or len(wrong) == common:
        return None
    return Pair(
        id=f"{chosen.id}>{rejected.attempt}",
        task_id=chosen.task_id,
        domain=chosen.domain,
        intent=chosen.intent,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        prompt=right[:common],
        chosen=right[common:],
        rejected=wrong[common:],
        tools=tools,
    )


def _until_last_reply(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Without what follows the agent's last turn; empty where it has none."""
    last = max((number for number, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return tuple(messages[: last + 1])


def _said(message: Message) -> JsonValue:
    """What of a message a model reads: not the ids of calls."""
    calls: list[JsonValue] = [[call.name, call.arguments] for call in message.tool_calls]
    return [message.role, message.content, message.reasoning, calls]
