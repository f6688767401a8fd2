"""A model explores: it tries the tools of a live environment on behalf of a caller and names the rules it relies on.

Each walk is a talk with the model: a caller, some of the tools, a budget of calls and a mission. What it
does wrong it is shown, and may repair; a walk that changes nothing or breaks a rule is dropped, and
counted by its reason. What is kept goes through the same reduction and replay as the program's walks.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from pydantic import JsonValue

from t2t.config import ExploreConfig
from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.tool import KindedValue, Tool, harvest, to_json
from t2t.errors import ConfigError, ToolError
from t2t.explore.reduce import reduce, replays
from t2t.models.chat import ChatModel, ContextOverflow, Reply
from t2t.records import Arguments, Blocked, DataSpec, Message, Step, ToolCall, ToolResult, Trajectory

RULE = "policy_rule"
"""Parameter that every write gets here beside its own: the clause that the model relies on."""

_NUMBER = re.compile(r"\d+(?:\.\d+)+")
_MEAN_BUDGET = 0.6
_SPREAD_OF_BUDGET = 0.2
_LEAST_BUDGET = 2

_SYSTEM = """\
You explore the live system of a service desk through its tools, to find out what its callers could ask for. \
Nobody is on the line: you act for the caller described below, and take each yes of theirs as given.

- Find the caller with a tool first.
- Use only values that you are given or that a tool has shown you. Never make up an id.
- A call that comes back as an error did nothing: correct it or try something else.
- Keep the policy.{rule}
- When your mission is fulfilled, write DONE and call nothing.

{policy}"""
_NAME_THE_RULE = f"""
- Before each change find the clause of the policy that it relies on, and give its number as {RULE}."""
_CALLER = """\
The caller: {facts}
What the caller may bring up: {knowledge}

{mission}
You have at most {budget} calls."""
_CHANGE = """\
Your mission: look at what this caller has, then make one change, or two that go together, that the caller may \
well wish for and that the policy allows. Most wanted is one with {focus}."""
_LOOK_UP = """\
Your mission: find out something that this caller may well want to know about what is theirs. Most wanted is \
something that {focus} tells, as your last call."""
_FORBID = """\
Your mission: find a change that this caller may well wish for and that must not be made, because exactly one clause \
of the policy forbids it or the tool itself refuses it. Look at what the caller has first; then make the call \
nevertheless. It is not carried out. Most wanted is one with {focus}."""
_HURRY = "One call is left, and you have not changed anything yet. Make the change now."
_HURRY_BLOCKED = "One call is left. Make the call that must not be made now."


@dataclass
class Funnel:
    """What became of the walks."""

    walks: Counter[str] = field(default_factory=Counter[str])
    """Walks by how they ended: ``kept``, or why not; adds up to the number of walks."""
    steps: Counter[str] = field(default_factory=Counter[str])
    """Steps: ``valid``, those that were not by what was wrong, and ``repaired`` for a valid one after one that was
    not."""


class _Ending(Exception):
    """The end of a walk that is not kept; the text is the reason that is counted."""


class _Wrong(Exception):
    """An invalid step: the kind that is counted, and the text for the model."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class _Mission(NamedTuple):
    """What a walk is for."""

    focus: str
    """Tool that is wanted most."""
    blocked: bool
    """True when the walk looks for a call that cannot be made."""

    def text(self, domain: Domain) -> str:
        """The mission as the model reads it."""
        looks_up = not domain.tool_by_name[self.focus].writes
        return (_FORBID if self.blocked else _LOOK_UP if looks_up else _CHANGE).format(focus=self.focus)


