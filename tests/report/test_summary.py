"""The summary of a stage: equal to a count by hand over random talks, and read in ten seconds."""

import json
import statistics
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.records import Intent, Message, Reward, Rollout, StopReason, ToolCall, ToolResult, Turn, UserFault
from t2t.report.statistics import success_share
from t2t.report.summary import Summary

NAMES = st.sampled_from(["ended", "db_state", "communicated"])
ERRORS = st.sampled_from(["", "malformed", "unknown", "arguments", "refused", "timeout"])


@st.composite
def tool_messages(draw: st.DrawFn) -> Message:
    error = draw(ERRORS)
    requestor = draw(st.sampled_from(["assistant", "assistant", "user"]))
    result = ToolResult(
        call_id="call_1", name="find", content="{}", is_error=bool(error), requestor=requestor, error=error
    )
    return Message(role="tool", content="{}", result=result)


@st.composite
def rollouts(draw: st.DrawFn) -> list[Rollout]:
    made: list[Rollout] = []
    for number in range(draw(st.integers(1, 12))):
        intent = draw(st.sampled_from(list(Intent)))
        task_id = f"library-{intent.value}-{draw(st.integers(0, 3))}"
        messages = [Message(role="system", content="rules")]
        messages += [Message(role="assistant", content="Hello.")] * draw(st.integers(0, 9))
        messages += draw(st.lists(tool_messages(), max_size=4))
        turns = [
            Turn(
                prompt_ids=(1,) * draw(st.integers(0, 9)),
                sampled_ids=(2,) * draw(st.integers(0, 30)),
                finish_reason=draw(st.sampled_from(["stop", "length"])),
            )
            for _ in range(draw(st.integers(0, 4)))
        ]
        checks = draw(st.dictionaries(NAMES, st.booleans(), min_size=1))
        faults = draw(st.lists(st.tuples(st.sampled_from(["invents", "leaks", "empty"]), st.booleans()), max_size=3))
        made.append(
            Rollout(
                id=f"{task_id}/base/{number}",
                task_id=task_id,
                domain=draw(st.sampled_from(["library", "retail"])),
                intent=intent,
                agent="base",
                attempt=number,
                messages=tuple(messages),
                turns=tuple(turns),
                stop_reason=draw(st.sampled_from(list(StopReason))),
                final_hash="",
                reward=Reward(
                    value=float(all(checks.values())),
                    checks=checks,
                    broken_clauses=tuple(draw(st.lists(st.sampled_from(["1.4", "2.1"]), max_size=3))),
                ),
                user_faults=tuple(UserFault(place=1, kind=kind, text="?", kept=kept) for kind, kept in faults),
            )
        )
    return made


def outcomes_by_hand(talks: list[Rollout]) -> dict[str, object]:
    tasks: defaultdict[str, list[bool]] = defaultdict(list)
    for talk in talks:
        tasks[talk.task_id].append(talk.reward.value == 1.0)
    share = success_share(list(tasks.values()))
    return {
        "count": len(talks),
        "tasks": len(tasks),
        "successes": sum(talk.reward.value == 1.0 for talk in talks),
        "solved": sum(any(attempts) for attempts in tasks.values()),
        "success": {"value": round(share.value, 6), "low": round(share.low, 6), "high": round(share.high, 6)},
    }


