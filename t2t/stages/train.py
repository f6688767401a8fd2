"""Train: LoRA on the chosen talks. Reads examples, writes ``adapter/``, ``merged/``, ``loss.json``.

Every rank of a launch runs this function; the main process alone writes.
"""

import os
from typing import cast

from pydantic import JsonValue

from t2t.records import Example, Message, Rollout
from t2t.stages.stage import StageContext
from t2t.store import read_records, write_json


def run(context: StageContext) -> dict[str, JsonValue]:
    """Render the examples with the renderer of the rollouts and fine-tune on the agent's tokens."""
    from t2t.models.rendering import Renderer
    from t2t.train.packing import TokenRow
    from t2t.train.sft import train

    config = context.config
    renderer = Renderer(config.model.template, config.model.source)
    turns = {r.id: r.turns for r in read_records(context.inputs["rollout"] / "rollouts.jsonl", Rollout) if r.turns}
    rows: list[TokenRow] = []
    for example in read_records(context.inputs["filter"] / "examples.jsonl", Example):
        encoded = renderer.encode(_until_last_reply(example.messages), example.tools, turns.get(example.id, ()))
        rows.append(TokenRow(example.id, encoded.input_ids, encoded.labels))
    result = train(rows, config.train, config.model.source, context.folder, config.seed)
    if os.environ.get("RANK", "0") != "0":
        return {}
    write_json(context.folder / "loss.json", cast(JsonValue, result.history))
    for name in ("adapter", "merged"):
        (context.folder / name / "chat_template.jinja").write_text(renderer.template, encoding="utf-8")
    return {
        "count": len(rows),
        "steps": result.num_steps,
        "seconds": round(result.seconds, 1),
        "tokens_real": result.tokens_real,
        "tokens_computed": result.tokens_computed,
        "template_hash": renderer.hash,
    }


def _until_last_reply(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Without what follows the agent's last turn: nothing there is learned from."""
    last = max(number for number, message in enumerate(messages) if message.role == "assistant")
    return messages[: last + 1]
