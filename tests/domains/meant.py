"""All that the callers of a domain could mean at the start of a talk: what is just allowed, refused, taken back."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.wish import Candidate, Wish
from t2t.errors import ToolError
from t2t.records import DataSpec, Split, ToolCall
from t2t.verify.probe import try_call

_LEAST = 2
"""So many calls have to be found of each sort."""
_MOST = 60
"""So many of all that one caller could mean with a tool are looked at."""


class _Meant(NamedTuple):
    """A write that a caller could mean and that no rule forbids; the environment is just before it."""

    environment: Environment
    wish: Wish
    candidate: Candidate
    call: ToolCall


def never_near(domain: Domain, split: Split, size: int = 200) -> set[str]:
    """Clauses that have a near side and that hardly any caller comes near with a call that goes through."""
    found: Counter[str] = Counter()
    left = {rule.clause for rule in domain.rules if rule.near}

    def is_open(tool: str) -> bool:
        return any(rule.clause in left for rule in domain.rules_by_tool.get(tool, ()))

    for environment, _, _, call in _meant(domain, split, size, is_open):
        context = RuleContext(environment.db, call, environment.past, None)
        rules = [rule for rule in domain.rules_by_tool[call.name] if rule.clause in left and rule.near]
        if not rules or not try_call(environment, call).went_through:
            continue
        found.update(rule.clause for rule in rules if rule.near and rule.near(context))
        left -= {clause for clause in left if found[clause] >= _LEAST}
    return left


def never_met(domain: Domain, split: Split, size: int = 200) -> set[str]:
    """Constraints that hardly any caller meets, and refusals that fit more than one constraint."""
    found: Counter[str] = Counter()
    left = {constraint.name for constraint in domain.constraints}
    twice: set[str] = set()

    def is_open(tool: str) -> bool:
        return any(tool in one.tools and one.name in left for one in domain.constraints)

    for environment, wish, _, call in _meant(domain, split, size, is_open):
        refusal = try_call(environment, call).refusal
        fitting = [one.name for one in domain.constraints if wish.tool in one.tools and one.says in refusal]
        found.update(fitting)
        twice |= {f"{refusal} fits {fitting}"} if len(fitting) > 1 else set()
        left -= {name for name in left if found[name] >= _LEAST}
    return left | twice


def undone(domain: Domain, split: Split, size: int = 200, most: int = 300) -> list[tuple[str, str, str]]:
    """Tool and state hash before and after, of calls that are made and taken back where the rules allow both."""
    done: list[tuple[str, str, str]] = []
    counts: Counter[str] = Counter()

    def is_open(tool: str) -> bool:
        return domain.wish_by_tool[tool].undo is not None and counts[tool] < most

    for environment, wish, candidate, call in _meant(domain, split, size, is_open):
        if wish.undo is None:
            continue
        before, savepoint, num_past = environment.state_hash(), environment.db.savepoint(), len(environment.past)
        try:
            value = environment.run(call).value
            for undo in wish.undo(environment.db, candidate.arguments, candidate.slots, value):
                back = _call(domain, undo.tool, undo.arguments)
                assert undo.proposal
                assert "{" not in undo.proposal
                if any(not rule.avoidable for rule in environment.breaks(back)):
                    break
                environment.run(back)
            else:
                done.append((wish.tool, before, environment.state_hash()))
                counts[wish.tool] += 1
        except ToolError:
            pass
        environment.db.rollback(savepoint)
        del environment.past[num_past:]
    return done


def _meant(domain: Domain, split: Split, size: int, is_open: Callable[[str], bool]) -> Iterator[_Meant]:
    """Some of all that each caller could mean with the tools that are open when it comes to them."""
    data = DataSpec(seed=0, size=size, split=split)
    identity = domain.callers.identities[0]
    writes = [wish for wish in domain.wishes if domain.tool_by_name[wish.tool].writes]
    rng = random.Random(f"meant/{domain.name}/{split}")
    for caller in domain.callers.ids(domain.open(data)):
        environment = Environment(domain, data)
        facts = domain.callers.facts(environment.db, caller)
        told = {parameter: facts[name] for parameter, name in identity.parameters.items()}
        environment.run(_call(domain, identity.tool, told))
        for wish in writes:
            if not is_open(wish.tool):
                continue
            options = list(wish.candidates(environment.db, caller))
            for candidate in rng.sample(options, min(_MOST, len(options))):
                call = _call(domain, wish.tool, candidate.arguments)
                if all(rule.avoidable for rule in environment.breaks(call)):
                    yield _Meant(environment, wish, candidate, call)


def _call(domain: Domain, name: str, arguments: Mapping[str, JsonValue]) -> ToolCall:
    return ToolCall(id="meant", name=name, arguments={**arguments}, requestor=domain.requestor_of(name))
