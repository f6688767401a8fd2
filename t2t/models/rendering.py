"""Turn talks into token ids: one renderer for rollout, training and evaluation.

Every message is one segment, rendered and tokenised by itself, so a history only grows. The template
alone writes special tokens: those that stand in a message's text are tokenised as plain characters, so
nobody can end a turn or speak in another role. Needs neither torch nor transformers.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from t2t.errors import ConfigError
from t2t.models.checkpoint import find_checkpoint
from t2t.records import Message, ToolCall, Turn

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IGNORED = -100
"""Label of a token that carries no loss."""

_TEMPLATE_DIR = Path(__file__).parent / "templates"
_MAX_SHARED = 64
_ESCAPE = "\ue000"
_UNESCAPE = re.compile(_ESCAPE + "([01])")
_BEFORE = Message(role="user", content="before")
_PROBE_TOOLS = '[{"type":"function","function":{"name":"f","description":"F.","parameters":{}}}]'
_PROBE = (
    Message(role="system", content="system"),
    Message(role="user", content="user"),
    Message(role="assistant", content="words", tool_calls=(ToolCall(id="call_1", name="f", arguments={"x": [1]}),)),
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
        ConfigError: there is no such template or tokenizer, or the template does not render messages
            one by one with a special token at the end of each assistant turn.
    """

    def __init__(self, template: str, tokenizer: str | Path) -> None:
        self.template = read_template(template)
        """Text of the chat template, as it is saved with checkpoints."""
        self._source = tokenizer
        self._compiled = _compile(self.template)
        self._tokenizer = _load_tokenizer(tokenizer)
        self._tokenizer.encode_special_tokens = True
        added = self._tokenizer.get_added_tokens_decoder()
        self._special_ids = {token.content: number for number, token in added.items() if token.special}
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        self._special = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
        self._before = self._render((_BEFORE,), "")
        self._header = self._render((_BEFORE,), "", header=True).removeprefix(self._before)
        self._shared: dict[tuple[str, str], list[int]] = {}
        self.stop_id = self.reply_ids(_PROBE[2])[-1]
        """Id of the token that ends an assistant turn."""
        self._check(template)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the template and of all in the tokenizer that decides how text becomes ids."""
        tokenizer = json.loads(self._tokenizer.to_str())
        deciding = {key: tokenizer[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "model", "decoder")}
        return _hash(json.dumps([self.template, deciding], sort_keys=True))

    def text(self, messages: Sequence[Message], tools: str) -> str:
        """The talk as ``apply_chat_template`` writes it; `tools` is the JSON text of the schemas."""
        return self._render(messages, tools)

    def prompt_ids(self, messages: Sequence[Message], tools: str) -> list[int]:
        """Ids that begin a talk: its first messages, at least one, and the header of the agent's turn."""
        return self._first_ids(messages[0], tools) + self._next_ids(messages[1:])

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
        """Text of sampled ids without the stop token."""
        stopped = len(sampled_ids) > 0 and sampled_ids[-1] == self.stop_id
        return self.decode(sampled_ids[:-1] if stopped else sampled_ids)

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
        for position, message in enumerate(messages):
            if message.role != "assistant":
                add(self._segment_ids(message) if position else self._first_ids(message, tools), loss=False)
                continue
            segment = self._segment(message) if position else self._render((message,), tools, escape=True)
            add(self._tokenize(segment.removesuffix(self._reply_part(message))), loss=False)
            sampled = list(next(remaining, Turn()).sampled_ids) or self.reply_ids(message)
            add(sampled, loss=True)
            add(self._missing_stop(sampled), loss=False)
        return Encoded(input_ids, labels)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens included."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def _first_ids(self, message: Message, tools: str) -> list[int]:
        """Ids of a talk's first message with the tools; many talks share them, so they are kept."""
        if message.role != "system":
            return self._tokenize(self._render((message,), tools, escape=True))
        key = (message.content, tools)
        if key not in self._shared:
            if len(self._shared) == _MAX_SHARED:
                self._shared.clear()
            self._shared[key] = self._tokenize(self._render((message,), tools, escape=True))
        return list(self._shared[key])

    def _next_ids(self, messages: Sequence[Message]) -> list[int]:
        ids: list[int] = []
        for message in messages:
            ids += self._segment_ids(message)
        return ids + self._tokenize(self._header)

    def _missing_stop(self, sampled_ids: Sequence[int]) -> list[int]:
        return [] if sampled_ids and sampled_ids[-1] == self.stop_id else [self.stop_id]

    def _segment_ids(self, message: Message) -> list[int]:
        return self._tokenize(self._segment(message))

    def _segment(self, message: Message) -> str:
        """Escaped text that a message adds to a talk that has begun."""
        return self._render((_BEFORE, message), "", escape=True).removeprefix(self._before)

    def _reply_part(self, message: Message) -> str:
        return self._segment(message).removeprefix(self._header)

    def _render(self, messages: Sequence[Message], tools: str, *, header: bool = False, escape: bool = False) -> str:
        """Text of a talk; escaped, special tokens in what people and tools wrote are broken apart."""
        values: Any = [[to_openai(message) for message in messages], json.loads(tools) if tools else None]
        if escape:
            values = self._break_special(values)
        return self._compiled.render(messages=values[0], tools=values[1], add_generation_prompt=header)

    def _break_special(self, values: Any) -> Any:
        content = json.dumps(values, ensure_ascii=False)
        if _ESCAPE not in content and not self._special.search(content):
            return values
        content = content.replace(_ESCAPE, _ESCAPE + "0")
        return json.loads(self._special.sub(lambda match: f"{match[0][0]}{_ESCAPE}1{match[0][1:]}", content))

    def _tokenize(self, escaped: str) -> list[int]:
        """Ids of escaped text: unbroken special tokens by their id, all else as plain characters."""
        ids: list[int] = []
        for place, part in enumerate(self._special.split(escaped)):
            if place % 2:
                ids.append(self._special_ids[part])
            elif part:
                plain = _UNESCAPE.sub(lambda match: _ESCAPE if match[1] == "0" else "", part)
                ids += self._tokenizer.encode(plain, add_special_tokens=False).ids
        return ids

    def _check(self, template: str) -> None:
        if not self._segment(_PROBE[2]).startswith(self._header) or self.stop_id not in self._special_ids.values():
            raise ConfigError(f"model.template={template} does not end a turn with a special token of {self._source}")
        whole = self._render(_PROBE, _PROBE_TOOLS)
        if self.decode(self.encode(_PROBE, _PROBE_TOOLS).input_ids) != whole:
            raise ConfigError(f"model.template={template} does not render messages one by one with {self._source}")


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


class _Generation(Extension):
    """Lets ``{% generation %}`` stand in a template, as transformers does; it changes no text."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block's own statements."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compile(template: str) -> Any:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation])
    environment.filters["tojson"] = _to_json
    return environment.from_string(template)


def _to_json(value: Any, separators: tuple[str, str] | None = None) -> str:
    """As transformers has it, not as Jinja's own, which writes for HTML."""
    return json.dumps(value, ensure_ascii=False, separators=separators)


def _load_tokenizer(source: str | Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    file = Path(source) / "tokenizer.json"
    if file.is_file():
        return Tokenizer.from_file(str(file))
    if find_checkpoint(str(source)) is not None:
        raise ConfigError(f"model.source={source} holds no tokenizer.json")
    try:
        return Tokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise ConfigError(f"model.source={source} is no folder, and the hub gave no tokenizer: {error}") from None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
