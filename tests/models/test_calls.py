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
