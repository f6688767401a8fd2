"""Judge recorded talks anew: their calls are made again, their results compared, and today's verifier asked.

No model is needed. What a talk said and sampled stays as it is; only the verdict is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.errors import RunError
from t2t.records import Reward, Rollout, Task, ToolCall, ToolResult
from t2t.verify.verifier import Talk, verify

_NUM_SHOWN = 3
_MAX_SHOWN = 200


def rescore(rollout: Rollout, task: Task, domain: Domain) -> Rollout:
    """The same talk with the verdict that it gets today.

    Every call that has a result is made again in a fresh environment, in the recorded order, the agent's and the
    caller's. What is no call of a tool stays as recorded: a call that could not be read, and one that took too
    long, which changed nothing.

    Args:
        rollout: A talk about `task`. Where nobody noted in it when the caller agreed, no rule that asks for a yes is
            judged.
        task: The task, whose expectation may be another one than when the talk was played.
        domain: The task's domain.

    Raises:
        RunError: the task is another one, or the domain has changed since the talk: a call is answered otherwise, or
            the calls lead to another state. What an agent would have done then, nobody knows.
    """
    if rollout.task_id != task.id:
        raise RunError(f"{rollout.id} is a talk about {rollout.task_id}, not about {task.id}")
    environment = Environment(domain, task.data)
    pending: list[ToolCall] = []
    broken: list[str] = []
    confirmed = None if rollout.agreed is None else False
    for place, message in enumerate(rollout.messages):
        if confirmed is not None and place in (rollout.agreed or ()):
            confirmed = True
        pending.extend(message.tool_calls)
        recorded = message.result
        call = None if recorded is None else _take(pending, recorded)
        if recorded is None or call is None or recorded.error == "timeout":
            continue
        # The caller needs nobody's yes.
        result, rules = environment.answer(call, confirmed if call.requestor == "assistant" else None)
        if (result.content, result.is_error) != (recorded.content, recorded.is_error):
            raise RunError(
                f"{rollout.id}: the domain {domain.name!r} has changed since: {call.name} (call {call.id}) now "
                f"answers {_short(result.content)}, and the talk went on from {_short(recorded.content)}; play it again"
            )
        broken.extend(rule.clause for rule in rules)
        tool = domain.tool_by_name.get(call.name)
        if confirmed and call.requestor == "assistant" and tool is not None and tool.writes and not result.is_error:
            confirmed = False
    final_hash = environment.state_hash()
    if final_hash != rollout.final_hash:
        raise RunError(
            f"{rollout.id}: the domain {domain.name!r} has changed since: the calls lead to another state, though "
            "every result is the same; play it again"
        )
    failed = environment.failed(task.expectation.assertions)
    talk = Talk(rollout.messages, rollout.stop_reason, final_hash, tuple(dict.fromkeys(broken)), failed)
    return rollout.model_copy(update={"reward": verify(task, talk)})


class Rescored(NamedTuple):
    """What became of one talk."""

    before: Rollout
    """As it was recorded."""
    after: Rollout | None
    """With today's verdict; None where there is none."""
    problem: str = ""
    """Why there is none."""


def rescore_all(
    rollouts: Iterable[Rollout], tasks: Mapping[str, Task], find_domain: Callable[[str], Domain]
) -> Iterator[Rescored]:
    """Judge talks one after the other; one that cannot be judged says why and stops nothing.

    Args:
        rollouts: The talks.
        tasks: Tasks by id, those that the talks are about among them.
        find_domain: The domain of a name.
    """
    for rollout in rollouts:
        task = tasks.get(rollout.task_id)
        if task is None:
            yield Rescored(rollout, None, f"{rollout.id}: its task is not among those of the run")
            continue
        try:
            yield Rescored(rollout, rescore(rollout, task, find_domain(task.domain)))
        except RunError as error:
            yield Rescored(rollout, None, str(error))


class Changes:
    """Counts what new verdicts change."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, list[str]] = {}

    @property
    def num_owed(self) -> int:
        """Talks that could not be judged."""
        return self._counts["not judged"]

    def add(self, one: Rescored) -> None:
        """Count a talk."""
        kind, text = _compare(one)
        self._counts[kind] += 1
        shown = self._shown.setdefault(kind, [])
        if kind != "as before" and len(shown) < _NUM_SHOWN:
            shown.append(text)

    def table(self) -> str:
        """One line per kind of change with its number, and below it the first three talks."""
        lines = [f"{'verdict':24}{'talks':>7}"]
        for kind in _KINDS:
            lines.append(f"{kind:24}{self._counts[kind]:>7}")
            lines += [f"  {text}" for text in self._shown.get(kind, ())]
        return "\n".join(lines)


_KINDS = ("as before", "now a success", "now a failure", "same value, other notes", "not judged")


def _take(pending: list[ToolCall], result: ToolResult) -> ToolCall | None:
    """The call that a result answers, taken out; None for the answer to a text that held no call."""
    for place, call in enumerate(pending):
        if (call.id, call.name) == (result.call_id, result.name):
            return pending.pop(place)
    return None


def _compare(one: Rescored) -> tuple[str, str]:
    if one.after is None:
        return "not judged", one.problem
    old, new = one.before.reward, one.after.reward
    if old == new:
        return "as before", ""
    if old.value != new.value:
        kind = "now a success" if new.value == 1.0 else "now a failure"
        return kind, f"{one.after.id}: {'; '.join((old if new.value == 1.0 else new).notes)}"
    return "same value, other notes", f"{one.after.id}: {_difference(old, new)}"


def _difference(old: Reward, new: Reward) -> str:
    if old.broken_clauses != new.broken_clauses:
        return f"breaks {_list(new.broken_clauses)}, before {_list(old.broken_clauses)}"
    return f"{'; '.join(new.notes) or 'no note'}, before {'; '.join(old.notes) or 'no note'}"


def _list(clauses: tuple[str, ...]) -> str:
    return ", ".join(clauses) or "no clause"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
