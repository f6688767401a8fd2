"""Where a model comes from: a checkpoint folder, or a name on the hub."""

import re
from pathlib import Path

from t2t.errors import ConfigError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_LOCAL = "weights"


def find_checkpoint(source: str) -> Path | None:
    """Folder of the checkpoint `source`, or None where it is a hub id.

    Raises:
        ConfigError: `source` is a folder that is missing or holds no checkpoint.
    """
    folder = Path(source)
    if not folder.exists():
        first = folder.parts[0] if folder.parts else ""
        if _HUB_ID.fullmatch(source) and first != _LOCAL and not Path(first).exists():
            return None
        raise ConfigError(f"model.source={source} does not exist; `make weights` makes the default checkpoint")
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise ConfigError(
            f"model.source={source} holds no {', no '.join(missing)}; `make weights` makes the default checkpoint"
        )
    return folder
