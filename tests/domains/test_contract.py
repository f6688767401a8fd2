"""What every domain holds, whichever it is."""

import random
import re

import pytest

from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.wish import named_slots
from t2t.episode.user import ScriptedUser
from t2t.errors import ConfigError, ToolError
from t2t.explore.program import Coverage, explore
from t2t.records import DataSpec, Fact, ToolCall, UserScenario

TRAIN = DataSpec(seed=3, size=120, split="train")
TEST = DataSpec(seed=3, size=120, split="test")


@pytest.fixture(params=list_domains(), scope="module")
def domain(request: pytest.FixtureRequest) -> Domain:
    return load_domain(request.param)


def test_data_is_the_same_twice_and_differs_between_seeds(domain: Domain):
    one, same = (domain.database(domain.generate(TRAIN)).state_hash() for _ in range(2))
    other = domain.database(domain.generate(DataSpec(seed=4, size=120, split="train"))).state_hash()
    assert one == same != other


def test_splits_share_no_caller_fact(domain: Domain):
    def facts(data: DataSpec) -> set[str]:
        db = domain.open(data)
        found = (domain.callers.facts(db, caller) for caller in domain.callers.ids(db))
        return {value for fact in found for name, value in fact.items() if name in ("name", "email")}

    assert facts(TRAIN) and not facts(TRAIN) & facts(TEST)


def test_every_tool_has_a_schema_and_a_text_a_model_can_read(domain: Domain):
    for tool in domain.tools:
        function = tool.schema["function"]
        assert len(function["description"]) > 8, tool.name
        assert all(p.description.endswith(".") for p in tool.parameters), tool.name


def test_every_write_has_a_wish_and_every_wish_a_tool(domain: Domain):
    wishes = {wish.tool for wish in domain.wishes}
    assert {tool.name for tool in domain.tools if tool.writes} <= wishes <= set(domain.tool_by_name)


def test_clauses_that_rules_cite_stand_in_the_policy(domain: Domain):
    clauses = set(re.findall(r"^(\d+\.\d+) ", domain.policy, re.MULTILINE))
    assert {rule.clause for rule in domain.rules} <= clauses
    assert all(rule.tools <= set(domain.tool_by_name) for rule in domain.rules)


def test_the_policy_names_no_tool_that_does_not_exist(domain: Domain):
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", domain.policy))
    known = set(domain.tool_by_name) | {p.name for tool in domain.tools for p in tool.parameters}
    assert named <= known


def test_a_refusal_in_a_rules_own_words_holds_one_of_its_cues(domain: Domain):
    for rule in domain.rules:
        assert any(cue in rule.reason.lower() for cue in rule.cues), rule.clause


def test_a_cue_is_more_than_a_number_and_a_question_is_no_proposal(domain: Domain):
    """A bare number would match a date or a card, and a caller answers yes to a proposal."""
    for rule in domain.rules:
        assert not [cue for cue in rule.cues if re.fullmatch(r"\d{1,3}\s*", cue)], rule.clause
    for slot in (*domain.callers.slots, *(slot for wish in domain.wishes for slot in wish.slots)):
        scenario = UserScenario(
            reason_for_call="",
            known_info="",
            unknown_info="",
            task_instructions="",
            opening="Hello.",
            facts=(Fact(name=slot.name, value="x", asked_by=slot.asked_by, answer="It is x.", in_opening=False),),
        )
        assert ScriptedUser(scenario, "seed").answer(slot.question).text == "It is x.", slot.name


def test_wordings_for_training_and_testing_differ_and_use_known_slots(domain: Domain):
    for wish in domain.wishes:
        slots = {slot.name for slot in wish.slots}
        for pool in (wish.openings, wish.changes):
            assert not set(pool["train"]) & set(pool["test"]), wish.tool
            assert all(named_slots(text) <= slots for texts in pool.values() for text in texts), wish.tool
        assert len(wish.openings["train"]) >= 4 and len(wish.openings["test"]) >= 2


def test_reads_leave_the_state_unchanged(domain: Domain):
    for trajectory in explore(domain, TRAIN, 30, max_steps=10, blocked_share=0.0, seed=1, coverage=Coverage()):
        environment = Environment(domain, trajectory.data)
        for step in trajectory.steps:
            before = environment.state_hash()
            environment.run(step.call)
            assert step.writes or environment.state_hash() == before


def test_unknown_ids_and_wrong_types_are_refused_and_change_nothing(domain: Domain):
    rng = random.Random(0)
    environment = Environment(domain, TRAIN)
    before = environment.state_hash()
    for tool in domain.tools:
        for nonsense in ("nothing", "", "9**9**9", "é\u2028'\"", rng.random(), None, ["x"], {"a": {}}):
            arguments = {
                p.name: [nonsense] if p.is_list else (p.choices[0] if p.choices else nonsense) for p in tool.parameters
            }
            try:
                value = environment.run(ToolCall(id="c", name=tool.name, arguments=arguments)).value
            except ToolError as refused:
                assert len(str(refused)) > 10, tool.name
            else:
                assert not tool.writes, (tool.name, nonsense)
                assert not list(tool.harvest(value)), (tool.name, nonsense)
    assert environment.state_hash() == before


def test_an_unknown_tool_is_refused_with_the_tools_there_are(domain: Domain):
    with pytest.raises(ToolError, match=domain.tools[0].name):
        Environment(domain, TRAIN).run(ToolCall(id="c", name="fly", arguments={}))


def test_an_unknown_domain_is_refused_with_the_domains_there_are():
    with pytest.raises(ConfigError, match="library"):
        load_domain("librry")
