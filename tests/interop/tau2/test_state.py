"""tau2's tools over shared rows answer and hash as over tau2's own databases."""

import copy
import json
import pickle
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t.domain.environment import Environment
from t2t.errors import ToolError
from t2t.interop.tau2 import load_domain
from t2t.interop.tau2.source import import_tau2, load_raw_tasks, load_source, pristine_vpn
from t2t.interop.tau2.state import Start, Tau2State
from t2t.interop.tau2.tasks import reference_calls
from t2t.records import DataSpec, ToolCall

pytestmark = [
    pytest.mark.tau2,
    # tau2 stores what it was given, and says so when it writes it out.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

PLAIN = DataSpec(seed=0, size=50, split="train")
JUNK = ("", "0", "L1002", 0, -1, 1.5, True, None, [], {}, ["#W0000000"], {"apn_name": "broken"}, "pending", "ü" * 50)


@lru_cache
def copier(member: str) -> Callable[[], Any]:
    """Makes tau2's own environment, over databases of its own."""
    module = import_tau2(f"domains.{member}.environment")
    own = module.get_environment()
    databases = {"db": own.tools.db} | ({"user_db": own.user_tools.db} if own.user_tools else {})
    frozen = pickle.dumps(databases)
    return lambda: module.get_environment(**pickle.loads(frozen))


@lru_cache
def pool(member: str) -> tuple[ToolCall, ...]:
    """Calls that tau2's tasks name."""
    return tuple(call for raw in load_raw_tasks(member)[:300] for call in reference_calls(raw))


def draw_call(rng: random.Random, member: str) -> ToolCall:
    """A call of some task, often with an argument replaced, left out or added, sometimes by the wrong side."""
    call = rng.choice(pool(member))
    arguments = dict(call.arguments)
    if arguments and rng.random() < 0.4:
        name = rng.choice(list(arguments))
        other = rng.choice(pool(member)).arguments
        arguments[name] = rng.choice((*JUNK, other.get(name, "x")))
    if arguments and rng.random() < 0.05:
        del arguments[rng.choice(list(arguments))]
    if rng.random() < 0.05:
        arguments[rng.choice(("db", "self", "tool_name", "unknown"))] = "x"
    requestor = call.requestor if rng.random() < 0.95 else "assistant"
    name = call.name if rng.random() < 0.97 else "no_such_tool"
    return ToolCall(id="x", name=name, arguments=arguments, requestor=requestor)


def answer_of_tau2(environment: Any, call: ToolCall) -> str:
    message = import_tau2("data_model.message").ToolCall(
        id=call.id, name=call.name, arguments=call.arguments, requestor=call.requestor
    )
    return environment.get_response(message).content


def answer_of_ours(state: Tau2State, call: ToolCall) -> str:
    try:
        return state.call(call.name, call.arguments, call.requestor)
    except ToolError as error:
        return f"Error: {error}"


def begin(member: str, rng: random.Random) -> tuple[Any, Tau2State]:
    """tau2's environment and ours in the same state; in telecom, in that of some task."""
    theirs, ours = copier(member)(), Tau2State(load_source(member), Start("train"))
    if member == "telecom":
        raw = rng.choice(load_raw_tasks(member)[:300])["initial_state"]
        ours = Tau2State(load_source(member), ours.set_up(raw))
        import_tau2("domains.telecom.user_tools").TelecomUserTools.default_vpn_details = copy.deepcopy(pristine_vpn())
        theirs.set_state(None, import_tau2("data_model.tasks").InitialState(**raw).initialization_actions, [])
    return theirs, ours


def check_sequence(member: str, seed: int, num_calls: int) -> None:
    rng = random.Random(seed)
    theirs, ours = begin(member, rng)
    hashes = {(theirs.get_db_hash(), theirs.get_user_db_hash()): ours.state_hash()}
    for _ in range(num_calls):
        call = draw_call(rng, member)
        expected = answer_of_tau2(theirs, call)
        assert answer_of_ours(ours, call) == expected, call
        key = theirs.get_db_hash(), theirs.get_user_db_hash()
        assert hashes.setdefault(key, ours.state_hash()) == ours.state_hash(), call
    assert len(set(hashes.values())) == len(hashes)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_mock_answers_and_hashes_as_tau2s_own(seed: int):
    check_sequence("mock", seed, 12)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_telecom_with_its_phone_answers_and_hashes_as_tau2s_own(seed: int):
    check_sequence("telecom", seed, 12)


@pytest.mark.parametrize("member", ["retail", "airline"])
def test_large_databases_answer_and_hash_as_tau2s_own(member: str):
    before = load_source(member).prototype.get_db_hash()
    check_sequence(member, 7, 8)
    assert load_source(member).prototype.get_db_hash() == before


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30)
@pytest.mark.parametrize("member", ["mock", "telecom", "retail"])
def test_rollback_restores_state_and_answers(member: str, seed: int):
    rng = random.Random(seed)
    state = Tau2State(load_source(member), Start("train"))
    calls = [draw_call(rng, member) for _ in range(8)]
    for call in calls[:4]:
        answer_of_ours(state, call)
    savepoint, before = state.savepoint(), state.state_hash()
    first = [answer_of_ours(state, call) for call in calls[4:]]
    after = state.state_hash()
    state.rollback(savepoint)
    assert state.state_hash() == before
    assert [answer_of_ours(state, call) for call in calls[4:]] == first
    assert state.state_hash() == after
    state.rollback(0)
    assert state.state_hash() == Tau2State(load_source(member), Start("train")).state_hash()


