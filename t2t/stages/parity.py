"""Parity: prove that what is served is what was trained. Reads tasks and weights, writes ``parity.json``.

- Rendering: templates and tokenizers saved with the weights render as training did, and so does vLLM's own chat route
  with the merged checkpoint, byte for byte; labels lie on whole turns.
- Loss: log-probabilities of vLLM on rows that the trainer scored give the trainer's loss.
- Greedy tokens: merged weights and adapter go on alike after held-out prompts, up to ties within rounding.

Where servers are given (``engine.base_urls``), what they serve as ``tuned`` is compared in its loss alone.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
from pydantic import JsonValue

from t2t.config import RunConfig
from t2t.domain.domain import load_domain
from t2t.episode.agent import agent_view
from t2t.errors import RunError
from t2t.models.rendering import Encoded, Renderer
from t2t.models.scoring import Choice, Scorer
from t2t.records import Message, Task
from t2t.scheduling.ledger import Owed
from t2t.scheduling.talks import Talks, TalkSpec
from t2t.stages.rollout import is_training
from t2t.stages.serving import Served, serve
from t2t.stages.stage import StageContext
from t2t.store import MANIFEST, read_records, write_json
from t2t.train.parity import (
    GAP_TOLERANCE,
    LOSS_TOLERANCE,
    CheckedRow,
    PromptParity,
    RowParity,
    check_labels,
    compare_greedy,
    find_failure,
    loss_difference,
    read_check,
    served_loss,
)

log = logging.getLogger(__name__)

MAX_TOKENS = 64
"""Greedy tokens that are compared per prompt at most."""
_FILE = "parity.json"


class HeldOut(NamedTuple):
    """A held-out task, played with its known answer."""

    id: str
    """Id of the task."""
    messages: tuple[Message, ...]
    """The talk up to the agent's last turn, as the agent has it."""
    tools: str
    """JSON text of the tool schemas."""
    prompt_ids: list[int]
    """Ids of its first prompt."""


class Measured(NamedTuple):
    """What one served model says."""

    choices: list[list[Choice]]
    """Greedy tokens by prompt."""
    losses: list[tuple[float, int]]
    """Mean loss in nats and labelled tokens, by row."""


def run(context: StageContext) -> dict[str, JsonValue]:
    """Compare, write the figures down, and stop the run where served weights are not the trained ones.

    Raises:
        RunError: they are not; names the worst case.
    """
    config, trained = context.config, context.inputs["train"]
    renderer = Renderer(config.model.template, config.model.source)
    rows = read_check(trained / "check.json")
    # A row that fills the context leaves no room for the one token that vLLM has to sample.
    room = max(config.model.max_context, *(len(row.input_ids) + 1 for row in rows))
    talks = play_held_out(config, context.inputs["synthesize"] / "tasks.jsonl", renderer)
    check_rendering(trained, config.model.template, renderer, rows, talks)
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update={"max_context": room}),
            "engine": config.engine.model_copy(update={"replicas": 1}),
        }
    )
    measured = _measure_all(config, trained, context.folder, renderer, rows, talks)
    counts = next(iter(measured.values())).losses
    row_parity = [
        RowParity(row.id, counts[place][1], row.loss, {name: one.losses[place][0] for name, one in measured.items()})
        for place, row in enumerate(rows)
    ]
    prompts: list[PromptParity] = []
    if {"merged", "adapter"} <= measured.keys():
        both = zip(talks, measured["merged"].choices, measured["adapter"].choices, strict=True)
        prompts = [compare_greedy(talk.id, merged, adapter) for talk, merged, adapter in both]
    tolerance = LOSS_TOLERANCE[config.train.quantize]
    found: dict[str, Any] = {
        "prompts": [prompt._asdict() for prompt in prompts],
        "rows": [row._asdict() for row in row_parity],
        "tolerance": {"gap": GAP_TOLERANCE, "loss": tolerance},
        "template_hash": renderer.hash,
    }
    write_json(context.folder / _FILE, cast(JsonValue, found))
    if failure := find_failure(prompts, row_parity, tolerance):
        raise RunError(f"parity: {failure} ({context.folder / _FILE})")
    differences = {name: round(loss_difference(row_parity, name), 5) for name in measured}
    ties = sum(prompt.first_difference is not None for prompt in prompts)
    if prompts:
        log.info(
            "parity: merged weights and adapter go on alike after %d of %d prompts%s",
            len(prompts) - ties,
            len(prompts),
            ", and part at a tie after the others" if ties else "",
        )
    for name, difference in differences.items():
        log.info("parity: loss of %d rows %.4f nats a token from training (%s)", len(rows), difference, name)
    return {
        "count": len(prompts),
        "tokens": sum(prompt.tokens for prompt in prompts),
        "ties": ties,
        "largest_gap": round(max((prompt.gap for prompt in prompts), default=0.0), 4),
        "rows": len(rows),
        "loss_difference": cast(JsonValue, differences),
        "template_hash": renderer.hash,
    }


