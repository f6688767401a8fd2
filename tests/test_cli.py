import subprocess
import sys
from pathlib import Path

import pytest

from t2t.cli import load_config, main
from t2t.errors import ConfigError

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("recipe", [file.stem for file in (ROOT / "recipes").glob("*.yaml")])
def test_every_recipe_composes_and_names_itself(recipe: str):
    assert load_config([f"recipe={recipe}"]).name == recipe


def test_a_setting_on_the_command_line_wins_over_the_recipe_and_the_model():
    config = load_config(["recipe=retail_small", "train.learning_rate=1e-5", "model=smollm2_135m", "seed=7"])
    assert (config.train.learning_rate, config.model.name, config.seed) == (1e-5, "smollm2_135m", 7)
    assert config.domain.train == ("retail",)


def test_free_arguments_are_passed_on():
    assert load_config(["+train.trl.optim=adafactor"]).train.trl == {"optim": "adafactor"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=quikstart"], "no recipe 'quikstart'; did you mean 'quickstart'?"),
        (["model=smollm"], "no model 'smollm'"),
        (["train.lerning_rate=1"], "did you mean 'train.learning_rate'?"),
        (["learning_rate=1"], "did you mean 'train.learning_rate'?"),
        (["+foo=1"], "foo=1: no such setting"),
        (["train.learning_rate=3"], "train.learning_rate=3: input should be less than 1"),
        (["train.epochs=abc"], "train.epochs=abc"),
        (["engine.port=70000"], "engine.port=70000"),
        (["rollout.agent=nobody"], "'reference' or 'model'"),
        (["evaluate.domains=[library]"], "evaluate.domains holds 'library'"),
        (["domain.train=[]"], "domain.train is empty"),
        (["train.adapter=none", "train.quantize=nf4"], "quantised weights cannot be trained"),
        (["recipe"], "write SETTING=VALUE"),
    ],
)
def test_bad_input_is_one_line_that_names_it(words: list[str], said: str):
    with pytest.raises(ConfigError) as refused:
        load_config(words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "recipe=nothing"], 2, "no recipe"),
        (["rollot"], 2, "did you mean 'rollout'"),
        (["run", "-m", "seed=1,2"], 2, "scripts/sweep.py"),
        (["run", "domain.train=[nowhere]"], 2, "no domain 'nowhere'"),
        (["run", "stages=[tarin]"], 2, "stages are:"),
        (["train"], 2, "t2t filter"),
    ],
)
def test_usage_errors_exit_with_2(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as left:
        main([*words, f"paths.runs={tmp_path}"])
    assert left.value.code == code
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_help_and_cfg_answer_without_torch(tmp_path: Path):
    for words in (["--help"], ["run", "--help"], ["run", "recipe=quickstart", "--cfg", "job"]):
        body = f"try: main({words!r})\nfinally: assert 'torch' not in sys.modules"
        script = f"import sys; from t2t.cli import main\n{body}"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert "quickstart" in done.stdout or "train.learning_rate" in done.stdout


def test_a_dry_run_names_the_folders_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["run", "recipe=quickstart", "dry_run=true", f"paths.runs={tmp_path}"])
    error = capsys.readouterr().err
    stages = ("explore", "synthesize", "rollout", "filter", "train", "parity", "evaluate")
    assert all(stage in error for stage in stages)
    assert not list(tmp_path.iterdir())
