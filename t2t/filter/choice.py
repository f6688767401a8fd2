"""Which talks are trained on: what stops a talk, what it may not repeat, and an even choice of the rest.

A `Candidate` is all that choosing keeps of a talk, so that any number of talks can be chosen from. Who comes first
is drawn from the seed and the talk's id: the order in which talks were recorded decides nothing.
"""

import hashlib
import json
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import JsonValue

from t2t.records import Message, Rollout, StopReason, Task
from t2t.verify.duplicates import Contamination, print_of

_NOT_THE_AGENTS = (StopReason.USER_FAILED, StopReason.TIMEOUT)
"""Ends that say nothing of the agent: the caller broke down, or the machine was slow."""


class Loss(StrEnum):
    """Why a talk is not trained on, in the order of the checks."""

    FAILED = "not a success"
    RULE = "broke a rule"
    CALLER = "the caller did something wrong"
    ERRORS = "more tool errors than filter.max_tool_errors"
    HELD_OUT = "repeats something of an evaluation task"
    PER_TASK = "more than filter.per_task"
    SIMILAR = "more alike another talk than filter.max_similarity"
    MOST = "more than filter.max_examples"


ADVICE = {
    Loss.FAILED: "play a stronger agent (rollout.agent=reference, or rollout.api), or raise rollout.attempts",
    Loss.RULE: "play a stronger agent, or raise rollout.attempts",
    Loss.CALLER: "set user.kind=scripted, or a stronger user.api.model",
    Loss.ERRORS: "raise filter.max_tool_errors",
    Loss.HELD_OUT: "raise synthesize.num_train, or explore.num_train for other entities",
    Loss.PER_TASK: "raise filter.per_task",
    Loss.SIMILAR: "raise filter.max_similarity",
    Loss.MOST: "raise filter.max_examples",
}
"""What to change where most talks are lost to a check."""


class Candidate(NamedTuple):
    """A talk, so far as choosing needs it; about 300 bytes."""

    draw: int
    """Random number of seed and id; lower ones come first."""
    id: str
    """Id of the rollout."""
    task_id: str
    """Its task."""
    domain: str
    """Its domain."""
    intent: str
    """Its intent."""
    length: int
    """Characters of the talk without the system message."""
    place: int
    """Where its line begins in the file, in bytes."""


def to_candidate(rollout: Rollout, place: int, seed: int) -> Candidate:
    """Keep of a talk what choosing needs."""
    draw = int.from_bytes(hashlib.blake2b(f"{seed}/{rollout.id}".encode(), digest_size=8).digest(), "big")
    length = sum(map(_length, rollout.messages[1:]))
    return Candidate(draw, rollout.id, rollout.task_id, rollout.domain, rollout.intent.value, length, place)


def find_loss(rollout: Rollout, max_tool_errors: int) -> Loss | None:
    """What by itself stops a talk from being trained on; None for a good one."""
    if rollout.reward.value != 1.0:
        return Loss.FAILED
    if rollout.reward.broken_clauses:
        return Loss.RULE
    if any(fault.kept for fault in rollout.user_faults):
        return Loss.CALLER
    errors = sum(1 for message in rollout.messages if _is_agents_error(message))
    return Loss.ERRORS if errors > max_tool_errors else None


def is_agents_failure(rollout: Rollout) -> bool:
    """True where the task failed and nobody but the agent is to blame."""
    return (
        rollout.reward.value != 1.0
        and rollout.stop_reason not in _NOT_THE_AGENTS
        and not any(fault.kept for fault in rollout.user_faults)
    )


def agents_side(rollout: Rollout) -> Iterator[str]:
    """What the agent says and does: its texts, and its calls with their arguments."""
    for message in rollout.messages:
        if message.role == "assistant":
            yield message.content
            yield from (f"{call.name} {json.dumps(call.arguments, sort_keys=True)}" for call in message.tool_calls)


def find_clean(tasks: Callable[[], Iterable[Task]], is_training: Callable[[Task], bool], threshold: float) -> set[str]:
    """Ids of the training tasks that repeat nothing of an evaluation task, nor of tau2's human-written ones.

    Nothing is the opening, the caller's name or e-mail address, an identifier, or most of the words.

    Args:
        tasks: Gives the tasks anew with every call.
        is_training: True for tasks that may be trained on; all others are evaluated.
        threshold: Jaccard similarity of the words from which a task repeats another.
    """
    contamination = Contamination(threshold)
    marks: set[str] = set()
    for task in tasks():
        if not is_training(task):
            contamination.add_task(print_of(task, _scope(task)))
            marks.update(_marks(task))
    return {
        task.id
        for task in tasks()
        if is_training(task) and marks.isdisjoint(_marks(task)) and not contamination.find(print_of(task, _scope(task)))
    }


