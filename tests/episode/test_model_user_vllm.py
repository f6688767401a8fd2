"""Callers that a real small model plays: it keeps to little, and every talk still ends with its faults named."""

import asyncio
from collections import Counter

import pytest

from t2t.config import ApiConfig, EngineConfig, ModelConfig, ModelUseConfig, RunConfig
from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.episode.agent import ReferenceAgent
from t2t.episode.model_user import STOP, ModelUser
from t2t.episode.play import Limits, play
from t2t.models.use import open_model
from t2t.records import Rollout, StopReason, Task

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.timeout(900)]

REDRAWS = 2
LIMITS = Limits(max_turns=8, max_errors=3)


@pytest.fixture(scope="module")
def served(weights_dir, tmp_path_factory):
    config = RunConfig(
        model=ModelConfig(source=str(weights_dir), max_context=4096),
        engine=EngineConfig(max_num_seqs=8, cpu_kv_cache_gib=1),
    )
    use = ModelUseConfig(api=ApiConfig(temperature=0.8, max_tokens=60))
    with open_model(config, use, "user", tmp_path_factory.mktemp("vllm") / "server.log") as served:
        yield served


def test_talks_end_and_the_faults_of_their_callers_are_found_and_marked(
    served, library: Domain, library_tasks: list[Task]
):
    tasks = library_tasks[:24:3]
    turns = Counter[str]()

    async def talk(number: int, task: Task) -> Rollout:
        user = ModelUser(library, task.scenario, served.chat, number, redraws=REDRAWS)
        rollout = await play(task, "a", 0, ReferenceAgent(task), Environment(library, task.data), LIMITS, user)
        turns[rollout.id] = sum(message.role == "user" for message in rollout.messages)
        return rollout

    async def all_talks() -> list[Rollout]:
        return await asyncio.gather(*(talk(number, task) for number, task in enumerate(tasks)))

    rollouts = asyncio.run(all_talks())
    faults = [fault for rollout in rollouts for fault in rollout.user_faults]
    assert len(rollouts) == 8 and len(faults) >= 4, "this model does not keep to a scenario"
    for rollout in rollouts:
        assert rollout.stop_reason in (StopReason.USER_DONE, StopReason.MAX_TURNS, StopReason.USER_FAILED)
        said = [message.content for message in rollout.messages if message.role == "user"]
        assert not any(STOP in text for text in said)
        draws = Counter(fault.place for fault in rollout.user_faults)
        kept = [fault for fault in rollout.user_faults if fault.kept]
        assert all(count <= REDRAWS + 1 for count in draws.values())
        assert all(draws[fault.place] == REDRAWS + 1 for fault in kept), "only the last draw stands"
        assert all(fault.text.replace(STOP, "").strip() in said or STOP[:5] in fault.text for fault in kept)
    print(  # noqa: T201  for whoever runs it
        Counter(fault.kind for fault in faults),
        Counter(rollout.stop_reason.value for rollout in rollouts),
        f"{sum(fault.kept for fault in faults)} kept of {turns.total()} turns",
        *(f"\n{fault.kind}, {'kept' if fault.kept else 'thrown away'}: {fault.text!r}" for fault in faults),
    )
