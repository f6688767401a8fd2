"""A key in a setting would end up in manifests and logs, so it is refused where it is read."""

import pytest
from pydantic import ValidationError

from t2t.cli import main
from t2t.config import ApiConfig, EngineConfig, RunConfig

KEY = "canary-77"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_urls": (f"http://user:{KEY}@127.0.0.1:8000",)}, r"base_urls\[0\] holds more .*api_key_env"),
        (
            {"base_urls": ("http://127.0.0.1:1", f"http://127.0.0.1:8000/v1?api_key={KEY}")},
            r"base_urls\[1\] holds more",
        ),
        ({"base_urls": (f"127.0.0.1:8000/{KEY}",)}, r"base_urls\[0\] is no address such as"),
        ({"base_urls": (f"http://127.0.0.1:{KEY}",)}, r"base_urls\[0\] is no address such as"),
        ({"args": {"api_key": KEY}}, "args.api_key would stand in files; set the variable"),
        ({"args": {"api-key": [KEY]}}, "args.api-key would stand in files"),
        ({"args": {"hf_token": KEY}}, "args.hf_token would stand in files"),
    ],
)
@pytest.mark.parametrize("section", [EngineConfig, ApiConfig])
def test_a_key_in_a_setting_is_refused_and_not_repeated(section, settings, message):
    with pytest.raises(ValidationError, match=message) as refused:
        section(**settings)
    assert KEY not in str(refused.value)
    with pytest.raises(ValidationError) as refused:
        RunConfig.model_validate({"engine": settings} if section is EngineConfig else {"user": {"api": settings}})
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("setting", [f"engine.base_urls=['http://u:{KEY}@h:1']", f"+engine.args.api_key={KEY}"])
def test_the_command_line_does_not_repeat_it_either(setting, capsys, caplog, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["t2t", "run", setting, f"paths.runs={tmp_path}"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "".join(capsys.readouterr()) + caplog.text
    assert ended.value.code == 2 and "api_key_env" in said and KEY not in said


def test_plain_addresses_are_taken():
    urls = ("http://127.0.0.1:8000", "https://models.example/v1", "http://[::1]:8000/")
    assert EngineConfig(base_urls=urls).base_urls == urls
