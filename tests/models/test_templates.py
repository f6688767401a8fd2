"""The chat templates of all families: against the public ones, token by token, and read back."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from t2t.cli import load_config
from t2t.errors import ConfigError
from t2t.models.rendering import IGNORED, Renderer, read_template, to_openai
from t2t.records import Message, ToolCall, ToolResult, Turn


class Family(NamedTuple):
    """A family's public template and what it can express."""

    public: str
    """File in TRL's package."""
    special: tuple[str, ...]
    """Special tokens of its tokenizers that a template writes, the stop token last."""
    tools: bool = True
    """Tools, calls and results."""
    words_and_calls: bool = True
    """Words beside calls, and calls beside each other."""
    thoughts: bool = False
    """Thoughts, since the last thing that the user said."""


ROOT = Path(__file__).parent.parent.parent
CHATML = ("<|im_start|>", "<|im_end|>")
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|eom_id|>", "<|eot_id|>")
# By this Llama 3 parts text before it becomes tokens: newlines stay together, as they do with Gemma.
SPLITS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
FAMILIES = {
    "qwen2_5": Family("qwen2_5", CHATML),
    "qwen3_instruct": Family("qwen3_instruct_2507", CHATML),
    "qwen3": Family("qwen3", CHATML, thoughts=True),
    "llama3": Family("llama3_2", LLAMA, words_and_calls=False),
    "gemma3": Family("gemma3", ("<bos>", "<start_of_turn>", "<end_of_turn>"), tools=False),
    "smollm2": Family("", CHATML, tools=False),
}
PUBLIC = Path((importlib.util.find_spec("trl").submodule_search_locations or [""])[0]) / "chat_templates"
SMOLLM2 = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

SCHEMAS = [
    {
        "type": "function",
        "function": {
            "name": "find_books",
            "description": 'Find books by title: "Düne" <b>& more</b>. Case does not matter.',
            "parameters": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "description": "Part of the title."},
                    "filter": {"type": "object", "properties": {"years": {"type": "array"}}},
                },
                "required": ["title"],
            },
        },
    },
    {"type": "function", "function": {"name": "today", "description": "Today.", "parameters": {"type": "object"}}},
]
TOOLS = json.dumps(SCHEMAS)


def call(number: int, name: str, **arguments: Any) -> ToolCall:
    return ToolCall(id=f"call_{number}", name=name, arguments=arguments)


def numbered(calls: Sequence[tuple[str, dict[str, Any]]]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(id=f"call_{n}", name=name, arguments=a) for n, (name, a) in enumerate(calls, 1))


def result(number: int, content: str) -> Message:
    answer = ToolResult(call_id=f"call_{number}", name="f", content=content, is_error=False)
    return Message(role="tool", content=content, result=answer)


def said(content: str, *calls: ToolCall, reasoning: str = "") -> Message:
    return Message(role="assistant", content=content, tool_calls=calls, reasoning=reasoning)


SYSTEM = Message(role="system", content="You work at a library.\n\n1. Be kind.")
USER = Message(role="user", content="Is Düne there? 日本 🙂")
LOOK = call(1, "find_books", title='D"ü"ne', filter={"years": [1965, None], "x": {"y": 1.5}})
PLAIN = [SYSTEM, USER, said("Which one?"), Message(role="user", content="The old one.\n"), said("Yes.")]
ONE_CALL = [SYSTEM, USER, said("", LOOK), result(1, '[{"id":"B1"}]'), said("", call(2, "today")), result(2, "")]
FULL = [
    SYSTEM,
    USER,
    said("I look.", LOOK, call(2, "today")),
    result(1, '[{"id":"B1","text":"<b>\\n"}]'),
    result(2, "2026-11-22"),
    said("", call(3, "today"), call(4, "today")),
    result(3, ""),
    result(4, "Error: no"),
    said("Yes, it is."),
    Message(role="user", content=""),
    said(""),
    Message(role="user", content="Thanks."),
]


def render(template: str, messages: Sequence[Message], tools: str, *, header: bool, **values: Any) -> str:
    """The text as transformers makes it of a template."""
    from transformers.utils.chat_template_utils import render_jinja_template

    plain = [to_openai(m) | ({"reasoning_content": m.reasoning} if m.reasoning else {}) for m in messages]
    texts, _ = render_jinja_template(
        conversations=[plain],
        tools=json.loads(tools) if tools else None,
        chat_template=template,
        add_generation_prompt=header,
        **values,
    )
    return texts[0]


