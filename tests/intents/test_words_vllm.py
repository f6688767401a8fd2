"""Words and grades from a real server on the CPU, whose small model does little as it is told."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from t2t.config import ApiConfig, EngineConfig, ModelConfig, ModelUseConfig, RunConfig
from t2t.errors import ConfigError
from t2t.intents.judge import Grade, judge_all
from t2t.intents.writer import Rejected, rewrite_all
from t2t.journal import Journal
from t2t.models.structured import TRUNCATED, Malformed, StructuredClient
from t2t.models.use import Served, open_model
from t2t.records import Message, Task

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.timeout(900)]


class Weather(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sky: Literal["blue", "grey"]
    degrees: Literal[10, 20, 30]
    rain: bool


@pytest.fixture(scope="module")
def served(weights_dir, tmp_path_factory):
    config = RunConfig(
        model=ModelConfig(source=str(weights_dir), max_context=4096),
        engine=EngineConfig(max_num_seqs=8, cpu_kv_cache_gib=1),
    )
    use = ModelUseConfig(api=ApiConfig(temperature=0.7, max_tokens=120))
    with open_model(config, use, "synthesize.writer", tmp_path_factory.mktemp("vllm") / "server.log") as served:
        yield served


def client_of(served: Served, journal: Journal, url: str = "") -> StructuredClient:
    update = {"patience_s": 0.05, **({"base_urls": (url,)} if url else {})}
    return StructuredClient(served.api.model_copy(update=update), served.name, journal)


GONE = "http://127.0.0.1:9"
"""Nobody listens there: who asks it fails."""


def test_a_whole_answer_has_the_form_that_was_asked_for(served, tmp_path: Path):
    question = [Message(role="user", content="What is the weather in Oslo?")]

    async def ask():
        with Journal(tmp_path / "j") as journal:
            client = client_of(served, journal)
            return await asyncio.gather(*(client.ask(question, Weather, seed) for seed in range(8)))

    answers = asyncio.run(ask())
    assert sum(isinstance(one, Weather) for one in answers) >= 4, answers
    # JSON may hold any white space, and this model at times writes it until it is cut off.
    assert {one.reason for one in answers if isinstance(one, Malformed)} <= {TRUNCATED}


def test_the_loop_ends_the_funnel_adds_up_and_a_second_run_sends_nothing(served, library_tasks: list[Task], tmp_path):
    tasks = library_tasks[:4]

    def run(url=""):
        with Journal(tmp_path / "j") as journal:
            client = client_of(served, journal, url)
            results = list(rewrite_all(tasks, client.ask, max_tries=2, concurrency=4, seed=0))
            return results, len(journal)

    results, num_answers = run()
    funnel = Counter(one.reason if isinstance(one, Rejected) else "kept" for one in results)
    assert funnel.total() == len(results) == 4 and 4 <= num_answers <= 8
    assert run(GONE) == (results, num_answers)


def test_grades_are_in_range_or_say_why_there_is_none(served, library_tasks: list[Task], tmp_path):
    def run(url=""):
        with Journal(tmp_path / "j") as journal:
            client = client_of(served, journal, url)
            return list(judge_all(library_tasks[:4], client.ask, max_tries=1, concurrency=4, seed=0))

    grades = run()
    assert all(isinstance(one, Malformed) or (isinstance(one, Grade) and 1 <= one.realism <= 10) for one in grades)
    assert run(GONE) == grades


def test_a_model_that_is_not_served_is_a_matter_of_configuration(served, tmp_path):
    async def ask():
        with Journal(tmp_path / "j") as journal:
            client = StructuredClient(served.api.model_copy(update={"model": "other"}), "other", journal)
            return await client.ask([Message(role="user", content="Hello")], Weather, 0)

    with pytest.raises(ConfigError, match="does not serve the model 'other'"):
        asyncio.run(ask())
