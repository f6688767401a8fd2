"""What a stage's talks came to, counted one talk at a time: for the manifest, and for whoever sat beside it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import cast

from pydantic import JsonValue

from t2t.log import short, spoken
from t2t.records import Intent, Rollout
from t2t.report.headline import interval, percent
from t2t.report.statistics import success_share

_MOST_SHOWN = 6
_WIDTH_OF_NAMES = 12


class Summary:
    """Counts over the talks of one agent; keeps two numbers per task and none of the talks."""

    def __init__(self, rollouts: Iterable[Rollout] = ()) -> None:
        """Count `rollouts`, each id of which comes once; more can be added."""
        self._by_task: defaultdict[Intent, dict[str, tuple[int, int]]] = defaultdict(dict)
        """Successes and attempts by task, by intent."""
        self._stops: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._mistakes: Counter[str] = Counter()
        self._clauses: Counter[str] = Counter()
        self._redrawn: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._prompt_tokens = 0
        self._turns: Counter[int] = Counter()
        """Talks by number of agent turns."""
        self._sampled: Counter[int] = Counter()
        """Talks by number of sampled tokens; talks without tokens are left out."""
        for rollout in rollouts:
            self.add(rollout)

    def add(self, rollout: Rollout) -> None:
        """Count one talk."""
        tasks = self._by_task[rollout.intent]
        successes, attempts = tasks.get(rollout.task_id, (0, 0))
        tasks[rollout.task_id] = (successes + (rollout.reward.value == 1.0), attempts + 1)
        self._stops[rollout.stop_reason.value] += 1
        self._failed.update(name for name, passed in rollout.reward.checks.items() if not passed)
        self._mistakes.update(_mistakes(rollout))
        self._clauses.update(f"{rollout.domain} {clause}" for clause in set(rollout.reward.broken_clauses))
        for fault in rollout.user_faults:
            (self._kept if fault.kept else self._redrawn)[fault.kind] += 1
        self._turns[sum(message.role == "assistant" for message in rollout.messages)] += 1
        if rollout.turns:
            self._prompt_tokens += sum(len(turn.prompt_ids) for turn in rollout.turns)
            self._sampled[sum(len(turn.sampled_ids) for turn in rollout.turns)] += 1

    def as_json(self) -> dict[str, JsonValue]:
        """The counts, for a manifest.

        Returns:
            ``count`` talks on ``tasks`` tasks, of which ``successes`` succeeded and ``solved`` tasks did so at least
            once; ``success``, the share with its 95 % interval over tasks, also in ``by_intent``; ``stop_reasons``,
            ``failed_checks`` and ``broken_clauses`` (by domain and clause), in talks; ``mistakes``, in turns and
            calls of the agent; ``user_faults`` by kind, drawn again or kept; ``attempts``, tasks by their number of
            attempts; ``tokens`` that were added to prompts and that were sampled; ``turns`` and ``sampled_tokens`` of
            the talks. Equal for any order of the talks. Where tasks are left once enough attempts succeeded, the
            share leans upwards, since the last attempt at a task is then a success by design.
        """
        tasks = self._tasks()
        return {
            **_outcomes(tasks),
            "by_intent": {intent.value: _outcomes(self._by_task[intent]) for intent in Intent if self._by_task[intent]},
            "stop_reasons": _sorted(self._stops),
            "failed_checks": _sorted(self._failed),
            "mistakes": _sorted(self._mistakes),
            "broken_clauses": _sorted(self._clauses),
            "user_faults": {
                kind: {"redrawn": self._redrawn[kind], "kept": self._kept[kind]}
                for kind in sorted({*self._redrawn, *self._kept})
            },
            "attempts": {
                str(number): count
                for number, count in sorted(Counter(attempts for _, attempts in tasks.values()).items())
            },
            "tokens": {"prompt": self._prompt_tokens, "sampled": _total(self._sampled)},
            "turns": _spread(self._turns),
            "sampled_tokens": _spread(self._sampled),
        }

    def lines(self, costs: Mapping[str, JsonValue] | None = None) -> list[str]:
        """The counts as a person reads them in ten seconds: how many succeed, why talks end, what they cost.

        Args:
            costs: What else is known, by name, such as ``seconds``, ``restarts``, ``tokens_per_s``,
                ``cache_hit_share``, ``infrastructure_faults`` by kind. What is None, 0 or empty is left out.
        """
        tasks = self._tasks()
        if not tasks:
            return ["no talks"]
        rows = [
            (
                "intents",
                [f"{intent.value} {_percent(self._by_task[intent])}" for intent in Intent if self._by_task[intent]],
            ),
            ("ended", _largest(self._stops, of=sum(self._stops.values()))),
            ("failed", _largest(self._failed)),
            ("mistakes", _largest(self._mistakes)),
            ("broke", _largest(self._clauses)),
            ("user faults", self._fault_words()),
            ("turns", [_spread_words(self._turns)]),
            ("tokens", self._token_words()),
            ("costs", [words for name, value in (costs or {}).items() if (words := _cost(name, value))]),
        ]
        return [
            self._headline(tasks),
            *(f"  {name:{_WIDTH_OF_NAMES}}{', '.join(words)}" for name, words in rows if words),
        ]

    def _tasks(self) -> dict[str, tuple[int, int]]:
        return {task: outcome for tasks in self._by_task.values() for task, outcome in tasks.items()}

    def _headline(self, tasks: Mapping[str, tuple[int, int]]) -> str:
        share = success_share(_attempts(tasks))
        talks = sum(attempts for _, attempts in tasks.values())
        solved = sum(successes > 0 for successes, _ in tasks.values())
        several = f", {solved} tasks solved at least once" if talks > len(tasks) else ""
        return (
            f"{talks} talks on {len(tasks)} tasks: {percent(share.value)} succeed "
            f"(95% interval {interval(share.low, share.high)}){several}"
        )

    def _fault_words(self) -> list[str]:
        ranked = sorted((self._redrawn + self._kept).items(), key=lambda item: (-item[1], item[0]))
        return [f"{kind} {count}" + (f" ({kept} kept)" if (kept := self._kept[kind]) else "") for kind, count in ranked]

    def _token_words(self) -> list[str]:
        if not self._sampled:
            return []
        return [
            f"{short(self._prompt_tokens)} in prompts",
            f"{short(_total(self._sampled))} sampled (per talk {_spread_words(self._sampled)})",
        ]


def _mistakes(rollout: Rollout) -> Iterator[str]:
    """What the agent did wrong, by the kind of a call's error, and ``length`` for a turn that was cut off."""
    for message in rollout.messages:
        result = message.result
        if result is not None and result.is_error and result.requestor == "assistant":
            # Servers from elsewhere say that a call failed, and not always why.
            yield result.error or "refused"
    for turn in rollout.turns:
        if turn.finish_reason == "length":
            yield "length"


