"""A caller that a model plays, in the loop that plays every talk."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from t2t.config import RunConfig
from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import ReferenceAgent, agent_view
from t2t.episode.model_user import STOP, ModelUser
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.journal import Journal
from t2t.models.chat import ChatModel, ChatSession, ContextOverflow, Reply
from t2t.models.journaled import JournaledChat
from t2t.models.scripted import ScriptedChat
from t2t.records import DataSpec, Intent, Message, Rollout, StopReason, Task, ToolCall, Turn, UserFault

CHECK = "check_status_bar"
LIMITS = Limits(max_turns=8, max_errors=3)


def run(domain: Domain, task: Task, agent: ChatSession, model: ChatModel, redraws: int = 0) -> Rollout:
    user = ModelUser(domain, task.scenario, model, redraws=redraws)
    return asyncio.run(play(task, "a", 0, agent, Environment(domain, task.data), LIMITS, user))


class Drawn:
    """A model whose n-th talk says the n-th of its scripts; keeps the seeds, and the messages each talk was handed."""

    def __init__(self, *draws: Sequence[str]) -> None:
        self._draws = iter(draws)
        self.seeds: list[int] = []
        self.handed: list[list[Message]] = []

    def open(self, tools: str, seed: int = 0) -> "DrawnSession":
        self.seeds.append(seed)
        self.handed.append([])
        return DrawnSession(list(next(self._draws)), self.handed[-1])


class DrawnSession:
    def __init__(self, replies: list[str], handed: list[Message]) -> None:
        self._replies, self._handed = replies, handed

    async def reply(self, messages: Sequence[Message]) -> Reply:
        self._handed.extend(messages)
        message = Message(role="assistant", content=self._replies.pop(0))
        self._handed.append(message)
        return Reply(message, Turn())


def agent(*replies: str) -> ChatSession:
    return ScriptedChat(replies).open("")


@pytest.fixture
def task(library_tasks: list[Task]) -> Task:
    return next(task for task in library_tasks if task.intent is Intent.GENERAL and task.expectation.tell)


@pytest.fixture(scope="module")
def telecom() -> Domain:
    return load_domain("telecom")


@pytest.fixture(scope="module")
def phone_task(telecom: Domain) -> Task:
    """A proved task whose caller has a phone in hand; nothing has to be done with it here."""
    data = DataSpec(seed=1, size=60, split="train")
    for trajectory in explore(telecom, data, 20, max_steps=8, blocked_share=0.0, seed=1, coverage=Coverage()):
        rng = random.Random(trajectory.id)
        with contextlib.suppress(Unsuitable):
            return write_task(Intent.GENERAL, Scene(telecom, trajectory, rng), "train", rng)
    raise AssertionError("no trajectory became a task")


def test_the_reference_passes_with_a_caller_that_a_model_plays(library: Domain, task: Task):
    """The model says what the scripted caller would; what it says is the talk."""
    facts = {fact.name: fact.answer for fact in task.scenario.facts}

    def say(messages: Sequence[Message]) -> str:
        if len(messages) == 2:
            return task.scenario.opening
        asked = messages[-1].content
        if "e-mail" in asked:
            return facts["email"]
        return "Yes, go ahead." if "Shall I" in asked else f"Thank you, bye. {STOP}"

    rollout = run(library, task, ReferenceAgent(task), ScriptedChat(say))
    assert (rollout.reward.value, rollout.stop_reason) == (1.0, StopReason.USER_DONE)
    assert not any(STOP in message.content for message in rollout.messages)
    assert rollout.reward.broken_clauses == ()


def test_the_prompt_holds_the_scenario_and_nothing_that_is_expected(library: Domain, library_tasks: list[Task]):
    for task in library_tasks[::7]:
        seen: list[Message] = []

        def say(messages: Sequence[Message], seen: list[Message] = seen) -> str:
            seen.extend(messages)
            return f"Bye. {STOP}"

        run(library, task, agent("Hello."), ScriptedChat(say))
        prompt = seen[0].content
        assert task.scenario.reason_for_call in prompt and task.scenario.task_instructions in prompt
        ids = [str(value) for call in task.expectation.calls for name, value in call.arguments.items() if "_id" in name]
        assert task.expectation.final_hash not in prompt
        assert not [value for value in (*ids, *task.expectation.tell) if value in prompt]


def test_the_caller_uses_their_own_tools_out_of_the_agents_sight(telecom: Domain, phone_task: Task):
    phone = next(iter(phone_task.scenario.actions)).call.arguments["phone_id"]
    look = Message(role="assistant", content="", tool_calls=(ToolCall(id="x1", name=CHECK, arguments={}),))
    seen: list[str] = []

    class Agent:
        async def reply(self, messages: Sequence[Message]) -> Reply:
            seen.extend(message.content for message in messages)
            return await self._session.reply(messages)

        _session = agent("Please look at your phone.", "Thank you, goodbye.")

    script = ScriptedChat(["No data.", look, "It shows bars.", f"Bye. {STOP}"])
    rollout = run(telecom, phone_task, Agent(), script)
    own = [message for message in rollout.messages if message.role == "user" and message.tool_calls]
    results = [message.result for message in rollout.messages if message.result]
    assert own[0].tool_calls[0].requestor == results[0].requestor == "user" and not results[0].is_error
    assert own[0].tool_calls[0].arguments == {"phone_id": phone}, "a caller holds one phone and names no id"
    assert seen[1:] == ["No data.", "It shows bars."]
    assert [message.content for message in agent_view(rollout.messages) if message.role == "user"] == [
        "No data.",
        "It shows bars.",
        "Bye.",
    ]


def test_a_caller_cannot_use_the_agents_tools(telecom: Domain, phone_task: Task):
    call = ToolCall(id="x1", name=telecom.tools[0].name, arguments={})
    script = ScriptedChat(["Hi.", Message(role="assistant", content="", tool_calls=(call,)), f"Bye. {STOP}"])
    rollout = run(telecom, phone_task, agent("Hello."), script)
    refused = next(message.result for message in rollout.messages if message.result)
    assert refused.is_error and telecom.user_tools[0].name in refused.content


def test_a_caller_that_breaks_down_is_no_fault_of_the_agent(telecom: Domain, phone_task: Task):
    name = telecom.user_tools[0].name
    call = Message(role="assistant", content="", tool_calls=(ToolCall(id="x", name=name, arguments={}),))
    for script in (["Hi.", ""], ["Hi.", *[call] * 30], [""]):
        rollout = run(telecom, phone_task, agent("Hello.", "Hello?"), ScriptedChat(script))
        assert (rollout.stop_reason, rollout.reward.value) == (StopReason.USER_FAILED, 0.0)


def test_a_caller_whose_context_is_full_breaks_down(library: Domain, task: Task):
    class Full:
        def open(self, tools: str, seed: int = 0) -> "Full":
            return self

        async def reply(self, messages: Sequence[Message]) -> Reply:
            raise ContextOverflow("full")

    assert asyncio.run(ModelUser(library, task.scenario, Full()).open()).failed


@pytest.mark.parametrize(
    ("text", "agrees"),
    [
        ("Yes, please do.", True),
        ("Sure, that works.", True),
        ("That's right.", True),
        ("No, the other one.", False),
        ("Yes, but not that card.", False),
        ("Okay, wait, make it Harbour instead.", False),
        ("My e-mail is a@b.c.", False),
    ],
)
def test_agreement_is_read_from_the_words(library: Domain, task: Task, text: str, agrees: bool):
    assert asyncio.run(ModelUser(library, task.scenario, ScriptedChat([text])).answer("Shall I?")).agrees is agrees


def test_tau2s_tasks_need_a_model_that_plays_their_callers():
    with pytest.raises(ValueError, match="user.kind=model"):
        RunConfig.model_validate({"evaluate": {"tau2": ["retail:test"]}})
    api = {"kind": "model", "api": {"base_urls": ["http://127.0.0.1:1"], "model": "m"}}
    with pytest.raises(ValueError, match="mix"):
        RunConfig.model_validate({"user": api, "evaluate": {"tau2": ["retail"], "domains": ["tau2.retail"]}})


INVENTED = "My account number is 99887766."


def faults_of(rollout: Rollout) -> list[tuple[int, str, str, bool]]:
    return [(fault.place, fault.kind, fault.text, fault.kept) for fault in rollout.user_faults]


def test_a_turn_that_breaks_the_scenario_is_drawn_again_by_a_talk_that_knows_all_that_was_said(
    library: Domain, task: Task
):
    bye = f"Thank you, bye. {STOP}"
    model = Drawn(["I have a question.", INVENTED], ["I would rather not say.", bye])
    rollout = run(library, task, agent("What is your account number?", "All right. Goodbye."), model, redraws=2)
    said = [message.content for message in rollout.messages if message.role == "user"]
    assert said == ["I have a question.", "I would rather not say.", "Thank you, bye."]
    assert faults_of(rollout) == [(1, "invents", INVENTED, False)]
    assert rollout.stop_reason is StopReason.USER_DONE
    first, second = model.handed
    assert [message.content for message in second[1:6]] == [
        *(message.content for message in first[1:4]),
        "I would rather not say.",
        "All right. Goodbye.",
    ]
    assert second[0].content.startswith(first[0].content) and "does not" not in first[0].content
    assert INVENTED not in [message.content for message in second], "what is thrown away is forgotten"
    assert len(set(model.seeds)) == 2


def test_the_last_draw_stands_when_all_are_bad_and_the_talk_is_marked(library: Domain, task: Task):
    model = Drawn(["I have a question.", INVENTED], ["Agent: Hello!"], [f"{INVENTED} Really.", f"Bye. {STOP}"])
    rollout = run(library, task, agent("What is your account number?", "Thank you. Goodbye."), model, redraws=2)
    assert faults_of(rollout) == [
        (1, "invents", INVENTED, False),
        (1, "speaks_for_agent", "Agent: Hello!", False),
        (1, "invents", f"{INVENTED} Really.", True),
    ]
    assert [message.content for message in rollout.messages if message.role == "user"][1] == f"{INVENTED} Really."
    assert len(set(model.seeds)) == 3


def test_a_caller_that_never_says_a_word_fails_and_is_drawn_no_more_often_than_allowed(library: Domain, task: Task):
    model = Drawn(["Hi.", ""], ["..."], [""])
    rollout = run(library, task, agent("Hello?", "Hello?"), model, redraws=2)
    assert rollout.stop_reason is StopReason.USER_FAILED
    assert [(kind, kept) for _, kind, _, kept in faults_of(rollout)] == [("empty", False)] * 3


def test_a_caller_who_hangs_up_with_the_yes_is_asked_again(library: Domain, task: Task):
    model = Drawn(["Renew a book.", f"Yes, please. Bye! {STOP}"], ["Yes, please.", f"Bye! {STOP}"])
    rollout = run(library, task, agent("I will renew it. Shall I go ahead?", "Done."), model, redraws=1)
    assert faults_of(rollout) == [(1, "ends_early", f"Yes, please. Bye! {STOP}", False)]
    assert len([message for message in rollout.messages if message.role == "assistant"]) == 2


def test_a_caller_who_does_as_the_scenario_says_has_no_faults(library: Domain, library_tasks: list[Task]):
    """The scripted caller's words from a model's mouth: nothing is drawn again, whatever the intent."""
    for number, task in enumerate(library_tasks[::5]):
        user = ScriptedUser(task.scenario, task.id)

        def say(messages: Sequence[Message], user: ScriptedUser = user) -> str:
            if len(messages) == 2:
                return user.open()
            turn = user.answer(messages[-1].content)
            return f"{turn.text} {STOP}" if turn.done else turn.text

        caller = ModelUser(library, task.scenario, ScriptedChat(say), number, redraws=3)
        environment, limits = Environment(library, task.data), Limits(max_turns=30, max_errors=3)
        rollout = asyncio.run(play(task, "a", 0, ReferenceAgent(task), environment, limits, caller))
        assert (rollout.user_faults, rollout.reward.value) == ((), 1.0), task.scenario


def test_the_same_seed_draws_the_same_again_from_a_journal(library: Domain, task: Task, tmp_path: Path):
    rollouts: list[Rollout] = []
    for draws in ((["Hi.", INVENTED], ["I don't know.", f"Bye. {STOP}"]), ([], [])):
        with Journal(tmp_path / "journal") as journal:
            model = JournaledChat(Drawn(*draws), journal, "model")
            rollouts.append(run(library, task, agent("Your account number?", "Goodbye."), model, redraws=1))
    assert rollouts[0] == rollouts[1] and rollouts[0].user_faults


@pytest.mark.parametrize("end", [STOP, "###STOP", "## STOP ##", "\nSTOP"])
def test_the_stop_word_is_known_however_a_model_writes_it(library: Domain, task: Task, end: str):
    rollout = run(library, task, agent("Goodbye."), ScriptedChat(["Hi.", f"Bye. {end}"]))
    assert (rollout.messages[-1].content, rollout.stop_reason) == ("Bye.", StopReason.USER_DONE)


def test_a_script_has_no_faults(library: Domain, task: Task):
    rollout = asyncio.run(
        play(task, "a", 0, ReferenceAgent(task), Environment(library, task.data), Limits(max_turns=20, max_errors=3))
    )
    faults: tuple[UserFault, ...] = rollout.user_faults
    assert faults == ()
