"""A seeded walker: chains tool outputs into tool inputs by kind and keeps what the rules allow.

A walk acts for one caller. It identifies them, then reads until it can make the call it is after: the
wish seen least so far, after the goal it followed least, with values from the ranges seen least; or, for
a blocked walk, the wish and clause (or constraint) seen least. What it did for nothing is then taken out.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.tool import KindedValue, Tool, harvest
from t2t.domain.wish import Candidate, Wish
from t2t.errors import ConfigError, ToolError
from t2t.explore.reduce import reduce, replays
from t2t.records import Arguments, Blocked, DataSpec, Step, ToolCall, Trajectory

BLOCK = 50
"""Trajectories that are found together: a block depends on its number and on the coverage before it alone."""

_TRIES_PER_STEP = 12
_TRIES_OF_GOAL = 4
_READ_SHARE = 0.15
_DETOUR = 8.0
_AIMED = 0.8
_CALLERS_TRIED = 16
_WALKS_PER_TRAJECTORY = 60


@dataclass
class Coverage:
    """What the walks of one run have seen, to prefer what they have not; bounded by the domain, not by the run."""

    goals: Counter[str] = field(default_factory=Counter[str])
    """Goals reached, by tool."""
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Calls by the tool before and their own."""
    clauses: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Blocked trajectories by tool and clause, or constraint."""
    near: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Goals that a rule just allows, by tool and clause."""
    ranges: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Goals by tool and the range that a value of theirs lies in."""
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Walks that came to nothing, by reason."""

    def copy(self) -> "Coverage":
        """The same, to be filled on its own."""
        return Coverage(*(Counter(getattr(self, one.name)) for one in fields(self)))

    def since(self, before: "Coverage") -> "Coverage":
        """What was added to `before`."""
        return Coverage(*(getattr(self, one.name) - getattr(before, one.name) for one in fields(self)))

    def add(self, other: "Coverage") -> None:
        """Take in what others saw."""
        for one in fields(self):
            getattr(self, one.name).update(getattr(other, one.name))


class _Wait(NamedTuple):
    """A read that must be made before another call may be."""

    clause: str
    """What forbids the other call even then, or empty."""
    tool: str
    arguments: Arguments


class _Reach(NamedTuple):
    """Calls of a goal's tool that the caller could mean and the walk can make."""

    allowed: list[Arguments]
    forbidden: list[Blocked]
    """Those that one rule, or one constraint, forbids."""
    waiting: list[_Wait]
    """Reads that others wait for before they are allowed or, in a blocked walk, before one rule alone forbids them."""


