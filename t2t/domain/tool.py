"""Tools: plain typed functions whose signature and docstring are the schema a model reads.

The first parameter of a tool function is the domain's database; the rest are the arguments. A
parameter typed with a `NewType` over str or int says what kind of value it takes (``OrderId``);
exploration feeds it values of the same kind that other tools returned.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, cast, get_args, get_origin, get_type_hints

import orjson
from pydantic import ConfigDict, JsonValue, ValidationError, create_model

from t2t.errors import ToolError

KindedValue = tuple[str, str | int]
"""A value and its kind, the name of a `NewType`: ``("OrderId", "#W0000001")``."""


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool."""

    name: str
    annotation: Any
    required: bool
    description: str

    @cached_property
    def kind(self) -> str | None:
        """Name of the `NewType` of the value, or of each value of a list; None if it has none."""
        return kind_of(self.annotation)

    @cached_property
    def is_list(self) -> bool:
        """True when the argument is a list of values."""
        return get_origin(_without_none(self.annotation)) is list

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Allowed values of a `Literal` parameter, else empty."""
        plain = _without_none(self.annotation)
        return get_args(plain) if get_origin(plain) is Literal else ()


@dataclass(frozen=True)
class Tool:
    """A function of a domain's database that the agent may call."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    writes: bool
    function: Callable[..., Any]
    check: Callable[[Mapping[str, JsonValue]], dict[str, Any]]
    """Arguments as the function takes them; raises `ToolError` when one is missing, unknown or of the wrong type."""
    harvest: Callable[[Any], Iterator[KindedValue]]
    """Every value of a known kind inside a result."""
    input_schema: Mapping[str, JsonValue]
    """JSON schema of the arguments, an object."""

    @property
    def schema(self) -> dict[str, JsonValue]:
        """The tool in OpenAI function format."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.input_schema),
            },
        }

    @cached_property
    def kinds_given(self) -> frozenset[str]:
        """Kinds of the values in a result, as its annotation has them; none where there is no annotation."""
        return frozenset(_kinds_in(get_type_hints(self.function).get("return")))

    def kinded(self, arguments: Mapping[str, JsonValue]) -> Iterator[KindedValue]:
        """Every value of a known kind among a call's arguments, those of lists one by one."""
        for parameter in self.parameters:
            value = arguments.get(parameter.name)
            if parameter.kind is None or value is None:
                continue
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, str | int):
                    yield parameter.kind, item

    def __call__(self, db: Any, arguments: Mapping[str, JsonValue]) -> Any:
        """Check the arguments and run the function on `db`.

        Raises:
            ToolError: an argument is missing, unknown or of the wrong type, or the function refuses.
        """
        return self.run(db, self.check(arguments))

    def run(self, db: Any, checked: Mapping[str, Any]) -> Any:
        """Run the function on `db` with arguments as `check` returns them.

        Raises:
            ToolError: the function refuses.
        """
        return self.function(db, **checked)


_PLAIN = frozenset({str, int, float, bool, NoneType})


