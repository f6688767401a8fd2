"""``t2t tau2``: compare the verdicts, import results, export tasks, play in tau2's runner."""

from collections.abc import Sequence

from t2t.errors import ConfigError
from t2t.interop.tau2.source import MEMBERS

_USAGE = "write `t2t tau2 verify`, `t2t tau2 run`, `t2t tau2 import FILE OUT` or `t2t tau2 export`"


def run(words: Sequence[str]) -> None:
    """Run one of tau2's commands.

    Raises:
        ConfigError: there is no such command, or one of its words is wrong.
        SystemExit: 1 when verdicts differ.
    """
    command, *rest = words or ("",)
    if command == "verify":
        _verify(rest)
    elif command:
        raise ConfigError(f"no command 'tau2 {command}'; {_USAGE}")
    else:
        raise ConfigError(_USAGE)


def _verify(words: Sequence[str]) -> None:
    settings = _settings(words, ("domain", "limit"))
    members = settings["domain"].split(",") if "domain" in settings else MEMBERS
    members = [member.removeprefix("tau2.") for member in members]
    for member in members:
        if member not in MEMBERS:
            raise ConfigError(f"domain={member}: no such domain of tau2; known: {', '.join(MEMBERS)}")
    from t2t.interop.tau2 import verification

    if not verification.report(members, _number(settings, "limit")):
        raise SystemExit(1)


def _settings(words: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Words ``NAME=VALUE`` as a mapping."""
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise ConfigError(f"{word!r} is no setting of this command; known: {', '.join(f'{one}=' for one in known)}")
        settings[name] = value
    return settings


def _number(settings: dict[str, str], name: str) -> int:
    value = settings.get(name, "0")
    if not value.isdecimal():
        raise ConfigError(f"{name}={value}: not a number")
    return int(value)
