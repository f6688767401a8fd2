"""The train stage for real on a tiny model: what it shows before the first step, and what it leaves."""

import shutil
from pathlib import Path

import orjson
import pytest

from t2t import pipeline
from t2t.cli import main
from t2t.config import RunConfig
from t2t.errors import ConfigError
from t2t.filter.pairs import make_pair
from t2t.records import Example, Message, Rollout
from t2t.store import read_records

MADE = {
    "domain": {"train": ["library"]},
    "explore": {"num_train": 60, "num_test": 0},
    "synthesize": {"num_train": 24, "num_test": 0, "personas": 0},
    "filter": {"max_examples": 12},
    "evaluate": {"domains": []},
}
TYPED = (
    "domain.train=[library]",
    "explore.num_train=60",
    "explore.num_test=0",
    "synthesize.num_train=24",
    "synthesize.num_test=0",
    "synthesize.personas=0",
    "filter.max_examples=12",
    "evaluate.domains=[]",
)
"""The same for the command line."""


@pytest.fixture(scope="module")
def tiny_model(weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two thin layers with the real tokenizer."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("weights") / "tiny"
    shutil.copytree(weights_dir, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = AutoConfig.from_pretrained(folder)
    thin = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    config.update({**thin, "num_attention_heads": 4, "num_key_value_heads": 2})
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that end with examples."""
    folder = tmp_path_factory.mktemp("runs") / "runs"
    for name in ("explore", "synthesize", "rollout", "filter"):
        make(configure(folder, Path("none")), name)
    return folder


def configure(runs: Path, model: Path, **train) -> RunConfig:
    settings = {"lora_r": 4, "dtype": "float32", "epochs": 1, **train}
    about = {"paths": {"runs": str(runs)}, "model": {"source": str(model)}, "train": settings}
    return RunConfig.model_validate({**MADE, **about})


def make(config: RunConfig, name: str) -> Path:
    found = pipeline.artifacts(config)
    pipeline.make(config, next(stage for stage in pipeline.STAGES if stage.name == name), found)
    return found[name].folder


def examples(runs: Path) -> list[Example]:
    return list(read_records(next(runs.glob("filter/*/examples.jsonl")), Example))


def typed(runs: Path, model: Path, *more: str) -> list[str]:
    return [*TYPED, f"paths.runs={runs}", f"model.source={model}", "train.lora_r=4", "train.dtype=float32", *more]


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_dry_run_shows_rows_packs_and_memory_and_takes_no_step(
    command: str, runs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    main([command, *typed(runs, tiny_model, "dry_run=true")])
    said = capsys.readouterr().err
    assert "filter kept 12 of " in said and "rows: 12 of 12 kept" in said
    assert "train.max_length=4096 would cut none" in said
    assert " steps of " in said and "tokens to compute instead of" in said and "GiB" in said
    assert "<|im_end|>»" in said and "three rows: " in said
    assert not (runs / "train").exists()


def test_a_dry_run_without_examples_says_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["train", *TYPED, f"paths.runs={tmp_path}", "dry_run=true"])
    said = capsys.readouterr().err
    assert "train shows its rows once filter and rollout is made: t2t run " in said
    assert not list(tmp_path.iterdir())


def test_a_dry_run_refuses_rows_that_would_be_cut(runs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["train", *typed(runs, tiny_model, "dry_run=true", "train.max_length=400")])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "train.max_length=400 would cut 12" in said
    assert "12 of 12 rows have more tokens than train.max_length=400" in said.splitlines()[-1]


def test_training_keeps_what_it_showed_and_says_what_it_did(runs: Path, tiny_model: Path):
    folder = make(configure(runs, tiny_model, loss_tokens_per_step=400, skip_failed_calls=True), "train")
    shown = (folder / "preview.txt").read_text()
    assert "rows: 12 of 12 kept" in shown and "<|im_end|>»" in shown and "\x1b" not in shown
    result = orjson.loads((folder / "manifest.json").read_bytes())["result"]
    losses = orjson.loads((folder / "loss.json").read_bytes())
    assert result["count"] == result["rows"]["kept"] == 12 and result["rows"]["dropped"] == {}
    assert result["steps"] == len(losses) > 1 and {"step", "loss", "learning_rate", "grad_norm"} <= losses[0].keys()
    assert result["tokens_computed"] < result["tokens_real"]
    checked = orjson.loads((folder / "check.json").read_bytes())["rows"]
    assert {row["id"] for row in checked} <= {example.id for example in examples(runs)}
    assert result["check"]["rows"] == len(checked) == 8 and result["check"]["loss"] > 0
    for name in ("adapter", "merged"):
        assert "im_start" in (folder / name / "chat_template.jinja").read_text()


def test_settings_of_speed_find_the_same_artifact_and_others_do_not(tmp_path: Path):
    def key(**train) -> str:
        return pipeline.artifacts(configure(tmp_path, Path("none"), **train))["train"].key

    assert key() == key(tokens_per_pack=512, share_prefix="never", recompute="always", compile=True, save_steps=3)
    assert len({key(), key(learning_rate=2e-4), key(loss_from="first_write"), key(weights={"library": 2})}) == 4


def test_an_empty_file_of_examples_stops_before_a_model_loads(runs: Path, tiny_model: Path, tmp_path: Path):
    copied = Path(shutil.copytree(runs, tmp_path / "runs"))
    next(copied.glob("filter/*/examples.jsonl")).write_bytes(b"")
    with pytest.raises(ConfigError, match="examples.jsonl holds no example"):
        make(configure(copied, tiny_model), "train")


@pytest.fixture
def paired(runs: Path, tiny_model: Path, tmp_path: Path) -> RunConfig:
    """Runs that end with pairs: a talk that ends well, and the same one ending badly."""
    copied = Path(shutil.copytree(runs, tmp_path / "runs"))
    config = configure(copied, tiny_model, method="dpo")
    filtered = pipeline.artifacts(config)["filter"].folder
    shutil.copytree(next(copied.glob("filter/*")), filtered)
    file = next(copied.glob("rollout/*/rollouts.jsonl"))
    pairs = []
    with file.open("a") as added:
        for right in list(read_records(file, Rollout))[:4]:
            cut = next(n for n, message in enumerate(right.messages) if message.role == "assistant")
            messages = (*right.messages[:cut], Message(role="assistant", content="No."))
            wrong = right.model_copy(update={"id": f"{right.task_id}/base/1", "attempt": 1, "messages": messages})
            added.write(wrong.model_dump_json() + "\n")
            tools = examples(runs)[0].tools
            pairs.append(make_pair(right, wrong, tools))
    (filtered / "pairs.jsonl").write_text("".join(f"{pair.model_dump_json()}\n" for pair in pairs))
    return config


def test_pairs_are_shown_and_trained_on(paired: RunConfig, capsys: pytest.CaptureFixture[str]):
    words = typed(Path(paired.paths.runs), Path(paired.model.source), "train.method=dpo", "train.epochs=1")
    main(["train", *words, "dry_run=true"])
    said = capsys.readouterr().err
    assert "rows: 8 of 8 kept" in said and "pairs: 4;" in said
    assert "«No.<|im_end|>»" in said
    folder = make(paired, "train")
    result = orjson.loads((folder / "manifest.json").read_bytes())["result"]
    assert result["count"] == 4 and result["rows"]["kept"] == 8
    assert "rewards/margins" in orjson.loads((folder / "loss.json").read_bytes())[0]
    assert (folder / "merged" / "chat_template.jinja").exists() and (folder / "preview.txt").exists()
