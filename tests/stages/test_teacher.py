"""Rollouts of a teacher behind an endpoint."""

import json
from pathlib import Path
from typing import Any

import pytest

from t2t import pipeline
from t2t.cli import load_config
from t2t.config import RunConfig
from t2t.errors import ConfigError
from t2t.records import Example, Rollout, Task
from t2t.store import read_records
from tests.chat_endpoint import answering


def test_a_teacher_plays_over_chat_completions_and_its_successes_become_rows(tmp_path: Path):
    moves: dict[str, tuple[Any, ...]] = {}

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        """The reference agent's next move; it knows the task by the opening."""
        assert body["model"] == "big" and body["tools"] and body["max_tokens"] == 300
        opening = next(message["content"] for message in body["messages"] if message["role"] == "user")
        said = sum(message["role"] == "assistant" for message in body["messages"])
        move = moves[opening][said] if said < len(moves[opening]) else None
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in (move.calls if move else ())
        ]
        text = move.say if move else "Goodbye."
        return 200, {"choices": [{"message": {"content": text, "tool_calls": calls}, "finish_reason": "stop"}]}

    with answering(answer) as endpoint:
        config = RunConfig.model_validate(
            {
                "domain": {"train": ["library"]},
                "explore": {"num_train": 40, "num_test": 0},
                "synthesize": {"num_train": 12, "num_test": 0},
                "evaluate": {"domains": []},
                "paths": {"runs": str(tmp_path)},
                "rollout": {
                    "agent": "model",
                    "api": {"base_urls": [endpoint.url], "model": "big", "max_tokens": 300},
                },
            }
        )
        found = pipeline.artifacts(config)
        for name in ("explore", "synthesize", "rollout", "filter"):
            if name == "rollout":
                tasks = read_records(found["synthesize"].folder / "tasks.jsonl", Task)
                moves.update({task.scenario.opening: task.expectation.moves for task in tasks})
            pipeline.make(config, next(stage for stage in pipeline.STAGES if stage.name == name), found)
    rollouts = list(read_records(found["rollout"].folder / "rollouts.jsonl", Rollout))
    assert len(rollouts) == 12
    assert {(one.agent, one.reward.value, one.turns) for one in rollouts} == {("teacher", 1.0, ())}
    assert len(list(read_records(found["filter"].folder / "examples.jsonl", Example))) == 12


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["rollout.api.base_urls=[http://127.0.0.1:9]", "rollout.api.model=big"], "rollout.agent=model"),
        (["rollout.api.base_urls=[http://127.0.0.1:9]", "rollout.agent=model"], "needs rollout.api.model"),
        (
            [
                "rollout.api.base_urls=[http://127.0.0.1:9]",
                "rollout.api.model=big",
                "rollout.agent=model",
                "user.kind=model",
            ],
            "needs user.api.base_urls",
        ),
    ],
)
def test_a_teacher_that_cannot_play_is_refused_at_once(settings: list[str], text: str):
    with pytest.raises(ConfigError, match=text):
        load_config(["recipe=quickstart", *settings])
