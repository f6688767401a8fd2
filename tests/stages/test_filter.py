"""What is chosen to be trained on, and what is told apart."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from t2t import pipeline
from t2t.config import RunConfig
from t2t.errors import RunError
from t2t.filter.choice import Candidate, Loss, take_evenly
from t2t.records import (
    Example,
    Intent,
    Message,
    Pair,
    Reward,
    Rollout,
    StopReason,
    Task,
    ToolCall,
    ToolResult,
    UserFault,
)
from t2t.stages import filter
from t2t.stages.stage import StageContext
from t2t.store import Writer, read_records

SYSTEM = Message(role="system", content="Serve.")
BAD_CALL = Message(
    role="tool",
    content="no such member",
    result=ToolResult(call_id="call_1", name="find_member", content="no such member", is_error=True, error="refused"),
)


@pytest.fixture(scope="module")
def tasks(library_tasks: list[Task]) -> list[Task]:
    """Forty training tasks with openings and callers of their own."""
    chosen: dict[str, Task] = {}
    for task in library_tasks:
        chosen.setdefault(task.scenario.opening, task)
    return list(chosen.values())[:40]


def talk(task: Task, attempt: int = 0, words: str = "", more: Sequence[Message] = (), **changes: Any) -> Rollout:
    """A success in words that no other talk has, unless they are given."""
    rng = random.Random(f"{task.id}/{attempt}")
    said = words or " ".join("".join(rng.choices("abcdefghij", k=5)) for _ in range(20))
    fields: dict[str, Any] = {
        "id": f"{task.id}/base/{attempt}",
        "task_id": task.id,
        "domain": task.domain,
        "intent": task.intent,
        "agent": "base",
        "attempt": attempt,
        "messages": (
            SYSTEM,
            Message(role="user", content=task.scenario.opening),
            *more,
            Message(role="assistant", content=said),
            Message(role="user", content="Bye."),
        ),
        "turns": (),
        "stop_reason": StopReason.USER_DONE,
        "final_hash": "",
        "reward": Reward(value=1.0, checks={}),
    }
    return Rollout.model_validate({**fields, **changes})


def failed(task: Task, attempt: int, words: str = "", more: Sequence[Message] = (), **changes: Any) -> Rollout:
    return talk(task, attempt, words, more, reward=Reward(value=0.0, checks={}), **changes)


def choose(folder: Path, tasks: Sequence[Task], rollouts: Sequence[Rollout], **settings: Any) -> dict[str, Any]:
    """Run the stage in `folder`; returns what its manifest says."""
    for name in ("synthesize", "rollout", "filter"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, records in (("synthesize/tasks.jsonl", tasks), ("rollout/rollouts.jsonl", rollouts)):
        (folder / name).unlink(missing_ok=True)
        with Writer(folder / name) as writer:
            for record in records:
                assert writer.append(record)
    config = RunConfig.model_validate(settings)
    inputs = {name: folder / name for name in ("synthesize", "rollout")}
    return filter.run(StageContext(config, folder / "filter", inputs))


def chosen_ids(folder: Path) -> list[str]:
    return [one.id for one in read_records(folder / "filter" / "examples.jsonl", Example)]


def pairs_of(folder: Path) -> list[Pair]:
    return list(read_records(folder / "filter" / "pairs.jsonl", Pair))


def test_the_order_of_the_rollouts_changes_nothing(tmp_path: Path, tasks: list[Task]):
    rollouts = [talk(task, attempt) for task in tasks for attempt in range(3)]
    rollouts += [failed(task, 3) for task in tasks]
    settings = {"filter": {"max_examples": 30}, "train": {"method": "dpo"}}
    results = [choose(tmp_path / "one", tasks, rollouts, **settings)]
    random.Random(1).shuffle(rollouts)
    results.append(choose(tmp_path / "two", tasks[::-1], rollouts, **settings))
    assert results[0] == results[1] and results[0]["count"] == results[0]["pairs"]["count"] == 30
    for name in ("examples.jsonl", "pairs.jsonl"):
        assert (tmp_path / "one/filter" / name).read_bytes() == (tmp_path / "two/filter" / name).read_bytes()
    choose(tmp_path / "two", tasks, rollouts, **settings, seed=1)
    assert chosen_ids(tmp_path / "one") != chosen_ids(tmp_path / "two")


@pytest.mark.parametrize(
    ("loss", "change"),
    [
        (Loss.FAILED, {"reward": Reward(value=0.0, checks={})}),
        (Loss.RULE, {"reward": Reward(value=1.0, checks={}, broken_clauses=("3.1",))}),
        (Loss.CALLER, {"user_faults": (UserFault(place=0, kind="leaks", text="", kept=True),)}),
        (Loss.ERRORS, {"more": [BAD_CALL] * 3}),
    ],
)
def test_a_talk_with_a_flaw_is_left_out_and_counted(
    tmp_path: Path, tasks: list[Task], loss: Loss, change: dict[str, Any]
):
    result = choose(tmp_path, tasks[:2], [talk(tasks[0]), talk(tasks[1], **change)])
    assert chosen_ids(tmp_path) == [talk(tasks[0]).id]
    assert result["rejected"] == {loss.value: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"user_faults": (UserFault(place=0, kind="leaks", text="", kept=False),)},
        {"more": [BAD_CALL] * 2},
        {
            "more": [
                BAD_CALL.model_copy(
                    update={"result": BAD_CALL.result and BAD_CALL.result.model_copy(update={"requestor": "user"})}
                )
            ]
            * 3
        },
    ],
    ids=["drawn again", "few errors", "errors of the caller"],
)
def test_what_is_no_flaw_stops_nothing(tmp_path: Path, tasks: list[Task], change: dict[str, Any]):
    assert choose(tmp_path, tasks[:1], [talk(tasks[0], **change)])["count"] == 1


def test_talks_alike_are_kept_once_whatever_their_task(tmp_path: Path, tasks: list[Task]):
    words = [f"word{number}" for number in range(60)]
    near = " ".join([*words[:-1], "other"])
    far = " ".join([*words[:40], *(f"new{number}" for number in range(20))])
    rollouts = [talk(task, words=said) for task, said in zip(tasks, (" ".join(words), near, far), strict=False)]
    result = choose(tmp_path, tasks[:3], rollouts)
    assert result["rejected"] == {Loss.SIMILAR.value: 1}
    assert rollouts[2].id in chosen_ids(tmp_path)
    assert choose(tmp_path, tasks[:3], rollouts, filter={"max_similarity": 1})["count"] == 3


def test_another_attempt_is_taken_where_one_is_like_a_talk_of_another_task(tmp_path: Path, tasks: list[Task]):
    same = " ".join(f"word{number}" for number in range(60))
    rollouts = [one for task in tasks[:2] for one in (talk(task, 0, words=same), talk(task, 1))]
    choose(tmp_path, tasks[:2], rollouts)
    assert {one.rpartition("/base/")[0] for one in chosen_ids(tmp_path)} == {tasks[0].id, tasks[1].id}


def test_no_row_shares_opening_caller_or_words_with_an_evaluation_task(tmp_path: Path, tasks: list[Task]):
    held_out = [
        task.model_copy(update={"id": f"held-{number}", "data": task.data.model_copy(update={"split": "test"})})
        for number, task in enumerate(tasks[:5])
    ]
    result = choose(tmp_path, [*tasks, *held_out], [talk(task) for task in tasks])
    kept = {one.rpartition("/base/")[0] for one in chosen_ids(tmp_path)}
    assert kept and not kept & {task.id for task in tasks[:5]}
    emails = {fact.value for task in held_out for fact in task.scenario.facts if fact.name == "email"}
    own = {task.id: {fact.value for fact in task.scenario.facts} for task in tasks}
    assert not any(own[task_id] & emails for task_id in kept)
    assert result["rejected"] == {Loss.HELD_OUT.value: 40 - len(kept)}


def test_the_funnel_says_what_each_check_left(tmp_path: Path, tasks: list[Task]):
    rollouts = [talk(task) for task in tasks] + [talk(task, 1) for task in tasks[:7]] + [failed(tasks[0], 2)]
    result = choose(tmp_path, tasks, rollouts, filter={"max_examples": 25})
    steps = result["funnel"]
    assert [step["check"] for step in steps] == ["read", *Loss]
    assert [step["left"] for step in steps] == [48, 47, 47, 47, 47, 47, 40, 40, 25]
    assert all(step["left"] == sum(step["by_intent"].values()) == sum(step["by_domain"].values()) for step in steps)
    assert steps[-1]["by_intent"] == result["by_intent"]
    assert result["count"] == len(chosen_ids(tmp_path)) == 25


def candidates(**counts: int) -> list[Candidate]:
    """Talks of ``intent_domain_length`` by name, as many as are asked for."""
    made: list[Candidate] = []
    for name, count in counts.items():
        intent, domain, length = name.split("_")
        made += [Candidate(n, f"{name}{n}", "", domain, intent, int(length), 0) for n in range(count)]
    return made


def test_intents_then_domains_then_lengths_are_even_as_far_as_there_are_enough():
    supply = candidates(
        general_library_10=50,
        general_library_500=50,
        general_library_9000=50,
        general_retail_10=40,
        infeasible_retail_10=3,
    )
    taken = take_evenly(supply, 31)
    assert Counter(one.intent for one in taken) == {"general": 28, "infeasible": 3}
    general = [one for one in taken if one.intent == "general"]
    assert Counter(one.domain for one in general) == {"library": 14, "retail": 14}
    assert sorted(Counter(one.length for one in general if one.domain == "library").values()) == [4, 5, 5]
    assert len(take_evenly(supply, 500)) == len(supply)


@pytest.mark.parametrize(
    ("losses", "text"),
    [
        ([], "there are no rollouts"),
        ([{"reward": Reward(value=0.0, checks={})}] * 2 + [{"more": [BAD_CALL] * 3}], "stronger agent"),
        ([{"reward": Reward(value=0.0, checks={})}] + [{"more": [BAD_CALL] * 3}] * 2, "filter.max_tool_errors"),
    ],
)
def test_where_nothing_is_left_the_error_names_what_took_most(
    tmp_path: Path, tasks: list[Task], losses: list[dict[str, Any]], text: str
):
    with pytest.raises(RunError, match=text):
        choose(tmp_path, tasks, [talk(task, **change) for task, change in zip(tasks, losses, strict=False)])


def say(text: str) -> Message:
    return Message(role="assistant", content=text)


def call(number: int, **arguments: str) -> Message:
    made = ToolCall(id=f"call_{number}", name="find_member", arguments={**arguments})
    return Message(role="assistant", content="", tool_calls=(made,))


def test_a_pair_parts_where_the_talks_do(tmp_path: Path, tasks: list[Task]):
    answer = Message(role="tool", content="M1")
    start = [say("Who are you?"), Message(role="user", content="Ann."), call(1, email="a@b.c"), answer]
    good = talk(tasks[0], 0, words="I can do that.", more=start)
    bad = failed(tasks[0], 1, words="I did it.", more=[*start[:2], call(7, email="a@b.c"), answer, call(8), answer])
    result = choose(tmp_path, tasks[:1], [good, bad], train={"method": "dpo"})
    (pair,) = pairs_of(tmp_path)
    assert result["pairs"] == {"count": 1}
    assert (pair.chosen_id, pair.rejected_id) == (good.id, bad.id)
    assert pair.prompt == good.messages[:6]
    assert (*pair.prompt, *pair.chosen) == good.messages[:-1]
    assert pair.rejected == bad.messages[6:-1]


@pytest.mark.parametrize(
    "change",
    [
        {"stop_reason": StopReason.USER_FAILED},
        {"stop_reason": StopReason.TIMEOUT},
        {"user_faults": (UserFault(place=0, kind="ends_early", text="", kept=True),)},
        {"messages": (SYSTEM, Message(role="user", content="Hello."))},
    ],
)
def test_what_failed_without_the_agents_fault_is_no_bad_example(
    tmp_path: Path, tasks: list[Task], change: dict[str, Any]
):
    rollouts = [talk(tasks[0]), failed(tasks[0], 1, **change), talk(tasks[1]), failed(tasks[1], 1)]
    choose(tmp_path, tasks[:2], rollouts, train={"method": "dpo"})
    assert [pair.task_id for pair in pairs_of(tmp_path)] == [tasks[1].id]


def test_a_task_gives_as_many_pairs_as_rows(tmp_path: Path, tasks: list[Task]):
    rollouts = [talk(tasks[0], 0), *(failed(tasks[0], attempt) for attempt in range(1, 5)), talk(tasks[1])]
    result = choose(tmp_path, tasks[:2], rollouts, train={"method": "dpo"}, filter={"per_task": 3})
    assert result["pairs"] == {"count": 3, "tasks without a failed talk": 1}
    assert len({pair.rejected_id for pair in pairs_of(tmp_path)}) == 3


def test_without_a_failed_talk_the_error_says_how_to_get_some(tmp_path: Path, tasks: list[Task]):
    with pytest.raises(RunError, match="raise rollout.attempts"):
        choose(tmp_path, tasks[:2], [talk(tasks[0]), failed(tasks[1], 0)], train={"method": "dpo"})


def test_pairs_are_made_anew_when_the_method_changes():
    plain, paired = (
        pipeline.artifacts(RunConfig.model_validate({"train": {"method": method}})) for method in ("sft", "dpo")
    )
    assert plain["rollout"].key == paired["rollout"].key and plain["filter"].key != paired["filter"].key


def test_examples_hold_the_talk_as_the_agent_had_it(tmp_path: Path, tasks: list[Task]):
    own = Message(role="user", content="", tool_calls=(ToolCall(id="u", name="look", arguments={}, requestor="user"),))
    rollout = talk(tasks[0], more=[own])
    choose(tmp_path, tasks[:1], [rollout])
    (example,) = read_records(tmp_path / "filter/examples.jsonl", Example)
    assert own not in example.messages and len(example.messages) == len(rollout.messages) - 1
    assert example.intent is Intent(tasks[0].intent)
