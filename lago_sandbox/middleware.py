"""Around every request: the loopback only, strict headers, counters, faults."""

import ipaddress
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse

from lago_sandbox import faults, limits

Next = Callable[[HttpRequest], HttpResponse]
_UUID = re.compile(r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:"
_lock = threading.Lock()
counted: Counter[tuple[str, str, int]] = (
    Counter()
)  # (method, path without ids, status); a restart forgets them


def loopback_only(get_response: Next) -> Next:
    """Refuse whoever is not on this machine."""

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        if not peer or not ipaddress.ip_address(peer).is_loopback:
            return HttpResponseForbidden("The sandbox answers on the loopback only.")
        request.get_host()  # a foreign Host is 400: no page of another site reaches it by a name
        if request.path.startswith("/api/") and request.path.endswith("/"):
            request.path_info = request.path_info.rstrip("/")  # Rails takes both
        return get_response(request)

    return middleware


def security_headers(get_response: Next) -> Next:
    """Let pages load nothing but the sandbox's own style sheet, and say in every answer what answers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = _POLICY
        response["X-Content-Type-Options"] = "nosniff"
        response["Referrer-Policy"] = "same-origin"
        response["Cache-Control"] = "no-store"
        response["X-Lago-Sandbox"] = "1"  # by which a portal in production knows that this is no Lago
        return response

    return middleware


def count_requests(get_response: Next) -> Next:
    """Count the requests of the API by method, path and status."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.startswith("/api/"):
            with _lock:
                counted[str(request.method), _UUID.sub("/<id>", request.path_info), response.status_code] += 1
        return response

    return middleware


def limit_rate(get_response: Next) -> Next:
    """Refuse what is too much in a second, where the switch is on."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return get_response(request)
        is_let_in, headers = limits.take(str(request.method), request.path_info)
        refusal = {"status": 429, "error": "Too Many Requests", "code": "rate_limit_exceeded"}
        response = get_response(request) if is_let_in else JsonResponse(refusal, status=429)
        for name, value in headers.items():
            response[name] = value
        return response

    return middleware


def inject_faults(get_response: Next) -> Next:
    """Do what the plan of faults says about an API request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(("/api/", "/health")):
            return get_response(request)
        fault = faults.take(str(request.method), request.get_full_path())
        if fault is None:
            return get_response(request)
        response = get_response(request) if fault.after_commit else None  # committed when it returns
        time.sleep(fault.latency)
        if fault.drop:
            _cut(request)
        if fault.status is not None or fault.drop:
            return HttpResponse(fault.body, status=fault.status or 503, content_type="text/html")
        return response or get_response(request)

    return middleware


def _cut(request: HttpRequest) -> None:
    """Close the connection under gunicorn's hands: the client sees no answer."""
    with suppress(OSError):
        request.META["gunicorn.socket"].shutdown(socket.SHUT_RDWR)
