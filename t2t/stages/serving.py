"""A model behind an engine, for the stages that play with one."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from t2t.config import EvaluateConfig, RolloutConfig, RunConfig

if TYPE_CHECKING:
    from t2t.models.vllm import VLLMChat


class Served(NamedTuple):
    """A model that answers."""

    chat: "VLLMChat"
    """Talks with it from this process."""
    base_urls: tuple[str, ...]
    """The servers behind it; other processes reach them by `connect`."""
    restarts: Callable[[], int]
    """Times so far that a server which died was started again; 0 for servers that were given."""
    faults: Counter[str]
    """Faults of the servers that `chat` met so far, by kind; each was tried again."""
    problem: Callable[[], str]
    """Why no server will ever answer again; empty while one may."""


def connect(
    config: RunConfig,
    base_urls: Sequence[str],
    name: str,
    settings: RolloutConfig | EvaluateConfig,
    problem: Callable[[], str] = str,
) -> "VLLMChat":
    """Talk with the model that `base_urls` serve as `name`; any process may, with the same values.

    Requests end with `RunError` once `problem` says why no server will ever answer again.
    """
    from t2t.models.vllm import VLLMChat

    return VLLMChat(
        config.model,
        config.engine,
        base_urls,
        name,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        logprobs=settings.logprobs,
        problem=problem,
    )


@contextmanager
def serve(
    config: RunConfig,
    source: str,
    name: str,
    log_file: Path,
    settings: RolloutConfig | EvaluateConfig,
    *,
    adapters: Mapping[str, Path] | None = None,
) -> Generator[Served]:
    """Serve a model until the block ends, or use the servers that are given.

    Args:
        config: the checkpoint's context and template, and the engine.
        source: the checkpoint.
        name: model to talk with: one of `adapters`, else the name that `source` itself is served by.
        log_file: takes what the first server says that is started here.
        settings: how replies are drawn.
        adapters: folders of LoRA adapters by name; `source` is then served as ``base`` beside them.

    Raises:
        ConfigError: the checkpoint or an adapter cannot be served, or a given server does not serve `name`.
        RunError: a server did not start.
    """
    from t2t.models.engines import Engines, check_names

    if config.engine.base_urls:
        check_names(config.engine, [name])
        chat = connect(config, config.engine.base_urls, name, settings)
        yield Served(chat, config.engine.base_urls, lambda: 0, chat.faults, str)
        return
    model, seeded = config.model.model_copy(update={"source": source}), settings.temperature > 0
    served = "base" if adapters else name
    with Engines(model, config.engine, served, log_file, seeded=seeded, adapters=adapters) as engines:
        chat = connect(config, engines.base_urls, name, settings, engines.problem)
        yield Served(chat, engines.base_urls, engines.restarts, chat.faults, engines.problem)
