"""How long a hostile call takes: the bound is 50 ms for each, whatever a model writes.

    python benchmarks/fuzz.py [NAME ...] [--calls 10000] [--size 1000]

Each call is parsed where it is text, run, checked for a change of the state, and undone. What was met
holds the pauses of the garbage collector and of other processes; so the twenty slowest are run again,
and the best of five tells what the calls themselves cost.
"""

import argparse
import json
import statistics
import time
from itertools import islice

from t2t.domain.domain import list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.records import DataSpec, ToolCall
from t2t.verify.inspection import Inspection
from t2t.verify.probe import attempt, hostile_calls


def time_attempt(environment: Environment, hostile: str | ToolCall) -> tuple[float, str]:
    """Milliseconds, and what went wrong."""
    start = time.perf_counter()
    problem = attempt(environment, hostile)
    return (time.perf_counter() - start) * 1e3, problem


def main() -> None:
    parser = argparse.ArgumentParser(description="Time hostile calls.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=1_000)
    options = parser.parse_args()
    slowest_met, slowest, num_problems = 0.0, 0.0, 0
    print(f"{'domain':12} {'calls':>7} {'median us':>10} {'slowest met, ms':>16} {'again, ms':>10} {'problems':>9}")
    for name in options.names or list_domains():
        domain = load_domain(name)
        examples = [call for _, call in Inspection(domain).examples.values()]
        environment = Environment(domain, DataSpec(seed=0, size=options.size, split="train"))
        calls = list(islice(hostile_calls(domain, examples, "benchmark"), options.calls))
        met = [time_attempt(environment, one) for one in calls]
        by_time = sorted(zip(met, calls, strict=True), key=lambda pair: -pair[0][0])
        again = max(min(time_attempt(environment, one)[0] for _ in range(5)) for _, one in by_time[:20])
        problems = [problem for _, problem in met if problem]
        median = statistics.median(taken for taken, _ in met) * 1e3
        print(f"{name:12} {len(calls):7} {median:10.0f} {by_time[0][0][0]:16.1f} {again:10.1f} {len(problems):9}")
        for problem in problems[:5]:
            print(f"    {problem}")
        slowest_met, slowest = max(slowest_met, by_time[0][0][0]), max(slowest, again)
        num_problems += len(problems)
    print(json.dumps({"max_ms": round(slowest, 2), "max_met_ms": round(slowest_met, 2), "num_problems": num_problems}))


if __name__ == "__main__":
    main()
