"""``t2t tau2``: compare the verdicts, import results, play in tau2's runner, export."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from t2t.config import RunConfig
from t2t.errors import ConfigError
from t2t.interop.tau2.source import MEMBERS

_USAGE = """\
write one of
  t2t tau2 verify [domain=NAME,...] [limit=N]
  t2t tau2 run domain=NAME out=FOLDER [split=test] [limit=N] [trials=1] [max_steps=100] [concurrency=8]
               [recipe=NAME] [SETTING=VALUE ...]
  t2t tau2 import FILE OUT
  t2t tau2 export domain=NAME out=FOLDER [tasks=FILE | count=40 split=test size=120 seed=0]"""


def run(words: Sequence[str], load_config: Callable[[Sequence[str]], RunConfig]) -> None:
    """Run one of tau2's commands.

    Args:
        words: The command and its words.
        load_config: Makes t2t's configuration of the words that are settings of its own.

    Raises:
        ConfigError: there is no such command, or one of its words is wrong.
        SystemExit: 1 when verdicts differ.
    """
    command, *rest = words or ("",)
    if command == "verify":
        _verify(rest)
    elif command == "run":
        _run(rest, load_config)
    elif command == "import":
        _import(rest)
    elif command == "export":
        from t2t.interop.tau2.export import export_command

        export_command(rest)
    else:
        raise ConfigError(f"no command 'tau2 {command}'; {_USAGE}" if command else _USAGE)


def _verify(words: Sequence[str]) -> None:
    settings, others = _settings(words, ("domain", "limit"))
    if others:
        raise ConfigError(f"{others[0]!r} is no setting of `t2t tau2 verify`; known: domain=, limit=")
    members = [_member(name) for name in settings["domain"].split(",")] if "domain" in settings else MEMBERS
    from t2t.interop.tau2 import verification

    if not verification.report(members, _number(settings, "limit", 0)):
        raise SystemExit(1)


def _run(words: Sequence[str], load_config: Callable[[Sequence[str]], RunConfig]) -> None:
    names = ("domain", "split", "limit", "trials", "max_steps", "concurrency", "out")
    settings, others = _settings(words, names)
    if "domain" not in settings or "out" not in settings:
        raise ConfigError(f"domain= and out= are missing; {_USAGE}")
    config = load_config(others)
    from t2t.interop.tau2.runner import Plan, play

    plan = Plan(
        _member(settings["domain"]),
        settings.get("split", "test"),
        _number(settings, "limit", 0),
        _number(settings, "trials", 1),
        _number(settings, "max_steps", 100),
        _number(settings, "concurrency", 8),
    )
    file = play(plan, config, Path(settings["out"]))
    _report(file, file.with_suffix(".rollouts.jsonl"))


def _import(words: Sequence[str]) -> None:
    if len(words) != 2:
        raise ConfigError(_USAGE)
    file, out = map(Path, words)
    if not file.is_file():
        raise ConfigError(f"there is no file {file}")
    if out.exists():
        raise ConfigError(f"{out} exists already")
    _report(file, out)


def _report(file: Path, out: Path) -> None:
    """Write a results file's rollouts and say, as JSON, how many there are and how often the verdicts differ."""
    from t2t.interop.tau2.results import read_results

    count = successes = differ = errors = 0
    with out.open("wb") as lines:
        for rollout, recorded in read_results(file):
            if rollout is None:
                errors += 1
                continue
            lines.write(rollout.model_dump_json().encode() + b"\n")
            count += 1
            successes += rollout.reward.value == 1.0
            differ += recorded is not None and recorded != rollout.reward.value
    figures = {
        "num_rollouts": count,
        "num_successes": successes,
        "num_disagreements": differ,
        "num_errors": errors,
        "file": str(out),
    }
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")


def _member(name: str) -> str:
    member = name.removeprefix("tau2.")
    if member not in MEMBERS:
        raise ConfigError(f"domain={name}: no such domain of tau2; known: {', '.join(MEMBERS)}")
    return member


def _settings(words: Sequence[str], known: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The words ``NAME=VALUE`` whose name is known, and the others."""
    settings: dict[str, str] = {}
    others: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in known:
            settings[name] = value
        else:
            others.append(word)
    return settings, others


def _number(settings: dict[str, str], name: str, default: int) -> int:
    value = settings.get(name, str(default))
    if not value.isdecimal():
        raise ConfigError(f"{name}={value}: not a number")
    return int(value)
