"""What the training benchmark trains on: talks about retail with their real prompts, or random ones.

The talks are made by this project's own stages, from a seed, and kept under ``build/``.
"""

import random
from pathlib import Path
from typing import Any

from t2t import pipeline
from t2t.config import (
    DomainConfig,
    EvaluateConfig,
    ExploreConfig,
    FilterConfig,
    ModelConfig,
    PathsConfig,
    RunConfig,
    SynthesizeConfig,
)
from t2t.models.rendering import Renderer
from t2t.train.packing import IGNORE, TokenRow
from t2t.train.rows import load_rows

BUILD = Path(__file__).parent.parent / "build" / "training_benchmark"
VOCABULARY = 49152
SHAPES: dict[str, dict[str, Any]] = {
    "7b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "tie_word_embeddings": False,
    },
    "0.5b": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "tie_word_embeddings": True,
    },
}
"""Random weights of these sizes; the vocabulary is that of the tokenizer at hand."""


def make_retail_rows(count: int, source: str) -> list[TokenRow]:
    """Talks of the reference agent with callers of the retail domain, in the tokens of `source`."""
    config = RunConfig(
        domain=DomainConfig(train=("retail",), size=200),
        explore=ExploreConfig(num_train=max(200, 4 * count), num_test=40),
        synthesize=SynthesizeConfig(num_train=max(64, 2 * count), num_test=4),
        filter=FilterConfig(max_examples=count),
        evaluate=EvaluateConfig(domains=()),
        model=ModelConfig(name="benchmark", source=source, template="smollm2"),
        paths=PathsConfig(runs=str(BUILD)),
        stages=("explore", "synthesize", "rollout", "filter"),
    )
    pipeline.run(config)
    made = pipeline.artifacts(config)
    rows = load_rows(
        made["filter"].folder / "examples.jsonl",
        made["rollout"].folder / "rollouts.jsonl",
        Renderer(config.model.template, source),
        config.train,
        lambda _: (),
        BUILD,
    ).rows
    return [TokenRow(row.id, list(row.input_ids), list(row.labels)) for row in rows]


def make_random_rows(count: int, prefix: int) -> list[TokenRow]:
    """Random tokens, a quarter of them with loss.

    Args:
        count: Number of rows.
        prefix: Tokens that all rows begin with, followed by about 640 of their own; 0 makes rows of 500 to
            8,192 tokens that share nothing.
    """
    rng = random.Random(0)
    shared = [rng.randrange(100, 40000) for _ in range(prefix)]
    rows: list[TokenRow] = []
    for number in range(count):
        length = rng.randrange(480, 801) if prefix else int(min(8192, max(500, rng.lognormvariate(7.7, 0.5))))
        own = [rng.randrange(100, 40000) for _ in range(length)]
        labels = [token if i // 100 % 4 == 3 else IGNORE for i, token in enumerate(own)]
        rows.append(TokenRow(str(number), [*shared, *own], [*[IGNORE] * prefix, *labels]))
    return rows


def make_random_model(shape: str, tokenizer: str) -> str:
    """Folder of a checkpoint with random weights in bfloat16; made once."""
    folder = BUILD / shape
    if (folder / "config.json").is_file():
        return str(folder)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, set_seed

    settings = dict(SHAPES[shape])
    config = AutoConfig.for_model(
        settings.pop("model_type"), vocab_size=VOCABULARY, max_position_embeddings=32768, dtype="bfloat16", **settings
    )
    set_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    model.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()
    return str(folder)