def explore(
    domain: Domain,
    data: DataSpec,
    count: int,
    *,
    settings: ExploreConfig,
    seed: int,
    model: ChatModel,
    funnel: Funnel,
) -> Iterator[Trajectory]:
    """Let `model` walk until `count` valid trajectories exist, ``settings.model.concurrency`` walks at a time.

    No more walks are begun than can still be wanted, so that none is paid for in vain: which walks there
    are, and their order, depends on the replies alone.

    Args:
        domain: The domain to walk.
        data: Its data.
        count: Trajectories to yield.
        settings: Lengths, shares, and how many walks a trajectory may cost.
        seed: Callers, tools, budgets, missions and the seeds of the sampling follow from this and a walk's number.
        model: The model; what it says is data, whatever it says.
        funnel: Filled while walking.

    Raises:
        ConfigError: ``settings.model.max_tries`` walks per trajectory gave too few, or the endpoint refuses.
        InfraError: the model's service failed and retries did not help; replies under way are waited for.
    """
    explorer = _Explorer(domain, data, settings, seed, model, funnel)
    found = explorer.run(count)

    async def next_one() -> Trajectory | None:
        return await anext(found, None)

    with asyncio.Runner() as runner:
        number = 0
        while (trajectory := runner.run(next_one())) is not None:
            yield trajectory.model_copy(update={"id": f"{domain.name}-{data.split}-{number:06d}"})
            number += 1
    if number < count:
        reasons = ", ".join(f"{times} {reason}" for reason, times in funnel.walks.most_common(4))
        raise ConfigError(
            f"explore: the model found only {number} of {count} trajectories for {domain.name!r} in "
            f"{count * settings.model.max_tries} walks ({reasons}); raise explore.model.max_tries or "
            "explore.max_steps, name a better model, or take explore.explorer=program"
        )


class _Explorer:
    """The walks of one domain and split."""

    def __init__(
        self, domain: Domain, data: DataSpec, settings: ExploreConfig, seed: int, model: ChatModel, funnel: Funnel
    ) -> None:
        self._domain = domain
        self._data = data
        self._settings = settings
        self._model = model
        self._funnel = funnel
        self._seed = f"explore/model/{seed}/{domain.name}/{data.split}"
        self._clauses = domain.clauses
        self._system = _SYSTEM.format(rule=_NAME_THE_RULE if self._clauses else "", policy=domain.policy)
        order = random.Random(self._seed)
        names = [wish.tool for wish in domain.wishes]
        forbidden = {name for rule in domain.rules if not rule.avoidable for name in rule.tools}
        forbidden |= {name for constraint in domain.constraints for name in constraint.tools}
        blocked = [name for name in names if domain.tool_by_name[name].writes and name in forbidden]
        self._goals = order.sample(names, len(names))
        self._blocked_goals = order.sample(blocked, len(blocked))
        self._stopping = False

    async def run(self, count: int) -> AsyncIterator[Trajectory]:
        """Trajectories in the order of their walks, up to `count`."""
        limit = count * self._settings.model.max_tries
        running: dict[asyncio.Task[Trajectory | None], int] = {}
        ended: dict[int, Trajectory | None] = {}
        begun = kept = given = 0
        while True:
            while begun < limit and len(running) < self._settings.model.concurrency and kept + len(running) < count:
                running[asyncio.create_task(self._walk(begun))] = begun
                begun += 1
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if any(task.exception() for task in done):
                self._stopping = True
                await asyncio.wait(running)
                raise next(filter(None, [task.exception() for task in running]))
            for task in done:
                trajectory = task.result()
                ended[running.pop(task)] = trajectory
                kept += trajectory is not None
            while given in ended:
                trajectory = ended.pop(given)
                given += 1
                if trajectory is not None:
                    yield trajectory

    async def _walk(self, number: int) -> Trajectory | None:
        """One walk; None when it is not kept, or when all are to stop."""
        rng = random.Random(f"{self._seed}/{number}")
        blocked = rng.random() < self._settings.blocked_share and bool(self._blocked_goals)
        goals = self._blocked_goals if blocked else self._goals
        mission = _Mission(goals[number % len(goals)], blocked)
        walk = _Walk(self._domain, self._data, self._settings, self._clauses, mission, self._funnel, rng)
        session = self._model.open(walk.tools, rng.getrandbits(31))
        messages = [Message(role="system", content=self._system), Message(role="user", content=walk.brief)]
        reason, trajectory = "kept", None
        try:
            while messages:
                if self._stopping:
                    return None
                messages = walk.take(await session.reply(messages))
            trajectory = walk.finish()
        except ContextOverflow:
            reason = "context full"
        except _Ending as ending:
            reason = str(ending)
        self._funnel.walks[reason] += 1
        return trajectory


