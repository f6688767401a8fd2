from dataclasses import dataclass
from typing import Any, Literal, NewType

import pytest
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


VALUES: tuple[Any, ...] = (
    None,
    True,
    1,
    1.5,
    "",
    "a",
    "red",
    [],
    ["red"],
    ["a"],
    ["a", 1],
    [True, True],
    {},
    {"a": "b"},
)
SCHEMAS: tuple[dict[str, Any], ...] = (
    {},
    {"type": "string"},
    {"type": "string", "title": "T", "description": "D.", "default": "x"},
    {"type": "string", "enum": ["red"]},
    {"type": "string", "minLength": 2},
    {"type": "boolean"},
    {"type": "integer"},
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"type": "array"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "array", "items": {"type": "string", "enum": ["red"]}},
    {"type": "array", "items": {"type": "boolean"}},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 1},
)


@pytest.mark.parametrize("one", SCHEMAS, ids=str)
@pytest.mark.parametrize("required", [["a"], ["a", "b"], []], ids=str)
def test_a_tool_from_elsewhere_takes_what_its_json_schema_allows(one: dict[str, Any], required: list[str]):
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"a": one, "b": {"type": "string"}},
        "required": required,
    }
    found = external_tool("f", "F.", schema, lambda db, **_: None, writes=False)
    told: list[dict[str, Any]] = [{"a": value} for value in VALUES]
    for arguments in ({}, {"b": "x"}, {"a": "red", "b": 1}, *told, *({**one, "b": "x"} for one in told)):
        if Draft202012Validator(schema).is_valid(arguments):
            assert found.check(arguments) == arguments
        else:
            with pytest.raises(ToolError):
                found.check(arguments)
    with pytest.raises(ToolError, match="unknown argument 'c'"):
        found.check({"a": "red", "c": "x"})