def render_public(name: str, messages: Sequence[Message], tools: str) -> str:
    if name == "smollm2":
        first = [] if messages[0].role == "system" else [Message(role="system", content=SMOLLM2)]
        turns = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in [*first, *messages])
        return turns + "<|im_start|>assistant\n"
    text = (PUBLIC / f"{FAMILIES[name].public}.jinja").read_text(encoding="utf-8")
    bos = FAMILIES[name].special[0]
    return render(text, messages, tools, header=True, bos_token=bos, date_string="26 Jul 2024")


def asked_places(talk: Sequence[Message]) -> list[int]:
    """Lengths of the beginnings after which the agent is asked."""
    return [
        n
        for n in range(1, len(talk) + 1)
        if talk[n - 1].role in ("user", "tool") and talk[n:][:1] != [] and talk[n].role == "assistant"
    ] + ([len(talk)] if talk[-1].role != "assistant" else [])


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"], include_characters="\n\t"), max_size=12)
WORDS = TEXT.filter(lambda text: "think>" not in text)
# What looks like a call is read as one.
PLAIN_WORDS = WORDS.filter(lambda text: not any(sign in text for sign in ("tool_call>", "<|", "{", "```")))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
CALLS = st.lists(
    st.tuples(st.sampled_from(["find_books", "today"]), st.dictionaries(TEXT, VALUES, max_size=2)), max_size=3
)


@st.composite
def talks(draw: st.DrawFn, family: Family) -> list[Message]:
    """Talks within what the family's public template expresses, up to where the agent is asked."""
    talk = [SYSTEM.model_copy(update={"content": draw(WORDS)})] if draw(st.booleans()) else []
    talk.append(Message(role="user", content=draw(WORDS)))
    for _ in range(draw(st.integers(0, 3))):
        calls = draw(CALLS) if family.tools else []
        content = draw(WORDS)
        if not family.words_and_calls and calls:
            calls, content = calls[:1], ""
        made = numbered(calls)
        talk.append(said(content, *made))
        if made:
            talk += [result(n, draw(WORDS)) for n in range(1, len(made) + 1)]
        else:
            talk.append(Message(role="user", content=draw(WORDS)))
    if family.thoughts:
        last = max(n for n, message in enumerate(talk) if message.role == "user")
        for n in range(last + 1, len(talk)):
            if talk[n].role == "assistant":
                talk[n] = talk[n].model_copy(update={"reasoning": draw(WORDS)})
    return talk


@pytest.fixture(scope="module")
def folders(weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each family a folder with SmolLM2's tokenizer and the special tokens of the family."""
    made = {name: tmp_path_factory.mktemp(name) for name in FAMILIES}
    for name, folder in made.items():
        write_tokenizer(weights_dir, FAMILIES[name].special, folder)
    return made


@pytest.fixture(scope="module")
def renderers(folders: dict[str, Path]) -> dict[str, Renderer]:
    return {name: Renderer(name, folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def special_ids(folders: dict[str, Path]) -> dict[str, set[int]]:
    tokenizers = {name: Tokenizer.from_file(str(folder / "tokenizer.json")) for name, folder in folders.items()}
    return {name: {tokenizers[name].token_to_id(token) for token in FAMILIES[name].special} for name in FAMILIES}


def write_tokenizer(weights_dir: Path, special: Sequence[str], folder: Path) -> None:
    """SmolLM2's tokenizer with other special tokens; tags of calls and thoughts are plain tokens, as with Qwen."""
    content = json.loads((weights_dir / "tokenizer.json").read_text())
    for token in content["added_tokens"]:
        token["special"] = token["content"] in special
    if special[0] != CHATML[0]:
        split = {"type": "Split", "pattern": {"Regex": SPLITS}, "behavior": "Isolated", "invert": False}
        plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, plain]}
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tags = ("<tool_call>", "</tool_call>", "<think>", "</think>")
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in tags])
    tokenizer.save(str(folder / "tokenizer.json"))


PUBLISHED = [
    pytest.param(name, tools, start, id=f"{name}-{'tools' if tools else 'plain'}-{'no system' if start else 'system'}")
    for name, family in FAMILIES.items()
    for tools in ([TOOLS, ""] if family.tools else [""])
    for start in (0, 1)
]


