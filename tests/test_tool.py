from dataclasses import dataclass
from typing import Literal, NewType

import pytest

from t2t.domain.tool import harvest, tool
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
