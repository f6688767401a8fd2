"""A model words tasks; what it loses, leaks or adds is found by reading its texts back."""

import asyncio
import json
import random
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.config import ApiConfig
from t2t.domain.domain import load_domain
from t2t.errors import ConfigError, InfraError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import task_id, write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.intents.writer import Rejected, Texts, rewrite, rewrite_all
from t2t.journal import Journal
from t2t.models.structured import TRUNCATED, Malformed, StructuredClient
from t2t.records import (
    Change,
    DataSpec,
    Expectation,
    Fact,
    Intent,
    Meant,
    Refusal,
    Task,
    ToolCall,
    UserScenario,
)
from tests.chat_endpoint import answering, good_texts, said


def fact(name, value, answer, told):
    return Fact(name=name, value=value, asked_by=(name,), answer=answer, in_opening=told)


def reservation(title, branch, told):
    slots = {"title": title, "author": "Greta Ito", "branch": branch}
    return Meant(tool="reserve_book", arguments={"book_id": "B7"}, slots=slots, told=told)


FACTS = (fact("email", "jo.ames@post.org", "It is jo.ames@post.org.", True), fact("name", "Jo Ames", "I am Jo.", False))
AUTHOR = fact("author", "Greta Ito", "It is by Greta Ito.", False)
OPENING = "Hi, my e-mail is jo.ames@post.org. I would like to reserve Northern Lights at Central."
TASK = Task(
    id="library-changing-0",
    domain="library",
    intent=Intent.CHANGING,
    data=DataSpec(seed=1, size=50, split="train"),
    wording="train",
    scenario=UserScenario(
        reason_for_call=f"You call the library. You say: {OPENING}",
        known_info="Your email is jo.ames@post.org. Your name is Jo Ames.",
        unknown_info="You do not know the rules of the house.",
        task_instructions="Be brief. Only when asked: It is by Greta Ito. When the agent asks you to confirm, say "
        "instead: Actually, I want to pick it up at Harbour.",
        opening=OPENING,
        facts=(*FACTS, AUTHOR),
        changes=(Change(cue="proposal", text="Actually, I want to pick it up at Harbour.", facts=(*FACTS, AUTHOR)),),
        persona="You are in a hurry.",
    ),
    expectation=Expectation(
        calls=(ToolCall(id="c1", name="reserve_book", arguments={"book_id": "B7", "note": "velvet rope"}),),
        final_hash="0" * 32,
        tell=("seven weeks",),
        refusal=Refusal(clause="3.2", cues=("overdue",)),
        wishes=(reservation("Northern Lights", "Harbour", ("branch",)),),
        earlier=(reservation("Northern Lights", "Central", ("title", "branch")),),
    ),
    trajectory="library-train-0",
)
GOOD = Texts(
    opening="Hello there! This is about {email}: could you reserve {title} for me? {branch} suits me best.",
    reason_for_call="You call because you would like to reserve {title} at {branch}; your account is under {email}.",
    known_info="You are {name}, and your e-mail is {email}.",
    unknown_info="You have no idea of the rules of the house.",
    task_instructions="You write in a rush and keep it short.",
    changes=["Hmm, on second thought I'd rather pick it up at {branch_2}."],
)


def scripted(*answers):
    """A model that gives these answers in turn, and what it was asked."""
    asked = []

    async def ask(messages, form, seed):
        asked.append((messages, seed))
        assert form is Texts
        return answers[min(len(asked), len(answers)) - 1]

    return ask, asked


def write(*answers, task=TASK, max_tries=1):
    ask, asked = scripted(*answers)
    return asyncio.run(rewrite(task, ask, max_tries=max_tries, seed=5)), asked


