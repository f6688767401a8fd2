"""Plain TRL against this project's training step, on the same rows, on this machine.

    python benchmarks/training.py weights/smollm2-135m-instruct [--prefix 700] [--rows 8] [--repeats 2]

Plain is what a TRL user writes: `SFTTrainer`, PEFT LoRA, padded batches, sdpa. Both sides run TRL's
own `compute_loss` and the backward pass over one optimiser step's rows, in turns, after one step
that warms up and shows that losses and gradients agree. A real token is one token of one row,
counted with the row's own prefix.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from typing import Any

from t2t.config import TrainConfig
from t2t.train.packing import IGNORE, TokenRow
from t2t.train.sft import build_trainer, plan_steps, resolve_dtype


def make_rows(count: int, prefix: int, vocabulary: int) -> list[TokenRow]:
    """Rows of 200 to 300 own tokens, two fifths of them the agent's, behind one prefix."""
    rng = random.Random(0)
    shared = [rng.randrange(10, vocabulary) for _ in range(prefix)]
    rows: list[TokenRow] = []
    for number in range(count):
        own = [rng.randrange(10, vocabulary) for _ in range(rng.randrange(200, 300))]
        labels = [token if i % 50 >= 30 else IGNORE for i, token in enumerate(own)]
        rows.append(TokenRow(str(number), [*shared, *own], [IGNORE] * prefix + labels))
    return rows


def plain_trainer(rows: list[TokenRow], config: TrainConfig, source: str, folder: str, batch_size: int) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer: Any = AutoTokenizer.from_pretrained(source)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(source, dtype=resolve_dtype(config.dtype)),
        args=SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=len(rows) // batch_size,
            gradient_checkpointing=False,
            max_length=None,
            bf16=False,
            use_cpu=True,
            disable_tqdm=True,
            seed=0,
        ),
        train_dataset=Dataset.from_dict(
            {"input_ids": [list(row.input_ids) for row in rows], "labels": [list(row.labels) for row in rows]}
        ),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            target_modules=list(config.lora_targets),
            task_type="CAUSAL_LM",
        ),
    )


def run_step(trainer: Any, batches: list[Any], labelled: int) -> tuple[float, float, float]:
    """Loss, seconds and norm of the gradients of one optimiser step."""
    import torch

    trainer.model.train()
    trainer.model.zero_grad()
    began = time.perf_counter()
    total = 0.0
    for batch in batches:
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=torch.tensor(labelled))
        loss.backward()
        total += float(loss.detach())
    seconds = time.perf_counter() - began
    grads = [weight.grad.norm() for weight in trainer.model.parameters() if weight.grad is not None]
    return total, seconds, float(torch.stack(grads).norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="checkpoint folder")
    parser.add_argument("--prefix", type=int, default=700, help="tokens of the shared prefix")
    parser.add_argument("--rows", type=int, default=8, help="rows of one optimiser step")
    parser.add_argument("--rows-per-pack", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=4, help="rows of one padded batch of plain TRL")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()

    config = TrainConfig(
        dtype=arguments.dtype, rows_per_step=arguments.rows, rows_per_pack=arguments.rows_per_pack, epochs=1
    )
    from transformers import AutoConfig

    vocabulary = int(AutoConfig.from_pretrained(arguments.source).vocab_size)
    rows = make_rows(arguments.rows, arguments.prefix, vocabulary)
    real = sum(len(row.input_ids) for row in rows)
    labelled = sum(label != IGNORE for row in rows for label in row.labels)
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_trainer(rows, config, arguments.source, folder, arguments.batch_size)
        (packs,) = plan_steps(rows, config, seed=0, num_ranks=1)
        ours = build_trainer(packs, 1, config, arguments.source, f"{folder}/ours", seed=0, num_ranks=1)
        sides = {"plain": plain, "ours": ours}
        batches = {name: list(trainer.get_train_dataloader()) for name, trainer in sides.items()}
        computed = {name: sum(batch["input_ids"].numel() for batch in batches[name]) for name in sides}
        warm = {name: run_step(trainer, batches[name], labelled) for name, trainer in sides.items()}
        difference = abs(warm["plain"][0] - warm["ours"][0])
        print(f"loss plain {warm['plain'][0]:.6f}, ours {warm['ours'][0]:.6f}, difference {difference:.1e}")
        print(f"gradient norm plain {warm['plain'][2]:.6f}, ours {warm['ours'][2]:.6f}", flush=True)
        if difference > (1e-4 if arguments.dtype == "float32" else 5e-2):
            raise SystemExit("the losses differ: nothing is measured")
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(arguments.repeats):
            for name, trainer in sides.items():
                times[name].append(run_step(trainer, batches[name], labelled)[1])
    rates = {name: real / statistics.median(seconds) for name, seconds in times.items()}
    print(f"{'':8}{'computed tokens':>16}{'s/step':>10}{'real tokens/s':>16}")
    for name in sides:
        print(f"{name:8}{computed[name]:>16}{statistics.median(times[name]):>10.2f}{rates[name]:>16.0f}")
    ratio = statistics.median(a / b for a, b in zip(times["plain"], times["ours"], strict=True))
    figures = {
        "versus_plain": round(ratio, 2),
        "real_tokens_per_s": round(rates["ours"], 1),
        "max_loss_difference": difference,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
