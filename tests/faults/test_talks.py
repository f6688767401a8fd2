"""Tools that never return, callers that never stop, mistakes of the model: all are data, and none is drawn again."""

from pathlib import Path

import pytest

from t2t.records import Rollout, StopReason
from tests.faults.conftest import SETTINGS, Undisturbed
from tests.faults.fault_server import FAULTS, MISTAKES
from tests.faults.harness import Base, case_in, fault_server, make_base, merged, new_case, play

ERRORS = {
    "malformed": "malformed",
    "not_an_object": "malformed",
    "unknown_tool": "unknown",
    "wrong_arguments": "arguments",
}
"""How the result of each mistake is marked."""


def test_a_tool_that_never_returns_costs_its_talk_seconds_and_the_others_nothing(tmp_path: Path, weights_dir: Path):
    settings = merged(
        SETTINGS,
        {
            "model": {"source": str(weights_dir)},
            "domain": {"train": ["tests.faults.loop_domain"]},
            "explore": {"num_train": 24, "num_test": 8},
            "synthesize": {"num_train": 4, "num_test": 0},
        },
    )
    base = make_base(tmp_path / "base", settings)
    looping = tuple(task.id for task in base.tasks[::2])
    with fault_server(tmp_path / "server", base, weights_dir, loops=looping) as server:
        changes = {"engine": {"base_urls": [server.url]}, "rollout": {"tool_seconds": 0.5}}
        case = new_case(base, tmp_path / "runs", changes)
        rollouts = play(case)
        assert set(server.asked().values()) == {1}
    assert len(rollouts) == len(base.tasks)
    for rollout in rollouts.values():
        errors = [message.result.error for message in rollout.messages if message.result and message.result.is_error]
        assert errors.count("timeout") == (rollout.task_id in looping)
        # The tool had changed the database before it was stopped: a talk that then succeeds found it as it was.
        assert rollout.stop_reason is StopReason.USER_DONE and rollout.reward.checks["db_state"], rollout.reward
        assert rollout.reward.value == 1.0


def test_an_agent_who_never_stops_is_ended_by_the_number_of_turns(base, tmp_path: Path, weights_dir: Path):
    endless = tuple(task.id for task in base.tasks[::5])
    with fault_server(tmp_path / "server", base, weights_dir, endless=endless) as server:
        changes = {"engine": {"base_urls": [server.url]}, "rollout": {"max_turns": 11}}
        rollouts = play(new_case(base, tmp_path / "runs", changes))
        assert set(server.asked().values()) == {1}
    assert len(rollouts) == len(base.tasks)
    for rollout in rollouts.values():
        if rollout.task_id in endless:
            assert rollout.stop_reason is StopReason.MAX_TURNS and rollout.reward.value == 0.0
            assert sum(message.role == "assistant" for message in rollout.messages) == 11
        else:
            assert rollout.stop_reason is StopReason.USER_DONE


def test_a_caller_of_a_model_who_never_stops_is_ended_by_the_number_of_turns(base, tmp_path: Path, weights_dir: Path):
    with fault_server(tmp_path / "server", base, weights_dir, caller_never_stops=True) as server:
        changes = {
            "engine": {"base_urls": [server.url]},
            "rollout": {"max_turns": 5},
            "user": {"kind": "model", "api": {"base_urls": [server.url], "model": "base"}},
        }
        rollouts = play(new_case(base, tmp_path / "runs", changes))
    assert len(rollouts) == len(base.tasks)
    ends = {StopReason.MAX_TURNS, StopReason.USER_FAILED}
    assert {rollout.stop_reason for rollout in rollouts.values()} <= ends


def plan_mistakes(base: Base) -> dict[str, dict[int, str]]:
    """One or two mistakes in every other talk, of all kinds."""
    planned: dict[str, dict[int, str]] = {}
    for number, task in enumerate(base.tasks[::2]):
        planned[task.id] = {number % 2: MISTAKES[number % 4]}
        if number % 3 == 0:
            planned[task.id][number % 2 + 1] = MISTAKES[number % 3]
    return planned


def check_mistakes(rollouts: dict[str, Rollout], planned: dict[str, dict[int, str]]) -> None:
    """Each planned mistake stands in its record once, and the agent read what was wrong with it."""
    for rollout in rollouts.values():
        errors = [message.result.error for message in rollout.messages if message.result and message.result.is_error]
        turns = sorted(planned.get(rollout.task_id, {}).items())
        assert [error for error in errors if error != "refused"] == [ERRORS[kind] for _, kind in turns], rollout.id


def test_what_the_model_does_wrong_is_asked_for_once_and_counted(base, tmp_path: Path, weights_dir: Path):
    planned = plan_mistakes(base)
    with fault_server(tmp_path / "server", base, weights_dir, mistakes=planned) as server:
        case = new_case(base, tmp_path / "runs", {"engine": {"base_urls": [server.url]}})
        rollouts = play(case)
        asked = server.asked()
    check_mistakes(rollouts, planned)
    assert set(asked.values()) == {1}, "a turn was drawn again"
    num_planned = sum(map(len, planned.values()))
    assert sum(count for (_, _, outcome), count in asked.items() if outcome == "mistake") == num_planned
    result = case.artifact.manifest()["result"]
    kinds = [ERRORS[kind] for turns in planned.values() for kind in turns.values()]
    counted = {name: count for name, count in result["mistakes"].items() if name in set(kinds)}
    assert counted == {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert result["faults"] == {}


@pytest.mark.faults
def test_a_service_that_fails_at_a_mistake_gives_that_very_mistake_again(base, tmp_path: Path, weights_dir: Path):
    planned = plan_mistakes(base)
    talks: list[dict[str, Rollout]] = []
    for number, share in enumerate((0.0, 0.4)):
        orders = {"mistakes": planned, "faults": FAULTS, "share": share, "seed": 21}
        with fault_server(tmp_path / f"server{number}", base, weights_dir, **orders) as server:
            changes = {"engine": {"base_urls": [server.url], "request_timeout_s": 1.5}}
            talks.append(play(new_case(base, tmp_path / f"runs{number}", changes)))
            once = {key: count for key, count in server.asked().items() if key[2] in ("ok", "mistake")}
            assert set(once.values()) == {1}
    check_mistakes(talks[1], planned)
    assert talks[0] == talks[1]


def test_an_undisturbed_run_counts_neither_faults_nor_mistakes(
    base, undisturbed: Undisturbed, tmp_path: Path, weights_dir: Path
):
    with fault_server(tmp_path / "server", base, weights_dir) as server:
        case = new_case(base, tmp_path / "runs", {"engine": {"base_urls": [server.url]}})
        assert play(case) == undisturbed.rollouts
    result = case.artifact.manifest()["result"]
    assert result["faults"] == {} and not set(result["mistakes"]) - {"refused"}


def test_more_attempts_play_what_is_missing_and_no_talk_that_is_there(
    base, undisturbed: Undisturbed, tmp_path: Path, weights_dir: Path
):
    with fault_server(tmp_path / "server", base, weights_dir) as server:
        engine = {"base_urls": [server.url]}
        assert play(new_case(base, tmp_path / "runs", {"engine": engine})) == undisturbed.rollouts
        begun = server.mark()
        rollouts = play(case_in(base, tmp_path / "runs", {"engine": engine, "rollout": {"attempts": 2}}))
        assert set(server.asked(begun).values()) == {1}
    assert len(rollouts) == 2 * len(base.tasks)
    assert {name: rollouts[name] for name in undisturbed.rollouts} == undisturbed.rollouts