def test_the_values_come_from_the_record_and_the_proof_stays():
    made, asked = write(GOOD)
    assert isinstance(made, Task)
    assert made.scenario.opening == (
        "Hello there! This is about jo.ames@post.org: could you reserve Northern Lights for me? Central suits me best."
    )
    assert made.scenario.known_info == "You are Jo Ames, and your e-mail is jo.ames@post.org."
    assert made.scenario.changes[0].text == "Hmm, on second thought I'd rather pick it up at Harbour."
    assert made.scenario.changes[0].model_copy(update={"text": ""}) == TASK.scenario.changes[0].model_copy(
        update={"text": ""}
    )
    assert made.scenario.task_instructions == (
        "Be brief. Only when asked: It is by Greta Ito. When the agent asks you to confirm, say instead: Hmm, on "
        "second thought I'd rather pick it up at Harbour. You write in a rush and keep it short."
    )
    assert (made.expectation, made.scenario.facts, made.data) == (TASK.expectation, TASK.scenario.facts, TASK.data)
    assert made.id == task_id(made) != TASK.id
    prompt = asked[0][0][-1].content
    assert "You are in a hurry." in prompt and "{branch_2} stands for: Harbour" in prompt
    assert "changes[0]: Actually, I want to pick it up at {branch_2}." in prompt
    assert "Greta" not in prompt and "seven weeks" not in prompt and "velvet" not in prompt and "overdue" not in prompt


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("opening", "Hello, {email} here, please reserve a book at {branch}.", "it lost {title}"),
        ("opening", "{email}: reserve {title} at {branch} or {branch_2}.", "it leaks {branch_2}"),
        ("opening", "{email}: reserve {title} by {author} at {branch}.", "there is no placeholder {author}"),
        ("opening", "{email}: reserve {title} by Greta Ito at {branch}.", "it leaks what is not told here"),
        ("opening", "{email}: reserve {title} by greta ito at {branch}.", "it leaks what is not told here"),
        ("opening", "{email}: reserve {title} at {branch} for seven weeks.", "it leaks what is not told here"),
        ("opening", "{email}: reserve {title} at {branch}, two copies.", "it adds a number"),
        ("opening", "{email}: reserve {title} at {branch}, with the velvet rope.", "it leaks what is not told here"),
        ("opening", "{email}: reserve {title} at {branch}, though I am overdue.", "it leaks the reason of the refusal"),
        ("opening", "{email}: reserve {title} at Central {branch}.", "it writes {branch} out"),
        ("opening", "{email}: reserve {title}, northern lights, at {branch}.", "it writes {title} out"),
        ("opening", "{email}: reserve {title} at {branch} within 3 hours.", "it adds a number"),
        ("opening", "{email}: reserve {title} at {branch} by tomorrow.", "it adds a date"),
        ("opening", "{email}: reserve {title} at {branch} by the June holidays.", "it adds a date"),
        ("opening", "{email}: reserve {title} at {branch} for my friend Magda.", "it adds a name"),
        ("opening", "{email}: reserve {title} at {branch}. Magda will come.", "it adds a name"),
        ("opening", "{email}: reserve {title} at {branch}, or mail me at a@b.", "it holds markup or a symbol"),
        ("opening", "**{email}**: reserve {title} at {branch}.", "it holds markup or a symbol"),
        ("opening", '{email}: reserve {title} at {branch} "or so".', "it holds markup or a symbol"),
        ("opening", "{email}: reserve {title} at {branch} {.", "it holds markup or a symbol"),
        ("opening", "{email}: reserve {title} at {branch}. Renew the other one.", "it adds another wish, 'renew'"),
        ("opening", "{email}: please don't reserve {title} at {branch}.", "it turns the wish round"),
        (
            "opening",
            "{email}: reserve {title} at {branch}, whatever the policy.",
            "it speaks of what is behind the scenes",
        ),
        (
            "opening",
            "{email}: reserve {title} at {branch}. I may change my mind.",
            "it speaks of what is behind the scenes",
        ),
        ("opening", "You want to reserve {title} at {branch} as {email}.", "it is not in the first person"),
        ("opening", "{email}. You need {title} at {branch}.", "it is not in the first person"),
        ("opening", "", "it is empty"),
        ("opening", "{email} {title} {branch} " + "please " * 200, "it is longer than 700 characters"),
        ("reason_for_call", "I want {title} at {branch}, {email}.", "it is not in the second person"),
        ("reason_for_call", "Getting {title} at {branch}, {email}.", "it is not in the second person"),
        ("known_info", "You are {name}.", "it lost {email}"),
        ("known_info", "My name is {name}, {email}.", "it is not in the second person"),
        ("unknown_info", "You do not know {title}.", "it leaks {title}"),
        ("task_instructions", "", "it is empty"),
        ("task_instructions", "You agree to everything.", "it settles more than the manner"),
        ("changes[0]", "Wait, there.", "it lost {branch_2}"),
        ("changes[0]", "Wait, not {branch} but {branch_2}.", "it leaks {branch}"),
    ],
)
def test_a_text_that_is_not_right_is_rejected_by_name(field, text, reason):
    change = {"changes": [text]} if field == "changes[0]" else {field: text}
    assert write(GOOD.model_copy(update=change))[0] == Rejected(TASK.id, f"{field}: {reason}")


