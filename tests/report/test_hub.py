"""An upload is whole or a clear line, and only what belongs to the model goes along."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from t2t.cli import load_config
from t2t.errors import ConfigError
from tests.report.hub_server import TOKEN, HubServer, serving
from tests.report.test_model_card import Run

ROOT = Path(__file__).resolve().parents[2]

CODE = """
import logging, sys
from pathlib import Path
from t2t import log as logs
from t2t.config import HubConfig, ModelConfig
from t2t.errors import end_in_one_line
from t2t.report import hub

logs.configure()
with end_in_one_line(logging.getLogger("t2t"), interrupted=""):
    hub.push(Path(sys.argv[1]), HubConfig(push=True, repo="me/books"), ModelConfig(source=sys.argv[2]))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    with serving(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    made = Run(tmp_path / "run")
    for kind, name in (("adapter", "adapter_model"), ("merged", "model")):
        (made.train / kind / f"{name}.safetensors").write_bytes(kind.encode() * 1000)
        (made.train / kind / "chat_template.jinja").write_text("{{ messages }}")
    made.cards()
    return made


def push(run: Run, endpoint: str, *, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """Push in a process of its own, for the address of the hub is read when its library is imported."""
    home = run.train.parent / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
    if token:
        environment["HF_TOKEN"] = token
    command = [sys.executable, "-c", CODE, str(run.train), str(run.base)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_both_folders_arrive_whole_in_private_repositories(run, server):
    done = push(run, server.url)
    assert done.returncode == 0, done.stderr
    assert server.private == {"me/books-adapter": True, "me/books": True}
    assert server.commits == ["me/books-adapter", "me/books"]
    for kind, repo in (("adapter", "me/books-adapter"), ("merged", "me/books")):
        ours = {file.name: file.read_bytes() for file in (run.train / kind).iterdir()}
        theirs = server.files(repo)
        assert theirs.keys() == ours.keys()
        assert [name for name in ours if ours[name] != theirs[name]] == (
            ["adapter_config.json"] if kind == "adapter" else []
        )
    settings = json.loads(server.files("me/books-adapter")["adapter_config.json"])
    assert (settings["base_model_name_or_path"], settings["r"]) == ("tiny-base", 12)


def test_a_second_upload_goes_to_the_same_repositories(run, server):
    push(run, server.url)
    (run.train / "merged" / "chat_template.jinja").write_text("{{ other }}")
    done = push(run, server.url)
    assert done.returncode == 0, done.stderr
    assert server.files("me/books")["chat_template.jinja"] == b"{{ other }}"


def test_full_weights_go_up_alone(run, server):
    (run.train / "adapter").rename(run.train / "elsewhere")
    assert push(run, server.url).returncode == 0
    assert server.commits == ["me/books"]


def test_without_a_token_one_line_says_what_to_do(run, server):
    done = push(run, server.url, token="")
    assert done.returncode == 1
    assert "set HF_TOKEN" in one_line(done)
    assert server.commits == []


def test_a_wrong_token_a_missing_right_and_no_network_are_one_line_each(run, server):
    server.forbidden = {"me/books-adapter"}
    unreachable = "http://127.0.0.1:9"
    answers = {
        push(run, server.url, token="hf_of_somebody"): "401",
        push(run, server.url): "You don't have the rights",
        push(run, unreachable): "refused",
    }
    for done, why in answers.items():
        assert done.returncode == 1
        line = one_line(done)
        assert why in line and "me/books-adapter" in line and str(run.train) in line
        assert TOKEN not in line
    assert server.commits == []


def test_a_push_needs_a_name_that_the_hub_can_have():
    with pytest.raises(ConfigError, match=r"needs hub\.repo"):
        load_config(["recipe=quickstart", "hub.push=true"])
    with pytest.raises(ConfigError, match="no name on the hub"):
        load_config(["recipe=quickstart", "hub.push=true", "hub.repo=books"])
    assert not load_config(["recipe=quickstart"]).hub.push
