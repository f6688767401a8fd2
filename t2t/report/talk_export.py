"""Write rollouts for other programs: chat JSON Lines as OpenAI has it, or Parquet; one row each, as they come.

`t2t.interop.inspect` writes Inspect's logs. A file gets its name once it is whole.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from t2t.domain.domain import Domain
from t2t.episode.agent import agent_view
from t2t.models.rendering import to_openai
from t2t.records import Message, Rollout

_ROWS_PER_GROUP = 500

_TEXTS = ("id", "task_id", "domain", "intent", "agent", "stop_reason", "final_hash")
_COUNTS = ("num_agent_turns", "num_calls", "num_sampled_tokens")
_TYPED = (*_TEXTS, "attempt", "turns")
"""Fields of a rollout that have a type of their own in the table; all others are JSON text."""


def export_openai(rollouts: Iterable[Rollout], file: Path, find_domain: Callable[[str], Domain]) -> int:
    """Write chats: ``messages`` and ``tools``, and what tells talks apart beside them.

    The messages are those that the agent saw and wrote, so a caller's own tools are left out. Arguments of calls are
    JSON text. The answer to a call that could not be read is a ``user`` message, for no call stands behind it.

    Args:
        rollouts: The talks.
        file: Where; what is there is replaced.
        find_domain: The domain of a name, whose tools the agent had.

    Returns:
        How many there are.
    """
    count = 0
    with replacing(file) as temporary, temporary.open("wb") as lines:
        for rollout in rollouts:
            row = {
                "messages": chat_messages(agent_view(rollout.messages)),
                "tools": orjson.Fragment(find_domain(rollout.domain).tool_schemas),
                "id": rollout.id,
                "task_id": rollout.task_id,
                "domain": rollout.domain,
                "intent": rollout.intent.value,
                "agent": rollout.agent,
                "attempt": rollout.attempt,
                "reward": rollout.reward.value,
                "stop_reason": rollout.stop_reason.value,
            }
            lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat completions have them: every ``tool`` message answers a call of the turn before it."""
    chat: list[dict[str, Any]] = []
    unread: list[dict[str, Any]] = []
    for message in messages:
        if message.role != "tool":
            chat += unread
            unread = []
        elif message.result is None or not message.result.call_id:
            unread.append({"role": "user", "content": message.content})
            continue
        plain = to_openai(message)
        for call in plain.get("tool_calls", ()):
            call["function"]["arguments"] = orjson.dumps(call["function"]["arguments"]).decode()
        if message.reasoning:
            plain["reasoning_content"] = message.reasoning
        chat.append(plain)
    return chat + unread


def export_parquet(rollouts: Iterable[Rollout], file: Path) -> int:
    """Write a table with every field of the records, and counts to choose by.

    Names, numbers and tokens have types of their own; whatever holds free JSON, such as the messages, is JSON text,
    which no reader alters. `read_row` gives the record back.

    Args:
        rollouts: The talks.
        file: Where; what is there is replaced.

    Returns:
        How many there are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    schema = _schema()
    with replacing(file) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as table:
        for rows in _groups(map(_row, rollouts)):
            table.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def read_row(row: dict[str, Any]) -> Rollout:
    """The record of a row that `export_parquet` wrote."""
    fields = {name: row[name] if name in _TYPED else orjson.loads(row[name]) for name in Rollout.model_fields}
    return Rollout.model_validate(fields)


@contextmanager
def replacing(file: Path) -> Generator[Path]:
    """A path to write to that becomes `file` at the end, durably; after an error nothing is left of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _row(rollout: Rollout) -> dict[str, Any]:
    plain = rollout.model_dump(mode="json")
    row = {name: value if name in _TYPED else orjson.dumps(value).decode() for name, value in plain.items()}
    own = [message for message in rollout.messages if message.role == "assistant"]
    return row | {
        "success": rollout.reward.value == 1.0,
        "num_agent_turns": len(own),
        "num_calls": sum(len(message.tool_calls) for message in own),
        "num_sampled_tokens": sum(len(turn.sampled_ids) for turn in rollout.turns),
    }


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def _schema() -> Any:
    import pyarrow as pa

    ids = pa.list_(pa.int32())
    turn = pa.struct(
        [
            ("prompt_ids", ids),
            ("sampled_ids", ids),
            ("finish_reason", pa.string()),
            ("logprobs", pa.list_(pa.float64())),
        ]
    )
    types = dict.fromkeys(_TEXTS, pa.string()) | {"attempt": pa.int64(), "turns": pa.list_(turn)}
    fields = [(name, types.get(name, pa.string())) for name in Rollout.model_fields]
    fields += [("success", pa.bool_()), *((name, pa.int64()) for name in _COUNTS)]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])
