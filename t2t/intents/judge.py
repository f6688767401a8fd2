"""A judge model grades how a task reads; it rejects nothing, and its worth is measured.

The judge sees what the caller says, and the reference calls in words; never the data, and never that
the reference is proved. `agreement` says how well its grades tell good tasks from broken ones.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from t2t.errors import RunError
from t2t.models.structured import Ask, Malformed, in_order
from t2t.records import Message, Task

_NUM_RESAMPLES = 2000
_CONFIDENCE = 0.95


class Verdict(BaseModel):
    """What the judge answers."""

    model_config = ConfigDict(extra="forbid")

    says: str
    """Its reason, in a sentence; first, so that the grades follow from it."""
    realism: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """How much the words are those of a person who wants this."""
    answers: bool
    """True when the reference does what is wanted, or refuses it, and nothing else."""


class Grade(NamedTuple):
    """The verdict on one task."""

    task: str
    """Id of the task."""
    realism: float
    """1 to 10; of the words alone."""
    answers: bool
    """True when the reference does what the caller wants, in the judge's eyes."""
    says: str
    """Why."""

    @property
    def score(self) -> float:
        """One number for both: the realism, or 1 where the reference is not what is wanted."""
        return self.realism if self.answers else 1.0


class Agreement(NamedTuple):
    """How far a judge's grades tell good tasks from broken ones."""

    num_good: int
    """Good tasks graded."""
    num_broken: int
    """Broken tasks graded."""
    accuracy: float
    """Share of the tasks on the right side of the threshold."""
    kappa: float
    """Cohen's kappa of judge and truth: 0 is chance, 1 is full agreement."""
    kappa_low: float
    """Lower end of the 95 % interval."""
    kappa_high: float
    """Upper end."""


async def judge(task: Task, ask: Ask, *, max_tries: int, seed: int) -> Grade | Malformed:
    """Grade a task.

    Args:
        task: Any task.
        ask: Asks the judge.
        max_tries: Answers asked for until one can be read.
        seed: Seed of the run; task and try are added to it.

    Raises:
        ConfigError, InfraError: see `t2t.models.structured.StructuredClient.ask`.
    """
    talk = [Message(role="system", content=_RULES), Message(role="user", content=_present(task))]
    answer: Verdict | Malformed = Malformed("not asked", "")
    for number in range(max_tries):
        digest = hashlib.sha256(f"judge/{seed}/{task.id}/{number}".encode()).digest()
        answer = await ask(talk, Verdict, int.from_bytes(digest[:4]) >> 1)
        if isinstance(answer, Verdict):
            return Grade(task.id, float(answer.realism), answer.answers, answer.says)
    return answer


def judge_all(
    tasks: Iterable[Task], ask: Ask, *, max_tries: int, concurrency: int, seed: int
) -> Iterator[Grade | Malformed]:
    """`judge` each task, `concurrency` at once; the grades in the order of the tasks, as they are needed."""
    return in_order(tasks, lambda task: judge(task, ask, max_tries=max_tries, seed=seed), concurrency)


def agreement(grades_good: Sequence[float], grades_broken: Sequence[float], threshold: float) -> Agreement:
    """How well grades tell tasks that are known to be good from tasks that are known to be broken.

    The interval is the percentile bootstrap's: 2,000 resamples within the two groups, seeded.

    Args:
        grades_good: Grades of good tasks.
        grades_broken: Grades of broken tasks.
        threshold: A task with at least this grade is good in the judge's eyes.

    Raises:
        RunError: one of the groups is empty.

    Source: Cohen 1960, Educational and Psychological Measurement 20:37.
    """
    import numpy as np

    if not grades_good or not grades_broken:
        raise RunError(
            f"{len(grades_good)} good and {len(grades_broken)} broken tasks are graded; agreement needs both kinds"
        )
    num_good, num_broken = len(grades_good), len(grades_broken)
    passed = sum(grade >= threshold for grade in grades_good)
    missed = sum(grade >= threshold for grade in grades_broken)
    rng = np.random.default_rng(0)
    # Draws with replacement from a group of ones and zeros hold a binomial number of ones.
    again = zip(
        rng.binomial(num_good, passed / num_good, _NUM_RESAMPLES).tolist(),
        rng.binomial(num_broken, missed / num_broken, _NUM_RESAMPLES).tolist(),
        strict=True,
    )
    resampled = sorted(_kappa(one, num_good, other, num_broken) for one, other in again)
    tail = round((1 - _CONFIDENCE) / 2 * _NUM_RESAMPLES)
    return Agreement(
        num_good=num_good,
        num_broken=num_broken,
        accuracy=(passed + num_broken - missed) / (num_good + num_broken),
        kappa=_kappa(passed, num_good, missed, num_broken),
        kappa_low=resampled[tail],
        kappa_high=resampled[-1 - tail],
    )


_RULES = """\
You judge test cases for a service desk: what a caller says, and what the desk is expected to do for them. Answer with \
one JSON object:
- says: your reason, one sentence.
- realism: 1 to 10. 10: a real person would write it just so. 5: clear, but stiff or odd. 1: nobody would write it, or \
it cannot be understood. A terse, a rude or a rambling caller can be as real as any.
- answers: true if what the desk does is what the caller wants in the end, no more and no less, or if it refuses just \
that. A caller who leaves something open tells it when asked; one who changes their mind wants the last thing."""

_CUES = {
    "message": "after the first answer",
    "proposal": "when asked for a yes",
    "done": "once it is done",
    "refusal": "once it is refused",
}


def _present(task: Task) -> str:
    scenario, expectation = task.scenario, task.expectation
    lines = [f"Service desk: {task.domain}", "", f"The caller opens with: {scenario.opening or '(nothing)'}"]
    lines += [f"When asked, the caller says: {fact.answer}" for fact in scenario.facts if not fact.in_opening]
    lines += [f"The caller says {_CUES[change.cue]}: {change.text}" for change in scenario.changes]
    lines += ["", "What the desk does:"]
    meant = {wish.call: wish.slots for wish in (*expectation.earlier, *expectation.wishes) if wish.call}
    for call in expectation.calls:
        about = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in meant.get(call.id, {}).items())
        lines.append(f"- {_in_words(call.name, call.arguments)}{f' ({about})' if about else ''}")
    if expectation.refusal is not None:
        refused = [wish for wish in expectation.wishes if wish.forbidden_by]
        wanted = [_in_words(wish.tool, wish.slots) for wish in refused] or ["what the caller wants"]
        lines += [f"- refuse: {text}" for text in wanted]
    return "\n".join(lines)


def _in_words(name: str, arguments: Mapping[str, JsonValue]) -> str:
    said = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in arguments.items())
    return f"{name.replace('_', ' ')}: {said}" if said else name.replace("_", " ")


def _value(value: JsonValue) -> str:
    return " and ".join(map(_value, value)) if isinstance(value, list) else str(value)


def _kappa(passed: int, num_good: int, missed: int, num_broken: int) -> float:
    total = num_good + num_broken
    agreed = (passed + num_broken - missed) / total
    called_good = (passed + missed) / total
    by_chance = called_good * num_good / total + (1 - called_good) * num_broken / total
    return (agreed - by_chance) / (1 - by_chance)
