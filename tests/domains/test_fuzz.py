"""Hostile calls: whatever a model writes ends in a result or a refusal, and nothing of it is ever run as code."""

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import pytest
from documented import load_bikes

from t2t.domain.domain import list_domains
from t2t.domain.environment import Environment
from t2t.verify.inspection import Inspection
from t2t.verify.probe import attempt, hostile_calls

PACKAGE = Path(__file__).parent.parent.parent / "t2t"
RUNS_CODE = {"eval", "exec", "compile", "__import__"}


def assault(inspection: Inspection, count: int, seed: str) -> list[str]:
    """What went wrong with the first `count` hostile calls of a seed; the database has to be whole afterwards."""
    environment = Environment(inspection.domain, inspection.data)
    before = environment.state_hash()
    examples = [call for _, call in inspection.examples.values()]
    hostile = islice(hostile_calls(inspection.domain, examples, seed), count)
    problems = [problem for one in hostile if (problem := attempt(environment, one))]
    assert environment.state_hash() == before == environment.db.full_hash()
    assert environment.past == []
    return problems


@pytest.mark.parametrize("name", list_domains())
def test_a_thousand_hostile_calls_are_answered_or_refused_and_change_nothing(
    inspect: Callable[[str], Inspection], name: str
):
    assert assault(inspect(name), 1_000, "short") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list_domains())
def test_ten_thousand_hostile_calls_are_answered_or_refused_and_change_nothing(
    inspect: Callable[[str], Inspection], name: str
):
    assert assault(inspect(name), 10_000, "long") == []


def test_a_tool_that_trusts_its_text_is_found():
    bikes = load_bikes()
    trusting = replace(bikes.tool_by_name["find_rider"], function=lambda db, email: date.fromisoformat(email[-10:]))
    domain = replace(bikes, tools=(trusting, *bikes.tools[1:]), wishes=())
    problems = assault(Inspection(domain), 1_000, "planted")
    assert any("find_rider" in problem and "ValueError" in problem for problem in problems)


def test_nothing_in_the_package_runs_text_as_code():
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in RUNS_CODE, f"{module.name}:{node.lineno}"
