"""Load a model for training, and save what was trained."""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any, cast

from t2t.config import TrainConfig
from t2t.errors import ConfigError
from t2t.models.cpu import fast_cpu_dtype


def resolve_dtype(dtype: str) -> str:
    """Replace ``auto``: bfloat16 on a GPU, on a CPU what it trains fast in."""
    import torch

    if dtype != "auto":
        return dtype
    return "bfloat16" if torch.cuda.is_available() else fast_cpu_dtype(training=True)


def weight_dtype(config: TrainConfig) -> str:
    """Type in which weights are held; weights that are trained themselves need float32 to add up small steps."""
    return "float32" if config.adapter == "none" else resolve_dtype(config.dtype)


def load_model(config: TrainConfig, model_source: str, attention: str | None = None) -> tuple[Any, Any]:
    """Load the model, and make the adapter's settings for it.

    Args:
        config: Settings.
        model_source: Checkpoint folder, or a hub id.
        attention: ``attn_implementation`` of transformers; None is the model's own.

    Returns:
        The model, and PEFT's `LoraConfig`, None for ``adapter=none``.

    Raises:
        ConfigError: The model lacks a target of the adapter.
    """
    import torch
    from transformers import AutoModelForCausalLM

    keep_freed_memory()
    dtype = getattr(torch, weight_dtype(config))
    arguments: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention}
    if config.quantize != "none":
        arguments |= _quantization(config, dtype)
    model: Any = cast(Any, AutoModelForCausalLM).from_pretrained(model_source, **arguments)
    return model, None if config.adapter == "none" else _lora(config, model, model_source)


def save_trained(trainer: Any, config: TrainConfig, model_source: str, out_dir: Path) -> Path | None:
    """Save ``merged/`` and, with an adapter, ``adapter/``; every rank calls, the main process writes.

    Returns:
        The adapter's folder; None for ``adapter=none``.
    """
    from t2t.train.ranks import save_whole

    adapter_dir, merged_dir = out_dir / "adapter", out_dir / "merged"
    tokenizer = trainer.processing_class
    is_main = trainer.accelerator.is_main_process
    if config.adapter == "none":
        state = trainer.accelerator.get_state_dict(trainer.model)
        if is_main:
            _save_weights(state, model_source, merged_dir)
            tokenizer.save_pretrained(str(merged_dir))
        return None
    save_whole(trainer, adapter_dir)
    if is_main:
        (adapter_dir / "training_args.bin").unlink(missing_ok=True)
        _sort_targets(adapter_dir / "adapter_config.json")
        _save_merged(adapter_dir, merged_dir, model_source)
        for folder in (adapter_dir, merged_dir):
            tokenizer.save_pretrained(str(folder))
    return adapter_dir


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks, where training runs on the CPU.

    Otherwise each large tensor is mapped and zeroed by the kernel anew.
    """
    import torch

    if sys.platform == "linux" and not torch.cuda.is_available():
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent in other C libraries
        if mallopt is not None:
            mallopt(-3, 1 << 30)
            mallopt(-1, (1 << 31) - 1)


def _quantization(config: TrainConfig, dtype: Any) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    settings: dict[str, Any] = (
        {"load_in_8bit": True}
        if config.quantize == "int8"
        else {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        }
    )
    device: Any = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": cast(Any, BitsAndBytesConfig)(**settings), "device_map": {"": device}}


def _lora(config: TrainConfig, model: Any, model_source: str) -> Any:
    import torch
    from peft import LoraConfig

    from t2t.train.lora import use_folded_linear

    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    for name in config.lora_targets:
        if name not in linear:
            raise ConfigError(
                f"train.lora_targets holds {name!r}, which {model_source} does not have; "
                f"it has {', '.join(sorted(linear - {'lm_head'}))}"
            )
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        use_rslora=config.adapter == "rslora",
        target_modules=list(config.lora_targets),
        task_type="CAUSAL_LM",
    )
    # Sharded weights are no plain matrices to fold into.
    if weight_dtype(config) == "float32" and config.quantize == "none" and not config.fsdp:
        use_folded_linear(lora)
    return lora


def _sort_targets(file: Path) -> None:
    """PEFT writes a set in the order of its hashes, which differs from process to process."""
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings["target_modules"])
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _save_merged(adapter_dir: Path, merged_dir: Path, model_source: str) -> None:
    """Merge in float32 and round once, so that served weights lie as close as they can to the trained ones."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base: Any = cast(Any, AutoModelForCausalLM).from_pretrained(model_source, dtype=torch.float32)
    merged = cast(Any, PeftModel).from_pretrained(base, str(adapter_dir)).merge_and_unload(safe_merge=True)
    merged.to(torch.bfloat16).save_pretrained(str(merged_dir))


def _save_weights(state: dict[str, Any], model_source: str, merged_dir: Path) -> None:
    """Save gathered weights through a model without any wrapper around it."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = cast(Any, AutoModelForCausalLM).from_pretrained(model_source, dtype=torch.bfloat16)
    model.load_state_dict(state)
    model.save_pretrained(str(merged_dir))