class _Walk:
    """One walk: the environment, what the model may do in it, and what it has done."""

    def __init__(
        self,
        domain: Domain,
        data: DataSpec,
        settings: ExploreConfig,
        clauses: frozenset[str],
        mission: _Mission,
        funnel: Funnel,
        rng: random.Random,
    ) -> None:
        self._domain = domain
        self._data = data
        self._max_errors = settings.max_errors
        self._clauses = clauses
        self._mission = mission
        self._steps_by_kind = funnel.steps
        self._environment = Environment(domain, data)
        self._caller = rng.choice(domain.callers.ids(self._environment.db))
        self._facts = domain.callers.facts(self._environment.db, self._caller)
        knowledge = domain.callers.knows(self._environment.db, self._caller, rng)
        self._brought: frozenset[KindedValue] = frozenset(harvest(knowledge, type(knowledge)))
        self._shown = set(self._brought)
        self._budget = _draw_budget(settings.max_steps, rng)
        self._offered = _offer(
            domain, frozenset(kind for kind, _ in self._brought), mission.focus, settings.num_tools, rng
        )
        self.tools = orjson.dumps([_schema(tool, clauses) for tool in self._offered.values()]).decode()
        """JSON text of the tool schemas, with the rule that each write has to name."""
        self.brief = _CALLER.format(
            facts="; ".join(f"{name}: {value}" for name, value in self._facts.items()),
            knowledge=to_json(knowledge),
            mission=mission.text(domain),
            budget=self._budget,
        )
        """First words to the model: whom it acts for and what to do."""
        self._steps: list[Step] = []
        self._wished: set[str] = set()
        self._blocked: Blocked | None = None
        self._errors = 0
        self._hurried = False

    def take(self, reply: Reply) -> list[Message]:
        """Do what the model says.

        Returns:
            What it is told; nothing at the end of the walk.

        Raises:
            _Ending: the walk ends here and is not kept.
        """
        if not reply.message.tool_calls and not reply.problem and reply.turn.finish_reason != "length":
            return []
        told: list[Message] = []
        if reply.problem:
            told = [
                _tell(call, "Error: not done, since another call beside it could not be read.", is_error=True)
                for call in reply.message.tool_calls
            ]
            told.append(self._wrong(_Wrong("malformed call", reply.problem), None))
        elif not reply.message.tool_calls:
            told.append(self._wrong(_Wrong("reply cut off", "your reply was too long; make one call"), None))
        for call in () if reply.problem else reply.message.tool_calls:
            try:
                told.append(_tell(call, self._make(call), is_error=False))
            except _Wrong as wrong:
                told.append(self._wrong(wrong, call))
            if self._blocked or len(self._steps) >= self._budget:
                return []
        if self._is_late() and not self._hurried:
            self._hurried = True
            told.append(Message(role="user", content=_HURRY_BLOCKED if self._mission.blocked else _HURRY))
        return told

    def finish(self) -> Trajectory:
        """What the walk has found, reduced.

        Raises:
            _Ending: it is nothing that a caller could have wished for.
        """
        if not self._steps:
            raise _Ending("no goal")
        if self._mission.blocked and self._blocked is None:
            raise _Ending("nothing forbidden found")
        steps = self._identified_first()
        if self._blocked is None:
            if not any(step.writes for step in steps):
                if len(steps) == 1 and steps[0].call.name != self._mission.focus:
                    raise _Ending("no goal")
                if steps[-1].call.id not in self._wished:
                    raise _Ending("no wish")
            while not steps[-1].writes and steps[-1].call.id not in self._wished:
                steps.pop()
        walked = Trajectory(
            id="",
            domain=self._domain.name,
            data=self._data,
            caller=self._caller,
            steps=tuple(steps),
            blocked=self._blocked,
        )
        if not replays(self._domain, walked):
            raise _Ending("does not replay")
        trajectory = reduce(self._domain, walked, self._brought)
        if trajectory is None:
            raise _Ending("nothing left when reduced")
        if any(step.writes and step.call.id not in self._wished for step in trajectory.steps):
            raise _Ending("a change that is no wish of the caller")
        if not replays(self._domain, trajectory):
            raise _Ending("does not replay when reduced")
        return trajectory

    def _make(self, call: ToolCall) -> str:
        """Make a call; what it gives.

        Raises:
            _Wrong: it is not valid, and nothing was done.
            _Ending: it must not be made, or changes nothing.
        """
        tool = self._offered.get(call.name)
        if tool is None:
            raise _Wrong("unknown tool", f"no tool {call.name!r}; tools are: {', '.join(self._offered)}")
        arguments = self._without_rule(call.arguments) if tool.writes else call.arguments
        made = ToolCall(
            id=f"call_{len(self._steps) + 1}",
            name=tool.name,
            arguments=arguments,
            requestor=self._domain.requestor_of(tool.name),
        )
        if tool.writes and any((step.call.name, step.call.arguments) == (made.name, arguments) for step in self._steps):
            raise _Wrong("made twice", "this very change has been made already")
        blocked = self._find_block(made, tool)
        self._require_shown(made, tool)
        if blocked is not None:
            self._count_valid()
            self._blocked = blocked
            return ""
        is_wish = self._is_wish(made)
        before = self._environment.state_hash() if tool.writes else ""
        try:
            done = self._environment.run(made)
        except ToolError as error:
            raise _Wrong("refused", str(error)) from None
        if tool.writes and self._environment.state_hash() == before:
            raise _Ending("changes nothing")
        self._steps.append(Step(call=made, content=done.content, writes=tool.writes))
        self._shown.update(tool.harvest(done.value))
        self._count_valid()
        if is_wish:
            self._wished.add(made.id)
        return done.content

    def _without_rule(self, arguments: Arguments) -> Arguments:
        """The arguments of a write without the clause that it names."""
        if not self._clauses:
            return arguments
        named = arguments.get(RULE)
        if named is None or named == "":
            raise _Wrong("no clause", f"{RULE} is missing; name the clause of the policy that this call relies on")
        numbers = _NUMBER.findall(named) if isinstance(named, str) else []
        if not numbers or not self._clauses.issuperset(numbers):
            raise _Wrong("unknown clause", f"{RULE}={orjson.dumps(named).decode()} is no clause of the policy")
        return {name: value for name, value in arguments.items() if name != RULE}

    def _require_shown(self, call: ToolCall, tool: Tool) -> None:
        """Refuse a guess: what a tool could show must have been shown, or be known to the caller.

        Raises:
            _Wrong: a value comes from nowhere.
        """
        if any(identity.tool == tool.name for identity in self._domain.callers.identities):
            return
        known = set(self._facts.values())
        shown_by_tools = frozenset[str]().union(
            *[tool.kinds_given for tool in self._domain.tool_by_name.values() if not tool.writes]
        )
        for parameter in tool.parameters:
            value = call.arguments.get(parameter.name)
            if parameter.kind not in shown_by_tools:
                continue
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str | int) and (parameter.kind, item) not in self._shown and str(item) not in known:
                    raise _Wrong(
                        "value from nowhere",
                        f"{parameter.name}={item!r} was shown by no tool; look it up first",
                    )

    def _find_block(self, call: ToolCall, tool: Tool) -> Blocked | None:
        """The call as one that cannot be made, where the walk looks for one and this is one.

        Raises:
            _Ending: the call breaks a rule, and is not what was looked for.
        """
        broken = self._environment.breaks(call)
        if broken and not (self._mission.blocked and tool.writes and len(broken) == 1 and not broken[0].avoidable):
            raise _Ending(f"breaks clause {broken[0].clause}")
        if broken:
            found = Blocked(call=call, clause=broken[0].clause, reason=broken[0].reason)
        elif self._mission.blocked and (constraint := self._environment.refusing_constraint(call)):
            found = Blocked(call=call, clause="", reason=constraint.reason, constraint=constraint.name)
        else:
            return None
        if not self._is_wish(call):
            raise _Ending("forbidden, but no wish of the caller")
        return found

    def _is_wish(self, call: ToolCall) -> bool:
        """True when the caller could mean this call now."""
        wish = self._domain.wish_by_tool.get(call.name)
        options = wish.candidates(self._environment.db, self._caller) if wish else ()
        return any(option.arguments == call.arguments for option in options)

    def _identified_first(self) -> list[Step]:
        """The steps, with the one that finds the caller at their head and in the words of the caller.

        Raises:
            _Ending: there is none, or the walk changed something before it.
        """
        for place, step in enumerate(self._steps):
            if step.writes:
                break
            for identity in self._domain.callers.identities:
                if step.call.name != identity.tool:
                    continue
                told = {parameter: self._facts[name] for parameter, name in identity.parameters.items()}
                call = step.call.model_copy(update={"arguments": told})
                if Environment(self._domain, self._data).answer(call)[0].content == step.content:
                    found = step.model_copy(update={"call": call})
                    return [found, *self._steps[:place], *self._steps[place + 1 :]]
        raise _Ending("caller not identified")

    def _is_late(self) -> bool:
        if len(self._steps) < self._budget - 1:
            return False
        changes = self._domain.tool_by_name[self._mission.focus].writes
        return self._mission.blocked or (changes and not any(step.writes for step in self._steps))

    def _count_valid(self) -> None:
        self._steps_by_kind["valid"] += 1
        if self._errors:
            self._steps_by_kind["repaired"] += 1
        self._errors = 0

    def _wrong(self, wrong: _Wrong, call: ToolCall | None) -> Message:
        """Count an invalid step; what the model is told.

        Raises:
            _Ending: there were too many in a row.
        """
        self._steps_by_kind[wrong.kind] += 1
        self._errors += 1
        if self._errors >= self._max_errors:
            raise _Ending("too many invalid steps")
        text = f"Error: {wrong}"
        return _tell(call, text, is_error=True) if call else Message(role="user", content=text)


