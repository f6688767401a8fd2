"""Answers in a form, over the real protocol, from an endpoint whose answers are written here."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from t2t.config import ApiConfig
from t2t.errors import ConfigError, InfraError
from t2t.journal import Journal
from t2t.models.structured import TRUNCATED, Malformed, StructuredClient, in_order
from t2t.records import Message
from tests.chat_endpoint import answering, said


class Colour(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    depth: Literal[1, 2]


QUESTION = [Message(role="system", content="Name a colour."), Message(role="user", content="Please.")]
BLUE = {"name": "blue", "depth": 1}


def ask(url, file: Path, *seeds, name="m1", env=""):
    """Answers by seed, one after the other, with a journal in `file`."""

    async def run():
        with Journal(file) as journal:
            api = ApiConfig(base_urls=(url,), model="m", args={"top_p": 0.5}, api_key_env=env, patience_s=0.3)
            client = StructuredClient(api, name, journal)
            return [await client.ask(QUESTION, Colour, seed) for seed in seeds]

    return asyncio.run(run())


def test_the_schema_travels_and_the_record_comes_back(tmp_path):
    with answering(lambda body: said(BLUE)) as endpoint:
        assert ask(endpoint.url, tmp_path / "j", 3) == [Colour(name="blue", depth=1)]
    body = endpoint.asked[0]
    form = body["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    schema = form["json_schema"]["schema"]
    assert (schema["required"], schema["additionalProperties"]) == (["name", "depth"], False)
    assert (body["seed"], body["top_p"], len(body["messages"]), "tools" in body) == (3, 0.5, 2, False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said('{"name": "bl', finish="length"), TRUNCATED),
        (said(BLUE, finish="length"), TRUNCATED),
        (said('{"name": "bl'), "the answer is no JSON"),
        (said(""), "the answer is no JSON"),
        (said({"name": "blue"}), "depth: Field required"),
        (said({"name": "blue", "depth": 3}), "depth: Input should be 1 or 2"),
        (said({**BLUE, "more": 1}), "more: Extra inputs are not permitted"),
    ],
)
def test_an_answer_in_another_form_says_what_is_wrong_and_is_not_asked_for_again(tmp_path, answer, reason):
    with answering(lambda body: answer) as endpoint:
        for _ in range(2):
            (got,) = ask(endpoint.url, tmp_path / "j", 1)
            assert isinstance(got, Malformed) and got.reason == reason
    assert len(endpoint.asked) == 1


def test_what_was_answered_is_never_asked_for_again_and_what_differs_is(tmp_path):
    with answering(lambda body: said({"name": str(body["seed"]), "depth": 2})) as endpoint:
        first = ask(endpoint.url, tmp_path / "j", 1, 2, 1)
        again = ask(endpoint.url, tmp_path / "j", 2, 1, 3)
        assert [one.name for one in (*first, *again)] == ["1", "2", "1", "2", "1", "3"]
        assert [body["seed"] for body in endpoint.asked] == [1, 2, 3]
        ask(endpoint.url, tmp_path / "j", 1, name="another model")
        assert len(endpoint.asked) == 4


def test_a_busy_service_is_tried_again_and_a_broken_one_ends_the_run_with_what_is_paid_kept(tmp_path):
    faults = [(429, {"error": {"message": "slow down"}}), (500, {})]
    with answering(lambda body: faults.pop() if faults else said(BLUE)) as endpoint:
        assert ask(endpoint.url, tmp_path / "j", 1) == [Colour(name="blue", depth=1)]
        assert len(endpoint.asked) == 3
    with answering(lambda body: (500, {})) as endpoint:
        with pytest.raises(InfraError, match="times within patience_s=0.3"):
            ask(endpoint.url, tmp_path / "j", 1, 2)
        assert {body["seed"] for body in endpoint.asked} == {2}


def test_a_prompt_that_is_too_long_is_said_and_may_be_asked_again(tmp_path):
    refused = 400, {"error": {"message": "too many", "code": "context_length_exceeded"}}
    with answering(lambda body: refused) as endpoint:
        for _ in range(2):
            assert ask(endpoint.url, tmp_path / "j", 1)[0].reason == "the question does not fit the context"
    assert len(endpoint.asked) == 2


def test_a_wrong_key_and_missing_settings_are_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("T2T_TEST_KEY", "canary-71bc")
    wrong = 401, {"error": {"message": "wrong key canary-71bc"}}
    with answering(lambda body: wrong) as endpoint, pytest.raises(ConfigError, match="check the key") as refused:
        ask(endpoint.url, tmp_path / "j", 1, env="T2T_TEST_KEY")
    assert "canary" not in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="base_urls"), Journal(tmp_path / "j") as journal:
        StructuredClient(ApiConfig(), "m1", journal)
    monkeypatch.delenv("T2T_TEST_KEY")
    with pytest.raises(ConfigError, match="T2T_TEST_KEY"):
        ask("http://127.0.0.1:1", tmp_path / "j", 1, env="T2T_TEST_KEY")


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken, working, most = [], 0, 0

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    async def work(number):
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.02 if number % 7 == 0 else 0.0001)
        working -= 1
        return number * number

    results = in_order(items(), work, 3)
    assert taken == []
    for number in range(100):
        assert next(results) == number * number
        assert len(taken) <= number + 12
    assert list(results) == [] and most == 3


def test_a_failure_comes_at_its_place_and_ends_the_work(recwarn):
    async def work(number):
        if number >= 5:
            raise InfraError(f"gone at {number}")
        return number

    results = in_order(range(10**9), work, 2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InfraError, match="gone at 5"):
        next(results)
    assert not recwarn.list


def test_who_stops_listening_leaves_nothing_running():
    cancelled = []

    async def work(number):
        try:
            await asyncio.sleep(0 if number == 0 else 3600)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    results = in_order(range(10), work, 4)
    assert next(results) == 0
    results.close()
    assert cancelled


def test_one_kind_of_work_may_feed_another():
    async def add(number):
        await asyncio.sleep(0.0005 * (number % 3))
        return number + 1

    assert list(in_order(in_order(range(40), add, 3), add, 2)) == list(range(2, 42))
