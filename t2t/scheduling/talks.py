"""One talk from start to end: who speaks, over which servers, in plain values that any process can take."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from t2t.config import RunConfig, TalkConfig
from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.episode.agent import IdleAgent, ReferenceAgent
from t2t.episode.play import limits_of, play
from t2t.episode.user import UserSimulator
from t2t.models.chat import ChatSession
from t2t.records import Rollout, Task
from t2t.scheduling.ledger import Owed

if TYPE_CHECKING:
    from t2t.models.api import ApiChat
    from t2t.models.vllm import VLLMChat


class TalkSpec(BaseModel):
    """Who plays, and how; travels to other processes as JSON."""

    model_config = ConfigDict(frozen=True)

    config: RunConfig
    """The whole run."""
    section: Literal["rollout", "evaluate"]
    """Which settings hold for the talks."""
    agent: str
    """Name of the agent in the records."""
    kind: Literal["reference", "do_nothing", "model"]
    """The known answer played as a talk, an agent that does nothing, or a served model."""
    base_urls: tuple[str, ...] = ()
    """Servers of the agent's model."""
    served: str = ""
    """The name that they serve it by."""
    caller_urls: tuple[str, ...] = ()
    """Servers of the model that plays the caller, where t2t started them."""
    caller_served: str = ""
    """The name that they serve it by."""
    players: int = 1
    """Workers that share the talks; ``concurrency`` is that of all of them together."""

    @property
    def settings(self) -> TalkConfig:
        """How the talks are played."""
        return self.config.rollout if self.section == "rollout" else self.config.evaluate


class Talks:
    """Plays talks.

    Raises:
        ConfigError: an endpoint cannot work.
    """

    def __init__(self, spec: TalkSpec) -> None:
        self._spec = spec
        self._limits = limits_of(spec.settings)
        self._domains: dict[str, Domain] = {}
        plays = spec.kind == "model"
        self._agent = self._connect_agent() if plays else None
        self._caller = self._connect_caller() if plays and spec.config.user.kind == "model" else None

    @property
    def faults(self) -> Counter[str]:
        """Faults of services met so far, by kind; each was tried again."""
        return sum((chat.faults for chat in (self._agent, self._caller) if chat), Counter[str]())

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return sum(chat.requests for chat in (self._agent, self._caller) if chat)

    @property
    def turns(self) -> int:
        """Turns of the agent's model so far, those that a fault ended among them."""
        return self._agent.requests if self._agent else 0

    async def play(self, owed: Owed) -> Rollout:
        """Play one talk.

        Raises:
            InfraError: a service failed for good.
        """
        task, attempt = owed
        environment = Environment(self._domain(task.domain), task.data)
        session, user = self._session(task, attempt), self._user(task, attempt)
        try:
            return await play(task, self._spec.agent, attempt, session, environment, self._limits, user)
        except Exception as error:
            error.add_note(f"in the talk {task.id}/{self._spec.agent}/{attempt}")
            raise

    def _domain(self, name: str) -> Domain:
        if name not in self._domains:
            self._domains[name] = load_domain(name, self._spec.config.domain.mcp)
        return self._domains[name]

    def _session(self, task: Task, attempt: int) -> ChatSession:
        if self._agent is not None:
            return self._agent.open(
                self._domain(task.domain).tool_schemas, seed_for(self._spec.config.seed, task.id, attempt)
            )
        return ReferenceAgent(task) if self._spec.kind == "reference" else IdleAgent()

    def _user(self, task: Task, attempt: int) -> UserSimulator | None:
        if self._caller is None:
            return None
        from t2t.episode.model_user import ModelUser

        config = self._spec.config
        seed = seed_for(config.seed, f"user/{task.id}", attempt)
        return ModelUser(self._domain(task.domain), task.scenario, self._caller, seed, redraws=config.user.redraws)

    def _connect_agent(self) -> "VLLMChat | ApiChat":
        config, settings = self._spec.config, self._spec.settings
        if self._spec.section == "rollout" and config.rollout.api.base_urls:
            from t2t.models.api import ApiChat

            return ApiChat(config.rollout.api)
        from t2t.models.vllm import VLLMChat

        return VLLMChat(
            config.model,
            config.engine,
            self._spec.base_urls,
            self._spec.served,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            logprobs=settings.logprobs,
        )

    def _connect_caller(self) -> "VLLMChat | ApiChat":
        config = self._spec.config
        if not self._spec.caller_urls:
            from t2t.models.api import ApiChat

            return ApiChat(config.user.api)
        from t2t.models.vllm import VLLMChat

        return VLLMChat(
            config.model,
            config.engine,
            self._spec.caller_urls,
            self._spec.caller_served,
            max_tokens=config.user.api.max_tokens,
            temperature=config.user.api.temperature,
        )


def seed_for(run_seed: int, task_id: str, attempt: int) -> int:
    """Seed of one attempt: independent of order, concurrency and resumption. Below 2**31."""
    digest = hashlib.sha256(f"{run_seed}/{task_id}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
