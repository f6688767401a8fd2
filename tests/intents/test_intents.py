"""What makes each intent what it is, by talks: over all domains, with agents that take the caller wrongly."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t.config import SynthesizeConfig
from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.wish import Candidate, fits
from t2t.episode.agent import IdleAgent, ReferenceAgent, RefusingAgent
from t2t.episode.play import Limits, play
from t2t.episode.user import ScriptedUser
from t2t.intents.plan import plans
from t2t.models.chat import ChatSession
from t2t.records import Change, Fact, Intent, Meant, Move, Rollout, Task, ToolCall, UserScenario
from t2t.verify.validation import prove
from tests.planted.corpus import INTENTS, carried_out_tasks, good_tasks

LIMITS = Limits(max_turns=40, max_errors=3)
FEASIBLE = (Intent.GENERAL, Intent.AMBIGUOUS, Intent.CHANGING)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Tasks of every domain and intent, proved."""
    found = [task for task in good_tasks(240, 11) if not prove(load_domain(task.domain), task)]
    assert len(found) >= 235
    return found


def of(tasks: list[Task], *intents: Intent) -> list[Task]:
    return [task for task in tasks if task.intent in intents]


def talk(task: Task, agent: ChatSession) -> Rollout:
    environment = Environment(load_domain(task.domain), task.data)
    return asyncio.run(play(task, "a", 0, agent, environment, LIMITS))


def with_moves(task: Task, moves: tuple[Move, ...]) -> Task:
    return task.model_copy(update={"expectation": task.expectation.model_copy(update={"moves": moves})})


def place_of(task: Task, meant: Meant) -> int:
    return next(place for place, call in enumerate(task.expectation.calls) if call.id == meant.call)


def acting(domain: Domain, task: Task, meant: Meant, candidate: Candidate) -> Task:
    """The reference talk of one who takes a wish for another candidate."""
    call = task.expectation.calls[place_of(task, meant)]
    if call.requestor == "user":
        instruction = domain.instruction_by_tool[call.name]
        right, wrong = (instruction.say.format(**one) for one in (call.arguments, candidate.arguments))
        return with_moves(
            task,
            tuple(m.model_copy(update={"say": m.say.replace(right, wrong)}) for m in task.expectation.moves),
        )
    turned = call.model_copy(update={"arguments": candidate.arguments})
    return with_moves(
        task,
        tuple(
            move.model_copy(update={"calls": tuple(turned if one.id == call.id else one for one in move.calls)})
            for move in task.expectation.moves
        ),
    )


def options_of(domain: Domain, task: Task, meant: Meant) -> list[Candidate]:
    """All that the caller could mean where the wish's call stands."""
    environment = Environment(domain, task.data)
    for call in task.expectation.calls[: place_of(task, meant)]:
        environment.run(call)
    return list(domain.wish_by_tool[meant.tool].candidates(environment.db, task.expectation.caller))


def test_every_domain_gives_tasks_of_every_intent_and_of_those_that_join(tasks: list[Task]):
    counts = Counter((task.domain, task.intent) for task in tasks)
    assert all(counts[name, intent] >= 3 for name in list_domains() for intent in Intent), counts
    joined = Counter(
        "+".join(
            name
            for name, there in (
                ("ambiguous", task.traits.get("withheld")),
                ("changing", task.traits.get("changes")),
                ("infeasible", task.intent is Intent.INFEASIBLE),
            )
            if there
        )
        for task in tasks
    )
    assert all(joined[name] >= 5 for name in INTENTS[1:]), joined


def test_minds_change_at_every_moment_and_what_is_done_is_taken_back(tasks: list[Task]):
    cues = Counter(change.cue for task in tasks for change in task.scenario.changes)
    assert min(cues[cue] for cue in ("message", "proposal", "refusal")) >= 5, cues
    carried_out = carried_out_tasks(5, 11, num_walks=40)
    assert {task.scenario.changes[0].cue for task in carried_out} == {"done"}
    assert any(task.expectation.repairs for task in carried_out)
    for task in carried_out:
        assert prove(load_domain(task.domain), task) == ""
        first, moves = task.expectation.earlier[0], task.expectation.moves
        if load_domain(task.domain).requestor_of(first.tool) == "assistant":
            done = next(n for n, move in enumerate(moves) if any(call.id == first.call for call in move.calls))
            stubborn = with_moves(task, moves[: done + 2])
            assert talk(stubborn, ReferenceAgent(stubborn)).reward.value == 0.0, task.id


