"""tau2's retail environment against this project's, in one process, in turns.

    python benchmarks/environment.py [--tasks 10] [--repeats 3] [--rows 1000000]

It needs `make setup-tau2`. Both shops have 1,000 orders. A replay is what proves or judges one task:
build the environment, make the reference calls, give the verdict; on tau2's side that is
`evaluate_simulation`, which does all three. Nothing is measured before the verdicts are right: the
references pass on both sides, silence fails where the reference writes, and on tau2's own tasks both
sides give the same. Three lines are compared: tau2 on its tasks, t2t on tasks of its own retail, and
t2t on tau2's tasks, where tau2's tools run as they are over shared rows. A step is one call with its
result as text, timed in passes over all tasks, each after a pass that warms up; an environment is new
when it can take the first call. Python's garbage collector runs as it does anywhere, and is a large
part of what tau2's many objects cost; replays are also timed without it.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.interop.tau2 import load_tasks
from t2t.interop.tau2.judges import judge_by_tau2, to_simulation
from t2t.interop.tau2.source import import_tau2, load_raw_tasks
from t2t.interop.tau2.verification import Trial, play_trial
from t2t.records import DataSpec, Intent, Message, StopReason, Task
from t2t.verify.validation import prove
from t2t.verify.verifier import Talk, verify

ORDERS = 1000
PASSES = 4
TIMES = 2000
SILENCE = Trial("nothing", (), ())


def make_tasks(retail: Domain, count: int) -> list[Task]:
    """Proved tasks of our own retail, on as many orders as tau2's has."""
    data = DataSpec(seed=1, size=ORDERS, split="test")
    tasks: list[Task] = []
    for trajectory in explore(retail, data, 20 * count, max_steps=8, blocked_share=0, seed=1, coverage=Coverage()):
        rng = random.Random(trajectory.id)
        try:
            task = write_task(Intent.GENERAL, Scene(retail, trajectory, rng), "test", rng)
        except Unsuitable:
            continue
        if not prove(retail, task):
            tasks.append(task)
        if len(tasks) == count:
            return tasks
    raise SystemExit(f"only {len(tasks)} tasks were found")


def replay(domain: Domain, task: Task, told: Sequence[str]) -> float:
    """Build, make the reference calls, give the verdict: t2t's side of a replay."""
    environment = Environment(domain, task.data)
    messages: list[Message] = []
    for call in task.expectation.calls:
        result, _ = environment.answer(call)
        messages.append(Message(role=call.requestor, content="", tool_calls=(call,)))
        messages.append(Message(role="tool", content=result.content, result=result))
    messages.append(Message(role="assistant", content=" ".join(("I cannot do more.", *told))))
    talk = Talk(tuple(messages), StopReason.USER_DONE, environment.state_hash())
    return verify(task, talk).value


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def microseconds(run: Callable[[], object]) -> float:
    """Median over many runs."""
    return statistics.median(seconds(run) for _ in range(TIMES)) * 1e6


def time_steps(domain: Domain, tasks: Sequence[Task]) -> list[float]:
    """Seconds of each reference call in t2t's environment."""
    times: list[float] = []
    for task in tasks:
        environment = Environment(domain, task.data)
        for call in task.expectation.calls:
            times.append(seconds(lambda environment=environment, call=call: environment.answer(call)))
    return times


def time_steps_of_tau2(environment: Any, tasks: Sequence[Task]) -> list[float]:
    """Seconds of each reference call in tau2's environment."""
    kind = import_tau2("data_model.message").ToolCall
    calls = [call for task in tasks for call in task.expectation.calls]
    made = [kind(id=call.id, name=call.name, arguments=call.arguments) for call in calls]
    return [seconds(lambda call=call: environment.get_response(call)) for call in made]


