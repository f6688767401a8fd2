"""Synthesize: write proved tasks of every intent. Reads trajectories, writes tasks, their proofs and a data card."""

import logging
import random
import shlex
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, cast

import orjson
from pydantic import JsonValue
from rich.console import Console

from t2t.config import RunConfig
from t2t.domain.domain import Domain, load_domain
from t2t.errors import RunError
from t2t.intents.compose import compose
from t2t.intents.judge import Grade
from t2t.intents.plan import Plan, plans
from t2t.intents.scene import Scene, Unsuitable
from t2t.intents.writer import Rejected
from t2t.lines import Lines
from t2t.log import Progress
from t2t.records import DataSpec, Split, Task, Trajectory, Validation
from t2t.report.artifacts import SAMPLE_SIZE, Reservoir, measure
from t2t.report.card import CardFacts, controls_table, write_card
from t2t.report.content import FunnelStep
from t2t.report.export import Exporter
from t2t.stages.explore import FUNNEL, Part, parts
from t2t.stages.stage import StageContext
from t2t.stages.words import WordModels, open_word_models
from t2t.stages.workers import open_workers
from t2t.verify.duplicates import Contamination, Duplicates, Print, print_of
from t2t.verify.validation import validate, validate_given

log = logging.getLogger(__name__)

_WALKS_PER_BLOCK = 25
_BLOCKS_AT_ONCE = 8
"""Blocks that start from the same counts: not the number of workers, so that this changes nothing but speed."""
_PLANS_TRIED = 4
_PLENTY = 1.5
_SLACK, _SLACK_TASKS = 1.5, 2

Cell = tuple[str, Split]
"""An intent, or joined ones, in a wording."""


class _Block(NamedTuple):
    """Trajectories from which tasks are written together."""

    walks: tuple[bytes, ...]
    """Their JSON lines."""
    left: Counter[Cell]
    """Tasks that are wanted still."""
    tried: "Counter[tuple[Cell, Plan]]"
    """Plans tried so far."""
    kept: "Counter[tuple[Cell, Plan]]"
    """Plans that gave a proved task."""
    strict: bool
    """Write nothing by a plan that has far more than its share."""


class _Candidate(NamedTuple):
    """A task that was written."""

    cell: Cell
    plan: Plan
    task: bytes
    """JSON; empty when the task is not proved."""
    validation: bytes
    problem: str
    imprint: Print | None


class _Written(NamedTuple):
    """What came of a block."""

    candidates: list[_Candidate]
    unsuitable: Counter[str]
    """Why a trajectory made no task of an intent."""
    tried: "Counter[tuple[Cell, Plan]]"


class _Outcome(NamedTuple):
    """What became of the tasks of a part."""

    written: Counter[str]
    """Tasks written, by intent."""
    kept: Counter[str]
    """Tasks kept, by intent."""
    unsuitable: Counter[str]
    """Reasons why none was written."""
    rejected: Counter[str]
    """Reasons why one was not kept: the check that failed, duplicates, contamination, words."""
    names: Counter[str]
    """Synthesized tasks kept, by the name of what was asked for, joined intents included."""


def run(context: StageContext) -> dict[str, JsonValue]:
    """Write ``tasks.jsonl``, ``validation.jsonl``, ``data/`` and ``README.md``.

    Held-out tasks are written first, so that no training task repeats one of them.

    Raises:
        RunError: an intent of a domain gave no task at all, or a kept task is passed by an agent that must fail it.
    """
    config = context.config
    outcomes: dict[Part, _Outcome] = {}
    with ExitStack() as stack:
        sink = _Sink(context, stack)
        models = open_word_models(context, stack)
        walked = parts(config)
        for part in sorted(walked, key=lambda part: part.split != "test"):
            outcomes[part] = _write_part(context, part, sink, models)
    artifacts = measure(sink.sample.items, sink.write_tools)
    write_card(
        context.folder,
        sink.facts,
        name=config.name,
        funnel={f"{part.domain}/{part.split}": _funnel(context, part, outcomes[part]) for part in walked},
        artifacts=artifacts,
        settings=shlex.join(_typed(config)),
    )
    Console(highlight=False, stderr=True).print(controls_table(sink.facts))
    check_controls(sink.facts)
    return {
        "count": sink.count,
        "parts": {
            f"{part.domain}/{part.split}": {
                "tasks": cast(JsonValue, dict(outcome.kept)),
                "written": cast(JsonValue, dict(outcome.written)),
                "rejected": cast(JsonValue, dict(outcome.rejected.most_common())),
                "unsuitable": cast(JsonValue, dict(outcome.unsuitable.most_common())),
            }
            for part, outcome in outcomes.items()
        },
        "artifacts": artifacts.model_dump(mode="json"),
    }


