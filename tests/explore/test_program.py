import pytest

from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.errors import ConfigError
from t2t.explore.program import Coverage, explore
from t2t.explore.reduce import replays
from t2t.records import DataSpec, Trajectory

DATA = DataSpec(seed=1, size=120, split="train")


def walk(domain: Domain, count: int = 60, seed: int = 0) -> list[Trajectory]:
    return list(explore(domain, DATA, count, max_steps=10, blocked_share=0.4, seed=seed, coverage=Coverage()))


@pytest.mark.parametrize("name", list_domains())
def test_every_trajectory_replays_within_the_rules(name: str):
    domain = load_domain(name)
    for trajectory in walk(domain):
        environment = Environment(domain, trajectory.data)
        for step in trajectory.steps:
            done = environment.run(step.call)
            assert done.content == step.content
            assert not done.broken
        if trajectory.blocked:
            broken = {rule.clause for rule in environment.breaks(trajectory.blocked.call)}
            assert broken == ({trajectory.blocked.clause} - {""})
            if not broken:
                refusing = environment.refusing_constraint(trajectory.blocked.call)
                assert refusing and refusing.name == trajectory.blocked.constraint


def test_the_same_seed_gives_the_same_trajectories_and_another_seed_others(library: Domain):
    assert walk(library) == walk(library) != walk(library, seed=1)


def test_walks_reach_every_wish_and_several_clauses(library: Domain):
    coverage = Coverage()
    list(explore(library, DATA, 200, max_steps=8, blocked_share=0.4, seed=0, coverage=coverage))
    assert set(coverage.goals) == {wish.tool for wish in library.wishes}
    assert len(coverage.clauses) >= 6


def test_a_changed_result_does_not_replay(library: Domain):
    trajectory = walk(library, 1)[0]
    first = trajectory.steps[0]
    forged = trajectory.model_copy(
        update={"steps": (first.model_copy(update={"content": first.content + " "}), *trajectory.steps[1:])}
    )
    assert replays(library, trajectory) and not replays(library, forged)


def test_too_short_walks_stop_with_the_setting_to_raise(library: Domain):
    with pytest.raises(ConfigError, match="explore.max_steps"):
        list(explore(library, DATA, 40, max_steps=1, blocked_share=1.0, seed=0, coverage=Coverage()))
