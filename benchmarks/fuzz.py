"""How long a hostile call takes: the bound is 50 ms for each, whatever a model writes.

    python benchmarks/fuzz.py [NAME ...] [--calls 10000] [--size 1000]

Each call is parsed where it is text, run, checked for a change of the state, and undone. Wall time holds
the pauses of the garbage collector and, on a busy machine, of other processes; processor time does not
hold the latter.
"""

import argparse
import json
import statistics
import time
from itertools import islice

from t2t.domain.domain import list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.records import DataSpec
from t2t.verify.inspection import Inspection
from t2t.verify.probe import attempt, hostile_calls


def main() -> None:
    parser = argparse.ArgumentParser(description="Time hostile calls.")
    parser.add_argument("names", nargs="*", default=list_domains())
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=1_000)
    options = parser.parse_args()
    wall, cpu, num_problems = 0.0, 0.0, 0
    print(
        f"{'domain':12} {'calls':>7} {'median us':>10} {'p99.9 ms':>9} {'max ms':>7} {'max cpu ms':>11} {'problems':>9}"
    )
    for name in options.names or list_domains():
        domain = load_domain(name)
        examples = [call for _, call in Inspection(domain).examples.values()]
        environment = Environment(domain, DataSpec(seed=0, size=options.size, split="train"))
        times: list[float] = []
        cpu_times: list[float] = []
        problems: list[str] = []
        for hostile in islice(hostile_calls(domain, examples, "benchmark"), options.calls):
            start, cpu_start = time.perf_counter(), time.process_time()
            problem = attempt(environment, hostile)
            times.append(time.perf_counter() - start)
            cpu_times.append(time.process_time() - cpu_start)
            problems += [problem] if problem else []
        times.sort()
        tail = times[int(len(times) * 0.999)]
        median = statistics.median(times)
        print(
            f"{name:12} {len(times):7} {median * 1e6:10.0f} {tail * 1e3:9.1f} {times[-1] * 1e3:7.1f} "
            f"{max(cpu_times) * 1e3:11.1f} {len(problems):9}"
        )
        for problem in problems[:5]:
            print(f"    {problem}")
        wall, cpu = max(wall, times[-1]), max(cpu, *cpu_times)
        num_problems += len(problems)
    print(json.dumps({"max_ms": round(wall * 1e3, 2), "max_cpu_ms": round(cpu * 1e3, 2), "num_problems": num_problems}))


if __name__ == "__main__":
    main()
