"""The control plane below /sandbox/: time, payments, faults, switches, and a look at all rows. No key: the loopback only."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from lago_sandbox import background, clock, faults, jobs, keys, limits, middleware, store, switches
from lago_sandbox.api import paging
from lago_sandbox.billing import payments
from lago_sandbox.errors import ApiError, NotFound
from lago_sandbox.models import Customer, Delivery, Invoice, Job

HORIZON: Final = 2.0  # seconds ahead that `drain` and `flush` do not wait for
PATIENCE: Final = 30.0  # seconds of real time

Verb = Callable[[dict[str, Any]], dict[str, Any]]


def endpoint(verb: Verb, *, reads: Verb | None = None) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view: POST with a JSON body to a verb, GET where there is something to read."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        chosen = reads if request.method == "GET" else verb if request.method == "POST" else None
        if chosen is None:
            return JsonResponse({"error": "method not allowed"}, status=405)
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return JsonResponse({"error": "not from another site"}, status=403)
        try:
            given = json.loads(request.body or b"{}")
            return JsonResponse(chosen(given), encoder=DjangoJSONEncoder)
        except ApiError as error:
            return JsonResponse(error.body(), status=error.status)
        except (KeyError, TypeError, ValueError) as error:
            return JsonResponse({"error": f"{type(error).__name__}: {error}"}, status=400)

    return view


def read_clock(_given: dict[str, Any]) -> dict[str, Any]:
    return {"now": clock.now().isoformat(), "ahead_seconds": switches.clock_offset()}


def move_clock(given: dict[str, Any]) -> dict[str, Any]:
    """Move the clock ({"set": ISO time} or {"advance_seconds": n}), doing on the way what falls due."""
    target = clock.parse(given["set"]) if "set" in given else None
    if "set" in given and target is None:
        raise ValueError(f"{given['set']!r} is not a time")
    seconds = float(given["advance_seconds"]) if target is None else (target - clock.now()).total_seconds()
    if seconds < 0 and Customer.objects.exists():
        raise ValueError("the clock goes forward only; reset the sandbox to begin anew")
    background.advance(target or clock.now() + timedelta(seconds=seconds))
    return read_clock({})


def pay(given: dict[str, Any]) -> dict[str, Any]:
    return _outcome(given, "succeeded")


def decline(given: dict[str, Any]) -> dict[str, Any]:
    return _outcome(given, "failed")


def void(given: dict[str, Any]) -> dict[str, Any]:
    return _invoice(given, payments.void)


def lose_dispute(given: dict[str, Any]) -> dict[str, Any]:
    """Let the bank take a payment back."""
    return _invoice(given, payments.lose_dispute)


def plan_faults(given: dict[str, Any]) -> dict[str, Any]:
    faults.plan(given.get("faults", []))
    return {"faults": faults.left()}


def read_faults(_given: dict[str, Any]) -> dict[str, Any]:
    return {"faults": faults.left()}


def read_settings(_given: dict[str, Any]) -> dict[str, Any]:
    return {"settings": switches.everything()}


def turn_settings(given: dict[str, Any]) -> dict[str, Any]:
    switches.turn(given)
    if given.get("licence"):
        with store.writing():
            jobs.once("refresh_ongoing", key="refresh_ongoing", due_at=clock.now() + timedelta(minutes=5))
    return read_settings({})


def read_keys(_given: dict[str, Any]) -> dict[str, Any]:
    return {"keys": keys.everything()}


def change_keys(given: dict[str, Any]) -> dict[str, Any]:
    """Make a key ({"make": key}) or revoke one ({"revoke": key})."""
    if "make" in given:
        keys.make(str(given["make"]))
    if "revoke" in given:
        keys.revoke(str(given["revoke"]), now=clock.now())
    return read_keys({})


def flush(_given: dict[str, Any]) -> dict[str, Any]:
    """Send all messages that wait, now, each attempt that is left without its wait."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with store.writing():
            waiting = Delivery.objects.filter(status="pending").update(due_at=clock.now())
        if not waiting:
            break
        jobs.bell.ring()
        time.sleep(0.01)
    return {"pending": Delivery.objects.filter(status="pending").count()}


def drain(given: dict[str, Any]) -> dict[str, Any]:
    """Do at once what is due within `horizon` seconds (2), and return when nothing is left of it."""
    horizon = float(given.get("horizon", HORIZON))
    ends = time.monotonic() + PATIENCE
    waiting = background.hurry(horizon)
    while waiting and time.monotonic() < ends:
        time.sleep(0.005)
        waiting = background.hurry(horizon)
    return {"waiting": waiting, "failed_jobs": list(Job.objects.exclude(error="").values("kind", "error"))}


def dump(_given: dict[str, Any]) -> dict[str, Any]:
    """Return every row by table, and what was asked of the API."""
    tables = {
        str(model._meta.model_name): list(model._default_manager.order_by("pk").values())  # noqa: SLF001 - Django's public _meta
        for model in apps.get_app_config("lago_sandbox").get_models()
    }
    requests = [
        {"method": method, "path": path, "status": status, "count": count}
        for (method, path, status), count in sorted(middleware.counted.items())
    ]
    return {"now": clock.now().isoformat(), "requests": requests, **tables}


def reset(_given: dict[str, Any]) -> dict[str, Any]:
    """Begin anew: no rows, the wall clock, default switches, no faults, counters at 0."""
    with store.writing():
        for model in reversed(list(apps.get_app_config("lago_sandbox").get_models())):
            model._default_manager.all()._raw_delete("default")  # noqa: SLF001 - children first, no collecting
    switches.forget()
    faults.plan([])
    middleware.counted.clear()
    limits.forget()
    paging.forget()
    return {"now": clock.now().isoformat()}


def _outcome(given: dict[str, Any], status: str) -> dict[str, Any]:
    return _invoice(given, partial(payments.pay, status=status))


@store.writes
def _invoice(given: dict[str, Any], act: Callable[..., None]) -> dict[str, Any]:
    invoice = Invoice.objects.select_related("customer").filter(pk=given["invoice_id"]).first()
    if invoice is None:
        raise NotFound("invoice")
    act(invoice, now=clock.now())
    return {
        "invoice_id": str(invoice.id),
        "status": invoice.status,
        "payment_status": invoice.payment_status,
        "payment_dispute_lost_at": clock.seconds(invoice.payment_dispute_lost_at),
    }
