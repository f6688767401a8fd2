"""A seeded walker: chains tool outputs into tool inputs by kind and keeps what the rules allow.

A walk acts for one caller. It identifies them, then reads until it can make the call it is after:
the wish seen least so far, or, for a blocked walk, the wish and clause seen least. Reads that neither
the later calls nor a rule need are dropped, and what stays is replayed before it is yielded.
"""

import random
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.rule import Rule, RuleContext
from t2t.domain.tool import KindedValue, Tool, harvest
from t2t.errors import ConfigError, ToolError
from t2t.records import Arguments, Blocked, DataSpec, Step, ToolCall, Trajectory

_TRIES_PER_STEP = 12
_WALKS_PER_TRAJECTORY = 60


@dataclass
class Coverage:
    """What the walks of one run have seen, to prefer what they have not."""

    goals: Counter[str] = field(default_factory=Counter[str])
    """Trajectories by the tool they end in."""
    clauses: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Blocked trajectories by tool and clause."""
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Walks that came to nothing, by reason."""


class _Wait(NamedTuple):
    """A read that must be made before another call may be."""

    clause: str
    """What forbids the other call even then, or empty."""
    tool: str
    arguments: Arguments


class _Pool:
    """Values in reach of the walk, by kind, with the step that gave each first."""

    def __init__(self) -> None:
        self.source: dict[str, dict[str | int, int]] = {}

    def add(self, step: int, kinded: Iterator[tuple[str, str | int]]) -> None:
        for kind, value in kinded:
            self.source.setdefault(kind, {}).setdefault(value, step)

    def values(self, kind: str) -> list[str | int]:
        return list(self.source.get(kind, {}))


def explore(
    domain: Domain, data: DataSpec, count: int, *, max_steps: int, blocked_share: float, seed: int, coverage: Coverage
) -> Iterator[Trajectory]:
    """Walk until `count` valid trajectories exist.

    Args:
        domain: The domain to walk.
        data: Its data.
        count: Trajectories to yield.
        max_steps: Calls per walk at most.
        blocked_share: Share of the trajectories that end before a call that cannot be made.
        seed: Every trajectory follows from this and its number alone, and from `coverage`.
        coverage: Filled while walking.

    Raises:
        ConfigError: the domain's data or the settings allow too few trajectories.
    """
    found = 0
    for attempt in range(count * _WALKS_PER_TRAJECTORY):
        if found == count:
            return
        rng = random.Random(f"explore/{seed}/{domain.name}/{data.split}/{attempt}")
        blocked = rng.random() < blocked_share
        walked = _walk(domain, data, rng, max_steps, blocked, coverage)
        if walked is None:
            continue
        trajectory = walked.model_copy(update={"id": f"{domain.name}-{data.split}-{found:06d}"})
        if not replays(domain, trajectory):
            coverage.dropped["does not replay when reduced"] += 1
            continue
        found += 1
        yield trajectory
    if found < count:
        raise ConfigError(
            f"explore: only {found} of {count} trajectories exist for {domain.name!r} in "
            f"{count * _WALKS_PER_TRAJECTORY} walks; raise explore.max_steps or domain.size, or lower explore.num_*"
        )


def replays(domain: Domain, trajectory: Trajectory) -> bool:
    """True when every step gives its recorded result again, breaks no rule, and the block still holds."""
    environment = Environment(domain, trajectory.data)
    for step in trajectory.steps:
        try:
            done = environment.run(step.call)
        except ToolError:
            return False
        if done.broken or done.content != step.content:
            return False
    blocked = trajectory.blocked
    return blocked is None or [blocked.clause] == [rule.clause for rule in environment.breaks(blocked.call)]


