"""Train on the chosen talks, or on pairs of them. Reads examples, writes weights, ``loss.json``, ``preview.txt``.

Every rank of a launch runs this function; the main process alone writes.
"""

import io
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import orjson
from pydantic import JsonValue
from rich.console import Console

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.errors import ConfigError
from t2t.models.rendering import Renderer
from t2t.records import Pair
from t2t.report.model_card import write_model_cards
from t2t.stages.stage import StageContext
from t2t.store import MANIFEST, read_records, write_json

if TYPE_CHECKING:
    from t2t.train.dpo import TokenPair
    from t2t.train.packing import TokenRow
    from t2t.train.rows import Rows
    from t2t.train.sft import TrainResult

log = logging.getLogger(__name__)


class _Learned(NamedTuple):
    """What a run learns from."""

    rows: "Rows"
    """Rows in tokens; of pairs, both sides of each."""
    pairs: "Sequence[TokenPair]"
    """Pairs in tokens; empty for ``train.method=sft``."""
    renderer: Renderer
    """The renderer of the rollouts."""


def run(context: StageContext) -> dict[str, JsonValue]:
    """Render what was chosen with the renderer of the rollouts, show it, and fine-tune on the agent's tokens.

    Raises:
        ConfigError: a row is too long, or nothing carries loss.
        RunError: training would read other tokens than the rollouts sent, or it failed.
    """
    config, folder = context.config, context.folder
    is_main = os.environ.get("RANK", "0") == "0"
    learned = _read(config, context.inputs)
    if is_main:
        (folder / "preview.txt").write_text(_show(learned, config, context.inputs), encoding="utf-8")
    learned.rows.check_lengths(config.train.max_length)
    result = _train(learned, config, folder)
    if not is_main:
        return {}
    write_json(folder / "loss.json", cast(JsonValue, result.history))
    for saved in (result.adapter_dir, result.merged_dir):
        if saved is not None:
            (saved / "chat_template.jinja").write_text(learned.renderer.template, encoding="utf-8")
    write_model_cards(folder, config, context.inputs)
    rows = learned.rows
    checked = [row["loss"] for row in orjson.loads((folder / "check.json").read_bytes())["rows"]]
    return {
        "count": len(learned.pairs or rows.rows),
        "rows": {
            "kept": len(rows.rows),
            "dropped": dict(rows.dropped),
            "turns_left_out": dict(rows.left_out),
            "loss_tokens": sum(note.num_loss for note in rows.notes),
        },
        "steps": result.num_steps,
        "seconds": round(result.seconds, 1),
        "tokens_real": result.tokens_real,
        "tokens_computed": result.tokens_computed,
        "check": {"rows": len(checked), "loss": sum(checked) / len(checked)},
        "template_hash": learned.renderer.hash,
    }


def preview(config: RunConfig, inputs: Mapping[str, Path]) -> None:
    """Show and check all that is known before the first step, and take none.

    Args:
        config: The whole configuration.
        inputs: Complete folders of the stages that training reads, by name.

    Raises:
        ConfigError: a row is too long, nothing carries loss, or a setting cannot work.
        RunError: training would read other tokens than the rollouts sent.
    """
    learned = _read(config, inputs)
    _show(learned, config, inputs)
    learned.rows.check_lengths(config.train.max_length)
    _check_settings(config)
    for line in [] if learned.pairs else _planned(learned.rows.rows, config):
        log.info("train: %s", line)
    log.info("train: dry_run=true stops here")


