"""Reading Lago's official OpenAPI description, which lies beside the repository and is not part of it."""

import os
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FILE = Path(
    os.environ.get("LAGO_OPENAPI") or Path(__file__).resolve().parents[3] / "shared/data/lago-openapi.yaml"
)
_formats = jsonschema.FormatChecker(["uuid", "date", "email"])
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@_formats.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_TIME.fullmatch(value) and datetime.fromisoformat(value))


@cache
def document() -> dict[str, Any]:
    return yaml.load(FILE.read_text(), Loader=yaml.CSafeLoader)


@cache
def _registry() -> Registry:
    return Registry().with_resource("lago:", DRAFT202012.create_resource(document()))


def template(method: str, path: str) -> str | None:
    """Return the path of the description that a real path belongs to; a literal part goes before a variable one."""
    found = [
        one
        for one, operations in document()["paths"].items()
        if method.lower() in operations and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", one), path)
    ]
    return min(found, key=lambda one: one.count("{"), default=None)


def answer_pointer(method: str, path: str, status: int) -> str | None:
    """Return where the shape of an answer stands; None if the description does not know the status or has no body."""
    place = f"#/paths/{_escaped(path)}/{method.lower()}/responses/{status}"
    found = document()["paths"][path][method.lower()]["responses"].get(str(status))
    if found is None:
        return None
    if "$ref" in found:
        place = found["$ref"]
        found = document()["components"]["responses"][place.rsplit("/", 1)[1]]
    return f"{place}/content/application~1json/schema" if "content" in found else None


def request_pointer(method: str, path: str) -> str | None:
    found = document()["paths"][path][method.lower()].get("requestBody", {})
    if "content" not in found:
        return None
    return f"#/paths/{_escaped(path)}/{method.lower()}/requestBody/content/application~1json/schema"


@cache
def webhook_pointers() -> dict[str, str]:
    """Return where the shape of each type of message stands."""
    content = ("post", "requestBody", "content", "application/json", "schema")
    found = {}
    for name, item in document()["webhooks"].items():
        place, schema = f"#/webhooks/{_escaped(name)}", item
        for part in content:
            place, schema = f"{place}/{_escaped(part)}", schema[part]
        for kind in schema.get("properties", {}).get("webhook_type", {}).get("enum", []):
            found[kind] = place
    return found


def problems(pointer: str, body: Any) -> list[tuple[str, str]]:
    """Return (place, message) of everything in a body that the description does not allow."""
    validator = jsonschema.Draft202012Validator(
        {"$ref": f"lago:{pointer}"}, registry=_registry(), format_checker=_formats
    )
    return [
        (re.sub(r"\[\d+\]", "[]", leaf.json_path), leaf.message)
        for error in validator.iter_errors(body)
        for leaf in _leaves(error)
    ]


def _leaves(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """Return the innermost reasons: of alternatives those of the nearest one."""
    if not error.context:
        return [error]
    alternatives: dict[object, list[jsonschema.ValidationError]] = {}
    for one in error.context:
        alternatives.setdefault(one.schema_path[0], []).extend(_leaves(one))
    return min(alternatives.values(), key=len)


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
