"""Turn talks into token ids: one renderer for rollout, training and evaluation.

What comes between two turns of the agent is one segment, rendered and tokenised by itself, so a history only
grows. The template alone writes special tokens: those that stand in a message's text are tokenised as plain
characters, so nobody can end a turn or speak in another role. The template also decides how calls and thoughts
are written, and so how they are read. Needs neither torch nor transformers.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from t2t.errors import ConfigError
from t2t.models.calls import Syntax, parse_reply
from t2t.models.checkpoint import find_checkpoint
from t2t.records import Message, ToolCall, Turn

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IGNORED = -100
"""Label of a token that carries no loss."""

_TEMPLATE_DIR = Path(__file__).parent / "templates"
_MAX_SHARED = 64
_MAX_SHORT = 16
_NUM_KEPT = 4096
_MAX_KEPT = 4096
"""Characters of the longest text whose ids are kept."""
_ESCAPE = "\ue000"
_UNESCAPE = re.compile(_ESCAPE + "([01])")
_LOOKS_SPECIAL = re.compile(r"<\|\w+\|>|<bos>|<\w+_of_turn>")
_PROBE_TOOLS = '[{"type":"function","function":{"name":"f","description":"F.","parameters":{}}}]'
_PROBE = (
    Message(role="system", content="system"),
    Message(role="user", content="user"),
    Message(
        role="assistant",
        content="words",
        tool_calls=(
            ToolCall(id="call_1", name="f", arguments={"x": [1]}),
            ToolCall(id="call_2", name="f", arguments={}),
        ),
        reasoning="thoughts",
    ),
    Message(role="tool", content="result"),
    Message(role="tool", content="result"),
    Message(role="assistant", content=" words\n"),
    Message(role="user", content=""),
)


class Encoded(NamedTuple):
    """A talk for training; both of shape (n,)."""

    input_ids: list[int]
    """Ids of the whole talk."""
    labels: list[int]
    """The id itself where the agent spoke, stop token included; elsewhere `IGNORED`."""


class Renderer:
    """A chat template and a tokenizer.

    Args:
        template: file name in ``t2t/models/templates`` without ``.jinja``.
        tokenizer: a checkpoint folder with ``tokenizer.json``, or a hub id.

    Raises:
        ConfigError: there is no such template or tokenizer, or the two do not fit: a special token of the template is
            none of the tokenizer, or what is rendered segment by segment is not the whole.
    """

    def __init__(self, template: str, tokenizer: str | Path) -> None:
        self.template = read_template(template)
        """Text of the chat template, as it is saved with checkpoints."""
        self._source = tokenizer
        self._compiled = _compile(self.template)
        self._tokenizer = _load_tokenizer(tokenizer)
        self._tokenizer.encode_special_tokens = True
        added = self._tokenizer.get_added_tokens_decoder()
        special = {token.content: number for number, token in added.items() if token.special}
        self._ends = frozenset(special.values())
        self._special_ids = {content: number for content, number in special.items() if content in self.template}
        if not self._special_ids:
            raise _unfit(template, "writes no special token", tokenizer)
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._marks = tuple({_ESCAPE, *(content[:2] for content in self._special_ids)})
        self._heads: dict[tuple[str | None, str], tuple[list[int], int]] = {}
        # What the template writes comes again with every turn, what tools and callers say with every attempt.
        self._kept_ids = lru_cache(maxsize=_NUM_KEPT)(self._part_ids)
        self._header = self._render((), begun=True, header=True)
        self.stop_id = self.reply_ids(_PROBE[2])[-1]
        """Id of the token that ends an assistant turn."""
        written = self._reply_part(_PROBE[2])
        self._syntax: Syntax = "hermes" if "<tool_call>" in written else "json"
        self._thinks = "</think>" in written
        self._check(template)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the template and of all in the tokenizer that decides how text becomes ids."""
        tokenizer = json.loads(self._tokenizer.to_str())
        deciding = {key: tokenizer[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "model", "decoder")}
        return _hash(json.dumps([self.template, deciding], sort_keys=True))

    def text(self, messages: Sequence[Message], tools: str) -> str:
        """The talk as ``apply_chat_template`` writes it; `tools` is the JSON text of the schemas."""
        return self._render(messages, tools, escape=False)

    def prompt_ids(self, messages: Sequence[Message], tools: str) -> list[int]:
        """Ids that begin a talk: its messages before the agent's first turn and the header of that turn."""
        return self._first_ids(messages, tools, header=True)

    def continue_ids(self, messages: Sequence[Message], sampled_ids: Sequence[int]) -> list[int]:
        """Ids that go on after a turn: `messages` and the header of the next turn.

        Args:
            messages: what came since the turn.
            sampled_ids: ids of the turn; if they do not end with the stop token, it comes first here.
        """
        return self._missing_stop(sampled_ids) + self._next_ids(messages)

    def reply_ids(self, message: Message) -> list[int]:
        """Ids of an assistant message as a model would sample it, stop token included."""
        return self._tokenize(self._reply_part(message))

    def reply_text(self, sampled_ids: Sequence[int]) -> str:
        """Text of sampled ids without the special token that ended them, be it the stop token or another."""
        stopped = len(sampled_ids) > 0 and sampled_ids[-1] in self._ends
        return self.decode(sampled_ids[:-1] if stopped else sampled_ids)

    def parse(self, text: str, first_call: int = 1) -> tuple[Message, str]:
        """The message that a model's text is, and why a call or a thought in it could not be read, else empty.

        Args:
            text: what it wrote, without the stop token.
            first_call: number of the first call; ids run on from ``call_<first_call>``.
        """
        return parse_reply(text, first_call, syntax=self._syntax, thinks=self._thinks)

    def encode(self, messages: Sequence[Message], tools: str, turns: Sequence[Turn] = ()) -> Encoded:
        """Ids and labels of a talk for training: the ids that a rollout sends and samples.

        Args:
            messages: the talk, system message first.
            tools: JSON text of the tool schemas.
            turns: the agent's turns in order; sampled ids stand in place of a message's own text, so
                training sees exactly what was sampled. Where there are none the text is tokenised.
        """
        input_ids: list[int] = []
        labels: list[int] = []

        def add(ids: list[int], *, loss: bool) -> None:
            input_ids.extend(ids)
            labels.extend(ids if loss else [IGNORED] * len(ids))

        remaining = iter(turns)
        start = 0
        for position, message in enumerate(messages):
            if message.role != "assistant":
                continue
            between = messages[start:position]
            add(self._next_ids(between) if start else self.prompt_ids(between, tools), loss=False)
            sampled = list(next(remaining, Turn()).sampled_ids) or self.reply_ids(message)
            add(sampled, loss=True)
            add(self._missing_stop(sampled), loss=False)
            start = position + 1
        rest = messages[start:]
        add(self._tokenize(self._render(rest, begun=True)) if start else self._first_ids(rest, tools), loss=False)
        return Encoded(input_ids, labels)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens included."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def _first_ids(self, messages: Sequence[Message], tools: str, *, header: bool = False) -> list[int]:
        """Ids of the messages before the agent's first turn; those of their head are kept, for many talks share it."""
        system = messages[0].content if messages and messages[0].role == "system" else None
        spoken = messages if system is None else messages[1:]
        if not spoken or spoken[0].role != "user":
            return self._tokenize(self._render(messages, tools, header=header))
        if (system, tools) not in self._heads:
            if len(self._heads) == _MAX_SHARED:
                self._heads.clear()
            self._heads[system, tools] = self._head(messages[: len(messages) - len(spoken)], tools)
        ids, written = self._heads[system, tools]
        return ids + self._tokenize(self._render(spoken, begun=True, header=header)[written:])

    def _head(self, first: Sequence[Message], tools: str) -> tuple[list[int], int]:
        """Ids of all ahead of the user's first words, and how much of it stands ahead of words later on as well.

        The head ends with a special token where tools and rules do not stand between that and the words.
        """
        ends = [Message(role="user", content=content) for content in "ab"]
        text, other = (self._render((*first, end), tools) for end in ends)
        head = text[: next(at for at, (one, two) in enumerate(zip(text, other, strict=True)) if one != two)]
        written = len(self._render(ends[:1], begun=True)) - (len(text) - len(head))
        after_special = len(self._special.split(head)[-1])
        if after_special <= min(_MAX_SHORT, written):
            head, written = head[: len(head) - after_special], written - after_special
        return self._tokenize(head), written

    def _next_ids(self, messages: Sequence[Message]) -> list[int]:
        return self._tokenize(self._render(messages, begun=True, header=True))

    def _missing_stop(self, sampled_ids: Sequence[int]) -> list[int]:
        return [] if sampled_ids and sampled_ids[-1] == self.stop_id else [self.stop_id]

    def _reply_part(self, message: Message) -> str:
        return self._render((message,), begun=True).removeprefix(self._header)

    def _render(
        self,
        messages: Sequence[Message],
        tools: str = "",
        *,
        begun: bool = False,
        header: bool = False,
        escape: bool = True,
    ) -> str:
        """Text of a talk, or of messages that go on one; escaped, special tokens in what was said are broken apart."""
        schemas = json.loads(tools) if tools else None
        plain = [_to_plain(message) for message in messages]
        if escape:
            schemas = self._break_special(schemas)
            plain = [self._break_special(each) for each in plain]
        return self._compiled.render(messages=plain, tools=schemas, begun=begun, add_generation_prompt=header)

    def _break_special(self, value: Any) -> Any:
        """A JSON value, with special tokens in its texts broken apart."""
        content = json.dumps(value, ensure_ascii=False) if value else ""
        if not any(mark in content for mark in self._marks):
            return value
        content = content.replace(_ESCAPE, _ESCAPE + "0")
        return json.loads(self._special.sub(lambda match: f"{match[0][0]}{_ESCAPE}1{match[0][1:]}", content))

    def _tokenize(self, escaped: str) -> list[int]:
        """Ids of escaped text: unbroken special tokens by their id, all else as plain characters."""
        ids: list[int] = []
        for place, part in enumerate(self._special.split(escaped)):
            if place % 2:
                ids.append(self._special_ids[part])
            elif part:
                ids += self._kept_ids(part) if len(part) <= _MAX_KEPT else self._part_ids(part)
        return ids

    def _part_ids(self, part: str) -> tuple[int, ...]:
        """Ids of text between special tokens."""
        plain = _UNESCAPE.sub(lambda match: _ESCAPE if match[1] == "0" else "", part) if _ESCAPE in part else part
        # A batch, since only that comes without the places of the tokens in the text.
        return tuple(self._tokenizer.encode_batch_fast([plain], add_special_tokens=False)[0].ids)

    def _check(self, template: str) -> None:
        whole = self._render(_PROBE, _PROBE_TOOLS)
        missing = sorted(set(_LOOKS_SPECIAL.findall(whole)) - set(self._special_ids))
        if missing or self.stop_id not in self._special_ids.values():
            what = f"writes {missing[0]}, which is no special token" if missing else "ends no turn with a special token"
            raise _unfit(template, what, self._source)
        if self.decode(self.encode(_PROBE, _PROBE_TOOLS).input_ids) != whole:
            raise ConfigError(f"model.template={template} does not render turn by turn with {self._source}")
        text = self.reply_text(self.reply_ids(_PROBE[2]))
        if self.parse(text) != (_PROBE[2].model_copy(update={} if self._thinks else {"reasoning": ""}), ""):
            raise ConfigError(f"model.template={template} writes calls that are not read back: {text!r}")


