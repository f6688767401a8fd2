"""A parcel service as an MCP server: ``python parcel_server.py SEED SPLIT``; its state is in this process alone."""

import copy
import os
import random
import sys
import time
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

LOCKERS = ("station", "market", "harbour")
NAMES = {"train": ("Ada Berg", "Ben Cole", "Cleo Diaz", "Dan Eck"), "test": ("Eva Fox", "Finn Gray", "Gus Holt")}
THINGS = ("lamp", "kettle", "chair", "drum", "globe", "tent", "violin", "clock", "mirror", "saddle")
READ = ToolAnnotations(read_only_hint=True)

server = MCPServer("parcels", version="1.2", instructions="1.1 Find the customer first.\n2.1 A heavy parcel stays.")
start: dict[str, Any] = {"customers": {}, "parcels": {}}
state: dict[str, Any] = {}


def fill(seed: int, split: str) -> None:
    rng = random.Random(f"{seed}/{split}")
    for number, name in enumerate(NAMES[split]):
        customer = f"C{number}"
        start["customers"][customer] = {"name": name, "email": f"{name.split()[0].lower()}@{split}.example"}
        for thing in rng.sample(THINGS, 3):
            parcel = f"P{len(start['parcels'])}"
            start["parcels"][parcel] = {
                "customer_id": customer,
                "thing": thing,
                "locker": rng.choice(LOCKERS),
                "kg": rng.choice((1, 2, 30)),
            }
    state.update(copy.deepcopy(start))


@server.tool(annotations=READ)
def find_customer(email: str) -> dict[str, Any]:
    """Find a customer by e-mail."""
    for customer, row in state["customers"].items():
        if row["email"] == email:
            return {"customer_id": customer, "name": row["name"]}
    raise ToolError(f"no customer with the e-mail {email!r}")


@server.tool(annotations=READ)
def list_parcels(customer_id: str) -> list[dict[str, Any]]:
    """List the parcels of a customer."""
    return [{"parcel_id": key, **row} for key, row in state["parcels"].items() if row["customer_id"] == customer_id]


@server.tool()
def move_parcel(parcel_id: str, locker: str) -> str:
    """Send a parcel to another locker: station, market or harbour."""
    if parcel_id not in state["parcels"]:
        raise ToolError(f"no parcel {parcel_id!r}")
    state["parcels"][parcel_id]["locker"] = locker
    if locker not in LOCKERS:
        raise ToolError(f"no locker {locker!r}; lockers are: {', '.join(LOCKERS)}")
    return f"{parcel_id} goes to {locker}"


@server.tool()
def add_note(text: str) -> str:
    """Write something down, with the time in the answer."""
    state.setdefault("notes", []).append(text)
    return f"noted at {time.time_ns()}"


@server.tool(annotations=READ)
def misbehave(how: str) -> str:
    """End at once, or sleep."""
    if how == "exit":
        sys.stderr.write("out of paper\n")
        sys.stderr.flush()
        os._exit(3)
    time.sleep(60)
    return "awake"


@server.tool(annotations=READ)
def who() -> int:
    """The process id."""
    return os.getpid()


@server.tool(annotations=READ)
def dump() -> dict[str, Any]:
    """Everything there is."""
    return state


@server.tool()
def restart() -> str:
    """Go back to the start."""
    state.clear()
    state.update(copy.deepcopy(start))
    return "restarted"


if __name__ == "__main__":
    fill(int(sys.argv[1]), sys.argv[2])
    server.run("stdio")