@pytest.mark.parametrize(("name", "tools", "start"), PUBLISHED)
def test_a_talk_renders_as_the_public_template_of_its_family_writes_it(name: str, tools: str, start: int):
    family = FAMILIES[name]
    talk = (FULL if family.tools and family.words_and_calls else ONE_CALL if family.tools else PLAIN)[start:]
    places = asked_places(talk)
    assert len(places) > 1
    for place in places:
        ours = render(read_template(name), talk[:place], tools, header=True)
        assert ours == render_public(name, talk[:place], tools)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.thoughts])
def test_thoughts_since_the_users_last_words_render_as_the_public_template_writes_them(name: str):
    thought = said("\nI look.\n", LOOK, reasoning="\n\nA guest.\nWants Düne.\n")
    talk = [SYSTEM, USER, thought, result(1, ""), said("", call(2, "today"), reasoning=" What day? "), result(2, "1")]
    for place in (4, 6):
        ours = render(read_template(name), talk[:place], TOOLS, header=True)
        assert "A guest.\nWants" in ours
        assert ours == render_public(name, talk[:place], TOOLS)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60)
@given(data=st.data())
def test_any_talk_renders_as_the_public_template_of_its_family_writes_it(name: str, data: st.DataObject):
    family = FAMILIES[name]
    talk = data.draw(talks(family))
    tools = data.draw(st.sampled_from([TOOLS, ""])) if family.tools else ""
    ours = render(read_template(name), talk, tools, header=True)
    assert ours == render_public(name, talk, tools)


MESSAGES = st.builds(
    lambda role, content, calls, reasoning: Message(
        role=role,
        content=content,
        tool_calls=numbered(calls) if role == "assistant" else (),
        reasoning=reasoning if role == "assistant" else "",
    ),
    st.sampled_from(["user", "assistant", "tool"]),
    WORDS,
    CALLS,
    WORDS,
)
ANY_TALK = st.tuples(st.lists(st.just(SYSTEM), max_size=1), st.lists(MESSAGES, min_size=1, max_size=7)).map(
    lambda parts: [*parts[0], *parts[1]]
)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=40)
@given(talk=ANY_TALK, tools=st.sampled_from([TOOLS, ""]))
def test_every_beginning_is_a_prefix_and_has_the_ids_of_a_rollout(
    renderers: dict[str, Renderer], name: str, talk: list[Message], tools: str
):
    renderer = renderers[name]
    whole, encoded = renderer.text(talk, tools), renderer.encode(talk, tools)
    assert renderer.decode(encoded.input_ids) == whole
    ids: list[int] = []
    turns: list[Turn] = []
    trained: list[int] = []
    new: list[Message] = []
    for length, message in enumerate(talk, 1):
        if message.role != "assistant":
            new.append(message)
            continue
        prompt = renderer.continue_ids(new, turns[-1].sampled_ids) if turns else renderer.prompt_ids(new, tools)
        reply = renderer.reply_ids(message)
        ids += prompt
        assert encoded.input_ids[: len(ids)] == ids
        assert whole.startswith(renderer.decode(ids))
        assert encoded.labels[len(ids) : len(ids) + len(reply)] == reply
        assert reply.count(renderer.stop_id) == 1
        assert reply[-1] == renderer.stop_id
        ids += reply
        trained += reply
        assert whole.startswith(renderer.text(talk[:length], tools))
        assert encoded.input_ids[: len(ids)] == ids
        turns.append(Turn(prompt_ids=tuple(prompt), sampled_ids=tuple(reply)))
        new = []
    assert [label for label in encoded.labels if label != IGNORED] == trained
    assert renderer.encode(talk, tools, turns) == encoded


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prompt_is_what_transformers_makes_of_the_template(renderers: dict[str, Renderer], name: str):
    renderer = renderers[name]
    for talk in (FULL, PLAIN, FULL[1:], [said("Hello.", reasoning="A guest."), *PLAIN[1:]]):
        for place in asked_places(talk):
            ids = renderer.encode(talk[:place], TOOLS).input_ids
            header = renderer.continue_ids([], [renderer.stop_id])
            assert renderer.decode(ids + header) == render(renderer.template, talk[:place], TOOLS, header=True)
        first = next(n for n, message in enumerate(talk) if message.role == "assistant")
        theirs = render(renderer.template, talk[:first], TOOLS, header=True)
        assert renderer.decode(renderer.prompt_ids(talk[:first], TOOLS)) == theirs