def read_template(name: str) -> str:
    """Text of a chat template of this project.

    Raises:
        ConfigError: there is none of that name.
    """
    file = _TEMPLATE_DIR / f"{name}.jinja"
    if not file.is_file():
        known = ", ".join(sorted(found.stem for found in _TEMPLATE_DIR.glob("*.jinja")))
        raise ConfigError(f"model.template={name!r} is not a template; known: {known}")
    return file.read_text(encoding="utf-8")


def template_hash(name: str) -> str:
    """SHA-256 of a template's text.

    Raises:
        ConfigError: there is none of that name.
    """
    return _hash(read_template(name))


def to_openai(message: Message) -> dict[str, Any]:
    """A message in the form that chat templates take; arguments of calls stay objects."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.result is not None:
        plain["tool_call_id"] = message.result.call_id
    return plain


def _to_plain(message: Message) -> dict[str, Any]:
    """A message as a template takes it, thoughts included."""
    plain = to_openai(message)
    if message.reasoning:
        plain["reasoning_content"] = message.reasoning
    return plain


class _Generation(Extension):
    """Lets ``{% generation %}`` stand in a template, as transformers does; it changes no text."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block's own statements."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compile(template: str) -> Any:
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation])
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def _to_json(value: Any, indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """As transformers has it, not as Jinja's own, which writes for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _load_tokenizer(source: str | Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    # Texts come one at a time; a pool of threads would only be in the way of processes that fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    file = Path(source) / "tokenizer.json"
    if file.is_file():
        return Tokenizer.from_file(str(file))
    if find_checkpoint(str(source)) is not None:
        raise ConfigError(f"model.source={source} holds no tokenizer.json")
    try:
        return Tokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise ConfigError(f"model.source={source} is no folder, and the hub gave no tokenizer: {error}") from None


def _unfit(template: str, what: str, source: str | Path) -> ConfigError:
    return ConfigError(f"model.template={template} {what} of {source}; choose the template of the model's family")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