def _walk(
    domain: Domain, data: DataSpec, rng: random.Random, max_steps: int, blocked: bool, coverage: Coverage
) -> Trajectory | None:
    environment = Environment(domain, data)
    caller = rng.choice(domain.callers.ids(environment.db))
    pool = _Pool()
    knowledge = domain.callers.knows(environment.db, caller, rng)
    pool.add(-1, harvest(knowledge, type(knowledge)))
    steps: list[Step] = []
    done: set[tuple[str, str]] = set()

    def take(tool: Tool, arguments: Arguments) -> bool:
        call = _call(domain, f"call_{len(steps) + 1}", tool.name, arguments)
        before = environment.state_hash() if tool.writes else ""
        try:
            executed = environment.run(call)
        except ToolError:
            return False
        if tool.writes and environment.state_hash() == before:
            return False
        pool.add(len(steps), tool.harvest(executed.value))
        steps.append(Step(call=call, content=executed.content, writes=tool.writes))
        done.add((tool.name, _key(arguments)))
        return True

    identity = rng.choice(domain.callers.identities)
    facts = domain.callers.facts(environment.db, caller)
    identify = domain.tool_by_name[identity.tool]
    if not take(identify, {parameter: facts[name] for parameter, name in identity.parameters.items()}):
        coverage.dropped["caller not found"] += 1
        return None

    goals_left = 2 if rng.random() < 0.25 else 1
    goal = _choose_goal(domain, rng, blocked, last=goals_left == 1, coverage=coverage)
    reached: set[str] = set()
    while len(steps) < max_steps:
        last = goals_left == 1
        if goal.name == identity.tool and last and not reached:
            coverage.goals[goal.name] += 1
            return _reduce(domain, data, knowledge, caller, steps, {steps[0].call.id}, None)
        allowed, forbidden, waiting = _in_reach(environment, goal, caller, pool, rng, blocked and last)
        if blocked and last and forbidden:
            rule, arguments = min(forbidden, key=lambda found: coverage.clauses[(goal.name, found[0].clause)])
            coverage.clauses[(goal.name, rule.clause)] += 1
            call = _call(domain, f"call_{len(steps) + 1}", goal.name, arguments)
            block = Blocked(call=call, clause=rule.clause, reason=rule.reason)
            return _reduce(domain, data, knowledge, caller, steps, reached, block)
        fresh = [found for found in allowed if (goal.name, _key(found)) not in done]
        if fresh and not (blocked and last) and take(goal, fresh[0]):
            reached.add(steps[-1].call.id)
            coverage.goals[goal.name] += 1
            if last:
                return _reduce(domain, data, knowledge, caller, steps, reached, None)
            goals_left -= 1
            goal = _choose_goal(domain, rng, blocked, last=goals_left == 1, coverage=coverage)
        elif waiting:
            wait = min(waiting, key=lambda found: coverage.clauses[(goal.name, found.clause)])
            if not take(domain.tool_by_name[wait.tool], wait.arguments):
                break
        elif not _take_some_read(domain, environment, pool, rng, done, take):
            break
    coverage.dropped["goal out of reach"] += 1
    return None


def _in_reach(
    environment: Environment, goal: Tool, caller: str, pool: _Pool, rng: random.Random, blocked: bool
) -> tuple[list[Arguments], list[tuple[Rule, Arguments]], list[_Wait]]:
    """Calls of `goal` that the caller could mean and the walk can make.

    Returns:
        Those allowed; those that one rule forbids; and the reads that others wait for before they are allowed or,
        if `blocked`, before one rule alone forbids them.
    """
    options = list(environment.domain.wish_by_tool[goal.name].candidates(environment.db, caller))
    rng.shuffle(options)
    allowed: list[Arguments] = []
    forbidden: list[tuple[Rule, Arguments]] = []
    waiting: list[_Wait] = []
    for candidate in options:
        if not _reaches(goal, pool, candidate.arguments):
            continue
        call = _call(environment.domain, "probe", goal.name, candidate.arguments)
        broken = environment.breaks(call)
        final = [rule for rule in broken if not rule.avoidable]
        first = next((rule.first for rule in broken if rule.first), None)
        if not broken:
            allowed.append(candidate.arguments)
        elif first and len(final) == blocked:
            tool, arguments = first(RuleContext(environment.db, call, tuple(environment.past), None))
            if _reaches(environment.domain.tool_by_name[tool], pool, arguments):
                waiting.append(_Wait(final[0].clause if final else "", tool, arguments))
        elif len(broken) == 1 and goal.writes and not broken[0].avoidable:
            forbidden.append((broken[0], candidate.arguments))
        if len(allowed) + len(forbidden) >= _TRIES_PER_STEP:
            break
    return allowed, forbidden, waiting


def _reaches(goal: Tool, pool: _Pool, arguments: Arguments) -> bool:
    for parameter in goal.parameters:
        value = arguments.get(parameter.name)
        if value is None or parameter.kind is None:
            continue
        known = pool.source.get(parameter.kind, {})
        if not all(item in known for item in (value if isinstance(value, list) else [value])):
            return False
    return True


