"""The model that a stage asks beside the one under training: behind an endpoint, or served here."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from t2t.config import ApiConfig, ModelUseConfig, RunConfig
from t2t.errors import ConfigError
from t2t.journal import key_of
from t2t.models.api import ApiChat
from t2t.models.chat import ChatModel

_WHERE_AND_HOW_FAST = {"base_urls", "api_key_env", "request_timeout_s", "patience_s"}


class Served(NamedTuple):
    """A model that answers."""

    chat: ChatModel
    """Talks with it, tools included."""
    api: ApiConfig
    """Its chat completions route, for requests with a JSON schema."""
    name: str
    """Hash of all that decides an answer beside the question and its seed: what its answers are kept under."""


@contextmanager
def open_model(config: RunConfig, use: ModelUseConfig, setting: str, log_file: Path) -> Generator[Served]:
    """Reach the model behind ``use.api.base_urls``, or serve the checkpoint of ``config.model`` until the block ends.

    Args:
        config: the whole run: the checkpoint and the engine.
        use: endpoint and sampling; ``api.args`` reach a model that is served here over `Served.api` alone.
        setting: where `use` stands, such as ``explore.model``, for messages.
        log_file: takes what a server says that is started here.

    Raises:
        ConfigError: the endpoint is not whole, its key is not set, or there is no checkpoint to serve.
        RunError: the server did not start.
    """
    api = use.api
    if api.base_urls:
        try:
            chat = ApiChat(api)
        except ConfigError as error:
            raise ConfigError(f"{setting}.api: {error}") from None
        yield Served(chat, api, _name(api, ""))
        return
    if api.model or api.api_key_env:
        told = f"model={api.model}" if api.model else f"api_key_env={api.api_key_env}"
        raise ConfigError(
            f"{setting}.api.{told} needs {setting}.api.base_urls, such as [http://127.0.0.1:8000]; "
            f"without both the model of model.source={config.model.source} is served"
        )
    from t2t.models.engines import Engines, check_names
    from t2t.models.rendering import template_hash
    from t2t.models.vllm import VLLMChat

    engine = config.engine
    key_env = engine.api_key_env if engine.base_urls else "VLLM_API_KEY" if "VLLM_API_KEY" in os.environ else ""

    def connect(base_urls: tuple[str, ...], problem: Callable[[], str] = str) -> Served:
        here = api.model_copy(update={"base_urls": base_urls, "model": "base", "api_key_env": key_env})
        chat = VLLMChat(
            config.model,
            engine,
            base_urls,
            here.model,
            max_tokens=api.max_tokens,
            temperature=api.temperature,
            problem=problem,
        )
        weights: JsonValue = [
            config.model.model_dump(mode="json"),
            template_hash(config.model.template),
            engine.dtype,
        ]
        return Served(chat, here, _name(api, weights))

    if engine.base_urls:
        check_names(engine, ["base"])
        yield connect(engine.base_urls)
        return
    with Engines(config.model, engine, "base", log_file, seeded=api.temperature > 0) as engines:
        yield connect(engines.base_urls, engines.problem)


def _name(api: ApiConfig, weights: JsonValue) -> str:
    return key_of([api.model_dump(mode="json", exclude=_WHERE_AND_HOW_FAST), weights])
