"""The OpenAPI page of an operation, from the same frozen dataclasses that read its body and shape its answer.

A dataclass that inherits `Shape` becomes a schema component: `Annotated[str, "what it means"]` describes a field, a
default makes it optional in a body, `Decimal` is a decimal string.
"""

import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import append_meta
from drf_spectacular.utils import Direction, OpenApiParameter, OpenApiResponse, extend_schema

_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_View = TypeVar("_View", bound=Callable[..., Any])

_SIMPLE: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Decimal: {"type": "string", "format": "decimal", "example": "12.500000"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    UUID: {"type": "string", "format": "uuid"},
    Any: {},
}
_OF_A_BODY: Final = frozenset({400, 413, 415, 422})
_REASONS: Final = {
    400: "The request cannot be read.",
    401: "No key or session, or one that has ended.",
    402: "Credits, budget or payment do not allow it.",
    403: "The caller may know of it but not do it.",
    404: "It does not exist, or the caller may not know that it does.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Fields were refused; `details` says why, by field.",
    429: "A limit was reached; `Retry-After` says when to come back.",
    502: "Another system that this needs gave no answer, or refused.",
    503: "Nothing was decided; send the same request again.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Base of the dataclasses that the API reads and answers with."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody(Shape):
    code: Annotated[str, "what a program decides by"]
    message: Annotated[str, "a sentence for a person"]
    details: Annotated[dict[str, Any], "the facts behind it; for 422 a sentence by field"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Error(Shape):
    """The one shape of every error."""

    error: ErrorBody


def operation(
    *,
    summary: str,
    answers: Mapping[int, Any],
    errors: Iterable[int] = (),
    request: Any = None,
    curl: str = "",
    parameters: Iterable[OpenApiParameter] = (),
    tag: str = "",
) -> Callable[[_View], _View]:
    """Describe a view's method: `answers` and `request` are shapes, schema dicts or None for no body.

    The summary also names the operation, so no two may be the same. 401 is added to `errors`, and what any body may be refused with; `curl` is one line with `$URL` and `$KEY` in it.
    """
    statuses = sorted({401, *errors} | (_OF_A_BODY if request is not None else set()))
    responses: dict[int, Any] = {
        status: OpenApiResponse(response=answer, description="" if answer else "Done; no body.")
        for status, answer in answers.items()
    }
    responses |= {
        status: OpenApiResponse(response=Error, description=_REASONS.get(status, "")) for status in statuses
    }
    return extend_schema(
        summary=summary,
        operation_id=_NOT_IN_A_NAME.sub("_", summary.lower()).strip("_"),
        description=f"```\n{curl}\n```" if curl else "",
        request={"application/json": request} if request is not None else None,
        responses=responses,
        parameters=list(parameters),
        tags=[tag] if tag else None,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pagination(Shape):
    total: int
    limit: int
    offset: int
    has_more: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CursorPagination(Shape):
    next_cursor: str | None
    limit: int


@cache
def list_of(shape: type[Shape]) -> type[Shape]:
    """Return the shape of a page counted by limit and offset (`kit.rest.lists`)."""
    return _page(f"{shape.__name__}List", shape, Pagination)


@cache
def cursor_list_of(shape: type[Shape]) -> type[Shape]:
    """Return the shape of a page that goes on by cursor (`kit.rest.lists`)."""
    return _page(f"{shape.__name__}Feed", shape, CursorPagination)


def object_schema(shape: type[Shape], *, refer: Callable[[type[Shape]], dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON schema of a shape; `refer` says how another shape inside it is named."""
    hints = get_type_hints(shape, include_extras=True)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _of(hints[field.name], refer) for field in dataclasses.fields(shape)},
    }
    required = [field.name for field in dataclasses.fields(shape) if _is_required(field)]
    if required:
        schema["required"] = required
    if shape.__doc__ and not shape.__doc__.startswith(f"{shape.__name__}("):
        schema["description"] = shape.__doc__
    return schema


class ShapeExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Teaches drf-spectacular shapes, as it knows serializers."""

    target_class = "kit.rest.schema.Shape"
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        name: str = self.target.__name__
        return name

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        def refer(shape: type[Shape]) -> dict[str, Any]:
            reference: dict[str, Any] = auto_schema.resolve_serializer(shape, direction).ref  # type: ignore[arg-type]
            return reference

        return object_schema(self.target, refer=refer)


def _page(name: str, shape: type[Shape], pagination: type[Shape]) -> type[Shape]:
    fields = [("data", types.GenericAlias(list, (shape,))), ("pagination", pagination)]
    return dataclasses.make_dataclass(name, fields, bases=(Shape,), frozen=True, namespace={"__doc__": ""})


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _of(hint: Any, refer: Callable[[type[Shape]], dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of one annotation."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    if isinstance(hint, type) and issubclass(hint, Shape):
        return refer(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"type": "string", "enum": [choice.value for choice in hint]}
    return _of_generic(get_origin(hint) or hint, get_args(hint), refer)


def _of_generic(
    origin: Any, inside: tuple[Any, ...], refer: Callable[[type[Shape]], dict[str, Any]]
) -> dict[str, Any]:
    if origin is Annotated:
        return append_meta(_of(inside[0], refer), {"description": " ".join(str(note) for note in inside[1:])})
    if origin is Literal:
        return {"type": "string", "enum": list(inside)}
    if origin in {Union, types.UnionType}:
        options = [_of(one, refer) for one in inside if one is not type(None)]
        schema = options[0] if len(options) == 1 else {"oneOf": options}
        return append_meta(schema, {"nullable": True}) if type(None) in inside else schema
    if origin in {list, tuple, frozenset}:
        return {"type": "array", "items": _of(inside[0], refer) if inside else {}}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(inside[1], refer) if inside else {}}
    raise TypeError(f"No schema is known for {origin!r}")