def _tell(call: ToolCall, text: str, *, is_error: bool) -> Message:
    result = ToolResult(call_id=call.id, name=call.name, content=text, is_error=is_error)
    return Message(role="tool", content=text, result=result)


def _draw_budget(max_steps: int, rng: random.Random) -> int:
    """Calls of one walk: a normal draw around 0.6 `max_steps`, clipped to what a goal takes and to `max_steps`."""
    drawn = round(rng.gauss(_MEAN_BUDGET * max_steps, _SPREAD_OF_BUDGET * max_steps))
    return min(max(drawn, _LEAST_BUDGET), max_steps)


def _schema(tool: Tool, clauses: frozenset[str]) -> dict[str, JsonValue]:
    """The tool in OpenAI function format; a write has to name a clause, where the policy has numbers."""
    shape: dict[str, Any] = dict(tool.input_schema)
    if tool.writes and clauses:
        rule = {"type": "string", "description": "Clause of the policy that this call relies on, such as 3.2."}
        shape["properties"] = {**shape.get("properties", {}), RULE: rule}
        shape["required"] = [*shape.get("required", ()), RULE]
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": shape}}


def _offer(domain: Domain, brought: frozenset[str], focus: str, count: int, rng: random.Random) -> dict[str, Tool]:
    """Tools of one walk by name: one that finds the caller, `focus`, those that feed them, then any others likewise.

    Args:
        domain: Its tools, the callers' own among them.
        brought: Kinds of what the caller brings.
        focus: Tool that must be there.
        count: Tools in all; fewer where the domain has no more.
        rng: Draws the rest.
    """
    everything = domain.tool_by_name
    chosen: dict[str, Tool] = {}
    identify = rng.choice(domain.callers.identities).tool
    for name in (identify, focus, *rng.sample(list(everything), len(everything))):
        wanted = [name]
        while wanted and len(chosen) < count:
            tool = everything[wanted.pop()]
            chosen[tool.name] = tool
            there = brought.union(
                *[other.kinds_given for other in chosen.values() if other is not tool and not other.writes]
            )
            needed = [p.kind for p in tool.parameters if p.required and p.kind and p.kind not in there]
            for kind in needed:
                givers = [
                    other
                    for other in everything.values()
                    if kind in other.kinds_given and other is not tool and not other.writes
                ]
                if givers:
                    wanted.append(rng.choice(givers).name)
    return {name: tool for name, tool in everything.items() if name in chosen}
