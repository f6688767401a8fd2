"""Upload of the tuned model to the Hugging Face hub, which is done only when it is asked for."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t2t.config import HubConfig, ModelConfig
from t2t.errors import RunError
from t2t.report.model_card import base_name

log = logging.getLogger(__name__)


def check_token() -> None:
    """Find out before the work begins that the hub would not let us in.

    Raises:
        RunError: no token is at hand.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise RunError("hub.push=true needs a token of the hub: set HF_TOKEN, or log in with `hf auth login`")


def push(folder: Path, hub: HubConfig, model: ModelConfig) -> None:
    """Upload ``merged/`` to ``hub.repo`` and ``adapter/`` to that name with ``-adapter``, each in one commit.

    What is there already is not sent again. Where `HF_ENDPOINT` is set, it stands for the hub.

    Args:
        folder: artifact of the training stage, with its model cards.
        hub: where to.
        model: the base; a folder's path does not go along.

    Raises:
        RunError: no token, no network, no right to write, or what else the hub answers.
    """
    check_token()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi()
    for kind, repo in (("adapter", f"{hub.repo}-adapter"), ("merged", hub.repo)):
        place = folder / kind
        if not place.is_dir():
            continue
        try:
            api.create_repo(repo, private=hub.private, exist_ok=True)
            done = api.create_commit(repo, list(_operations(place, model)), commit_message="Upload from t2t")
        # A broken connection, an answer that is no success, a file that did not arrive, a card that is refused.
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise RunError(
                f"{kind}/ is not uploaded to hub.repo {repo}: {why.rstrip('.')}; the run is complete in {folder}, the "
                "same command goes on with the upload"
            ) from None
        log.info("hub: %s/ uploaded (%s)", kind, done.commit_url)


def _operations(folder: Path, model: ModelConfig) -> Iterator[Any]:
    """A commit's additions, in the order of names."""
    from huggingface_hub import CommitOperationAdd

    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        content: str | bytes = str(file)
        if file.name == "adapter_config.json":
            settings = {**json.loads(file.read_text("utf-8")), "base_model_name_or_path": base_name(model)}
            content = json.dumps(settings, indent=2).encode()
        yield CommitOperationAdd(file.relative_to(folder).as_posix(), content)
