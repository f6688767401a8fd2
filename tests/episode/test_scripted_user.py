"""How the scripted caller takes what agents say: questions, guesses, proposals and ends in many forms."""

import random
from collections.abc import Mapping

import pytest

from t2t.domain.domain import load_domain
from t2t.domain.environment import Environment
from t2t.episode.user import ScriptedUser, UserTurn
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.records import DataSpec, Fact, Intent, Task

DATA = DataSpec(seed=3, size=80, split="train")


def tasks_of(name: str) -> list[Task]:
    domain = load_domain(name)
    found: list[Task] = []
    for walk in explore(domain, DATA, 40, max_steps=8, blocked_share=0.0, seed=3, coverage=Coverage()):
        for intent in (Intent.GENERAL, Intent.AMBIGUOUS, Intent.CHANGING):
            rng = random.Random(walk.id)
            try:
                found.append(write_task(intent, Scene(domain, walk, rng), "train", rng))
            except Unsuitable:
                continue
    return found


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, list[Task]]:
    return {name: tasks_of(name) for name in ("library", "retail", "airline", "banking", "clinic", "telecom")}


def facts_of(task: Task) -> dict[str, Fact]:
    return {fact.name: fact for fact in task.scenario.facts}


def answer(task: Task, text: str) -> UserTurn:
    return ScriptedUser(task.scenario, task.id).answer(text)


def with_tool(tasks: list[Task], tool: str, intent: Intent = Intent.AMBIGUOUS) -> Task:
    return next(
        task for task in tasks if task.intent is intent and [wish.tool for wish in task.expectation.wishes] == [tool]
    )


QUESTIONS = [
    ("retail", "cancel_order", "Please confirm your zip code.", ["zip"]),
    ("retail", "cancel_order", "Could you confirm your full name for me?", ["name"]),
    ("retail", "cancel_order", "To proceed, I need your zip code.", ["zip"]),
    ("retail", "cancel_order", "Before I go ahead, may I have your e-mail, please", ["email"]),
    ("retail", "cancel_order", "Please provide your postal code so that I can proceed.", ["zip"]),
    ("retail", "cancel_order", "I'll need your e-mail address to find your account.", ["email"]),
    ("retail", "cancel_order", "Your name, please.", ["name"]),
    ("retail", "cancel_order", "Sure, one moment. Let me look that up. What's the zip code?", ["zip"]),
    ("retail", "cancel_order", "What is your e-mail? And why do you want to cancel?", ["email", "reason"]),
    ("retail", "cancel_order", "I can help with that!\n\n1. Your full name\n2. What is your zip code?", ["zip"]),
    ("retail", "cancel_order", "Should I put down {reason} or found cheaper elsewhere as the reason?", ["reason"]),
    ("library", "renew_loan", "Which of the two?", ["title"]),
    ("library", "renew_loan", "Do you mean {title}?", ["title"]),
    ("library", "renew_loan", "Did you mean Ocean Murders?", ["title"]),
    ("library", "renew_loan", "Is it {title}, or the other one?", ["title"]),
    ("library", "reserve_book", "Kindly tell me the branch.", ["branch"]),
    ("airline", "cancel_booking", "Could I get your membership number, please?", ["membership"]),
    ("airline", "cancel_booking", "Would you like a voucher or a bank transfer?", ["payout"]),
    ("airline", "cancel_booking", "Is it the trip to {trip}?", ["trip"]),
    ("telecom", "suspend_line", "I'd need your date of birth first.", ["born"]),
    ("banking", "dispute_payment", "Is it about {merchant}?", ["merchant"]),
    ("clinic", "cancel_appointment", "Kindly state your date of birth.", ["birthdate"]),
    ("telecom", "suspend_line", "Whose line should it be? And is it lost, stolen or not needed?", ["user", "reason"]),
]


@pytest.mark.parametrize(("domain", "tool", "text", "names"), QUESTIONS)
def test_the_caller_tells_what_a_question_asks_for_and_nothing_else(
    tasks: Mapping[str, list[Task]], domain: str, tool: str, text: str, names: list[str]
):
    task = with_tool(tasks[domain], tool)
    facts = facts_of(task)
    turn = answer(task, text.format(**{name: fact.value for name, fact in facts.items()}))
    told = [name for name, fact in facts.items() if fact.answer in turn.text]
    assert set(told) == set(names), turn
    assert not turn.agrees and not turn.done