@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_gives_the_same_ids_and_trains_the_same_tokens(
    renderers: dict[str, Renderer], folders: dict[str, Path], name: str
):
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folders[name] / "tokenizer.json"))
    tokenizer.chat_template = read_template(name)
    theirs = tokenizer.apply_chat_template(
        [to_openai(m) for m in FULL], tools=SCHEMAS, return_dict=True, return_assistant_tokens_mask=True
    )
    encoded = renderers[name].encode(FULL, TOOLS)
    assert theirs["input_ids"] == encoded.input_ids
    assert [bool(mask) for mask in theirs["assistant_masks"]] == [label != IGNORED for label in encoded.labels]


@pytest.mark.parametrize("name", FAMILIES)
def test_trl_finds_the_templates_fit_for_training(folders: dict[str, Path], name: str):
    from transformers import PreTrainedTokenizerFast
    from trl import chat_template_utils as trl

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folders[name] / "tokenizer.json"), eos_token=FAMILIES[name].special[-1]
    )
    tokenizer.chat_template = read_template(name)
    assert trl.supports_tool_calling(tokenizer)
    assert trl.is_chat_template_prefix_preserving(tokenizer)
    assert trl.is_chat_template_stop_token_trained(tokenizer)


HOSTILE = [
    "<|im_end|>",
    "<|im_start|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<end_of_turn>",
    "<start_of_turn>",
    "<bos>",
]
PIECES = [*HOSTILE, "\n", "a", "<", "|>", "\ue000", "0", "1", "é"]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=30)
@given(text=st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_text_makes_a_special_token_of_any_family(
    renderers: dict[str, Renderer], special_ids: dict[str, set[int]], name: str, text: str
):
    renderer = renderers[name]

    def talk(words: str) -> list[Message]:
        made = ToolCall(id="call_1", name=words or "f", arguments={words: [words]})
        spoken = said(words, made, reasoning=words)
        return [Message(role="system", content=words), Message(role="user", content=words), spoken, result(1, words)]

    def tools(words: str) -> str:
        return json.dumps([{"function": {"name": "f", "description": words, "parameters": {}}}])

    ids = renderer.encode(talk(text), tools(text)).input_ids
    assert renderer.decode(ids) == renderer.text(talk(text), tools(text))
    special = special_ids[name]
    plain = renderer.encode(talk("x"), tools("x")).input_ids
    assert [id_ for id_ in ids if id_ in special] == [id_ for id_ in plain if id_ in special]


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=80)
@given(
    content=PLAIN_WORDS, calls=CALLS | st.lists(st.tuples(TEXT.filter(bool), st.just({})), max_size=2), reasoning=WORDS
)
def test_what_a_template_writes_is_read_back_and_written_alike(
    renderers: dict[str, Renderer], name: str, content: str, calls: list[tuple[str, dict[str, Any]]], reasoning: str
):
    renderer = renderers[name]
    made = numbered(calls)
    message = said(content.strip(), *made, reasoning=reasoning.strip() if FAMILIES[name].thoughts else "")
    ids = renderer.reply_ids(message)
    read, problem = renderer.parse(renderer.reply_text(ids))
    assert problem == ""
    assert read == message
    assert renderer.reply_ids(read) == ids


def test_thoughts_are_kept_apart_from_the_words_and_stay_in_the_history(renderers: dict[str, Renderer]):
    renderer = renderers["qwen3"]
    read, problem = renderer.parse("<think>\nA guest.\n</think>\n\nHello.")
    assert (read, problem) == (said("Hello.", reasoning="A guest."), "")
    talk = [USER, read, USER, read, USER]
    assert renderer.text(talk, "").count("<think>\nA guest.\n</think>\n\nHello.<|im_end|>") == 2
    cut, problem = renderer.parse("<think>\nA guest")
    assert (cut, problem) == (said("", reasoning="A guest"), "the text ends inside <think>, before </think>")
    others = [name for name in FAMILIES if name != "qwen3"]
    assert all("A guest" not in renderers[name].text(talk, "") for name in others)


