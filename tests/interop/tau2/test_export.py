"""tau2 takes t2t's domains and tasks, and comes to the same verdict where its basis can say what is asked."""

import asyncio
import runpy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser
from t2t.errors import ConfigError
from t2t.interop.tau2.export import export_command, export_task, exported_name, make_tasks, register, write
from t2t.interop.tau2.messages import to_tau2
from t2t.interop.tau2.source import import_tau2
from t2t.records import CallPattern, DataSpec, Intent, Move, Rollout, Task, ToolCall

pytestmark = pytest.mark.tau2

TEST = DataSpec(seed=0, size=120, split="test")
SAYABLE = ("ended", "db_state", "communicated")
"""Checks that tau2's basis can express."""


@pytest.fixture(params=list_domains(), scope="module")
def domain(request: pytest.FixtureRequest) -> Domain:
    return load_domain(request.param)


@lru_cache
def tasks_of(name: str) -> tuple[Task, ...]:
    return tuple(make_tasks(load_domain(name), TEST, 12))


@pytest.fixture(scope="module")
def known_to_tau2(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Registers a domain and its tasks once, and gives tau2's tasks by id."""
    registry = import_tau2("registry").registry

    @lru_cache
    def get(name: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("export")
        write(load_domain(name), tasks_of(name), folder)
        register(name, folder / "tasks.json")
        return {task.id: task for task in registry.get_tasks_loader(exported_name(name))("base")}

    return get


def rollout(task: Task, agent: Any) -> Rollout:
    environment = Environment(load_domain(task.domain), task.data)
    return asyncio.run(play(task, "scripted", 0, agent, environment, Limits(max_turns=40, max_errors=9)))


def tau2_reward(task: Task, played: Rollout, tasks: dict[str, Any]) -> float:
    evaluator = import_tau2("evaluator.evaluator")
    run = import_tau2("data_model.simulation").SimulationRun(
        id=played.id,
        task_id=task.id,
        start_time="",
        end_time="",
        duration=0.0,
        termination_reason="user_stop" if played.reward.checks["ended"] else "max_steps",
        messages=to_tau2(played.messages),
    )
    kind, name = evaluator.EvaluationType.ALL, exported_name(task.domain)
    return evaluator.evaluate_simulation(run, tasks[task.id], kind, False, name).reward


def with_moves(task: Task, moves: Iterator[Move]) -> ReferenceAgent:
    expectation = task.expectation.model_copy(update={"moves": tuple(moves)})
    return ReferenceAgent(task.model_copy(update={"expectation": expectation}))


def writes(task: Task) -> list[ToolCall]:
    tools = load_domain(task.domain).tool_by_name
    return [call for call in task.expectation.calls if tools[call.name].writes]


def without_last_write(task: Task) -> ReferenceAgent:
    """The reference without its last write; what the caller does goes with the words that ask for it."""
    last, moves = writes(task)[-1], list(task.expectation.moves)
    if last.requestor == "user":
        say = load_domain(task.domain).instruction_by_tool[last.name].say.format(**last.arguments)
        return with_moves(task, (move for move in moves if say not in move.say))
    return with_moves(task, (move for move in moves if last not in move.calls))


def untold(task: Task) -> ReferenceAgent:
    """The reference with each thing to tell left out of its words."""

    def cut(text: str) -> str:
        for told in task.expectation.tell:
            text = text.replace(told, "something")
        return text

    return with_moves(task, (move.model_copy(update={"say": cut(move.say)}) for move in task.expectation.moves))


def with_a_failing_call(task: Task) -> ReferenceAgent:
    call = ToolCall(id="call_x", name="do_magic", arguments={"spell": [None, {"": "é"}]})
    return with_moves(task, iter([Move(calls=(call,)), *task.expectation.moves]))


def test_every_intent_is_among_the_tasks(domain: Domain):
    assert {task.intent for task in tasks_of(domain.name)} == set(Intent)


def test_tau2_gives_the_reference_everything_and_an_idle_agent_nothing_where_something_is_to_be_done(
    domain: Domain, known_to_tau2: Any
):
    tasks = known_to_tau2(domain.name)
    for task in tasks_of(domain.name):
        assert tau2_reward(task, rollout(task, ReferenceAgent(task)), tasks) == 1.0, task.id
        only_a_refusal = task.expectation.refusal and not (writes(task) or task.expectation.tell)
        assert tau2_reward(task, rollout(task, IdleAgent()), tasks) == (1.0 if only_a_refusal else 0.0), task.id


def test_a_dropped_write_costs_everything_in_tau2_as_in_t2t(domain: Domain, known_to_tau2: Any):
    dropped = 0
    for task in tasks_of(domain.name):
        if writes(task):
            played = rollout(task, without_last_write(task))
            assert (played.reward.value, tau2_reward(task, played, known_to_tau2(domain.name))) == (0.0, 0.0), task.id
            dropped += 1
    assert dropped > 2


def test_both_verdicts_agree_on_whatever_tau2s_basis_can_say(domain: Domain, known_to_tau2: Any):
    agents = (ReferenceAgent, lambda task: IdleAgent(), untold, with_a_failing_call)
    seen: set[float] = set()
    for task in tasks_of(domain.name):
        for agent in agents:
            played = rollout(task, agent(task))
            ours = float(all(played.reward.checks.get(check, True) for check in SAYABLE))
            assert tau2_reward(task, played, known_to_tau2(domain.name)) == ours, (task.id, played.reward.notes)
            assert task.expectation.refusal or played.reward.value == ours
            seen.add(ours)
    assert seen == {0.0, 1.0}


def test_tau2_shows_an_agent_the_tools_and_the_policy_that_t2t_shows(domain: Domain, known_to_tau2: Any):
    known_to_tau2(domain.name)
    environment = import_tau2("registry").registry.get_env_constructor(exported_name(domain.name))()
    assert [tool.openai_schema for tool in environment.get_tools()] == [tool.schema for tool in domain.tools]
    assert environment.get_policy() == domain.policy
    assert {name for name in domain.tool_by_name if domain.tool_by_name[name].writes} == {
        name
        for kit in (environment.tools, environment.user_tools)
        if kit is not None
        for name in kit.tools
        if kit.tool_type(name).value == "write"
    }
    if domain.user_tools:
        shown = [tool.openai_schema for tool in environment.get_user_tools()]
        assert shown == [tool.schema for tool in domain.user_tools]


def test_tau2s_database_hash_is_t2ts_state_hash(known_to_tau2: Any):
    for task in known_to_tau2("library").values():
        environment = import_tau2("registry").registry.get_env_constructor("t2t_library")()
        environment.set_state(task.initial_state.initialization_data, None, [])
        for action in task.evaluation_criteria.actions:
            environment.make_tool_call(action.name, action.requestor, **action.arguments)
        ours = next(one for one in tasks_of("library") if one.id == task.id)
        assert environment.get_db_hash() == ours.expectation.final_hash


class Scripted:
    """A speaker of t2t's in tau2's orchestrator."""

    def get_init_state(self, message_history: Any = None) -> None:
        """Nothing: the script knows where it is."""

    def stop(self, message: Any = None, state: Any = None) -> None:
        """Nothing runs that would have to be stopped."""

    def is_stop(self, message: Any) -> bool:
        return False


class ScriptedCaller(Scripted):
    def __init__(self, task: Task) -> None:
        self.user, self.opened = ScriptedUser(task.scenario, task.id), False

    def generate_next_message(self, message: Any, state: Any) -> tuple[Any, Any]:
        turn = self.user.answer(message.content) if self.opened else None
        text = self.user.open() if turn is None else f"{turn.text} ###STOP###" if turn.done else turn.text
        self.opened = True
        return import_tau2("data_model.message").UserMessage(role="user", content=text), state


class ScriptedAgent(Scripted):
    def __init__(self, task: Task) -> None:
        self.moves = [*task.expectation.moves, Move(say="Goodbye.")]

    def generate_next_message(self, message: Any, state: Any) -> tuple[Any, Any]:
        messages = import_tau2("data_model.message")
        move = self.moves.pop(0)
        calls = [messages.ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in move.calls]
        said = messages.AssistantMessage(role="assistant", content=move.say or None, tool_calls=calls or None)
        return said, state


def test_tau2s_own_orchestrator_plays_an_exported_task_to_the_same_end(known_to_tau2: Any):
    tasks = known_to_tau2("retail")
    orchestrator = import_tau2("orchestrator.orchestrator").Orchestrator
    environments = import_tau2("registry").registry.get_env_constructor("t2t_retail")
    evaluator = import_tau2("evaluator.evaluator")
    for task in tasks_of("retail"):
        run = orchestrator(
            domain="t2t_retail",
            agent=ScriptedAgent(task),
            user=ScriptedCaller(task),
            environment=environments(),
            task=tasks[task.id],
        ).run()
        kind = evaluator.EvaluationType.ALL
        assert evaluator.evaluate_simulation(run, tasks[task.id], kind, False, "t2t_retail").reward == 1.0
        said = [message.content for message in run.messages if message.role == "user"]
        ours = [message.content for message in rollout(task, ReferenceAgent(task)).messages if message.role == "user"]
        assert [text.removesuffix(" ###STOP###") for text in said] == ours


@pytest.mark.parametrize("name", ["tau2.mock", "tau2.telecom"])
def test_tasks_on_tau2s_own_data_are_judged_by_tau2s_own_environment(name: str, known_to_tau2: Any):
    tasks, judged = known_to_tau2(name), 0
    for task in tasks_of(name):
        if "refuel_data" in [call.name for call in task.expectation.calls]:
            continue  # may draw the id of a bill at random
        assert tau2_reward(task, rollout(task, ReferenceAgent(task)), tasks) == 1.0, task.id
        expected = 1.0 if task.expectation.refusal and not writes(task) else 0.0
        assert tau2_reward(task, rollout(task, IdleAgent()), tasks) == expected, task.id
        judged += 1
    assert judged > 5


def test_what_must_be_told_reaches_tau2_without_the_commas_it_drops_from_messages():
    task = tasks_of("library")[0]
    told = task.expectation.model_copy(update={"tell": ("12 Main St, Apt 3",)})
    criteria = export_task(task.model_copy(update={"expectation": told}))["evaluation_criteria"]
    assert isinstance(criteria, dict) and criteria["communicate_info"] == ["12 Main St Apt 3"]


def test_a_refusal_stands_outside_the_basis_and_no_forbidden_call_is_named():
    task = next(task for task in tasks_of("library") if task.expectation.refusal)
    criteria = export_task(task)["evaluation_criteria"]
    assert isinstance(criteria, dict) and criteria["reward_basis"] == ["DB", "COMMUNICATE"]
    assert criteria["nl_assertions"] and all(isinstance(p, CallPattern) for p in task.expectation.forbidden)


def test_the_command_writes_a_module_that_registers_tasks_and_splits(tmp_path: Path):
    export_command(["domain=tau2.mock", f"out={tmp_path}", "count=6", "seed=5"])
    text = (tmp_path / "t2t_tau2_mock.py").read_text()
    assert "tau2.mock" in text and str(tmp_path) not in text
    registry = import_tau2("registry").registry
    before = dict(registry._domains), dict(registry._tasks)
    registry._domains.pop("t2t_tau2_mock", None)
    registry._tasks.pop("t2t_tau2_mock", None)
    try:
        runpy.run_path(str(tmp_path / "t2t_tau2_mock.py"))
        load = registry.get_tasks_loader("t2t_tau2_mock")
        assert len(load()) == len(load("test")) == 6 and not load("train")
        assert registry.get_env_constructor("t2t_tau2_mock")().get_tools()
    finally:
        registry._domains, registry._tasks = before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "write t2t tau2 export"),
        (["domain=library"], "write t2t tau2 export"),
        (["domain=library", "out=x", "colour=red"], "write t2t tau2 export"),
        (["domain=library", "out=x", "count=many"], "count=many: not a number"),
        (["domain=library", "out=x", "split=dev"], "split=dev: write train or test"),
        (["domain=library", "out=x", "tasks=nothing.jsonl"], "no task of 'library' is in it"),
        (["domain=librry", "out=x"], "no domain 'librry'"),
    ],
)
def test_a_wrong_word_is_refused_with_the_right_one(words: list[str], says: str):
    with pytest.raises(ConfigError, match=says):
        export_command(words)


def test_a_task_of_tau2_is_not_exported_to_tau2():
    task = tasks_of("tau2.mock")[0]
    own = task.model_copy(update={"data": DataSpec(seed=0, size=0, split="test")})
    with pytest.raises(ConfigError, match="tau2 has it"):
        export_task(own)
