"""The configuration: one section per concern, every default once, checked as one whole.

Hydra composes the values (see `t2t.cli`); these models are the schema. Functions receive their own
section, never the whole configuration and never an untyped dict.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from t2t.records import Intent


class Section(BaseModel):
    """Base of all sections: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


_SECRET_ARGS = ("api_key", "authorization", "hf_token")


def _check_servers(base_urls: Sequence[str], args: Mapping[str, Any]) -> None:
    """Refuse addresses that no client can reach, and every place where a key would end up in files.

    Raises:
        ValueError: says where; never repeats the value, which may hold a key.
    """
    for place, url in enumerate(base_urls):
        try:
            parts = urlsplit(url)
            reachable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            reachable = False
            parts = urlsplit("")
        if "@" in url or parts.query or parts.fragment:
            raise ValueError(f"base_urls[{place}] holds more than host, port and path; put the key into api_key_env")
        if not reachable:
            raise ValueError(f"base_urls[{place}] is no address such as http://127.0.0.1:8000")
    for name in args:
        if name.replace("-", "_").lower() in _SECRET_ARGS:
            raise ValueError(
                f"args.{name} would stand in files; set the variable of api_key_env, or VLLM_API_KEY, instead"
            )


class ModelConfig(Section):
    """The model under training, and how it is served."""

    name: str = "smollm2_135m"
    """Name in reports."""
    source: str = "weights/smollm2-135m-instruct"
    """Checkpoint folder, or a hub id where there is a network."""
    template: str = "smollm2"
    """Chat template of this project, a file name in ``t2t/models/templates`` without ``.jinja``."""
    max_context: int = Field(default=4096, ge=256)
    """Longest prompt plus reply in tokens."""
    license: str = ""
    """Licence of `source` by its id on the hub, such as ``apache-2.0``; empty where nobody has said it."""


class EngineConfig(Section):
    """The vLLM server that t2t starts, or servers that run already."""

    base_urls: tuple[str, ...] = ()
    """Servers to use, such as ``http://127.0.0.1:8000``; empty starts one."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port of the server that is started; 0 takes a free one."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of weights and activations; ``auto`` is bfloat16 where the hardware multiplies it fast, else float32."""
    start_timeout_s: float = Field(default=600, gt=0)
    """Longest wait for a server to answer."""
    restarts: int = Field(default=3, ge=0)
    """Times that a server which died is started again."""
    request_timeout_s: float = Field(default=600, gt=0)
    """Longest wait for one reply."""
    patience_s: float = Field(default=900, gt=0)
    """How long a request is tried again while servers fail, a restart included."""
    replicas: int = Field(default=0, ge=0)
    """Servers that are started, each on its own share of the GPUs; 0 is one per GPU, or one without a GPU."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key of `base_urls`; empty sends none."""
    max_num_seqs: int = Field(default=32, ge=1)
    """Talks that the engine decodes at once."""
    cpu_kv_cache_gib: int = Field(default=2, ge=1)
    """KV cache where the engine runs on the CPU."""
    args: dict[str, Any] = {}
    """Further arguments of ``vllm serve`` by their long name with underscores, passed as they are."""

    @model_validator(mode="after")
    def _no_secret(self) -> "EngineConfig":
        _check_servers(self.base_urls, self.args)
        return self


class McpCall(Section):
    """A call that this program makes of an MCP server."""

    tool: str
    """Tool name."""
    arguments: dict[str, Any] = {}
    """Its arguments."""


