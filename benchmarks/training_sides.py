"""The sides of the training benchmark, each in a process of its own, and a clock that lets them take turns.

A side builds its trainer, waits, and makes one optimiser step each time it is told to. What runs is
the whole loop of the library, so a step costs what it costs a user: data, forward, backward, clipping,
optimiser, logging. A process of its own, because memory, allocator and compiled code are per process.
"""

import ctypes
import importlib.util
import math
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from t2t.config import TrainConfig
from t2t.train.packing import TokenRow

PLAIN, BEST, OURS = "plain TRL", "best TRL", "t2t"

VARIANTS: dict[str, dict[str, Any]] = {
    "no sharing": {"share_prefix": "never"},
    "no packing either": {"share_prefix": "never", "tokens_per_pack": 1},
    "PEFT's LoRA layers": {},
    "loss everywhere": {},
    "memory given back": {},
    "recompute": {"recompute": "always"},
    "compile": {"compile": True},
}
"""This project with one trick less, or with one that is off by default: the settings that say so, where some do."""


@dataclass(frozen=True)
class Setup:
    """One side and all it needs."""

    side: str
    """`PLAIN`, `BEST` or `OURS`."""
    source: str
    """Checkpoint folder."""
    steps: list[list[TokenRow]]
    """Rows of each optimiser step; equally many in each."""
    config: TrainConfig
    """What is trained and how; of the settings that only change the speed, plain and best use none."""
    batch_size: int
    """Rows of one padded batch of the plain side."""
    tokens_per_pack: int
    """Tokens of one pack of the best side; 0 takes rows one by one."""
    variant: str = ""
    """One of `VARIANTS` of this project's side."""


class Step(NamedTuple):
    """One optimiser step."""

    loss: float
    """Per labelled token."""
    seconds: float
    """From the end of the step before, without waiting."""


class Told(NamedTuple):
    """What a side says of itself once it is built."""

    weights: int
    """Weights that are multiplied with each token: all but an embedding that only looks up."""
    computed: int
    """Tokens to compute in all steps, padding included."""
    notes: str
    """How it is set."""


@dataclass
class Side:
    """A running side."""

    setup: Setup
    steps: list[Step] = field(default_factory=list[Step])
    peak_bytes: int = 0

    def start(self) -> Told:
        """Start the process; returns when its trainer is built."""
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.setup, other), daemon=True)
        self._process.start()
        other.close()
        return self._receive()

    def step(self) -> None:
        """Make one optimiser step."""
        self._pipe.send(None)
        self.steps.append(self._receive())

    def end(self) -> None:
        """End the process, after its last step."""
        self._pipe.send(None)
        self.peak_bytes = max(self.peak_bytes, self._receive())
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            raise SystemExit(f"the side {self.setup.side} {self.setup.variant} failed; see above") from None


def _serve(setup: Setup, pipe: Connection) -> None:
    """Train one side, a step whenever something arrives in `pipe`."""
    import torch
    from transformers import TrainerCallback, set_seed
    from transformers.trainer_callback import PrinterCallback

    from t2t.train.sft import quiet

    def wait_for_turn() -> float:
        # Whoever waits leaves freed memory to the others.
        if not torch.cuda.is_available():
            ctypes.CDLL(None).malloc_trim(0)
        pipe.recv()
        return time.perf_counter()

    class Clock(TrainerCallback):
        began = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = wait_for_turn()

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                pipe.send(Step(float(logs["loss"]), time.perf_counter() - self.began))
                self.began = wait_for_turn()

    quiet()
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trainer, computed, notes = (_build_ours if setup.side == OURS else _build_trl)(setup, folder)
        _fill_adapter(trainer.model)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Clock())
        pipe.send(Told(_count_weights(trainer.model), computed, notes))
        trainer.train()
    if torch.cuda.is_available():
        pipe.send(torch.cuda.max_memory_allocated())
    else:
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _fill_adapter(model: Any) -> None:
    """Give an adapter the same first weights on every side."""
    import torch

    for name, weight in model.named_parameters():
        if "lora_A" in name:
            generator = torch.Generator().manual_seed(random.Random(name).getrandbits(32))
            first = torch.randn(weight.shape, generator=generator) / math.sqrt(weight.shape[1])
            weight.data.copy_(first)


def _count_weights(model: Any) -> int:
    base = model.get_base_model()
    weights = sum(weight.numel() for name, weight in base.named_parameters() if "lora_" not in name)
    tied = base.get_input_embeddings().weight is base.get_output_embeddings().weight
    return weights if tied else weights - base.get_input_embeddings().weight.numel()


