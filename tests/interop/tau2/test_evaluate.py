"""tau2's human-written tasks among those that are evaluated, with callers that a model plays."""

import asyncio
from collections.abc import Sequence

import pytest

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.domain.environment import Environment
from t2t.episode.model_user import STOP, ModelUser
from t2t.episode.play import Limits, play
from t2t.errors import ConfigError
from t2t.models.scripted import ScriptedChat
from t2t.records import Message, Task, ToolCall
from t2t.stages.evaluate import held_out_tasks

pytestmark = pytest.mark.tau2


def chosen(*parts: str) -> list[Task]:
    api = {"base_urls": ["http://127.0.0.1:1"], "model": "m"}
    settings = {"user": {"kind": "model", "api": api}, "evaluate": {"tau2": parts}}
    return held_out_tasks(RunConfig.model_validate(settings), [])


def test_official_splits_are_evaluated_whole():
    assert len(chosen("retail:test", "airline:test")) == 40 + 20
    assert len(chosen("mock:base")) == 9
    with pytest.raises(ConfigError, match="no split 'dev'"):
        chosen("retail:dev")


def test_a_talk_about_one_is_judged_by_what_it_did():
    """An agent that makes the reference calls passes; the caller reads its four texts and none of the calls."""
    task = next(task for task in chosen("mock:base") if task.expectation.calls and task.expectation.final_hash)
    domain = load_domain(task.domain)
    seen: list[Message] = []

    def say(messages: Sequence[Message]) -> str:
        seen[:] = messages
        return task.scenario.reason_for_call if len(messages) == 2 else f"Thanks. {STOP}"

    calls = tuple(
        ToolCall(id=f"c{n}", name=call.name, arguments=call.arguments) for n, call in enumerate(task.expectation.calls)
    )
    replies = [Message(role="assistant", content="", tool_calls=calls), "Done: " + "; ".join(task.expectation.mention)]
    for script, value in ((replies, 1.0), (["I did nothing."], 0.0)):
        user = ModelUser(domain, task.scenario, ScriptedChat(say))
        environment = Environment(domain, task.data)
        session = ScriptedChat(script).open(domain.tool_schemas)
        rollout = asyncio.run(play(task, "a", 0, session, environment, Limits(9, 9), user))
        assert rollout.reward.value == value, rollout.reward
    assert task.scenario.reason_for_call in seen[0].content
    assert not [call.name for call in calls if call.name in seen[0].content]


def test_a_caller_uses_the_phone_that_the_task_puts_in_their_hand():
    task = next(task for task in chosen("telecom:small") if task.expectation.assertions)
    domain = load_domain(task.domain)
    call = ToolCall(id="x", name="check_status_bar", arguments={})
    script = ["No data.", Message(role="assistant", content="", tool_calls=(call,)), "I see bars.", f"Bye. {STOP}"]
    user = ModelUser(domain, task.scenario, ScriptedChat(script))
    session = ScriptedChat(["Look at your phone, please.", "Goodbye."]).open(domain.tool_schemas)
    rollout = asyncio.run(play(task, "a", 0, session, Environment(domain, task.data), Limits(9, 9), user))
    result = next(message.result for message in rollout.messages if message.result)
    assert result.requestor == "user" and not result.is_error and rollout.reward.value == 0.0
