"""A real vLLM server under t2t's rollouts, against a bare client that replays the very same requests.

    python benchmarks/engine.py [weights] [--tasks 32] [--repeats 3] [--domain library] [--fixed 4,8,16,32,64]

Each pair plays tasks with t2t, the talks following the engine, and then sends the requests of those talks again:
the same prompts, as many tokens each, those of a talk one after the other, as many talks at once. The prefix cache
is emptied before each run. Printed are both speeds, the share of the prompt tokens found in the cache of what a
cache without bounds would have held when each request came, and the speed at fixed numbers of talks at once.
The last line is JSON. It starts its own server and needs nothing but `make setup`, or a GPU with vLLM.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.models.engines import Engines
from t2t.models.metrics import EngineMetrics, read_metrics
from t2t.models.rendering import Renderer
from t2t.records import DataSpec, Intent, Rollout, Task
from t2t.scheduling.run import play_tasks
from t2t.scheduling.talks import TalkSpec
from t2t.store import Writer, read_records

WEIGHTS = "weights/smollm2-135m-instruct"
FLOORS = {"versus_bare": 0.9, "cache_of_ideal": 0.95, "adaptive_of_best_fixed": 0.95}


class Run(NamedTuple):
    """What one run of talks gave."""

    rollouts: list[Rollout]
    seconds: float
    metrics: EngineMetrics

    @property
    def sampled(self) -> int:
        return sum(len(turn.sampled_ids) for rollout in self.rollouts for turn in rollout.turns)


def make_tasks(name: str, count: int) -> list[Task]:
    domain = load_domain(name)
    data = DataSpec(seed=1, size=500, split="train")
    tasks: dict[str, Task] = {}
    for trajectory in explore(domain, data, 4 * count, max_steps=8, blocked_share=0.3, seed=1, coverage=Coverage()):
        rng = random.Random(trajectory.id)
        try:
            task = write_task(rng.choice(list(Intent)), Scene(domain, trajectory, rng), "train", rng)
        except Unsuitable:
            continue
        tasks[task.id] = task
    return list(tasks.values())[:count]


def empty_cache(base_url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{base_url}/reset_prefix_cache", method="POST"), timeout=60).read()


def counters(base_url: str) -> EngineMetrics:
    metrics = asyncio.run(read_metrics(base_url))
    assert metrics is not None, f"{base_url} shows no metrics"
    return metrics


def play(config: RunConfig, base_url: str, tasks: Sequence[Task], concurrency: int) -> Run:
    """Play all tasks once with t2t."""
    rollout = config.rollout.model_copy(update={"concurrency": concurrency})
    spec = TalkSpec(
        config=config.model_copy(update={"rollout": rollout}),
        section="rollout",
        agent="base",
        kind="model",
        base_urls=(base_url,),
        served="base",
    )
    empty_cache(base_url)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "rollouts.jsonl"
        before = counters(base_url)
        began = time.perf_counter()
        with Writer(file) as writer:
            play_tasks(spec, tasks, writer, Path(name), "benchmark")
        seconds = time.perf_counter() - began
        after = counters(base_url)
        delta = EngineMetrics(0.0, 0, 0, *(b - a for a, b in zip(before[3:], after[3:], strict=True)))
        return Run(list(read_records(file, Rollout)), seconds, delta)


def requests_of(rollout: Rollout) -> list[tuple[list[int], int]]:
    """Whole prompt and number of sampled tokens of each request of a talk."""
    ids: list[int] = []
    found: list[tuple[list[int], int]] = []
    for turn in rollout.turns:
        ids = [*ids, *turn.prompt_ids]
        found.append((ids, len(turn.sampled_ids)))
        ids = [*ids, *turn.sampled_ids]
    return found


async def replay(base_url: str, talks: list[list[tuple[list[int], int]]], at_once: int) -> float:
    """Send the requests and nothing else; seconds."""
    waiting = list(reversed(talks))

    async def work(session: aiohttp.ClientSession) -> None:
        while waiting:
            for prompt, length in waiting.pop():
                body: dict[str, Any] = {"model": "base", "prompt": prompt, "max_tokens": length, "min_tokens": length}
                body |= {"ignore_eos": True, "temperature": 1.0, "seed": 1, "return_token_ids": True}
                async with session.post(f"{base_url}/v1/completions", json=body) as response:
                    answer = await response.json()
                    assert len(answer["choices"][0]["token_ids"]) == length

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=3600)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(at_once)))
        return time.perf_counter() - began


def ideal_hits(rollouts: Sequence[Rollout], block: int) -> int:
    """Prompt tokens that a cache without bounds finds, in whole blocks: each block is computed once and found after.

    A talk finds what it sent and sampled before, and what others sent. The last token of a prompt is always computed.
    """
    seen: set[int] = set()
    hits = 0
    for rollout in rollouts:
        kept = 0
        for prompt, sampled in requests_of(rollout):
            key = 0
            for end in range(block, len(prompt), block):
                key = hash((key, tuple(prompt[end - block : end])))
                if end <= kept or key in seen:
                    hits += block
                seen.add(key)
            # The last sampled token was never computed on.
            kept = len(prompt) + sampled - 1
    return hits


def block_size(base_url: str) -> int:
    text = urllib.request.urlopen(f"{base_url}/metrics", timeout=60).read().decode()
    line = next(line for line in text.splitlines() if line.startswith("vllm:cache_config_info"))
    return int(line.partition('block_size="')[2].partition('"')[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default=WEIGHTS)
    parser.add_argument("--template", default="smollm2")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--domain", default="library")
    parser.add_argument("--fixed", default="4,8,16,32,64")
    parser.add_argument("--max-num-seqs", type=int, default=32)
    chosen = parser.parse_args()
    # Lets the cache be emptied between runs.
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"
    config = RunConfig.model_validate(
        {
            "model": {"source": chosen.weights, "template": chosen.template, "max_context": chosen.context},
            "engine": {"max_num_seqs": chosen.max_num_seqs},
            "rollout": {"agent": "model", "max_tokens": 64, "max_turns": 8},
        }
    )
    Renderer(chosen.template, chosen.weights)
    tasks = make_tasks(chosen.domain, chosen.tasks)
    log_file = Path(tempfile.mkdtemp()) / "server.log"
    pairs: list[tuple[Run, float]] = []
    with Engines(config.model, config.engine, "base", log_file, seeded=True) as engines:
        base_url = engines.base_urls[0]
        block = block_size(base_url)
        play(config, base_url, tasks[:8], 8)
        for _ in range(chosen.repeats):
            run = play(config, base_url, tasks, 0)
            empty_cache(base_url)
            bare = asyncio.run(replay(base_url, [requests_of(rollout) for rollout in run.rollouts], 4096))
            pairs.append((run, bare))
        fixed = {int(number): play(config, base_url, tasks, int(number)) for number in chosen.fixed.split(",")}
    versus = [bare / run.seconds for run, bare in pairs]
    cache = [run.metrics.prefix_hits / max(1, ideal_hits(run.rollouts, block)) for run, _ in pairs]
    speeds = {number: run.sampled / run.seconds for number, run in fixed.items()}
    adaptive = statistics.median(run.sampled / run.seconds for run, _ in pairs)
    run = pairs[0][0]
    requests = sum(len(rollout.turns) for rollout in run.rollouts)
    print(f"{len(tasks)} talks, {requests} requests, {run.sampled} sampled tokens, blocks of {block} tokens")
    print(f"{'t2t, following the engine':28} {adaptive:9.1f} tokens/s")
    print(f"{'bare client, all at once':28} {statistics.median(r.sampled / s for r, s in pairs):9.1f} tokens/s")
    for number, speed in speeds.items():
        print(f"{f't2t, {number} talks at once':28} {speed:9.1f} tokens/s")
    result = {
        "versus_bare": round(statistics.median(versus), 3),
        "cache_of_ideal": round(statistics.median(cache), 3),
        "adaptive_of_best_fixed": round(adaptive / max(speeds.values()), 3),
        "tokens_per_s": round(adaptive, 1),
        "talks_per_s": round(statistics.median(len(tasks) / r.seconds for r, _ in pairs), 3),
        "fixed_tokens_per_s": {number: round(speed, 1) for number, speed in speeds.items()},
        "all_versus_bare": [round(one, 3) for one in versus],
    }
    print(json.dumps(result))
    missed = [name for name, floor in FLOORS.items() if result[name] < floor]
    if missed:
        raise SystemExit(f"below the floor: {', '.join(f'{name} {result[name]} < {FLOORS[name]}' for name in missed)}")


if __name__ == "__main__":
    main()
