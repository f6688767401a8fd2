"""tau2's results files as rollouts, judged anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from t2t.errors import ConfigError
from t2t.interop.tau2 import MEMBERS, load_domain
from t2t.interop.tau2.judges import judge_replayed
from t2t.interop.tau2.messages import from_tau2
from t2t.interop.tau2.source import import_tau2, load_raw_tasks, load_splits
from t2t.interop.tau2.tasks import convert
from t2t.records import Message, Rollout, StopReason

_STOPS = {
    "user_stop": StopReason.USER_DONE,
    "agent_stop": StopReason.USER_DONE,
    "max_steps": StopReason.MAX_TURNS,
    "judge_stop": StopReason.MAX_TURNS,
    "too_many_errors": StopReason.MAX_ERRORS,
}


class Imported(NamedTuple):
    """One simulation of a results file."""

    rollout: Rollout | None
    """The same as a record, with t2t's verdict; None for one that ended in an error, which says nothing of a model."""
    recorded: float | None
    """The reward that stands in the file."""


def read_results(file: Path) -> Iterator[Imported]:
    """Read the simulations of a results file, each replayed and judged by the installed tau2's task.

    Raises:
        ConfigError: the file is none of tau2's, or about a domain or task that the installed tau2 does not have.
    """
    simulation = import_tau2("data_model.simulation")
    try:
        results = simulation.Results.model_validate_json(file.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{file} is no results file of tau2: {str(error).splitlines()[0]}") from None
    member = results.info.environment_info.domain_name
    if member not in MEMBERS:
        raise ConfigError(f"{file} is about tau2's domain {member!r}; known: {', '.join(MEMBERS)}")
    domain = load_domain(member)
    raw = load_raw_tasks(member)
    places = {task["id"]: place for place, task in enumerate(raw)}
    train = load_splits(member).get("train", frozenset())
    agent = str(results.info.agent_info.llm or results.info.agent_info.implementation)
    llm_agent = import_tau2("agent.llm_agent")
    system = llm_agent.SYSTEM_PROMPT.format(agent_instruction=llm_agent.AGENT_INSTRUCTION, domain_policy=domain.policy)
    first = Message(role="system", content=system)
    for run in results.simulations:
        if run.task_id not in places:
            raise ConfigError(f"{file}: the installed tau2 has no task {run.task_id!r} in {member}")
        if run.termination_reason.value not in _STOPS:
            yield Imported(None, None)
            continue
        place = places[run.task_id]
        task = convert(domain, place, raw[place], "train" if run.task_id in train else "test")
        messages = (first, *from_tau2(run.messages))
        stop_reason = _STOPS[run.termination_reason.value]
        talk, reward = judge_replayed(domain, task, messages, stop_reason)
        attempt = run.trial or 0
        rollout = Rollout(
            id=f"{task.id}/{agent}/{attempt}",
            task_id=task.id,
            domain=domain.name,
            intent=task.intent,
            agent=agent,
            attempt=attempt,
            messages=messages,
            turns=(),
            stop_reason=stop_reason,
            final_hash=talk.final_hash,
            reward=reward,
        )
        recorded: Any = run.reward_info
        yield Imported(rollout, None if recorded is None else recorded.reward)
