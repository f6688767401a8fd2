"""The command line, and the only file that knows Hydra.

Hydra composes ``conf/``, ``recipes/`` and the overrides; `RunConfig` checks the result as a whole.
"""

import difflib
import logging
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from t2t import log as logs
from t2t.config import RunConfig
from t2t.errors import ConfigError, end_in_one_line

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parent.parent
_STAGES = ("explore", "synthesize", "rollout", "filter", "baseline", "train", "parity", "evaluate")

_USAGE = """\
usage: t2t COMMAND [recipe=NAME] [SETTING=VALUE ...] [--cfg job] [--help]

commands:
  run         make what is missing of the whole chain, then the report
  {stages}
              run one stage
  report      print the report of a run
  view        show talks: `view recipe=NAME success=false`, `view FILE n=3`
  rescore     judge recorded talks anew with today's rules and checks: `rescore recipe=NAME`
  export      write talks for other programs: `export rollouts recipe=NAME format=openai out=FOLDER`
  domains     list the domains; `domains check NAME` holds one against the contract,
              `domains show NAME` lists its tools
  tau2        tau2's tasks and runner: `tau2 verify`, `tau2 run`, `tau2 import`, `tau2 export`
  doctor      say what is installed and what is missing

recipes: {recipes}
models:  {models}

A sweep: python scripts/sweep.py -m recipe=NAME train.learning_rate=1e-4,2e-4
"""


def load_config(overrides: Sequence[str]) -> RunConfig:
    """Compose and check a configuration.

    Raises:
        ConfigError: an unknown recipe, model or setting, or a value that cannot be; with the nearest name.
    """
    return _check(_compose(overrides))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``t2t``; exits with 0, 1 for a failed run, 2 for usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logs.configure()
    with end_in_one_line(log, interrupted="interrupted; finished work is kept, the same command goes on from there"):
        _dispatch(words)


def _dispatch(words: list[str]) -> None:
    command = words.pop(0) if words and "=" not in words[0] and not words[0].startswith("-") else ""
    if not command or "--help" in words or "-h" in words:
        asked = bool({"--help", "-h"} & set(words)) or not words
        sys.stdout.write(_usage(command))
        raise SystemExit(0 if asked else 2)
    if "-m" in words or "--multirun" in words:
        raise ConfigError(f"a sweep starts with: python scripts/sweep.py {' '.join(words)}")
    if "--cfg" in words:
        _print_config([word for word in words if word not in ("--cfg", "job")])
        return
    if command == "domains":
        _domains(words)
    elif command == "tau2":
        from t2t.interop.tau2 import commands

        commands.run(words, load_config)
    elif command in ("rescore", "export"):
        from t2t import pipeline
        from t2t.report import recorded

        recorded.run(command, words, load_config, pipeline.artifacts)
    elif command == "doctor":
        from t2t import doctor

        doctor.report(load_config(words))
    elif command == "view":
        _view(words)
    elif command in ("run", "report", *_STAGES):
        _run(command, words)
    else:
        known = ("run", "report", "view", "rescore", "export", "domains", "tau2", "doctor", *_STAGES)
        raise ConfigError(f"no command {command!r}{_nearest(command, known)}; see t2t --help")


def _run(command: str, words: Sequence[str]) -> None:
    config = load_config(words)
    from t2t import launch, pipeline

    launch.exit_on_sigterm()
    if launch.is_launched():
        launch.end_with(os.getppid())
    if command == "report":
        pipeline.report_only(config)
        return
    if command != "run":
        config = config.model_copy(update={"stages": (command,)})
    pipeline.run(config)


def _view(words: Sequence[str]) -> None:
    from t2t.report import viewer

    request, settings = viewer.read_request(words)
    folders: dict[str, Path] = {}
    if not request.file:
        from t2t import pipeline

        made = pipeline.artifacts(load_config(settings))
        folders = {name: one.folder if one.complete else one.partial for name, one in made.items()}
    viewer.view(request, folders)


def run_script(stage: str = "") -> None:
    """Body of ``scripts/*.py``: the whole chain, or one stage.

    A script is one process, or one of several that a launcher starts; `t2t run` starts several by itself.

    Raises:
        SystemExit: 2 when a sweep is asked for under a launcher, where every rank would sweep by itself.
    """
    words = sys.argv[1:]
    trains = not stage and any("=" in word for word in words) and not {"-m", "--multirun"} & {*words}
    main([stage or "run", *(["compute.num_processes=1"] if trains else []), *words])


