import asyncio

import pytest

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser
from t2t.models.chat import ContextOverflow, Reply
from t2t.models.scripted import ScriptedChat
from t2t.records import Change, Fact, Intent, Message, Rollout, StopReason, Task, Turn, UserScenario

LIMITS = Limits(max_turns=6, max_errors=3)
SCENARIO = UserScenario(
    reason_for_call="",
    known_info="",
    unknown_info="",
    task_instructions="",
    opening="Renew my book.",
    facts=(
        Fact(name="title", value="Dune", asked_by=("title", "which"), answer="It is Dune.", in_opening=False),
        Fact(name="email", value="a@b.c", asked_by=("e-mail", "email"), answer="a@b.c", in_opening=False),
    ),
    changes=(Change(cue="proposal", text="No, Emma."),),
)


def run(library: Domain, task: Task, replies: list[str]) -> Rollout:
    session = ScriptedChat(replies).open(library.tool_schemas, 0)
    return asyncio.run(play(task, "a", 0, session, Environment(library, task.data), LIMITS))


@pytest.fixture
def task(library_tasks: list[Task]) -> Task:
    return next(task for task in library_tasks if task.intent is Intent.GENERAL)


def test_the_caller_tells_what_is_asked_agrees_and_changes_its_mind_once():
    user = ScriptedUser(SCENARIO, "seed")
    assert user.open() == "Renew my book."
    assert user.answer("Which title do you mean?").text == "It is Dune."
    assert user.answer("What is your e-mail, and the title?").text == "It is Dune. a@b.c"
    change = user.answer("I will renew Dune. Shall I go ahead?")
    assert (change.text, change.done, change.agrees) == ("No, Emma.", False, False)
    assert user.answer("I will renew Emma. Shall I go ahead?").agrees
    assert user.answer("Done.").done


def test_the_caller_gives_up_on_an_agent_that_only_asks():
    user = ScriptedUser(SCENARIO, "seed")
    turns = [user.answer("What is your shoe size?") for _ in range(4)]
    assert [turn.done for turn in turns] == [False, False, False, True]


def test_the_caller_says_the_same_each_time():
    talks = []
    for _ in range(2):
        user = ScriptedUser(SCENARIO, "seed")
        talks.append([user.answer(text) for text in ("Shall I?", "Shall I go ahead?", "Done.")])
    assert talks[0] == talks[1]


def test_a_malformed_call_goes_back_as_an_error_and_stays_in_the_record(library: Domain, task: Task):
    rollout = run(library, task, ['<tool_call>{"name": </tool_call>', "Goodbye."])
    error = rollout.messages[3]
    assert error.role == "tool" and error.result and error.result.is_error
    assert rollout.messages[2].content.startswith("<tool_call>")
    assert rollout.stop_reason is StopReason.USER_DONE


def test_an_unknown_tool_is_an_error_for_the_agent_and_changes_nothing(library: Domain, task: Task):
    before = Environment(library, task.data).state_hash()
    rollout = run(library, task, ['<tool_call>{"name":"fly","arguments":{}}</tool_call>', "Goodbye."])
    assert "no tool 'fly'" in rollout.messages[3].content
    assert rollout.final_hash == before


def test_errors_in_a_row_end_the_talk(library: Domain, task: Task):
    rollout = run(library, task, ['<tool_call>{"name":"fly","arguments":{}}</tool_call>'] * 6)
    assert rollout.stop_reason is StopReason.MAX_ERRORS
    assert len([m for m in rollout.messages if m.role == "assistant"]) == LIMITS.max_errors
    assert rollout.reward.checks["ended"] is False


def test_an_endless_talk_ends_at_the_turn_limit(library: Domain, task: Task):
    rollout = run(library, task, ["Shall I go ahead?"] * 20)
    assert rollout.stop_reason is StopReason.MAX_TURNS
    assert rollout.reward.value == 0.0


def test_a_full_context_ends_the_talk_and_is_a_record(library: Domain, task: Task):
    class Full:
        async def reply(self, messages: list[Message]) -> Reply:
            if len(messages) == 2:
                return Reply(Message(role="assistant", content="Shall I go ahead?"), Turn())
            raise ContextOverflow("4097 tokens")

    rollout = asyncio.run(play(task, "a", 0, Full(), Environment(library, task.data), LIMITS))
    assert rollout.stop_reason is StopReason.CONTEXT_OVERFLOW
    assert rollout.reward.value == 0.0


def test_a_write_without_a_yes_is_noted_as_a_broken_clause(library: Domain, library_tasks: list[Task]):
    task = next(
        t
        for t in library_tasks
        if t.intent is Intent.GENERAL and library.tool_by_name[t.expectation.calls[-1].name].writes
    )
    hasty = [Message(role="assistant", content="", tool_calls=(call,)) for call in task.expectation.calls]
    session = ScriptedChat([*hasty, "Done."]).open(library.tool_schemas, 0)
    limits = Limits(max_turns=20, max_errors=3)
    rollout = asyncio.run(play(task, "a", 0, session, Environment(library, task.data), limits))
    assert rollout.reward.checks["db_state"]
    assert "1.4" in rollout.reward.broken_clauses
