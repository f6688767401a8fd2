import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t.models.calls import parse_reply
from t2t.models.rendering import Renderer
from t2t.records import Message, ToolCall

# SmolLM2's tokenizer has no token for some control characters and for planes that nothing is assigned to.
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\n\t"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(st.tuples(PLAIN.filter(bool), st.dictionaries(PLAIN, VALUES, max_size=3)), max_size=3)
CONTENT = PLAIN.map(str.strip).filter(lambda text: "tool_call>" not in text)


@pytest.fixture(scope="module")
def renderer(weights_dir):
    return Renderer("smollm2", weights_dir)


@settings(deadline=None, max_examples=150)
@given(content=CONTENT, calls=CALLS)
def test_what_is_rendered_is_read_back_and_rendered_alike(renderer, content, calls):
    numbered = tuple(ToolCall(id=f"call_{i}", name=name, arguments=args) for i, (name, args) in enumerate(calls, 1))
    message = Message(role="assistant", content=content, tool_calls=numbered)
    ids = renderer.reply_ids(message)
    read, problem = parse_reply(renderer.reply_text(ids))
    assert problem == ""
    assert read == message
    assert renderer.reply_ids(read) == ids


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*'{}[]":,\\x1 ', "<tool_call>", "</tool_call>", '"name"', '"arguments"'])).map("".join)
)
def test_any_text_is_read_without_an_exception_and_loses_no_words(text):
    message, problem = parse_reply(text)
    if problem:
        assert message.tool_calls == ()
        assert message.content == text.strip()
    elif not message.tool_calls:
        assert message.content == text.strip()


def test_blanks_around_calls_and_words_are_dropped():
    text = ' Wait. \n<tool_call> \n{"name": "find", "arguments": {"x": 1}}\n</tool_call>\n\n Done '
    message, problem = parse_reply(text, first_call=4)
    assert problem == ""
    assert message.content == "Wait.\nDone"
    assert message.tool_calls == (ToolCall(id="call_4", name="find", arguments={"x": 1}),)


def test_an_argument_may_hold_the_closing_tag():
    message, problem = parse_reply('<tool_call>{"name":"note","arguments":{"text":"</tool_call>"}}</tool_call>')
    assert problem == ""
    assert message.tool_calls[0].arguments == {"text": "</tool_call>"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "the text ends after <tool_call>"),
        ('{"name":"f","argu', "the text ends inside a call"),
        ('{"name":"f","arguments":{}}', "</tool_call> does not follow"),
        ("{name:1}</tool_call>", "the JSON of a call is wrong at 'name:1}"),
        ("[1]</tool_call>", "a call is a JSON object"),
        ('{"arguments":{}}</tool_call>', 'with the keys "name" and "arguments"'),
        ('{"name":7,"arguments":{}}</tool_call>', '"name" of a call is the name of a tool'),
        ('{"name":"f","arguments":[]}</tool_call>', '"arguments" of f is not a JSON object'),
        ('{"name":"f","arguments":{"x":NaN}}</tool_call>', "NaN is not JSON"),
        ('{"name":"f","arguments":{"x":1e999}}</tool_call>', "a number is too large"),
        ('{"name":"f","arguments":{"x":99999999999999999999}}</tool_call>', "a number is too large"),
        ('{"name":"f","arguments":{"x":"\\ud800"}}</tool_call>', "half a character"),
        ('{"name":"f","arguments":' + '{"x":' * 50 + "1" + "}" * 50 + "}</tool_call>", "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name":"f","arguments":{}}</tool_call></tool_call>', "</tool_call> stands without <tool_call>"),
    ],
)
def test_a_malformed_call_is_named_and_no_call_is_made(body, problem):
    good = '<tool_call>{"name":"f","arguments":{}}</tool_call>'
    message, found = parse_reply(f"{good}<tool_call>{body}")
    assert problem in found
    assert message.tool_calls == ()
    assert message.content == f"{good}<tool_call>{body}"


CALL = '{"name": "f", "parameters": {"x": 1}}'


