"""Playing the talks of a stage: serve the models that speak, take over what is there, play what is owed, add it up."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from pydantic import JsonValue

from t2t.records import Rollout, Task
from t2t.report.summary import Summary
from t2t.scheduling.costs import read_costs
from t2t.scheduling.run import play_tasks
from t2t.scheduling.talks import TalkSpec
from t2t.stages.serving import serve
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_records

log = logging.getLogger(__name__)


def play_with_model(
    context: StageContext,
    tasks: Sequence[Task],
    writer: Writer,
    agent: Literal["base", "tuned"],
    section: Literal["rollout", "evaluate"],
    label: str,
    *,
    tuned: Path | None = None,
    until_successes: int = 0,
) -> None:
    """Serve the agent's model, and the caller's where no endpoint is named, and play what is owed.

    Args:
        context: Configuration and folder.
        tasks: The tasks.
        writer: Takes the records.
        agent: Name of the agent.
        section: Which settings hold for the talks.
        label: Stage, for the progress line.
        tuned: Folder of the train stage, for the tuned model.
        until_successes: Successes after which a task is not tried again; 0 makes all attempts.

    Raises:
        RunError: a server or a service failed for good; what was finished is kept.
        ConfigError: an endpoint or a checkpoint cannot work.
    """
    config = context.config
    settings = config.rollout if section == "rollout" else config.evaluate
    source = config.model.source
    adapters: dict[str, Path] = {}
    if tuned is not None and config.evaluate.weights == "adapter":
        adapters = {agent: tuned / "adapter"}
    elif tuned is not None:
        source = str(tuned / "merged")
    calls_here = config.user.kind == "model" and not config.user.api.base_urls
    seeded = settings.temperature > 0 or (calls_here and config.user.api.temperature > 0)
    log_file = context.folder / "server.log"
    with serve(config, source, agent, log_file, seeded=seeded, adapters=adapters) as served:
        spec = TalkSpec(
            config=config, section=section, agent=agent, kind="model", base_urls=served.base_urls, served=agent
        )
        if calls_here:
            spec = spec.model_copy(update={"caller_urls": served.base_urls, "caller_served": "base"})
        play_tasks(
            spec,
            tasks,
            writer,
            context.folder,
            label,
            until_successes=until_successes,
            restarts=served.restarts,
            problem=served.problem,
            base_urls_now=served.base_urls_now,
        )


def play_unserved(
    context: StageContext,
    tasks: Sequence[Task],
    writer: Writer,
    agent: Literal["reference", "do_nothing", "teacher"],
    section: Literal["rollout", "evaluate"],
    label: str,
    until_successes: int = 0,
) -> None:
    """Play what is owed with an agent for which nothing is served here; see `play_with_model`.

    The teacher is the model behind ``rollout.api``.
    """
    kind = "model" if agent == "teacher" else agent
    spec = TalkSpec(config=context.config, section=section, agent=agent, kind=kind)
    play_tasks(spec, tasks, writer, context.folder, label, until_successes=until_successes)


def sum_up(folder: Path) -> dict[str, Summary]:
    """What the talks in ``rollouts.jsonl`` came to, by agent."""
    agents: dict[str, Summary] = {}
    for rollout in read_records(folder / "rollouts.jsonl", Rollout):
        agents.setdefault(rollout.agent, Summary()).add(rollout)
    return agents


def close_books(folder: Path, agent: str, summary: Summary) -> dict[str, JsonValue]:
    """Say what the talks of `agent` came to and what playing cost, over all tries of the stage.

    Returns:
        For the manifest: ``costs``, and ``faults`` of the infrastructure by kind, each of which was tried again.
    """
    costs = read_costs(folder / "costs.jsonl")
    faults = costs.pop("faults")
    shown = {
        name: costs.get(name) for name in ("seconds", "requests", "tokens_per_s", "cache_hit_share", "preemptions")
    }
    for line in summary.lines({**shown, "infrastructure_faults": faults}):
        log.info("%s: %s", agent, line)
    return {"costs": cast(JsonValue, costs), "faults": faults}