class McpConfig(Section):
    """An MCP server whose tools are those of a domain."""

    command: tuple[str, ...] = Field(min_length=1)
    """Starts the server; ``{folder}`` is a folder of the process, ``{seed}``, ``{size}`` and ``{split}`` its data."""
    env: dict[str, str] = {}
    """Environment variables beside ``PATH``, ``HOME`` and the like, with the same words in braces."""
    files: str = ""
    """Folder whose copy each process gets as ``{folder}``; empty gives it an empty folder."""
    policy: str = ""
    """File with the rule text; empty takes the instructions that the server gives."""
    wishes: str = ""
    """Module with ``CALLERS``, ``WISHES``, ``RULES``; without it tasks come from `tasks` alone."""
    tasks: str = ""
    """File of tasks that are proved and played beside those that are synthesized."""
    reads: tuple[str, ...] = ()
    """Tools that change nothing, whatever the server's ``readOnlyHint`` says."""
    writes: tuple[str, ...] = ()
    """Tools that may change something, whatever the server's ``readOnlyHint`` says."""
    hidden: tuple[str, ...] = ()
    """Tools that the agent does not get."""
    snapshot: tuple[McpCall, ...] = ()
    """Calls whose results are the state; empty takes the sequence of the writes that went through."""
    reset: str = ""
    """Tool that brings the server back to its start, and that the agent does not get; empty starts a new process."""
    atomic: bool = False
    """A refused call leaves the state as it was; else the state is made again after a refused write."""
    error_prefixes: tuple[str, ...] = ()
    """Results that begin with one of these are refusals, for servers that do not mark them."""
    start_timeout_s: float = Field(default=60, gt=0)
    """Longest wait for the server to start."""
    call_timeout_s: float = Field(default=30, gt=0)
    """Longest wait for one answer."""


class ApiConfig(Section):
    """A model behind an OpenAI-compatible endpoint."""

    base_urls: tuple[str, ...] = ()
    """Endpoints, such as ``http://127.0.0.1:8000``; several must serve the same model."""
    model: str = ""
    """Model name as served."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty sends none."""
    temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature; 0 is greedy."""
    max_tokens: int = Field(default=300, ge=1)
    """Tokens per reply."""
    request_timeout_s: float = Field(default=120, gt=0)
    """Longest wait for one reply."""
    patience_s: float = Field(default=120, gt=0)
    """How long a request is tried again while the endpoint fails."""
    args: dict[str, Any] = {}
    """Further fields of each request, passed as they are."""

    @model_validator(mode="after")
    def _no_secret(self) -> "ApiConfig":
        _check_servers(self.base_urls, self.args)
        return self


class ModelUseConfig(Section):
    """A model that a stage asks, behind an endpoint or served here."""

    api: ApiConfig = ApiConfig()
    """The endpoint; without ``base_urls`` t2t serves the model of ``model.source`` itself."""
    concurrency: int = Field(default=16, ge=1)
    """Requests at once."""
    max_tries: int = Field(default=3, ge=1)
    """Answers asked for per item, the first included, before it is dropped and counted."""


class UserConfig(Section):
    """Who plays the caller."""

    kind: Literal["scripted", "model"] = "scripted"
    """``scripted`` follows the scenario to the letter; ``model`` plays it freely."""
    api: ApiConfig = ApiConfig(max_tokens=200)
    """The model that plays the caller; without ``base_urls`` the untuned model of ``model.source`` is served for it."""
    redraws: int = Field(default=3, ge=0)
    """Times that a turn of the model which breaks its scenario is drawn again before it stands."""


class DomainConfig(Section):
    """Which domains are trained on, and how much data they hold."""

    train: tuple[str, ...] = ("library",)
    """Domains that training tasks come from."""
    size: int = Field(default=200, ge=50)
    """Rows of each domain's main table."""
    mcp: dict[str, McpConfig] = {}
    """MCP servers by name; the tools of ``domain.mcp.shop`` are those of the domain ``mcp.shop``."""