def test_the_reference_succeeds_and_doing_nothing_fails(tasks: list[Task]):
    for task in tasks:
        assert talk(task, ReferenceAgent(task)).reward.value == 1.0, task.id
        assert talk(task, IdleAgent()).reward.value == 0.0, task.id


def test_refusing_everything_fails_on_what_is_feasible(tasks: list[Task]):
    twins = [task for task in tasks if task.traits.get("twin")]
    assert len(twins) >= 5
    for task in [*of(tasks, *FEASIBLE), *twins]:
        assert talk(task, RefusingAgent(load_domain(task.domain))).reward.value == 0.0, task.id


def test_acting_on_any_other_candidate_fails_an_ambiguous_task(tasks: list[Task]):
    played = 0
    for task in of(tasks, Intent.AMBIGUOUS):
        domain, meant = load_domain(task.domain), task.expectation.wishes[0]
        told = {name: meant.slots[name] for name in meant.told}
        others = [
            one for one in options_of(domain, task, meant) if fits(one, told) and one.arguments != meant.arguments
        ]
        assert others
        for other in others[:8]:
            hasty = acting(domain, task, meant, other)
            assert hasty.expectation.moves != task.expectation.moves
            assert talk(hasty, ReferenceAgent(hasty)).reward.value == 0.0, (task.id, other)
            played += 1
    assert played >= 60


def test_an_ambiguous_caller_holds_something_back_that_the_reference_asks_for(tasks: list[Task]):
    for task in of(tasks, Intent.AMBIGUOUS):
        domain = load_domain(task.domain)
        own = {slot.name for slot in domain.callers.slots}
        shown = {call.name for call in task.expectation.calls if call.requestor == "user"}
        said = " ".join(m.content for m in talk(task, ReferenceAgent(task)).messages[2:] if m.role == "user")
        held_back = [fact for fact in task.scenario.facts if not fact.in_opening and fact.name not in own]
        assert any(fact.answer in said for fact in held_back) or shown, task.id


def test_acting_on_an_earlier_wish_fails_a_changing_task(tasks: list[Task]):
    played = 0
    for task in of(tasks, Intent.CHANGING):
        domain, last = load_domain(task.domain), task.expectation.wishes[-1]
        for earlier in task.expectation.earlier:
            if earlier.call:
                continue
            stubborn = acting(domain, task, last, Candidate(earlier.arguments, earlier.slots))
            assert stubborn.expectation.moves != task.expectation.moves
            assert talk(stubborn, ReferenceAgent(stubborn)).reward.value == 0.0, task.id
            played += 1
    assert played >= 20


def refused_alone(tasks: list[Task]) -> list[tuple[Task, Meant]]:
    found = [
        (task, task.expectation.wishes[0])
        for task in of(tasks, Intent.INFEASIBLE)
        if len(task.expectation.wishes) == 1 and task.expectation.refusal
    ]
    assert len(found) >= 10
    return found


def test_an_infeasible_wish_that_is_granted_after_all_fails(tasks: list[Task]):
    granted = Counter[str]()
    for task, meant in refused_alone(tasks):
        domain = load_domain(task.domain)
        if domain.requestor_of(meant.tool) == "user":
            continue
        call = ToolCall(id="call_x", name=meant.tool, arguments=meant.arguments)
        moves = (*task.expectation.moves[:-1], Move(calls=(call,)), task.expectation.moves[-1])
        rollout = talk(task, ReferenceAgent(with_moves(task, moves)))
        if task.traits.get("clause"):
            assert rollout.reward.value == 0.0, task.id
            assert rollout.reward.checks["allowed"] is False
            assert meant.forbidden_by in rollout.reward.broken_clauses
            granted["clause"] += 1
        else:  # the tool refuses it: nothing has happened, and the refusal that follows is honest
            assert rollout.reward.checks["allowed"] is True
            assert any(message.result and message.result.is_error for message in rollout.messages)
            granted["constraint"] += 1
    assert min(granted["clause"], granted["constraint"]) >= 5, granted


def test_silence_is_no_refusal(tasks: list[Task]):
    for task, _ in refused_alone(tasks):
        silent = with_moves(task, (*task.expectation.moves[:-1], Move(say="Goodbye.")))
        assert talk(silent, ReferenceAgent(silent)).reward.checks["declined"] is False