def test_two_wishes_of_a_kind_are_not_mixed_up():
    second = Meant(tool="renew_loan", arguments={"loan_id": "L1"}, slots={"title": "Salt"}, told=("title",))
    wishes = TASK.expectation.model_copy(update={"wishes": (*TASK.expectation.wishes, second)})
    scenario = TASK.scenario.model_copy(update={"opening": f"{OPENING} Also, renew Salt."})
    task = TASK.model_copy(update={"scenario": scenario, "expectation": wishes})
    told = "{email}. Please reserve {title} at {branch}, and renew {title_2}."
    for opening, reason in (
        (told, ""),
        ("{email}. Please reserve {title_2} at {branch}, and renew {title}.", "it mixes up {title} and {title_2}"),
        ("{email}. Please renew {title} at {branch}, and reserve {title_2}.", "it mixes up the wishes"),
    ):
        made, _ = write(GOOD.model_copy(update={"opening": opening}), task=task)
        assert made == Rejected(TASK.id, f"opening: {reason}") if reason else isinstance(made, Task)


def test_each_change_of_mind_is_worded():
    reason = "changes: there must be 1, not 0"
    assert write(GOOD.model_copy(update={"changes": []}))[0] == Rejected(TASK.id, reason)


def test_curly_quotes_and_line_breaks_are_no_fault():
    made, _ = write(GOOD.model_copy(update={"unknown_info": "You don’t know\n the rules."}))
    assert isinstance(made, Task) and made.scenario.unknown_info == "You don't know the rules."


def test_what_is_wrong_is_shown_to_the_model_and_it_may_write_again():
    bad = GOOD.model_copy(update={"opening": "Hi.", "known_info": "You are {name}."})
    made, asked = write(bad, Malformed(TRUNCATED, '{"ope'), GOOD, max_tries=3)
    assert isinstance(made, Task) and len(asked) == 3
    second, third = (messages for messages, _ in asked[1:])
    assert [one.role for one in second] == [one.role for one in third] == ["system", "user", "assistant", "user"]
    assert second[:2] == third[:2] == asked[0][0]
    assert second[2].content == bad.model_dump_json() and third[2].content == '{"ope'
    assert "- opening: it lost {email}\n- known_info: it lost {email}" in second[3].content
    assert f"- {TRUNCATED}" in third[3].content
    assert len({seed for _, seed in asked}) == 3


def test_the_tries_are_bounded_and_the_last_reason_is_kept():
    made, asked = write(
        GOOD.model_copy(update={"opening": "Hi."}), Malformed("the answer is no JSON", "x"), max_tries=2
    )
    assert made == Rejected(TASK.id, "the answer is no JSON") and len(asked) == 2


@pytest.fixture(scope="module")
def many_tasks(library_tasks) -> list[Task]:
    """Tasks of several domains and all intents."""
    tasks = library_tasks[:120]
    for name in ("retail", "clinic", "telecom"):
        domain = load_domain(name)
        data = DataSpec(seed=5, size=120, split="train")
        walks = explore(domain, data, 15, max_steps=8, blocked_share=0.4, seed=5, coverage=Coverage())
        for trajectory in walks:
            for intent in Intent:
                rng = random.Random(trajectory.id)
                try:
                    tasks.append(write_task(intent, Scene(domain, trajectory, rng), "train", rng))
                except Unsuitable:
                    continue
    return tasks


def test_nearly_every_task_can_be_worded_by_a_model_that_does_as_it_is_told(many_tasks):
    async def ask(messages, form, seed):
        return good_texts(messages)

    made = list(rewrite_all(many_tasks, ask, max_tries=1, concurrency=4, seed=0))
    assert len(made) == len(many_tasks) > 180
    rejected = [one for one in made if isinstance(one, Rejected)]
    assert len(rejected) <= 0.03 * len(made), rejected
    for before, after in zip(many_tasks, made, strict=True):
        if isinstance(after, Task):
            assert after.scenario.opening == f"Good to have you there. {before.scenario.opening}"
            assert after.expectation == before.expectation
            said_then = [change.text for change in after.scenario.changes]
            assert said_then == [f"Oh, listen. {change.text}" for change in before.scenario.changes]
            assert all(text in after.scenario.task_instructions for text in said_then)