class ExploreConfig(Section):
    """Finding trajectories."""

    explorer: Literal["program", "model"] = "program"
    """Who walks: a seeded program that looks for what is seen least, or a model that tries the tools."""
    num_train: int = Field(default=1200, ge=0)
    """Trajectories per training domain."""
    num_test: int = Field(default=400, ge=0)
    """Trajectories per evaluated domain, on entities that no training task has."""
    max_steps: int = Field(default=8, ge=1)
    """Longest walk in calls."""
    blocked_share: float = Field(default=0.3, ge=0, le=1)
    """Share of walks that look for a call that cannot be made."""
    goals: tuple[float, ...] = (0.75, 0.25)
    """Shares of the walks that pursue one goal, two, and so on."""
    model: ModelUseConfig = ModelUseConfig(max_tries=4)
    """The model that explores; ``max_tries`` are walks per trajectory."""
    num_tools: int = Field(default=12, ge=2)
    """Tools that an exploring model gets, drawn for each walk."""
    max_errors: int = Field(default=3, ge=1)
    """Invalid steps in a row that end the walk of an exploring model."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> "ExploreConfig":
        if not self.goals or min(self.goals) < 0 or sum(self.goals) <= 0:
            raise ValueError(f"explore.goals={list(self.goals)} holds no shares; write such as [0.75,0.25]")
        return self


class SynthesizeConfig(Section):
    """Writing tasks. Shares are aimed at: a domain that cannot give one gives the others."""

    intents: tuple[str, ...] = tuple(intent.value for intent in Intent)
    """Intents to write, in equal numbers; ``ambiguous+infeasible`` and the like write both into one task."""
    num_train: int = Field(default=400, ge=0)
    """Training tasks per domain at most."""
    num_test: int = Field(default=64, ge=0)
    """Held-out tasks per domain at most; half with wordings that training tasks never use."""
    per_trajectory: int = Field(default=1, ge=1)
    """Tasks from one trajectory at most, each of another intent."""
    withheld: tuple[float, ...] = (0.6, 0.3, 0.1)
    """Shares of the ambiguous tasks whose opening leaves one thing open, two, and so on."""
    changes: tuple[float, ...] = (0.8, 0.2)
    """Shares of the changing tasks with one change of mind, two, and so on."""
    change_when: dict[Literal["message", "proposal", "done"], float] = {"message": 0.25, "proposal": 0.5, "done": 0.25}
    """When the mind changes: before a proposal, in place of the yes, or once the first wish is carried out."""
    feasible_part: float = Field(default=0.3, ge=0, le=1)
    """Share of the infeasible tasks that hold something feasible as well."""
    alternative: float = Field(default=0.25, ge=0, le=1)
    """Share of the infeasible tasks whose caller takes something else when refused."""
    twins: float = Field(default=0.2, ge=0, le=1)
    """Share of the infeasible tasks that only look so: the rule just allows them."""
    personas: float = Field(default=0.5, ge=0, le=1)
    """Share of the callers with a mood, register and length of their own."""
    words: Literal["templates", "model"] = "templates"
    """Who writes the texts; a model's are read back and compared with what they must and must not say."""
    writer: ModelUseConfig = ModelUseConfig(api=ApiConfig(max_tokens=800))
    """The model that writes texts."""
    judge: Literal["none", "model"] = "none"
    """Whether a model grades the language of each task; it rejects nothing."""
    judge_model: ModelUseConfig = ModelUseConfig(api=ApiConfig(temperature=0.0))
    """The model that judges."""
    near_duplicate: float = Field(default=0.9, gt=0, le=1)
    """Jaccard similarity of the words above which one of two tasks is dropped."""
    per_structure: int = Field(default=20, ge=0)
    """Tasks that may differ in nothing but ids, names and values; 0 is no bound."""

    @model_validator(mode="after")
    def _intents_exist(self) -> "SynthesizeConfig":
        known = [intent.value for intent in Intent]
        for name in self.intents:
            parts = name.split("+")
            if unknown := [part for part in parts if part not in known]:
                raise ValueError(f"synthesize.intents holds {unknown[0]!r}; intents are: {', '.join(known)}")
            if parts != sorted(set(parts), key=known.index) or (len(parts) > 1 and parts[0] == known[0]):
                raise ValueError(
                    f"synthesize.intents holds {name!r}; joined intents are {', '.join(known[1:])}, each once, "
                    "in this order"
                )
        for name in ("withheld", "changes", "change_when"):
            value = getattr(self, name)
            shares = list(value.values() if isinstance(value, dict) else value)
            if not shares or min(shares) < 0 or sum(shares) <= 0:
                raise ValueError(f"synthesize.{name}={value} holds no shares above 0")
        return self


