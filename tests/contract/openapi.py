"""Reading our own OpenAPI page: its operations, their curl lines as bash hands them to curl, its shapes as JSON Schema."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from tests.factories.api import Http

METHODS: Final = ("get", "post", "put", "patch", "delete")
_CURL: Final = re.compile(r"```(?:\w*)\n(curl .+?)\n```", re.DOTALL)


@cache
def document() -> dict[str, Any]:
    """Return the document as `/api/schema/` serves it."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    spec: dict[str, Any] = field(repr=False, hash=False, compare=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def curl(self) -> str:
        found = _CURL.search(self.spec.get("description", ""))
        return found[1] if found else ""


def operations() -> list[Operation]:
    return [
        Operation(method.upper(), path, spec)
        for path, methods in document()["paths"].items()
        for method, spec in methods.items()
        if method in METHODS
    ]


def routes() -> set[tuple[str, str]]:
    """Return (method, path) of everything that is mounted below /api/v1/."""
    [mount] = [one for one in get_resolver().url_patterns if str(one.pattern) == "api/"]
    [*versions] = [one for one in mount.url_patterns if str(one.pattern) == "v1/"]  # type: ignore[union-attr]
    return {
        (method.upper(), f"/api/v1/{_shape(route)}")
        for version in versions
        for route, view in _leaves(version)
        for method in METHODS
        if hasattr(view, method)
    }


def _leaves(resolver: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from _leaves(one, prefix + str(one.pattern))
        else:
            yield prefix + str(one.pattern), one.callback.view_class


def _shape(route: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def arguments(line: str, names: dict[str, str]) -> list[str]:
    """Return what curl would be given if a person pasted the line into bash, with these names set."""
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + line
    ran = subprocess.run(
        ["/bin/bash", "-u", "-c", script], env=names, capture_output=True, text=True, check=True
    )
    return ran.stdout.split("\0")[:-1]


def run(line: str, names: dict[str, str]) -> Any:
    """Send what the line would send, in this process."""
    method, body, headers, url = "", None, {}, ""
    given = iter(arguments(line, names))
    for one in given:
        if one == "-X":
            method = next(given)
        elif one == "-H":
            name, _, value = next(given).partition(": ")
            headers[name] = value
        elif one in ("-d", "--data"):
            body = next(given)
        else:
            url = one
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    method = method or ("GET" if body is None else "POST")
    return Http().generic(
        method, url.removeprefix(names["URL"]), (body or "").encode(), content_type=kind, headers=headers
    )


def strict(shape: Any) -> Any:
    """Return a shape as JSON Schema: `nullable` spelt out, and no field that the page does not name."""
    if isinstance(shape, list):
        return [strict(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    found = {
        name: strict(inner)
        for name, inner in shape.items()
        if name not in ("nullable", "readOnly", "description")
    }
    if "properties" in shape:
        found["properties"] = {name: strict(inner) for name, inner in shape["properties"].items()}
        found.setdefault("additionalProperties", False)
    return {"anyOf": [found, {"type": "null"}]} if shape.get("nullable") else found


@cache
def components() -> dict[str, Any]:
    schemas = document()["components"]["schemas"]
    return {"schemas": {name: strict(shape) for name, shape in schemas.items()}}


def answer_schema(operation: Operation, status: int) -> dict[str, Any] | None:
    """Return what the page says of an answer; None where it says that there is no body."""
    content = operation.spec["responses"][str(status)].get("content")
    return strict(content["application/json"]["schema"]) | {"components": components()} if content else None
