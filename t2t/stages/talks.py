"""Playing many tasks at once; shared by the stages that roll out and that evaluate."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

from t2t.config import EvaluateConfig, McpConfig, RolloutConfig, UserConfig
from t2t.domain.domain import load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import Limits, play
from t2t.episode.user import UserSimulator
from t2t.errors import InfraError, RunError
from t2t.log import Progress
from t2t.models.chat import ChatModel, ChatSession
from t2t.records import Rollout, Task
from t2t.store import Writer

Sessions = Callable[[Task, int], ChatSession]
"""Starts the agent's side of one attempt at a task."""

Callers = Callable[[Task, int], UserSimulator | None]
"""Starts the caller's side of one attempt at a task; None is the scripted caller."""


def reference_sessions(task: Task, attempt: int) -> ChatSession:
    """The known answer as a talk."""
    return ReferenceAgent(task)


def idle_sessions(task: Task, attempt: int) -> ChatSession:
    """An agent that does nothing."""
    return IdleAgent()


def model_sessions(model: ChatModel, servers: Mapping[str, McpConfig]) -> Sessions:
    """Talks with a model, each with a seed of its own."""

    def start(task: Task, attempt: int) -> ChatSession:
        return model.open(load_domain(task.domain, servers).tool_schemas, seed_for(task.id, attempt))

    return start


def callers_of(settings: UserConfig, servers: Mapping[str, McpConfig]) -> Callers:
    """Who plays the callers: the script, or a model behind an endpoint.

    Raises:
        ConfigError: the endpoint cannot work.
    """
    if settings.kind == "scripted":
        return lambda task, attempt: None
    from t2t.episode.model_user import ModelUser
    from t2t.models.api import ApiChat

    model = ApiChat(settings.api)

    def start(task: Task, attempt: int) -> UserSimulator:
        domain = load_domain(task.domain, servers)
        return ModelUser(domain, task.scenario, model, seed_for(f"user/{task.id}", attempt))

    return start


def seed_for(task_id: str, attempt: int) -> int:
    """Seed of one attempt: independent of order, concurrency and resumption. Below 2**31."""
    return int.from_bytes(hashlib.sha256(f"{task_id}/{attempt}".encode()).digest()[:4], "big") >> 1


def play_all(
    tasks: Sequence[Task],
    agent: str,
    sessions: Sessions,
    settings: RolloutConfig | EvaluateConfig,
    servers: Mapping[str, McpConfig],
    writer: Writer,
    label: str,
    callers: Callers | None = None,
) -> None:
    """Play every task as often as `settings` says and append the rollouts; what is there is not played again.

    Raises:
        RunError: the agent's service failed for good; what was finished is kept.
    """
    limits = Limits(settings.max_turns, settings.max_errors)
    owed = [
        (task, attempt)
        for attempt in range(settings.attempts)
        for task in tasks
        if f"{task.id}/{agent}/{attempt}" not in writer.ids
    ]
    total = len(tasks) * settings.attempts
    progress = Progress(f"{label} {agent}", total, "talks", done=total - len(owed))
    successes = finished = 0
    progress.note = lambda: f"{successes / finished:.1%} success" if finished else "starting"

    async def work(queue: "asyncio.Queue[tuple[Task, int]]") -> None:
        nonlocal successes, finished
        while not queue.empty():
            task, attempt = queue.get_nowait()
            environment = Environment(load_domain(task.domain, servers), task.data)
            session, user = sessions(task, attempt), callers(task, attempt) if callers else None
            rollout: Rollout = await play(task, agent, attempt, session, environment, limits, user)
            writer.append(rollout)
            finished += 1
            successes += rollout.reward.value == 1.0
            progress.step()

    async def show() -> None:
        while True:
            await asyncio.sleep(1)
            progress.tick()

    async def main() -> None:
        queue: asyncio.Queue[tuple[Task, int]] = asyncio.Queue()
        for item in owed:
            queue.put_nowait(item)
        shower = asyncio.create_task(show())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency or 32, len(owed))):
                    group.create_task(work(queue))
        finally:
            shower.cancel()

    try:
        asyncio.run(main())
    except ExceptionGroup as group:
        first = group.exceptions[0]
        if isinstance(first, InfraError):
            raise RunError(f"{label} {agent}: {first}; start again to go on from {finished} finished talks") from None
        raise first from None
    finally:
        progress.close()
