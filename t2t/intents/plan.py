"""What can be written from a trajectory: the four intents, their parameters, and the shares that are aimed at."""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Literal, NamedTuple

from t2t.config import SynthesizeConfig
from t2t.records import Intent

Moment = Literal["message", "proposal", "done"]

_ORDER: tuple[Moment, ...] = ("message", "proposal", "done")
_OPEN_BY_CHANCE = 0.25


class Plan(NamedTuple):
    """One way to make a task hard."""

    intent: Intent
    """What the task is counted as: the last of the adaptations that it joins."""
    several: bool = False
    """More than one wish, all granted."""
    reads: bool = False
    """The wish is to be told something; nothing is written."""
    withheld: int = 0
    """Questions that the opening leaves to ask."""
    changes: tuple[Moment, ...] = ()
    """When the caller changes their mind, in order."""
    refused: bool = False
    """The last wish is forbidden."""
    feasible_part: bool = False
    """Beside the forbidden wish there is one that is granted."""
    alternative: bool = False
    """When refused, the caller takes something else that is allowed."""
    twin: bool = False
    """The wish only looks forbidden: the rule just allows it."""


def plans(name: str, settings: SynthesizeConfig) -> dict[Plan, float]:
    """All plans of an intent, or of joined ones (``ambiguous+infeasible``), with the share of each; shares sum to 1."""
    parts = [Intent(part) for part in name.split("+")]
    last = parts[-1]
    if last is Intent.GENERAL:
        # Mostly one write, as the adapted intents have it: else "what" and "also" would give the intent away.
        return {Plan(last): 0.65, Plan(last, several=True): 0.2, Plan(last, reads=True): 0.15}
    withheld = {0: 1.0}
    if Intent.AMBIGUOUS in parts:
        withheld = dict(enumerate(settings.withheld, start=1))
    elif last is Intent.INFEASIBLE:
        # Refusing and asking back must not be told apart by the words of the opening.
        withheld = {0: 1 - _OPEN_BY_CHANCE, 1: _OPEN_BY_CHANCE}
    changes: dict[tuple[Moment, ...], float] = {(): 1.0}
    if Intent.CHANGING in parts:
        changes = _changes(settings)
    found: dict[Plan, float] = {}
    for (count, share), (moments, chance) in product(withheld.items(), changes.items()):
        plan = Plan(last, withheld=count, changes=moments)
        if last is not Intent.INFEASIBLE:
            found[plan] = share * chance
            continue
        joined = Intent.AMBIGUOUS in parts or bool(moments)
        twins = 0.0 if moments else settings.twins
        found[plan._replace(twin=True)] = share * chance * twins
        for feasible, other in product((True, False), (True, False)):
            # Facts of two wishes would answer the same question, so what is asked for stands alone.
            if feasible and (joined or count or other):
                continue
            part = 0.0 if joined or count else settings.feasible_part
            chances = (part if feasible else 1 - part) * (
                1.0 if feasible else settings.alternative if other else 1 - settings.alternative
            )
            refused = plan._replace(refused=True, feasible_part=feasible, alternative=other)
            found[refused] = share * chance * (1 - twins) * chances
    total = sum(found.values())
    return {plan: share / total for plan, share in found.items() if share > 0}


def _changes(settings: SynthesizeConfig) -> dict[tuple[Moment, ...], float]:
    """When minds change: at most once before a proposal and at most once when the wish is carried out already."""
    found: dict[tuple[Moment, ...], float] = {}
    for count, share in enumerate(settings.changes, start=1):
        orders = [moments for moments in product(_ORDER, repeat=count) if _possible(moments)]
        weights = [prod(settings.change_when.get(moment, 0.0) for moment in moments) for moments in orders]
        for moments, weight in zip(orders, weights, strict=True):
            if sum(weights) > 0:
                found[moments] = share * weight / sum(weights)
    return found


def _possible(moments: Sequence[Moment]) -> bool:
    in_order = list(moments) == sorted(moments, key=_ORDER.index)
    return in_order and moments.count("message") <= 1 and moments.count("done") <= 1
