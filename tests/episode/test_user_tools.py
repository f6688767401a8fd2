"""Callers with tools of their own: when they use them, what the agent sees of it, and what a task proves."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import ReferenceAgent, agent_view
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser
from t2t.errors import ToolError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.models.chat import Reply
from t2t.records import Change, DataSpec, Intent, Message, Move, Rollout, Task, ToolCall, Trajectory, Turn, UserAction
from t2t.report.content import ReportContent, Talk
from t2t.report.html import write_report
from t2t.report.results import summarize
from t2t.verify.validation import prove, validate

DATA = DataSpec(seed=5, size=120, split="train")
LIMITS = Limits(max_turns=20, max_errors=3)


@pytest.fixture(scope="module")
def telecom() -> Domain:
    return load_domain("telecom")


@pytest.fixture(scope="module")
def trajectories(telecom: Domain) -> list[Trajectory]:
    return list(explore(telecom, DATA, 150, max_steps=8, blocked_share=0.3, seed=7, coverage=Coverage()))


@pytest.fixture(scope="module")
def tasks(telecom: Domain, trajectories: list[Trajectory]) -> list[Task]:
    """Tasks in which the caller uses a tool, unproved, all intents."""
    found: list[Task] = []
    for trajectory in trajectories:
        for intent in Intent:
            rng = random.Random(trajectory.id)
            try:
                task = write_task(intent, Scene(telecom, trajectory, rng), "train", rng)
            except Unsuitable:
                continue
            if any(call.requestor == "user" for call in task.expectation.calls):
                found.append(task)
    return found


def proved(domain: Domain, tasks: Sequence[Task], intent: Intent, tool: str = "") -> list[Task]:
    found = [
        task
        for task in tasks
        if task.intent is intent and (not tool or task.expectation.calls[-1].name == tool) and not prove(domain, task)
    ]
    assert found
    return found


def plant(task: Task, **changes: object) -> Task:
    return task.model_copy(update={"expectation": task.expectation.model_copy(update=changes)})


class Watched:
    """An agent that says given words and keeps what it was sent."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = iter(words)
        self.sent: list[Message] = []

    async def reply(self, messages: Sequence[Message]) -> Reply:
        self.sent.extend(messages)
        return Reply(Message(role="assistant", content=next(self.words, "Goodbye.")), Turn())


def talk(domain: Domain, task: Task, agent: Watched | ReferenceAgent) -> Rollout:
    return asyncio.run(play(task, "a", 0, agent, Environment(domain, task.data), LIMITS))


def done_by(user: ScriptedUser, said: str) -> list[tuple[str, ...]]:
    return [
        (action.call.name, *(str(value) for name, value in action.call.arguments.items() if name != "phone_id"))
        for action in user.answer(said).actions
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Please restart your phone.", "restart_phone"),
        ("Restart your phone and tell me what happens.", "restart_phone"),
        ("Could you restart the phone, please?", "restart_phone"),
        ("I would like you to restart your phone now.", "restart_phone"),
        ("That's odd. Next, restart your phone.", "restart_phone"),
        ("I could not find a fault on the line, please restart your phone.", "restart_phone"),
        ("Turn off airplane mode.", "switch_setting airplane mode off"),
        ("Go to the settings, tap Mobile network and turn data roaming on.", "switch_setting data roaming on"),
        ("Please make sure that data roaming is turned on.", "switch_setting data roaming on"),
        ("Please enable data roaming on your phone.", "switch_setting data roaming on"),
        ("Can you disable the data saver?", "switch_setting data saver off"),
        ("What does the status bar show?", "check_status_bar"),
        ("Can you tell me what your status bar shows?", "check_status_bar"),
        ("Please set the network mode to 4G only.", "set_network_mode 4G only"),
        ("Don’t restart your phone.", ""),
        ("Please do not restart the phone yet.", ""),
        ("There is no need to restart your phone.", ""),
        ("Did you restart your phone?", ""),
        ("If you restart your phone, it may work.", ""),
        ("Shall I help you to restart your phone?", ""),
        ("Would you like me to explain how to switch data roaming on?", ""),
        ("I am sorry, I can't help you to switch data roaming on: the line has no pass.", ""),
        ("I will enable data roaming for you. Shall I go ahead?", ""),
        ("Customers who switch data roaming on pay more.", ""),
        ("Data roaming is on already.", ""),
        ("Done. Your line is open for roaming.", ""),
    ],
)
def test_the_caller_acts_when_the_agent_asks_and_not_when_it_speaks_of_it(tasks: list[Task], said: str, expected: str):
    done = done_by(ScriptedUser(tasks[0].scenario, "seed"), said)
    assert [" ".join(words) for words in done] == ([expected] if expected else [])


