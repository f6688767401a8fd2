"""The stages that explore and synthesize, run as the pipeline runs them, on small parts."""

import json
import shlex
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from t2t.cli import load_config
from t2t.config import RunConfig
from t2t.errors import RunError
from t2t.records import Task, Validation
from t2t.report.card import CardFacts
from t2t.stages import explore, synthesize
from t2t.stages.stage import StageContext
from t2t.store import read_records
from tests.chat_endpoint import answering, good_texts, said

SETTINGS: dict[str, Any] = {
    "domain": {"train": ["library"], "size": 120},
    "evaluate": {"domains": []},
    "explore": {"num_train": 160, "num_test": 80},
    "synthesize": {"num_train": 24, "num_test": 8},
}


def configured(**sections: dict[str, Any]) -> RunConfig:
    return RunConfig.model_validate(
        {name: SETTINGS.get(name, {}) | sections.get(name, {}) for name in {*SETTINGS, *sections}}
    )


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    explore.run(StageContext(configured(), folder, {}))
    return folder


def run(config: RunConfig, folder: Path, walks: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    return synthesize.run(StageContext(config, folder, {"explore": walks}))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "answers" not in file.name
    }


def test_the_number_of_processes_changes_no_byte(walks: Path, tmp_path: Path):
    for workers in (1, 3):
        folder = tmp_path / f"walks{workers}"
        folder.mkdir()
        explore.run(StageContext(configured(compute={"workers": workers}), folder, {}))
        run(configured(compute={"workers": workers}), tmp_path / f"tasks{workers}", walks)
    assert contents(tmp_path / "walks1") == contents(tmp_path / "walks3") == contents(walks)
    assert contents(tmp_path / "tasks1") == contents(tmp_path / "tasks3")


def test_what_the_card_says_to_type_gives_the_same_configuration(walks: Path, tmp_path: Path):
    config = configured(
        synthesize={"intents": ("general", "ambiguous+infeasible"), "num_train": 4, "num_test": 4},
        model={"license": "apache-2.0"},
    )
    run(config, tmp_path, walks)
    typed = next(
        line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("t2t synthesize")
    )
    assert load_config(shlex.split(typed)[2:]) == config


def test_every_task_has_a_report_and_every_rejection_a_reason(walks: Path, tmp_path: Path):
    result = run(configured(synthesize={"near_duplicate": 0.4, "num_test": 24, "num_train": 48}), tmp_path, walks)
    tasks = list(read_records(tmp_path / "tasks.jsonl", Task))
    reports = {one.id: one for one in read_records(tmp_path / "validation.jsonl", Validation)}
    assert all(not reports[task.id].problem for task in tasks)
    parts = result["parts"]
    assert len(tasks) == result["count"] == sum(sum(part["tasks"].values()) for part in parts.values())
    for part in parts.values():
        assert sum(part["written"].values()) == sum(part["tasks"].values()) + sum(part["rejected"].values())
    # So loose a bound calls many tasks the same: what held-out tasks say is no training task.
    assert parts["library/train"]["rejected"]["contamination: words of an evaluation task"] > 0
    assert parts["library/train"]["rejected"]["duplicate: near-duplicate in words"] > 0


def answer(body: dict[str, Any]) -> tuple[int, Any]:
    """Words or a grade; one answer in six is bad."""
    if "realism" in json.dumps(body["response_format"]):
        return said({"says": "Fine.", "realism": 7, "answers": True})
    texts = good_texts(body["messages"]).model_dump()
    kind = zlib.crc32(json.dumps([body["messages"], body["seed"]]).encode()) % 6
    return said({**texts, "opening": "Hi."} if kind == 0 else texts)


def test_a_model_words_and_grades_tasks_and_a_second_try_pays_for_nothing_again(walks: Path, tmp_path: Path):
    def config(url: str) -> RunConfig:
        use = {"api": {"base_urls": [url], "model": "m"}, "concurrency": 4}
        asked = {"words": "model", "judge": "model", "writer": use | {"max_tries": 1}, "judge_model": use}
        return configured(synthesize=asked)

    with answering(answer) as whole:
        result = run(config(whole.url), tmp_path / "whole", walks)
    expected = contents(tmp_path / "whole")
    tasks = list(read_records(tmp_path / "whole" / "tasks.jsonl", Task))
    assert 20 < len(tasks) <= 32 and all(task.scenario.opening.startswith("Good to have you there.") for task in tasks)
    assert {
        one.realism for one in read_records(tmp_path / "whole" / "validation.jsonl", Validation) if not one.problem
    } == {7}
    rejected = Counter[str]()
    for part in result["parts"].values():
        rejected.update(part["rejected"])
        assert sum(part["written"].values()) == sum(part["tasks"].values()) + sum(part["rejected"].values())
    assert any(reason.startswith("words: opening: it lost") for reason in rejected)
    budget = [len(whole.asked) // 2]

    def dying(body: dict[str, Any]) -> tuple[int, Any]:
        budget[0] -= 1
        return answer(body) if budget[0] >= 0 else (401, {})

    with answering(dying) as first, pytest.raises(Exception, match="check the key"):
        run(config(first.url), tmp_path / "part", walks)
    with answering(answer) as second:
        run(config(second.url), tmp_path / "part", walks)
    assert contents(tmp_path / "part") == expected
    assert len(second.asked) == len(whole.asked) - len(whole.asked) // 2


@pytest.mark.parametrize(("agent", "passed"), [("reference", 9), ("do_nothing", 1), ("earlier_wish", 1)])
def test_a_task_that_the_wrong_agent_passes_stops_the_stage(agent: str, passed: int):
    facts = CardFacts({})
    facts.controls[("changing", "reference")][:] = [10, 10]
    synthesize.check_controls(facts)
    facts.controls[("changing", agent)][:] = [passed, 10]
    with pytest.raises(RunError, match=f"{agent} passes {passed} of 10 changing tasks"):
        synthesize.check_controls(facts)
