"""Rollouts as logs of Inspect (the package ``inspect-ai``), one ``.eval`` file per agent, for ``inspect view``.

A task is a sample, an attempt an epoch. The file is a zip with one JSON member per sample, so talks are written as
they come; nothing of Inspect has to be installed. Written for version 2 of its log format.
"""

import hashlib
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import IO, Any, NamedTuple

import orjson

from t2t.records import Message, Rollout, ToolCall, ToolResult
from t2t.report.talk_export import replacing

_VERSION = 2
_SCORER = "reward"
_MAX_SHOWN = 1000
_ERRORS = {"malformed": "parsing", "arguments": "parsing", "timeout": "timeout"}


class Origin(NamedTuple):
    """Where talks come from, as the log says it."""

    name: str
    """Name of the run and the stage, such as ``retail_small/rollout``."""
    key: str
    """Key of the artifact, from which the ids of the log are made."""
    created: datetime
    """When its last talk was written."""
    complete: bool = True
    """False where talks are still owed."""


def export_inspect(rollouts: Iterable[Rollout], folder: Path, origin: Origin) -> dict[Path, int]:
    """Write ``<agent>.eval`` for every agent.

    Args:
        rollouts: The talks, in any order.
        folder: Where; a log of the same agent is replaced.
        origin: Where they come from.

    Returns:
        How many talks each file holds.
    """
    logs: dict[Path, _Log] = {}
    with ExitStack() as stack:
        for rollout in rollouts:
            # Agents from elsewhere may be named as their models are, such as ``openai/gpt``.
            file = folder / f"{rollout.agent.replace('/', '-')}.eval"
            if file not in logs:
                temporary = stack.enter_context(replacing(file))
                logs[file] = stack.enter_context(_Log(temporary, rollout.agent, origin))
            logs[file].add(rollout)
    return {file: log.count for file, log in logs.items()}


