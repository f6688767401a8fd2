"""A rollout stage in a process that can be killed, and the server that it plays against.

The stage is the very `t2t.pipeline.main` that ``t2t run`` starts, with its lock, its file and its client; a
server process of `multiprocessing` forks it, so that a start costs no imports.
"""

import contextlib
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from t2t import pipeline
from t2t.config import RunConfig
from t2t.records import Rollout, Task
from t2t.store import read_records
from tests.faults.fault_server import Orders

ROOT = Path(__file__).parent.parent.parent
PLAYED = "rollouts.jsonl"

_fork_server = multiprocessing.get_context("forkserver")
_fork_server.set_forkserver_preload(["tests.faults.harness", "t2t.models.vllm", "t2t.domains.library"])


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Settings laid over each other, section by section."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            both = isinstance(value, dict) and isinstance(whole.get(name), dict)
            whole[name] = {**whole[name], **value} if both else value
    return whole


class Base(NamedTuple):
    """Tasks that were made once."""

    folder: Path
    settings: dict[str, Any]
    """As `RunConfig` takes them."""
    tasks_file: Path
    tasks: list[Task]
    """Those that are played."""


class Case(NamedTuple):
    """A run of its own on the tasks of a `Base`."""

    config: RunConfig
    folder: Path

    @property
    def artifact(self) -> Any:
        return pipeline.artifacts(self.config)["rollout"]

    @property
    def file(self) -> Path:
        """Where the talks are now."""
        artifact = self.artifact
        return (artifact.folder if artifact.complete else artifact.partial) / PLAYED

    def lines(self) -> dict[str, bytes]:
        """Whole lines of the file by record id.

        Raises:
            AssertionError: an id stands there twice.
        """
        found: dict[str, bytes] = {}
        for line in self.file.read_bytes().splitlines(keepends=True) if self.file.exists() else ():
            if line.endswith(b"\n"):
                name = orjson.loads(line)["id"]
                assert name not in found, f"{name} is there twice"
                found[name] = line
        return found

    def rollouts(self) -> dict[str, Rollout]:
        """The records by id, each there once."""
        records = list(read_records(self.file, Rollout))
        found = {record.id: record for record in records}
        assert len(found) == len(records), "a talk is there twice"
        return found


def make_base(folder: Path, settings: Mapping[str, Any]) -> Base:
    """Explore and synthesize once."""
    folder.mkdir(parents=True, exist_ok=True)
    config = RunConfig.model_validate(merged(settings, {"paths": {"runs": str(folder)}}))
    found = pipeline.artifacts(config)
    for name in ("explore", "synthesize"):
        code, said = run_stage(name, config, folder)
        assert code == 0, said
    file = found["synthesize"].folder / "tasks.jsonl"
    played = [task for task in read_records(file, Task) if task.data.split == "train"]
    return Base(folder, dict(settings), file, played)


def new_case(base: Base, folder: Path, settings: Mapping[str, Any]) -> Case:
    """A folder that shares the tasks and holds no talk."""
    folder.mkdir(parents=True)
    for name in ("explore", "synthesize"):
        (folder / name).symlink_to(base.folder / name)
    return case_in(base, folder, settings)


def case_in(base: Base, folder: Path, settings: Mapping[str, Any]) -> Case:
    """A further run in the folder of another one."""
    config = RunConfig.model_validate(merged(base.settings, settings, {"paths": {"runs": str(folder)}}))
    return Case(config, folder)


class FaultServer:
    """The server process of some orders, always on the same port."""

    def __init__(self, folder: Path, base: Base, weights: Path, **orders: Any) -> None:
        self.notes = folder / "notes.txt"
        self.notes.touch()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.orders = Orders(port=port, tasks=base.tasks_file, weights=weights, notes=self.notes, **orders)
        self.url = f"http://127.0.0.1:{port}"
        self._file = folder / "orders.json"
        self._file.write_text(self.orders.model_dump_json())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "tests.faults.fault_server", str(self._file)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.orders.port), 1):
                return
            assert self._process.poll() is None and time.monotonic() < deadline, "the fault server does not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def mark(self) -> int:
        """A moment, for `asked`."""
        return self.notes.stat().st_size

    def asked(self, since: int = 0) -> Counter[tuple[str, int, str]]:
        """Requests after a moment by task id, turn and outcome."""
        words = (line.split() for line in self.notes.read_bytes()[since:].decode().splitlines())
        return Counter((task, int(turn), outcome) for task, turn, outcome in words)


