"""What the checks of a domain look at: calls found by search, each with an environment just before it.

They are the steps of walks, and all that callers could mean in several states of several databases.
"""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import chain, islice

from pydantic import JsonValue

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.tool import Parameter, Tool, harvest
from t2t.domain.wish import Candidate, Slot, Wish
from t2t.errors import ConfigError, ToolError
from t2t.explore.program import Coverage, explore
from t2t.records import Arguments, DataSpec, ToolCall, Trajectory
from t2t.verify.probe import try_call

_WALKS_PER_WISH = 6
_LEAST_WALKS = 50
_CALLERS = 6
_MANY_CALLERS = 100
_CANDIDATES_PER_WISH = 10
_WRITES = 3


class Inspection:
    """A domain under the checks, with what several of them look at, made once."""

    def __init__(self, domain: Domain, *, size: int = 120, seed: int = 0) -> None:
        """Inspect `domain` on data of this size and seed."""
        self.domain = domain
        self.data = DataSpec(seed=seed, size=size, split="train")

    @cached_property
    def walks(self) -> tuple[Trajectory, ...]:
        """Trajectories towards wishes and clauses: a few for each wish, and more until every wish is reached."""
        found: list[Trajectory] = []
        left = {wish.tool for wish in self.domain.wishes}
        least = max(_LEAST_WALKS, _WALKS_PER_WISH * len(left))
        walks = explore(
            self.domain,
            self.data,
            3 * least if left else 0,
            max_steps=12,
            blocked_share=0.4,
            seed=self.data.seed,
            coverage=Coverage(),
        )
        with suppress(ConfigError):
            for walk in walks:
                found.append(walk)
                if walk.blocked is None:
                    left.discard(walk.steps[-1].call.name)
                if len(found) >= least and not left:
                    break
        return tuple(found)

    def calls_of_walks(self) -> Iterator[tuple[Environment, ToolCall]]:
        """Each call of the walks, the blocked ones too, with an environment just before it."""
        for walk in self.walks:
            environment = Environment(self.domain, walk.data)
            for step in walk.steps:
                yield environment, step.call
                environment.run(step.call)
            if walk.blocked is not None:
                yield environment, walk.blocked.call

    @cached_property
    def ends(self) -> list[tuple[Environment, dict[str, list[str | int]]]]:
        """The environment at the end of each walk, and the values in its reach by kind."""
        found: list[tuple[Environment, dict[str, list[str | int]]]] = []
        for walk in self.walks:
            environment = Environment(self.domain, walk.data)
            knowledge = self.domain.callers.knows(environment.db, walk.caller, random.Random(walk.id))
            values: dict[str, list[str | int]] = {}
            reached = list(harvest(knowledge, type(knowledge)))
            for step in walk.steps:
                reached.extend(self.domain.tool_by_name[step.call.name].harvest(environment.run(step.call).value))
            for kind, value in reached:
                values.setdefault(kind, []).append(value)
            found.append((environment, values))
        return found

    @cached_property
    def examples(self) -> dict[str, tuple[Environment, ToolCall]]:
        """By tool, a call that goes through, and an environment just before it."""
        found: dict[str, tuple[Environment, ToolCall]] = {}
        for walk in self.walks:
            for number, step in enumerate(walk.steps):
                if step.call.name not in found:
                    environment = Environment(self.domain, walk.data)
                    for earlier in walk.steps[:number]:
                        environment.run(earlier.call)
                    found[step.call.name] = (environment, step.call)
        for tool in self.domain.tool_by_name.values():
            if tool.name not in found:
                sampled = islice(self.sample(tool), 300)
                works = (pair for pair in sampled if try_call(*pair).went_through)
                if (example := next(works, None)) is not None:
                    found[tool.name] = example
        return found

    def sample(self, tool: Tool) -> Iterator[tuple[Environment, ToolCall]]:
        """Endless calls of a tool with values that walks came by."""
        rng = random.Random(f"sample/{tool.name}")
        while self.ends:
            environment, values = rng.choice(self.ends)
            arguments: dict[str, JsonValue] = {}
            for parameter in tool.parameters:
                if parameter.required or rng.random() < 0.7:
                    arguments[parameter.name] = _sample_value(parameter, values, rng)
            yield environment, self.call(tool.name, arguments)

    def probes(self) -> Iterator[tuple[Environment, ToolCall]]:
        """Calls in the states that rules and refusals are about; the environments are not to be kept.

        First the walks. Then, for some callers of three databases, what they could mean: before
        anyone is identified, with another caller identified, with them identified, and after a few
        writes. Last, reads that nobody wishes for.
        """
        yield from self.calls_of_walks()
        larger = self.data.model_copy(update={"size": 4 * self.data.size})
        for data in (self.data, self.data.model_copy(update={"seed": self.data.seed + 1}), larger):
            rng = random.Random(f"probes/{data.seed}/{data.size}")
            ids = list(self.domain.callers.ids(self.domain.open(data)))
            callers = rng.sample(ids, min(_CALLERS, len(ids)))
            for caller, other in zip(callers, [*callers[1:], callers[0]], strict=True):
                yield from self._probe_around(data, caller, other, rng)
        for tool in self.domain.tools:
            if tool.name not in self.domain.wish_by_tool:
                for environment, call in islice(self.sample(tool), 20):
                    yield environment, call
                    yield Environment(self.domain, self.data), call

    def probes_of(self, tools: Collection[str]) -> Iterator[tuple[Environment, ToolCall]]:
        """What a hundred callers of a larger database could mean of some tools, before and after writes by them."""
        data = self.data.model_copy(update={"size": 4 * self.data.size, "seed": self.data.seed + 2})
        wishes = [wish for wish in self.domain.wishes if wish.tool in tools]
        rng = random.Random(f"probes/{sorted(tools)}")
        for caller in islice(self.domain.callers.ids(self.domain.open(data)), _MANY_CALLERS):
            known = self._identified(data, caller, rng)
            for _ in range(_WRITES):
                calls = list(self._meant(known, caller, rng, wishes, 4 * _CANDIDATES_PER_WISH))
                yield from ((known, call) for call in calls)
                if not self._write_one_of(known, calls):
                    break

    def _probe_around(
        self, data: DataSpec, caller: str, other: str, rng: random.Random
    ) -> Iterator[tuple[Environment, ToolCall]]:
        known = self._identified(data, caller, rng)
        for environment in (Environment(self.domain, data), self._identified(data, other, rng), known):
            for identity in self.domain.callers.identities:
                yield environment, self._identification(environment, caller, identity.tool)
            for call in self._meant(environment, caller, rng, self.domain.wishes):
                yield environment, call
        for _ in range(_WRITES):
            calls = list(self._meant(known, caller, rng, self.domain.wishes))
            if not self._write_one_of(known, calls):
                return
            for call in (known.past[-1].call, *calls, *self._meant(known, caller, rng, self.domain.wishes)):
                yield known, call

    def _write_one_of(self, environment: Environment, calls: Sequence[ToolCall]) -> bool:
        """Make the first of the calls that is a write, breaks no rule and goes through; False if there is none."""
        for call in calls:
            if self.domain.tool_by_name[call.name].writes and not environment.breaks(call):
                with suppress(ToolError):
                    environment.run(call)
                    return True
        return False

    def _identified(self, data: DataSpec, caller: str, rng: random.Random) -> Environment:
        environment = Environment(self.domain, data)
        with suppress(ToolError):
            environment.run(self._identification(environment, caller, rng.choice(self.domain.callers.identities).tool))
        return environment

    def _identification(self, environment: Environment, caller: str, tool: str) -> ToolCall:
        identity = next(identity for identity in self.domain.callers.identities if identity.tool == tool)
        facts = self.domain.callers.facts(environment.db, caller)
        return self.call(tool, {parameter: facts[name] for parameter, name in identity.parameters.items()})

    def _meant(
        self,
        environment: Environment,
        caller: str,
        rng: random.Random,
        wishes: Sequence[Wish],
        count: int = _CANDIDATES_PER_WISH,
    ) -> Iterator[ToolCall]:
        """Some of all that a caller could mean now, `count` of each wish."""
        for wish in wishes:
            options = list(wish.candidates(environment.db, caller))
            for candidate in rng.sample(options, min(count, len(options))):
                yield self.call(wish.tool, candidate.arguments)

    def call(self, name: str, arguments: Arguments) -> ToolCall:
        """A call by whoever has the tool."""
        return ToolCall(id="probe", name=name, arguments=arguments, requestor=self.domain.requestor_of(name))

    @cached_property
    def candidates(self) -> dict[str, list[Candidate]]:
        """By the tool of a wish, some of all that a hundred callers could mean."""
        db = self.domain.open(self.data)
        callers = list(islice(self.domain.callers.ids(db), _MANY_CALLERS))
        found: dict[str, list[Candidate]] = {}
        for wish in self.domain.wishes:
            meant = (islice(wish.candidates(db, caller), 2 * _CANDIDATES_PER_WISH) for caller in callers)
            found.setdefault(wish.tool, []).extend(chain.from_iterable(meant))
        return found

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot of the domain, those of callers first."""
        return (*self.domain.callers.slots, *(slot for wish in self.domain.wishes for slot in wish.slots))


def _sample_value(parameter: Parameter, values: Mapping[str, Sequence[str | int]], rng: random.Random) -> JsonValue:
    if parameter.choices:
        return rng.choice(parameter.choices)
    known = values.get(parameter.kind or "", ())
    picked: JsonValue = rng.choice(known) if known else rng.choice(("1", 1, 1.0, True))
    return [picked] if parameter.is_list else picked