class _Log:
    """One log; on leaving the block its header is written."""

    def __init__(self, file: Path, agent: str, origin: Origin) -> None:
        self.count = 0
        self._agent, self._origin = agent, origin
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        # The members of a zip are written one after the other, so what is shown of all samples waits in a file.
        self._summaries: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed on leaving the block
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._num_input = self._num_output = 0

    def __enter__(self) -> "_Log":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._summaries, self._zip:
            if kind is None:
                self._finish()

    def add(self, rollout: Rollout) -> None:
        sample = _sample(rollout)
        self._write(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
        self._summaries.write(b",\n" if self.count else b"[")
        self._summaries.write(orjson.dumps(_summary(sample)))
        self.count += 1
        self._values[rollout.task_id].append(rollout.reward.value)
        self._num_input += sum(len(turn.prompt_ids) for turn in rollout.turns)
        self._num_output += sum(len(turn.sampled_ids) for turn in rollout.turns)

    def _finish(self) -> None:
        self._summaries.write(b"]")
        self._summaries.seek(0)
        with self._zip.open(_member("summaries.json"), "w") as member:
            while part := self._summaries.read(1 << 20):
                member.write(part)
        start = {"version": _VERSION, "eval": self._spec(), "plan": {"name": "t2t", "steps": [], "config": {}}}
        self._write("_journal/start.json", start)
        # Attempts count in their task alone, as Inspect reduces epochs.
        means = [fmean(values) for values in self._values.values()]
        metrics = {"accuracy": fmean(means), "stderr": stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0}
        score = {
            "name": _SCORER,
            "scorer": _SCORER,
            "reducer": "mean",
            "scored_samples": len(means),
            "unscored_samples": 0,
            "metrics": {name: {"name": name, "value": value} for name, value in metrics.items()},
        }
        header = {
            "version": _VERSION,
            "status": "success" if self._origin.complete else "cancelled",
            "eval": start["eval"],
            "plan": start["plan"],
            "results": {"total_samples": self.count, "completed_samples": self.count, "scores": [score]},
            "stats": {
                "started_at": "",
                "completed_at": _time(self._origin.created),
                "model_usage": {f"t2t/{self._agent}": _usage(self._num_input, self._num_output)},
            },
        }
        self._write("header.json", header)

    def _spec(self) -> dict[str, Any]:
        name, key, created, complete = self._origin
        return {
            "eval_id": _id("eval", key, self._agent),
            "run_id": _id("run", key),
            "created": _time(created),
            "task": name,
            "task_id": _id("task", name),
            "task_version": 0,
            "dataset": {"name": name, "samples": len(self._values), "sample_ids": list(self._values)},
            "model": f"t2t/{self._agent}",
            "config": {"epochs": max(map(len, self._values.values())), "epochs_reducer": ["mean"]},
            "scorers": [{"name": _SCORER, "metrics": [{"name": "accuracy"}, {"name": "stderr"}]}],
            "metadata": {"key": key, "complete": complete},
        }

    def _write(self, name: str, value: Any) -> None:
        self._zip.writestr(_member(name), orjson.dumps(value))


def _sample(rollout: Rollout) -> dict[str, Any]:
    messages = list(_messages(rollout.messages))
    spoken = [message for message in messages if message["role"] == "assistant"]
    tokens = [(len(turn.prompt_ids), len(turn.sampled_ids)) for turn in rollout.turns]
    usage = _usage(*map(sum, zip(*tokens, strict=True))) if tokens else None
    cut = bool(rollout.turns) and rollout.turns[-1].finish_reason == "length"
    return {
        "id": rollout.task_id,
        "epoch": rollout.attempt + 1,
        "uuid": _id("sample", rollout.id),
        "input": next((message["content"] for message in messages if message["role"] == "user"), ""),
        "target": "",
        "messages": messages,
        "output": {
            "model": f"t2t/{rollout.agent}",
            "choices": [{"message": one, "stop_reason": "max_tokens" if cut else "stop"} for one in spoken[-1:]],
            "usage": usage,
        },
        "scores": {
            _SCORER: {
                "value": rollout.reward.value,
                "explanation": "\n".join(rollout.reward.notes) or "every check passed",
                "metadata": {
                    "checks": rollout.reward.checks,
                    "broken_clauses": list(rollout.reward.broken_clauses),
                },
            }
        },
        "metadata": {
            "rollout": rollout.id,
            "domain": rollout.domain,
            "intent": rollout.intent.value,
            "stop_reason": rollout.stop_reason.value,
            "final_hash": rollout.final_hash,
            "user_faults": [fault.model_dump(mode="json") for fault in rollout.user_faults],
        },
        "model_usage": {} if usage is None else {f"t2t/{rollout.agent}": usage},
        "turn_count": len(spoken),
    }


def _summary(sample: dict[str, Any]) -> dict[str, Any]:
    """What lists of samples show of one."""
    same = ("id", "epoch", "uuid", "target", "model_usage", "turn_count")
    return {name: sample[name] for name in same} | {
        "input": sample["input"][:_MAX_SHOWN],
        "metadata": {name: value for name, value in sample["metadata"].items() if isinstance(value, str)},
        "scores": {
            name: {"value": score["value"], "explanation": score["explanation"][:_MAX_SHOWN]}
            for name, score in sample["scores"].items()
        },
        "completed": True,
        "message_count": len(sample["messages"]),
    }


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """The talk as the agent had it; what the caller did with tools of their own is metadata of what they say next."""
    done: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        result = message.result
        if message.role == "user" and message.tool_calls:
            done += [{"call": call.model_dump(mode="json")} for call in message.tool_calls]
            continue
        if result is not None and result.requestor == "user":
            done.append({"result": result.model_dump(mode="json")})
            continue
        plain: dict[str, Any] = {"id": str(place), "role": message.role, "content": message.content}
        if message.role == "assistant":
            plain |= {"source": "generate", "tool_calls": [_call(call) for call in message.tool_calls] or None}
            if message.reasoning:
                thought = {"type": "reasoning", "reasoning": message.reasoning}
                plain["content"] = [thought, {"type": "text", "text": message.content}]
        if message.role == "user" and done:
            plain["metadata"] = {"caller_actions": done}
            done = []
        yield plain | ({} if result is None else _result(result))
    if done:
        yield {"id": str(len(messages)), "role": "user", "content": "", "metadata": {"caller_actions": done}}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "function": call.name, "arguments": call.arguments, "type": "function"}


def _result(result: ToolResult) -> dict[str, Any]:
    error = {"type": _ERRORS.get(result.error, "unknown"), "message": result.content} if result.is_error else None
    return {"tool_call_id": result.call_id or None, "function": result.name or None, "error": error}


def _usage(num_input: int, num_output: int) -> dict[str, int]:
    """Tokens; of the input those that were new to the engine's prefix cache."""
    return {"input_tokens": num_input, "output_tokens": num_output, "total_tokens": num_input + num_output}


def _member(name: str) -> zipfile.ZipInfo:
    """A member without a time of its own, so that equal talks give equal bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _id(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()[:22]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
