from dataclasses import dataclass
from typing import Any, Literal, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from t2t.domain.tool import external_tool, harvest, tool
from t2t.errors import ToolError

LampId = NewType("LampId", str)


@dataclass(frozen=True)
class View:
    lamp_id: LampId
    near: tuple[LampId, ...]
    note: str | None = None


@tool(writes=False)
def dim(db: None, lamp_id: LampId, level: int, mode: Literal["slow", "fast"] = "slow") -> View:
    """Dim a lamp.

    Args:
        lamp_id: Id of the lamp,
            with its letter.
        level: From 0 to 9.
        mode: How fast.
    """
    return View(lamp_id, (LampId("l2"), LampId("l3")))


def test_schema_comes_from_signature_and_docstring():
    function = dim.schema["function"]
    assert function["description"] == "Dim a lamp."
    assert function["parameters"] == {
        "type": "object",
        "properties": {
            "lamp_id": {"type": "string", "description": "Id of the lamp, with its letter."},
            "level": {"type": "integer", "description": "From 0 to 9."},
            "mode": {"type": "string", "enum": ["slow", "fast"], "description": "How fast."},
        },
        "required": ["lamp_id", "level"],
    }


def test_values_of_a_kind_are_found_inside_a_result():
    view = dim(None, {"lamp_id": "l1", "level": 3})
    assert list(harvest(view, View)) == [("LampId", "l1"), ("LampId", "l2"), ("LampId", "l3")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"level": 1}, "'lamp_id' is missing"),
        ({"lamp_id": "l1", "level": "high"}, "'level'"),
        ({"lamp_id": "l1", "level": 1.5}, "'level'"),
        ({"lamp_id": "l1", "level": True}, "'level'"),
        ({"lamp_id": 7, "level": 1}, "'lamp_id'"),
        ({"lamp_id": "l1", "level": 1, "mode": "medium"}, "'slow' or 'fast'"),
        ({"lamp_id": "l1", "level": 1, "colour": "red"}, "unknown argument 'colour'; arguments are: lamp_id, level"),
        ({"lamp_id": "l1", "level": None}, "'level'"),
        ({"lamp_id": "l1", "level": 2**64}, "64-bit"),
        ({"lamp_id": "\ud800", "level": 1}, "surrogates"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(arguments: dict[str, object], said: str):
    with pytest.raises(ToolError) as refused:
        dim(None, arguments)
    assert said in str(refused.value)


def test_a_parameter_without_description_is_a_mistake_of_the_author():
    with pytest.raises(TypeError, match="level"):

        @tool(writes=False)
        def broken(db: None, level: int) -> str:
            """Do something."""
            return ""


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3), st.just("red")
)
VALUES = st.one_of(PLAIN, st.lists(PLAIN, max_size=2), st.dictionaries(st.text(max_size=1), PLAIN, max_size=1))
TYPES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "title": "T", "description": "D."},
        {"type": "string", "enum": ["red"]},
        {"type": "string", "minLength": 2},
        {"type": "boolean"},
        {"type": "integer"},
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array", "items": {"type": "string", "enum": ["red"]}},
        {"type": "array", "items": {"type": "boolean"}, "maxItems": 1},
        {"type": "array"},
        {},
    ]
)


@given(
    properties=st.dictionaries(st.sampled_from("abc"), TYPES, max_size=3),
    required=st.sets(st.sampled_from("abc")),
    arguments=st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
)
def test_a_tool_from_elsewhere_takes_what_its_json_schema_allows(
    properties: dict[str, Any], required: set[str], arguments: dict[str, Any]
):
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": sorted(required & set(properties)),
    }
    found = external_tool("f", "F.", schema, lambda db, **_: None, writes=False)
    allowed = arguments.keys() <= properties.keys() and Draft202012Validator(schema).is_valid(arguments)
    if allowed:
        assert found.check(arguments) == arguments
    else:
        with pytest.raises(ToolError):
            found.check(arguments)
