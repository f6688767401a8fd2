import pytest

from t2t.errors import ConfigError
from t2t.models.checkpoint import find_checkpoint


def test_a_folder_with_a_checkpoint_is_found_and_a_hub_name_is_left_to_the_hub(weights_dir):
    assert find_checkpoint(str(weights_dir)) == weights_dir
    assert find_checkpoint("HuggingFaceTB/SmolLM2-135M-Instruct") is None


@pytest.mark.parametrize("source", ["weights/never-made", "/no/such/folder", "./gone", "gone", ""])
def test_what_looks_like_a_folder_must_be_there(source):
    with pytest.raises(ConfigError, match="model.source=.* `make weights`"):
        find_checkpoint(source)


def test_what_lacks_in_a_folder_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds no tokenizer\.json, no \*\.safetensors"):
        find_checkpoint(str(tmp_path))
