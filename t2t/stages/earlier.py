"""Talks that another artifact has already: taken over where nothing but the number of talks or the verifier differs."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from pydantic import JsonValue

from t2t.config import McpConfig
from t2t.domain.domain import load_domain
from t2t.errors import RunError
from t2t.lines import whole_lines
from t2t.records import Rollout, Task
from t2t.scheduling.ledger import rollout_id
from t2t.stages.stage import StageContext
from t2t.store import Writer, write_json
from t2t.verify import verifier
from t2t.verify.rescore import rescore

log = logging.getLogger(__name__)

_FILE = "family.json"


class _Place(NamedTuple):
    """Where a record lies."""

    file: Path
    start: int
    length: int
    judged_alike: bool
    """True when today's verifier judged it."""


def verifier_hash() -> str:
    """Hash of the code that judges talks, 12 hex digits."""
    return hashlib.sha256(Path(verifier.__file__).read_bytes()).hexdigest()[:12]


def take_over(
    context: StageContext, tasks: Sequence[Task], writer: Writer, agents: Sequence[str], attempts: int, until: int = 0
) -> dict[str, JsonValue]:
    """Append the talks that artifacts of the same family hold and that this one wants; judge anew what is stale.

    Two artifacts are of one family when everything that decides a single talk is equal. A talk is taken only where
    the task and the domain are the same as well.

    Args:
        context: Names the family; its folder is marked with it, for artifacts that come later.
        tasks: The tasks that this artifact plays.
        writer: Takes the records.
        agents: Names of the agents whose talks are wanted.
        attempts: Talks per task and agent at most.
        until: Successes after which a task is not tried again; 0 makes all attempts.

    Returns:
        For the manifest: how many talks were ``taken`` and how many of them were ``rescored``; empty for none.
    """
    servers = context.config.domain.mcp
    domains: dict[str, JsonValue] = {
        name: load_domain(name, servers).fingerprint for name in sorted({task.domain for task in tasks})
    }
    mine: dict[str, JsonValue] = {"family": context.family, "verifier": verifier_hash(), "domains": domains}
    write_json(context.folder / _FILE, mine)
    found: dict[str, _Place] = {}
    for folder in _relatives(context):
        found = {**dict(_places(folder, mine)), **found}
    taken = rescored = 0
    for task in tasks if found else ():
        for agent in agents:
            # Attempts beyond those that are needed stay where they are.
            successes = 0
            for attempt in range(attempts):
                name = rollout_id(task.id, agent, attempt)
                if (until and successes >= until) or name not in found:
                    break
                line, judged = _read(found[name], task, servers)
                if not line:
                    break
                taken += writer.append_bytes(name, line)
                rescored += judged
                successes += orjson.loads(line)["reward"]["value"] == 1.0
    if not taken:
        return {}
    log.info("%d talks were played before%s", taken, f", {rescored} of them judged anew" if rescored else "")
    return {"taken": taken, "rescored": rescored}


def _relatives(context: StageContext) -> Iterator[Path]:
    """Folders of the same stage and family, complete ones first."""
    folders = [file.parent for file in context.folder.parent.glob(f"*/{_FILE}") if file.parent != context.folder]
    for folder in sorted(folders, key=lambda folder: (folder.suffix == ".partial", folder.name)):
        if context.family and _marks(folder).get("family") == context.family:
            yield folder


def _marks(folder: Path) -> dict[str, JsonValue]:
    try:
        return orjson.loads((folder / _FILE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}


def _places(folder: Path, mine: Mapping[str, JsonValue]) -> Iterator[tuple[str, _Place]]:
    """Records of a folder whose domain is the same as here, by id."""
    marks = _marks(folder)
    theirs, domains = marks.get("domains"), mine["domains"]
    assert isinstance(domains, dict)
    same = {name for name, value in domains.items() if isinstance(theirs, dict) and theirs.get(name) == value}
    file = folder / "rollouts.jsonl"
    start = 0
    for line in whole_lines(file) if file.exists() else ():
        record = orjson.loads(line)
        if record["domain"] in same:
            yield record["id"], _Place(file, start, len(line), marks.get("verifier") == mine["verifier"])
        start += len(line)


def _read(place: _Place, task: Task, servers: Mapping[str, McpConfig]) -> tuple[bytes, bool]:
    """The record, and whether it was judged anew; empty when it stands for no talk of today."""
    with place.file.open("rb") as handle:
        handle.seek(place.start)
        line = handle.read(place.length).rstrip(b"\n")
    if place.judged_alike:
        return line, False
    rollout = Rollout.model_validate_json(line)
    try:
        judged = rescore(rollout, task, load_domain(task.domain, servers))
    except RunError:
        return b"", False
    return judged.model_dump_json().encode(), True
