"""Both verdicts on every one of tau2's tasks: the reference, nothing at all, and mutants of the reference.

Each talk is played in t2t's environment and judged by t2t's verifier, then handed to tau2's evaluator,
which plays it again in its own environment and refuses it when a tool answers otherwise there.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pydantic import JsonValue

from t2t.domain.environment import Environment
from t2t.interop.tau2 import MEMBERS, Tau2Domain, load_domain, load_tasks
from t2t.interop.tau2.judges import judge_by_tau2
from t2t.interop.tau2.source import load_raw_tasks
from t2t.interop.tau2.state import Tau2State
from t2t.interop.tau2.tasks import history
from t2t.records import Message, StopReason, Task, ToolCall
from t2t.verify.verifier import Talk, verify

TRIALS = ("reference", "nothing", "write dropped", "argument changed", "write added", "fact not told")


class Trial(NamedTuple):
    """One way to play a task."""

    name: str
    """One of `TRIALS`."""
    calls: tuple[ToolCall, ...]
    """Calls in order."""
    told: tuple[str, ...]
    """What the agent says at the end."""


class Verdict(NamedTuple):
    """Both verdicts on one trial."""

    task_id: str
    trial: str
    ours: float
    """t2t's reward."""
    theirs: float | None
    """tau2's reward; None where its evaluator raises."""
    problem: str
    """What it raised."""

    @property
    def agrees(self) -> bool:
        """True when both give the same; a talk that tau2 cannot judge must not succeed."""
        return self.ours == (self.theirs or 0.0)


def compare(member: str, limit: int = 0) -> Iterator[Verdict]:
    """Judge every trial of every base task of one of tau2's domains, or of its first `limit` tasks."""
    domain = load_domain(member)
    tasks = load_tasks(member)
    raw = load_raw_tasks(member)
    for place, task in enumerate(tasks[: limit or len(tasks)]):
        others = (*tasks[place + 1 :], *tasks[:place])
        for trial in trials(domain, task, others):
            talk = play_trial(domain, task, trial)
            ours = verify(task, talk).value
            theirs, problem = judge_by_tau2(domain.source, raw[task.data.seed], talk.messages, talk.stop_reason)
            yield Verdict(task.id, trial.name, ours, theirs, problem)


def trials(domain: Tau2Domain, task: Task, others: Sequence[Task]) -> Iterator[Trial]:
    """The reference, nothing, and as many mutants as the reference has.

    Args:
        domain: The task's domain.
        task: The task.
        others: Further tasks; the first write of theirs that goes through after the reference is the one added.
    """
    calls = task.expectation.calls
    raw = load_raw_tasks(domain.source.member)[task.data.seed]
    told = tuple((raw.get("evaluation_criteria") or {}).get("communicate_info") or ())
    writes = _writes(domain, calls)
    yield Trial("reference", calls, told)
    yield Trial("nothing", (), ())
    if writes:
        yield Trial("write dropped", calls[: writes[-1]] + calls[writes[-1] + 1 :], told)
    with_arguments = [place for place in writes if calls[place].arguments] or [
        place for place, call in enumerate(calls) if call.arguments
    ]
    if with_arguments:
        place = with_arguments[-1]
        yield Trial("argument changed", (*calls[:place], _change(calls[place]), *calls[place + 1 :]), told)
    if added := _find_write(domain, task, others):
        yield Trial("write added", (*calls, added), told)
    if told:
        yield Trial("fact not told", calls, told[:-1])


