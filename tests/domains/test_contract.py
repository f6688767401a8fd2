"""What every domain holds, whichever it is: the checks of `t2t.verify.contract`, one by one."""

from collections.abc import Callable

import pytest
from documented import load_bikes

from t2t.domain.domain import Domain, list_domains
from t2t.domain.environment import Environment
from t2t.errors import ConfigError, RunError, ToolError
from t2t.records import DataSpec, ToolCall
from t2t.verify import contract
from t2t.verify.contract import CHECKS, check_domain, find
from t2t.verify.inspection import Inspection


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", list_domains())
def test_the_domain_holds_the_contract(inspect: Callable[[str], Inspection], name: str, check: str):
    assert find(inspect(name), check) == []


def test_the_domain_that_the_documentation_builds_holds_the_contract():
    assert check_domain(load_bikes()) == []


def test_the_command_prints_a_line_for_each_check_of_a_users_domain(capsys: pytest.CaptureFixture[str]):
    domain: Domain = load_bikes()
    contract.run([domain.name, "size=60", "seed=2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [[domain.name, check, "ok"] for check in CHECKS]


def test_the_command_fails_with_the_names_of_the_checks_and_shows_what_they_found(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RunError, match=r"my_domains.bikes tasks"):
        contract.run([load_bikes().name, "size=1"])
    assert "no ambiguous task" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "library"), (["librry"], "library"), (["library", "rows=3"], "size="), (["library", "size=many"], "size=")],
)
def test_the_command_refuses_what_it_cannot_do_and_says_what_it_can(words: list[str], said: str):
    with pytest.raises(ConfigError, match=said):
        contract.run(words)


def test_an_unknown_tool_is_refused_with_the_tools_there_are():
    domain = load_bikes()
    with pytest.raises(ToolError, match=domain.tools[0].name):
        Environment(domain, DataSpec(seed=0, size=20, split="train")).run(ToolCall(id="c", name="fly", arguments={}))