def _typed(config: RunConfig) -> Iterator[str]:
    """The settings that the tasks follow from, as they are typed, where they are not the defaults."""
    own, default = (one.model_dump(mode="json") for one in (config, RunConfig()))
    for section in ("seed", "domain", "explore", "synthesize"):
        yield from _differences(section, own[section], default[section])
    yield from _differences("evaluate.domains", own["evaluate"]["domains"], default["evaluate"]["domains"])


def _differences(name: str, own: JsonValue, default: JsonValue) -> Iterator[str]:
    if isinstance(own, dict) and isinstance(default, dict):
        for key, value in own.items():
            yield from _differences(f"{name}.{key}", value, default.get(key))
    elif own != default:
        # Where a model is reached is a matter of whoever asks it.
        value = "[URL]" if name.endswith(".base_urls") else orjson.dumps(own).decode()
        yield f"{name}={value}"


def check_controls(facts: CardFacts) -> None:
    """Hold the tasks against the agents that must pass all of them, and those that must pass none.

    Raises:
        RunError: the reference fails a task, or another agent passes one.
    """
    for (group, agent), (passed, played) in sorted(facts.controls.items()):
        wanted = played if agent == "reference" else 0
        if passed != wanted:
            raise RunError(
                f"synthesize: {agent} passes {passed} of {played} {group} tasks and should pass {wanted}; "
                "a check of t2t/verify/validation.py or a domain is wrong"
            )


class _Sink:
    """Takes the tasks that are kept; what grows with them is the index of near-duplicates alone."""

    def __init__(self, context: StageContext, stack: ExitStack) -> None:
        config, folder = context.config, context.folder
        names = dict.fromkeys((*config.domain.train, *config.evaluate.domains))
        domains = {name: load_domain(name, config.domain.mcp) for name in names}
        self.write_tools = {
            name: frozenset(tool.name for tool in domain.tool_by_name.values() if tool.writes)
            for name, domain in domains.items()
        }
        self.facts = CardFacts(self.write_tools)
        self.sample: Reservoir[Task] = Reservoir(SAMPLE_SIZE, config.seed)
        self.duplicates = Duplicates(config.synthesize.near_duplicate, config.synthesize.per_structure)
        self.contamination = Contamination(config.synthesize.near_duplicate)
        self.count = 0
        self._exporter = stack.enter_context(Exporter(folder, self.write_tools))
        self._tasks = _fresh(folder / "tasks.jsonl", stack)
        self._validations = _fresh(folder / "validation.jsonl", stack)

    def admit(self, imprint: Print, split: Split, *, repeated: bool = False) -> str:
        """Why a proved task is not kept; empty when it is, and then no other may repeat it, unless `repeated`."""
        if split == "train" and (reason := self.contamination.find(imprint)):
            kind = "an identifier of an evaluation task" if reason.startswith("identifier") else reason
            return f"contamination: {kind}"
        if not repeated:
            if reason := self.duplicates.find(imprint):
                return f"duplicate: {reason}"
            self.duplicates.add(imprint)
        if split == "test":
            self.contamination.add_task(imprint)
        return ""

    def note(self, validation: bytes) -> None:
        """Keep the report of a task."""
        self._validations.append_line(validation)

    def take(self, kept: "_Kept") -> None:
        """Keep a task that was admitted."""
        task, line, validation = kept
        self.note(validation.model_dump_json().encode())
        self._tasks.append_line(line)
        self._exporter.add(task, validation)
        self.facts.add(task, validation)
        self.sample.add(task)
        self.count += 1


