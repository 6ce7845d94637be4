"""Requests for credits on a page: members ask with the evidence before them, who may allocate decides with the same."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from credits import amounts
from credits.models import CreditRequest
from credits.sharing import reach, requests
from credits.sharing.reach import Reach
from credits.views import evidence, refusals
from credits.views.evidence import Standing
from credits.views.forms import AskForm, DecideForm
from credits.views.pools import name_of
from kit.errors import DomainError
from orgs.access import pages
from orgs.models import Membership, Organization, User

ROWS_A_PAGE: Final = 20
_PAGE: Final = "credits:requests"
_OWN_SHOWN: Final = 20
_Status = CreditRequest.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request to decide: how its member stood, the pool that was asked and what it has free now."""

    row: CreditRequest
    standing: Standing
    pool: str
    free: Decimal | None
    key: str


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a member their requests and the form, and who may allocate what waits for them; POST asks."""
    organization, user = _team(request, slug), pages.visitor(request)
    is_member = Membership.objects.live().filter(organization=organization, user=user).exists()
    form = AskForm(request.POST or None, initial={"credits": _needed(request)}) if is_member else None
    status = 200
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        status = _ask(request, organization, user, form) if form.is_valid() else 422
        if status == 200:
            return redirect(_PAGE, slug=slug)
    within = reach.of_user(user=user, organization=organization)
    context = {
        "organization": organization,
        "form": form,
        "key": refusals.key_for(request, form),
        "within": within,
        **(_of_member(organization, user, timezone.now()) if is_member else {}),
        **(_of_allocator(request, within, user) if within is not None else {}),
    }
    with timezone.override(organization.time_zone):
        return render(request, "credits/requests.html", context, status=status)


@require_POST
def decide(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Approve a request, as asked or changed, or decline it."""
    organization, user = _team(request, slug), pages.visitor(request)
    within = reach.of_user(user=user, organization=organization)
    if within is None:
        raise PermissionDenied
    found = within.requests().select_related("user", "organization").filter(pk=request_id).first()
    if found is None:
        raise Http404
    form = DecideForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return redirect(_PAGE, slug=slug)
    given = form.cleaned_data
    content = {**given, "credits": None if given["credits"] is None else amounts.text(given["credits"])}
    _once(request, content, lambda: _decide(request, found, given))
    return redirect(_PAGE, slug=slug)


@require_POST
def withdraw(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Take back one's own request."""
    organization, user = _team(request, slug), pages.visitor(request)
    found = requests.find(organization=organization, request_id=request_id)
    if found is None or found.user != user:
        raise Http404

    def run() -> str:
        requests.withdraw(request=found, by=pages.actor(request), now=timezone.now())
        return "Your request is withdrawn."

    _once(request, {}, run)
    return redirect(_PAGE, slug=slug)


def _team(request: HttpRequest, slug: str) -> Organization:
    organization = pages.organization(request, slug)
    if organization.kind == Organization.Kind.PERSONAL:
        raise Http404  # there is nobody to ask
    return organization


def _ask(request: HttpRequest, organization: Organization, user: User, form: AskForm) -> int:
    """Ask for what a valid form says; returns the status, with the form's errors filled where it was refused."""
    given = form.cleaned_data

    def run() -> dict[str, Any]:
        requests.ask(
            organization=organization,
            user=user,
            credits=given["credits"],
            reason=given["reason"],
            by=pages.actor(request),
            now=timezone.now(),
        )
        return {"sentence": f"You asked for {amounts.display(given['credits'])} credits."}

    content = {"credits": amounts.text(given["credits"]), "reason": given["reason"]}
    try:
        messages.success(request, pages.once(request, content, run)["sentence"])
    except DomainError as refusal:
        refusals.explain(refusal, form, source=None)
        return refusal.status if refusal.status in (409, 503) else 422
    return 200


def _decide(request: HttpRequest, found: CreditRequest, given: dict[str, Any]) -> str:
    by, now, who = pages.actor(request), timezone.now(), found.user.name or found.user.email
    if given["act"] == DecideForm.DECLINE:
        requests.decline(request=found, answer=given["answer"], by=by, now=now)
        return f"The request of {who} is declined."
    row, allocation = requests.approve(
        request=found, credits=given["credits"], answer=given["answer"], by=by, now=now
    )
    added, left = amounts.display(row.given or row.credits), amounts.display(allocation.remaining)
    return f"{who} was given {added} credits and has {left} left now."


def _once(request: HttpRequest, content: dict[str, Any], run: Callable[[], str]) -> None:
    try:
        messages.success(request, pages.once(request, content, lambda: {"sentence": run()})["sentence"])
    except DomainError as refusal:
        messages.error(request, refusals.sentence(refusal))


def _of_member(organization: Organization, user: User, now: datetime) -> dict[str, Any]:
    """Return how the visitor stands and what they asked for."""
    own = CreditRequest.objects.filter(organization=organization, user=user).order_by("-pk")
    found = requests.evidence(organization=organization, user=user, now=now)
    return {
        "standing": evidence.read(asdict(found)),
        "waiting_own": own.filter(status=_Status.PENDING).first(),
        "own": list(own.exclude(status=_Status.PENDING)[:_OWN_SHOWN]),
    }


def _of_allocator(request: HttpRequest, within: Reach, user: User) -> dict[str, Any]:
    """Return what waits for the visitor, their own left out, and a page of what was decided."""
    rows = within.requests().select_related("user", "department").exclude(user=user)
    waiting: Page[CreditRequest] = Paginator(
        rows.filter(status=_Status.PENDING).order_by("pk"), ROWS_A_PAGE
    ).get_page(request.GET.get("page"))
    decided = rows.exclude(status=_Status.PENDING).order_by("-decided_at", "-pk")
    return {
        "waiting": waiting,
        "to_decide": _waiting(list(waiting), within),
        "decided": list(decided[:ROWS_A_PAGE]),
    }


def _waiting(rows: Sequence[CreditRequest], within: Reach) -> list[Waiting]:
    pools = {pool.department_id: pool for pool in within.pools()}
    members = within.members().filter(user__in=[row.user_id for row in rows])
    departments = dict(members.order_by().values_list("user_id", "department_id"))
    found = []
    for row in rows:
        pool = pools.get(departments.get(row.user_id)) or pools.get(
            None
        )  # theirs if funded, else the organization's
        found.append(
            Waiting(
                row=row,
                standing=evidence.read(row.evidence),
                pool=name_of(pool, reach=within) if pool is not None else "",
                free=pool.available if pool is not None else None,
                key=pages.new_key(),
            )
        )
    return found


def _needed(request: HttpRequest) -> str:
    """Return the amount that the address asks for, where it is one; what was refused says it there."""
    try:
        return amounts.text(amounts.parse(request.GET.get("needed", "")))
    except ValueError:
        return ""