GUESSES = [
    ("library", "renew_loan", "Do you mean {title}?", "Yes."),
    ("library", "renew_loan", "Are you referring to {title}?", "Yes."),
    ("library", "renew_loan", "Did you mean Ocean Murders?", "No."),
    ("airline", "cancel_booking", "Is it the trip to {trip}?", "Yes."),
    ("airline", "cancel_booking", "Is it the trip that begins on {begins}?", "Yes."),
    ("airline", "cancel_booking", "Is that the one on August 31?", "No."),
    ("banking", "dispute_payment", "Is it the payment to {merchant}?", "Yes."),
    ("retail", "cancel_order", "Is it the order from {ordered}?", "Yes."),
    ("retail", "cancel_order", "Do you mean the order from December 31?", "No."),
    ("retail", "cancel_order", "Your zip code is 00001, is that correct?", "No."),
    ("retail", "cancel_order", "Your zip code is {zip}, is that correct?", "Yes, that is right."),
    ("retail", "cancel_order", "Is it the purple one?", "No."),
    ("retail", "cancel_order", "Do you mean order R9000004?", "I don't know."),
    ("retail", "cancel_order", "What is your shoe size?", "I don't know."),
]


@pytest.mark.parametrize(("domain", "tool", "text", "start"), GUESSES)
def test_a_guess_of_the_agent_gets_a_yes_or_a_no_that_is_true_and_allows_nothing(
    tasks: Mapping[str, list[Task]], domain: str, tool: str, text: str, start: str
):
    task = with_tool(tasks[domain], tool)
    turn = answer(task, text.format(**{name: fact.value for name, fact in facts_of(task).items()}))
    assert turn.text.startswith(start) and not turn.agrees and not turn.done, turn


@pytest.mark.parametrize(
    ("text", "agrees", "done"),
    [
        ("I will do that for you. Shall I go ahead?", True, False),
        ("I'll cancel the order and refund your card. Is that okay?", True, False),
        ("So the order is cancelled and the money goes back to your card. Is that correct?", True, False),
        ("Please confirm that you want to cancel the order (yes/no).", True, False),
        ("Before I proceed: do you want me to cancel it?", True, False),
        ("Would you like me to proceed with the refund to your original payment method?", True, False),
        ("I am going to look that up now.", True, False),
        ("Your order is cancelled. Is there anything else I can help you with?", False, True),
        ("It is done. Let me know if you need anything else.", False, True),
        ("Your order has been cancelled.", False, True),
        ("I am sorry, I cannot do that.", False, True),
    ],
)
def test_proposals_get_a_yes_and_ends_a_goodbye(tasks: Mapping[str, list[Task]], text: str, agrees: bool, done: bool):
    turn = answer(with_tool(tasks["retail"], "cancel_order", Intent.GENERAL), text)
    assert (turn.agrees, turn.done) == (agrees, done), turn


def test_a_question_beside_a_proposal_is_answered_with_the_yes(tasks: Mapping[str, list[Task]]):
    task = with_tool(tasks["retail"], "cancel_order")
    turn = answer(task, "What is the reason? And shall I go ahead then?")
    assert facts_of(task)["reason"].answer in turn.text and turn.agrees


def test_a_caller_asked_for_more_tells_one_thing_after_the_other(tasks: Mapping[str, list[Task]]):
    task = with_tool(tasks["airline"], "cancel_booking")
    user = ScriptedUser(task.scenario, task.id)
    told = [user.answer("Can you be more specific?").text for _ in range(2)]
    assert len(set(told)) == 2
    assert all(text in [fact.answer for fact in task.scenario.facts] for text in told)


def test_a_change_of_mind_still_comes_in_place_of_the_yes(tasks: Mapping[str, list[Task]]):
    changing = [
        task
        for found in tasks.values()
        for task in found
        if task.scenario.changes and task.scenario.changes[0].cue == "proposal"
    ]
    assert len(changing) > 20
    for task in changing:
        turn = answer(task, "To be sure: I will do that now. Please confirm (yes/no).")
        assert turn.text == task.scenario.changes[0].text and not turn.agrees


def test_every_question_of_a_domain_is_answered_inside_other_words(tasks: Mapping[str, list[Task]]):
    """The domains' own questions, wrapped as agents wrap them, on every task: the answer asked for is given."""
    frames = (
        "Thank you for waiting. {}",
        "I see several of them here. {}",
        "{} Please let me know so that I can proceed.",
        "Before I go ahead, one question: {}",
    )
    asked = 0
    for name, found in tasks.items():
        domain = load_domain(name)
        environments = {task.data: Environment(domain, task.data) for task in found}
        assert environments
        for number, task in enumerate(found):
            wish = domain.wish_by_tool[task.expectation.wishes[-1].tool]
            facts = facts_of(task)
            if len(task.expectation.wishes) > 1 or task.scenario.changes:
                continue
            for slot in (*domain.callers.slots, *wish.slots):
                if slot.name not in facts or facts[slot.name].asked_by != slot.asked_by:
                    continue
                asked += 1
                fact = facts[slot.name]
                said = frames[number % len(frames)].format(slot.question)
                plain = answer(task, slot.question).text
                if fact.answer in plain:
                    assert fact.answer in answer(task, said).text, (said, fact)
    assert asked > 200