def _read(config: RunConfig, inputs: Mapping[str, Path]) -> _Learned:
    from t2t.train.rows import TurnFile, check_rendering, load_rows, rows_of_pairs

    def write_tools(domain: str) -> Collection[str]:
        return {tool.name for tool in load_domain(domain, config.domain.mcp).tools if tool.writes}

    renderer = Renderer(config.model.template, config.model.source)
    rollouts = inputs["rollout"] / "rollouts.jsonl"
    if config.train.method == "sft":
        examples = inputs["filter"] / "examples.jsonl"
        rows = load_rows(examples, rollouts, renderer, config.train, write_tools, Path(config.paths.runs))
        return _Learned(rows, (), renderer)
    from t2t.train.dpo import encode_pair

    pairs = list(read_records(inputs["filter"] / "pairs.jsonl", Pair))
    if not pairs:
        raise ConfigError(f"{inputs['filter'] / 'pairs.jsonl'} holds no pair; raise rollout.attempts")
    encoded: list[TokenPair] = []
    with TurnFile(rollouts, {one for pair in pairs for one in (pair.chosen_id, pair.rejected_id)}) as turns_of:
        for pair in pairs:
            right, wrong = turns_of(pair.chosen_id), turns_of(pair.rejected_id)
            both = encode_pair(pair, renderer, right, wrong)
            for row, rest, turns in ((both.chosen, pair.chosen, right), (both.rejected, pair.rejected, wrong)):
                check_rendering(row.id, (*pair.prompt, *rest), pair.tools, turns, row.input_ids, renderer)
            encoded.append(both)
    return _Learned(rows_of_pairs(pairs, [(one.chosen, one.rejected) for one in encoded]), encoded, renderer)


def _train(learned: _Learned, config: RunConfig, folder: Path) -> "TrainResult":
    from t2t.train import sft

    about = (config.train, config.model.source, folder, config.seed)
    if config.train.method == "sft":
        return sft.train(learned.rows.rows, *about)
    from t2t.train import dpo

    return dpo.train(learned.pairs, *about)


def _show(learned: _Learned, config: RunConfig, inputs: Mapping[str, Path]) -> str:
    """Log what will be learned and print rows with their masks; the same as text without colours."""
    from t2t.train import preview

    lines = [_filtered(inputs["filter"]), *preview.describe(learned.rows, config.train.max_length)]
    if learned.pairs:
        lines.append(f"pairs: {len(learned.pairs):,}; both sides of each are counted as rows above")
    for line in lines:
        log.info("train: %s", line)
    preview.print_rows(learned.rows, learned.renderer, Console(stderr=True, highlight=False))
    plain = io.StringIO()
    preview.print_rows(learned.rows, learned.renderer, Console(file=plain, highlight=False, color_system=None))
    return "\n".join([*lines, "", plain.getvalue()])


def _planned(rows: "Sequence[TokenRow]", config: RunConfig) -> list[str]:
    """Lines about steps, packs and memory, as far as they are known before the model is loaded."""
    from t2t.models.engines import visible_gpus
    from t2t.train.memory import plan_memory
    from t2t.train.packing import plan_run

    settings = config.train
    num_ranks = int(os.environ.get("WORLD_SIZE", config.compute.num_processes or max(1, len(visible_gpus()))))
    memory = plan_memory(settings, config.model.source, max(len(row.input_ids) for row in rows), num_ranks)
    plan = plan_run(
        rows,
        epochs=settings.epochs,
        loss_tokens_per_step=settings.loss_tokens_per_step,
        tokens_per_pack=memory.tokens_per_pack,
        share=settings.share_prefix,
        seed=config.seed,
        num_ranks=num_ranks,
    )
    return [*plan.describe(), *memory.lines()]


def _check_settings(config: RunConfig) -> None:
    """Refuse what training would refuse before it loads the model."""
    from t2t.train.checks import check_arguments, check_packages

    check_packages(config.train)
    if not config.train.trl:
        return
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.sft_config import SFTConfig

    check_arguments(config.train.trl, SFTConfig if config.train.method == "sft" else DPOConfig)


def _filtered(folder: Path) -> str:
    """What the filter kept, and why it turned others away."""
    result = orjson.loads((folder / MANIFEST).read_bytes())["result"]
    reasons = "".join(f"; {count:,} {reason}" for reason, count in result["rejected"].items())
    return f"filter kept {result['count']:,} of {result['read']:,} talks{reasons}"