class TalkConfig(Section):
    """How talks are played."""

    attempts: int = Field(default=1, ge=1)
    """Talks per task and agent at most; raising it plays only what is missing."""
    concurrency: int = Field(default=0, ge=0)
    """Talks at once; 0 follows what the engine can take."""
    max_turns: int = Field(default=14, ge=1)
    """Agent turns per talk."""
    max_errors: int = Field(default=4, ge=1)
    """Refused or malformed calls in a row that end a talk."""
    max_tokens: int = Field(default=160, ge=1)
    """Tokens per agent turn."""
    max_talk_tokens: int = Field(default=0, ge=0)
    """Tokens that the agent may sample in one talk; 0 is no bound."""
    max_seconds: float = Field(default=3600, gt=0)
    """Longest talk; time in which a service fails is not counted."""
    tool_seconds: float = Field(default=10, gt=0)
    """Longest run of one tool call."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Share of the probability that is drawn from."""
    logprobs: bool = True
    """Keep the log-probability of each sampled token."""


class RolloutConfig(TalkConfig):
    """Playing training tasks."""

    agent: Literal["reference", "model"] = "reference"
    """Who plays: the known answer as a talk, or a model."""
    api: ApiConfig = ApiConfig(max_tokens=1024)
    """A teacher that plays in place of the base model; without ``base_urls`` the base model plays. Its turns have no
    token ids, temperature and bounds are its own."""
    until_successes: int = Field(default=0, ge=0)
    """Successes after which a task is not tried again; 0 makes all attempts."""
    temperature: float = Field(default=1.0, ge=0)
    """Sampling temperature of a model agent."""


class FilterConfig(Section):
    """Choosing what to train on."""

    max_tool_errors: int = Field(default=2, ge=0)
    """Tool calls of the agent that may have come back with an error in a kept talk."""
    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """Jaccard similarity of what the agent says and does from which one of two talks is dropped; 1 keeps all."""
    per_task: int = Field(default=1, ge=1)
    """Successful rollouts kept per task, and for ``train.method=dpo`` pairs."""
    max_examples: int = Field(default=320, ge=1)
    """Rows in all."""
    balance: bool = True
    """Keep equal numbers per intent, domain and length, as far as there are enough."""


SPEED_SETTINGS = frozenset(
    {"tokens_per_pack", "share_prefix", "recompute", "compile", "resume", "save_steps", "report_to", "parity_prompts"}
)
"""Settings of training that change how fast it is and what it says, never what is learned."""

_MAX_LORA_RANK = 512
"""Highest rank that vLLM serves."""


