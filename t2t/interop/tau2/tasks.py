"""tau2's tasks as t2t's: the caller's text, the initial state, and what tau2's evaluator asks for.

tau2 multiplies what its ``reward_basis`` names: DB (both databases are as after the reference calls),
ENV_ASSERTION (its functions answer as they should on the final state), ACTION (the reference calls were
made) and COMMUNICATE (texts that some message holds). Each becomes a field of the `Expectation`, and a
field is empty where the basis does not name it. NL_ASSERTION needs a model that judges; such a task is
refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from t2t.errors import ConfigError
from t2t.interop.tau2 import Tau2Domain
from t2t.interop.tau2.source import load_raw_tasks, load_splits
from t2t.interop.tau2.state import Tau2State
from t2t.records import (
    Assertion,
    DataSpec,
    Expectation,
    Intent,
    Message,
    Move,
    RequiredCall,
    Split,
    Task,
    ToolCall,
    ToolResult,
    UserAction,
    UserScenario,
)

_DEFAULT_BASIS = ("DB", "COMMUNICATE")


def load(domain: Tau2Domain, split: str) -> list[Task]:
    """The tasks of one of tau2's official splits, in its order.

    Raises:
        ConfigError: there is no such split, or a task can only be judged by a model.
    """
    member = domain.source.member
    splits = load_splits(member)
    if split not in splits:
        raise ConfigError(f"tau2.{member} has no split {split!r}; known: {', '.join(splits)}")
    return [
        convert(domain, number, raw, "train" if raw["id"] in splits.get("train", ()) else "test")
        for number, raw in enumerate(load_raw_tasks(member))
        if raw["id"] in splits[split]
    ]


def convert(domain: Tau2Domain, number: int, raw: Mapping[str, Any], split: Split) -> Task:
    """One task of tau2.

    Args:
        domain: Its domain.
        number: Its place in tau2's file.
        raw: The task as that file has it.
        split: Half that tau2's official split puts it in.

    Raises:
        ConfigError: only a model can judge it.
    """
    data = DataSpec(seed=number, size=0, split=split)
    calls = reference_calls(raw)
    scenario, moves = _scenario(domain, raw, calls)
    return Task(
        id=f"{domain.name}/{raw['id']}",
        domain=domain.name,
        intent=Intent.GENERAL,
        data=data,
        wording="test",
        scenario=scenario,
        expectation=_expectation(domain, data, raw, calls, moves),
        trajectory="",
    )


def reference_calls(raw: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls that tau2's task names, in order, whether its basis asks for them or not."""
    actions: Sequence[Mapping[str, Any]] = (raw.get("evaluation_criteria") or {}).get("actions") or ()
    return tuple(
        ToolCall(
            id=f"reference_{place}",
            name=action["name"],
            arguments=action["arguments"],
            requestor=action.get("requestor") or "assistant",
        )
        for place, action in enumerate(actions)
    )


def history(raw: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages that a task's talk begins with; few have any."""
    messages: list[Message] = []
    names: dict[str, str] = {}
    for item in (raw.get("initial_state") or {}).get("message_history") or ():
        role = item["role"]
        calls = tuple(
            ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"], requestor=role)
            for call in item.get("tool_calls") or ()
        )
        names.update({call.id: call.name for call in calls})
        content = item.get("content") or ""
        result = None
        if role == "tool":
            result = ToolResult(call_id=item["id"], name=names[item["id"]], content=content, is_error=False)
        messages.append(Message(role=role, content=content, tool_calls=calls, result=result))
    return tuple(messages)


def _expectation(
    domain: Tau2Domain, data: DataSpec, raw: Mapping[str, Any], calls: tuple[ToolCall, ...], moves: tuple[Move, ...]
) -> Expectation:
    criteria: Mapping[str, Any] = raw.get("evaluation_criteria") or {}
    basis = set(criteria.get("reward_basis") or _DEFAULT_BASIS) if criteria else set[str]()
    if "NL_ASSERTION" in basis:
        raise ConfigError(f"task {raw['id']!r} of {domain.name} is judged by a model; tau2 0.2.0 tasks are not")
    state = domain.open(data)
    assert isinstance(state, Tau2State)
    state.run_reference(calls)
    # tau2 looks at the state only where a task names calls or assertions, even if they are none.
    names_state = criteria.get("actions") is not None or criteria.get("env_assertions") is not None
    return Expectation(
        calls=calls,
        final_hash=state.state_hash() if "DB" in basis and names_state else "",
        moves=moves,
        mention=tuple(criteria.get("communicate_info") or ()) if "COMMUNICATE" in basis else (),
        required=tuple(
            RequiredCall(
                name=action["name"],
                arguments=action["arguments"],
                compare=None if action.get("compare_args") is None else tuple(action["compare_args"]),
            )
            for action in criteria.get("actions") or ()
        )
        if "ACTION" in basis
        else (),
        assertions=tuple(
            Assertion(
                function=assertion["func_name"],
                arguments=assertion["arguments"],
                requestor=assertion["env_type"],
                expected=assertion.get("assert_value", True),
            )
            for assertion in criteria.get("env_assertions") or ()
        )
        if "ENV_ASSERTION" in basis
        else (),
    )


def _scenario(
    domain: Tau2Domain, raw: Mapping[str, Any], calls: Sequence[ToolCall]
) -> tuple[UserScenario, tuple[Move, ...]]:
    """The caller's side, and the reference talk in which the agent has the caller use tools of their own."""
    scenario: Mapping[str, Any] = raw["user_scenario"]
    told = scenario["instructions"]
    instructions: Mapping[str, Any] = {"reason_for_call": told} if isinstance(told, str) else told
    persona = f"{scenario['persona'].strip()}\n\n" if scenario.get("persona") else ""
    actions: list[UserAction] = []
    moves: list[Move] = []
    for call in calls:
        if call.requestor == "assistant":
            moves.append(Move(calls=(call,)))
            continue
        phrase = f"take step {len(actions) + 1} with {call.name}"
        writes = domain.tool_by_name[call.name].writes
        actions.append(UserAction(call=call, writes=writes, asked_by=(phrase,), answer="It says: {result}"))
        moves.append(Move(say=f"Please {phrase}."))
    if info := (raw.get("evaluation_criteria") or {}).get("communicate_info"):
        moves.append(Move(say="; ".join(info)))
    return UserScenario(
        reason_for_call=instructions["reason_for_call"],
        known_info=instructions.get("known_info") or "",
        unknown_info=instructions.get("unknown_info") or "",
        task_instructions=persona + (instructions.get("task_instructions") or ""),
        opening=instructions["reason_for_call"],
        facts=(),
        actions=tuple(actions),
    ), tuple(moves)
