"""All that the callers of a domain could mean at the start of a talk: what is just allowed, refused, taken back."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.wish import Candidate, Wish
from t2t.errors import ToolError
from t2t.records import DataSpec, Split, ToolCall
from t2t.verify.probe import try_call

_SIZE = 200
_LEAST = 2
"""So many calls have to be found of each sort."""


class _Meant(NamedTuple):
    """A write that a caller could mean and that no rule forbids; the environment is just before it."""

    environment: Environment
    wish: Wish
    candidate: Candidate
    call: ToolCall


def never_near(domain: Domain, split: Split) -> set[str]:
    """Clauses that have a near side and that hardly any caller comes near with a call that goes through."""
    found: Counter[str] = Counter()
    left = {rule.clause for rule in domain.rules if rule.near}
    for environment, _, _, call in _meant(domain, split):
        if not left:
            break
        context = RuleContext(environment.db, call, environment.past, None)
        rules = [rule for rule in domain.rules_by_tool[call.name] if rule.clause in left and rule.near]
        if not rules or not try_call(environment, call).went_through:
            continue
        found.update(rule.clause for rule in rules if rule.near and rule.near(context))
        left -= {clause for clause in left if found[clause] >= _LEAST}
    return left


def never_met(domain: Domain, split: Split) -> set[str]:
    """Constraints that hardly any caller meets, and refusals that fit more than one constraint."""
    found: Counter[str] = Counter()
    left = {constraint.name for constraint in domain.constraints}
    twice: set[str] = set()
    for environment, wish, _, call in _meant(domain, split):
        if not left:
            break
        constraints = [one for one in domain.constraints if wish.tool in one.tools]
        if left.isdisjoint(one.name for one in constraints):
            continue
        refusal = try_call(environment, call).refusal
        fitting = [one.name for one in constraints if one.says in refusal]
        found.update(fitting)
        twice |= {f"{refusal} fits {fitting}"} if len(fitting) > 1 else set()
        left -= {name for name in left if found[name] >= _LEAST}
    return left | twice


def undone(domain: Domain, split: Split, most: int = 300) -> list[tuple[str, str, str]]:
    """Tool and state hash before and after, of calls that are made and taken back where the rules allow both."""
    done: list[tuple[str, str, str]] = []
    counts: Counter[str] = Counter()
    for environment, wish, candidate, call in _meant(domain, split):
        if wish.undo is None or counts[wish.tool] >= most:
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


def _meant(domain: Domain, split: Split) -> Iterator[_Meant]:
    data = DataSpec(seed=0, size=_SIZE, split=split)
    identity = domain.callers.identities[0]
    for caller in domain.callers.ids(domain.open(data)):
        environment = Environment(domain, data)
        facts = domain.callers.facts(environment.db, caller)
        told = {parameter: facts[name] for parameter, name in identity.parameters.items()}
        environment.run(_call(domain, identity.tool, told))
        for wish in domain.wishes:
            if not domain.tool_by_name[wish.tool].writes:
                continue
            for candidate in wish.candidates(environment.db, caller):
                call = _call(domain, wish.tool, candidate.arguments)
                if all(rule.avoidable for rule in environment.breaks(call)):
                    yield _Meant(environment, wish, candidate, call)


def _call(domain: Domain, name: str, arguments: Mapping[str, JsonValue]) -> ToolCall:
    return ToolCall(id="meant", name=name, arguments={**arguments}, requestor=domain.requestor_of(name))