def test_several_requests_are_followed_in_the_order_of_the_message(tasks: list[Task]):
    user = ScriptedUser(tasks[0].scenario, "seed")
    said = "Please switch airplane mode on, then switch airplane mode off and restart the phone."
    assert done_by(user, said) == [
        ("switch_setting", "airplane mode", "on"),
        ("switch_setting", "airplane mode", "off"),
        ("restart_phone",),
    ]


def test_a_change_of_mind_comes_in_place_of_a_change_on_the_phone_and_not_of_a_look(tasks: list[Task]):
    scenario = tasks[0].scenario.model_copy(update={"changes": (Change(cue="proposal", text="No, wait."),)})
    user = ScriptedUser(scenario, "seed")
    assert done_by(user, "What does the status bar show?") == [("check_status_bar",)]
    turn = user.answer("Please restart the phone.")
    assert (turn.text, turn.actions) == ("No, wait.", ())
    assert done_by(user, "Please restart the phone.") == [("restart_phone",)]


def test_the_caller_says_what_came_of_it_and_what_went_wrong(telecom: Domain, tasks: list[Task]):
    user = ScriptedUser(tasks[0].scenario, "seed")
    environment = Environment(telecom, tasks[0].data)
    action = user.answer("Please read me the SIM number.").actions[0]
    result, _ = environment.answer(action.call)
    assert environment.run(action.call).value.sim_number in user.tell_results([action], [result]).text
    wrong = action.call.model_copy(update={"arguments": {"phone_id": "H0"}})
    result, _ = environment.answer(wrong)
    assert "did not work" in user.tell_results([action], [result]).text


def test_neither_side_can_use_the_tools_of_the_other(telecom: Domain):
    environment = Environment(telecom, DATA)
    with pytest.raises(ToolError, match="no tool 'restart_phone'; tools are: find_customer_by_number"):
        environment.run(ToolCall(id="c", name="restart_phone", arguments={"phone_id": "H100001"}))
    with pytest.raises(ToolError, match="no tool 'resume_line'; tools are: check_status_bar"):
        environment.run(ToolCall(id="c", name="resume_line", arguments={"line_id": "L1000001"}, requestor="user"))
    assert "restart_phone" not in telecom.tool_schemas


def test_the_agent_hears_what_the_caller_says_and_never_sees_their_calls(telecom: Domain, tasks: list[Task]):
    task = proved(telecom, tasks, Intent.GENERAL)[0]
    agent = Watched(["What does the status bar show?", "Please restart the phone.", "Done."])
    rollout = talk(telecom, task, agent)
    made = [call for message in rollout.messages if message.role == "user" for call in message.tool_calls]
    assert [call.name for call in made] == ["check_status_bar", "restart_phone"]
    assert len({call.id for call in made}) == 2
    view = agent_view(rollout.messages)
    assert list(view[: len(agent.sent)]) != list(rollout.messages)
    for messages in (agent.sent, view):
        assert not [message for message in messages if message.role == "user" and message.tool_calls]
        assert not [message for message in messages if message.result and message.result.requestor == "user"]
    heard = [message.content for message in agent.sent if message.role == "user"]
    assert all(heard) and len(heard) == 3


