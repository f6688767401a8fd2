"""Report: gather what the stages wrote and show it.

Writes ``runs/<name>/report.json`` and ``report.html``, and the model cards beside the weights.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.records import Rollout, Task
from t2t.stages.evaluate import held_out_tasks
from t2t.store import MANIFEST, read_records


def write(config: RunConfig, folders: Mapping[str, Path]) -> None:
    """Write the report and the model cards of complete artifacts, by stage name, print its table, upload if asked."""
    from t2t.report.content import ReportContent, TrainInfo
    from t2t.report.html import write_report
    from t2t.report.manifests import read_curves, read_funnel, read_parity
    from t2t.report.model_card import write_model_cards
    from t2t.report.results import summarize
    from t2t.report.talks import choose_talks
    from t2t.report.terminal import print_report

    manifests = {name: _manifest(folder) for name, folder in folders.items()}
    tasks = held_out_tasks(config, list(read_records(folders["synthesize"] / "tasks.jsonl", Task)))
    rollouts = list(_rollouts(folders))
    results = summarize(rollouts, tasks, set(config.domain.train))
    trained = manifests["train"]["result"]
    losses = json.loads((folders["train"] / "loss.json").read_text(encoding="utf-8"))
    content = ReportContent(
        name=config.name,
        model=config.model.name,
        trained=config.domain.train,
        results=results,
        train=TrainInfo(
            method=config.train.method,
            rows=trained["count"],
            steps=trained["steps"],
            seconds=trained["seconds"],
            curves=read_curves(losses),
        ),
        parity=read_parity(manifests),
        funnel=read_funnel(manifests),
        stage_seconds={name: manifest["seconds"] for name, manifest in manifests.items()},
        examples=choose_talks(rollouts, tasks, config.domain.train),
        settings=config.model_dump(mode="json"),
        manifest={
            "seed": config.seed,
            "versions": manifests["train"]["versions"],
            "template_hash": trained["template_hash"],
            "artifacts": cast(JsonValue, {name: manifest["key"] for name, manifest in manifests.items()}),
        },
    )
    folder = Path(config.paths.runs) / config.name
    folder.mkdir(parents=True, exist_ok=True)
    write_report(folder, content)
    write_model_cards(folders["train"], config, folders, results)
    print_report(results, folder / "report.html")
    if config.hub.push:
        from t2t.report import hub

        hub.push(folders["train"], config.hub, config.model)


def _manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def _rollouts(folders: Mapping[str, Path]) -> Iterator[Rollout]:
    for stage in ("baseline", "evaluate"):
        yield from read_records(folders[stage] / "rollouts.jsonl", Rollout)