def play_trial(domain: Tau2Domain, task: Task, trial: Trial) -> Talk:
    """Play a trial in t2t's environment."""
    environment = Environment(domain, task.data)
    messages = [
        *history(load_raw_tasks(domain.source.member)[task.data.seed]),
        Message(role="assistant", content="Hi! How can I help you today?"),
        Message(role="user", content=task.scenario.opening),
    ]
    for number, call in enumerate(trial.calls):
        made = call.model_copy(update={"id": f"made_{number}"})
        result, _ = environment.answer(made)
        messages.append(Message(role=made.requestor, content="", tool_calls=(made,)))
        messages.append(Message(role="tool", content=result.content, result=result))
    messages.append(Message(role="assistant", content=" ".join(("Done.", *trial.told))))
    messages.append(Message(role="user", content="###STOP###"))
    failed = environment.failed(task.expectation.assertions)
    return Talk(tuple(messages), StopReason.USER_DONE, environment.state_hash(), (), failed)


def report(members: Sequence[str] = MEMBERS, limit: int = 0) -> bool:
    """Compare, and print a table, the references that fail, what differs, and a last line of JSON.

    Returns:
        True when all verdicts agree.
    """
    verdicts: list[Verdict] = []
    failing: list[str] = []
    _print(f"{'domain':10}{'trial':18}{'talks':>7}{'t2t 1.0':>9}{'tau2 1.0':>10}{'tau2 raises':>13}{'differ':>8}")
    for member in members:
        found = list(compare(member, limit))
        verdicts += found
        for name in TRIALS:
            rows = [one for one in found if one.trial == name]
            count = Counter(one.theirs for one in rows)
            passed = sum(one.ours == 1.0 for one in rows)
            differ = sum(not one.agrees for one in rows)
            _print(f"{member:10}{name:18}{len(rows):>7}{passed:>9}{count[1.0]:>10}{count[None]:>13}{differ:>8}")
        failing += failing_references(member, limit)
    for line in failing:
        _print(f"reference call fails in tau2: {line}")
    for one in verdicts:
        if one.theirs is None:
            _print(f"tau2 raises: {one.task_id} ({one.trial}): {one.problem}")
    differing = [one for one in verdicts if not one.agrees]
    for one in differing:
        _print(f"differs: {one.task_id} ({one.trial}): t2t {one.ours}, tau2 {one.theirs} {one.problem}")
    figures: Mapping[str, JsonValue] = {
        "num_tasks": len({one.task_id for one in verdicts}),
        "num_trajectories": len(verdicts),
        "num_disagreements": len(differing),
        "num_tau2_raises": sum(one.theirs is None for one in verdicts),
        "num_failing_references": len(failing),
    }
    _print(orjson.dumps(figures).decode())
    return not differing


def failing_references(member: str, limit: int = 0) -> list[str]:
    """Tasks whose reference has a call that tau2's own tools refuse, with the calls."""
    domain = load_domain(member)
    tasks = load_tasks(member)
    lines: list[str] = []
    for task in tasks[: limit or len(tasks)]:
        state: Any = domain.open(task.data)
        assert isinstance(state, Tau2State)
        if failed := state.run_reference(task.expectation.calls):
            lines.append(f"{task.id}: {'; '.join(failed)}")
    return lines


def _writes(domain: Tau2Domain, calls: Sequence[ToolCall]) -> list[int]:
    return [place for place, call in enumerate(calls) if domain.tool_by_name[call.name].writes]


def _find_write(domain: Tau2Domain, task: Task, others: Sequence[Task]) -> ToolCall | None:
    environment = Environment(domain, task.data)
    for call in task.expectation.calls:
        environment.answer(call)
    for other in others:
        for place in _writes(domain, other.expectation.calls):
            call = other.expectation.calls[place]
            if not environment.answer(call)[0].is_error:
                return call
    return None


def _change(call: ToolCall) -> ToolCall:
    """The call with its last argument another one of the same type."""
    name = list(call.arguments)[-1]
    value = call.arguments[name]
    changed: JsonValue
    match value:
        case bool():
            changed = not value
        case int() | float():
            changed = value + 1
        case str():
            changed = value + "0"
        case list():
            changed = value[:-1]
        case dict():
            changed = dict(list(value.items())[:-1])
        case None:
            changed = "0"
    return call.model_copy(update={"arguments": {**call.arguments, name: changed}})


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