class TrainConfig(Section):
    """Fine-tuning with TRL."""

    method: Literal["sft", "dpo"] = "sft"
    """``sft`` learns from chosen talks; ``dpo`` from pairs of a successful and a failed talk of one task."""
    adapter: Literal["lora", "rslora", "none"] = "lora"
    """What is trained: a LoRA adapter, one scaled by the root of its rank, or, with ``none``, all weights."""
    quantize: Literal["none", "nf4", "int8"] = "none"
    """How the frozen base is held while an adapter is trained; others than ``none`` need the extra ``quantize``."""
    epochs: float = Field(default=2, gt=0)
    """Passes over the rows."""
    learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    """Peak learning rate."""
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps that warm up."""
    lora_r: int = Field(default=32, ge=1)
    """LoRA rank."""
    lora_alpha: int = Field(default=64, ge=1)
    """LoRA alpha."""
    lora_targets: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """Modules that get an adapter."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of weights and activations; ``auto`` is bfloat16 on a GPU and on a CPU with AMX, else float32."""
    max_length: int = Field(default=4096, ge=64)
    """Longest row in tokens; a longer one stops the stage."""
    loss_tokens_per_step: int = Field(default=1024, ge=1)
    """Tokens that carry loss per optimiser step over all ranks; a step takes rows until it has that many."""
    tokens_per_pack: int = Field(default=0, ge=0)
    """Tokens computed in one pass; 0 fits it to the memory. It changes the speed alone."""
    share_prefix: Literal["auto", "always", "never"] = "auto"
    """Compute what rows begin with alike once per pack; ``auto`` where that is at least a fifth of their tokens."""
    recompute: Literal["auto", "always", "never"] = "auto"
    """Compute activations again on the way back instead of keeping them; ``auto`` where memory is short."""
    compile: bool = False
    """Compile the model's blocks with ``torch.compile``."""
    fsdp: bool = False
    """Shard weights over the ranks (FSDP2) instead of holding them whole on each (DDP)."""
    loss_from: Literal["first_turn", "first_write"] = "first_turn"
    """Turn of the agent from which on its tokens carry loss."""
    skip_failed_calls: bool = False
    """Leave turns whose tool call came back with an error without loss."""
    weights: dict[str, float] = {}
    """Weight of a row's loss by intent or domain, such as ``infeasible: 2``; 1 where none is named."""
    dpo_beta: float = Field(default=0.1, gt=0)
    """How strongly ``dpo`` holds on to the untuned model."""
    resume: Literal["auto", "never"] = "auto"
    """``auto`` goes on from the last complete checkpoint."""
    report_to: tuple[Literal["trackio", "wandb", "mlflow", "tensorboard"], ...] = ()
    """Trackers that get losses and metrics; each is a package of its own."""
    parity_prompts: int = Field(default=8, ge=1)
    """Held-out prompts, and rows, on which the trained and the served weights are compared."""
    save_steps: int = Field(default=20, ge=1)
    """Steps between checkpoints, from which an interrupted run goes on."""
    trl: dict[str, Any] = {}
    """Further arguments of TRL's ``SFTConfig``, passed as they are."""

    @model_validator(mode="after")
    def _settings_agree(self) -> "TrainConfig":
        if self.adapter == "none" and self.quantize != "none":
            raise ValueError(
                f"quantize={self.quantize} needs an adapter: quantised weights cannot be trained; set adapter=lora"
            )
        if self.fsdp and self.quantize != "none":
            raise ValueError(f"fsdp cannot shard a base in {self.quantize}; set quantize=none or fsdp=false")
        if self.adapter != "none" and self.lora_r > _MAX_LORA_RANK:
            raise ValueError(f"lora_r={self.lora_r} is above {_MAX_LORA_RANK}, the highest rank that vLLM serves")
        if self.adapter != "none" and not self.lora_targets:
            raise ValueError("lora_targets is empty; name at least one linear layer, such as q_proj")
        for name in self.lora_targets:
            if name.rsplit(".", 1)[-1] in ("lm_head", "embed_tokens"):
                raise ValueError(f"lora_targets holds {name!r}, which vLLM serves no adapter for; leave it out")
        if self.method == "dpo" and (self.loss_from != "first_turn" or self.skip_failed_calls or self.weights):
            raise ValueError(
                "loss_from, skip_failed_calls and weights are for method=sft: of a pair all that the agent said counts"
            )
        low = next((name for name, weight in self.weights.items() if weight < 0), None)
        if low is not None:
            raise ValueError(f"weights.{low}={self.weights[low]} is below 0; 0 leaves such rows out of the loss")
        return self


class EvaluateConfig(TalkConfig):
    """Playing held-out tasks."""

    domains: tuple[str, ...] = ("retail",)
    """Domains that no training row comes from; trained domains are always evaluated."""
    num_unseen: int = Field(default=24, ge=0)
    """Held-out tasks played per unseen domain; at most ``synthesize.num_test``."""
    weights: Literal["merged", "adapter"] = "merged"
    """What is served of the tuned model: weights with the adapter merged in, or the base with the adapter by name."""
    tau2: tuple[str, ...] = ()
    """tau2's human-written tasks to play as well, such as ``retail:test``; a model has to play their callers."""


class ComputeConfig(Section):
    """Where stages run."""

    kind: Literal["local", "ray"] = "local"
    """``local`` is this machine; ``ray`` spreads talks and engines over a Ray cluster."""
    players: int = Field(default=1, ge=1)
    """Processes, or Ray actors, that play talks; one is enough until its core is full."""
    ray_address: str = "auto"
    """Address of the Ray cluster's head; ``auto`` finds the one that this machine belongs to."""
    workers: int = Field(default=0, ge=0)
    """Processes that explore and synthesize; 0 is one per usable core. They change the speed alone."""
    num_processes: int = Field(default=0, ge=0)
    """Training processes started by ``t2t run``; 0 is one per GPU, or one without a GPU."""


