"""kill -9 at random moments: nothing is lost, nothing is doubled, nothing is paid for twice."""

import random
from pathlib import Path

import pytest

from tests.faults.conftest import DELAY_S, Undisturbed
from tests.faults.harness import Base, fault_server, kill_again_and_again, new_case


def kill(base: Base, undisturbed: Undisturbed, folder: Path, weights: Path, num_kills: int, seed: int) -> None:
    """Kill `num_kills` times in all, over as many runs as it takes."""
    rng = random.Random(seed)
    left, num_kept, number = num_kills, 0, 0
    with fault_server(folder / "server", base, weights, delay_s=DELAY_S) as server:
        while left:
            number += 1
            case = new_case(base, folder / f"runs{number}", {"engine": {"base_urls": [server.url]}})
            longest_s = 1.2 * undisturbed.seconds
            killing = kill_again_and_again(case, server, rng, longest_s, left, undisturbed.num_turns)
            assert case.rollouts() == undisturbed.rollouts
            left -= killing.num_kills
            num_kept += killing.num_kept
    assert num_kept > 0, "no kill came after a talk was finished"


def test_a_few_kills_lose_nothing_and_no_talk_is_paid_for_twice(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 6, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_200_kills_lose_nothing_and_no_talk_is_paid_for_twice(base, undisturbed, tmp_path: Path, weights_dir: Path):
    kill(base, undisturbed, tmp_path, weights_dir, 200, seed=2)
