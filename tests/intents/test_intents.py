"""What makes each intent what it is, checked on tasks of a whole run and with planted defects."""

import asyncio
from collections import Counter

import pytest

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.models.chat import ChatSession
from t2t.records import Intent, Move, Rollout, Task
from t2t.verify.validation import prove

LIMITS = Limits(max_turns=20, max_errors=3)


def talk(domain: Domain, task: Task, agent: ChatSession) -> Rollout:
    return asyncio.run(play(task, "a", 0, agent, Environment(domain, task.data), LIMITS))


def proved(domain: Domain, tasks: list[Task], intent: Intent) -> list[Task]:
    found = [task for task in tasks if task.intent is intent and not prove(domain, task)]
    assert len(found) >= 10
    return found


def with_moves(task: Task, moves: tuple[Move, ...]) -> Task:
    return task.model_copy(update={"expectation": task.expectation.model_copy(update={"moves": moves})})


@pytest.mark.parametrize("intent", list(Intent))
def test_the_reference_succeeds_and_doing_nothing_fails(library: Domain, library_tasks: list[Task], intent: Intent):
    for task in proved(library, library_tasks, intent):
        assert talk(library, task, ReferenceAgent(task)).reward.value == 1.0
        assert talk(library, task, IdleAgent()).reward.value == 0.0


def test_refusing_everything_fails_on_what_is_feasible(library: Domain, library_tasks: list[Task]):
    for intent in (Intent.GENERAL, Intent.AMBIGUOUS, Intent.CHANGING):
        for task in proved(library, library_tasks, intent):
            refusal = with_moves(task, (Move(say="I am sorry, I can't do that: it is not allowed, late, ready."),))
            assert talk(library, task, ReferenceAgent(refusal)).reward.value == 0.0


def test_acting_on_the_first_wish_fails_a_changing_task(library: Domain, library_tasks: list[Task]):
    """The reference's write is replaced by the one that the opening asked for."""
    for task in proved(library, library_tasks, Intent.CHANGING):
        first = {fact.name: fact.value for fact in task.scenario.facts if fact.name not in ("email", "name")}
        environment = Environment(library, task.data)
        *reads, write = task.expectation.calls
        caller = environment.run(reads[0]).value.id
        options = library.wish_by_tool[write.name].candidates(environment.db, caller)
        meant = next(candidate for candidate in options if dict(candidate.slots) == first)
        acted = write.model_copy(update={"arguments": meant.arguments})
        stubborn = with_moves(
            task,
            (
                *(Move(calls=(call,)) for call in reads),
                Move(say="Shall I go ahead?"),
                Move(calls=(acted,)),
                Move(say="Done."),
            ),
        )
        rollout = talk(library, task, ReferenceAgent(stubborn))
        assert acted.arguments != write.arguments
        assert rollout.reward.checks["db_state"] is False


def test_an_ambiguous_caller_holds_something_back_that_the_reference_asks_for(
    library: Domain, library_tasks: list[Task]
):
    for task in proved(library, library_tasks, Intent.AMBIGUOUS):
        rollout = talk(library, task, ReferenceAgent(task))
        told = " ".join(message.content for message in rollout.messages if message.role == "user")
        held_back = [fact for fact in task.scenario.facts if not fact.in_opening and fact.name not in ("email", "name")]
        assert any(fact.answer in told for fact in held_back)


def test_an_infeasible_wish_that_is_granted_after_all_fails(library: Domain, library_tasks: list[Task]):
    for task in proved(library, library_tasks, Intent.INFEASIBLE):
        forbidden = task.expectation.forbidden[0]
        reads = task.expectation.moves[:-1]
        call = task.expectation.calls[0].model_copy(
            update={"id": "call_x", "name": forbidden.name, "arguments": forbidden.arguments}
        )
        granted = with_moves(task, (*reads, Move(calls=(call,)), task.expectation.moves[-1]))
        rollout = talk(library, task, ReferenceAgent(granted))
        assert rollout.reward.value == 0.0
        assert rollout.reward.checks["allowed"] is False
        assert task.expectation.refusal and task.expectation.refusal.clause in rollout.reward.broken_clauses


def test_silence_is_no_refusal(library: Domain, library_tasks: list[Task]):
    for task in proved(library, library_tasks, Intent.INFEASIBLE):
        silent = with_moves(task, (*task.expectation.moves[:-1], Move(say="Goodbye.")))
        assert talk(library, task, ReferenceAgent(silent)).reward.checks["declined"] is False


def test_nothing_of_the_expectation_is_in_the_scenario(library: Domain, library_tasks: list[Task]):
    for task in library_tasks:
        if prove(library, task):
            continue
        text = task.scenario.model_dump_json()
        for call in task.expectation.calls:
            assert call.name not in text
            assert not any(str(v) in text for k, v in call.arguments.items() if k.endswith("_id"))


def test_equal_content_gives_equal_ids_and_other_content_others(library_tasks: list[Task]):
    ids = Counter(task.id for task in library_tasks)
    bodies = {task.scenario.model_dump_json() + task.expectation.model_dump_json() for task in library_tasks}
    assert len(ids) == len(bodies)


def plant(task: Task, **changes: object) -> Task:
    return task.model_copy(update={"expectation": task.expectation.model_copy(update=changes)})


def test_planted_defects_are_found(library: Domain, library_tasks: list[Task]):
    general = proved(library, library_tasks, Intent.GENERAL)
    writing = [t for t in general if library.tool_by_name[t.expectation.calls[-1].name].writes]
    for task in writing[:10]:
        calls = task.expectation.calls
        wrong = calls[-1].model_copy(update={"arguments": {**calls[-1].arguments, "loan_id": "L1"}})
        assert prove(library, plant(task, calls=calls[:-1])) == "reference calls do not reach the final state"
        assert "replay" in prove(library, plant(task, calls=(*calls[:-1], wrong)))
        assert prove(library, plant(task, final_hash="0" * 32)) == "reference calls do not reach the final state"
        assert "reference talk fails" in prove(library, plant(task, tell=("12345.67",)))
        assert "break clause 1.1" in prove(library, plant(task, calls=calls[1:]))
        if len([call for call in calls if library.tool_by_name[call.name].writes]) == 1:
            hasty = tuple(move for move in task.expectation.moves if "Shall I" not in move.say)
            assert "breaks clause 1.4" in prove(library, plant(task, moves=hasty))
    telling = [t for t in general if t.expectation.tell]
    for task in telling[:10]:
        scenario = task.scenario.model_copy(update={"known_info": f"It is {task.expectation.tell[0]}."})
        assert "leaks" in prove(library, task.model_copy(update={"scenario": scenario}))
