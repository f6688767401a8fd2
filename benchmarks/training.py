"""Plain TRL, TRL as well as it can be set, and this project, on the same rows, on this machine.

    python benchmarks/training.py weights/smollm2-135m-instruct                               # retail talks
    python benchmarks/training.py weights/smollm2-135m-instruct --each                        # what each trick buys
    python benchmarks/training.py weights/smollm2-135m-instruct --shape 7b --prefix 3072      # a GPU

Plain is what a TRL user writes: `SFTTrainer` with its defaults, a LoRA adapter, padded batches. All sides
begin with equal weights and take the same rows, so the same real tokens, in each optimiser step. They take
turns: on a CPU step by step, on a GPU, which holds one of them at a time, `--rounds` times from the start.
A real token is a token of a row, counted with the row's own prompt whether or not that is computed again.
Losses are compared before any figure is given. Useful MFU counts 4 FLOP per real token and weight (forward,
and back to the activations; a LoRA needs no more), against the card's peak in bfloat16.
"""

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from training_rows import SHAPES, make_random_model, make_random_rows, make_retail_rows
from training_sides import BEST, OURS, PLAIN, VARIANTS, Setup, Side, Told

from t2t.config import TrainConfig
from t2t.train.packing import TokenRow

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 by card; the key is a part of the card's name."""


@dataclass
class Result:
    """What one side did."""

    told: Told
    losses: list[float] = field(default_factory=list[float])
    """Per step."""
    seconds: list[float] = field(default_factory=list[float])
    """Per step that counts, of all rounds."""
    peak_bytes: int = 0


def measure(setups: Sequence[Setup], rounds: int, warm: int, together: bool) -> list[Result]:
    """Let sides take turns.

    Args:
        setups: The sides.
        rounds: How often each starts from the beginning.
        warm: First steps of each round, which do not count.
        together: Whether all are in memory at once and take turns after every step.
    """
    results: dict[int, Result] = {}

    def start(number: int) -> Side:
        side = Side(setups[number])
        told = side.start()
        results.setdefault(number, Result(told))
        return side

    def end(number: int, side: Side) -> None:
        side.end()
        result = results[number]
        result.losses = [step.loss for step in side.steps]
        result.seconds += [step.seconds for step in side.steps[warm:]]
        result.peak_bytes = max(result.peak_bytes, side.peak_bytes)

    num_steps = len(setups[0].steps)
    for _ in range(rounds):
        groups = [range(len(setups))] if together else [[number] for number in range(len(setups))]
        for group in groups:
            sides = {number: start(number) for number in group}
            for step in range(num_steps):
                for side in sides.values():
                    side.step()
                    took = side.steps[-1]
                    name = side.setup.variant or side.setup.side
                    print(f"  step {step + 1} {name:12} loss {took.loss:.6f}  {took.seconds:8.2f} s", flush=True)
            for number, side in sides.items():
                end(number, side)
    return [results[number] for number in range(len(setups))]


def differ(results: Sequence[Result]) -> float:
    """Largest difference of a step's loss between any side and the first."""
    return max(abs(a - b) for other in results for a, b in zip(results[0].losses, other.losses, strict=True))


def print_table(names: Sequence[str], results: Sequence[Result], real: Sequence[int], peak: float | None) -> None:
    """One line per side; `real` are the real tokens of the steps in `Result.seconds`."""
    print(f"{'':14}{'computed tokens':>16}{'real tokens/s':>15}{'useful MFU':>12}{'peak GiB':>10}{'last loss':>11}")
    for name, result in zip(names, results, strict=True):
        rate = rate_of(result, real)
        useful = f"{4 * result.told.weights * rate / peak:12.1%}" if peak else f"{'':12}"
        print(
            f"{name:14}{result.told.computed:>16}{rate:>15.0f}{useful}"
            f"{result.peak_bytes / 2**30:>10.1f}{result.losses[-1]:>11.5f}"
        )
    for name, result in zip(names, results, strict=True):
        print(f"{name}: {result.told.notes}")


def rate_of(result: Result, real: Sequence[int]) -> float:
    """Real tokens per second, the median of the steps."""
    return statistics.median(tokens / seconds for tokens, seconds in zip(real, result.seconds, strict=True))


