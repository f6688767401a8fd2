"""Memory that training needs, from the model's configuration alone, and packs that fit into what is free."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from t2t.config import TrainConfig
from t2t.train.model import resolve_dtype, weight_dtype

_USABLE = 0.85
"""Share of the free memory that is planned with; the rest is for the allocator's gaps and the libraries."""
_LOGITS = 3 * (1 << 27)
"""Bytes for one chunk of logits and its gradient (`t2t.train.loss`)."""
_MOST_ON_CPU, _MOST_ON_GPU = 8192, 65536
"""Tokens per pack beyond which a pass is no faster."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that one process needs, and what it is planned to compute at once."""

    weights: int
    """The model's weights, with copies that training makes of them."""
    gradients: int
    """Gradients of the trained weights."""
    optimiser: int
    """AdamW's two moments."""
    activations: int
    """What one pack keeps for its way back, and one chunk of logits."""
    free: int
    """Free before anything is loaded."""
    tokens_per_pack: int
    """Tokens computed in one pass."""
    recompute: bool
    """Whether activations are computed again on the way back."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimiser + self.activations

    @property
    def fits(self) -> bool:
        """Whether that is free."""
        return self.total <= self.free

    def lines(self) -> list[str]:
        """The estimate in words, one line for each thing to know."""
        parts = ", ".join(
            f"{name} {size / _GIB:.1f}"
            for name, size in (
                ("weights", self.weights),
                ("gradients", self.gradients),
                ("optimiser", self.optimiser),
                ("activations", self.activations),
            )
        )
        how = "computed again on the way back" if self.recompute else "kept"
        lines = [
            f"memory of one process: {self.total / _GIB:.1f} GiB of {self.free / _GIB:.1f} free ({parts})",
            f"packs of {self.tokens_per_pack} tokens, activations {how}",
        ]
        if not self.fits:
            lines.append(f"that does not fit; {way_out(self.tokens_per_pack, self.recompute)}")
        return lines


def way_out(tokens_per_pack: int, recompute: bool) -> str:
    """What to set when memory runs out."""
    smaller = f"set train.tokens_per_pack={max(1, tokens_per_pack // 2)}"
    return smaller if recompute else f"{smaller}, and if that is not enough train.recompute=always"


def plan_memory(config: TrainConfig, model_source: str, longest: int, num_ranks: int) -> Estimate:
    """Choose pack size and recomputing by the memory that is free now, before the model is loaded.

    Args:
        config: Settings; ``tokens_per_pack`` and ``recompute`` are kept where they are set.
        model_source: Checkpoint folder, or a hub id; only its configuration is read.
        longest: Tokens of the longest row.
        num_ranks: Processes that share sharded weights.
    """
    import torch

    shape = _Shape.of(config, model_source)
    on_gpu = torch.cuda.is_available()
    shared = num_ranks if config.fsdp else 1
    held = {"none": shape.weight_bytes, "int8": 1, "nf4": 0.55}[config.quantize]
    weights = int(shape.in_blocks * held + (shape.parameters - shape.in_blocks) * shape.weight_bytes)
    if shape.folds:
        weights += shape.adapted * 4
    fixed = _LOGITS + (weights + shape.trained * 12) // shared
    free = _free_memory()
    room = max(0, int(free * _USABLE) - fixed)
    goal = max(longest, config.tokens_per_pack or 4096)
    recompute = config.recompute == "always" or (config.recompute == "auto" and shape.per_token(False) * goal > room)
    most = _MOST_ON_GPU if on_gpu else _MOST_ON_CPU
    fitting = min(most, int(room / shape.per_token(recompute)))
    tokens = config.tokens_per_pack or max(longest, fitting)
    return Estimate(
        weights=weights // shared,
        gradients=shape.trained * 4 // shared,
        optimiser=shape.trained * 8 // shared,
        activations=_LOGITS + int(shape.per_token(recompute) * max(tokens, longest)),
        free=free,
        tokens_per_pack=tokens,
        recompute=recompute,
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes of a model, counted on a copy without weights."""

    parameters: int
    in_blocks: int
    adapted: int
    trained: int
    weight_bytes: int
    layers: int
    kept: float
    hidden: int
    activation_bytes: int
    folds: bool

    @classmethod
    def of(cls, config: TrainConfig, model_source: str) -> "_Shape":
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        settings: Any = cast(Any, AutoConfig).from_pretrained(model_source)
        with torch.device("meta"):
            model: Any = cast(Any, AutoModelForCausalLM).from_config(settings)
        text: Any = settings.get_text_config()
        linear = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
        }
        targets = [module for name, module in linear.items() if name.rsplit(".", 1)[-1] in config.lora_targets]
        parameters = sum(weight.numel() for weight in model.parameters())
        lora = sum(config.lora_r * (module.in_features + module.out_features) for module in targets)
        weight_bytes = 4 if weight_dtype(config) == "float32" else 2
        size = 4 if resolve_dtype(config.dtype) == "float32" else 2
        folds = config.adapter != "none" and weight_bytes == 4 and config.quantize == "none" and not config.fsdp
        hidden, layers = int(text.hidden_size), int(text.num_hidden_layers)
        return cls(
            parameters=parameters,
            in_blocks=sum(module.weight.numel() for module in linear.values()),
            adapted=sum(module.weight.numel() for module in targets),
            trained=parameters if config.adapter == "none" else lora,
            weight_bytes=weight_bytes,
            layers=layers,
            kept=_kept_per_token(linear.values(), hidden * layers, size),
            hidden=hidden,
            activation_bytes=size,
            folds=folds,
        )

    def per_token(self, recompute: bool) -> float:
        """Bytes that one token of a pack keeps in all layers."""
        if not recompute:
            return self.kept
        return self.layers * self.hidden * self.activation_bytes + self.kept / self.layers


def _kept_per_token(linear: Any, width: int, size: int) -> float:
    """Bytes per token: input and output of every linear layer, two norms and two residuals a layer.

    A norm keeps its input in float32. An expert layer holds all its experts, of which few see a
    token, but those are stacked matrices and no linear layers, so they are not counted here.
    """
    return sum(size * (module.in_features + module.out_features) for module in linear) + width * (2 * 4 + 2 * size)


def _free_memory() -> int:
    """Bytes that this process may still take: of its GPU, or its part of this machine's or container's."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    limits = [_free_of_machine(), _free_of_container()]
    return int(min(limits) / int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _free_of_machine() -> float:
    file = Path("/proc/meminfo")
    if not file.is_file():
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    lines = file.read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024


def _free_of_container(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """What the control group leaves; page cache that the kernel gives up when asked counts as free."""
    limit, used = folder / "memory.max", folder / "memory.current"
    if not limit.is_file() or limit.read_text(encoding="ascii").strip() == "max":
        return math.inf
    stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
    cache = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
    return float(int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")) + cache)
