"""tau2's tasks play in t2t, and both verdicts on a talk are the same."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from t2t.domain.domain import load_domain as load_any_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.errors import ConfigError
from t2t.interop.tau2 import commands, load_domain, load_tasks, verification
from t2t.interop.tau2.judges import judge_by_tau2
from t2t.interop.tau2.messages import from_tau2, to_tau2
from t2t.interop.tau2.results import read_results
from t2t.interop.tau2.runner import Plan, play_with
from t2t.interop.tau2.source import load_raw_tasks, load_splits
from t2t.models.scripted import ScriptedChat
from t2t.records import Message, Rollout, StopReason, Task
from t2t.verify.verifier import verify

pytestmark = pytest.mark.tau2

LIMITS = Limits(max_turns=60, max_errors=40)


def play_task(task: Task, agent: ReferenceAgent | IdleAgent) -> Rollout:
    return asyncio.run(play(task, "test", 0, agent, Environment(load_any_domain(task.domain), task.data), LIMITS))


def test_official_splits_have_their_sizes():
    sizes = {
        "retail": {"base": 114, "train": 74, "test": 40},
        "airline": {"base": 50, "train": 30, "test": 20},
        "telecom": {"base": 114, "train": 74, "test": 40, "small": 20, "full": 2285},
        "mock": {"base": 9},
    }
    for member, splits in sizes.items():
        assert {name: len(ids) for name, ids in load_splits(member).items()} == splits
    for split in ("train", "test"):
        tasks = load_tasks("airline", split)
        assert len(tasks) == sizes["airline"][split] and {task.data.split for task in tasks} == {split}


@pytest.mark.parametrize(("member", "split"), [("retail", "test"), ("airline", "test"), ("telecom", "small")])
def test_reference_talks_succeed_with_the_callers_own_tools_too(member: str, split: str):
    for task in load_tasks(member, split):
        rollout = play_task(task, ReferenceAgent(task))
        assert rollout.reward.value == 1.0, (task.id, rollout.reward)


def test_saying_goodbye_fails_every_telecom_task():
    assert {play_task(task, IdleAgent()).reward.value for task in load_tasks("telecom", "small")} == {0.0}


def test_no_field_of_the_expectation_is_in_what_the_caller_reads():
    for task in load_tasks("retail"):
        text = task.scenario.model_dump_json()
        assert task.expectation.final_hash not in text
        assert not any(call.name in text for call in task.expectation.calls)


@pytest.mark.parametrize(("member", "limit"), [("mock", 0), ("telecom", 2), ("retail", 1)])
def test_verdicts_agree(member: str, limit: int):
    verdicts = list(verification.compare(member, limit))
    assert {one.trial for one in verdicts} >= {"reference", "nothing", "write added"}
    assert all(one.agrees for one in verdicts), [one for one in verdicts if not one.agrees]
    assert {one.ours for one in verdicts} == {0.0, 1.0}


def test_a_verdict_that_is_wrong_is_found():
    domain, task = load_domain("mock"), load_tasks("mock")[0]
    talk = verification.play_trial(domain, task, verification.Trial("reference", task.expectation.calls, ()))
    wrong = task.expectation.model_copy(update={"mention": ("something that nobody says",)})
    ours = verify(task.model_copy(update={"expectation": wrong}), talk).value
    theirs, _ = judge_by_tau2(domain.source, load_raw_tasks("mock")[0], talk.messages, talk.stop_reason)
    assert not verification.Verdict(task.id, "reference", ours, theirs, "").agrees


def test_a_talk_that_did_not_end_fails_in_both():
    domain, task = load_domain("mock"), load_tasks("mock")[0]
    talk = verification.play_trial(domain, task, verification.Trial("reference", task.expectation.calls, ()))
    talk = talk._replace(stop_reason=StopReason.MAX_TURNS)
    assert verify(task, talk).value == 0.0
    assert judge_by_tau2(domain.source, load_raw_tasks("mock")[0], talk.messages, talk.stop_reason) == (0.0, "")


def test_tau2_refuses_a_talk_whose_results_are_not_its_own():
    domain, task = load_domain("mock"), load_tasks("mock")[0]
    talk = verification.play_trial(domain, task, verification.Trial("reference", task.expectation.calls, ()))
    forged = tuple(
        message
        if message.result is None
        else message.model_copy(update={"content": "{}", "result": message.result.model_copy(update={"content": "{}"})})
        for message in talk.messages
    )
    reward, problem = judge_by_tau2(domain.source, load_raw_tasks("mock")[0], forged, talk.stop_reason)
    assert reward is None and "Returned" in problem


def test_messages_survive_the_way_through_tau2s_classes():
    domain, task = load_domain("telecom"), load_tasks("telecom", "small")[0]
    talk = verification.play_trial(domain, task, verification.Trial("reference", task.expectation.calls, ()))
    assert from_tau2(to_tau2(talk.messages)) == talk.messages


def speak(messages: Sequence[Message]) -> str:
    """A model that creates the task it is asked for, and one that asks for it, told apart by their prompts."""
    said = sum(message.role == "assistant" for message in messages)
    if messages[0].content.startswith("<instructions>"):
        call = '{"name":"create_task","arguments":{"user_id":"user_1","title":"Important Meeting"}}'
        return (f"<tool_call>{call}</tool_call>", "It is done.")[said - 1]
    return ("I need a task called Important Meeting.", "Thank you. ###STOP###")[said]


@pytest.mark.filterwarnings("ignore")  # LiteLLM warns of its own imports
def test_tau2s_runner_plays_a_model_of_ours_and_its_results_come_back_as_rollouts(tmp_path: Path):
    file = play_with(Plan("mock", "base", limit=1, concurrency=1), ScriptedChat(speak), "scripted", 1, tmp_path)
    ((rollout, recorded),) = read_results(file)
    assert recorded == rollout.reward.value == 1.0
    assert rollout.id == "tau2.mock/create_task_1/openai/scripted/0"
    assert [message.role for message in rollout.messages] == [
        "system", "assistant", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    out = tmp_path / "rollouts.jsonl"
    commands.run(["import", str(file), str(out)], _no_config)
    assert Rollout.model_validate_json(out.read_text().splitlines()[0]) == rollout
    with pytest.raises(ConfigError, match="exists already"):
        play_with(Plan("mock", "base"), ScriptedChat(speak), "scripted", 1, tmp_path)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "write one of"),
        (["sing"], "no command"),
        (["verify", "domain=banking"], "no such domain"),
        (["verify", "limit=many"], "not a number"),
        (["verify", "speed=9"], "no setting"),
        (["run", "domain=mock"], "out="),
        (["import", "nothing.json", "out"], "no file"),
    ],
)
def test_wrong_words_are_named(words: list[str], problem: str):
    with pytest.raises(ConfigError, match=problem):
        commands.run(words, _no_config)


def test_unknown_domains_and_splits_are_named():
    with pytest.raises(ConfigError, match=r"tau2\.mock"):
        load_domain("banking")
    with pytest.raises(ConfigError, match="known: base"):
        load_tasks("mock", "test")


def test_an_assertion_of_a_domain_of_our_own_is_a_config_error():
    (task,) = load_tasks("mock")[1:2]
    library = load_any_domain("library")
    environment = Environment(library, task.data.model_copy(update={"size": 50}))
    with pytest.raises(ConfigError, match="assert_task_status"):
        environment.failed(task.expectation.assertions)


def test_tau2_is_imported_only_when_it_is_asked_for():
    code = """import importlib, pkgutil, sys, t2t.interop.tau2
for found in pkgutil.walk_packages(t2t.interop.tau2.__path__, "t2t.interop.tau2."):
    importlib.import_module(found.name)
print(sorted({"tau2", "litellm", "loguru"} & sys.modules.keys()))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def _no_config(words: Sequence[str]) -> None:
    raise AssertionError(words)
