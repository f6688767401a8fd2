"""A model behind an engine, for the stages that play with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from t2t.config import EvaluateConfig, RolloutConfig, RunConfig
from t2t.models.chat import ChatModel


@contextmanager
def serve(
    config: RunConfig, source: str, name: str, log_file: Path, settings: RolloutConfig | EvaluateConfig
) -> Iterator[ChatModel]:
    """Serve the checkpoint `source` as `name` until the block ends, or use the servers that are given."""
    from t2t.models.vllm import VLLMChat, VLLMServer

    sampling = {"max_tokens": settings.max_tokens, "temperature": settings.temperature}
    if config.engine.base_urls:
        yield VLLMChat(config.model, config.engine, config.engine.base_urls, name, **sampling)
        return
    with VLLMServer(config.model.model_copy(update={"source": source}), config.engine, name, log_file) as server:
        yield VLLMChat(config.model, config.engine, (server.base_url,), name, **sampling)