def _build_trl(setup: Setup, folder: str) -> tuple[Any, int, str]:
    """TRL as a user writes it, or as one who knows it well does."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    on_gpu = torch.cuda.is_available()
    config = setup.config
    options: dict[str, Any] = {}
    attention = "sdpa"
    if setup.side == PLAIN:
        items = [_item([row]) for step in setup.steps for row in step]
        options["per_device_train_batch_size"] = setup.batch_size
        options["gradient_accumulation_steps"] = len(setup.steps[0]) // setup.batch_size
    else:
        packs = [_best_fit(step, setup.tokens_per_pack) for step in setup.steps]
        most = max(map(len, packs))
        # Every step takes equally many packs: two tokens without loss fill up.
        filler = TokenRow("", [0, 0], [-100, -100])
        items = [_item(pack) for step in packs for pack in (*step, *[[filler]] * (most - len(step)))]
        options["per_device_train_batch_size"] = 1
        options["gradient_accumulation_steps"] = most
        options["gradient_checkpointing"] = config.recompute == "always"
        options["padding_free"] = setup.tokens_per_pack > 0
        if on_gpu and importlib.util.find_spec("liger_kernel"):
            options["use_liger_kernel"] = True
        if on_gpu and importlib.util.find_spec("flash_attn"):
            attention = "flash_attention_2"
    columns = {name: [item[name] for item in items] for name in items[0]}
    tokenizer: Any = AutoTokenizer.from_pretrained(setup.source)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    trainer: Any = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            setup.source, dtype=config.dtype, attn_implementation=attention, device_map="cuda" if on_gpu else None
        ),
        args=SFTConfig(
            output_dir=folder,
            max_steps=len(setup.steps),
            learning_rate=config.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(config.warmup_share * len(setup.steps)),
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            train_sampling_strategy="sequential",
            bf16=on_gpu,
            use_cpu=not on_gpu,
            dataloader_pin_memory=on_gpu,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=0,
            **options,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            target_modules=list(config.lora_targets),
            task_type="CAUSAL_LM",
        ),
    )
    size = options["per_device_train_batch_size"]
    lengths = [len(item["input_ids"]) for item in items]
    computed = sum(size * max(lengths[start : start + size]) for start in range(0, len(lengths), size))
    shown = {**options, "attention": attention}
    return trainer, computed, ", ".join(f"{name}={value}" for name, value in shown.items())


def _build_ours(setup: Setup, folder: str) -> tuple[Any, int, str]:
    """This project, fed with the steps that the others take."""
    from t2t.train import lora, model, sft
    from t2t.train.packing import EMPTY, plan_run

    # The two that no setting turns off.
    if setup.variant == "PEFT's LoRA layers":
        lora.use_folded_linear = lambda _: None
    if setup.variant == "memory given back":
        model.keep_freed_memory = lambda: None
    config = setup.config.model_copy(update=VARIANTS.get(setup.variant, {}))
    rows = [row for step in setup.steps for row in step]
    prepared = sft.prepare(rows, config, setup.source, 0, 1)
    planned = prepared.plan
    steps = [
        plan_run(
            step,
            epochs=1,
            loss_tokens_per_step=sum(len(row.labels) for row in step),
            tokens_per_pack=planned.tokens_per_pack,
            share="always" if planned.shares else "never",
            seed=0,
            num_ranks=1,
        ).steps[0]
        for step in setup.steps
    ]
    most = max(map(len, steps))
    plan = replace(planned, steps=[[*step, *[EMPTY] * (most - len(step))] for step in steps])
    trainer = sft.build_trainer(replace(prepared, plan=plan), rows, config, setup.source, Path(folder), 0)
    if setup.variant == "loss everywhere":
        collate = trainer.data_collator

        def collate_whole(items: Any) -> dict[str, Any]:
            import torch

            batch = collate(items)
            count = batch["input_ids"].shape[1]
            positions, targets, weights = (
                batch["loss_positions"],
                torch.zeros(count, dtype=torch.long),
                torch.zeros(count),
            )
            targets[positions], weights[positions] = batch["targets"], batch["token_weights"]
            return {**batch, "loss_positions": torch.arange(count), "targets": targets, "token_weights": weights}

        trainer.data_collator = collate_whole
    notes = (
        f"packs of {plan.tokens_per_pack} tokens, shared prefixes: {plan.shares}, recompute={prepared.memory.recompute}"
    )
    return trainer, plan.tokens_computed, notes


def _item(rows: Sequence[TokenRow]) -> dict[str, list[int]]:
    """Rows one behind the other, in TRL's names; it masks the first token of each itself."""
    return {
        "input_ids": [token for row in rows for token in row.input_ids],
        "labels": [label for row in rows for label in row.labels],
        "seq_lengths": [len(row.input_ids) for row in rows],
    }


def _best_fit(rows: Sequence[TokenRow], most: int) -> list[list[TokenRow]]:
    """Best-fit decreasing, as TRL's ``packing=True`` does, within one step."""
    packs: list[list[TokenRow]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row.input_ids)):
        size = len(row.input_ids)
        fits = [number for number, left in enumerate(room) if left >= size]
        if fits:
            number = min(fits, key=lambda number: room[number])
            packs[number].append(row)
            room[number] -= size
        else:
            packs.append([row])
            room.append(most - size)
    return packs
