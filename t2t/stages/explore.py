"""Explore: walk the tools of every domain, for training and for evaluation. Writes ``trajectories.jsonl``."""

import logging
from typing import NamedTuple

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.errors import ConfigError
from t2t.explore.program import Coverage, explore
from t2t.log import Progress
from t2t.records import DataSpec, Split
from t2t.stages.stage import StageContext
from t2t.store import Writer

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """Trajectories of one domain and split."""

    domain: str
    split: Split
    num_trajectories: int


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
    with Writer(file) as writer:
        for part in parts(config):
            domain = load_domain(part.domain, config.domain.mcp)
            if not domain.wishes:
                log.info("explore %s: no wishes, so nothing is synthesized; it brings its tasks", part.domain)
                continue
            coverage = Coverage()
            progress = Progress(f"explore {part.domain} ({part.split})", part.num_trajectories, "trajectories")
            for trajectory in explore(
                domain,
                DataSpec(seed=config.seed, size=config.domain.size, split=part.split),
                part.num_trajectories,
                max_steps=config.explore.max_steps,
                blocked_share=config.explore.blocked_share,
                seed=config.seed,
                coverage=coverage,
            ):
                writer.append(trajectory)
                progress.step()
            progress.close()
            report[f"{part.domain}/{part.split}"] = {
                "trajectories": part.num_trajectories,
                "dropped": dict(coverage.dropped),
                "goals": dict(sorted(coverage.goals.items())),
                "clauses": {f"{tool} {clause}": n for (tool, clause), n in sorted(coverage.clauses.items())},
            }
    return {"count": len(writer.ids), "parts": report}