def take_evenly(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """Equal numbers per intent, within an intent per domain, within a domain of short, middling and long talks.

    As far as there are enough: what one group lacks the others give.

    Args:
        candidates: In the order in which those of one group are taken.
        most: Talks taken at most.
    """
    lengths = sorted(one.length for one in candidates)
    bounds = [lengths[len(lengths) * third // 3] for third in (1, 2)] if lengths else []

    def grouped(members: Sequence[Candidate], keys: Sequence[Callable[[Candidate], str | int]]) -> Iterator[Candidate]:
        if not keys:
            return iter(members)
        groups: dict[str | int, list[Candidate]] = defaultdict(list)
        for one in members:
            groups[keys[0](one)].append(one)
        return _in_turn(grouped(groups[key], keys[1:]) for key in sorted(groups, key=str))

    order = grouped(
        candidates, (lambda one: one.intent, lambda one: one.domain, lambda one: bisect_left(bounds, one.length))
    )
    return [one for one, _ in zip(order, range(most), strict=False)]


class Funnel:
    """How many talks there were, and what each check took, by intent and domain."""

    def __init__(self) -> None:
        self._read: Counter[tuple[str, str]] = Counter()
        self._lost: dict[Loss, Counter[tuple[str, str]]] = {loss: Counter() for loss in Loss}

    def read(self, rollout: Rollout) -> None:
        """Count a talk that was read."""
        self._read[(rollout.intent.value, rollout.domain)] += 1

    def lose(self, loss: Loss, one: Rollout | Candidate) -> None:
        """Count a talk that a check took."""
        self._lost[loss][(str(one.intent), one.domain)] += 1

    @property
    def lost(self) -> dict[str, int]:
        """Talks by what took them, in the order of the checks; only checks that took any."""
        return {loss.value: counts.total() for loss, counts in self._lost.items() if counts}

    def worst(self) -> Loss | None:
        """The check that took most talks; None where there were none."""
        most = max(Loss, key=lambda loss: self._lost[loss].total())
        return most if self._lost[most] else None

    def steps(self) -> list[dict[str, JsonValue]]:
        """What was read, then what was left after each check: ``check``, ``left``, ``by_intent``, ``by_domain``."""
        left = self._read
        steps = [_step("read", left)]
        for loss, lost in self._lost.items():
            left = left - lost
            steps.append(_step(loss.value, left))
        return steps

    def lines(self) -> list[str]:
        """The same for a reader: a line per check that took talks, with the numbers left by intent."""
        intents = sorted({intent for intent, _ in self._read})
        left, rows = self._read, [("read", "", self._read)]
        for loss, lost in self._lost.items():
            if lost:
                left = left - lost
                rows.append((loss.value, f"-{lost.total()}", left))
        return [
            f"{label:<52}{taken:>8}{counts.total():>8}  "
            + ", ".join(f"{_of_intent(counts, intent)} {intent}" for intent in intents)
            for label, taken, counts in rows
        ]


def _step(check: str, left: "Counter[tuple[str, str]]") -> dict[str, JsonValue]:
    by_intent: Counter[str] = Counter()
    by_domain: Counter[str] = Counter()
    for (intent, domain), count in sorted(left.items()):
        by_intent[intent] += count
        by_domain[domain] += count
    return {"check": check, "left": left.total(), "by_intent": dict(by_intent), "by_domain": dict(by_domain)}


def _of_intent(counts: "Counter[tuple[str, str]]", intent: str) -> int:
    return sum(count for (own, _), count in counts.items() if own == intent)


def _in_turn(groups: Iterable[Iterator[Candidate]]) -> Iterator[Candidate]:
    """One of each group in turn, as long as there are any."""
    waiting = deque(groups)
    while waiting:
        group = waiting.popleft()
        for one in group:
            yield one
            waiting.append(group)
            break


def _is_agents_error(message: Message) -> bool:
    return message.result is not None and message.result.is_error and message.result.requestor == "assistant"


def _length(message: Message) -> int:
    return len(message.content) + sum(len(json.dumps(call.arguments)) for call in message.tool_calls)


def _marks(task: Task) -> set[str]:
    """What must not be shared between training and evaluation: the opening and the caller."""
    who = [fact.value for fact in task.scenario.facts if fact.name in ("email", "name")]
    return {task.scenario.opening, *(f"{task.domain}:{value}" for value in who)}


def _scope(task: Task) -> str:
    """Ids of generated rows mean something within one split; e-mail addresses and tau2's ids do everywhere."""
    return "" if task.domain.startswith("tau2.") else f"{task.domain}/{task.data.split}"
