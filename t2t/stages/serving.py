"""A model behind an engine, for the stages that play with one."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
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


def connect(
    config: RunConfig, base_urls: Sequence[str], name: str, settings: RolloutConfig | EvaluateConfig
) -> "VLLMChat":
    """Talk with the model that `base_urls` serve as `name`; any process may, with the same values."""
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
    )


@contextmanager
def serve(
    config: RunConfig, source: str, name: str, log_file: Path, settings: RolloutConfig | EvaluateConfig
) -> Generator[Served]:
    """Serve the checkpoint `source` as `name` until the block ends, or use the servers that are given."""
    from t2t.models.vllm import VLLMServer

    if config.engine.base_urls:
        chat = connect(config, config.engine.base_urls, name, settings)
        yield Served(chat, config.engine.base_urls, lambda: 0, chat.faults)
        return
    model, seeded = config.model.model_copy(update={"source": source}), settings.temperature > 0
    with VLLMServer(model, config.engine, name, log_file, seeded=seeded) as server:
        chat = connect(config, (server.base_url,), name, settings)
        yield Served(chat, (server.base_url,), lambda: 0, chat.faults)
