"""Limits on pages: budgets with how far they are used, setting and changing them, and below what a pool alarms."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from credits import amounts
from credits.ledger import pools
from credits.limits import budgets
from credits.limits.budgets import BudgetState
from credits.models import Budget, CreditPool
from credits.views import refusals
from credits.views.limit_forms import AlertForm, BudgetForm, CeilingForm, Offered
from credits.views.pools import pool_of
from kit.errors import DomainError
from orgs.access import pages
from orgs.access.capabilities import Capability
from orgs.models import Organization

_LIST: Final = "credits:limits"
_NOT_CONTENT: Final = frozenset({pages.FORM_KEY, "csrfmiddlewaretoken"})
_WHOLE: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A budget of the list: whose, how full, and in words and tones how that is."""

    state: BudgetState
    name: str
    kind: str
    word: str
    badge_tone: str
    bar_tone: str

    @property
    def bar(self) -> Decimal:
        """How long the bar is: never longer than whole."""
        return min(self.state.percent, _WHOLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """A pool with the form that says below what it alarms; `name` is of its department, or nothing."""

    pool: CreditPool
    owner: str
    name: str
    form: AlertForm


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List the organization's budgets and thresholds, and set a budget."""
    organization = _organization(request, slug)
    form, by = _budget_form(request, organization), pages.actor(request)
    if request.method == "POST":

        def run() -> str:
            given = form.cleaned_data
            made = budgets.create(
                organization=organization,
                subject=given["found"],
                period=given["period"],
                credits=given["credits"],
                is_hard=form.is_hard,
                by=by,
            )
            return (
                f"{_owner(made)} now has a budget of {amounts.display(made.credits)} credits a {made.period}."
            )

        if _did(request, form, run):
            return redirect(_LIST, slug=slug)
    return _listed(request, organization, form=form, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: HttpRequest, slug: str, budget_id: UUID) -> HttpResponse:
    """Show one budget and change it."""
    organization = _organization(request, slug)
    row, by = _budget(organization, budget_id), pages.actor(request)
    initial = {"credits": amounts.text(row.credits), "kind": "hard" if row.is_hard else "soft"}
    form = CeilingForm(request.POST or None, initial=initial)
    if request.method == "POST":

        def run() -> str:
            made = budgets.change(
                budget=row, credits=form.cleaned_data["credits"], is_hard=form.is_hard, by=by
            )
            kind = "hard" if made.is_hard else "soft"
            return f"The budget is {amounts.display(made.credits)} credits a {made.period} now, {kind}."

        if _did(request, form, run):
            return redirect(request.path)
    [state] = budgets.states_of([row], now=timezone.now())
    context = {
        "organization": organization,
        "line": _line(state),
        "form": form,
        "key": refusals.key_for(request, form),
        "archive_key": pages.new_key(),
    }
    status = 422 if request.method == "POST" else 200
    return _page(request, organization, "credits/limit.html", context, status=status)


@require_POST
def archive(request: HttpRequest, slug: str, budget_id: UUID) -> HttpResponse:
    """Take a budget back."""
    organization = _organization(request, slug)
    row = Budget.objects.filter(organization=organization, public_id=budget_id).first()
    if row is None:
        raise Http404
    by = pages.actor(request)

    def run() -> dict[str, Any]:
        budgets.archive(budget=row, by=by)
        return {"sentence": "The budget is gone. What was used of it stays in the reports."}

    try:
        messages.success(request, pages.once(request, {}, run)["sentence"])
    except DomainError as refusal:
        messages.error(request, refusals.sentence(refusal))
    return redirect(_LIST, slug=slug)


@require_POST
def alert(request: HttpRequest, slug: str) -> HttpResponse:
    """Set below how many available credits the people of a pool are told."""
    organization = _organization(request, slug)
    name, by = request.POST.get("pool", ""), pages.actor(request)
    pool = next((one for one in _pools(organization) if _name(one) == name), None)
    if pool is None:
        raise Http404
    form = AlertForm(request.POST, prefix=name or None)

    def run() -> str:
        made = pools.set_alert(
            organization=organization,
            department=pool.department,
            below=form.cleaned_data["alert_below"],
            by=by,
        )
        below = made.alert_below
        what = "never alarms now" if below is None else f"alarms below {amounts.display(below)} credits now"
        return f"{pool_of(_pool_owner(made))} {what}."

    if _did(request, form, run):
        return redirect(_LIST, slug=slug)
    blank = BudgetForm(offered=_offered(request, organization))
    return _listed(request, organization, form=blank, refused={name: form}, status=422)


def _did(request: HttpRequest, form: forms.Form, run: Callable[[], str]) -> bool:
    """Run the act once for its form and say what came of it; False where it was refused, with the form's errors filled."""
    if not form.is_valid():
        return False
    content = {name: value for name, value in request.POST.items() if name not in _NOT_CONTENT}
    try:
        sentence = pages.once(request, content, lambda: {"sentence": run()})["sentence"]
    except DomainError as refusal:
        refusals.explain(refusal, form, source=None)
        return False
    messages.success(request, sentence)
    return True


def _listed(
    request: HttpRequest,
    organization: Organization,
    *,
    form: BudgetForm,
    refused: dict[str, AlertForm] | None = None,
    status: int,
) -> HttpResponse:
    states = budgets.states(organization=organization, now=timezone.now())
    context = {
        "organization": organization,
        "lines": [_line(one) for one in states],
        "pools": [_pool_line(one, refused or {}) for one in _pools(organization)],
        "form": form,
        "key": refusals.key_for(request, form),
        "alert_key": pages.new_key(),
        "search": _search(request),
        "shows_search": form.is_cut or bool(_search(request)),
    }
    return _page(request, organization, "credits/limits.html", context, status=status)


def _line(state: BudgetState) -> Line:
    word, badge_tone, bar_tone = _fullness(state)
    scope = state.budget.get_scope_display()
    kind = "Everybody" if state.budget.scope == Budget.Scope.ORGANIZATION else scope
    return Line(
        state=state,
        name=_owner(state.budget),
        kind=kind,
        word=word,
        badge_tone=badge_tone,
        bar_tone=bar_tone,
    )


def _fullness(state: BudgetState) -> tuple[str, str, str]:
    """Return a word, the tone of its badge and that of the bar."""
    if state.percent >= _WHOLE or state.remaining <= 0:
        return ("Used up" if state.budget.is_hard else "Over"), "bad", "bad"
    if state.percent >= 90:
        return "Near limit", "warn", "warn"
    return ("Watch", "warn", "") if state.percent >= 75 else ("Normal", "ok", "")


def _owner(budget: Budget) -> str:
    """Return what a person calls those whose use counts."""
    if budget.department is not None:
        return budget.department.name
    if budget.user is not None:
        return budget.user.name or budget.user.email or budget.user.public_id
    return budget.model or budget.organization.name


def _pools(organization: Organization) -> list[CreditPool]:
    """Return the organization's pool and those of its departments."""
    found = CreditPool.objects.filter(organization=organization, department__archived_at=None)
    own_first = F("department__name").asc(nulls_first=True)
    return list(found.select_related("organization", "department").order_by(own_first))


def _pool_line(pool: CreditPool, refused: dict[str, AlertForm]) -> PoolLine:
    name, below = _name(pool), pool.alert_below
    initial = {"alert_below": "" if below is None else amounts.text(below)}
    form = refused.get(name) or AlertForm(initial=initial, prefix=name or None)
    return PoolLine(pool=pool, owner=_pool_owner(pool), name=name, form=form)


def _name(pool: CreditPool) -> str:
    return pool.department.public_id if pool.department is not None else ""


def _pool_owner(pool: CreditPool) -> str:
    return pool.department.name if pool.department is not None else pool.organization.name


def _budget_form(request: HttpRequest, organization: Organization) -> BudgetForm:
    return BudgetForm(request.POST or None, offered=_offered(request, organization))


def _offered(request: HttpRequest, organization: Organization) -> Offered:
    return Offered(organization, search=_search(request), today=timezone.now().date())


def _search(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\x00", "").strip()[:100]


def _organization(request: HttpRequest, slug: str) -> Organization:
    organization = pages.organization(request, slug)
    pages.require(request, organization, Capability.BUY)
    return organization


def _budget(organization: Organization, budget_id: UUID) -> Budget:
    found = budgets.live().filter(organization=organization, public_id=budget_id).first()
    if found is None:
        raise Http404
    return found


def _page(
    request: HttpRequest, organization: Organization, template: str, context: dict[str, Any], *, status: int
) -> HttpResponse:
    with timezone.override(organization.time_zone):
        return render(request, template, context, status=status)