def test_a_clause_that_the_agents_request_breaks_is_recorded(telecom: Domain, tasks: list[Task]):
    task = proved(telecom, tasks, Intent.GENERAL)[0]
    hasty = talk(telecom, task, Watched(["Please restart the phone.", "Done."]))
    careful = talk(
        telecom,
        task,
        Watched(["What does the status bar show?", "Please run a speed test.", "Please restart the phone.", "Done."]),
    )
    assert set(hasty.reward.broken_clauses) == {"6.1", "6.3"}
    assert careful.reward.broken_clauses == ()


@pytest.mark.parametrize("intent", list(Intent))
def test_the_reference_talk_with_the_caller_s_help_succeeds(telecom: Domain, tasks: list[Task], intent: Intent):
    for task in proved(telecom, tasks, intent)[:8]:
        rollout = talk(telecom, task, ReferenceAgent(task))
        assert rollout.reward.value == 1.0
        assert any(message.role == "user" and message.tool_calls for message in rollout.messages)


def test_the_state_of_the_phone_decides_and_a_needless_change_on_it_fails(telecom: Domain, tasks: list[Task]):
    for task in proved(telecom, tasks, Intent.GENERAL, "restart_phone")[:3]:
        *moves, last = task.expectation.moves
        extra = (*moves, Move(say="Please switch mobile data off."), last)
        without = tuple(move for move in task.expectation.moves if "restart" not in move.say)
        for wrong in (extra, without):
            rollout = talk(telecom, task, ReferenceAgent(plant(task, moves=wrong)))
            assert rollout.reward.checks["db_state"] is False


def test_the_proof_leaves_out_each_change_that_the_caller_makes(telecom: Domain, tasks: list[Task]):
    for task in proved(telecom, tasks, Intent.GENERAL, "switch_setting")[:5]:
        *reads, switch = task.expectation.calls
        assert switch.requestor == "user"
        again = switch.model_copy(update={"id": "call_x"})
        assert validate(telecom, plant(task, calls=(*reads, switch, again))).checks["necessity"]
        assert validate(telecom, plant(task, calls=tuple(reads))).checks["replay"]
        by_agent = switch.model_copy(update={"requestor": "assistant"})
        assert "no tool" in validate(telecom, plant(task, calls=(*reads, by_agent))).checks["replay"]


def test_a_symptom_fits_several_settings_until_the_caller_has_looked(telecom: Domain, tasks: list[Task]):
    symptoms = [
        task
        for task in proved(telecom, tasks, Intent.AMBIGUOUS, "switch_setting")
        if any(fact.name == "trouble" and fact.in_opening for fact in task.scenario.facts)
    ]
    assert symptoms
    for task in symptoms[:4]:
        said = [move.say for move in task.expectation.moves if move.say]
        assert any("status bar" in text for text in said)
        assert not any("Which setting" in text for text in said)
        right = task.expectation.calls[-1].arguments
        settings = telecom.tool_by_name["switch_setting"].parameters[1].choices
        for setting in settings:
            if setting == right["setting"]:
                continue
            guess = f"What does the status bar show? Please switch {setting} {'on' if 'data' in setting else 'off'}."
            rollout = talk(telecom, task, Watched([guess, "Done."]))
            assert rollout.reward.value == 0.0


def test_a_number_that_only_the_phone_shows_reaches_a_tool_of_the_agent(telecom: Domain, tasks: list[Task]):
    activations = [task for task in tasks if task.expectation.calls[-1].name == "activate_sim"]
    assert activations
    for task in activations[:4]:
        assert not prove(telecom, task)
        rollout = talk(telecom, task, ReferenceAgent(task))
        number = str(task.expectation.calls[-1].arguments["sim_number"])
        heard = [message for message in agent_view(rollout.messages) if number in message.content]
        assert heard[0].role == "user"


