"""One running MCP server, called from plain functions.

The sessions live on an event loop in a background thread, since tools are called from plain code that may itself
run inside an event loop. Every server is stopped when the process ends, and dies with it when it is killed.
"""

import asyncio
import atexit
import json
import math
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, wait
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolResult,
    EmbeddedResource,
    TextContent,
    TextResourceContents,
    Tool,
)
from pydantic import JsonValue

from t2t.config import McpConfig
from t2t.errors import InfraError, ToolError
from t2t.records import Arguments

T = TypeVar("T")

_LAUNCHER = Path(__file__).with_name("launch.py")
_STOP_TIMEOUT_S = 10.0
_MAX_DEPTH = 64


class Listing(NamedTuple):
    """What a server says of itself."""

    tools: tuple[Tool, ...]
    instructions: str
    """How to use the tools, or empty."""
    version: str
    """Name and version."""


class Server:
    """A server process: begins to start when it is made, runs until `stop`."""

    def __init__(self, name: str, settings: McpConfig, words: Mapping[str, object]) -> None:
        """Begin to start the server of domain `name`; ``{word}`` in its command becomes ``words[word]``."""
        self._name, self._settings, self._words = name, settings, words
        self._home = Path(tempfile.mkdtemp(prefix="t2t-mcp-"))
        self._scope: anyio.CancelScope | None = None
        self._client: Future[Client] = Future()
        self._stopping = False
        self._said = ""
        _running.add(self)
        self._served = asyncio.run_coroutine_threadsafe(self._serve(), _loop())
        self._served.add_done_callback(self._end)

    def list_tools(self) -> Listing:
        """What the server offers.

        Raises:
            InfraError: the server does not start or does not answer.
        """

        async def collect(client: Client) -> Listing:
            page = await client.list_tools()
            tools = list(page.tools)
            while page.next_cursor:
                page = await client.list_tools(cursor=page.next_cursor)
                tools += page.tools
            who = client.server_info
            return Listing(tuple(tools), client.instructions or "", f"{who.name} {who.version}" if who else "")

        return self._run("list its tools", collect)

    def call(self, tool: str, arguments: Arguments) -> str:
        """Text of a tool's result.

        Raises:
            ToolError: the server refuses, or the arguments cannot be sent.
            InfraError: the server does not start, is gone, or takes longer than ``call_timeout_s``.
        """
        _require_sendable(tool, arguments)
        result: CallToolResult = self._run(f"run {tool}", lambda client: client.call_tool(tool, arguments))
        text = _text_of(result)
        if result.is_error or text.startswith(self._settings.error_prefixes):
            raise ToolError(text.removeprefix("Error: "))
        return text

    def stop(self) -> None:
        """Let the server stop in the background."""
        self._stopping = True
        _loop().call_soon_threadsafe(self._cancel)

    def wait_stopped(self) -> None:
        """Wait until the process is gone."""
        wait([self._served], timeout=_STOP_TIMEOUT_S)

    def _run(self, what: str, work: Callable[[Client], Awaitable[T]]) -> T:
        async def answer(client: Client) -> T:
            async with asyncio.timeout(self._settings.call_timeout_s):
                return await work(client)

        client = self._client.result()
        try:
            return asyncio.run_coroutine_threadsafe(answer(client), _loop()).result()
        except TimeoutError:
            limit = f"call_timeout_s={self._settings.call_timeout_s:g}"
            raise InfraError(f"the server of {self._name} took longer than {limit} to {what}") from None
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise InfraError(f"the server of {self._name} was to {what} and is gone{self._last_words()}") from None
            raise ToolError(error.message) from None

    async def _serve(self) -> None:
        try:
            await self._hold_open()
        finally:
            self._said = self._last_words()
            shutil.rmtree(self._home, ignore_errors=True)

    async def _hold_open(self) -> None:
        """Start the process, say hello, and wait until it is stopped."""
        folder = self._home / "files"
        if self._settings.files:
            await asyncio.to_thread(shutil.copytree, self._settings.files, folder)
        else:
            folder.mkdir()
        command = [self._fill(part, folder) for part in self._settings.command]
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-I", "-S", str(_LAUNCHER), str(os.getpid()), *command],
            env={name: self._fill(value, folder) for name, value in self._settings.env.items()},
        )
        with (self._home / "stderr").open("w") as errors, anyio.CancelScope() as self._scope:
            if self._stopping:
                return
            self._scope.deadline = anyio.current_time() + self._settings.start_timeout_s
            transport = stdio_client(parameters, errlog=errors)
            async with Client(transport) as client:
                self._scope.deadline = math.inf
                self._client.set_result(client)
                await anyio.sleep_forever()

    def _fill(self, text: str, folder: Path) -> str:
        for word, value in {**self._words, "folder": folder}.items():
            text = text.replace(f"{{{word}}}", str(value))
        return text

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _end(self, served: "Future[None]") -> None:
        if not self._client.done():
            why = f"start_timeout_s={self._settings.start_timeout_s:g} is over"
            if not served.cancelled() and (error := served.exception()) is not None:
                why = str(error)
            self._client.set_exception(
                InfraError(f"the server of {self._name} does not start{self._said or f': {why}'}")
            )
        _running.discard(self)

    def _last_words(self) -> str:
        """The last line that the server wrote to its standard error, after a colon; empty when there is none."""
        try:
            lines = (self._home / "stderr").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")


_running: set[Server] = set()


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all servers; its thread ends with the process, after the servers."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="t2t-mcp", daemon=True).start()
    atexit.register(_stop_all)
    return loop


def _stop_all() -> None:
    servers = list(_running)
    for server in servers:
        server.stop()
    for server in servers:
        server.wait_stopped()


def _require_sendable(tool: str, arguments: Arguments) -> None:
    """Refuse what JSON cannot carry, or a server could not read; it would look like a dead server otherwise."""
    if _depth(arguments) > _MAX_DEPTH:
        raise ToolError(f"{tool}: arguments are nested deeper than {_MAX_DEPTH} levels")
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ToolError(f"{tool}: arguments are no valid JSON: {error}") from None


def _depth(value: JsonValue) -> int:
    """Levels of lists and objects, counted up to one more than is allowed."""
    level: list[JsonValue] = [value]
    for depth in range(_MAX_DEPTH + 1):
        inner = [child for item in level if isinstance(item, dict | list) for child in _children(item)]
        if not inner:
            return depth
        level = inner
    return _MAX_DEPTH + 1


def _children(item: "dict[str, JsonValue] | list[JsonValue]") -> list[JsonValue]:
    return list(item.values()) if isinstance(item, dict) else item


def _text_of(result: CallToolResult) -> str:
    """What a reader sees: the text blocks, one per line; others by their type alone."""
    parts: list[str] = []
    for block in result.content:
        if isinstance(block, TextContent):
            parts.append(block.text)
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            parts.append(block.resource.text)
        else:
            parts.append(f"[{block.type}]")
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