class HubConfig(Section):
    """Uploading the tuned model."""

    push: bool = False
    """Upload adapter, merged weights and model card once the report is written."""
    repo: str = ""
    """Name on the hub, such as ``me/retail-1.5b``; the adapter goes to a repository of that name and ``-adapter``."""
    private: bool = True
    """Whether a new repository is private."""

    @model_validator(mode="after")
    def _names_a_repository(self) -> "HubConfig":
        if self.push and not self.repo:
            raise ValueError("hub.push=true needs hub.repo, the name on the hub, such as hub.repo=me/retail-1.5b")
        if self.repo and not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]{0,86}", self.repo):
            raise ValueError(f"hub.repo={self.repo} is no name on the hub; write such as me/retail-1.5b")
        return self


class PathsConfig(Section):
    """Folders, relative to where the command is typed."""

    runs: str = "runs"
    """Artifacts and reports."""


class RunConfig(Section):
    """A whole experiment."""

    name: str = "quickstart"
    """Folder of the report under ``paths.runs``."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything."""
    stages: tuple[str, ...] = ()
    """Stages to run; empty runs all that are missing."""
    dry_run: bool = False
    """Print the plan and stop."""
    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    domain: DomainConfig = DomainConfig()
    explore: ExploreConfig = ExploreConfig()
    synthesize: SynthesizeConfig = SynthesizeConfig()
    rollout: RolloutConfig = RolloutConfig()
    filter: FilterConfig = FilterConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    user: UserConfig = UserConfig()
    compute: ComputeConfig = ComputeConfig()
    hub: HubConfig = HubConfig()
    paths: PathsConfig = PathsConfig()

    @model_validator(mode="after")
    def _unseen_is_unseen(self) -> "RunConfig":
        both = sorted(set(self.domain.train) & set(self.evaluate.domains))
        if both:
            raise ValueError(
                f"evaluate.domains holds {both[0]!r}, which domain.train trains on; "
                "list only unseen domains there (trained ones are always evaluated)"
            )
        for part in self.evaluate.tau2:
            name = f"tau2.{part.partition(':')[0]}"
            if name in (*self.domain.train, *self.evaluate.domains):
                raise ValueError(
                    f"evaluate.tau2 holds {part!r}, whose domain {name!r} also stands in domain.train or "
                    "evaluate.domains; one table row would mix two kinds of tasks"
                )
        teacher = self.rollout.api
        if teacher.base_urls and self.rollout.agent != "model":
            raise ValueError("rollout.api.base_urls names a teacher, which plays with rollout.agent=model")
        if teacher.base_urls and not teacher.model:
            raise ValueError("rollout.api.base_urls needs rollout.api.model, the teacher's name as served")
        if teacher.base_urls and self.user.kind == "model" and not self.user.api.base_urls:
            raise ValueError("user.kind=model beside a teacher (rollout.api) needs user.api.base_urls")
        if self.user.kind == "model" and not self.user.api.base_urls and self.evaluate.weights == "merged":
            raise ValueError(
                "user.kind=model without user.api.base_urls has the untuned model play the caller, on the engine of "
                "the agent: that needs evaluate.weights=adapter"
            )
        if self.evaluate.tau2 and self.user.kind != "model":
            raise ValueError("evaluate.tau2 needs user.kind=model: no script knows what those callers would say")
        if not self.domain.train:
            raise ValueError("domain.train is empty; name at least one domain")
        return self

    @model_validator(mode="after")
    def _weights_name_rows(self) -> "RunConfig":
        known = (*(intent.value for intent in Intent), *self.domain.train)
        for name in self.train.weights:
            if name not in known:
                raise ValueError(
                    f"train.weights holds {name!r}, neither an intent nor a domain of domain.train; known: "
                    f"{', '.join(known)}"
                )
        return self