def check_rendering(
    trained: Path, template: str, renderer: Renderer, rows: Sequence[CheckedRow], talks: Sequence[HeldOut]
) -> None:
    """Make sure that rows were rendered, and saved weights will be, as `renderer` does.

    Raises:
        RunError: names the file, the row or the prompt where they are not.
    """
    at_training: Any = orjson.loads((trained / MANIFEST).read_bytes())["result"]["template_hash"]
    if at_training != renderer.hash:
        raise RunError(
            f"parity: {trained} was trained with another template or tokenizer ({at_training[:12]}, now "
            f"{renderer.hash[:12]}); delete it to train again"
        )
    for folder in (trained / "adapter", trained / "merged"):
        if not folder.is_dir():
            continue
        file = folder / "chat_template.jinja"
        if not file.is_file() or file.read_bytes() != renderer.template.encode():
            raise RunError(
                f"parity: {file} is not there or not model.template={template}; delete {trained} to train again"
            )
        other = Renderer(template, folder)
        for talk in talks:
            if _encode(other, talk) != _encode(renderer, talk):
                raise RunError(f"parity: the tokenizer in {folder} gives other ids for the task {talk.id}; train again")
    header = renderer.continue_ids((), (renderer.stop_id,))
    for row in rows:
        check_labels(row, header, renderer.stop_id)


async def measure(scorer: Scorer, rows: Sequence[CheckedRow], talks: Sequence[HeldOut], stop_id: int) -> Measured:
    """Ask a served model for its greedy tokens after the prompts, and for the loss of the rows."""
    choices = await asyncio.gather(*(scorer.choose(talk.prompt_ids, MAX_TOKENS, stop_id) for talk in talks))
    scores = await asyncio.gather(*(scorer.score(row.input_ids) for row in rows))
    return Measured(choices, [served_loss(row, one) for row, one in zip(rows, scores, strict=True)])


def _measure_all(
    config: RunConfig,
    trained: Path,
    folder: Path,
    renderer: Renderer,
    rows: Sequence[CheckedRow],
    talks: Sequence[HeldOut],
) -> dict[str, Measured]:
    """What each of the tuned models says, by name; one engine at a time, for each may fill a GPU."""
    log_file, source = folder / "server.log", config.model.source
    measured: dict[str, Measured] = {}

    def ask(served: Served, name: str, *, greedy: Sequence[HeldOut] = talks, rendered: bool = False) -> Measured:
        async def work() -> Measured:
            scorer = Scorer(config.engine, served.base_urls, name, served.problem)
            if rendered:
                await _check_chat_route(scorer, renderer, talks, config.model.max_context)
            return await measure(scorer, rows, greedy, renderer.stop_id)

        return asyncio.run(work())

    if config.engine.base_urls:
        with serve(config, source, "tuned", log_file, seeded=False) as served:
            return {config.evaluate.weights: ask(served, "tuned", greedy=())}
    with serve(config, str(trained / "merged"), "merged", log_file, seeded=False) as served:
        measured["merged"] = ask(served, "merged", rendered=True)
    adapter = trained / "adapter"
    if adapter.is_dir():
        adapters = {"adapter": adapter}
        with serve(config, source, "adapter", log_file, seeded=False, adapters=adapters) as served:
            measured["adapter"] = ask(served, "adapter")
    return measured


async def _check_chat_route(scorer: Scorer, renderer: Renderer, talks: Sequence[HeldOut], max_context: int) -> None:
    """Make sure that the server itself renders whole talks as training does.

    Raises:
        RunError: names the task and where the texts part.
    """
    short = [talk for talk in talks if len(_encode(renderer, talk).input_ids) < max_context]
    found = await asyncio.gather(*(scorer.render(talk.messages, talk.tools) for talk in short))
    for talk, ids in zip(short, found, strict=True):
        ours, theirs = renderer.decode(_encode(renderer, talk).input_ids), renderer.decode(ids)
        if ours != theirs:
            at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
            raise RunError(
                f"parity: vLLM renders the task {talk.id} otherwise than training: {theirs[at : at + 40]!r} in place "
                f"of {ours[at : at + 40]!r} at character {at}"
            )


def _encode(renderer: Renderer, talk: HeldOut) -> Encoded:
    return renderer.encode(talk.messages, talk.tools)


def play_held_out(config: RunConfig, file: Path, renderer: Renderer) -> list[HeldOut]:
    """Held-out tasks, evenly from all of them, as talks; training tasks where none is held out.

    Raises:
        RunError: no prompt leaves room for a reply.
    """
    tasks = list(read_records(file, Task))
    tasks = [task for task in tasks if not is_training(task)] or tasks
    number = min(config.train.parity_prompts, len(tasks))
    chosen = [tasks[place * len(tasks) // number] for place in range(number)]
    player = Talks(TalkSpec(config=config, section="evaluate", agent="reference", kind="reference"))
    talks: list[HeldOut] = []
    for task in chosen:
        messages = agent_view(asyncio.run(player.play(Owed(task, 0))).messages)
        turns = [place for place, message in enumerate(messages) if message.role == "assistant"]
        tools = load_domain(task.domain, config.domain.mcp).tool_schemas
        prompt_ids = renderer.prompt_ids(messages[: turns[0]], tools)
        if len(prompt_ids) + MAX_TOKENS <= config.model.max_context:
            talks.append(HeldOut(task.id, messages[: turns[-1] + 1], tools, prompt_ids))
    if not talks:
        raise RunError(
            f"parity: none of {len(chosen)} held-out prompts leaves room for {MAX_TOKENS} tokens in "
            f"model.max_context={config.model.max_context}; raise it"
        )
    return talks