def ratio_of(slow: Result, fast: Result) -> float:
    """How many times faster, the median over steps taken in turn."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def find_peak() -> float | None:
    """The card's arithmetic in FLOP/s; None on a CPU and for a card that is not known."""
    import torch

    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((flops for card, flops in PEAK_FLOPS.items() if card in name), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="checkpoint folder; of a --shape only its tokenizer is used")
    parser.add_argument("--shape", choices=SHAPES, help="random weights and random rows of this size; without, retail")
    parser.add_argument("--prefix", type=int, default=0, help="tokens that all random rows begin with")
    parser.add_argument("--rows", type=int, default=0, help="rows of one optimiser step")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps")
    parser.add_argument("--rounds", type=int, default=0, help="times that each side starts from the beginning")
    parser.add_argument("--batch-size", type=int, default=2, help="rows of one padded batch of plain TRL")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="float32 on a CPU, bfloat16 on a GPU")
    parser.add_argument("--each", action="store_true", help="this project with and without each of its tricks")
    options = parser.parse_args()

    import torch

    on_gpu = torch.cuda.is_available()
    num_rows, num_steps = options.rows or (32 if on_gpu else 6), options.steps or (6 if on_gpu else 2)
    rounds, warm = (options.rounds or 2, 2) if on_gpu else (options.rounds or 1, 0)
    if num_rows % options.batch_size:
        raise SystemExit(f"--rows {num_rows} is no multiple of --batch-size {options.batch_size}")
    dtype = options.dtype or ("bfloat16" if on_gpu else "float32")
    count = num_rows * num_steps
    if options.shape:
        source = make_random_model(options.shape, options.source)
        rows = make_random_rows(count, options.prefix)
    else:
        source, rows = options.source, make_retail_rows(count, options.source)
    random.Random(0).shuffle(rows)
    if len(rows) < count:
        raise SystemExit(f"{len(rows)} rows are fewer than {num_steps} steps of {num_rows}; lower --rows or --steps")
    steps = [rows[start : start + num_rows] for start in range(0, count, num_rows)]
    describe(steps)

    config = TrainConfig(dtype=dtype, learning_rate=2e-4, warmup_share=0, lora_r=16, lora_alpha=32)
    ours = Setup(OURS, source, steps, config, options.batch_size, 8192 if on_gpu else 0)
    sides = [replace(ours, side=side) for side in (PLAIN, BEST, OURS)]
    if options.each:
        sides = [ours, *(replace(ours, variant=name) for name in VARIANTS)]
    results = measure(sides, rounds, warm, together=not on_gpu and not options.each)
    difference = differ(results)
    if difference > (1e-3 if dtype == "float32" else 5e-2):
        raise SystemExit(f"losses differ by {difference:.1e}: no figure is given")
    real = [sum(len(row.input_ids) for row in step) for step in steps[warm:]] * rounds
    names = [side.variant or side.side for side in sides]
    print_table(names, results, real, find_peak())
    print(json.dumps({**summarise(options.each, names, results, real), "max_loss_difference": difference}))


def describe(steps: Sequence[Sequence[TokenRow]]) -> None:
    """Say what the rows are."""
    rows = [row for step in steps for row in step]
    lengths = sorted(len(row.input_ids) for row in rows)
    labelled = sum(label >= 0 for row in rows for label in row.labels)
    print(
        f"{len(steps)} steps of {len(steps[0])} rows, {lengths[0]} to {lengths[-1]} tokens, "
        f"{sum(lengths) / len(lengths):.0f} on average, {labelled / sum(lengths):.1%} of them with loss",
        flush=True,
    )


def summarise(each: bool, names: Sequence[str], results: Sequence[Result], real: Sequence[int]) -> dict[str, Any]:
    """The figures of the last line."""
    if each:
        return {"bought_by": {name: round(ratio_of(r, results[0]), 2) for name, r in zip(names, results, strict=True)}}
    plain, best, ours = results
    rate, peak = rate_of(ours, real), find_peak()
    return {
        "versus_plain": round(ratio_of(plain, ours), 2),
        "versus_best_trl": round(ratio_of(best, ours), 2),
        "real_tokens_per_s": round(rate, 1),
        "useful_mfu": round(4 * ours.told.weights * rate / peak, 4) if peak else None,
        "peak_gib": round(ours.peak_bytes / 2**30, 2),
    }


if __name__ == "__main__":
    main()
