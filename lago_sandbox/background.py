"""The threads behind the answers: one works the jobs, one sends the messages (a slow receiver must not hold up payments)."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from lago_sandbox import clock, documents, jobs, store, switches
from lago_sandbox.billing import biller, invoicing, lifecycle, payments, rules, wallets
from lago_sandbox.models import Customer, Delivery, Event, Job
from lago_sandbox.removal import remove_customer, remove_plan
from lago_sandbox.usage import refresh_all, tell_errors
from lago_sandbox.webhooks import sending

log = logging.getLogger(__name__)
HANDLERS: Final[dict[str, Callable[[dict[str, Any], datetime], None]]] = {
    "bill_change": lifecycle.bill_change,
    "bill_end": lifecycle.bill_end,
    "bill_paid_credit": wallets.bill_paid_credit,
    "bill_start": lifecycle.bill_start,
    "activate": biller.activate,
    "biller": biller.run,
    "charge_card": payments.charge_card,
    "document": documents.make,
    "end_subscriptions": biller.end,
    "end_trials": biller.end_trials,
    "events_errors": tell_errors,
    "expire_wallet": wallets.expire,
    "finalize": invoicing.finalize_draft,
    "fill_wallet": wallets.fill_new,
    "interval_top_up": rules.top_up_regularly,
    "overdue": payments.tell_overdue,
    "refresh_ongoing": refresh_all,
    "remove_customer": remove_customer,
    "remove_plan": remove_plan,
    "settle": wallets.settle,
    "threshold_top_up": rules.top_up,
    "termination_alert": biller.alert,
}
TICK: Final = timedelta(minutes=5)
_one_at_a_time = threading.Lock()
_stop = threading.Event()


def start() -> None:
    """Start both threads."""
    for work in (_work_one, sending.send_next):
        threading.Thread(target=_loop, args=(work,), daemon=True, name=work.__name__).start()


def stop() -> None:
    """Let both end; what is left undone is in the tables."""
    _stop.set()
    jobs.bell.ring()


def advance(target: datetime) -> None:
    """Move the clock to a later time, doing what falls due on the way at the moment when it does.

    It goes back only while nothing has happened: before the first customer.
    """
    is_untouched = not Customer.objects.exists()
    with _one_at_a_time:
        while (job := _due(target)) is not None:
            _skip_idle_ticks(job, target)
            if job.due_at > clock.now():
                _set(job.due_at)
            _run(job, job.due_at)
        if target > clock.now() or is_untouched:
            _set(target)
    jobs.bell.ring()


def _skip_idle_ticks(job: Job, target: datetime) -> None:
    """Let the five-minute clock tick only once before something else happens: between the two nothing changes."""
    if job.kind != "refresh_ongoing":
        return
    others = Job.objects.filter(error="").exclude(kind=job.kind).order_by("due_at")
    other = others.values_list("due_at", flat=True).first()
    until = min(target, other) if other is not None else target
    job.due_at += TICK * max(0, (until - job.due_at) // TICK)
    with store.writing():
        job.save(update_fields=["due_at"])


def _set(moment: datetime) -> None:
    switches.set_clock_offset(switches.clock_offset() + (moment - clock.now()).total_seconds())


def _loop(work: Callable[[], float]) -> None:
    """Work until the process ends; `work` returns after how many seconds it wants to look again, 0 for at once."""
    while not _stop.is_set():
        heard = jobs.bell.rung
        try:
            pause = work()
        except Exception:
            log.exception("background work failed")
            pause = 1.0
        if pause:
            jobs.bell.wait(heard=heard, seconds=pause)
    connection.close()


def _work_one() -> float:
    with _one_at_a_time:
        now = clock.now()
        job = _due(now)
        if job is not None:
            _run(job, now)
            return 0.0
    later = Job.objects.filter(error="").order_by("due_at").values_list("due_at", flat=True).first()
    return clock.until(later)


def _due(moment: datetime) -> Job | None:
    return Job.objects.filter(due_at__lte=moment, error="").order_by("due_at", "id").first()


def _run(job: Job, now: datetime) -> None:
    """Do a job and forget it, in one transaction; one that fails is kept with its error."""
    try:
        with store.writing():
            if Job.objects.filter(pk=job.pk, due_at=job.due_at).delete()[0]:
                HANDLERS[job.kind](job.payload, now)
    except Exception as error:
        log.exception("job %s failed", job.kind)
        with store.writing():
            Job.objects.filter(pk=job.pk).update(error=f"{type(error).__name__}: {error}")


def hurry(horizon: float) -> int:
    """Make due what is due within some seconds; return how many rows are waiting."""
    now = clock.now()
    until = now + timedelta(seconds=horizon)
    with store.writing():
        Event.objects.filter(visible_at__gt=now, visible_at__lte=until).update(visible_at=now)
        waiting = (
            Job.objects.filter(due_at__lte=until, error="").exclude(kind="refresh_ongoing").update(due_at=now)
        )
        waiting += Delivery.objects.filter(due_at__lte=until, status="pending").update(due_at=now)
    jobs.bell.ring()
    return waiting