@pytest.mark.parametrize(
    ("text", "content", "count"),
    [
        (CALL, "", 1),
        (f" \n{CALL}\n", "", 1),
        (f"{CALL}; {CALL}", "", 2),
        (f"{CALL}{CALL};", "", 2),
        (f"I look.\n  {CALL}\n\n{CALL}\nDone.", "I look.\nDone.", 2),
        (f"<|python_tag|>{CALL}", "", 1),
        (f"I look. <|python_tag|> {CALL}", "I look.", 1),
        (f"Here:\n```json\n{CALL}\n{CALL}\n```\nDone.", "Here:\nDone.", 2),
        (f"```tool_code\n{CALL}```", "", 1),
        ('{"type": "function", "name": "f", "parameters": {"x": 1}}', "", 1),
        ('{"arguments": {"x": 1}, "name": "f"}', "", 1),
        (f"I would write {CALL}", f"I would write {CALL}", 0),
        ('{"title": "Dune"}', '{"title": "Dune"}', 0),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```", 0),
    ],
)
def test_calls_in_plain_json_are_read_at_the_start_of_a_line(text, content, count):
    message, problem = parse_reply(text, first_call=3, syntax="json")
    assert problem == ""
    assert message.content == content
    assert message.tool_calls == tuple(ToolCall(id=f"call_{3 + n}", name="f", arguments={"x": 1}) for n in range(count))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<|python_tag|>", "the text ends after <|python_tag|>"),
        ('<|python_tag|>f.call(x="1")', "the JSON of a call is wrong at 'f.call(x=\"1\")'"),
        (CALL[:-1], "the text ends inside a call"),
        (CALL + "}", "after the JSON of a call stands '}'"),
        (CALL + " Done.", "after the JSON of a call stands 'Done.'"),
        (f"```json\n{CALL}\n", "``` does not close the block of a call"),
        ('{"name": "f"}', 'with the keys "name" and "parameters"'),
        ('{"name": "f", "parameters": {}, "arguments": {}}', 'with the keys "name" and "arguments"'),
        ('{"type": "object", "name": "f", "parameters": {}}', ""),
        ('{"name": "f", "type": "object", "parameters": {}}', 'with the keys "name" and "parameters"'),
        ('{"name": "f", "parameters": "{}"}', '"parameters" of f is not a JSON object'),
        ('{"name": "", "parameters": {}}', '"name" of a call is the name of a tool'),
        (CALL + '; {"name": "f", "parameters": NaN}', "NaN is not JSON"),
        (CALL + "\n{1}", "the JSON of a call is wrong at '1}'"),
    ],
)
def test_a_malformed_call_in_plain_json_is_named_and_no_call_is_made(text, problem):
    message, found = parse_reply(text, syntax="json")
    assert problem in found
    assert bool(problem) == bool(found)
    assert message == Message(role="assistant", content=text.strip())


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*'{}[]":,;\\x1 \n', "<|python_tag|>", "```json\n", "```", CALL, CALL[:9], CALL[-13:]])
    ).map("".join)
)
def test_any_text_with_plain_json_is_read_without_an_exception(text):
    message, problem = parse_reply(text, syntax="json")
    if problem or not message.tool_calls:
        assert message == Message(role="assistant", content=text.strip())


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("<think>\nA guest.\n</think>\n\nHello.", "A guest.", "Hello."),
        ("\n<think></think>Hello.", "", "Hello."),
        ("A guest.\n</think>\nHello.", "A guest.", "Hello."),
        ("Hello.", "", "Hello."),
        ("Hello. <think>", "", "Hello. <think>"),
    ],
)
def test_thoughts_are_split_from_the_words(text, reasoning, content):
    assert parse_reply(text, thinks=True) == (Message(role="assistant", content=content, reasoning=reasoning), "")
    assert parse_reply(text)[0].reasoning == ""


def test_a_call_after_thoughts_is_made_and_a_malformed_one_keeps_them_apart():
    good = '<tool_call>{"name":"f","arguments":{"x":"</think>"}}</tool_call>'
    message, problem = parse_reply(f"<think>Which?</think>{good}", thinks=True)
    assert (message.reasoning, message.content, problem) == ("Which?", "", "")
    assert message.tool_calls[0].arguments == {"x": "</think>"}
    assert parse_reply(good, thinks=True)[0].tool_calls == message.tool_calls
    broken, problem = parse_reply("<think>Which?</think><tool_call>{", thinks=True)
    assert broken == Message(role="assistant", content="<tool_call>{", reasoning="Which?")
    assert problem == "the text ends inside a call, before </tool_call>"


def test_thoughts_that_do_not_end_are_a_problem_and_nobody_hears_them():
    message, problem = parse_reply("<think>\nWhich book", thinks=True)
    assert message == Message(role="assistant", content="", reasoning="Which book")
    assert problem == "the text ends inside <think>, before </think>"
