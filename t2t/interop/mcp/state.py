"""An episode's state on an MCP server: one process per environment, taken back by replaying its writes.

An MCP server can neither be copied nor undone. So a state is the list of writes that went through: a rollback
shortens the list, and the next call runs on a server in its initial state after the writes that are left.
"""

import hashlib
import json
import weakref
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from t2t.config import McpConfig
from t2t.errors import InfraError, RunError, ToolError
from t2t.interop.mcp.server import Server
from t2t.records import Arguments


class Pool:
    """Servers in their initial state, for all environments on the same data."""

    def __init__(self, name: str, settings: McpConfig, words: Mapping[str, object]) -> None:
        """Serve domain `name`; `words` fill its command. Nothing is started yet."""
        self.name, self.settings = name, settings
        self.hashes: dict[str, str] = {}
        """State hash by the writes that led there."""
        self._words = words
        self._fresh: list[Server] = []
        self._used: list[Server] = []
        weakref.finalize(self, _stop, self._fresh, self._used)

    def take(self) -> Server:
        """A server in its initial state; unless servers can be reset, the next one starts meanwhile."""
        while server := _pop(self._used):
            try:
                server.call(self.settings.reset, {})
            except InfraError:
                server.stop()
            except ToolError as error:
                raise RunError(f"domain.{self.name}.reset: {error}") from None
            else:
                return server
        server = _pop(self._fresh) or self._start()
        if not self.settings.reset:
            self._fresh.append(self._start())
        return server

    def give_back(self, server: Server) -> None:
        """Take a server that is no longer needed; it is stopped, or reset at its next use."""
        if self.settings.reset:
            self._used.append(server)
        else:
            server.stop()

    def _start(self) -> Server:
        return Server(self.name, self.settings, self._words)


class _Lease:
    """The server that a state holds at the moment."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.server: Server | None = None

    def take(self) -> Server:
        self.server = self._pool.take()
        return self.server

    def end(self) -> None:
        if self.server is not None:
            self._pool.give_back(self.server)
            self.server = None

    def give_up(self) -> None:
        """Stop a server that cannot be trusted any more."""
        if self.server is not None:
            self.server.stop()
            self.server = None


class _Write(NamedTuple):
    tool: str
    arguments: Arguments
    content: str


class McpState:
    """What the tools, rules and wishes of an MCP domain get as their database."""

    def __init__(self, pool: Pool, writing: frozenset[str]) -> None:
        """Begin in the initial state; `writing` names the tools that change it."""
        self._pool = pool
        self._writing = writing
        self._writes: list[_Write] = []
        self._unsure = False
        self._lease = _Lease(pool)
        weakref.finalize(self, self._lease.end)

    def call(self, tool: str, arguments: Arguments) -> str:
        """Call a tool; the text of its result.

        Raises:
            ToolError: the server refuses.
            InfraError: the server failed, and so did a fresh one in its place.
        """
        if tool not in self._writing:
            return self._call(tool, arguments)
        self._unsure = True
        content = self._call(tool, arguments)
        self._writes.append(_Write(tool, arguments, content))
        self._unsure = False
        return content

    def savepoint(self) -> int:
        """A mark to which `rollback` returns."""
        return len(self._writes)

    def rollback(self, savepoint: int) -> None:
        """Forget every write since `savepoint`, and what a write that failed may have left."""
        if len(self._writes) > savepoint or (self._unsure and not self._pool.settings.atomic):
            del self._writes[savepoint:]
            self._lease.end()
        self._unsure = False

    def state_hash(self) -> str:
        """Hash of the results of the ``snapshot`` calls, or without any of the writes so far; 32 hex digits."""
        writes = json.dumps([[write.tool, write.arguments] for write in self._writes], sort_keys=True)
        snapshot = self._pool.settings.snapshot
        if not snapshot:
            return _digest(writes)
        if writes not in self._pool.hashes:
            try:
                results = [self._call(probe.tool, probe.arguments) for probe in snapshot]
            except ToolError as error:
                raise RunError(f"domain.{self._pool.name}.snapshot: {error}") from None
            self._pool.hashes[writes] = _digest(json.dumps(results))
        return self._pool.hashes[writes]

    def _call(self, tool: str, arguments: Arguments) -> str:
        """Call on a server in this state; one that fails is replaced once."""
        try:
            return self._replayed().call(tool, arguments)
        except InfraError:
            self._lease.give_up()
        try:
            return self._replayed().call(tool, arguments)
        except InfraError:
            self._lease.give_up()
            raise

    def _replayed(self) -> Server:
        """The server, in the state that the writes lead to."""
        if self._lease.server is not None:
            return self._lease.server
        server = self._lease.take()
        for write in self._writes:
            try:
                content = server.call(write.tool, write.arguments)
            except ToolError as error:
                content = f"Error: {error}"
            if content != write.content:
                self._lease.give_up()
                raise RunError(
                    f"{self._pool.name}: {write.tool} gave another result when it was replayed on a fresh server "
                    f"({content[:80]!r}, before {write.content[:80]!r}); results must not depend on time or chance"
                )
        return server


def _pop(servers: list[Server]) -> Server | None:
    """The last one; talks of several threads take from the same list."""
    try:
        return servers.pop()
    except IndexError:
        return None


def _stop(*servers: Sequence[Server]) -> None:
    for group in servers:
        for server in group:
            server.stop()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