def register_configs() -> None:
    """Give Hydra the schema, with every default, and the recipes; ``scripts/sweep.py`` needs them too."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    store.store(name="schema", node=RunConfig().model_dump(mode="json"))
    for file in _recipes(_config_folder()):
        store.store(group="recipe", name=file.stem, node=cast(Any, OmegaConf.load(file)), package="_global_")


def _compose(overrides: Sequence[str]) -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    folder = _config_folder()
    bare = [word for word in overrides if "=" not in word and not word.startswith("~")]
    if bare:
        raise ConfigError(f"{bare[0]!r} is no setting; write SETTING=VALUE, such as recipe=quickstart")
    register_configs()
    try:
        with initialize_config_dir(config_dir=str(folder), version_base="1.3"):
            return compose(config_name="config", overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, overrides, folder)) from None


def _check(composed: Any) -> RunConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        return RunConfig.model_validate(plain)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if not where or first["type"] == "value_error":
            raise ConfigError(f"{where}: {message}".removeprefix(": ")) from None
        got = f"={first['input']}" if not isinstance(first["input"], dict) else ""
        hint = _nearest(where, _settings_names()) if first["type"] == "extra_forbidden" else ""
        message = "no such setting" if hint or first["type"] == "extra_forbidden" else message[0].lower() + message[1:]
        raise ConfigError(f"{where}{got}: {message}{hint}") from None


def _explain(error: Exception, overrides: Sequence[str], folder: Path) -> str:
    """One line for a composition error: what, where, and the nearest right name."""
    for word in overrides:
        name, _, value = word.lstrip("+~").partition("=")
        if name in ("recipe", "model", "compute") and "," not in value:
            known = [file.stem for file in (_recipes(folder) if name == "recipe" else _choices(folder, name))]
            if value not in known:
                return f"no {name} {value!r}{_nearest(value, known)}; known: {', '.join(known)}"
        elif not word.startswith("+") and name not in _settings_names(sections=True):
            owners = ("train.trl", "train.weights", "engine.args", "domain.mcp")
            free = any(name.startswith(f"{owner}.") for owner in owners)
            add = f"; to pass it on write +{word}" if free else ""
            return f"no setting {name!r}{_nearest(name, _settings_names())}{add}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2]) or type(error).__name__


def _nearest(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not found:
        last = name.rpartition(".")[2]
        found = [full for full in known if full.rpartition(".")[2] == last][:1]
    return f"; did you mean {found[0]!r}?" if found else ""


def _settings(section: BaseModel | None = None, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every setting: dotted name, default, meaning."""
    section = section or RunConfig()
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value), " ".join((field.description or "").split())


def _settings_names(*, sections: bool = False) -> list[str]:
    names = [name for name, _, _ in _settings()]
    return names + list(RunConfig.model_fields) if sections else names


def _config_folder() -> Path:
    folder = Path(os.environ.get("T2T_CONFIG_DIR", _ROOT / "conf")).absolute()
    if not (folder / "config.yaml").exists():
        raise ConfigError(f"no config.yaml in {folder}; set T2T_CONFIG_DIR to the project's conf folder")
    return folder


def _recipes(folder: Path) -> list[Path]:
    return sorted((folder.parent / "recipes").glob("*.yaml"))


def _choices(folder: Path, group: str) -> list[Path]:
    return sorted((folder / group).glob("*.yaml"))


def _usage(command: str) -> str:
    folder = _config_folder()
    text = _USAGE.format(
        stages=" ".join(_STAGES),
        recipes=", ".join(file.stem for file in _recipes(folder)),
        models=", ".join(file.stem for file in _choices(folder, "model")),
    )
    if not command:
        return f"{text}\nSettings: t2t run --help\n"
    if command == "view":
        from t2t.report.viewer import Request

        lines = ["usage: t2t view [recipe=NAME | FILE] [WHAT=VALUE ...]", "", "what (default):"]
        for name, field in Request.model_fields.items():
            lines.append(f"  {name:12} {field.description} ({field.default})")
        return "\n".join(lines) + "\n"
    lines = [text, "settings (default):"]
    for name, default, meaning in _settings():
        lines.append(f"  {name} ({default})")
        lines.extend(textwrap.wrap(meaning, 100, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines) + "\n"


def _print_config(overrides: Sequence[str]) -> None:
    from omegaconf import OmegaConf

    composed = _compose(overrides)
    _check(composed)
    sys.stdout.write(OmegaConf.to_yaml(composed, resolve=True))


def _domains(words: Sequence[str]) -> None:
    from t2t.domain.domain import list_domains, load_domain

    if words and words[0] == "check":
        from t2t.verify import contract

        contract.run(words[1:])
        return
    if len(words) > 1 and words[0] == "show":
        for tool in load_domain(words[1], load_config(words[2:]).domain.mcp).tools:
            sys.stdout.write(
                f"{tool.name:28} {'writes' if tool.writes else 'reads':7} {tool.description.splitlines()[0]}\n"
            )
        return
    if words:
        raise ConfigError(f"t2t domains {words[0]!r}: write `t2t domains`, or `check NAME` or `show NAME` after it")
    for name in list_domains():
        domain = load_domain(name)
        sys.stdout.write(f"{name:12} {len(domain.tools):3} tools {len(domain.rules):3} rules\n")