def _attempts(tasks: Mapping[str, tuple[int, int]]) -> list[list[bool]]:
    return [[number < successes for number in range(attempts)] for successes, attempts in tasks.values()]


def _outcomes(tasks: Mapping[str, tuple[int, int]]) -> dict[str, JsonValue]:
    share = success_share(_attempts(tasks)) if tasks else None
    return {
        "count": sum(attempts for _, attempts in tasks.values()),
        "tasks": len(tasks),
        "successes": sum(successes for successes, _ in tasks.values()),
        "solved": sum(successes > 0 for successes, _ in tasks.values()),
        "success": {name: round(value, 6) for name, value in share._asdict().items()} if share else None,
    }


def _percent(tasks: Mapping[str, tuple[int, int]]) -> str:
    return percent(success_share(_attempts(tasks)).value)


def _sorted(counts: Counter[str]) -> JsonValue:
    """Most frequent first, equal ones by name."""
    return cast(JsonValue, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))


def _total(counts: Counter[int]) -> int:
    return sum(value * number for value, number in counts.items())


def _spread(counts: Counter[int]) -> JsonValue:
    """Mean, quantiles and maximum; None where there is nothing.

    The q-quantile is a value that occurs: the smallest that a share of q at least does not exceed.
    """
    if not counts:
        return None
    return {
        "mean": round(_total(counts) / counts.total(), 2),
        "p50": _quantile(counts, 50),
        "p95": _quantile(counts, 95),
        "max": max(counts),
    }


def _quantile(counts: Counter[int], percentage: int) -> int:
    values = sorted(counts)
    reached = accumulate(counts[value] for value in values)
    return next(
        value for value, number in zip(values, reached, strict=True) if 100 * number >= percentage * counts.total()
    )


def _spread_words(counts: Counter[int]) -> str:
    return (
        f"mean {short(_total(counts) / counts.total())}, half up to {_quantile(counts, 50)}, "
        f"95% up to {_quantile(counts, 95)}, most {max(counts)}"
    )


def _largest(counts: Counter[str], of: int = 0) -> list[str]:
    """The most frequent, with their share in `of` unless that is 0, and the number of all others together."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if others := sum(count for _, count in ranked[_MOST_SHOWN:]):
        ranked[_MOST_SHOWN:] = [("others", others)]
    return [f"{name} {count}" + (f" ({percent(count / of)})" if of else "") for name, count in ranked]


def _cost(name: str, value: JsonValue) -> str:
    """One cost in words; empty for what is not there."""
    words = name.replace("_", " ")
    if isinstance(value, dict):
        parts = [part for key, inner in value.items() if (part := _cost(key, inner))]
        return f"{words}: {' '.join(parts)}" if parts else ""
    if not value:
        return ""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return f"{words} {value}"
    if name == "seconds" or (name.endswith("_s") and not name.endswith("_per_s")):
        return spoken(value) if name == "seconds" else f"{words.removesuffix(' s')} {spoken(value)}"
    if name.endswith("_share"):
        return f"{words.removesuffix(' share')} {percent(value)}"
    if name.endswith("_per_s"):
        return f"{short(value)} {words.removesuffix(' per s')}/s"
    return f"{words} {short(value)}"
