"""``t2t rescore`` and ``t2t export rollouts``: what is done with recorded talks; none is played and no model asked."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.errors import ConfigError
from t2t.interop.inspect import Origin, export_inspect
from t2t.records import Rollout, Task
from t2t.report.talk_export import export_openai, export_parquet, replacing
from t2t.report.talk_file import STAGES, TALKS, find_talks
from t2t.store import MANIFEST, Artifact, read_records
from t2t.verify.rescore import Changes, rescore_all

_FORMATS = ("openai", "parquet", "inspect")
_FROM = "(recipe=NAME [stage=rollout|baseline|evaluate] | FILE) [SETTING=VALUE ...]"

_RESCORE = f"t2t rescore {_FROM} [tasks=FILE] [out=FILE]"
_EXPORT = f"t2t export rollouts {_FROM} format={'|'.join(_FORMATS)} out=FOLDER"


class _Talks(NamedTuple):
    """Recorded talks."""

    file: Path
    name: str
    key: str
    complete: bool
    """False for the folder of a stage that is under way or was interrupted."""
    tasks: Path | None
    """File of the tasks that the talks are about, where it is known."""


def run(
    command: str,
    words: Sequence[str],
    load_config: Callable[[Sequence[str]], RunConfig],
    artifacts: Callable[[RunConfig], Mapping[str, Artifact]],
) -> None:
    """Run one of the two commands.

    Args:
        command: ``rescore`` or ``export``.
        words: What follows it.
        load_config: Makes the configuration of the words that are settings.
        artifacts: The artifact of every stage of a configuration.

    Raises:
        ConfigError: a word is wrong, or there are no such talks.
        SystemExit: 1 when some talks could not be judged anew.
    """
    known = {"file", "stage", "out", "tasks" if command == "rescore" else "format"}
    usage = _RESCORE if command == "rescore" else _EXPORT
    if command == "export":
        if words[:1] != ["rollouts"]:
            raise ConfigError(f"write {usage}; tasks lie as a data set in the folder of the stage synthesize")
        words = words[1:]
    if not words:
        raise ConfigError(f"write {usage}")
    named: dict[str, str] = {}
    settings: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "file", word
        if name == "file" and "file" in named:
            raise ConfigError(f"{named['file']} and {value}: one file at a time")
        if name in known:
            named[name] = value
        else:
            settings.append(word)
    config = load_config(settings)
    talks = _in_file(named) if "file" in named else _of_run(named.get("stage", "rollout"), config, artifacts)
    if not talks.complete:
        sys.stdout.write(f"{talks.file.parent} is not complete: what follows is about the talks that are there\n")
    if command == "rescore":
        _rescore(talks, named, config)
    else:
        _export(talks, named, config)


def _of_run(stage: str, config: RunConfig, artifacts: Callable[[RunConfig], Mapping[str, Artifact]]) -> _Talks:
    if stage not in STAGES:
        raise ConfigError(f"stage={stage}: no stage that plays talks; they are: {', '.join(STAGES)}")
    found = artifacts(config)
    artifact = found[stage]
    for folder in (artifact.folder, artifact.partial):
        if (folder / TALKS).is_file():
            tasks = found["synthesize"].folder / "tasks.jsonl"
            return _Talks(folder / TALKS, f"{config.name}/{stage}", artifact.key, folder == artifact.folder, tasks)
    raise ConfigError(
        f"{artifact.folder} does not exist; play the talks with the same settings: t2t {stage}, or give the file of "
        f"talks that were played with others: {config.paths.runs}/{stage}/KEY/{TALKS}"
    )


def _in_file(named: Mapping[str, str]) -> _Talks:
    if "stage" in named:
        raise ConfigError(f"{named['file']} and stage={named['stage']}: one of them says which talks")
    file = find_talks(Path(named["file"]))
    folder, tasks = file.absolute().parent, None
    if (folder / MANIFEST).is_file():
        inputs = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["inputs"]
        tasks = folder.parents[1] / "synthesize" / inputs["synthesize"] / "tasks.jsonl"
    return _Talks(file, file.stem, folder.name, folder.suffix != ".partial", tasks)


def _rescore(talks: _Talks, named: Mapping[str, str], config: RunConfig) -> None:
    out = Path(named["out"]) if "out" in named else None
    if out is not None and out.exists():
        raise ConfigError(f"out={out} exists already")
    file = Path(named["tasks"]) if "tasks" in named else talks.tasks
    if file is None or not file.is_file():
        where = "nothing beside the talks names their tasks" if file is None else f"{file} does not exist"
        raise ConfigError(f"{where}; add tasks={config.paths.runs}/synthesize/KEY/tasks.jsonl")
    tasks = {task.id: task for task in read_records(file, Task)}
    for part in config.evaluate.tau2:
        from t2t.interop.tau2 import load_tasks

        member, _, split = part.partition(":")
        tasks |= {task.id: task for task in load_tasks(member, split or "test")}
    changes = Changes()
    rescored = rescore_all(read_records(talks.file, Rollout), tasks, partial(load_domain, servers=config.domain.mcp))
    if out is None:
        for one in rescored:
            changes.add(one)
    else:
        with replacing(out) as temporary, temporary.open("wb") as lines:
            for one in rescored:
                changes.add(one)
                if one.after is not None:
                    lines.write(one.after.model_dump_json().encode() + b"\n")
    sys.stdout.write(changes.table() + "\n")
    if changes.num_owed:
        raise SystemExit(1)


def _export(talks: _Talks, named: Mapping[str, str], config: RunConfig) -> None:
    kind = named.get("format", "")
    if kind not in _FORMATS or "out" not in named:
        raise ConfigError(f"format={kind}: write {_EXPORT}" if "out" in named else f"out= is missing; write {_EXPORT}")
    out = Path(named["out"])
    rollouts = read_records(talks.file, Rollout)
    if kind == "openai":
        file = out / TALKS
        counts = {file: export_openai(rollouts, file, partial(load_domain, servers=config.domain.mcp))}
    elif kind == "parquet":
        file = out / "rollouts.parquet"
        counts = {file: export_parquet(rollouts, file)}
    else:
        # A record holds no time; the file was last written when its last talk ended.
        written = datetime.fromtimestamp(talks.file.stat().st_mtime, UTC)
        counts = export_inspect(rollouts, out, Origin(talks.name, talks.key, written, talks.complete))
    figures = {"num_rollouts": sum(counts.values()), "complete": talks.complete, "files": list(map(str, counts))}
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
