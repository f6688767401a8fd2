"""tau2's own runner with a model that t2t serves, as agent and as simulated user."""

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from t2t.config import RunConfig
from t2t.errors import ConfigError, InfraError
from t2t.interop.tau2.endpoint import serving
from t2t.interop.tau2.source import import_tau2
from t2t.models.chat import ChatModel


class Plan(NamedTuple):
    """What tau2's runner plays."""

    member: str
    """tau2's domain."""
    split: str = "test"
    """Official split of its tasks."""
    limit: int = 0
    """First tasks of the split alone; 0 plays all."""
    trials: int = 1
    """Talks about each task."""
    max_steps: int = 100
    """Messages of one talk."""
    concurrency: int = 8
    """Talks at once."""


def play(plan: Plan, config: RunConfig, out: Path) -> Path:
    """Serve ``config.model``, or use ``config.engine.base_urls``, and let tau2's runner play.

    Returns:
        tau2's results file, in `out`.

    Raises:
        ConfigError: the results file exists already, or the model cannot be served.
        InfraError: the model's service failed in some talk, whose zero would not be the model's.
    """
    with _chat(config, out / "server.log") as model:
        return play_with(plan, model, config.model.name, config.seed, out)


def play_with(plan: Plan, model: ChatModel, name: str, seed: int, out: Path) -> Path:
    """Let tau2's runner play a model that runs already; see `play`."""
    runner = import_tau2("run")
    save_to = f"{plan.member}_{plan.split}_{name}"
    file = out / f"{save_to}.json"
    if file.exists():
        raise ConfigError(f"{file} exists already; give another folder with out=")
    out.mkdir(parents=True, exist_ok=True)
    with serving(model) as endpoint, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LiteLLM warns of its own imports
        arguments = {"base_url": endpoint.url, "api_key": "none"}
        runner.run_domain(
            import_tau2("data_model.simulation").RunConfig(
                domain=plan.member,
                task_split_name=plan.split,
                num_tasks=plan.limit or None,
                llm_agent=f"openai/{name}",
                llm_args_agent=dict(arguments),
                llm_user=f"openai/{name}",
                llm_args_user=dict(arguments),
                llm_judge=None,
                llm_args_judge={},
                num_trials=plan.trials,
                max_steps=plan.max_steps,
                max_concurrency=plan.concurrency,
                save_to=save_to,
                results_dir=str(out),
                seed=seed,
                skip_failed_samples=True,
            )
        )
        if endpoint.failures:
            raise InfraError(
                f"{len(endpoint.failures)} requests failed, so {file} is no result: {endpoint.failures[-1]}"
            )
    return file


@contextmanager
def _chat(config: RunConfig, log_file: Path) -> Generator[ChatModel]:
    from t2t.models.engines import Engines, check_names
    from t2t.models.vllm import VLLMChat

    settings, name = config.evaluate, config.model.name

    def connect(base_urls: tuple[str, ...], problem: Callable[[], str] = str) -> ChatModel:
        return VLLMChat(
            config.model,
            config.engine,
            base_urls,
            name,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            problem=problem,
        )

    if config.engine.base_urls:
        check_names(config.engine, [name])
        yield connect(config.engine.base_urls)
        return
    with Engines(config.model, config.engine, name, log_file, seeded=settings.temperature > 0) as engines:
        yield connect(engines.base_urls, engines.problem)