class _Kept(NamedTuple):
    """A task that is proved, new and wanted."""

    task: Task
    line: bytes
    """The same as JSON."""
    validation: Validation


def _fresh(file: Path, stack: ExitStack) -> Lines:
    file.unlink(missing_ok=True)
    return stack.enter_context(Lines(file))


def _write_part(context: StageContext, part: Part, sink: _Sink, models: WordModels) -> _Outcome:
    config = context.config
    domain = load_domain(part.domain, config.domain.mcp)
    outcome = _Outcome(Counter(), Counter(), Counter(), Counter(), Counter())
    wanted = _wanted(config, part)
    progress = Progress(f"synthesize {part.domain} ({part.split})", sum(wanted.values()), "tasks")
    scope = _scope(config, domain, part)
    written = _written(context, domain, part, scope, wanted, sink, models, outcome) if wanted else iter(())
    for kept in _graded(chain(written, _given(domain, part, scope, sink, outcome)), models):
        sink.take(kept)
        outcome.kept[kept.task.intent.value] += 1
        progress.step()
    progress.close()
    empty = [name for name in config.synthesize.intents if not outcome.names[name]]
    if empty and sum(wanted.values()):
        reasons = (outcome.rejected or outcome.unsuitable).most_common(3)
        raise RunError(
            f"synthesize: no {empty[0]} task came out of {part.num_trajectories} trajectories of {part.domain!r} "
            f"({', '.join(f'{count} {reason}' for reason, count in reasons)}); "
            "raise explore.num_train and explore.num_test"
        )
    return outcome


def _given(domain: Domain, part: Part, scope: str, sink: _Sink, outcome: _Outcome) -> Iterator[_Kept]:
    """The tasks that the domain brings for a split, proved as far as theirs can be."""
    for task in domain.given_tasks:
        if task.data.split != part.split:
            continue
        outcome.written[task.intent.value] += 1
        validation = validate_given(domain, task)
        # Given tasks may say the same over other start states, so they are no duplicates of each other.
        problem = validation.problem or sink.admit(print_of(task, scope), part.split, repeated=True)
        if problem:
            log.warning("synthesize: task %s of %s is left out: %s", task.id, domain.name, problem)
            sink.note(validation.model_dump_json().encode())
            outcome.rejected[f"given: {problem}"] += 1
            continue
        yield _Kept(task, task.model_dump_json().encode(), validation)


def _graded(kept: Iterable[_Kept], models: WordModels) -> Iterator[_Kept]:
    """The same with the grades of the judge, where there is one."""
    if models.grade is None:
        yield from kept
        return
    waiting: deque[_Kept] = deque()

    def tasks() -> Iterator[Task]:
        for one in kept:
            waiting.append(one)
            yield one.task

    for grade in models.grade(tasks()):
        one = waiting.popleft()
        realism = grade.realism if isinstance(grade, Grade) else None
        yield one._replace(validation=one.validation.model_copy(update={"realism": realism}))


def _scope(config: RunConfig, domain: Domain, part: Part) -> str:
    """Where the ids of the domain's rows mean something; empty for tau2's, which are the same everywhere."""
    if domain.name.startswith("tau2."):
        return ""
    if not domain.forks:
        return domain.name
    specs = (DataSpec(seed=config.seed, size=config.domain.size, split=split) for split in ("train", "test"))
    first, second = (domain.open(spec).state_hash() for spec in specs)
    return domain.name if first == second else f"{domain.name}/{config.seed}/{config.domain.size}/{part.split}"


def _wanted(config: RunConfig, part: Part) -> Counter[Cell]:
    """Tasks per intent and wording: held-out tasks are half in wordings that training tasks use."""
    wanted: Counter[Cell] = Counter()
    if not part.num_trajectories:
        return wanted
    intents = config.synthesize.intents
    total = config.synthesize.num_train if part.split == "train" else config.synthesize.num_test
    wordings: tuple[Split, ...] = ("train", "test") if part.split == "test" else ("train",)
    cells: list[Cell] = [(intent, wording) for wording in wordings for intent in intents]
    for number in range(total):
        wanted[cells[number % len(cells)]] += 1
    return wanted


