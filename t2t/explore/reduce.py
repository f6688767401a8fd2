"""Reduction: what a walk did for nothing is taken out of it, by replay, whoever walked."""

from collections.abc import Container, Sequence, Set

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.tool import KindedValue
from t2t.errors import ToolError
from t2t.records import Step, ToolCall, Trajectory


def reduce(domain: Domain, trajectory: Trajectory, brought: Set[KindedValue]) -> Trajectory | None:
    """Keep what is necessary of a walk.

    Writes that are taken back later, and those without which the rest replays to the same state, go
    first. Then reads go whose output no later call uses and that no rule wants first. Of several reads
    that show a value the one about the same thing is kept (it shares an argument with the call that
    needs the value), else the earliest. The first step, which identifies the caller, stays.

    Args:
        domain: The domain walked.
        trajectory: A walk that replays without error and within the rules.
        brought: Kinded values that the caller brought to the walk.

    Returns:
        The walk with what stays, every result as it is when only that is run; None when nothing is wanted
        any more: no write, no last read that a caller could wish for, and no blocked call.
    """
    writes = _needed_writes(domain, trajectory)
    steps = [step for step in trajectory.steps if not step.writes or step.call.id in writes]
    shorter = trajectory if len(steps) == len(trajectory.steps) else _replayed(domain, trajectory, steps)
    if shorter is None:
        return None
    last = steps[-1]
    goals = set(writes)
    if trajectory.blocked is None and not last.writes and last.call.name in domain.wish_by_tool:
        goals.add(last.call.id)
    if not goals and trajectory.blocked is None:
        return None
    kept = _needed_steps(domain, shorter, goals, brought)
    if len(kept) == len(steps):
        return shorter
    return shorter.model_copy(
        update={"steps": tuple(step for index, step in enumerate(shorter.steps) if index in kept)}
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
    return trajectory.blocked is None or is_blocked(environment, trajectory)


def is_blocked(environment: Environment, trajectory: Trajectory) -> bool:
    """True when the walk's blocked call cannot be made now, for the recorded reason and no other."""
    blocked = trajectory.blocked
    if blocked is None:
        return False
    broken = [rule.clause for rule in environment.breaks(blocked.call)]
    if blocked.clause:
        return broken == [blocked.clause] and not environment.refusal(blocked.call)
    constraint = environment.refusing_constraint(blocked.call)
    return not broken and constraint is not None and constraint.name == blocked.constraint


def _needed_writes(domain: Domain, trajectory: Trajectory) -> set[str]:
    """Ids of the writes that matter for the final state."""
    environment = Environment(domain, trajectory.data)
    hashes = [environment.state_hash()]
    writing: list[ToolCall] = []
    for step in trajectory.steps:
        environment.run(step.call)
        if step.writes:
            writing.append(step.call)
            hashes.append(environment.state_hash())
    kept = list(range(len(writing)))
    place = 0
    while place < len(writing):
        back = max(later for later, value in enumerate(hashes) if value == hashes[place])
        kept = [index for index in kept if not place <= index < back]
        place = max(back, place + 1)
    if len(kept) > 1:
        for index in reversed(tuple(kept)):
            rest = {writing[other].id for other in kept if other != index}
            if _final_hash(domain, trajectory, rest) == hashes[-1]:
                kept.remove(index)
    return {writing[index].id for index in kept}


def _final_hash(domain: Domain, trajectory: Trajectory, writes: Container[str]) -> str:
    """State after the walk with these writes alone; empty when that cannot be."""
    environment = Environment(domain, trajectory.data)
    for step in trajectory.steps:
        if step.writes and step.call.id not in writes:
            continue
        try:
            if environment.run(step.call).broken:
                return ""
        except ToolError:
            return ""
    if trajectory.blocked is not None and not is_blocked(environment, trajectory):
        return ""
    return environment.state_hash()


def _needed_steps(domain: Domain, trajectory: Trajectory, goals: Set[str], brought: Set[KindedValue]) -> set[int]:
    steps = trajectory.steps
    environment = Environment(domain, trajectory.data)
    gives: list[set[KindedValue]] = []
    for step in steps:
        value = environment.run(step.call).value
        gives.append(set(domain.tool_by_name[step.call.name].harvest(value)))
    everything = range(len(steps))
    kept = {0} | {index for index, step in enumerate(steps) if step.call.id in goals}
    if _wants_looks(domain, trajectory):
        for index in everything:
            if index not in kept:
                rest = tuple(step for other, step in enumerate(steps) if other != index)
                if not replays(domain, trajectory.model_copy(update={"steps": rest})):
                    kept.add(index)
    open_calls = [(step.call, index) for index, step in enumerate(steps) if index in kept]
    if trajectory.blocked is not None:
        open_calls.append((trajectory.blocked.call, len(steps)))
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
    return kept


def _wants_looks(domain: Domain, trajectory: Trajectory) -> bool:
    """True when some call of the walk stands under a rule about the order of steps."""
    names = [step.call.name for step in trajectory.steps]
    names += [trajectory.blocked.call.name] if trajectory.blocked else []
    return any(rule.avoidable for name in names for rule in domain.rules_by_tool.get(name, ()))


def _replayed(domain: Domain, trajectory: Trajectory, steps: Sequence[Step]) -> Trajectory | None:
    """The walk with `steps` and their results of now; None when they no longer run."""
    environment = Environment(domain, trajectory.data)
    done: list[Step] = []
    for step in steps:
        try:
            done.append(step.model_copy(update={"content": environment.run(step.call).content}))
        except ToolError:
            return None
    return trajectory.model_copy(update={"steps": tuple(done)})


def _about(domain: Domain, steps: Sequence[Step], indexes: Sequence[int], needed: Set[KindedValue]) -> set[int]:
    """Those of `indexes` whose call takes one of the values in `needed`."""
    return {index for index in indexes if _needs(domain, steps[index].call) & needed}


def _needs(domain: Domain, call: ToolCall) -> set[KindedValue]:
    return set(domain.tool_by_name[call.name].kinded(call.arguments))
