"""From a request to a verb and back: key, JSON, one transaction, Lago's error bodies."""

import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from lago_sandbox import keys, store, switches
from lago_sandbox.errors import ApiError, BadRequest, Forbidden, MissingRoot, NotFound, Unauthorized

Answer = dict[str, Any] | HttpResponse | None
Verb = Callable[..., Answer]


def resource(**verbs: Verb) -> Callable[..., HttpResponse]:
    """Return a view with one verb a method: `resource(GET=index, POST=create)`; None answers 200 without a body."""

    @csrf_exempt
    def view(request: HttpRequest, **path: str) -> HttpResponse:
        asked = str(request.method)
        verb = verbs.get("PUT" if asked == "PATCH" and "PATCH" not in verbs else asked)
        if verb is None:
            return not_found(request)
        try:
            _require_key(request)
            if request.method == "GET":
                return _answer(verb(request, **path))
            with store.writing():
                found = verb(request, **path)
            return _answer(found)
        except ApiError as error:
            return JsonResponse(error.body(), status=error.status)

    return view


@csrf_exempt
def not_found(_request: HttpRequest, **_path: str) -> HttpResponse:
    """Answer for a path or a method that is not there."""
    return JsonResponse({"status": 404, "error": "Not Found", "code": "resource_not_found"}, status=404)


def health(_request: HttpRequest) -> HttpResponse:
    """Say that it answers, without a key; by the version a production portal knows a sandbox and refuses it."""
    return JsonResponse({"version": "1.51.0-sandbox", "github_url": "", "message": "Success"})


def premium(_request: HttpRequest, **_path: str) -> Answer:
    """Refuse without a licence what the sandbox has no more of: with one it is an address that is not there."""
    require_licence()
    raise NotFound("resource")


def require_licence() -> None:
    if not switches.read("licence"):
        raise Forbidden("feature_unavailable")


def root(request: HttpRequest, name: str, *, may_be_empty: bool = False) -> dict[str, Any]:
    """Return the object that the body's fields stand in; 400 if it is not there or empty."""
    found = body_of(request).get(name)
    if not isinstance(found, dict) or not (found or may_be_empty):
        raise MissingRoot(name)
    return found


def items(request: HttpRequest, name: str) -> list[dict[str, Any]]:
    """Return a list that the body carries; 400 if it is not there."""
    found = body_of(request).get(name)
    if not isinstance(found, list):
        raise MissingRoot(name)
    return [one if isinstance(one, dict) else {} for one in found]


def body_of(request: HttpRequest) -> dict[str, Any]:
    """Return a body that is a JSON object; 400 for what is no JSON."""
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except ValueError:
        raise BadRequest("Error occurred while parsing request parameters") from None
    return found if isinstance(found, dict) else {}


def _require_key(request: HttpRequest) -> None:
    words = request.headers.get("Authorization", "").split()
    is_event = request.path_info.startswith("/api/v1/events")
    if len(words) < 2 or not keys.is_valid(words[1], for_events=is_event):
        raise Unauthorized


def _answer(found: Answer) -> HttpResponse:
    if isinstance(found, HttpResponse):
        return found
    if found is None:
        return HttpResponse(b"", status=200, content_type="application/json")
    body = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    return HttpResponse(body.encode(), status=200, content_type="application/json; charset=utf-8")