@contextmanager
def fault_server(folder: Path, base: Base, weights: Path, **orders: Any) -> Iterator[FaultServer]:
    """Serve until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    server = FaultServer(folder, base, weights, **orders)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class StageProcess:
    """A stage that is under way."""

    def __init__(
        self,
        name: str,
        config: RunConfig,
        folder: Path,
        limit_bytes: int = 0,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.log = folder / f"{name}.log"
        file = folder / f"{name}.json"
        file.write_text(config.model_dump_json())
        self._process: ForkServerProcess = _fork_server.Process(
            target=_play_stage, args=(name, str(file), str(self.log), limit_bytes, dict(environment))
        )
        self._process.start()

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, None when it still runs after that long."""
        self._process.join(seconds)
        return self._process.exitcode

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal that ends it, and wait until nothing that it started is left."""
        pid = self._process.pid
        assert pid is not None
        started = descendants(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        self._process.join(60)
        assert self._process.exitcode is not None, f"signal {number} does not end the stage"
        wait_until_gone(started)

    def children(self) -> list[int]:
        """Processes that it started, and those that they did."""
        assert self._process.pid is not None
        return descendants(self._process.pid)


def run_stage(
    name: str,
    config: RunConfig,
    folder: Path,
    limit_bytes: int = 0,
    environment: Mapping[str, str] = MappingProxyType({}),
    longest_s: float = 240,
) -> tuple[int, str]:
    """Run a stage to its end: exit code, and all that it said.

    Args:
        name: the stage.
        config: the whole run.
        folder: takes what the stage is given and what it says.
        limit_bytes: longest file that it may write; 0 is no bound.
        environment: further variables.
        longest_s: how long it may take.
    """
    process = StageProcess(name, config, folder, limit_bytes, environment)
    try:
        code = process.wait(longest_s)
        assert code is not None, f"{name} does not end: {process.log.read_text()[-2000:]}"
    finally:
        process.kill()
    return code, process.log.read_text()


def play(case: Case) -> dict[str, Rollout]:
    """Run the rollout stage of a case to its end; the talks."""
    code, said = run_stage("rollout", case.config, case.folder)
    assert code == 0, said[-3000:]
    assert case.artifact.complete
    return case.rollouts()


def check_nothing_was_lost(case: Case, before: Mapping[str, bytes]) -> dict[str, bytes]:
    """The finished talks now; all of `before` are among them, byte for byte."""
    now = case.lines()
    for name, line in before.items():
        assert now.get(name) == line, f"{name} was finished, and is gone or changed"
    return now


def task_of(rollout_id: str) -> str:
    """Task id of a rollout's id."""
    return rollout_id.rsplit("/", 2)[0]


class Killing(NamedTuple):
    """What came of a case that was killed again and again."""

    num_kills: int
    num_kept: int
    """Talks that were finished at the last kill."""


def kill_again_and_again(
    case: Case,
    server: FaultServer,
    rng: random.Random,
    longest_s: float,
    most: int,
    num_turns: Mapping[str, int],
    number: int = signal.SIGKILL,
) -> Killing:
    """Kill the stage at random moments until it ends by itself, or `most` times and then let it end.

    Args:
        case: what runs.
        server: plays the agent, and notes what it is asked.
        rng: draws the moments.
        longest_s: latest moment, in seconds after the start of the process or, every other time, the first request.
        most: kills at most.
        num_turns: agent turns of each task's whole talk.
        number: the signal.

    Raises:
        AssertionError: a finished talk was lost, changed, doubled or asked for again.
    """
    finished: dict[str, bytes] = {}
    paid: dict[str, int] = {}
    num_kills = 0
    begun = server.mark()
    while True:
        started = server.mark()
        process = StageProcess("rollout", case.config, case.folder)
        try:
            if num_kills % 2:
                wait_for_first_request(server, started, process)
            code = process.wait(rng.uniform(0.0, longest_s) if num_kills < most else 240)
        except BaseException:
            process.kill()
            raise
        if code is None:
            process.kill(number)
        else:
            assert code == 0, process.log.read_text()[-3000:]
            break
        num_kills += 1
        finished = check_nothing_was_lost(case, finished)
        asked = server.asked(begun)
        for name in finished.keys() - paid.keys():
            paid[name] = _requests_for(task_of(name), asked)
        answered = Counter(
            task for task, _ in {(task, turn) for task, turn, how in server.asked(started) if how == "ok"}
        )
        played = {task for task, count in answered.items() if count == num_turns[task]}
        owed = played - {task_of(name) for name in finished}
        assert len(owed) <= case.config.rollout.concurrency, "talks that were over were not in the file"
    check_nothing_was_lost(case, finished)
    asked = server.asked(begun)
    for name, before in paid.items():
        assert _requests_for(task_of(name), asked) == before, f"{name} was finished, and was asked for again"
    return Killing(num_kills, len(finished))


def wait_for_first_request(server: FaultServer, since: int, process: StageProcess) -> None:
    """Wait until the stage asks for something, or ends."""
    while server.mark() == since and process.wait(0.01) is None:
        pass


def _requests_for(task_id: str, asked: Counter[tuple[str, int, str]]) -> int:
    return sum(count for (task, _, _), count in asked.items() if task == task_id)


def _play_stage(name: str, file: str, log: str, limit_bytes: int, environment: dict[str, str]) -> None:
    """In the forked process: become the stage."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if limit_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    pipeline.main([name, file, str(os.getppid())])


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Wait until the processes have ended by themselves, as those must whose parent was killed."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if _lives(pid)]:
        assert time.monotonic() < deadline, f"a kill left {len(left)} processes behind"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
