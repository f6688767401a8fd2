"""Play many talks and keep their records: here, in processes of this machine, or over a Ray cluster."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from t2t.errors import ConfigError, InfraError, RunError
from t2t.lines import whole_lines
from t2t.log import Progress
from t2t.models.metrics import EngineMetrics
from t2t.records import Rollout, Task
from t2t.scheduling.costs import Costs
from t2t.scheduling.ledger import Ledger, Owed, expected_turns, rollout_id
from t2t.scheduling.limit import Limit
from t2t.scheduling.monitor import Monitor, Totals
from t2t.scheduling.players import Player, PlayerLost, ProcessPlayer, Said, to_line
from t2t.scheduling.pool import Pool
from t2t.scheduling.talks import Talks, TalkSpec
from t2t.store import Writer

log = logging.getLogger(__name__)

_TRIES = 3
"""Times that a talk is begun when services or workers fail, each time only after the patience of its requests."""
_LOSSES = 10
"""Workers that may be lost with a talk before it is given up; most of them are lost for reasons of their own."""
_PLAYER_STARTS = 3
"""Workers in a row that may be lost before any talk is finished."""
_LONGEST_PAUSE_S = 30.0
"""Pause before a worker is started again in the place of some that finished nothing."""
_SILENCE_S = 120.0
"""Longest silence of a worker, beside the time of one tool call; it speaks once a second."""
_SECONDS_BETWEEN_COSTS = 2.0


def read_verdicts(file: Path) -> dict[str, bool]:
    """Success by rollout id of the records in a file."""
    verdicts: dict[str, bool] = {}
    for line in whole_lines(file) if file.exists() else ():
        record = orjson.loads(line)
        verdicts[record["id"]] = record["reward"]["value"] == 1.0
    return verdicts


def play_tasks(
    spec: TalkSpec,
    tasks: Sequence[Task],
    writer: Writer,
    folder: Path,
    label: str,
    *,
    until_successes: int = 0,
    restarts: Callable[[], int] = lambda: 0,
    problem: Callable[[], str] = str,
    base_urls_now: Callable[[], tuple[str, ...]] | None = None,
) -> None:
    """Play what is owed of `tasks` and append the records; what is there is not played again.

    Args:
        spec: Who plays, and how.
        tasks: The tasks.
        writer: Takes the records, ``rollouts.jsonl`` in `folder`.
        folder: Also takes ``costs.jsonl``, what playing cost.
        label: Stage, for the progress line.
        until_successes: Successes after which a task is not tried again; 0 makes all attempts.
        restarts: Times so far that an engine was started again.
        problem: Says why no engine will ever answer again; empty while one may.
        base_urls_now: Servers of the agent's model as they are now, for workers; None where they never move.

    Raises:
        RunError: a service failed for good, or workers kept dying; what was finished is kept.
        ConfigError: an endpoint cannot work.
    """
    verdicts = read_verdicts(folder / "rollouts.jsonl")
    ledger = Ledger(tasks, spec.agent, spec.settings.attempts, until_successes, verdicts)
    if ledger.over:
        return
    urls = base_urls_now or (lambda: spec.base_urls)
    run = _Run(spec, ledger, writer, Costs(folder / "costs.jsonl"), label, restarts, problem, urls)
    try:
        asyncio.run(run.main())
    except InfraError as error:
        raise RunError(
            f"{label} {spec.agent}: {error}; start again to go on from {ledger.done} finished talks"
        ) from None
    finally:
        run.close()


class _Run:
    def __init__(
        self,
        spec: TalkSpec,
        ledger: Ledger,
        writer: Writer,
        costs: Costs,
        label: str,
        restarts: Callable[[], int],
        problem: Callable[[], str],
        base_urls_now: Callable[[], tuple[str, ...]],
    ) -> None:
        self._spec, self._ledger, self._writer, self._costs = spec, ledger, writer, costs
        self._restarts, self._restarts_told, self._problem = restarts, 0, problem
        self._base_urls_now = base_urls_now
        done = ledger.done
        self._progress = Progress(
            f"{label} {spec.agent}", done + ledger.owed, "talks", done=done, work=ledger.expected_work
        )
        self._progress.note = self._note
        self._monitor = Monitor(spec.base_urls if spec.kind == "model" else (), self._follow)
        self._limit = Limit(spec.settings.concurrency)
        self._faults: Counter[str] = Counter()
        self._requests = self._requests_told = 0
        self._tries: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._finished_by: Counter[int] = Counter()
        self._over = asyncio.Event()
        self._finished = self._successes = self._turns_finished = 0
        self._totals_told = Totals()
        self._costs_told = time.monotonic()
        self._talks: Talks | None = None
        self._faults_seen: Counter[str] = Counter()
        self._pool: Pool | None = None
        self._in_flight: dict[int, int] = {}

    async def main(self) -> None:
        """Play until nothing is owed."""
        self._writer.syncs_itself = False
        monitoring = asyncio.create_task(self._monitor.run())
        work = {asyncio.create_task(self._play()), asyncio.create_task(self._watch())}
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*work, monitoring):
                task.cancel()
            await asyncio.gather(*work, monitoring, return_exceptions=True)
            self._writer.syncs_itself = True
            with suppress(Exception):
                await asyncio.wait_for(self._monitor.read(), 2)

    async def _play(self) -> None:
        compute = self._spec.config.compute
        if self._spec.kind != "model" or (compute.kind == "local" and compute.players == 1):
            await self._here()
        elif compute.kind == "local":
            await self._over_players(ProcessPlayer.start)
        else:
            from t2t.scheduling.ray_cluster import RayPlayer, connected

            with connected(compute.ray_address):
                await self._over_players(RayPlayer.start)

    def close(self) -> None:
        """Write down what it cost, and the last line of progress."""
        self._write_costs()
        self._costs.close()
        self._progress.close()

    async def _here(self) -> None:
        self._talks = talks = Talks(self._spec)
        self._pool = Pool(self._ledger, self._talks.play, self._settle, self._limit)
        # One request of the agent is one turn; those of finished talks are counted with the talk.
        self._progress.begun = lambda: max(0.0, float(talks.turns - self._turns_finished))
        await self._pool.run()

    def _settle(self, owed: Owed, outcome: Rollout | InfraError) -> None:
        if isinstance(outcome, InfraError):
            self._owe(owed, outcome)
            return
        self._writer.append(outcome)
        self._turns_finished += len(outcome.turns)
        self._finish(owed, outcome.reward.value == 1.0)

    def _finish(self, owed: Owed, success: bool) -> None:
        """Note a talk whose record is written."""
        needless = self._ledger.finish(owed.task.id, owed.attempt, success)
        self._finished += 1
        self._successes += success
        if self._ledger.over:
            self._over.set()
        turns = expected_turns(owed.task)
        self._progress.step(1 + needless, turns * (1 + needless))

    def _owe(self, owed: Owed, cause: InfraError) -> None:
        """Owe a talk again that a service failed.

        Raises:
            InfraError: it was begun often enough.
        """
        name = self._give_back(owed)
        self._tries[name] += 1
        if self._tries[name] >= _TRIES:
            raise InfraError(f"the talk {name} was begun {_TRIES} times: {cause}")

    def _owe_lost(self, owed: Owed, cause: str) -> None:
        """Owe a talk again whose worker is gone.

        Raises:
            RunError: too many workers were lost with it.
        """
        name = self._give_back(owed)
        self._losses[name] += 1
        if self._losses[name] >= _LOSSES:
            raise RunError(f"{_LOSSES} processes that played the talk {name} were lost, the last one by {cause}")

    def _give_back(self, owed: Owed) -> str:
        self._ledger.give_back(owed.task.id, owed.attempt)
        self._faults["talk_begun_again"] += 1
        return rollout_id(owed.task.id, self._spec.agent, owed.attempt)

    async def _over_players(self, start: Callable[[TalkSpec], Awaitable[Player]]) -> None:
        """Spread what is owed over workers, until nothing is owed."""
        most = self._spec.settings.concurrency or self._ledger.owed
        count = max(1, min(self._spec.config.compute.players, most, self._ledger.owed))
        spec = self._spec.model_copy(update={"players": count})
        over = asyncio.create_task(self._over.wait())
        employed = [asyncio.create_task(self._employ(number, spec, start)) for number in range(count)]
        try:
            done, _ = await asyncio.wait((over, *employed), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (over, *employed):
                task.cancel()
            await asyncio.gather(over, *employed, return_exceptions=True)

    async def _employ(self, number: int, spec: TalkSpec, start: Callable[[TalkSpec], Awaitable[Player]]) -> None:
        """Keep one worker busy until cancelled, and start another when it is lost."""
        fruitless, finished = 0, self._finished
        while True:
            held: dict[str, Owed] = {}
            player: Player | None = None
            before = self._finished_by[number]
            try:
                urls = self._base_urls_now()
                moved = {"base_urls": urls, "caller_urls": urls if spec.caller_urls else ()}
                player = await start(spec.model_copy(update=moved))
                await self._feed(number, player, held, urls)
            except (PlayerLost, TimeoutError) as error:
                cause = str(error) or f"no word for {self._silence_s:g} s"
                log.warning(f"a process that plays talks was lost ({cause}); {len(held)} talks are begun again")
                self._faults["player_lost"] += 1
                for owed in held.values():
                    self._owe_lost(owed, cause)
                if self._finished_by[number] > before:
                    fruitless, finished = 0, self._finished
                else:
                    fruitless += 1
                if fruitless >= _PLAYER_STARTS and self._finished == finished:
                    raise RunError(
                        f"a process that plays talks was lost {fruitless} times before a talk was finished ({cause})"
                    ) from None
            finally:
                self._in_flight.pop(number, None)
                if player is not None:
                    await player.stop()
            await asyncio.sleep(min(2.0**fruitless - 1, _LONGEST_PAUSE_S))

    @property
    def _silence_s(self) -> float:
        return _SILENCE_S + self._spec.settings.tool_seconds

    async def _feed(self, number: int, player: Player, held: dict[str, Owed], urls: tuple[str, ...]) -> None:
        """Give a worker talks and take what it says, until cancelled.

        Args:
            number: Its place among the workers.
            player: The worker.
            held: What it has.
            urls: The servers that it knows; once others serve, it plays what it has to the end, if one is left.
        """
        wanted = 0
        while True:
            now = self._base_urls_now()
            moved = now != urls
            if moved and not (held and set(now) & set(urls)):
                for owed in held.values():
                    self._give_back(owed)
                return
            given: list[Owed] = []
            while not moved and len(held) < wanted and (owed := self._ledger.take()):
                held[rollout_id(owed.task.id, self._spec.agent, owed.attempt)] = owed
                given.append(owed)
            if given:
                await asyncio.wait_for(player.send(to_line(given)), self._silence_s)
            said = Said.model_validate_json(await asyncio.wait_for(player.receive(), self._silence_s))
            if said.stopped:
                raise (ConfigError if said.usage else RunError)(said.stopped)
            if said.wanted:
                wanted = said.wanted
                self._in_flight[number] = said.in_flight
                self._faults.update(said.faults)
                self._requests += said.requests
            if said.done:
                record = await asyncio.wait_for(player.receive(), self._silence_s)
                self._writer.append_bytes(said.done, record)
                self._finished_by[number] += 1
                self._finish(held.pop(said.done), said.success)
            if said.owed:
                self._owe(held.pop(said.owed), InfraError(said.text))

    def _follow(self, metrics: EngineMetrics | None, preempted: int) -> None:
        """Let the number of talks follow the engines; workers see to their own."""
        if self._talks is None or self._pool is None:
            return
        faults = Counter(self._talks.faults) - self._faults_seen
        self._faults_seen += faults
        self._faults += faults
        self._limit.follow(metrics, self._pool.in_flight, preempted=preempted, overloaded=faults["http_429"])
        self._pool.wake()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            await asyncio.to_thread(self._writer.sync)
            self._progress.tick()
            if self._spec.kind == "model":
                self._monitor.move(self._base_urls_now())
            if problem := self._problem():
                raise RunError(problem)
            if time.monotonic() - self._costs_told >= _SECONDS_BETWEEN_COSTS:
                self._write_costs()

    def _note(self) -> str:
        in_flight = self._pool.in_flight if self._pool is not None else sum(self._in_flight.values())
        success = f"{self._successes / self._finished:.1%} success" if self._finished else "starting"
        return ", ".join([success, *self._monitor.note(), *([f"{in_flight} in flight"] if in_flight else [])])

    def _write_costs(self) -> None:
        """Write down what came since the last time."""
        if self._talks is not None:
            faults = Counter(self._talks.faults) - self._faults_seen
            self._faults_seen += faults
            self._faults += faults
            self._requests = self._talks.requests - self._requests_told
            self._requests_told += self._requests
        told = self._restarts()
        if told > self._restarts_told:
            self._faults["engine_restart"] += told - self._restarts_told
            self._restarts_told = told
        now, totals = time.monotonic(), self._monitor.totals
        new = totals.minus(self._totals_told)
        sums = {**new._asdict(), "seconds": now - self._costs_told, "requests": self._requests}
        self._totals_told, self._costs_told = totals, now
        self._costs.add(sums, self._faults)
        self._faults.clear()
        self._requests = 0