def test_who_accepts_an_alternative_gets_it(tasks: list[Task]):
    accepting = [task for task in of(tasks, Intent.INFEASIBLE) if task.traits.get("alternative")]
    assert len(accepting) >= 5
    for task in accepting:
        assert task.scenario.changes[-1].cue == "refusal"
        refused, accepted = task.expectation.wishes[-2:]
        assert refused.forbidden_by and not refused.call
        assert accepted.call == task.expectation.calls[-1].id


def test_nothing_of_the_expectation_is_in_the_scenario(tasks: list[Task]):
    for task in tasks:
        known = {str(value) for action in task.scenario.actions for value in action.call.arguments.values()}
        known |= {value for meant in task.expectation.wishes for value in meant.slots.values()}
        text = task.scenario.model_copy(update={"actions": ()}).model_dump_json()
        for call in task.expectation.calls:
            assert call.name not in text or "_" not in call.name
            ids = {str(value) for name, value in call.arguments.items() if name.endswith("_id")}
            assert not any(one in text for one in ids - known), task.id


def test_equal_content_gives_equal_ids_and_other_content_others(tasks: list[Task]):
    bodies = {task.scenario.model_dump_json() + task.expectation.model_dump_json() for task in tasks}
    assert len({task.id for task in tasks}) == len(bodies)
    assert [task.id for task in good_tasks(12, 11)] == [task.id for task in good_tasks(12, 11)]


def test_a_question_is_answered_beside_a_change_of_mind_whatever_words_the_answer_has_since():
    def fact(name: str, value: str, answer: str) -> Fact:
        return Fact(name=name, value=value, asked_by=(name,), answer=answer, in_opening=False)

    scenario = UserScenario(
        reason_for_call="",
        known_info="",
        unknown_info="",
        task_instructions="",
        opening="A pass, please.",
        facts=(fact("line", "mine", "It is mine."), fact("days", "7", "7 days.")),
        changes=(Change(cue="message", text="No, 30 days.", facts=(fact("line", "mine", "For mine."),)),),
    )
    assert ScriptedUser(scenario, "a").answer("Which line is it for?").text == "It is mine. No, 30 days."
    assert ScriptedUser(scenario, "a").answer("How many days?").text == "No, 30 days."


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=3).filter(lambda shares: sum(shares) > 0.01)
SETTINGS = st.builds(
    SynthesizeConfig,
    withheld=SHARES.map(tuple),
    changes=SHARES.map(tuple),
    change_when=st.fixed_dictionaries(
        {"message": st.floats(0.1, 1), "proposal": st.floats(0.1, 1), "done": st.floats(0, 1)}
    ),
    feasible_part=st.floats(0, 1),
    alternative=st.floats(0, 1),
    twins=st.floats(0, 1),
)


@settings(max_examples=50)
@given(name=st.sampled_from(INTENTS), config=SETTINGS)
def test_the_shares_of_the_plans_of_an_intent_sum_to_one(name: str, config: SynthesizeConfig):
    found = plans(name, config)
    assert sum(found.values()) == pytest.approx(1)
    assert all(share > 0 and plan.intent.value == name.split("+")[-1] for plan, share in found.items())


def share(name: str, wanted: str, **chosen: object) -> float:
    found = plans(name, SynthesizeConfig.model_validate(chosen))
    return sum(part for plan, part in found.items() if getattr(plan, wanted))


def test_parameters_set_the_shares_of_the_plans():
    for part in (0.0, 0.25, 1.0):
        assert share("infeasible", "twin", twins=part) == pytest.approx(part)
        assert share("infeasible", "refused", twins=part) == pytest.approx(1 - part)
    asked = {plan.withheld: part for plan, part in plans("ambiguous", SynthesizeConfig(withheld=(3, 1))).items()}
    assert asked == {1: pytest.approx(0.75), 2: pytest.approx(0.25)}
    when = {"message": 0.0, "proposal": 0.0, "done": 1.0}
    changed = {
        plan.changes
        for plan in plans("changing", SynthesizeConfig.model_validate({"changes": (1,), "change_when": when}))
    }
    assert changed == {("done",)}
    assert share("infeasible", "feasible_part", feasible_part=1, twins=0) > share(
        "infeasible", "feasible_part", feasible_part=0.2, twins=0
    )
    assert share("infeasible", "alternative", alternative=0) == 0
    assert share("ambiguous+infeasible", "alternative", alternative=1, twins=0) == pytest.approx(1)