def spread_by_hand(values: list[int]) -> dict[str, float] | None:
    if not values:
        return None
    ranked = sorted(values)
    return {
        "mean": round(statistics.fmean(values), 2),
        "p50": ranked[-(-len(ranked) * 50 // 100) - 1],
        "p95": ranked[-(-len(ranked) * 95 // 100) - 1],
        "max": ranked[-1],
    }


@given(rollouts())
def test_the_counts_are_those_of_a_count_by_hand(talks: list[Rollout]):
    found = Summary(talks).as_json()
    whole = outcomes_by_hand(talks)
    assert {name: found[name] for name in whole} == whole
    assert found["by_intent"] == {
        intent.value: outcomes_by_hand(those)
        for intent in Intent
        if (those := [talk for talk in talks if talk.intent is intent])
    }
    assert found["stop_reasons"] == Counter(talk.stop_reason.value for talk in talks)
    assert found["failed_checks"] == Counter(
        name for talk in talks for name, passed in talk.reward.checks.items() if not passed
    )
    errors = [
        message.result.error
        for talk in talks
        for message in talk.messages
        if message.result and message.result.error and message.result.requestor == "assistant"
    ]
    cut = [turn.finish_reason for talk in talks for turn in talk.turns if turn.finish_reason == "length"]
    assert found["mistakes"] == Counter(errors + cut)
    clauses = [f"{talk.domain} {clause}" for talk in talks for clause in set(talk.reward.broken_clauses)]
    assert found["broken_clauses"] == Counter(clauses)
    faults = Counter((fault.kind, fault.kept) for talk in talks for fault in talk.user_faults)
    assert found["user_faults"] == {
        kind: {"redrawn": faults[kind, False], "kept": faults[kind, True]} for kind in sorted({k for k, _ in faults})
    }
    attempts = Counter(talk.task_id for talk in talks)
    assert found["attempts"] == {str(n): count for n, count in Counter(attempts.values()).items()}
    assert found["tokens"] == {
        "prompt": sum(len(turn.prompt_ids) for talk in talks for turn in talk.turns),
        "sampled": sum(len(turn.sampled_ids) for talk in talks for turn in talk.turns),
    }
    assert found["turns"] == spread_by_hand([sum(m.role == "assistant" for m in talk.messages) for talk in talks])
    sampled = [sum(len(turn.sampled_ids) for turn in talk.turns) for talk in talks if talk.turns]
    assert found["sampled_tokens"] == spread_by_hand(sampled)


@given(rollouts(), st.randoms(use_true_random=False))
def test_the_order_of_the_talks_changes_nothing(talks: list[Rollout], random):
    shuffled = list(talks)
    random.shuffle(shuffled)
    ours, theirs = Summary(talks), Summary(shuffled)
    assert json.dumps(ours.as_json()) == json.dumps(theirs.as_json())
    assert ours.lines() == theirs.lines()


def test_without_talks_there_is_nothing_to_divide_by():
    assert Summary().as_json()["success"] is None
    assert Summary().as_json()["count"] == 0
    assert Summary().lines({"seconds": 3}) == ["no talks"]


def test_a_call_that_the_caller_made_is_no_mistake_of_the_agent(make_task, make_rollout):
    talk = make_rollout(make_task("telecom", 0), "base", True)
    mine, theirs = (
        Message(
            role="tool",
            content="Error: no",
            result=ToolResult(
                call_id="", name="restart", content="Error: no", is_error=True, requestor=requestor, error="refused"
            ),
        )
        for requestor in ("assistant", "user")
    )
    messages = (*talk.messages, mine, theirs)
    assert Summary([talk.model_copy(update={"messages": messages})]).as_json()["mistakes"] == {"refused": 1}


def test_lines_say_how_many_succeed_why_talks_end_and_what_they_cost(make_task, make_rollout):
    tasks = [make_task("library", number) for number in range(8)]
    talks = [
        make_rollout(task, "base", number < 2 and attempt == 0, attempt=attempt)
        for number, task in enumerate(tasks)
        for attempt in range(2)
    ]
    call = ToolCall(id="call_1", name="find", arguments={})
    talks[0] = talks[0].model_copy(
        update={
            "turns": (Turn(prompt_ids=(1,) * 1500, sampled_ids=(2,) * 40, finish_reason="length"),),
            "messages": (*talks[0].messages, Message(role="assistant", content="", tool_calls=(call,))),
            "user_faults": (UserFault(place=1, kind="invents", text="?", kept=True),),
        }
    )
    costs = {
        "seconds": 724.2,
        "restarts": 1,
        "tokens_per_s": 18_240.5,
        "cache_hit_share": 0.931,
        "infrastructure_faults": {"429": 3, "reset": 0},
        "preemptions": 0,
    }
    assert Summary(talks).lines(costs) == [
        "16 talks on 8 tasks: 12.5% succeed (95% interval 2.8 to 41.3), 2 tasks solved at least once",
        "  intents     general 25.0%, ambiguous 25.0%, changing 0.0%, infeasible 0.0%",
        "  ended       max_turns 14 (87.5%), user_done 2 (12.5%)",
        "  failed      communicated 14, db_state 14",
        "  mistakes    refused 14, length 1",
        "  broke       library 2.1 14",
        "  user faults invents 1 (1 kept)",
        "  turns       mean 3.06, half up to 3, 95% up to 4, most 4",
        "  tokens      1.5k in prompts, 40 sampled (per talk mean 40, half up to 40, 95% up to 40, most 40)",
        "  costs       12 min 4 s, restarts 1, 18.2k tokens/s, cache hit 93.1%, infrastructure faults: 429 3",
    ]


@pytest.mark.parametrize("count", [6, 7])
def test_a_long_list_ends_in_the_number_of_all_others(make_task, make_rollout, count: int):
    talk = make_rollout(make_task("library", 0), "base", False)
    reward = talk.reward.model_copy(update={"broken_clauses": tuple(f"{number}.1" for number in range(count))})
    broke = next(line for line in Summary([talk.model_copy(update={"reward": reward})]).lines() if "broke" in line)
    assert broke.count("library") == 6
    assert broke.endswith(", others 1") is (count == 7)
