"""Domains whose tools come from an MCP server, with a real server process in every test."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from t2t.cli import load_config, main
from t2t.config import McpConfig, RunConfig
from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.errors import ConfigError, InfraError, RunError, ToolError
from t2t.interop.mcp.state import McpState, Pool
from t2t.records import DataSpec, Example, Rollout, Task, ToolCall, Trajectory
from t2t.scheduling.run import play_tasks
from t2t.scheduling.talks import TalkSpec
from t2t.stages import explore, filter, rollout, synthesize
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_records

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, str(Path(__file__).with_name("parcel_server.py")), "{seed}", "{split}")
TRAIN = DataSpec(seed=1, size=50, split="train")
WISHES = "tests.interop.mcp.parcel_wishes"
SETTINGS: dict[str, Any] = {
    "command": COMMAND,
    "snapshot": ({"tool": "dump"},),
    "hidden": ("dump",),
    "reset": "restart",
}


def parcels(**more: Any) -> Domain:
    return load_domain("mcp.parcels", {"parcels": McpConfig.model_validate({**SETTINGS, **more})})


def open_state(**more: Any) -> McpState:
    """A state without a domain: nothing is listed first."""
    pool = Pool("mcp.parcels", McpConfig.model_validate({**SETTINGS, **more}), TRAIN.model_dump())
    return McpState(pool, frozenset({"move_parcel"}))


def run(environment: Environment, name: str, **arguments: Any) -> str:
    return environment.run(ToolCall(id="c", name=name, arguments=arguments)).content


def move(environment: Environment, parcel: str, locker: str) -> str:
    return run(environment, "move_parcel", parcel_id=parcel, locker=locker)


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture(scope="module")
def domain() -> Domain:
    return parcels()


# tools


def test_tools_are_those_that_the_server_lists_less_the_hidden_ones(domain: Domain):
    assert [tool.name for tool in domain.tools] == [
        "find_customer",
        "list_parcels",
        "move_parcel",
        "add_note",
        "misbehave",
        "who",
    ]
    function = domain.tool_by_name["move_parcel"].schema["function"]
    assert function["description"] == "Send a parcel to another locker: station, market or harbour."
    assert function["parameters"]["required"] == ["parcel_id", "locker"]
    assert domain.policy.startswith("1.1 Find the customer first.")


def test_the_servers_hints_and_instructions_hold_unless_the_configuration_overrules_them(
    domain: Domain, tmp_path: Path
):
    assert [tool.name for tool in domain.tools if tool.writes] == ["move_parcel", "add_note"]
    (tmp_path / "policy.md").write_text("9.9 Be kind.")
    other = parcels(reads=["add_note"], writes=["who"], policy=str(tmp_path / "policy.md"))
    assert [tool.name for tool in other.tools if tool.writes] == ["move_parcel", "who"]
    assert other.policy == "9.9 Be kind."
    assert domain.fingerprint == parcels(call_timeout_s=7).fingerprint != other.fingerprint


def test_the_data_of_a_task_reaches_the_command(domain: Domain):
    test = Environment(domain, DataSpec(seed=1, size=50, split="test"))
    assert "Eva Fox" in run(test, "find_customer", email="eva@test.example")
    assert test.state_hash() != Environment(domain, TRAIN).state_hash()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"parcel_id": "P0"}, "'locker' is a required property"),
        ({"parcel_id": 7, "locker": "market"}, "7 is not of type 'string'"),
        ({"parcel_id": "P0", "locker": "market", "kg": 1}, "unknown argument 'kg'"),
        ({"parcel_id": "P0\ud800", "locker": "market"}, "surrogates"),
        ({"parcel_id": "P99", "locker": "market"}, "no parcel 'P99'"),
    ],
)
def test_wrong_arguments_are_the_agents_error(domain: Domain, arguments: dict[str, Any], said: str):
    environment = Environment(domain, TRAIN)
    with pytest.raises(ToolError, match=said):
        run(environment, "move_parcel", **arguments)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), json.loads("[" * 200 + "]" * 200)])
def test_what_a_server_could_not_read_is_never_sent(domain: Domain, value: Any):
    with pytest.raises(ToolError, match=r"no valid JSON|deeper than 64"):
        domain.open(TRAIN).call("find_customer", {"email": value})


# state


def test_environments_do_not_see_each_other(domain: Domain):
    one, two = Environment(domain, TRAIN), Environment(domain, TRAIN)
    before = two.state_hash()
    parcel = json.loads(one.db.call("dump", {}))["parcels"]["P0"]
    move(one, "P0", next(locker for locker in ("station", "market") if locker != parcel["locker"]))
    assert one.state_hash() != before == two.state_hash()
    assert run(one, "who") != run(two, "who")


@given(
    st.lists(st.sampled_from(["mark", "back", *((p, k) for p in ("P0", "P1") for k in ("market", "harbour", "moon"))]))
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rollback_leads_to_the_state_of_the_writes_that_are_left(domain: Domain, actions: list[Any]):
    environment = Environment(domain, TRAIN)
    kept: list[Any] = []
    marks: list[tuple[int, int]] = []
    for action in actions:
        if action == "mark":
            marks.append((environment.db.savepoint(), len(kept)))
        elif action == "back":
            if marks:
                savepoint, number = marks.pop()
                environment.db.rollback(savepoint)
                del kept[number:]
        else:
            try:
                move(environment, *action)
            except ToolError:
                continue
            kept.append(action)
    other = Environment(domain, TRAIN)
    for action in kept:
        move(other, *action)
    assert environment.db.call("dump", {}) == other.db.call("dump", {})
    assert environment.state_hash() == other.state_hash()


def test_without_a_snapshot_the_state_is_the_sequence_of_writes():
    state = open_state(snapshot=())
    hashes: dict[tuple[str, ...], str] = {(): state.state_hash()}
    for order in (("P0", "P1"), ("P1", "P0"), ("P0",)):
        for parcel in order:
            state.call("list_parcels", {"customer_id": "C0"})
            state.call("move_parcel", {"parcel_id": parcel, "locker": "market"})
        hashes[order] = state.state_hash()
        state.rollback(0)
        assert state.state_hash() == hashes[()]
    assert len(set(hashes.values())) == 4


def test_a_server_that_is_killed_is_replaced_and_brought_to_the_same_state(domain: Domain):
    environment = Environment(domain, TRAIN)
    move(environment, "P0", "harbour")
    before = environment.db.call("dump", {})
    killed = int(run(environment, "who"))
    os.kill(killed, signal.SIGKILL)
    assert environment.db.call("dump", {}) == before
    assert int(run(environment, "who")) != killed


def test_results_that_depend_on_time_are_noticed_when_they_are_replayed(domain: Domain):
    environment = Environment(domain, TRAIN)
    run(environment, "add_note", text="hello")
    with pytest.raises(ToolError, match="no locker"):
        move(environment, "P0", "moon")
    with pytest.raises(RunError, match=r"add_note gave another result.*time or chance"):
        run(environment, "who")


def test_without_a_reset_tool_a_state_has_a_process_of_its_own_that_ends_with_it():
    state = open_state(reset="", atomic=True)
    first = int(state.call("who", {}))
    with pytest.raises(ToolError, match="no locker"):
        state.call("move_parcel", {"parcel_id": "P0", "locker": "moon"})
    state.rollback(0)
    assert int(state.call("who", {})) == first, "a refused call of an atomic server leaves nothing to undo"
    state.call("move_parcel", {"parcel_id": "P0", "locker": "market"})
    state.rollback(0)
    second = int(state.call("who", {}))
    assert second != first
    wait_until(lambda: is_gone(first))
    del state
    wait_until(lambda: is_gone(second))


# failures


def test_a_call_that_ends_every_server_is_a_fault_of_the_infrastructure(domain: Domain):
    environment = Environment(domain, TRAIN)
    move(environment, "P0", "harbour")
    before = environment.state_hash()
    with pytest.raises(InfraError, match="was to run misbehave and is gone: out of paper"):
        run(environment, "misbehave", how="exit")
    assert environment.state_hash() == before
    assert "P0" in environment.db.call("dump", {})


def test_a_talk_that_no_server_survives_is_owed(domain: Domain, tmp_path: Path):
    task = write_task(domain)
    moves = ({"calls": [{"id": "1", "name": "misbehave", "arguments": {"how": "exit"}}]},)
    expectation = {**task.expectation.model_dump(), "moves": moves}
    task = Task.model_validate({**task.model_dump(), "expectation": expectation})
    spec = TalkSpec(config=config_of(), section="evaluate", agent="reference", kind="reference")
    with Writer(tmp_path / "rollouts.jsonl") as writer, pytest.raises(RunError, match="from 0 finished talks"):
        play_tasks(spec, [task], writer, tmp_path, "evaluate")
    assert not writer.ids


def test_a_call_over_the_time_limit_is_a_fault_of_the_infrastructure():
    with pytest.raises(InfraError, match=r"longer than call_timeout_s=2 to run misbehave"):
        open_state(call_timeout_s=2).call("misbehave", {"how": "sleep"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"command": ["no-such-program"]}, "no-such-program: No such file or directory"),
        ({"command": [sys.executable, "-c", "raise SystemExit('no licence')"]}, "no licence"),
        ({"command": ["sleep", "60"], "start_timeout_s": 0.2}, "start_timeout_s=0.2 is over"),
        ({"reads": ["reed"]}, "reads names 'reed'; the server's tools are: add_note"),
        ({"files": "nowhere"}, "domain.mcp.parcels.files=nowhere"),
        ({"wishes": "tests.nothing"}, "there is no such module"),
        ({"wishes": "tests.conftest"}, "holds no CALLERS"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(more: dict[str, Any], said: str):
    with pytest.raises(ConfigError) as refused:
        parcels(**more)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_not_configured_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"no domain 'mcp.shop'.*\+domain.mcp.shop.command="):
        load_domain("mcp.shop")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_no_server_outlives_its_owner(end: signal.Signals):
    script = f"""
        import signal, sys, time
        from t2t.config import McpConfig
        from t2t.interop.mcp.server import Server
        from t2t.launch import exit_on_sigterm
        exit_on_sigterm()
        server = Server("mcp.parcels", McpConfig.model_validate({SETTINGS!r}), {TRAIN.model_dump()!r})
        print(server.call("who", {{}}), flush=True)
        server.call("misbehave", {{"how": "sleep"}})
    """
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    owner.stdout.close()
    assert not is_gone(server)
    owner.send_signal(end)
    owner.wait(timeout=60)
    wait_until(lambda: is_gone(server))


# stages


def config_of(**more: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "domain": {"train": ["mcp.parcels"], "mcp": {"parcels": {**SETTINGS, **more}}},
            "explore": {"num_train": 16, "num_test": 0},
            "synthesize": {"num_train": 8, "num_test": 0},
            "evaluate": {"domains": []},
        }
    )


def run_stages(config: RunConfig, folder: Path) -> dict[str, Path]:
    stages = {"explore": explore.run, "synthesize": synthesize.run, "rollout": rollout.run, "filter": filter.run}
    folders = {name: folder / name for name in stages}
    for name, work in stages.items():
        folders[name].mkdir()
        work(StageContext(config, folders[name], folders))
    return folders


def test_with_wishes_the_chain_explores_proves_tasks_of_every_intent_and_plays_them(tmp_path: Path):
    folders = run_stages(config_of(wishes=WISHES), tmp_path)
    trajectories = list(read_records(folders["explore"] / "trajectories.jsonl", Trajectory))
    assert {step.call.name for step in trajectories[0].steps} >= {"find_customer", "list_parcels"}
    tasks = list(read_records(folders["synthesize"] / "tasks.jsonl", Task))
    assert {task.intent.value for task in tasks} == {"general", "ambiguous", "changing", "infeasible"}
    rollouts = list(read_records(folders["rollout"] / "rollouts.jsonl", Rollout))
    assert len(rollouts) == 8 and all(one.reward.value == 1.0 for one in rollouts)
    examples = list(read_records(folders["filter"] / "examples.jsonl", Example))
    assert examples and '"move_parcel"' in examples[0].tools


def test_without_wishes_the_tasks_of_a_file_are_proved_and_played(
    tmp_path: Path, domain: Domain, caplog: pytest.LogCaptureFixture
):
    task = write_task(domain)
    hopeless = task.model_copy(
        update={"id": "hopeless", "expectation": task.expectation.model_copy(update={"final_hash": "0" * 32})}
    )
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(one.model_dump_json() for one in (task, hopeless)))
    with caplog.at_level(logging.INFO):
        folders = run_stages(config_of(tasks=str(file)), tmp_path)
    assert "explore mcp.parcels: no wishes, so nothing is synthesized" in caplog.text
    reason = "replay: the reference calls do not lead to the final state"
    assert f"task hopeless of mcp.parcels is left out: {reason}" in caplog.text
    assert list(read_records(folders["synthesize"] / "tasks.jsonl", Task)) == [task]
    assert [one.reward.value for one in read_records(folders["rollout"] / "rollouts.jsonl", Rollout)] == [1.0]
    idle = tmp_path / "idle" / "rollouts.jsonl"
    idle.parent.mkdir()
    spec = TalkSpec(config=config_of(), section="evaluate", agent="do_nothing", kind="do_nothing")
    with Writer(idle) as writer:
        play_tasks(spec, [task], writer, idle.parent, "baseline")
    assert [one.reward.value for one in read_records(idle, Rollout)] == [0.0]


def test_talks_wait_for_their_servers_side_by_side(tmp_path: Path, domain: Domain):
    """A tool that waits holds up no other talk: the calls of several talks are under way at once."""
    began: list[float] = []
    ended: list[float] = []
    answer = Environment.answer

    def noting(self, *arguments):
        began.append(time.monotonic())
        try:
            return answer(self, *arguments)
        finally:
            ended.append(time.monotonic())

    task = write_task(domain)
    tasks = [task.model_copy(update={"id": f"{task.id}{number}"}) for number in range(4)]
    spec = TalkSpec(config=config_of(), section="evaluate", agent="reference", kind="reference")
    with Writer(tmp_path / "rollouts.jsonl") as writer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "answer", noting)
        play_tasks(spec, tasks, writer, tmp_path, "evaluate")
    assert len(writer.ids) == 4 and len(began) == 8
    assert sorted(began)[1] < min(ended)


def write_task(domain: Domain) -> Task:
    calls = [
        {"id": "1", "name": "find_customer", "arguments": {"email": "ada@train.example"}},
        {"id": "2", "name": "move_parcel", "arguments": {"parcel_id": "P0", "locker": "harbour"}},
    ]
    environment = Environment(domain, TRAIN)
    for call in calls:
        environment.run(ToolCall.model_validate(call))
    scenario = {
        "reason_for_call": "You want P0 at the harbour.",
        "known_info": "",
        "unknown_info": "",
        "task_instructions": "",
        "opening": "Hi, ada@train.example here, please send P0 to the harbour.",
        "facts": [],
    }
    moves = [{"calls": [call]} for call in calls] + [{"say": "P0 goes to the harbour."}]
    return Task.model_validate(
        {
            "id": "mcp.parcels-1",
            "domain": "mcp.parcels",
            "intent": "general",
            "data": TRAIN.model_dump(),
            "wording": "train",
            "scenario": scenario,
            "expectation": {"calls": calls, "final_hash": environment.state_hash(), "moves": moves},
            "trajectory": "",
        }
    )


def test_a_domain_without_wishes_and_tasks_says_so():
    with pytest.raises(ConfigError, match=r"'mcp.parcels' has no wishes.*brings no tasks"):
        explore.parts(config_of())


@pytest.mark.parametrize(
    ("line", "said"),
    [("{}", "line 1: id: Field required"), ("x", "line 1"), ("", "line 1")],
)
def test_a_file_of_tasks_that_does_not_read_is_named_with_its_line(tmp_path: Path, line: str, said: str):
    (tmp_path / "tasks.jsonl").write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=said):
        parcels(tasks=str(tmp_path / "tasks.jsonl"))


def test_the_tools_of_a_server_are_shown_with_what_writes(capsys: pytest.CaptureFixture[str]):
    command = ",".join(f'"{part}"' for part in COMMAND)
    main(["domains", "show", "mcp.parcels", f"+domain.mcp.parcels.command=[{command}]"])
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["find_customer", "reads", "Find a customer by e-mail."] in lines
    assert [words[0] for words in lines if words[1] == "writes"] == ["move_parcel", "add_note", "restart"]


def test_a_server_is_named_once_in_the_configuration():
    config = load_config(["domain.train=[mcp.shop]", '+domain.mcp.shop.command=[shop,"{folder}/shop.db"]'])
    assert config.domain.mcp["shop"].command == ("shop", "{folder}/shop.db")
    with pytest.raises(ConfigError, match=r"to pass it on write \+domain.mcp.shop.reset=x"):
        load_config(["domain.mcp.shop.reset=x"])
    with pytest.raises(ConfigError, match=r"domain.mcp.shop.comand: no such setting|command"):
        load_config(["+domain.mcp.shop.comand=[x]"])