def check_verdicts(
    ours: Domain, own_tasks: Sequence[Task], theirs: Any, tasks: Sequence[Task]
) -> list[tuple[Task, Talk]]:
    """tau2's tasks and ours give the right verdicts; returns tau2's tasks with their reference talks."""
    for task in own_tasks:
        assert replay(ours, task, task.expectation.tell) == 1.0, task.id
        silent = task.model_copy(update={"expectation": task.expectation.model_copy(update={"calls": ()})})
        assert replay(ours, silent, ()) == 0.0, task.id
    raw = load_raw_tasks("retail")
    talks: list[tuple[Task, Talk]] = []
    for task in tasks:
        reference = play_trial(theirs, task, Trial("reference", task.expectation.calls, task.expectation.mention))
        talks.append((task, reference))
        for talk in (reference, play_trial(theirs, task, SILENCE)):
            verdict = judge_by_tau2(theirs.source, raw[task.data.seed], talk.messages, talk.stop_reason)
            assert verdict == (verify(task, talk).value, ""), (task.id, verdict)
        assert verify(task, reference).value == replay(theirs, task, task.expectation.mention) == 1.0, task.id
    return talks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10, help="tasks on each side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="orders of the large shop")
    arguments = parser.parse_args()

    ours, theirs = load_domain("retail"), load_domain("tau2.retail")
    own_tasks = make_tasks(ours, arguments.tasks)
    tasks = [task for task in load_tasks("retail") if task.expectation.calls][: arguments.tasks]
    talks = check_verdicts(ours, own_tasks, theirs, tasks)
    print(f"verdicts agree on {len(tasks)} tasks of tau2 and are right on {len(own_tasks)} of ours", flush=True)

    evaluator = import_tau2("evaluator.evaluator")
    kind = evaluator.EvaluationType.ALL
    raw = load_raw_tasks("retail")
    simulations = [to_simulation(raw[task.data.seed], talk.messages, talk.stop_reason) for task, talk in talks]
    names = ("tau2", "t2t", "t2t on tau2's tasks")
    replays: dict[str, list[float]] = {name: [] for name in names}
    uncollected: dict[str, list[float]] = {name: [] for name in names}
    steps: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(arguments.repeats):
        for own, task, (run, their_task) in zip(own_tasks, tasks, simulations, strict=True):
            sides: dict[str, Callable[[], object]] = {
                "tau2": partial(evaluator.evaluate_simulation, run, their_task, kind, False, "retail"),
                "t2t": partial(replay, ours, own, own.expectation.tell),
                "t2t on tau2's tasks": partial(replay, theirs, task, task.expectation.mention),
            }
            for name, side in sides.items():
                replays[name].append(seconds(side))
                gc.disable()
                uncollected[name].append(seconds(side))
                gc.enable()
    build = import_tau2("domains.retail.environment").get_environment
    for _ in range(PASSES * arguments.repeats):
        fresh, warm = build(), build()
        for name, run in (
            ("tau2", lambda environment: time_steps_of_tau2(environment, tasks)),
            ("t2t", lambda _: time_steps(ours, own_tasks)),
            ("t2t on tau2's tasks", lambda _: time_steps(theirs, tasks)),
        ):
            run(warm)
            steps[name] += run(fresh)
    print(f"{'':22}{'replay ms':>12}{'step us':>12}{'calls per task':>16}")
    for name, times in replays.items():
        calls = len(steps[name]) / len(times) / PASSES
        replay_ms, step_us = statistics.median(times) * 1e3, statistics.median(steps[name]) * 1e6
        print(f"{name:22}{replay_ms:>12.3f}{step_us:>12.1f}{calls:>16.1f}")

    small = DataSpec(seed=1, size=ORDERS, split="test")
    large = DataSpec(seed=1, size=arguments.rows, split="test")
    Environment(ours, large)
    opened = {data.size: microseconds(lambda data=data: Environment(ours, data)) for data in (small, large)}
    written = Environment(ours, small)
    for call in own_tasks[0].expectation.calls:
        written.answer(call)
    hashed = microseconds(written.state_hash)
    hash_of_tau2 = seconds(theirs.source.prototype.get_db_hash) * 1e6
    print(f"new environment: {', '.join(f'{us:.1f} us at {size:,} orders' for size, us in opened.items())}")
    print(f"state hash: {hashed:.2f} us, tau2 {hash_of_tau2:,.0f} us")
    figures = {
        "replay_ratio": round(ratio(replays, "t2t"), 1),
        "replay_ratio_without_collector": round(ratio(uncollected, "t2t"), 1),
        "step_ratio": round(ratio(steps, "t2t"), 2),
        "same_tasks_replay_ratio": round(ratio(replays, "t2t on tau2's tasks"), 1),
        "new_environment_us": {str(size): round(us, 1) for size, us in opened.items()},
        "hash_us": round(hashed, 2),
    }
    print(json.dumps(figures))


def ratio(times: dict[str, list[float]], name: str) -> float:
    """How many times longer tau2's median is."""
    return statistics.median(times["tau2"]) / statistics.median(times[name])


if __name__ == "__main__":
    main()
