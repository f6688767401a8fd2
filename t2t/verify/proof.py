"""The proof of a task that holds for every intent: code runs it before anyone plays it.

The proofs of single intents (what fits the opening, where another meaning leads) stand where the
intents are written, in `t2t.intents`.
"""

import asyncio

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.errors import ToolError
from t2t.records import Rollout, Task

_LIMITS = Limits(max_turns=40, max_errors=1)


def prove(domain: Domain, task: Task) -> str:
    """Run a task in every way that must pass or fail.

    Returns:
        Empty when all of these hold, else the first that does not: the reference calls replay
        without error, break no rule and reach the final state; every write is needed; the
        reference talk passes the verifier and breaks no rule; doing nothing fails; what must be
        told and the final state do not stand in what the caller reads.
    """
    if problem := _replays(domain, task):
        return problem
    if problem := _every_write_needed(domain, task):
        return problem
    reference = _play(domain, task, ReferenceAgent(task))
    if reference.reward.value != 1.0:
        return f"reference talk fails {', '.join(k for k, v in reference.reward.checks.items() if not v)}"
    if reference.reward.broken_clauses:
        return f"reference talk breaks clause {reference.reward.broken_clauses[0]}"
    if _play(domain, task, IdleAgent()).reward.value != 0.0:
        return "doing nothing passes"
    return _leaks(task)


def _play(domain: Domain, task: Task, agent: ReferenceAgent | IdleAgent) -> Rollout:
    return asyncio.run(play(task, "proof", 0, agent, Environment(domain, task.data), _LIMITS))


def _replays(domain: Domain, task: Task) -> str:
    environment = Environment(domain, task.data)
    for call in task.expectation.calls:
        try:
            done = environment.run(call)
        except ToolError:
            return "reference calls do not replay"
        if done.broken:
            return f"reference calls break clause {done.broken[0].clause}"
    if environment.state_hash() != task.expectation.final_hash:
        return "reference calls do not reach the final state"
    return ""


def _every_write_needed(domain: Domain, task: Task) -> str:
    calls = task.expectation.calls
    for left_out, call in enumerate(calls):
        if not domain.tool_by_name[call.name].writes:
            continue
        environment = Environment(domain, task.data)
        try:
            for index, other in enumerate(calls):
                if index != left_out:
                    environment.run(other)
        except ToolError:
            continue
        if environment.state_hash() == task.expectation.final_hash:
            return "a write is not needed"
    return ""


def _leaks(task: Task) -> str:
    """What must be told and the final state stay out of the caller's text."""
    text = task.scenario.model_dump_json()
    if task.expectation.final_hash in text:
        return "the final state leaks"
    if any(secret in text for secret in task.expectation.tell):
        return "what must be told leaks into the scenario"
    return ""
