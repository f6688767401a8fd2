"""What a domain is, and finding one by name."""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from t2t.domain.database import Base, Database
from t2t.domain.rule import Rule
from t2t.domain.tool import Tool
from t2t.domain.wish import Callers, Wish
from t2t.errors import ConfigError
from t2t.records import DataSpec, Split


@dataclass(frozen=True)
class Domain:
    """Tools, policy, rules, data and wishes of one business; static."""

    name: str
    """How configurations and records call it."""
    home: Path
    """Its folder; ``policy.md`` lies there, and its files are its fingerprint."""
    database: Callable[[Base], Any]
    """Opens an episode's view of the data; a subclass of `Database`."""
    generate: Callable[[DataSpec], Base]
    """Makes the data; equal specs give equal data."""
    tools: tuple[Tool, ...]
    rules: tuple[Rule, ...]
    callers: Callers
    wishes: tuple[Wish, ...]

    @cached_property
    def policy(self) -> str:
        """The rule text that the agent reads."""
        return (self.home / "policy.md").read_text(encoding="utf-8").strip()

    @cached_property
    def tool_by_name(self) -> MappingProxyType[str, Tool]:
        """Tools by name."""
        return MappingProxyType({tool.name: tool for tool in self.tools})

    @cached_property
    def wish_by_tool(self) -> MappingProxyType[str, Wish]:
        """Wishes by the tool that fulfils them."""
        return MappingProxyType({wish.tool: wish for wish in self.wishes})

    @cached_property
    def tool_schemas(self) -> str:
        """JSON text of all tool schemas, in OpenAI function format."""
        return orjson.dumps([tool.schema for tool in self.tools]).decode()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the domain's files, 16 hex digits; part of every artifact key."""
        digest = hashlib.sha256()
        for file in sorted(self.home.glob("*.py")) + sorted(self.home.glob("*.md")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def open(self, data: DataSpec) -> Database:
        """A fresh database over the data that `data` names; the base is made once per process."""
        return self.database(_base(self, data.seed, data.size, data.split))

    def __hash__(self) -> int:
        """By name: a domain is one folder."""
        return hash(self.name)


@lru_cache(maxsize=64)
def _base(domain: Domain, seed: int, size: int, split: Split) -> Base:
    return domain.generate(DataSpec(seed=seed, size=size, split=split))


def load_domain(name: str) -> Domain:
    """Find a domain: ``retail`` in this package, or any ``package.module`` with a ``DOMAIN``.

    Raises:
        ConfigError: there is no such module, or it holds no `Domain`.
    """
    module_name = name if "." in name else f"t2t.domains.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            known = ", ".join(list_domains())
            raise ConfigError(f"no domain {name!r}; known: {known}, or a package.module of yours") from None
        raise
    domain = getattr(module, "DOMAIN", None)
    if not isinstance(domain, Domain):
        raise ConfigError(f"module {module_name!r} holds no DOMAIN; CONTRIBUTING.md says what a domain is")
    return domain


def list_domains() -> list[str]:
    """Names of the domains in this package."""
    folder = Path(__file__).parent.parent / "domains"
    return sorted(child.name for child in folder.iterdir() if (child / "tools.py").exists())