def tool(*, writes: bool) -> Callable[[Callable[..., Any]], Tool]:
    """Make a `Tool` of a typed function with a Google docstring.

    Args:
        writes: True when the function may change the database.

    Raises:
        TypeError: a parameter or the result has no type, or a parameter no description.
    """

    def make(function: Callable[..., Any]) -> Tool:
        hints = get_type_hints(function, include_extras=True)
        summary, described = _read_docstring(function)
        parameters: list[Parameter] = []
        shape: dict[str, Any] = {}
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            if parameter.name not in hints or parameter.name not in described:
                raise TypeError(f"{function.__name__}: parameter {parameter.name!r} needs a type and a description")
            required = parameter.default is inspect.Parameter.empty
            annotation = hints[parameter.name]
            parameters.append(Parameter(parameter.name, annotation, required, described[parameter.name]))
            shape[parameter.name] = (annotation, ... if required else parameter.default)
        if "return" not in hints:
            raise TypeError(f"{function.__name__}: the result needs a type")
        name, returns = function.__name__, hints["return"]
        model = create_model(name, __config__=ConfigDict(strict=True, allow_inf_nan=False), **shape)

        def check(arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
            _require_keepable(name, arguments, shape)
            try:
                checked = model.model_validate(dict(arguments))
            except ValidationError as error:
                raise ToolError(f"{name}: {_explain(error)}") from None
            return vars(checked)

        return Tool(
            name=name,
            description=summary,
            parameters=tuple(parameters),
            writes=writes,
            function=function,
            check=check,
            harvest=lambda value: harvest(value, returns),
            input_schema={
                "type": "object",
                "properties": {p.name: _json_schema(p) for p in parameters},
                "required": [p.name for p in parameters if p.required],
            },
        )

    return make


def external_tool(
    name: str,
    description: str,
    input_schema: Mapping[str, JsonValue],
    function: Callable[..., Any],
    *,
    writes: bool,
    kinds: Mapping[str, Any] | None = None,
    harvest: Callable[[Any], Iterator[KindedValue]] = lambda value: iter(()),
) -> Tool:
    """Make a `Tool` of a function that is described by a JSON schema alone, as other systems have it.

    Args:
        name: Name as the agent calls it.
        description: What it does, for the agent.
        input_schema: JSON schema of the arguments, an object.
        function: Called as ``function(db, **arguments)``; raises `ToolError` when it refuses.
        writes: True when it may change the state.
        kinds: By parameter name, the `NewType` (or a list of it) of the values it takes.
        harvest: Every value of a known kind inside a result.
    """
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(dict(input_schema))
    properties = cast(dict[str, dict[str, JsonValue]], input_schema.get("properties", {}))
    required = cast(list[str], input_schema.get("required", []))
    annotations = kinds or {}
    parameters = tuple(
        Parameter(
            key,
            annotations.get(key, _annotation(schema)),
            key in required,
            str(schema.get("description", schema.get("title", key))),
        )
        for key, schema in properties.items()
    )

    fits = _plain_check(input_schema)

    def check(arguments: Mapping[str, JsonValue]) -> dict[str, Any]:
        _require_keepable(name, arguments, properties)
        given = dict(arguments)
        if fits is not None and fits(given):
            return given
        for error in validator.iter_errors(given):
            where = ".".join(str(part) for part in error.absolute_path)
            raise ToolError(f"{name}: {f'argument {where!r}: ' if where else ''}{error.message}")
        return given

    return Tool(name, description, parameters, writes, function, check, harvest, dict(input_schema))


def to_json(value: Any) -> str:
    """JSON text of a tool's value, as the agent reads it; a plain string stays as it is."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_PLAIN_TYPES = {"string": str, "boolean": bool}
_DESCRIBING = frozenset({"title", "description", "default", "examples"})


def _plain_check(schema: Mapping[str, JsonValue]) -> Callable[[Mapping[str, JsonValue]], bool] | None:
    """True for arguments that certainly fit; None for a schema beyond strings, booleans and lists of them.

    Most schemas are so plain, and a validator takes a hundred times longer to find that all is well.
    """
    properties = cast(dict[str, dict[str, JsonValue]], schema.get("properties", {}))
    kinds: dict[str, tuple[bool, type]] = {}
    for name, one in properties.items():
        is_list = one.get("type") == "array"
        inner = cast(dict[str, JsonValue], one.get("items", {})) if is_list else one
        kind = _PLAIN_TYPES.get(str(inner.get("type")))
        known = _DESCRIBING | {"type", "items"} if is_list else _DESCRIBING | {"type"}
        if kind is None or not one.keys() <= known or not inner.keys() <= _DESCRIBING | {"type"}:
            return None
        kinds[name] = is_list, kind
    if not schema.keys() <= _DESCRIBING | {"type", "properties", "required", "additionalProperties"}:
        return None
    required = frozenset(cast(list[str], schema.get("required", [])))

    def fits(arguments: Mapping[str, JsonValue]) -> bool:
        if not required <= arguments.keys():
            return False
        for name, value in arguments.items():
            is_list, kind = kinds[name]
            if not is_list:
                if type(value) is not kind:
                    return False
            elif not isinstance(value, list) or not all(type(item) is kind for item in value):
                return False
        return True

    return fits


def _kinds_in(annotation: Any) -> Iterator[str]:
    if isinstance(annotation, NewType):
        yield annotation.__name__
    elif is_dataclass(annotation):
        for hint in get_type_hints(annotation).values():
            yield from _kinds_in(hint)
    elif get_origin(annotation) is not None:
        for inner in get_args(annotation):
            yield from _kinds_in(inner)


def kind_of(annotation: Any) -> str | None:
    """Name of the `NewType` in an annotation, looking through None, lists and tuples."""
    plain = _without_none(annotation)
    if isinstance(plain, NewType):
        return plain.__name__
    if get_origin(plain) in (list, tuple):
        return kind_of(get_args(plain)[0])
    return None


def harvest(value: Any, annotation: Any) -> Iterator[KindedValue]:
    """Every value of a known kind inside a tool's result, by its annotation."""
    gather = _gatherer(annotation)
    found: list[KindedValue] = []
    if gather is not None:
        gather(value, found)
    return iter(found)


@cache
def _gatherer(annotation: Any) -> Callable[[Any, list[KindedValue]], None] | None:
    """Appends what `harvest` finds; None for an annotation that holds no kind, so that its values are not walked."""
    plain = _without_none(annotation)
    if isinstance(plain, NewType):
        name = plain.__name__

        def gather_one(value: Any, found: list[KindedValue]) -> None:
            if value is not None:
                found.append((name, value))

        return gather_one
    if get_origin(plain) in (list, tuple):
        inner = _gatherer(get_args(plain)[0])
        if inner is None:
            return None

        def gather_all(value: Any, found: list[KindedValue]) -> None:
            for element in value or ():
                inner(element, found)

        return gather_all
    if plain in _PLAIN or get_origin(plain) is Literal:
        return None
    if isinstance(plain, type) and is_dataclass(plain):
        return _gather_fields(plain)

    def gather_any(value: Any, found: list[KindedValue]) -> None:
        if is_dataclass(value) and not isinstance(value, type) and (gather := _gatherer(type(value))):
            gather(value, found)

    return gather_any


def _gather_fields(row_type: type) -> Callable[[Any, list[KindedValue]], None] | None:
    hints = get_type_hints(row_type)
    gatherers = [(one.name, inner) for one in fields(row_type) if (inner := _gatherer(hints[one.name]))]
    if not gatherers:
        return None

    def gather_each(value: Any, found: list[KindedValue]) -> None:
        if value is not None:
            for name, gather in gatherers:
                gather(getattr(value, name), found)

    return gather_each


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        if len(rest) == 1:
            return rest[0]
    return annotation


def _read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    text = inspect.getdoc(function) or ""
    head, _, rest = text.partition("\nArgs:\n")
    arguments = rest.split("\n\n")[0]
    described = {
        match[1]: " ".join(match[2].split())
        for match in re.finditer(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", arguments, re.MULTILINE)
    }
    return " ".join(head.split()), described


def _annotation(schema: Mapping[str, JsonValue]) -> Any:
    """A Python type that says of a JSON schema what exploration wants to know."""
    if isinstance(choices := schema.get("enum"), list) and all(isinstance(choice, str) for choice in choices):
        return Literal[tuple(choices)]
    return list[Any] if schema.get("type") == "array" else Any


def _json_schema(parameter: Parameter) -> dict[str, JsonValue]:
    plain = _without_none(parameter.annotation)
    return {**_json_type(plain), "description": parameter.description}


def _json_type(annotation: Any) -> dict[str, JsonValue]:
    if isinstance(annotation, NewType):
        return _json_type(annotation.__supertype__)
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    if get_origin(annotation) is list:
        return {"type": "array", "items": _json_type(get_args(annotation)[0])}
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if annotation not in names:
        raise TypeError(f"a tool parameter cannot have type {annotation!r}; use str, int, float, bool, Literal, list")
    return {"type": names[annotation]}


def _require_keepable(tool_name: str, arguments: Mapping[str, JsonValue], known: Collection[str]) -> None:
    """Refuse unknown arguments, and what no record can hold: integers over 64 bits, half characters, deep nesting."""
    for name in arguments:
        if name not in known:
            raise ToolError(f"{tool_name}: unknown argument {name!r}; arguments are: {', '.join(known) or 'none'}")
    try:
        orjson.dumps(arguments)
    except orjson.JSONEncodeError as error:
        raise ToolError(f"{tool_name}: the arguments are no JSON that can be kept: {str(error).lower()}") from None


def _explain(error: ValidationError) -> str:
    parts: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "missing":
            parts.append(f"argument {where!r} is missing")
        else:
            parts.append(f"argument {where!r}: {item['msg'][0].lower()}{item['msg'][1:]}")
    return "; ".join(parts)
