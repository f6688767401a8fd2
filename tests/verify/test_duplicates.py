"""What repeats another task is found, whatever process took the prints, and what does not is left alone."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.records import (
    Arguments,
    CallPattern,
    Change,
    DataSpec,
    Expectation,
    Fact,
    Intent,
    Task,
    ToolCall,
    UserScenario,
)
from t2t.report.text import words
from t2t.verify.duplicates import Contamination, Duplicates, Print, print_of

CALLERS = (("Vera Romero", "vera.romero@inbox.net"), ("Omar Lopez", "omar.lopez@post.org"))
MANNER = "Answer what you are asked, briefly and truthfully. Agree to a proposal that is what you want."


def order_task(
    opening: str,
    *,
    caller: tuple[str, str] = CALLERS[0],
    order: str = "#W1000001",
    lamp: str = "the desk lamp",
    changes: tuple[Change, ...] = (),
    forbidden: tuple[CallPattern, ...] = (),
    tool: str = "cancel_order",
    **arguments: str,
) -> Task:
    """A task of a shop, about an order with a lamp."""
    name, email = caller
    facts = tuple(
        Fact(name=slot, value=value, asked_by=(slot,), answer=answer, in_opening=value in opening)
        for slot, value, answer in (
            ("name", name, f"I am {name}."),
            ("email", email, f"My e-mail is {email}."),
            ("contains", lamp, f"The one with {lamp}, bought in the spring for my daughter's first own room."),
        )
    )
    calls: tuple[tuple[str, Arguments], ...] = (
        ("find_user", {"email": email}),
        (tool, {"order_id": order, "user_id": f"user of {email}", **arguments}),
    )
    return Task(
        id="",
        domain="shop",
        intent=Intent.GENERAL,
        data=DataSpec(seed=0, size=50, split="train"),
        wording="train",
        scenario=UserScenario(
            reason_for_call=f"You call the shop. You say: {opening}",
            known_info=f"Your name is {name}. Your email is {email}.",
            unknown_info="",
            task_instructions=f"{MANNER} Only when asked: {facts[2].answer}",
            opening=opening,
            facts=facts,
            changes=changes,
        ),
        expectation=Expectation(
            calls=tuple(
                ToolCall(id=f"call_{place}", name=one, arguments=own) for place, (one, own) in enumerate(calls, 1)
            ),
            final_hash="",
            forbidden=forbidden,
        ),
        trajectory="",
    )


OPENING = "Hi! I want to cancel an order, please send all of the money back to the card that I paid it with."


def found(first: Task, second: Task, *, threshold: float = 0.9, per_structure: int = 0) -> str:
    """What is found of the second task once the first is there."""
    duplicates = Duplicates(threshold, per_structure)
    duplicates.add(print_of(first, "shop"))
    return duplicates.find(print_of(second, "shop"))


def word_pairs(task: Task) -> set[str]:
    """The word pairs of a task without actions, anew."""
    scenario = task.scenario
    facts = [*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)]
    texts = [scenario.opening, scenario.reason_for_call, scenario.known_info, scenario.task_instructions]
    texts += [fact.answer for fact in facts] + [change.text for change in scenario.changes]
    return {" ".join(pair) for text in texts for pair in (list(pairwise(words(text))) or [words(text)])} - {""}


def jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)


def test_the_same_task_is_an_exact_duplicate_whatever_its_id_case_and_punctuation():
    again = order_task(OPENING.upper().replace("!", "!!  "))
    assert found(order_task(OPENING), again.model_copy(update={"id": "other"})) == "exact duplicate"


def test_the_same_words_with_another_answer_are_near_duplicates():
    assert found(order_task(OPENING), order_task(OPENING, order="#W1000002")) == "near-duplicate in words"


@pytest.mark.parametrize("place", range(len(OPENING.split())))
def test_one_word_changed_is_a_near_duplicate(place: int):
    changed = OPENING.split()
    changed[place] = "zebra"
    assert found(order_task(OPENING), order_task(" ".join(changed))) == "near-duplicate in words"


def test_the_persona_alone_makes_no_other_task():
    task = order_task(OPENING)
    scenario = task.scenario.model_copy(update={"persona": "You are in a hurry."})
    assert found(task, task.model_copy(update={"scenario": scenario})) == "exact duplicate"


def test_another_caller_who_opens_alike_is_no_duplicate():
    assert found(order_task("Hi! I want to cancel an order."), order_task("Hi! I want to cancel an order.")) != ""
    other = order_task("Hi! I want to cancel an order.", caller=CALLERS[1], lamp="the red kettle", order="#W1000002")
    assert found(order_task("Hi! I want to cancel an order."), other) == ""


def test_the_same_answer_in_clearly_other_words_is_no_duplicate():
    assert (
        found(order_task(OPENING), order_task("The lamp I bought is not what I hoped for. Take it off my account."))
        == ""
    )


def test_a_structure_is_seen_so_often_and_not_more_often():
    tasks = [
        order_task(f"Hi! I want to cancel the order with {lamp}.", caller=caller, lamp=lamp, order=f"#W{number}")
        for number, (caller, lamp) in enumerate(product(CALLERS, ("the desk lamp", "a kettle", "two chairs of oak")))
    ]
    duplicates, unbound = Duplicates(1.0, 3), Duplicates(1.0, 0)
    reasons: list[str] = []
    for task in tasks:
        imprint = print_of(task, "shop")
        reasons.append(duplicates.find(imprint))
        assert unbound.find(imprint) == ""
        unbound.add(imprint)
        if not reasons[-1]:
            duplicates.add(imprint)
    assert reasons == ["", "", "", *["structure seen 3 times"] * 3]


OTHER_STRUCTURES: dict[str, Callable[[], Task]] = {
    "other words": lambda: order_task("Hi! I wish to cancel the order with a kettle.", lamp="a kettle"),
    "other tool": lambda: order_task("Hi! I want to cancel the order with a kettle.", lamp="a kettle", tool="return"),
    "other arguments": lambda: order_task("Hi! I want to cancel the order with a kettle.", lamp="a kettle", why="late"),
    "equal values": lambda: order_task(
        "Hi! I want to cancel the order with a kettle.", lamp="a kettle", order=f"user of {CALLERS[0][1]}"
    ),
    "a change of mind": lambda: order_task(
        "Hi! I want to cancel the order with a kettle.", lamp="a kettle", changes=(Change(cue="done", text="No!"),)
    ),
}


@pytest.mark.parametrize("name", OTHER_STRUCTURES)
def test_what_differs_in_more_than_values_has_another_structure(name: str):
    first = print_of(order_task("Hi! I want to cancel the order with the desk lamp."), "shop")
    alike = print_of(order_task("Hi! I want to cancel the order with a kettle.", lamp="a kettle", order="#W7"), "shop")
    assert alike.structure == first.structure
    assert print_of(OTHER_STRUCTURES[name](), "shop").structure != first.structure


def test_the_index_finds_what_comparing_all_pairs_finds(library_tasks: list[Task]):
    """On tasks of a real domain, where one trajectory gives several: nothing missed, nothing found beside it."""
    duplicates = Duplicates(0.9, 0)
    seen: list[set[str]] = []
    near = 0
    for task in library_tasks:
        imprint, pairs = print_of(task, "library"), word_pairs(task)
        expected = any(jaccard(pairs, other) >= 0.9 for other in seen)
        assert bool(duplicates.find(imprint)) is expected, task.id
        near += expected
        duplicates.add(imprint)
        seen.append(pairs)
    assert 0 < near < len(seen) / 4


@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=12), min_size=1, max_size=150),
    st.sampled_from([0.3, 0.5, 0.8, 0.9, 1.0]),
)
def test_whatever_was_added_is_found_again(texts: list[list[str]], threshold: float):
    duplicates = Duplicates(threshold, 0)
    prints = [print_of(order_task(" ".join(text)), "") for text in texts]
    for imprint in prints:
        duplicates.add(imprint)
    assert all(duplicates.find(imprint) == "exact duplicate" for imprint in prints)
    other_answers = [print_of(order_task(" ".join(text), order="#W2"), "") for text in texts]
    assert all(duplicates.find(imprint) == "near-duplicate in words" for imprint in other_answers)


def test_a_task_is_found_beneath_many_that_are_nearly_the_same():
    """They share its bands, so it lies deep in every chain."""
    text = [f"w{number}" for number in range(400)]
    variants = [[*text[:place], "zebra", *text[place + 1 :]] for place in range(0, 400, 4)]
    duplicates = Duplicates(1.0, 0)
    for one in (text, *variants):
        assert duplicates.find(print_of(order_task(" ".join(one)), "")) == ""
        duplicates.add(print_of(order_task(" ".join(one)), ""))
    assert duplicates.find(print_of(order_task(" ".join(text), order="#W2"), "")) == "near-duplicate in words"


def test_thousands_of_tasks_are_all_found_again():
    duplicates = Duplicates(0.9, 0)
    tasks = [order_task(f"cancel {number} for {number * 7919} now", lamp=f"lamp {number}") for number in range(1000)]
    for task in tasks:
        duplicates.add(print_of(task, ""))
    again = [
        order_task(f"cancel {number} for {number * 7919} now", lamp=f"lamp {number}", order="#W2")
        for number in range(1000)
    ]
    assert {duplicates.find(print_of(task, "")) for task in again} == {"near-duplicate in words"}


def test_prints_are_the_same_in_every_process():
    program = (
        "import pickle, sys\n"
        "from t2t.records import Task\n"
        "from t2t.verify.duplicates import print_of\n"
        "task = Task.model_validate_json(sys.stdin.read())\n"
        "sys.stdout.buffer.write(pickle.dumps(print_of(task, 'shop')))\n"
    )
    task = order_task(OPENING)
    taken = [
        subprocess.run(
            [sys.executable, "-c", program],
            input=task.model_dump_json().encode(),
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert [pickle.loads(one) for one in taken] == [print_of(task, "shop")] * 2


def contamination_of(*evaluated: tuple[Task, str]) -> Contamination:
    contamination = Contamination(0.9)
    for task, scope in evaluated:
        contamination.add_task(print_of(task, scope))
    return contamination


def test_the_text_of_an_evaluation_task_is_found_whatever_the_answer():
    contamination = contamination_of((order_task(OPENING), "shop"))
    assert contamination.find(print_of(order_task(OPENING, order="#W9"), "x")) == "same text as an evaluation task"


def test_the_words_of_an_evaluation_task_are_found_with_one_changed():
    contamination = contamination_of((order_task("Something quite different."), "shop"), (order_task(OPENING), "shop"))
    changed = order_task(OPENING.replace("please", "kindly"))
    assert contamination.find(print_of(changed, "train")) == "words of an evaluation task"


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_words_are_found_where_comparing_with_all_evaluation_tasks_finds_them(
    library_tasks: list[Task], threshold: float
):
    evaluated, trained = library_tasks[::2], library_tasks[1::2]
    contamination = Contamination(threshold)
    for task in evaluated:
        contamination.add_task(print_of(task, "test"))
    known = [word_pairs(task) for task in evaluated]
    for task in trained:
        reason = contamination.find(print_of(task, "train"))
        near = any(jaccard(word_pairs(task), other) >= threshold for other in known)
        assert (reason in ("words of an evaluation task", "same text as an evaluation task")) is near, task.id


def test_an_evaluation_task_is_found_without_its_rarest_words():
    common = " ".join(f"w{number}" for number in range(100))
    rare = order_task(f"{common} {' '.join(f'rare{number}' for number in range(10))}")
    longer = order_task(f"{common} {' '.join(f'other{number}' for number in range(60))}")
    assert jaccard(word_pairs(rare), word_pairs(order_task(common))) >= 0.9
    contamination = contamination_of((rare, "test"), (longer, "test"))
    assert contamination.find(print_of(order_task(common), "train")) == "words of an evaluation task"


def task_of(task: Task, **update: object) -> Task:
    return task.model_copy(update={"expectation": task.expectation.model_copy(update=update)})


EVALUATED = order_task(OPENING, caller=("A B", "a.b@c.de"), order="#W4711")
IDENTIFIED: Mapping[str, tuple[Task, str]] = {
    "call": (order_task("My lamp broke, cancel it.", order="#W4711"), "W4711"),
    "forbidden call": (
        order_task(
            "My lamp broke, cancel it.", forbidden=(CallPattern(name="cancel_order", arguments={"order_id": "W4711"}),)
        ),
        "W4711",
    ),
    "caller": (task_of(order_task("My lamp broke, cancel it."), caller="W4711"), "W4711"),
    "list": (
        task_of(
            order_task("My lamp broke, cancel it."),
            calls=(ToolCall(id="call_1", name="merge", arguments={"order_ids": ["#W1", "#W4711"]}),),
        ),
        "W4711",
    ),
    "address": (order_task("Cancel it, I write as A.B@c.de."), "a.b@c.de"),
}


@pytest.mark.parametrize("name", IDENTIFIED)
def test_an_identifier_of_an_evaluation_task_is_found_in_a(name: str):
    task, identifier = IDENTIFIED[name]
    contamination = contamination_of((EVALUATED, ""))
    assert contamination.find(print_of(task, "")) == f"identifier {identifier} of an evaluation task"


def test_ids_of_data_that_is_generated_for_each_split_mean_another_thing_there():
    contamination = contamination_of((EVALUATED, "shop/test"))
    other = order_task("My lamp broke, cancel it.", order="#W4711")
    assert contamination.find(print_of(other, "shop/train")) == ""


def test_an_id_of_the_catalogue_is_not_the_caller_s():
    evaluated = order_task(OPENING, caller=("A B", "a.b@c.de"), order="#W4711", product_id="P1", item_id="I1")
    other = order_task("My lamp broke, cancel it.", order="#W5", product_id="P1", item_id="I1")
    assert contamination_of((evaluated, "")).find(print_of(other, "")) == ""


def test_other_callers_repeat_no_evaluation_task(library_tasks: list[Task]):
    by_caller: dict[str, list[Task]] = {}
    for task in library_tasks:
        email = next(fact.value for fact in task.scenario.facts if fact.name == "email")
        by_caller.setdefault(email, []).append(task)
    callers = sorted(by_caller)
    evaluated = [task for email in callers[::2] for task in by_caller[email]]
    trained = [task for email in callers[1::2] for task in by_caller[email]]
    contamination = contamination_of(*((task, "test") for task in evaluated))
    reasons = [contamination.find(print_of(task, "train")) for task in trained]
    assert len(reasons) > 50
    assert sum(map(bool, reasons)) <= len(reasons) / 100
    assert all(contamination.find(print_of(task, "test")) for task in evaluated)


def test_a_user_of_a_human_written_task_of_tau2_is_known_without_tau2():
    task = task_of(
        order_task("Hello, it is about my keyboard."),
        calls=(ToolCall(id="call_1", name="get_user_details", arguments={"user_id": "yusuf_rossi_9620"}),),
    )
    contamination = Contamination(0.9)
    assert contamination.find(print_of(task, "")) == "identifier yusuf_rossi_9620 of an evaluation task"
    assert contamination.find(print_of(task, "retail/0/200/train")) == ""


def test_prints_are_small(library_tasks: list[Task]):
    prints: list[Print] = [print_of(task, "library") for task in library_tasks]
    assert sum(len(pickle.dumps(one)) for one in prints) / len(prints) < 1500
