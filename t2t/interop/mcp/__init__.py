"""Tools of any MCP server as a domain's tools; docs/mcp.md is the guide."""

import importlib.util
from collections.abc import Mapping

from t2t.config import McpConfig
from t2t.domain.domain import Domain
from t2t.errors import ConfigError


def load_domain(member: str, servers: Mapping[str, McpConfig]) -> Domain:
    """The domain ``mcp.<member>``, whose server stands in the configuration under ``domain.mcp.<member>``.

    Raises:
        ConfigError: no such server is configured, the package ``mcp`` is not installed, the server does not start,
            or a setting does not fit what it offers.
    """
    settings = servers.get(member)
    if settings is None:
        known = f"; known: {', '.join(f'mcp.{name}' for name in servers)}" if servers else ""
        raise ConfigError(
            f"no domain 'mcp.{member}'{known}; say how its server starts: '+domain.mcp.{member}.command=[PROGRAM,...]'"
        )
    if importlib.util.find_spec("mcp") is None:
        raise ConfigError(f"domain 'mcp.{member}' needs the package mcp: pip install t2t[mcp]")
    from t2t.interop.mcp.domain import load

    return load(member, settings.model_dump_json())
