from pathlib import Path

import pytest

from t2t.config import ApiConfig, EngineConfig, ModelConfig, ModelUseConfig, RunConfig
from t2t.errors import ConfigError
from t2t.models.api import ApiChat
from t2t.models.use import open_model
from t2t.models.vllm import VLLMChat
from tests.scripted_server import serving

ENDPOINT = ApiConfig(base_urls=("http://127.0.0.1:1",), model="m")


def opened(use: ApiConfig, config: RunConfig | None = None):
    with open_model(config or RunConfig(), ModelUseConfig(api=use), "explore.model", Path("unused.log")) as served:
        return served


def test_an_endpoint_is_taken_as_it_is():
    served = opened(ENDPOINT)
    assert isinstance(served.chat, ApiChat) and served.api == ENDPOINT


@pytest.mark.parametrize(
    ("use", "named"),
    [
        ({"model": ""}, r"^explore\.model\.api: .*model"),
        ({"base_urls": ()}, r"^explore\.model\.api\.model=m needs explore\.model\.api\.base_urls"),
        ({"base_urls": (), "model": "", "api_key_env": "K"}, r"^explore\.model\.api\.api_key_env=K needs .*base_urls"),
        ({"api_key_env": "T2T_NO_SUCH_KEY"}, r"^explore\.model\.api: .*T2T_NO_SUCH_KEY"),
    ],
)
def test_what_is_missing_is_said_at_once_in_one_line(use, named, monkeypatch):
    monkeypatch.delenv("T2T_NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match=named) as refused:
        opened(ENDPOINT.model_copy(update=use))
    assert "\n" not in str(refused.value)


def test_without_an_endpoint_the_checkpoint_has_to_be_there():
    missing = RunConfig(model=ModelConfig(source="weights/none-such"))
    with pytest.raises(ConfigError, match="weights/none-such"):
        opened(ApiConfig(), missing)


def test_servers_that_run_already_are_used(weights_dir: Path):
    with serving(weights_dir, list) as server:
        config = RunConfig(model=ModelConfig(source=str(weights_dir)), engine=EngineConfig(base_urls=(server.url,)))
        served = opened(ApiConfig(temperature=0.2), config)
    assert isinstance(served.chat, VLLMChat)
    assert served.api == ApiConfig(base_urls=config.engine.base_urls, model="base", temperature=0.2)


def test_answers_are_kept_under_what_decides_them_and_not_under_the_way_there():
    name = opened(ENDPOINT).name
    assert name == opened(ENDPOINT.model_copy(update={"base_urls": ("http://b:2",), "request_timeout_s": 3})).name
    for other in ({"model": "n"}, {"temperature": 0.1}, {"max_tokens": 7}, {"args": {"top_p": 0.5}}):
        assert name != opened(ENDPOINT.model_copy(update=other)).name
