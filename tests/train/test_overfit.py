"""Eight talks, learned by heart through the real stages, are played again by the served adapter, call for call."""

import asyncio
import json
from pathlib import Path

import pytest

from t2t import pipeline
from t2t.config import RunConfig
from t2t.records import Example, Message, Rollout, Task
from t2t.scheduling.ledger import Owed
from t2t.scheduling.talks import Talks, TalkSpec
from t2t.stages.serving import serve
from t2t.store import read_records

pytestmark = [pytest.mark.training, pytest.mark.timeout(7200)]

NUM_TALKS = 8


def calls_of(messages: tuple[Message, ...]) -> list[tuple[str, dict[str, object]]]:
    return [
        (call.name, call.arguments)
        for message in messages
        if message.role == "assistant"
        for call in message.tool_calls
    ]


def test_talks_learned_by_heart_are_reproduced_call_for_call(weights_dir: Path, tmp_path: Path):
    config = RunConfig.model_validate(
        {
            "paths": {"runs": str(tmp_path / "runs")},
            "stages": ["explore", "synthesize", "rollout", "filter", "train", "parity"],
            "model": {"source": str(weights_dir), "max_context": 2048},
            "engine": {"cpu_kv_cache_gib": 1, "max_num_seqs": NUM_TALKS},
            "domain": {"train": ["library"]},
            "explore": {"num_train": 80, "num_test": 20},
            "synthesize": {"num_train": 24, "num_test": 8, "personas": 0},
            "filter": {"max_examples": NUM_TALKS},
            # Two to three steps a pass, over about a thousand tokens that carry loss.
            "train": {"epochs": 24, "loss_tokens_per_step": 400, "parity_prompts": NUM_TALKS, "save_steps": 10},
            "evaluate": {"domains": []},
        }
    )
    pipeline.run(config)
    found = pipeline.artifacts(config)
    examples = {one.task_id: one for one in read_records(found["filter"].folder / "examples.jsonl", Example)}
    assert len(examples) == NUM_TALKS
    losses = [row["loss"] for row in json.loads((found["train"].folder / "check.json").read_text())["rows"]]
    assert len(losses) == NUM_TALKS and max(losses) < 0.01, losses

    tasks = [task for task in read_records(found["synthesize"].folder / "tasks.jsonl", Task) if task.id in examples]
    adapters = {"tuned": found["train"].folder / "adapter"}
    with serve(config, str(weights_dir), "tuned", tmp_path / "server.log", seeded=False, adapters=adapters) as served:
        spec = TalkSpec(
            config=config, section="evaluate", agent="tuned", kind="model", base_urls=served.base_urls, served="tuned"
        )
        talks = Talks(spec)

        async def play() -> list[Rollout]:
            return await asyncio.gather(*(talks.play(Owed(task, 0)) for task in tasks))

        played = asyncio.run(play())
    learned = {task.id: calls_of(examples[task.id].messages) for task in tasks}
    assert sum(map(len, learned.values())) >= 2 * NUM_TALKS
    assert {rollout.task_id: calls_of(rollout.messages) for rollout in played} == learned
    assert {rollout.task_id: rollout.reward.value for rollout in played} == dict.fromkeys(learned, 1.0)