def _written(
    context: StageContext,
    domain: Domain,
    part: Part,
    scope: str,
    wanted: Counter[Cell],
    sink: _Sink,
    models: WordModels,
    outcome: _Outcome,
) -> Iterator[_Kept]:
    """Tasks that are proved and new, as many as are wanted and can be had."""
    config = context.config
    left, kept = Counter(wanted), Counter[tuple[Cell, Plan]]()
    tried: Counter[tuple[Cell, Plan]] = Counter()
    supply = part.num_trajectories
    walks = _walks(context.inputs["explore"] / "trajectories.jsonl", part)
    domain.open(DataSpec(seed=config.seed, size=config.domain.size, split=part.split))
    with open_workers(_writer(config, domain, scope), config.compute.workers, forks=domain.forks) as run_all:
        while any(left.values()):
            together = [tuple(islice(walks, _WALKS_PER_BLOCK)) for _ in range(_BLOCKS_AT_ONCE)]
            # As long as there are walks enough, those wait in vain that only a plan with its share would take.
            strict = supply > _PLENTY * sum((+left).values())
            supply -= sum(map(len, together))
            blocks = [_Block(lines, +left, tried.copy(), kept.copy(), strict) for lines in together if lines]
            if not blocks:
                return
            results = (_counted(written, tried, outcome) for written in run_all(blocks))
            candidates: Iterable[_Candidate] = chain.from_iterable(results)
            if models.write is not None:
                candidates = _reworded(models.write, candidates, domain, scope, left, sink, outcome)
            for candidate in candidates:
                if not candidate.problem and left[candidate.cell] <= 0:
                    continue  # a block does not know what the others of its round have given
                outcome.written[candidate.plan.intent.value] += 1
                problem = candidate.problem
                if not problem and candidate.imprint is not None:
                    problem = sink.admit(candidate.imprint, part.split)
                if problem:
                    sink.note(candidate.validation)
                    outcome.rejected[problem] += 1
                    continue
                left[candidate.cell] -= 1
                kept[(candidate.cell, candidate.plan)] += 1
                outcome.names[candidate.cell[0]] += 1
                task = Task.model_validate_json(candidate.task)
                yield _Kept(task, candidate.task, Validation.model_validate_json(candidate.validation))


def _counted(written: _Written, tried: "Counter[tuple[Cell, Plan]]", outcome: _Outcome) -> list[_Candidate]:
    outcome.unsuitable.update(written.unsuitable)
    tried.update(written.tried)
    return written.candidates


def _reworded(
    write: Callable[[Iterable[Task]], Iterator[Task | Rejected]],
    candidates: Iterable[_Candidate],
    domain: Domain,
    scope: str,
    left: Counter[Cell],
    sink: _Sink,
    outcome: _Outcome,
) -> Iterator[_Candidate]:
    """Proved candidates in the words of a model, and proved again; no more of them than are wanted."""
    waiting: deque[_Candidate] = deque()
    room = Counter(left)

    def proved() -> Iterator[Task]:
        for candidate in candidates:
            if candidate.problem:
                outcome.written[candidate.plan.intent.value] += 1
                outcome.rejected[candidate.problem] += 1
                sink.note(candidate.validation)
            elif room[candidate.cell] > 0:
                room[candidate.cell] -= 1
                waiting.append(candidate)
                yield Task.model_validate_json(candidate.task)

    for task in write(proved()):
        candidate = waiting.popleft()
        if isinstance(task, Rejected):
            outcome.written[candidate.plan.intent.value] += 1
            outcome.rejected[f"words: {task.reason}"] += 1
            continue
        yield _prove(domain, scope, candidate.cell, candidate.plan, task)


def _prove(domain: Domain, scope: str, cell: Cell, plan: Plan, task: Task) -> _Candidate:
    validation = validate(domain, task)
    text = validation.model_dump_json().encode()
    if validation.problem:
        return _Candidate(cell, plan, b"", text, f"check: {validation.problem.partition(':')[0]}", None)
    return _Candidate(cell, plan, task.model_dump_json().encode(), text, "", print_of(task, scope))


