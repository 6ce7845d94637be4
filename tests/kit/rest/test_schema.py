"""Schemas of shapes, and that every operation of the API is described whole."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from kit.rest import schema
from kit.rest.schema import Shape


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Shape):
    x: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Shape):
    """All that a shape may hold."""

    text: Annotated[str, "what it means"]
    amount: Decimal
    at: datetime | None
    inner: Inner
    many: list[Inner]
    word: Literal["a", "b"]
    colour: Colour
    free: dict[str, Any]
    either: int | str
    flag: bool = False
    listed: list[str] = field(default_factory=list)


def test_says_what_each_field_is():
    found = schema.object_schema(Everything, refer=lambda shape: {"$ref": f"#/{shape.__name__}"})
    assert found["description"] == "All that a shape may hold."
    assert found["required"] == ["text", "amount", "at", "inner", "many", "word", "colour", "free", "either"]
    properties = found["properties"]
    assert properties["text"] == {"type": "string", "description": "what it means"}
    assert (properties["amount"]["type"], properties["amount"]["format"]) == ("string", "decimal")
    assert properties["at"] == {"type": "string", "format": "date-time", "nullable": True}
    assert properties["inner"] == {"$ref": "#/Inner"}
    assert properties["many"] == {"type": "array", "items": {"$ref": "#/Inner"}}
    assert properties["word"] == properties["word"] | {"enum": ["a", "b"]}
    assert properties["colour"] == {"type": "string", "enum": ["red"]}
    assert properties["either"] == {"oneOf": [{"type": "integer"}, {"type": "string"}]}
    assert properties["listed"] == {"type": "array", "items": {"type": "string"}}


def test_refuses_a_type_it_has_no_word_for():
    @dataclass(frozen=True)
    class Odd(Shape):
        odd: complex

    with pytest.raises(TypeError):
        schema.object_schema(Odd, refer=lambda shape: {})


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_valid(document):
    validate_schema(document)


def test_every_operation_has_answers_errors_and_a_curl_line(document):
    lacking = []
    for name, operation in operations(document):
        statuses = set(operation["responses"])
        good = {one for one in statuses if one < "400"}
        if not good or "401" not in statuses or "curl " not in operation.get("description", ""):
            lacking.append(name)
        if any("content" not in operation["responses"][one] for one in good - {"204"}):
            lacking.append(f"{name}: an answer without a body")
        if name.split()[0] in {"PATCH", "PUT"} and "requestBody" not in operation:
            lacking.append(f"{name}: no request")
    assert lacking == []


def test_every_error_is_in_the_one_shape(document):
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert answer["content"]["application/json"]["schema"] == {
                    "$ref": "#/components/schemas/Error"
                }, name


def test_every_operation_says_who_may_call(document):
    for name, operation in operations(document):
        assert {"key": []} in operation["security"], name
