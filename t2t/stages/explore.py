"""Explore: walk the tools of every domain, for training and for evaluation.

Writes ``trajectories.jsonl``, and ``funnel.json``: what came of the walks.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.domain.domain import Domain, load_domain
from t2t.errors import ConfigError
from t2t.explore import program
from t2t.journal import Journal
from t2t.lines import Lines
from t2t.log import Progress
from t2t.models.chat import ChatModel
from t2t.records import DataSpec, Split, Trajectory
from t2t.stages.stage import StageContext
from t2t.stages.workers import open_workers
from t2t.store import write_json

log = logging.getLogger(__name__)

FUNNEL = "funnel.json"
"""What came of the walks of each part."""

_BLOCKS_AT_ONCE = 8
"""Blocks that start from the same coverage: not the number of workers, so that this changes nothing but speed."""


class Part(NamedTuple):
    """Trajectories of one domain and split."""

    domain: str
    split: Split
    num_trajectories: int


class _Block(NamedTuple):
    """Trajectories that are found together."""

    number: int
    wanted: int
    coverage: program.Coverage


class _Found(NamedTuple):
    """What came of a block."""

    lines: list[bytes]
    """The trajectories as JSON."""
    coverage: program.Coverage
    """What was seen beyond the coverage that the block started from."""


def parts(config: RunConfig) -> list[Part]:
    """What has to be walked: training domains on both splits, unseen ones on the test split alone.

    A domain without wishes is not walked; its tasks are those it brings.

    Raises:
        ConfigError: a domain has neither wishes nor tasks.
    """
    found: list[Part] = []
    for name in (*config.domain.train, *config.evaluate.domains):
        domain = load_domain(name, config.domain.mcp)
        if not domain.wishes and not domain.given_tasks:
            raise ConfigError(
                f"domain {name!r} has no wishes to synthesize tasks from and brings no tasks; "
                "an MCP server gets them by its settings wishes and tasks"
            )
        if name in config.domain.train:
            found.append(Part(name, "train", config.explore.num_train if domain.wishes else 0))
        found.append(Part(name, "test", config.explore.num_test if domain.wishes else 0))
    return found


def run(context: StageContext) -> dict[str, JsonValue]:
    """Write the trajectories, each domain and split from its own seed."""
    config = context.config
    report: dict[str, JsonValue] = {}
    file = context.folder / "trajectories.jsonl"
    file.unlink(missing_ok=True)
    with ExitStack() as stack:
        lines = stack.enter_context(Lines(file))
        model = _open_model(context, stack) if config.explore.explorer == "model" else None
        for part in parts(config):
            domain = load_domain(part.domain, config.domain.mcp)
            if not domain.wishes:
                log.info("explore %s: no wishes, so nothing is synthesized; it brings its tasks", part.domain)
                continue
            progress = Progress(f"explore {part.domain} ({part.split})", part.num_trajectories, "trajectories")
            walked = _by_program(config, domain, part) if model is None else _by_model(config, domain, part, model)
            figures: dict[str, JsonValue] = {}
            for step in walked:
                if isinstance(step, dict):
                    figures = step
                else:
                    lines.append_line(step)
                    progress.step()
            progress.close()
            report[f"{part.domain}/{part.split}"] = {"trajectories": part.num_trajectories, **figures}
    write_json(context.folder / FUNNEL, report)
    return {"count": lines.count, "parts": report}


def _data(config: RunConfig, part: Part) -> DataSpec:
    return DataSpec(seed=config.seed, size=config.domain.size, split=part.split)


def _by_program(config: RunConfig, domain: Domain, part: Part) -> Iterator[bytes | dict[str, JsonValue]]:
    """The trajectories as JSON, then the figures."""
    data, settings = _data(config, part), config.explore
    domain.open(data)

    def work(block: _Block) -> _Found:
        coverage = block.coverage.copy()
        found = program.explore_block(
            domain,
            data,
            block.number,
            block.wanted,
            max_steps=settings.max_steps,
            blocked_share=settings.blocked_share,
            seed=config.seed,
            coverage=coverage,
            goals=settings.goals,
        )
        lines = [one.model_dump_json().encode() for one in found]
        return _Found(lines, coverage.since(block.coverage))

    coverage = program.Coverage()
    count, size = part.num_trajectories, program.BLOCK
    blocks = list(enumerate(min(size, count - start) for start in range(0, count, size)))
    with open_workers(work, config.compute.workers, forks=domain.forks) as run_all:
        for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
            before = coverage.copy()
            together = [_Block(number, wanted, before) for number, wanted in blocks[start : start + _BLOCKS_AT_ONCE]]
            for found in run_all(together):
                coverage.add(found.coverage)
                yield from found.lines
    yield {
        "dropped": dict(coverage.dropped),
        "goals": dict(sorted(coverage.goals.items())),
        "clauses": {f"{tool} {clause}": n for (tool, clause), n in sorted(coverage.clauses.items())},
        "near": {f"{tool} {clause}": n for (tool, clause), n in sorted(coverage.near.items())},
    }


def _open_model(context: StageContext, stack: ExitStack) -> ChatModel:
    """The exploring model, whose replies are kept beside the trajectories: a second try pays for none again."""
    from t2t.models.journaled import JournaledChat
    from t2t.models.use import open_model

    config = context.config
    journal = stack.enter_context(Journal(context.folder / "replies.jsonl"))
    if len(journal):
        log.info("explore: %d replies are there from before", len(journal))
    served = stack.enter_context(
        open_model(config, config.explore.model, "explore.model", context.folder / "server.log")
    )
    return JournaledChat(served.chat, journal, served.name)


def _by_model(
    config: RunConfig, domain: Domain, part: Part, model: ChatModel
) -> Iterator[bytes | dict[str, JsonValue]]:
    """The trajectories as JSON, then the figures."""
    from t2t.explore.model import Funnel, explore

    funnel = Funnel()
    walked: Iterable[Trajectory] = explore(
        domain,
        _data(config, part),
        part.num_trajectories,
        settings=config.explore,
        seed=config.seed,
        model=model,
        funnel=funnel,
    )
    for trajectory in walked:
        yield trajectory.model_dump_json().encode()
    yield {
        "walks": sum(funnel.walks.values()),
        "dropped": {reason: count for reason, count in funnel.walks.most_common() if reason != "kept"},
        "steps": dict(funnel.steps.most_common()),
    }
