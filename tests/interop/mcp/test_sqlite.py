"""A domain made of mcp-server-sqlite, a server of the package index, in an environment of its own (it needs mcp 1)."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from t2t.config import McpConfig
from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.errors import ToolError
from t2t.records import DataSpec, Task, ToolCall
from t2t.verify.validation import prove

pytestmark = [pytest.mark.mcp, pytest.mark.slow]

HOME = Path(__file__).parents[3] / "build" / "mcp-server-sqlite"
PINS = ("mcp-server-sqlite==2025.4.25", "mcp==1.30.0")
DATA = DataSpec(seed=0, size=50, split="test")
ORDERS = "SELECT * FROM orders ORDER BY id"
POLICY = "1.1 Look an order up before you change it.\n1.2 Only open orders can be cancelled."


@pytest.fixture(scope="session")
def server() -> str:
    """The server's program; installed once, and kept until `make clean`."""
    stamp = HOME / "installed.txt"
    if not stamp.exists() or stamp.read_text() != " ".join(PINS):
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([HOME / "bin" / "python", "-m", "pip", "install", "--quiet", *PINS], check=True)
        stamp.write_text(" ".join(PINS))
    return str(HOME / "bin" / "mcp-server-sqlite")


@pytest.fixture(scope="module")
def settings(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "files").mkdir()
    with sqlite3.connect(folder / "files" / "shop.db") as db:
        db.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, thing TEXT, status TEXT)")
        db.executemany("INSERT INTO orders VALUES (?, ?, 'open')", [("O1", "lamp"), ("O2", "tent"), ("O3", "drum")])
    db.close()
    (folder / "policy.md").write_text(POLICY)
    return {
        "command": (server, "--db-path", "{folder}/shop.db"),
        "files": str(folder / "files"),
        "policy": str(folder / "policy.md"),
        "reads": ("read_query", "list_tables", "describe_table"),
        "hidden": ("create_table", "append_insight"),
        "snapshot": ({"tool": "read_query", "arguments": {"query": ORDERS}},),
        "error_prefixes": ("Error:", "Database error:"),
    }


@pytest.fixture(scope="module")
def domain(settings: dict[str, Any]) -> Domain:
    return load_domain("mcp.shop", {"shop": McpConfig.model_validate(settings)})


def call(tool: str, query: str, number: int = 1) -> ToolCall:
    return ToolCall(id=f"call_{number}", name=tool, arguments={"query": query})


def cancel(order: str) -> ToolCall:
    return call("write_query", f"UPDATE orders SET status = 'cancelled' WHERE id = '{order}'")


def test_the_tools_of_the_server_are_those_of_the_domain(domain: Domain):
    assert {tool.name: tool.writes for tool in domain.tools} == {
        "read_query": False,
        "write_query": True,
        "list_tables": False,
        "describe_table": False,
    }
    assert domain.policy == POLICY


def test_the_state_is_what_the_snapshot_shows_whatever_the_order_of_writes(domain: Domain):
    one, two, idle = (Environment(domain, DATA) for _ in range(3))
    before = one.state_hash()
    for environment, orders in ((one, ("O1", "O3")), (two, ("O3", "O1"))):
        for order in orders:
            environment.run(cancel(order))
    assert one.state_hash() == two.state_hash() != before == idle.state_hash()


def test_a_refused_call_is_the_agents_error_and_leaves_nothing(domain: Domain):
    environment = Environment(domain, DATA)
    environment.run(cancel("O2"))
    before = environment.state_hash()
    with pytest.raises(ToolError, match="no such table: nowhere"):
        environment.run(call("write_query", "DELETE FROM nowhere"))
    with pytest.raises(ToolError, match="Only SELECT queries"):
        environment.run(call("read_query", "DELETE FROM orders"))
    assert environment.state_hash() == before
    shown = environment.run(call("read_query", ORDERS)).content
    assert "'id': 'O2', 'thing': 'tent', 'status': 'cancelled'" in shown


def test_a_rollback_undoes_writes(domain: Domain):
    environment = Environment(domain, DATA)
    before = environment.state_hash()
    savepoint = environment.db.savepoint()
    environment.run(cancel("O1"))
    environment.db.rollback(savepoint)
    assert environment.state_hash() == before
    assert "cancelled" not in environment.run(call("read_query", ORDERS)).content


def test_a_task_of_the_domain_is_proved(domain: Domain):
    calls = [call("read_query", "SELECT * FROM orders WHERE thing = 'tent'"), cancel("O2")]
    calls[1] = calls[1].model_copy(update={"id": "call_2"})
    environment = Environment(domain, DATA)
    for one in calls:
        environment.run(one)
    task = Task.model_validate(
        {
            "id": "mcp.shop-1",
            "domain": "mcp.shop",
            "intent": "general",
            "data": DATA.model_dump(),
            "wording": "test",
            "scenario": {
                "reason_for_call": "You no longer want the tent.",
                "known_info": "",
                "unknown_info": "",
                "task_instructions": "",
                "opening": "Please cancel my order of a tent.",
                "facts": [],
            },
            "expectation": {
                "calls": [one.model_dump() for one in calls],
                "final_hash": environment.state_hash(),
                "tell": ["O2"],
                "moves": [
                    *({"calls": [one.model_dump()]} for one in calls),
                    {"say": "Your order O2 is cancelled."},
                ],
            },
            "trajectory": "",
        }
    )
    assert prove(domain, task) == ""
    wrong = task.model_copy(update={"expectation": task.expectation.model_copy(update={"calls": tuple(calls[:1])})})
    assert prove(domain, wrong) == "reference calls do not reach the final state"