def test_walks_make_the_reads_that_a_rule_wants_first_and_keep_them(telecom: Domain, trajectories: list[Trajectory]):
    first = {"restart_phone": {"check_status_bar", "run_speed_test"}, "reset_access_point": {"check_network_settings"}}
    for trajectory in trajectories:
        for number, step in enumerate(trajectory.steps):
            names = {earlier.call.name for earlier in trajectory.steps[:number]}
            assert first.get(step.call.name, set()) <= names
            if step.writes and "line_id" in step.call.arguments:
                looks = [s.call for s in trajectory.steps[:number] if s.call.name == "get_line"]
                assert step.call.arguments["line_id"] in [call.arguments["line_id"] for call in looks]


def test_no_wish_is_forbidden_for_the_order_of_steps_and_no_walk_ends_in_a_change_of_nothing(
    telecom: Domain, trajectories: list[Trajectory]
):
    avoidable = {rule.clause for rule in telecom.rules if rule.avoidable}
    assert {"1.4", "6.1", "6.2", "6.3"} == avoidable
    for trajectory in trajectories:
        assert trajectory.blocked is None or trajectory.blocked.clause not in avoidable
        environment = Environment(telecom, trajectory.data)
        for step in trajectory.steps:
            before = environment.state_hash()
            environment.run(step.call)
            assert step.writes == (environment.state_hash() != before)


def test_the_reference_asks_which_line_before_it_looks_at_one(telecom: Domain, trajectories: list[Trajectory]):
    asked = 0
    for trajectory in trajectories:
        rng = random.Random(trajectory.id)
        try:
            task = write_task(Intent.AMBIGUOUS, Scene(telecom, trajectory, rng), "train", rng)
        except Unsuitable:
            continue
        questions = [n for n, move in enumerate(task.expectation.moves) if "Whose line" in move.say]
        looks = [n for n, move in enumerate(task.expectation.moves) for call in move.calls if call.name == "get_line"]
        asked += bool(questions)
        assert not questions or questions[0] < looks[0]
    assert asked >= 5


def test_a_changing_reference_looks_at_the_first_line_and_after_the_change_at_the_other(
    telecom: Domain, trajectories: list[Trajectory]
):
    other_line = 0
    for trajectory in trajectories:
        rng = random.Random(trajectory.id)
        try:
            task = write_task(Intent.CHANGING, Scene(telecom, trajectory, rng), "train", rng)
        except Unsuitable:
            continue
        looks = [call for move in task.expectation.moves for call in move.calls if call.name == "get_line"]
        if len(looks) == 2 and task.traits["when"] == ["proposal"]:
            other_line += 1
            assert not prove(telecom, task)
            said = [number for number, move in enumerate(task.expectation.moves) if "Shall I" in move.say]
            second = [number for number, move in enumerate(task.expectation.moves) if looks[1] in move.calls]
            assert said[0] < second[0] < said[1]
            assert looks[1].arguments["line_id"] == task.expectation.calls[-1].arguments["line_id"]
    assert other_line >= 2


def test_every_action_stands_for_a_tool_of_the_caller_on_their_own_phone(telecom: Domain, tasks: list[Task]):
    for task in tasks[:20]:
        actions: tuple[UserAction, ...] = task.scenario.actions
        assert {action.call.name for action in actions} == {tool.name for tool in telecom.user_tools}
        assert len({action.call.arguments["phone_id"] for action in actions}) == 1
        for action in actions:
            assert action.call.requestor == "user"
            assert action.writes == telecom.tool_by_name[action.call.name].writes


def test_a_report_shows_what_the_caller_does_as_theirs(telecom: Domain, tasks: list[Task], tmp_path):
    task = proved(telecom, tasks, Intent.GENERAL, "switch_setting")[0]
    rollout = talk(telecom, task, ReferenceAgent(task)).model_copy(update={"agent": "tuned"})
    content = ReportContent(
        name="phones",
        model="none",
        trained=(),
        results=summarize([rollout], [task], ()),
        examples=(Talk(agent="tuned", task=task, rollout=rollout),),
    )
    write_report(tmp_path, content)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("Does, unseen by the agent") == 2
    assert "by the caller" in html
    assert html.count('<li class="tool">') == len(
        [m for m in rollout.messages if m.result and m.result.requestor == "assistant"]
    )