class _Pool:
    """Values in reach of the walk, by kind."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str | int, None]] = {}

    def add(self, kinded: Iterator[KindedValue]) -> None:
        for kind, value in kinded:
            self.known.setdefault(kind, {})[value] = None

    def values(self, kind: str) -> list[str | int]:
        return list(self.known.get(kind, ()))


def explore(
    domain: Domain,
    data: DataSpec,
    count: int,
    *,
    max_steps: int,
    blocked_share: float,
    seed: int,
    coverage: Coverage,
    goals: Sequence[float] = (0.75, 0.25),
) -> Iterator[Trajectory]:
    """Walk until `count` valid trajectories exist.

    Args:
        domain: The domain to walk.
        data: Its data.
        count: Trajectories to yield.
        max_steps: Calls per walk at most.
        blocked_share: Share of the walks that end before a call that cannot be made.
        seed: Every trajectory follows from this, its number and `coverage` alone.
        coverage: What was seen; filled while walking.
        goals: Shares of the walks with one goal, two, and so on.

    Raises:
        ConfigError: the domain's data or the settings allow too few trajectories.
    """
    for block in range(-(-count // BLOCK)):
        wanted = min(BLOCK, count - block * BLOCK)
        yield from explore_block(
            domain,
            data,
            block,
            wanted,
            max_steps=max_steps,
            blocked_share=blocked_share,
            seed=seed,
            coverage=coverage,
            goals=goals,
        )


def explore_block(
    domain: Domain,
    data: DataSpec,
    block: int,
    wanted: int,
    *,
    max_steps: int,
    blocked_share: float,
    seed: int,
    coverage: Coverage,
    goals: Sequence[float],
) -> Iterator[Trajectory]:
    """The first `wanted` trajectories from number ``block * BLOCK`` on; see `explore`."""
    found = 0
    for attempt in range(wanted * _WALKS_PER_TRAJECTORY):
        rng = random.Random(f"explore/{seed}/{domain.name}/{data.split}/{block}/{attempt}")
        walked = _Walk(domain, data, rng, coverage, max_steps, rng.random() < blocked_share, goals).run()
        if walked is None:
            continue
        if not replays(domain, walked):
            coverage.dropped["does not replay when reduced"] += 1
            continue
        yield walked.model_copy(update={"id": f"{domain.name}-{data.split}-{block * BLOCK + found:06d}"})
        found += 1
        if found == wanted:
            return
    raise ConfigError(
        f"explore: only {found} of {wanted} trajectories exist for {domain.name!r} in "
        f"{wanted * _WALKS_PER_TRAJECTORY} walks; raise explore.max_steps or domain.size, or lower explore.num_*"
    )


class _Walk:
    """One walk for one caller."""

    def __init__(
        self,
        domain: Domain,
        data: DataSpec,
        rng: random.Random,
        coverage: Coverage,
        max_steps: int,
        blocked: bool,
        goals: Sequence[float],
    ) -> None:
        self.domain, self.data, self.rng, self.coverage = domain, data, rng, coverage
        self.max_steps, self.blocked = max_steps, blocked
        self.goals_left = rng.choices(range(1, len(goals) + 1), goals)[0]
        self.environment = Environment(domain, data)
        self.start = Environment(domain, data)
        self.identity = rng.choice(domain.callers.identities)
        self.goal = self._choose_goal(self.identity.tool, domain.wishes)
        self.caller = self._choose_caller()
        knowledge = domain.callers.knows(self.environment.db, self.caller, rng)
        self.brought = frozenset(harvest(knowledge, type(knowledge)))
        self.pool = _Pool()
        self.pool.add(iter(sorted(self.brought, key=str)))
        self.reads = [tool for tool in domain.tool_by_name.values() if not tool.writes]
        self.options: list[Candidate] = []
        """What the caller could mean by the goal, at the last look."""
        self.steps: list[Step] = []
        self.done: set[tuple[str, str]] = set()

    def run(self) -> Trajectory | None:
        """Walk; None when it came to nothing, which `Coverage.dropped` counts."""
        identity, goal, reached = self.identity, self.goal, 0
        facts = self.domain.callers.facts(self.environment.db, self.caller)
        identify = self.domain.tool_by_name[identity.tool]
        if not self._take(identify, {parameter: facts[name] for parameter, name in identity.parameters.items()}):
            self.coverage.dropped["caller not found"] += 1
            return None
        while len(self.steps) < self.max_steps:
            last = self.goals_left == 1
            if goal.name == identity.tool and last and not reached:
                self.coverage.goals[goal.name] += 1
                return self._finish(None)
            reach = self._in_reach(goal, self.blocked and last)
            wait = min(reach.waiting, key=lambda found: self.coverage.clauses[(goal.name, found.clause)], default=None)
            block = min(reach.forbidden, key=self._times_blocked, default=None)
            if block and wait and self.coverage.clauses[(goal.name, wait.clause)] < self._times_blocked(block):
                block = None
            if self.blocked and last and block:
                self.coverage.clauses[(block.call.name, block.clause or block.constraint)] += 1
                return self._finish(block)
            if not (self.blocked and last) and self._reach_goal(goal, reach.allowed):
                reached += 1
                if last:
                    return self._finish(None)
                self.goals_left -= 1
                goal = self._choose_goal(goal.name, self._open_wishes())
            elif wait:
                if not self._take(self.domain.tool_by_name[wait.tool], wait.arguments):
                    break
            elif not self._take_some_read(goal):
                break
        self.coverage.dropped["goal out of reach"] += 1
        return None

    def _finish(self, blocked: Blocked | None) -> Trajectory | None:
        walked = Trajectory(
            id="",
            domain=self.domain.name,
            data=self.data,
            caller=self.caller,
            steps=tuple(self.steps),
            blocked=blocked,
        )
        reduced = reduce(self.domain, walked, self.brought)
        if reduced is None:
            self.coverage.dropped["the goals take each other back"] += 1
            return None
        before = ""
        for step in reduced.steps:
            self.coverage.pairs[(before, step.call.name)] += 1
            before = step.call.name
        return reduced

    def _times_blocked(self, block: Blocked) -> int:
        return self.coverage.clauses[(block.call.name, block.clause or block.constraint)]

    def _take(self, tool: Tool, arguments: Arguments) -> bool:
        """Make a call; False when the tool refuses it or, for a write, when nothing changes."""
        environment = self.environment
        call = _call(self.domain, f"call_{len(self.steps) + 1}", tool.name, arguments)
        before = environment.state_hash() if tool.writes else ""
        mark = environment.mark()
        try:
            executed = environment.run(call)
        except ToolError:
            return False
        if tool.writes and environment.state_hash() == before:
            environment.back_to(mark)
            return False
        self.pool.add(tool.harvest(executed.value))
        self.steps.append(Step(call=call, content=executed.content, writes=tool.writes))
        self.done.add((tool.name, _key(arguments)))
        return True

    def _reach_goal(self, goal: Tool, allowed: Sequence[Arguments]) -> bool:
        """Make the call whose values were seen least and that the tool does not refuse."""
        fresh = [arguments for arguments in allowed if (goal.name, _key(arguments)) not in self.done]
        scored = [(self._rarity(goal, arguments), -place) for place, arguments in enumerate(fresh)]
        for _, place in sorted(scored, reverse=True)[:_TRIES_OF_GOAL]:
            arguments = fresh[-place]
            near = self._near(goal, arguments)
            if self._take(goal, arguments):
                self.coverage.goals[goal.name] += 1
                self.coverage.ranges.update((goal.name, key) for key in _ranges(goal, arguments))
                self.coverage.near.update((goal.name, clause) for clause in near)
                return True
        return False

    def _rarity(self, goal: Tool, arguments: Arguments) -> float:
        """High for values, and for rules that just allow the call, that were seen seldom."""
        ranges = [1 / (1 + self.coverage.ranges[(goal.name, key)]) for key in _ranges(goal, arguments)]
        near = [1 / (1 + self.coverage.near[(goal.name, clause)]) for clause in self._near(goal, arguments)]
        return max((*ranges, *near), default=0.0)

    def _near(self, goal: Tool, arguments: Arguments) -> list[str]:
        rules = [rule for rule in self.domain.rules_by_tool.get(goal.name, ()) if rule.near is not None]
        if not rules:
            return []
        call = _call(self.domain, "probe", goal.name, arguments)
        context = RuleContext(self.environment.db, call, tuple(self.environment.past), None)
        return [rule.clause for rule in rules if rule.near is not None and rule.near(context)]

    def _in_reach(self, goal: Tool, blocked: bool) -> _Reach:
        """What can be done about a goal now; `blocked` looks for what must not be done."""
        environment = self.environment
        options = list(self.domain.wish_by_tool[goal.name].candidates(environment.db, self.caller))
        self.rng.shuffle(options)
        self.options = options
        found = _Reach([], [], [])
        for candidate in options:
            if not self._reaches(goal, candidate.arguments):
                continue
            call = _call(self.domain, "probe", goal.name, candidate.arguments)
            broken = environment.breaks(call)
            final = [rule for rule in broken if not rule.avoidable]
            first = next((rule.first for rule in broken if rule.first), None)
            if not broken:
                constraint = environment.refusing_constraint(call) if blocked and goal.writes else None
                if constraint is not None and self.start.refusing_constraint(call) is not constraint:
                    continue  # the walk itself made it impossible: nobody asks for the same twice
                if constraint is not None:
                    found.forbidden.append(self._block(call, "", constraint.reason, constraint.name))
                else:
                    found.allowed.append(candidate.arguments)
            elif first and len(final) == blocked:
                tool, arguments = first(RuleContext(environment.db, call, tuple(environment.past), None))
                if self._reaches(self.domain.tool_by_name[tool], arguments):
                    found.waiting.append(_Wait(final[0].clause if final else "", tool, arguments))
            elif len(broken) == 1 and goal.writes and not broken[0].avoidable and not environment.refusal(call):
                found.forbidden.append(self._block(call, broken[0].clause, broken[0].reason, ""))
            if len(found.allowed) + len(found.forbidden) >= _TRIES_PER_STEP:
                break
        return found

    def _block(self, call: ToolCall, clause: str, reason: str, constraint: str) -> Blocked:
        named = call.model_copy(update={"id": f"call_{len(self.steps) + 1}"})
        return Blocked(call=named, clause=clause, reason=reason, constraint=constraint)

    def _reaches(self, tool: Tool, arguments: Arguments) -> bool:
        """True when all that a call needs of other calls has been shown."""
        for parameter in tool.parameters:
            value = arguments.get(parameter.name)
            if value is None or parameter.kind is None:
                continue
            known = self.pool.known.get(parameter.kind, {})
            if not all(item in known for item in (value if isinstance(value, list) else [value])):
                return False
        return True

    def _choose_caller(self) -> str:
        """Somebody who can want the goal, if one of several does."""
        ids = self.domain.callers.ids(self.environment.db)
        wish = self.domain.wish_by_tool[self.goal.name]
        for _ in range(_CALLERS_TRIED):
            caller = self.rng.choice(ids)
            if any(True for _ in wish.candidates(self.environment.db, caller)):
                return caller
        return self.rng.choice(ids)

    def _open_wishes(self) -> list[Wish]:
        """What the caller can want now."""
        wishes = self.domain.wishes
        db = self.environment.db
        return [wish for wish in wishes if any(True for _ in wish.candidates(db, self.caller))] or list(wishes)

    def _choose_goal(self, before: str, wishes: Sequence[Wish]) -> Tool:
        """The tool to end in, preferring what is seen least; only the last goal may be a read."""
        domain, coverage, last = self.domain, self.coverage, self.goals_left == 1
        blocked = self.blocked and last
        tools = [domain.tool_by_name[wish.tool] for wish in wishes]
        tools = [tool for tool in tools if tool.writes or (last and not blocked)] or tools
        if blocked:
            seen: Counter[str] = Counter()
            for (name, _), count in coverage.clauses.items():
                seen[name] += count
            forbids = [*(rule.tools for rule in domain.rules if not rule.avoidable)]
            forbids += [constraint.tools for constraint in domain.constraints]
            weights = [sum(tool.name in names for names in forbids) / (1 + seen[tool.name]) for tool in tools]
        else:
            # A walk that ends in a write makes tasks of every intent, one that ends in a read general ones alone.
            weights = [
                (1 if tool.writes else _READ_SHARE)
                / (1 + coverage.goals[tool.name])
                / (1 + coverage.pairs[(before, tool.name)]) ** 0.5
                for tool in tools
            ]
        return self.rng.choices(tools, weights)[0] if any(weights) else self.rng.choice(tools)

    def _take_some_read(self, goal: Tool) -> bool:
        """Look something up: rather what shows a value that one meaning of the goal still needs, about that meaning."""
        aim = self.rng.choice(self.options).arguments if self.options else {}
        wanted = {kind for kind, value in goal.kinded(aim) if value not in self.pool.known.get(kind, ())}
        values = {value for _, value in goal.kinded(aim)}
        before = self.steps[-1].call.name
        # A weighted shuffle: tools that followed the last one seldom come first more often.
        order = {
            tool.name: self.rng.random()
            * (1 + self.coverage.pairs[(before, tool.name)]) ** 0.5
            * (_DETOUR if wanted.isdisjoint(tool.kinds_given) else 1)
            for tool in self.reads
        }
        for tool in sorted(self.reads, key=lambda tool: order[tool.name]):
            for _ in range(3):
                arguments = self._sample_arguments(tool, values)
                if arguments is None or (tool.name, _key(arguments)) in self.done:
                    continue
                call = _call(self.domain, "probe", tool.name, arguments)
                if not self.environment.breaks(call) and self._take(tool, arguments):
                    return True
        return False

    def _sample_arguments(self, tool: Tool, wanted: Set[str | int]) -> Arguments | None:
        """Arguments of what the walk knows, rather `wanted` ones; None when it lacks one."""
        arguments: dict[str, JsonValue] = {}
        for parameter in tool.parameters:
            if not parameter.required and self.rng.random() < 0.5:
                continue
            if parameter.choices:
                arguments[parameter.name] = self.rng.choice(parameter.choices)
                continue
            values = self.pool.values(parameter.kind) if parameter.kind else []
            if not values:
                if parameter.required:
                    return None
                continue
            near = [value for value in values if value in wanted]
            picked = self.rng.choice(near if near and self.rng.random() < _AIMED else values)
            arguments[parameter.name] = [picked] if parameter.is_list else picked
        return arguments


def _ranges(tool: Tool, arguments: Arguments) -> list[str]:
    """The range that each value lies in: a choice, a power of two, a month, a number of things."""
    found: list[str] = []
    for parameter in tool.parameters:
        value: Any = arguments.get(parameter.name)
        if parameter.choices:
            found.append(f"{parameter.name}={value}")
        elif isinstance(value, list):
            found.append(f"{parameter.name} holds {len(value)}")
        elif isinstance(value, int | float):
            found.append(f"{parameter.name} of {int(value).bit_length()} bits")
        elif isinstance(value, str) and len(value) == len("2024-01-01") and value[4:8:3] == "--":
            found.append(f"{parameter.name} in {value[:7]}")
        elif value is None and not parameter.required:
            found.append(f"no {parameter.name}")
    return found


def _call(domain: Domain, call_id: str, name: str, arguments: Arguments) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments, requestor=domain.requestor_of(name))


def _key(arguments: Arguments) -> str:
    return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()
