"""A model behind an engine, for the stages that play with one."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from t2t.config import EvaluateConfig, RolloutConfig, RunConfig
from t2t.models.chat import ChatModel


@contextmanager
def serve(
    config: RunConfig, source: str, name: str, log_file: Path, settings: RolloutConfig | EvaluateConfig
) -> Generator[ChatModel]:
    """Serve the checkpoint `source` as `name` until the block ends, or use the servers that are given."""
    from t2t.models.vllm import VLLMChat, VLLMServer

    def connect(base_urls: Sequence[str]) -> ChatModel:
        return VLLMChat(
            config.model,
            config.engine,
            base_urls,
            name,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
        )

    if config.engine.base_urls:
        yield connect(config.engine.base_urls)
        return
    model, seeded = config.model.model_copy(update={"source": source}), settings.temperature > 0
    with VLLMServer(model, config.engine, name, log_file, seeded=seeded) as server:
        yield connect((server.base_url,))
