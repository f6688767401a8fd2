"""An old talk gets the verdict that a new talk with the same calls would get, and no model is asked."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t.cli import main
from t2t.domain.domain import list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.rule import Rule
from t2t.errors import RunError
from t2t.models.scripted import ScriptedChat
from t2t.records import Expectation, Message, Rollout, Task, ToolResult
from t2t.store import read_records
from t2t.verify.rescore import Changes, rescore, rescore_all
from tests.recorded_talks import Recorded, by_id, play_talk, spoil, talks, tasks_of_all_domains


@pytest.fixture(scope="module")
def recorded() -> list[Recorded]:
    return talks(240)


def again(one: Recorded) -> Rollout:
    return rescore(one.rollout, one.task, load_domain(one.task.domain))


def expecting(task: Task, **changes: object) -> Task:
    """The task as another verifier would have it."""
    expectation = Expectation.model_validate(task.expectation.model_dump() | changes)
    return task.model_copy(update={"expectation": expectation})


def a_success(recorded: list[Recorded], domain: str = "") -> Recorded:
    """A talk that passes and writes."""
    return next(
        one
        for one in recorded
        if one.rollout.reward.value == 1.0
        and one.task.domain == (domain or one.task.domain)
        and any(load_domain(one.task.domain).tool_by_name[call.name].writes for call in calls_of(one.rollout))
    )


def calls_of(rollout: Rollout):
    return [call for message in rollout.messages for call in message.tool_calls]


def with_result(rollout: Rollout, place: int, **changes: object) -> Rollout:
    message = rollout.messages[place]
    assert message.result is not None
    result = ToolResult.model_validate(message.result.model_dump() | changes)
    altered = Message(role="tool", content=result.content, result=result)
    return rollout.model_copy(update={"messages": (*rollout.messages[:place], altered, *rollout.messages[place + 1 :])})


def test_a_talk_keeps_its_verdict_in_every_domain_whoever_played(recorded: list[Recorded]):
    assert [again(one) for one in recorded] == [one.rollout for one in recorded]
    # The talks are of every kind that could be judged otherwise.
    rollouts = [one.rollout for one in recorded]
    assert {rollout.domain for rollout in rollouts} == set(list_domains())
    assert {rollout.stop_reason.value for rollout in rollouts} >= {"user_done", "max_turns", "max_errors"}
    assert Counter(rollout.reward.value for rollout in rollouts)[0.0] >= 30
    assert sum(bool(rollout.reward.broken_clauses) for rollout in rollouts) >= 30
    assert any(call.requestor == "user" for rollout in rollouts for call in calls_of(rollout))
    assert any(message.result and not message.result.call_id for rollout in rollouts for message in rollout.messages)


@settings(max_examples=60)
@given(st.integers(min_value=0), st.randoms(use_true_random=False))
def test_whatever_an_agent_does_its_talk_keeps_its_verdict(number: int, rng):
    tasks = tasks_of_all_domains()
    task = tasks[number % len(tasks)]
    rollout = play_talk(task, ScriptedChat(spoil(task, rng)).open(""))
    assert rescore(rollout, task, load_domain(task.domain)) == rollout


def test_a_verdict_survives_the_way_through_a_file(recorded: list[Recorded], tmp_path: Path):
    file = tmp_path / "rollouts.jsonl"
    file.write_text("".join(one.rollout.model_dump_json() + "\n" for one in recorded[:40]))
    for one, rollout in zip(recorded, read_records(file, Rollout), strict=False):
        assert rescore(rollout, one.task, load_domain(one.task.domain)) == one.rollout


def test_a_stricter_check_turns_a_success_into_a_failure_and_says_what_is_missing(recorded: list[Recorded]):
    task, rollout = a_success(recorded)
    new = rescore(rollout, expecting(task, tell=["an umbrella"]), load_domain(task.domain))
    assert (rollout.reward.value, new.reward.value) == (1.0, 0.0)
    assert new.reward.notes == ("communicated: the caller was never told 'an umbrella'",)
    assert new.model_copy(update={"reward": rollout.reward}) == rollout


def test_a_laxer_check_turns_a_failure_into_a_success(recorded: list[Recorded]):
    task, rollout = next(one for one in recorded if one.rollout.reward.checks == {"ended": True, "db_state": False})
    new = rescore(rollout, expecting(task, final_hash=""), load_domain(task.domain))
    assert (rollout.reward.value, new.reward.value) == (0.0, 1.0)


def test_a_rule_that_is_written_later_is_judged_in_old_talks(recorded: list[Recorded]):
    task, rollout = a_success(recorded, "library")
    domain = load_domain("library")
    names = frozenset(call.name for call in calls_of(rollout))
    stricter = replace(domain, rules=(*domain.rules, Rule("9.9", names, lambda context: True, "never", ("never",))))
    assert rescore(rollout, task, stricter).reward.broken_clauses == (*rollout.reward.broken_clauses, "9.9")


def test_a_yes_is_heard_where_it_was_said_and_spent_by_the_next_write(recorded: list[Recorded]):
    task, rollout = a_success(recorded, "library")
    domain = load_domain("library")
    assert rollout.agreed and "1.4" not in rollout.reward.broken_clauses
    unheard = rescore(rollout.model_copy(update={"agreed": ()}), task, domain)
    assert "1.4" in unheard.reward.broken_clauses
    nobody_noted = rescore(rollout.model_copy(update={"agreed": None}), task, domain)
    assert nobody_noted.reward == rollout.reward
    late = rescore(rollout.model_copy(update={"agreed": (len(rollout.messages) - 1,)}), task, domain)
    assert late.reward == unheard.reward


def test_a_caller_needs_nobodys_yes_for_what_they_do_themselves(recorded: list[Recorded]):
    task, rollout, name = next(
        (*one, call.name) for one in recorded for call in calls_of(one.rollout) if call.requestor == "user"
    )
    domain = load_domain(task.domain)
    rule = Rule("9.9", frozenset({name}), lambda context: context.confirmed is not None, "asked", ("asked",))
    new = rescore(rollout, task, replace(domain, rules=(*domain.rules, rule)))
    assert new == rollout


def test_a_result_that_differs_by_one_character_names_the_domain_and_the_call(recorded: list[Recorded]):
    task, rollout = a_success(recorded, "retail")
    place = next(place for place, message in enumerate(rollout.messages) if message.result)
    result = rollout.messages[place].result
    assert result is not None
    altered = with_result(rollout, place, content=result.content + " ")
    with pytest.raises(RunError, match=rf"'retail' has changed since: {result.name} \(call {result.call_id}\)") as said:
        rescore(altered, task, load_domain("retail"))
    assert "\n" not in str(said.value)


def test_calls_that_lead_to_another_state_than_recorded_name_the_domain(recorded: list[Recorded]):
    task, rollout = a_success(recorded, "retail")
    with pytest.raises(RunError, match="'retail' has changed since: the calls lead to another state"):
        rescore(rollout.model_copy(update={"final_hash": "00" * 16}), task, load_domain("retail"))


def test_a_call_that_took_too_long_changed_nothing_and_is_not_made_again(recorded: list[Recorded]):
    task, rollout = a_success(recorded, "library")
    domain = load_domain("library")
    place = max(
        place
        for place, message in enumerate(rollout.messages)
        if message.result and domain.tool_by_name[message.result.name].writes
    )
    text = "Error: it did not answer within 10 seconds"
    late = with_result(rollout, place, content=text, is_error=True, error="timeout")
    late = late.model_copy(update={"final_hash": Environment(domain, task.data).state_hash()})
    assert rescore(late, task, domain).reward.checks["db_state"] is False


def test_a_talk_is_not_judged_by_another_task(recorded: list[Recorded]):
    with pytest.raises(RunError, match="is a talk about"):
        rescore(recorded[0].rollout, recorded[-1].task, load_domain(recorded[0].task.domain))


def test_the_table_counts_which_way_verdicts_change_and_shows_three_of_each(recorded: list[Recorded]):
    successes = [one for one in recorded if one.rollout.reward.value == 1.0][:8]
    tasks = {
        one.task.id: expecting(one.task, tell=["an umbrella"]) if number < 5 else one.task
        for number, one in enumerate(successes)
    }
    tasks.pop(successes[-1].task.id)
    unique = list({one.task.id: one for one in successes}.values())
    changes = Changes()
    for one in rescore_all((one.rollout for one in unique), tasks, load_domain):
        changes.add(one)
    lines = changes.table().splitlines()
    failures = sum(tasks.get(one.task.id) not in (None, one.task) for one in unique)
    assert f"{'now a failure':24}{failures:>7}" in lines and failures > 3
    shown = [line for line in lines if "never told 'an umbrella'" in line]
    assert len(shown) == 3 and shown[0].startswith(f"  {unique[0].rollout.id}: ")
    assert changes.num_owed == 1 and any("its task is not among those of the run" in line for line in lines)


@pytest.fixture
def folder(recorded: list[Recorded], tmp_path: Path) -> Path:
    """Artifacts of a run, as the stages leave them."""
    chosen = recorded[:20]
    for stage in ("rollout", "synthesize"):
        (tmp_path / stage / "k").mkdir(parents=True)
    (tmp_path / "rollout" / "k" / "manifest.json").write_text(json.dumps({"inputs": {"synthesize": "k"}}))
    lines = [one.rollout.model_dump_json() for one in chosen]
    (tmp_path / "rollout" / "k" / "rollouts.jsonl").write_text("\n".join(lines) + "\n")
    tasks = [task.model_dump_json() for task in by_id(chosen).values()]
    (tmp_path / "synthesize" / "k" / "tasks.jsonl").write_text("\n".join(tasks) + "\n")
    return tmp_path


def test_the_command_writes_the_talks_with_their_new_verdicts(
    folder: Path, recorded: list[Recorded], capsys: pytest.CaptureFixture[str]
):
    tasks = folder / "synthesize" / "k" / "tasks.jsonl"
    strict = [expecting(task, tell=["an umbrella"]) for task in by_id(recorded[:20]).values()]
    tasks.write_text("".join(task.model_dump_json() + "\n" for task in strict))
    out = folder / "new.jsonl"
    main(["rescore", f"{folder}/rollout/k/rollouts.jsonl", f"out={out}"])
    assert "now a failure" in capsys.readouterr().out
    new = list(read_records(out, Rollout))
    assert [rollout.id for rollout in new] == [one.rollout.id for one in recorded[:20]]
    assert {rollout.reward.value for rollout in new} == {0.0}
    with pytest.raises(SystemExit) as left:
        main(["rescore", f"{folder}/rollout/k/rollouts.jsonl", f"out={out}"])
    assert left.value.code == 2 and "exists already" in capsys.readouterr().err


def test_the_command_leaves_out_and_names_what_it_cannot_judge(
    folder: Path, recorded: list[Recorded], capsys: pytest.CaptureFixture[str]
):
    changed = recorded[3].rollout.model_copy(update={"id": "changed", "final_hash": "00" * 16})
    file = folder / "rollout" / "k" / "rollouts.jsonl"
    with file.open("a") as lines:
        lines.write(changed.model_dump_json() + "\n")
    with pytest.raises(SystemExit) as left:
        main(["rescore", str(file.parent), f"out={folder}/new.jsonl"])
    assert left.value.code == 1
    assert "changed: the domain" in capsys.readouterr().out
    assert len(list(read_records(folder / "new.jsonl", Rollout))) == 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "write t2t rescore (recipe=NAME"),
        (["nowhere.jsonl"], "no talks in nowhere.jsonl; they lie in rollouts.jsonl"),
        (["stage=filter"], "stage=filter: no stage that plays talks"),
        (["stage=rollout"], "does not exist; play the talks with the same settings: t2t rollout"),
        (["seeed=3"], "no setting 'seeed'; did you mean 'seed'?"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_what_is_right(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as left:
        main(["rescore", *words, *([f"paths.runs={tmp_path}"] if words else [])])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
