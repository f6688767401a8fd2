"""Tiny random models of several architectures."""

from typing import Any, NamedTuple

import torch
from token_rows import VOCABULARY

COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


class Tiny(NamedTuple):
    """A model's configuration."""

    model_type: str
    """Name of the architecture in transformers."""
    settings: dict[str, Any]
    """What differs from `COMMON`."""
    packs: bool = True
    """Whether packs are exact for it."""


TINY = {
    "llama": Tiny("llama", {}),
    "qwen2": Tiny("qwen2", {}),
    "qwen2_sliding": Tiny(
        "qwen2",
        {
            "use_sliding_window": True,
            "sliding_window": 7,
            "max_window_layers": 1,
            "layer_types": ["full_attention", "sliding_attention"],
        },
    ),
    "qwen3": Tiny("qwen3", {}),
    "mistral": Tiny("mistral", {"sliding_window": 7}),
    "gemma3": Tiny("gemma3_text", {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]}),
    "qwen3_moe": Tiny("qwen3_moe", EXPERTS),
    "gemma2": Tiny("gemma2", {}, packs=False),
    "gpt_oss": Tiny("gpt_oss", {"num_local_experts": 4, "num_experts_per_tok": 2}, packs=False),
    "bloom": Tiny("bloom", {"n_head": 4, "n_layer": 2}, packs=False),
    "mamba": Tiny("mamba", {"state_size": 4}, packs=False),
    "qwen3_next": Tiny(
        "qwen3_next",
        {
            **EXPERTS,
            "layer_types": ["linear_attention", "full_attention"],
            "shared_expert_intermediate_size": 16,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
        },
        packs=False,
    ),
}


def tiny_model(architecture: str) -> Any:
    """Build one of `TINY` with random weights in float32."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tiny = TINY[architecture]
    torch.manual_seed(0)
    config = AutoConfig.for_model(tiny.model_type, **{**COMMON, **tiny.settings})
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)
