"""From a function's parameters to an input schema, and from an input to arguments.

- The context goes to the parameter annotated `Context` or `SyncContext`, or to a first one named `ctx`.
- No other parameter: the input is ignored.
- One other parameter: the input is its value, or an object with its name as the only key. The
  published schema describes the value. An object that could be either is the value when the type
  has a property of that name or takes any object (`dict`, `Any`); else it is the named form.
- Several: the input is an object with their names. Unknown names are refused.

Values are checked as JSON, strictly: `"3"` is no int, but an ISO string is a `datetime`, a string an
enum, an object a dataclass or a Pydantic model. The function gets the converted values.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any, NotRequired, Required

import msgspec
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python
from typing_extensions import TypedDict

from runwell.agents.python.errors import UnusableFunction
from runwell.agents.python.faults import invalid_input
from runwell.domain.agent import TEXT_INPUT
from runwell.domain.json_gate import Json, JsonValue, encode
from runwell.ports.agent import Context, SyncContext

ANY_INPUT = Json(b"{}")
"""The schema of an agent that takes no input: whatever is sent is ignored."""

Bound = tuple[list[Any], dict[str, Any]]


class Signature:
    """One function's inputs and output. Raises `UnusableFunction` for what cannot be served."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._parameters = _parameters(name, function)
        hints = _hints(name, function)
        self._context = _context_parameter(self._parameters, hints)
        self._inputs = [p for p in self._parameters if p.name != self._context]
        self._types = {p.name: hints.get(p.name, Any) for p in self._inputs}
        self._lone = self._inputs[0] if len(self._inputs) == 1 else None
        self._value = self._adapter(self._types[self._lone.name]) if self._lone else None
        self._object = self._adapter(_object_type(name, self._inputs, self._types)) if self._inputs else None
        self._value_schema = self._json_schema(self._value) if self._value else {}
        self.input_schema = self._input_schema()
        self.output_schema = _output_schema(function, hints)

    @property
    def takes_context(self) -> bool:
        return self._context is not None

    def arguments(self, value: JsonValue) -> dict[str, Any]:
        """The checked and converted inputs by parameter name. Raises `InvalidInput`."""
        if self._lone is None or self._value is None:
            return self._named({} if value is None and not self._required() else value)
        if value is None and not self._required() and not _fits(self._value, value):
            return {}
        named = isinstance(value, dict) and set(value) <= {self._lone.name}
        if named and (self._cannot_be_value() or not _fits(self._value, value)):
            return self._named(value)
        return {self._lone.name: self._checked(self._value, value)}

    def bind(self, context: Context | SyncContext, arguments: dict[str, Any]) -> Bound:
        """The arguments as the function takes them; its own defaults stand where none was given."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter in self._parameters:
            if parameter.name == self._context:
                value: Any = context
            elif parameter.name in arguments:
                value = arguments[parameter.name]
            else:
                value = parameter.default
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                args.append(value)
        return args, kwargs

    def object_schema(self) -> dict[str, Any]:
        """The schema of the object form, also for a lone parameter: what a model fills in for a tool."""
        if self._object is None:
            return {"type": "object", "properties": {}, "additionalProperties": False}
        schema = self._json_schema(self._object)
        for parameter in self._inputs:
            if parameter.default is not inspect.Parameter.empty:
                _note_default(schema["properties"][parameter.name], parameter.default)
        return schema

    def _named(self, value: JsonValue) -> dict[str, Any]:
        if self._object is None:
            return {}
        arguments: dict[str, Any] = self._checked(self._object, value)
        return arguments

    def _checked(self, adapter: TypeAdapter[Any], value: JsonValue) -> Any:
        try:
            return _validate(adapter, value)
        except ValidationError as error:
            raise invalid_input(self._name, value, error) from None

    def _required(self) -> bool:
        return any(p.default is inspect.Parameter.empty for p in self._inputs)

    def _cannot_be_value(self) -> bool:
        """Whether an object with only the parameter's name is surely the named form."""
        schema = self._value_schema
        if "$ref" in schema:
            schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        properties = schema.get("properties")
        if schema.get("type", "object") != "object":
            return True
        return properties is not None and self._lone is not None and self._lone.name not in properties

    def _input_schema(self) -> Json:
        if not self._inputs:
            return ANY_INPUT
        if self._lone is None:
            return encode(self.object_schema())
        if self._types[self._lone.name] is str and self._lone.default is inspect.Parameter.empty:
            return TEXT_INPUT
        schema = dict(self._value_schema)
        if self._lone.default is not inspect.Parameter.empty:
            _note_default(schema, self._lone.default)
        return encode(schema)

    def _adapter(self, type_: Any) -> TypeAdapter[Any]:
        try:
            return TypeAdapter(type_)
        except PydanticUserError as error:
            raise UnusableFunction(
                f"agent {self._name!r}: a parameter's type has no JSON form: {_first_line(error)}"
            ) from error

    def _json_schema(self, adapter: TypeAdapter[Any]) -> dict[str, Any]:
        try:
            return adapter.json_schema()
        except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
            raise UnusableFunction(
                f"agent {self._name!r}: a parameter's type has no JSON Schema: {_first_line(error)}"
            ) from error


def _parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise UnusableFunction(
                f"agent {name!r} takes {parameter}: name each input, so that callers can be told what to send"
            )
    return parameters


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Resolved annotations. Context imported only under TYPE_CHECKING is known anyway."""
    plain = inspect.unwrap(function)
    names = {"Context": Context, "SyncContext": SyncContext, **getattr(plain, "__globals__", {})}
    try:
        return typing.get_type_hints(plain, globalns=names, include_extras=True)
    except NameError as error:
        raise UnusableFunction(
            f"agent {name!r}: an annotation names {error.name!r}, which its module does not define; "
            "import it there, outside of `if TYPE_CHECKING:`"
        ) from error


def _context_parameter(parameters: list[inspect.Parameter], hints: dict[str, Any]) -> str | None:
    for parameter in parameters:
        if hints.get(parameter.name) in (Context, SyncContext):
            return parameter.name
    if parameters and parameters[0].name == "ctx":
        return "ctx"
    return None


def _object_type(name: str, inputs: list[inspect.Parameter], types: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {}
    for parameter in inputs:
        required = parameter.default is inspect.Parameter.empty
        type_ = types[parameter.name]
        fields[parameter.name] = Required[type_] if required else NotRequired[type_]
    make: Any = TypedDict
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _output_schema(function: Callable[..., Any], hints: dict[str, Any]) -> Json | None:
    """The schema of the returned value; None for streams, no annotation, and types without a schema."""
    returned = hints.get("return", Any)
    if returned in (Any, None, type(None), typing.NoReturn) or inspect.isasyncgenfunction(function):
        return None
    if inspect.isgeneratorfunction(function):
        return None
    try:
        schema = TypeAdapter(returned).json_schema(mode="serialization")
    except (PydanticUserError, PydanticInvalidForJsonSchema):
        return None
    return encode(schema)


def _note_default(schema: dict[str, Any], default: object) -> None:
    try:
        schema.setdefault("default", to_jsonable_python(default))
    except PydanticSerializationError:
        schema["description"] = "optional"


def _validate(adapter: TypeAdapter[Any], value: JsonValue) -> Any:
    return adapter.validate_json(msgspec.json.encode(value), strict=True)


def _fits(adapter: TypeAdapter[Any], value: JsonValue) -> bool:
    try:
        _validate(adapter, value)
    except ValidationError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
