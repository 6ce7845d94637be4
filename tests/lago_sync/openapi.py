"""Lago's official schema: finds the operation of a request, and says what in a body or an answer it does not allow.

The file is Lago's (AGPL) and lies outside the repository: `LAGO_OPENAPI` names it.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(os.environ.get("LAGO_OPENAPI", ROOT / "../shared/data/lago-openapi.yaml"))
_URN = "urn:lago"


@cache
def document() -> dict[str, Any]:
    return yaml.load(PATH.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def operation(method: str, path: str) -> tuple[str, str] | None:
    """Return the schema's template of a path and the method, None where it has no such operation."""
    found = [
        template
        for template, item in document()["paths"].items()
        if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    return (min(found, key=lambda one: one.count("{")), method.lower()) if found else None


def of_request(named: tuple[str, str], body: Any) -> list[str]:
    """Return what the schema does not allow in the body of a request, fields that it does not know included."""
    pointer = _content(["paths", named[0], named[1], "requestBody"])
    if pointer is None:
        return [] if body is None else ["the schema knows no body"]
    if body is None and not _at(["paths", named[0], named[1], "requestBody"]).get("required"):
        return []
    return [*_wrong(pointer, body), *_unknown(_resolved(pointer), body)]


def of_answer(named: tuple[str, str], status: int, body: Any) -> list[str]:
    """Return what the schema does not allow in an answer."""
    responses = _at(["paths", named[0], named[1], "responses"])
    if str(status) not in responses:
        return [f"the schema knows no status {status}"]
    pointer = _content(["paths", named[0], named[1], "responses", str(status)])
    return [] if pointer is None else _wrong(pointer, body)


def _content(pointer: list[str]) -> list[str] | None:
    """Return where the JSON schema of a body stands, following references to it."""
    found: Any = document()
    for part in pointer:
        found = found.get(part) if isinstance(found, dict) else None
    if found is None:
        return None
    if "$ref" in found:
        return _content(found["$ref"].removeprefix("#/").split("/"))
    content = found.get("content", {})
    return [*pointer, "content", "application/json", "schema"] if "application/json" in content else None


def _wrong(pointer: list[str], body: Any) -> list[str]:
    spot = "/".join(part.replace("~", "~0").replace("/", "~1") for part in pointer)
    return [f"{one.json_path}: {one.message[:160]}" for one in _validator(spot).iter_errors(body)]


@cache
def _validator(spot: str) -> Any:
    resource: Resource[Any] = DRAFT202012.create_resource(document())
    return Draft202012Validator(
        {"$ref": f"{_URN}#/{spot}"},
        registry=Registry().with_resource(_URN, resource),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def _unknown(schema: dict[str, Any], body: Any, where: str = "$") -> Iterator[str]:
    """Yield fields that we send and the schema does not name: Lago drops them without a word."""
    if isinstance(body, list):
        for one in body:
            yield from _unknown(_follow(schema.get("items", {})), one, where + "[]")
    if not isinstance(body, dict):
        return
    known = _properties(schema)
    for name, inner in body.items():
        if known and name not in known and "additionalProperties" not in schema:
            yield f"{where}.{name}: unknown"
        yield from _unknown(_follow(known.get(name, {})), inner, f"{where}.{name}")


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    found = dict(schema.get("properties", {}))
    for kind in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(kind, []):
            found |= _properties(_follow(one))
    return found


def _resolved(pointer: list[str]) -> dict[str, Any]:
    return _follow(_at(pointer))


def _follow(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = _at(schema["$ref"].removeprefix("#/").split("/"))
    return schema


def _at(pointer: list[str]) -> Any:
    found: Any = document()
    for part in pointer:
        found = found[part]
    return found