@given(data=st.data())
def test_no_expected_or_withheld_value_gets_into_an_opening(many_tasks, data):
    task = data.draw(st.sampled_from(many_tasks))
    wishes = (*task.expectation.wishes, *task.expectation.earlier)
    secrets = {value for wish in wishes for name, value in wish.slots.items() if value not in task.scenario.opening}
    secrets |= {text for text in task.expectation.tell if text not in task.scenario.opening}
    secrets |= {call.name for call in task.expectation.calls}
    secrets |= {
        str(value)
        for call in task.expectation.calls
        for value in call.arguments.values()
        if isinstance(value, str | int) and str(value) not in task.scenario.opening
    }
    secret = data.draw(st.sampled_from(sorted(secrets)))

    async def ask(messages, form, seed):
        texts = good_texts(messages)
        return texts.model_copy(update={"opening": f"{texts.opening} It is {secret}, I think."})

    assert isinstance(asyncio.run(rewrite(task, ask, max_tries=1, seed=0)), Rejected), secret


@given(data=st.data(), rng=st.randoms(use_true_random=False))
def test_no_told_value_gets_lost_from_an_opening_or_a_change(many_tasks, data, rng):
    task = data.draw(st.sampled_from(many_tasks))

    async def ask(messages, form, seed):
        texts = good_texts(messages)
        said = [texts.opening, *texts.changes]
        place = rng.randrange(len(said))
        found = re.findall(r"\{\w+\}", said[place])
        if not found:
            return Malformed("nothing to lose", "")
        said[place] = said[place].replace(rng.choice(found), "that one")
        return texts.model_copy(update={"opening": said[0], "changes": said[1:]})

    rejected = asyncio.run(rewrite(task, ask, max_tries=1, seed=0))
    assert isinstance(rejected, Rejected) and ("lost" in rejected.reason or rejected.reason == "nothing to lose")


def over_http(url, tasks, file: Path, **options):
    with Journal(file) as journal:
        api = ApiConfig(base_urls=(url,), model="m", max_tokens=options.pop("max_tokens", 600), patience_s=0.05)
        client = StructuredClient(api, "m", journal)
        yield from rewrite_all(tasks, client.ask, **{"max_tries": 3, "concurrency": 4, "seed": 0, **options})


def test_a_run_over_http_goes_on_where_it_was_killed_and_pays_nothing_twice(library_tasks, tmp_path):
    """Every third answer is bad in one of five ways; the second run asks only for what the first one did not get."""
    tasks = library_tasks[:24]

    def answer(body):
        texts = good_texts(body["messages"]).model_dump()
        kind = hash_of(body) % 15
        if kind == 0:
            return said(json.dumps(texts)[:40], finish="length")
        if kind == 1:
            return said("Sure! Here is the JSON:")
        if kind == 2:
            return said({**texts, "opening": "Hi."})
        return said(texts)

    def hash_of(body):
        return zlib.crc32(json.dumps([body["messages"], body["seed"]]).encode())

    with answering(answer) as whole:
        expected = list(over_http(whole.url, tasks, tmp_path / "whole"))
    kept = [one for one in expected if isinstance(one, Task)]
    assert len(expected) == 24 and len(kept) > 20 and len(whole.asked) > 24
    budget = [len(whole.asked) // 2]

    def dying(body):
        budget[0] -= 1
        return answer(body) if budget[0] >= 0 else (500, {})

    with answering(dying) as first, pytest.raises(InfraError):
        list(over_http(first.url, tasks, tmp_path / "part"))
    with answering(answer) as second:
        assert list(over_http(second.url, tasks, tmp_path / "part")) == expected
    assert len(second.asked) == len(whole.asked) - len(whole.asked) // 2
    with answering(answer) as third:
        assert list(over_http(third.url, tasks, tmp_path / "part")) == expected
    assert third.asked == []


def test_a_wrong_key_ends_the_run_at_once(library_tasks, tmp_path):
    with answering(lambda body: (401, {})) as endpoint, pytest.raises(ConfigError, match="check the key"):
        list(over_http(endpoint.url, library_tasks, tmp_path / "j"))
    assert len(endpoint.asked) <= 16
