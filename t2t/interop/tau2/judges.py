"""The two verdicts on one talk about one of tau2's tasks: t2t's verifier and tau2's evaluator."""

import copy
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from t2t.domain.environment import Environment
from t2t.interop.tau2 import Tau2Domain
from t2t.interop.tau2.messages import to_tau2
from t2t.interop.tau2.source import Source, import_tau2, load_raw_tasks, pristine_vpn
from t2t.interop.tau2.tasks import history
from t2t.records import Message, Reward, StopReason, Task
from t2t.verify.verifier import Talk, verify


def judge_replayed(
    domain: Tau2Domain, task: Task, messages: Sequence[Message], stop_reason: StopReason
) -> tuple[Talk, Reward]:
    """t2t's verdict on a talk that was played elsewhere: its calls are made again, in order.

    The talk begins with the task's message history, if it has one; the calls of that belong to the initial
    state and are not made twice.
    """
    environment = Environment(domain, task.data)
    past = history(load_raw_tasks(domain.source.member)[task.data.seed])
    calls = [call for message in messages for call in message.tool_calls]
    broken: list[str] = []
    for call in calls[sum(len(message.tool_calls) for message in past) :]:
        _, rules = environment.answer(call)
        broken.extend(rule.clause for rule in rules)
    failed = environment.failed(task.expectation.assertions)
    clauses = tuple(dict.fromkeys(broken))
    talk = Talk(tuple(messages), stop_reason, environment.state_hash(), clauses, failed)
    return talk, verify(task, talk)


def judge_by_tau2(
    source: Source, raw: Mapping[str, Any], messages: Sequence[Message], stop_reason: StopReason
) -> tuple[float | None, str]:
    """tau2's verdict on a talk, without a model that judges.

    Returns:
        The reward, and an empty text; or None, and what tau2's evaluator raised.
    """
    if source.syncs:
        # As in a fresh process: a set-up that breaks the VPN breaks it for every later task of tau2's process.
        import_tau2("domains.telecom.user_tools").TelecomUserTools.default_vpn_details = copy.deepcopy(pristine_vpn())
    evaluator = import_tau2("evaluator.evaluator")
    run, task = to_simulation(raw, messages, stop_reason)
    kind = evaluator.EvaluationType.ALL
    try:
        return evaluator.evaluate_simulation(run, task, kind, False, _register_copies(source.member)).reward, ""
    except (ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        return None, " ".join(str(error).split())[:200]


def to_simulation(raw: Mapping[str, Any], messages: Sequence[Message], stop_reason: StopReason) -> tuple[Any, Any]:
    """A talk and its task as tau2's evaluator takes them."""
    run = import_tau2("data_model.simulation").SimulationRun(
        id="t2t",
        task_id=raw["id"],
        start_time="",
        end_time="",
        duration=0.0,
        termination_reason="user_stop" if stop_reason is StopReason.USER_DONE else "max_steps",
        messages=to_tau2(messages),
    )
    return run, import_tau2("data_model.tasks").Task.model_validate(raw)


@lru_cache
def _register_copies(member: str) -> str:
    """Register with tau2 a twin of its domain that copies the loaded databases where tau2 parses its files again."""
    module = import_tau2(f"domains.{member}.environment")
    environment = module.get_environment()
    frozen = pickle.dumps(
        {"db": environment.tools.db} | ({"user_db": environment.user_tools.db} if environment.user_tools else {})
    )

    def make(solo_mode: bool = False) -> Any:
        return module.get_environment(**pickle.loads(frozen), solo_mode=solo_mode)

    constructor: Callable[..., Any] = make
    import_tau2("registry").registry.register_domain(constructor, f"t2t.{member}")
    return f"t2t.{member}"