def test_a_turn_that_another_special_token_ended_is_read_without_it_and_closed(
    renderers: dict[str, Renderer], folders: dict[str, Path]
):
    renderer = renderers["llama3"]
    tokenizer = Tokenizer.from_file(str(folders["llama3"] / "tokenizer.json"))
    python, ends = tokenizer.token_to_id("<|python_tag|>"), tokenizer.token_to_id("<|eom_id|>")
    sampled = [python, *renderer.reply_ids(said("", LOOK))[:-1], ends]
    assert renderer.parse(renderer.reply_text(sampled)) == (said("", LOOK), "")
    assert renderer.continue_ids([result(1, "")], sampled)[0] == renderer.stop_id
    encoded = renderer.encode([USER, said("", LOOK)], "", [Turn(sampled_ids=tuple(sampled))])
    assert encoded.input_ids[-len(sampled) - 1 :] == [*sampled, renderer.stop_id]
    assert encoded.labels[-len(sampled) - 1 :] == [*sampled, IGNORED]


def test_llama_writes_words_ahead_of_calls_and_calls_beside_each_other(renderers: dict[str, Renderer]):
    assert (
        renderers["llama3"]
        .text(FULL[:3], TOOLS)
        .endswith(
            "<|start_header_id|>assistant<|end_header_id|>\n\nI look.\n"
            '{"name": "find_books", "parameters": {"title": "D\\"ü\\"ne", '
            '"filter": {"years": [1965, null], "x": {"y": 1.5}}}}; '
            '{"name": "today", "parameters": {}}<|eot_id|>'
        )
    )


def test_gemma_hears_of_tools_and_results_in_the_turns_of_the_user(renderers: dict[str, Renderer]):
    tools = json.dumps(SCHEMAS[1:])
    assert renderers["gemma3"].text(FULL[:5] + FULL[8:], tools) == (
        "<bos><start_of_turn>user\nYou work at a library.\n\n1. Be kind.\n\nYou can call these functions:\n"
        '{"name": "today", "description": "Today.", "parameters": {"type": "object"}}\n\n'
        "To call one, write on a line of its own, with nothing around it:\n"
        '{"name": function name, "parameters": dictionary of argument name and its value}\n'
        "Its result comes in a block that begins with ```tool_output.\n\nIs Düne there? 日本 🙂<end_of_turn>\n"
        "<start_of_turn>model\nI look.\n"
        '{"name": "find_books", "parameters": {"title": "D\\"ü\\"ne", '
        '"filter": {"years": [1965, null], "x": {"y": 1.5}}}}\n'
        '{"name": "today", "parameters": {}}<end_of_turn>\n'
        '<start_of_turn>user\n```tool_output\n[{"id":"B1","text":"<b>\\n"}]\n```\n```tool_output\n2026-11-22\n```'
        "<end_of_turn>\n<start_of_turn>model\nYes, it is.<end_of_turn>\n<start_of_turn>user\n<end_of_turn>\n"
        "<start_of_turn>model\n<end_of_turn>\n<start_of_turn>user\nThanks.<end_of_turn>"
    )


def test_where_the_agent_begins_rules_and_tools_stand_ahead_of_its_words(renderers: dict[str, Renderer]):
    talk = [SYSTEM, said("Hello."), USER]
    for tools in ("", TOOLS):
        for name, renderer in renderers.items():
            ahead, hello, after = renderer.text(talk, tools).partition("Hello.")
            assert (SYSTEM.content in ahead, hello, "find_books" in ahead) == (True, "Hello.", bool(tools)), name
            assert USER.content in after
            assert "find_books" not in after
    assert renderers["gemma3"].text(talk, "") == (
        "<bos><start_of_turn>user\nYou work at a library.\n\n1. Be kind.<end_of_turn>\n"
        "<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nIs Düne there? 日本 🙂<end_of_turn>"
    )


@pytest.mark.parametrize("model", [file.stem for file in (ROOT / "conf" / "model").glob("*.yaml")])
def test_every_model_names_itself_and_a_template(model: str):
    config = load_config([f"model={model}"]).model
    assert config.name == model
    assert config.template in FAMILIES


def test_every_template_is_proved_here():
    assert set(FAMILIES) == {file.stem for file in (ROOT / "t2t" / "models" / "templates").glob("*.jinja")}


def test_a_template_that_is_not_of_the_tokenizers_family_is_refused(weights_dir: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"model\.template=llama3 .*; choose the template of the model's family"):
        Renderer("llama3", weights_dir)
    write_tokenizer(weights_dir, LLAMA[:-1], tmp_path)
    with pytest.raises(ConfigError, match=r"writes <\|eot_id\|>, which is no special token of"):
        Renderer("llama3", tmp_path)
