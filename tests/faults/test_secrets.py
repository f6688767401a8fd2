"""No key reaches a file or a message, whatever an endpoint says about it."""

import base64
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.faults.conftest import SETTINGS
from tests.faults.harness import ROOT, Base, fault_server, merged, new_case, run_stage

KEY = "sk-canary-Zm9v/bar+baz=d41d8cd98f00b204e9800998ecf8427e"
WRONG = "sk-canary-wrong/key+ofSomebody=7215ee9c7d9dc229d2921a40e899ec5f"
VARIABLE = "CANARY_API_KEY"


def forms_of(key: str) -> set[bytes]:
    """What gives a key away: its beginning, its end, what it looks like in other writing."""
    encoded = base64.b64encode(key.encode())
    return {b"sk-ca", key[-16:].encode(), encoded[:12], quote(key, safe="")[:20].encode(), b"authorization"}


def search(folder: Path, *said: str) -> None:
    """Look for a canary in all files below a folder, and in what was said."""
    forms = forms_of(KEY) | forms_of(WRONG)
    texts = {"what was said": "\n".join(said).encode()}
    texts |= {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}
    assert len(texts) > 1, "there is no file to search"
    for name, text in texts.items():
        low = text.lower()
        for form in forms:
            place = low.find(form.lower())
            assert place < 0, f"{name}: {text[max(place - 80, 0) : place + 80]!r}"


def with_key(url: str) -> dict[str, object]:
    return {"base_urls": [url], "model": "base", "api_key_env": VARIABLE, "patience_s": 30}


def test_the_search_finds_a_key_that_was_cut_in_two(tmp_path: Path):
    (tmp_path / "clean").write_text("nothing")
    search(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "server.log").write_text(f"Incorrect API key provided: {KEY[:9]}")
    with pytest.raises(AssertionError, match=r"server\.log"):
        search(tmp_path)
    with pytest.raises(AssertionError, match="what was said"):
        search(tmp_path / "deep", f"Bearer {KEY}")


def test_a_run_over_endpoints_that_need_a_key_and_name_it_in_errors_writes_it_nowhere(
    base: Base, tmp_path: Path, weights_dir: Path
):
    faults = ("http_500", "http_429", "half_json", "wrong_shape")
    orders = {"key": KEY, "faults": faults, "share": 0.2, "seed": 31}
    runs = tmp_path / "runs"
    with fault_server(tmp_path / "server", base, weights_dir, **orders) as server:
        settings = ["recipe=quickstart", "stages=[explore,synthesize,rollout]", f"paths.runs={runs}"]
        settings += ["explore.num_train=24", "explore.num_test=8", "synthesize.num_train=4", "synthesize.num_test=0"]
        settings += ["evaluate.domains=[]", "compute.workers=1", "rollout.agent=model", "rollout.max_turns=5"]
        settings += ["synthesize.words=model", "synthesize.judge=model", "user.kind=model"]
        settings += [f"engine.base_urls=[{server.url}]", f"engine.api_key_env={VARIABLE}"]
        for model in ("synthesize.writer.api", "synthesize.judge_model.api", "user.api"):
            settings += [f"{model}.base_urls=[{server.url}]", f"{model}.model=base", f"{model}.api_key_env={VARIABLE}"]
        command = [sys.executable, "-c", "from t2t.cli import main; main()", "run", *settings]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, VARIABLE: KEY}, check=False
        )
        asked = server.asked()
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"ok", "http_500", "http_429"} <= {outcome for _, _, outcome in asked}
    assert {"chat", "unknown"} <= {talk for talk, _, _ in asked}
    assert next(runs.glob("rollout/*/rollouts.jsonl")).stat().st_size
    search(runs, done.stdout, done.stderr)


def test_a_model_that_explores_over_such_an_endpoint_writes_the_key_nowhere(
    base: Base, tmp_path: Path, weights_dir: Path
):
    orders = {"key": KEY, "faults": ("http_500",), "share": 0.3, "seed": 32}
    with fault_server(tmp_path / "server", base, weights_dir, **orders) as server:
        explore = {"explorer": "model", "num_train": 2, "num_test": 1, "model": {"api": with_key(server.url)}}
        case = new_case(base, tmp_path / "shared", {})
        config = type(case.config).model_validate(
            merged(case.config.model_dump(), {"explore": explore, "paths": {"runs": str(tmp_path / "runs")}})
        )
        (tmp_path / "runs").mkdir()
        _, said = run_stage("explore", config, tmp_path / "runs", environment={VARIABLE: KEY})
        assert {outcome for _, _, outcome in server.asked()} == {"ok", "http_500"}
    search(tmp_path / "runs", said)


@pytest.mark.parametrize("status", [400, 401, *(pytest.param(n, marks=pytest.mark.faults) for n in (403, 404, 500))])
def test_an_endpoint_that_refuses_and_names_the_key_ends_the_run_without_it(
    base: Base, tmp_path: Path, weights_dir: Path, status: int
):
    orders = {"key": "another" if status == 401 else WRONG, "refuse": status}
    with fault_server(tmp_path / "server", base, weights_dir, **orders) as server:
        engine = {"base_urls": [server.url], "api_key_env": VARIABLE, "patience_s": 1}
        user = {"kind": "model", "api": {**with_key(server.url), "patience_s": 1}}
        for number, changes in enumerate(({"engine": engine}, {"engine": engine, "user": user})):
            case = new_case(base, tmp_path / f"runs{number}", changes)
            code, said = run_stage("rollout", case.config, case.folder, environment={VARIABLE: WRONG})
            assert code in (1, 2) and said.count("error: ") == 1 and "Traceback" not in said, said
            search(case.folder, said)


def test_a_key_that_is_not_set_is_said_before_anything_runs(base: Base, tmp_path: Path, weights_dir: Path):
    case = new_case(base, tmp_path / "runs", {"engine": {"base_urls": ["http://127.0.0.1:9"], "api_key_env": VARIABLE}})
    code, said = run_stage("rollout", case.config, case.folder)
    assert code == 2 and VARIABLE in said and "Traceback" not in said, said
    assert SETTINGS["rollout"]["agent"] == "model"


@pytest.mark.faults
@pytest.mark.vllm
@pytest.mark.timeout(1200)
def test_a_server_that_t2t_starts_with_a_key_writes_it_nowhere(base: Base, tmp_path: Path):
    changes = {
        "rollout": {"max_turns": 1, "max_tokens": 8},
        "engine": {"cpu_kv_cache_gib": 1, "request_timeout_s": 300},
    }
    case = new_case(base, tmp_path / "runs", changes)
    code, said = run_stage("rollout", case.config, case.folder, environment={"VLLM_API_KEY": KEY}, longest_s=1100)
    assert code == 0, said[-3000:]
    assert any(file.stat().st_size for file in case.folder.rglob("server*.log"))
    search(case.folder, said)