def _choose_goal(domain: Domain, rng: random.Random, blocked: bool, *, last: bool, coverage: Coverage) -> Tool:
    """The tool to end in, preferring what is seen least; only the last goal may be a read."""
    names = [wish.tool for wish in domain.wishes if domain.tool_by_name[wish.tool].writes or (last and not blocked)]
    if blocked and last:
        seen: Counter[str] = Counter()
        for (name, _), count in coverage.clauses.items():
            seen[name] += count
        rules = [rule for rule in domain.rules if not rule.avoidable]
        forbids = {name: sum(name in rule.tools for rule in rules) for name in names}
        weights = [forbids[name] / (1 + seen[name]) for name in names]
    else:
        weights = [1.0 / (1 + coverage.goals[name]) for name in names]
    return domain.tool_by_name[rng.choices(names, weights)[0]]


def _take_some_read(
    domain: Domain,
    environment: Environment,
    pool: _Pool,
    rng: random.Random,
    done: set[tuple[str, str]],
    take: Callable[[Tool, Arguments], bool],
) -> bool:
    reads = [tool for tool in domain.tool_by_name.values() if not tool.writes]
    rng.shuffle(reads)
    for tool in reads:
        for _ in range(3):
            arguments = _sample_arguments(tool, pool, rng)
            if arguments is None or (tool.name, _key(arguments)) in done:
                continue
            call = _call(domain, "probe", tool.name, arguments)
            if not environment.breaks(call) and take(tool, arguments):
                return True
    return False


def _sample_arguments(tool: Tool, pool: _Pool, rng: random.Random) -> Arguments | None:
    arguments: dict[str, JsonValue] = {}
    for parameter in tool.parameters:
        if not parameter.required and rng.random() < 0.5:
            continue
        if parameter.choices:
            arguments[parameter.name] = rng.choice(parameter.choices)
            continue
        values = pool.values(parameter.kind) if parameter.kind else []
        if not values:
            if parameter.required:
                return None
            continue
        picked = rng.choice(values)
        arguments[parameter.name] = [picked] if parameter.is_list else picked
    return arguments


def _call(domain: Domain, call_id: str, name: str, arguments: Arguments) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments, requestor=domain.requestor_of(name))


def _key(arguments: Arguments) -> str:
    return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()


def _reduce(
    domain: Domain,
    data: DataSpec,
    knowledge: Any,
    caller: str,
    steps: list[Step],
    goals: set[str],
    blocked: Blocked | None,
) -> Trajectory:
    """Keep the identification, the goals, one earlier read for each value that they need, and what a rule wants first.

    Of several reads that show a value the one about the same thing is kept (it shares an argument
    with the call that needs the value), else the earliest.
    """

    def trajectory(indexes: Container[int]) -> Trajectory:
        chosen = tuple(step for index, step in enumerate(steps) if index in indexes)
        return Trajectory(id="", domain=domain.name, data=data, caller=caller, steps=chosen, blocked=blocked)

    environment = Environment(domain, data)
    brought = set(harvest(knowledge, type(knowledge)))
    gives: list[set[KindedValue]] = []
    for step in steps:
        value = environment.run(step.call).value
        gives.append(set(domain.tool_by_name[step.call.name].harvest(value)))
    everything = set(range(len(steps)))
    kept = {0} | {index for index, step in enumerate(steps) if step.call.id in goals}
    if any(rule.avoidable for rule in domain.rules):
        kept |= {index for index in everything - kept if not replays(domain, trajectory(everything - {index}))}
    open_calls = [(step.call, index) for index, step in enumerate(steps) if index in kept]
    if blocked:
        open_calls.append((blocked.call, len(steps)))
    while open_calls:
        call, index = open_calls.pop()
        needed = _needs(domain, call)
        for item in sorted(needed - brought, key=str):
            sources = [earlier for earlier in range(index) if item in gives[earlier]]
            if not sources or kept & set(sources) & _about(domain, steps, sources, needed):
                continue
            source = min(sources, key=lambda earlier: (not _about(domain, steps, [earlier], needed), earlier))
            if source not in kept:
                kept.add(source)
                open_calls.append((steps[source].call, source))
    return trajectory(kept)


def _about(domain: Domain, steps: list[Step], indexes: Sequence[int], needed: set[KindedValue]) -> set[int]:
    """Those of `indexes` whose call takes one of the values in `needed`."""
    return {index for index in indexes if _needs(domain, steps[index].call) & needed}


def _needs(domain: Domain, call: ToolCall) -> set[KindedValue]:
    needed: set[KindedValue] = set()
    for parameter in domain.tool_by_name[call.name].parameters:
        value = call.arguments.get(parameter.name)
        if parameter.kind is None or value is None:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str | int):
                needed.add((parameter.kind, item))
    return needed