def _walks(file: Path, part: Part) -> Iterator[bytes]:
    """JSON lines of a part's trajectories."""
    start = f'{{"id":"{part.domain}-{part.split}-'.encode()
    with file.open("rb") as handle:
        yield from (line for line in handle if line.startswith(start))


def _writer(config: RunConfig, domain: Domain, scope: str) -> Callable[[_Block], _Written]:
    """The work of a worker: write and prove the tasks of a block."""
    settings = config.synthesize
    shares = {name: plans(name, settings) for name in settings.intents}

    def work(block: _Block) -> _Written:
        left, tried, kept = Counter(block.left), Counter(block.tried), Counter(block.kept)
        written = _Written([], Counter(), Counter())
        for line in block.walks:
            trajectory = Trajectory.model_validate_json(line)
            given: set[str] = set()
            try:
                rng = random.Random(f"scene/{config.seed}/{trajectory.id}")
                scene = Scene(domain, trajectory, rng)
            except Unsuitable as reason:
                written.unsuitable[str(reason)] += 1
                continue
            for cell in sorted(left, key=lambda cell: (-left[cell], cell)):
                if left[cell] <= 0 or cell[0] in given or len(given) >= settings.per_trajectory:
                    continue
                rng = random.Random(f"synthesize/{config.seed}/{trajectory.id}/{cell[0]}/{cell[1]}")
                candidate = _compose(
                    scene, cell, shares[cell[0]], rng, settings.personas, tried, kept, written, block.strict
                )
                if candidate is None:
                    continue
                proved = _prove(domain, scope, cell, *candidate)
                written.candidates.append(proved)
                if not proved.problem:
                    given.add(cell[0])
                    left[cell] -= 1
                    kept[(cell, proved.plan)] += 1
        return written

    return work


def _compose(
    scene: Scene,
    cell: Cell,
    shares: Mapping[Plan, float],
    rng: random.Random,
    personas: float,
    tried: "Counter[tuple[Cell, Plan]]",
    kept: "Counter[tuple[Cell, Plan]]",
    written: _Written,
    strict: bool,
) -> tuple[Plan, Task] | None:
    """A task by the plan that is furthest below its share, weighed by how often it could be written so far."""
    total = 1 + sum(kept[(cell, plan)] for plan in shares)

    def owed(plan: Plan) -> float:
        place = (cell, plan)
        owing = shares[plan] * total - kept[place]
        return owing * ((1 + kept[place]) / (1 + tried[place])) ** 0.5 if owing > 0 else owing

    tries, reason = 0, ""
    for plan in sorted(shares, key=owed, reverse=True):
        if plan.refused != bool(scene.target.blocked):
            continue
        if strict and kept[(cell, plan)] > _SLACK * shares[plan] * total + _SLACK_TASKS:
            continue
        if tries == _PLANS_TRIED:
            break
        tries += 1
        tried[(cell, plan)] += 1
        written.tried[(cell, plan)] += 1
        try:
            return plan, compose(scene, plan, cell[1], rng, personas=personas)
        except Unsuitable as error:
            reason = str(error)
    if reason:
        written.unsuitable[f"{cell[0]}: {reason}"] += 1
    return None


def _funnel(context: StageContext, part: Part, outcome: _Outcome) -> list[FunnelStep]:
    return [
        FunnelStep(
            stage="explore",
            label="trajectories",
            count=part.num_trajectories,
            rejected=_dropped(context, part),
        ),
        FunnelStep(
            stage="synthesize",
            label="tasks written",
            count=sum(outcome.written.values()),
            rejected=dict(outcome.unsuitable.most_common()),
        ),
        FunnelStep(
            stage="synthesize",
            label="tasks kept",
            count=sum(outcome.kept.values()),
            rejected=dict(outcome.rejected.most_common()),
        ),
    ]


def _dropped(context: StageContext, part: Part) -> dict[str, int]:
    """Walks that came to nothing."""
    funnel = orjson.loads((context.inputs["explore"] / FUNNEL).read_bytes())
    return funnel.get(f"{part.domain}/{part.split}", {}).get("dropped", {})
