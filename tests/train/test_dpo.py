"""Learning from pairs of talks."""

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from token_rows import VOCABULARY

from t2t.config import TrainConfig
from t2t.errors import ConfigError, RunError
from t2t.filter.pairs import make_pair
from t2t.models.rendering import Renderer
from t2t.records import Intent, Message, Reward, Rollout, StopReason, Turn
from t2t.train.dpo import TokenPair, encode_pair, plan_steps, train
from t2t.train.packing import IGNORE, TokenRow


def make_pairs(count: int, seed: int = 0) -> list[TokenPair]:
    """Pairs that part behind twelve tokens, with loss on every other stretch of what follows."""
    rng = random.Random(seed)
    pairs: list[TokenPair] = []
    for number in range(count):
        prompt = [rng.randrange(3, VOCABULARY) for _ in range(12)]
        rows: list[TokenRow] = []
        for side in ("chosen", "rejected"):
            own = [rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(6, 20))]
            labels = [t if (i // 3) % 2 == 0 else IGNORE for i, t in enumerate(own)]
            rows.append(TokenRow(f"{number} {side}", [*prompt, *own], [IGNORE] * 12 + labels))
        pairs.append(TokenPair(str(number), rows[0], rows[1]))
    return pairs


def settings(**changes: Any) -> TrainConfig:
    """All pairs of four in one step, in float32, with a small adapter."""
    plain: dict[str, Any] = {
        "method": "dpo",
        "epochs": 3,
        "learning_rate": 5e-3,
        "warmup_share": 0,
        "lora_r": 4,
        "lora_alpha": 8,
        "dtype": "float32",
        "loss_tokens_per_step": 10_000,
        "max_length": 64,
        "save_steps": 100,
        "recompute": "never",
    }
    return TrainConfig.model_validate({**plain, **changes})


def log_probability(source: str, row: TokenRow) -> float:
    """Of the labelled tokens of a row, by one plain forward pass."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
    return sum(float(logits[place - 1, label]) for place, label in enumerate(row.labels) if label != IGNORE)


def advantage(source: str, pairs: list[TokenPair]) -> float:
    """How much likelier the chosen talks are than the rejected ones, in nats a pair."""
    return sum(log_probability(source, one.chosen) - log_probability(source, one.rejected) for one in pairs) / 4


@pytest.fixture(scope="module")
def pairs() -> list[TokenPair]:
    return make_pairs(4)


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_it_begins_at_the_logarithm_of_two_and_ends_with_the_chosen_talks_likelier(
    tmp_path: Path, tiny_source: str, pairs: list[TokenPair], adapter: str
):
    rate = 5e-3 if adapter == "lora" else 1e-3
    result = train(pairs, settings(adapter=adapter, learning_rate=rate), tiny_source, tmp_path, seed=0)
    first, last = result.history[0], result.history[-1]
    assert result.num_steps == len(result.history) == 3
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5) and first["rewards/margins"] == pytest.approx(
        0, abs=1e-5
    )
    assert last["loss"] < first["loss"] and last["rewards/margins"] > 0
    assert {"rewards/accuracies", "learning_rate", "grad_norm", "epoch"} <= last.keys()
    assert advantage(str(result.merged_dir), pairs) > advantage(tiny_source, pairs)
    assert (result.adapter_dir is None) == (adapter == "none")


def test_only_tokens_of_the_agent_behind_the_common_beginning_count(
    tmp_path: Path, tiny_source: str, pairs: list[TokenPair]
):
    first = train(pairs, settings(epochs=1), tiny_source, tmp_path, seed=0).history[0]
    for side in ("chosen", "rejected"):
        by_hand = sum(log_probability(tiny_source, getattr(pair, side)) for pair in pairs) / len(pairs)
        assert first[f"logps/{side}"] == pytest.approx(by_hand, abs=1e-3)


def test_a_resumed_run_ends_as_an_undisturbed_one(tmp_path: Path, tiny_source: str):
    pairs = make_pairs(8)
    config = settings(loss_tokens_per_step=30, epochs=1, save_steps=2)
    whole = train(pairs, config, tiny_source, tmp_path / "whole", seed=0)
    assert whole.num_steps == 4
    shutil.copytree(tmp_path / "whole/checkpoints/checkpoint-2", tmp_path / "again/checkpoints/checkpoint-2")
    again = train(pairs, config, tiny_source, tmp_path / "again", seed=0)
    assert [entry["step"] for entry in again.history] == [1, 2, 3, 4]
    for one, other in zip(whole.history, again.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-6)
    with pytest.raises(ConfigError, match=r"train\.resume=never"):
        train(make_pairs(8, seed=1), config, tiny_source, tmp_path / "again", seed=0)


def test_rows_to_check_the_served_weights_with_are_the_chosen_talks(
    tmp_path: Path, tiny_source: str, pairs: list[TokenPair]
):
    train(pairs, settings(parity_prompts=2), tiny_source, tmp_path, seed=0)
    rows = json.loads((tmp_path / "check.json").read_text())["rows"]
    assert [row["input_ids"] for row in rows] == [list(pair.chosen.input_ids) for pair in pairs[:2]]
    for row, pair in zip(rows, pairs, strict=False):
        count = sum(label != IGNORE for label in row["labels"])
        by_hand = -log_probability(str(tmp_path / "merged"), pair.chosen) / count
        assert row["loss"] == pytest.approx(by_hand, abs=0.02)  # merged weights are rounded to bfloat16


def test_a_step_holds_the_same_pairs_on_one_rank_and_on_two():
    pairs = make_pairs(10)
    one, two = (plan_steps(pairs, settings(loss_tokens_per_step=60, epochs=2), 7, ranks) for ranks in (1, 2))
    assert one == two and one.per_step in (2, 4)
    assert sorted(one.order[:10]) == list(range(10)) and one.order[:10] != one.order[10:20]
    assert plan_steps(pairs, settings(loss_tokens_per_step=1), 7, 3).per_step == 3


def test_what_cannot_be_told_apart_is_refused(tmp_path: Path, tiny_source: str, pairs: list[TokenPair]):
    with pytest.raises(ConfigError, match=r"rollout\.attempts"):
        train([], settings(), tiny_source, tmp_path, seed=0)
    silent = pairs[0].rejected
    mute = TokenPair("x", pairs[0].chosen, TokenRow("mute", silent.input_ids, [IGNORE] * len(silent.input_ids)))
    with pytest.raises(ConfigError, match="mute"):
        train([mute], settings(), tiny_source, tmp_path, seed=0)
    with pytest.raises(ConfigError, match=r"train\.dpo_beta"):
        train(pairs, settings(trl={"beta": 0.5}), tiny_source, tmp_path, seed=0)


def test_a_loss_that_is_no_number_names_the_pair(tmp_path: Path, tiny_source: str, pairs: list[TokenPair]):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_source, dtype=torch.float32)
    with torch.no_grad():
        model.get_input_embeddings().weight[pairs[2].rejected.input_ids[-2]] = math.nan
    for part in (model, AutoTokenizer.from_pretrained(tiny_source)):
        part.save_pretrained(tmp_path / "broken")
    with pytest.raises(RunError, match=f"on pairs .*{pairs[2].id}.*; lower train.learning_rate"):
        train(pairs[2:3], settings(), str(tmp_path / "broken"), tmp_path / "out", seed=0)


def test_a_pair_is_rendered_as_its_talks_are_for_fine_tuning(weights_dir: Path):
    renderer = Renderer("smollm2", weights_dir)
    start = (Message(role="system", content="Serve."), Message(role="user", content="Hello."))
    turns = [Turn(sampled_ids=(*renderer.reply_ids(Message(role="assistant", content=text)),)) for text in "ab"]
    talks = {
        "good": (*start, say("Who are you?"), user("Ann."), say("I can do that."), user("Bye.")),
        "bad": (*start, say("Who are you?"), user("Ann."), say("I have done that."), user("No."), say("Sorry.")),
    }
    good, bad = (rollout(name, messages) for name, messages in talks.items())
    pair = make_pair(good, bad, "")
    assert pair is not None
    encoded = encode_pair(pair, renderer)
    for row, talk in ((encoded.chosen, talks["good"][:-1]), (encoded.rejected, talks["bad"])):
        whole = renderer.encode(talk, "")
        assert list(row.input_ids) == whole.input_ids
        begun = next(place for place, label in enumerate(row.labels) if label != IGNORE)
        assert list(row.labels[begun:]) == whole.labels[begun:]
    assert (
        renderer.decode([t for t in encoded.rejected.labels if t != IGNORE]).split()
        == renderer.decode(
            [*renderer.reply_ids(say("I have done that."))[1:], *renderer.reply_ids(say("Sorry."))]
        ).split()
    )
    sampled = encode_pair(pair, renderer, turns)
    assert list(sampled.chosen.input_ids) == renderer.encode(talks["good"][:-1], "", turns).input_ids


def say(text: str) -> Message:
    return Message(role="assistant", content=text)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def rollout(name: str, messages: tuple[Message, ...]) -> Rollout:
    return Rollout(
        id=f"task/base/{name}",
        task_id="task",
        domain="library",
        intent=Intent.GENERAL,
        agent="base",
        attempt=0,
        messages=messages,
        turns=(),
        stop_reason=StopReason.USER_DONE,
        final_hash="",
        reward=Reward(value=1.0, checks={}),
    )