def test_episodes_do_not_see_each_other():
    domain = load_domain("mock")
    one, other = Environment(domain, PLAIN), Environment(domain, PLAIN)
    one.run(ToolCall(id="1", name="create_task", arguments={"user_id": "user_1", "title": "Tea"}))
    assert len(one.db.agent.tasks) == 2 and len(other.db.agent.tasks) == 1
    assert one.state_hash() != other.state_hash() == Environment(domain, PLAIN).state_hash()


def test_what_tau2_refuses_is_a_tool_error_and_changes_nothing():
    environment = Environment(load_domain("retail"), PLAIN)
    before = environment.state_hash()
    with pytest.raises(ToolError, match="^Order not found$"):
        environment.run(ToolCall(id="1", name="get_order_details", arguments={"order_id": "#W9"}))
    with pytest.raises(ToolError, match="unexpected keyword argument"):
        environment.run(ToolCall(id="1", name="get_order_details", arguments={"order": "#W9"}))
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    with pytest.raises(ToolError):
        environment.run(ToolCall(id="1", name="modify_user_address", arguments={"user_id": deep}))
    assert environment.state_hash() == before


def test_what_a_failing_call_leaves_behind_in_tau2_stays_and_is_no_refusal():
    domain = load_domain("telecom")
    environment = Environment(domain, PLAIN)
    call = ToolCall(id="1", name="set_apn_settings", arguments={"apn_settings": "internet"}, requestor="user")
    done = environment.run(call)
    assert done.content.startswith("Error: ")
    assert environment.db.user.device.active_apn_settings == "internet"


@pytest.mark.parametrize("expression", ["9**9**9", "(9**9)**9", "2**(3+4)", "1.5**1e9", "9 ** -(9**9)"])
def test_the_calculator_refuses_powers_that_nobody_waits_for(expression: str):
    environment = Environment(load_domain("airline"), PLAIN)
    with pytest.raises(ToolError):
        environment.run(ToolCall(id="1", name="calculate", arguments={"expression": expression}))


@pytest.mark.parametrize("expression", ["2**10", "1 / 0", "(1 + 2) * 3.5", "1.05 ** 3", "((", "import"])
def test_the_calculator_is_tau2s_otherwise(expression: str):
    call = ToolCall(id="1", name="calculate", arguments={"expression": expression})
    ours = answer_of_ours(Tau2State(load_source("airline"), Start("test")), call)
    assert ours == answer_of_tau2(load_source("airline").prototype, call)


def test_tools_keep_tau2s_schemas_and_kinds_of_effect():
    for member, num_tools, num_user_tools in (
        ("mock", 4, 0),
        ("retail", 15, 0),
        ("airline", 14, 0),
        ("telecom", 13, 30),
    ):
        domain = load_domain(member)
        assert (len(domain.tools), len(domain.user_tools)) == (num_tools, num_user_tools)
        theirs = [tool.openai_schema for tool in domain.source.prototype.get_tools()]
        assert sorted(json.loads(domain.tool_schemas), key=str) == sorted(theirs, key=str)
        assert domain.policy == domain.source.prototype.get_policy()
    assert {tool.name for tool in load_domain("mock").tools if tool.writes} == {"create_task", "update_task_status"}
