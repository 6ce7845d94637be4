"""Departments on pages: the list, one department with its pool, people and use, and what may be done to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credits import amounts
from credits.ledger.payers import InsufficientCredits
from credits.reports import figures
from credits.sharing import resets
from credits.views import department_figures, refusals
from credits.views.department_acts import ACTS
from credits.views.department_forms import MOST_CHOICES, NameForm, PeopleForm
from credits.views.pools import pool_of
from kit.errors import DomainError, ValidationError
from orgs import departments
from orgs.access import capabilities, pages
from orgs.access.capabilities import Capability
from orgs.models import Department, Membership, Organization

_LIST: Final = "credits:departments"
_ONE: Final = "credits:department"
_NOT_CONTENT: Final = frozenset({pages.FORM_KEY, "csrfmiddlewaretoken"})


class _Unreadable(DomainError):
    """The form says by itself what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Which departments the visitor sees, and what they may do: a manager only looks, and only at their own."""

    organization: Organization
    departments: QuerySet[Department]
    is_whole: bool
    may_fund: bool
    may_administer: bool


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """List the departments that the visitor may see, and make one."""
    sight = _sight(request, slug)
    form = NameForm(request.POST or None)
    status = 200
    if request.method == "POST":
        if not sight.may_administer:
            raise PermissionDenied
        status = _make(request, sight, form)
        if status == 200:
            return redirect(_LIST, slug=slug)
    now = timezone.now()
    context = {
        "sight": sight,
        "lines": department_figures.lines(
            organization=sight.organization, departments=list(sight.departments), now=now
        ),
        "free": figures.own_pool(organization=sight.organization),
        "form": form,
        "key": _key_for(request, form),
        "days": department_figures.DAYS,
    }
    return _page(request, sight, "credits/departments.html", context, status=status)


@require_safe
def department(request: HttpRequest, slug: str, department_id: str) -> HttpResponse:
    """Show one department."""
    sight = _sight(request, slug)
    return _shown(request, sight, _one(sight, department_id), {})


@require_POST
def act(request: HttpRequest, slug: str, department_id: str, name: str) -> HttpResponse:
    """Do something to a department; what is refused is shown beside the form that asked for it."""
    sight, what = _sight(request, slug), ACTS.get(name)
    if what is None:
        raise Http404
    pages.require(request, sight.organization, what.needs)
    rows = Department.objects.filter(organization=sight.organization).select_related("organization")
    found = get_object_or_404(
        rows, public_id=department_id
    )  # an archived one too: the click may be the second
    form, by = _form(name, found, request), pages.actor(request)
    status = _run(request, form, lambda: what.run(found, form.cleaned_data, by), label=found.name)
    if status == 200:
        return redirect(_LIST, slug=slug) if what.ends else redirect(_ONE, slug, department_id)
    return _shown(request, sight, _one(sight, department_id), {name: form}, status=status)


def _make(request: HttpRequest, sight: Sight, form: NameForm) -> int:
    by = pages.actor(request)

    def run() -> str:
        made = departments.create(organization=sight.organization, name=form.cleaned_data["name"], by=by)
        return f"{made.name} is a department now. Put members into it, and fund it."

    return _run(request, form, run, label="")


def _run(request: HttpRequest, form: forms.Form, run: Callable[[], str], *, label: str) -> int:
    """Run the act once for its form; returns the status, with the form's errors filled where it was refused.

    The key is asked first: a second click gets the first answer, also where what it asks for is no choice any more.
    """

    def once() -> dict[str, Any]:
        if not form.is_valid():
            raise _Unreadable("The form has errors.")
        return {"sentence": run()}

    sent = {name: request.POST.getlist(name) for name in request.POST if name not in _NOT_CONTENT}
    try:
        messages.success(request, pages.once(request, sent, once)["sentence"])
    except _Unreadable:
        return 422
    except DomainError as refusal:
        form.full_clean()
        _explain(refusal, form, label)
        return 503 if refusal.status == 503 else 422
    return 200


def _explain(refusal: DomainError, form: forms.Form, label: str) -> None:
    if isinstance(refusal, InsufficientCredits):
        limit = refusal.details["limit"]
        free = amounts.display(amounts.parse(limit["remaining"]))
        owner = label if str(limit["scope"]).startswith("dep_") else "The organization"
        form.add_error("credits", f"{pool_of(owner)} has {free} credits free.")
        return
    if isinstance(refusal, ValidationError):
        for name, why in refusal.details.items():
            form.add_error(name if name in form.fields else None, str(why))
        return
    field = "name" if refusal.code == "already_exists" else None
    code = "spent" if refusal.code in ("idempotency_conflict", "invalid_request") else "refused"
    form.add_error(field, forms.ValidationError(refusals.sentence(refusal), code=code))


def _shown(
    request: HttpRequest,
    sight: Sight,
    found: Department,
    bound: dict[str, forms.Form],
    *,
    status: int = 200,
) -> HttpResponse:
    """Show the page of a department; `bound` are forms that came and were refused."""
    offered = [name for name, one in ACTS.items() if _may(sight, one.needs)]
    built = {name: bound.get(name) or _form(name, found, request) for name in offered}
    page = department_figures.build(
        department=found, now=timezone.now(), page_number=request.GET.get("page", "1")
    )
    context = {
        "sight": sight,
        "department": found,
        "page": page,
        "free": figures.own_pool(organization=sight.organization),
        "forms": {name.replace("-", "_"): form for name, form in built.items()},
        "opened": next(iter(bound), ""),
        "key": _key_for(request, next(iter(bound.values()), None)),
        "search": _search(request),
        "days": department_figures.DAYS,
    }
    return _page(request, sight, "credits/department.html", context, status=status)


def _form(name: str, found: Department, request: HttpRequest) -> forms.Form:
    """Return the form of an act, bound where the request is one."""
    what = ACTS[name]
    data = request.POST if request.method == "POST" and request.path.endswith(f"/{name}/") else None
    options: dict[str, Any] = {"auto_id": f"{name}-%s"}
    if issubclass(what.form, PeopleForm):
        options["people"] = _offered(what.offers, found, _search(request))
    if issubclass(what.form, NameForm):
        options["initial"] = {"name": found.name}
    return what.form(data, **options)


def _offered(which: str, found: Department, search: str) -> list[Membership]:
    """Return the members that a form offers; a search narrows what would be too many."""
    live = Membership.objects.live().filter(organization=found.organization)
    rows = live.select_related("user", "department").order_by("user__name", "pk")
    if which == "managers":
        return list(rows.filter(management__department=found))
    if which == "members":
        return list(rows.filter(department=found))
    if search:
        rows = rows.filter(Q(user__name__icontains=search) | Q(user__email__icontains=search))
    if which == "elsewhere":
        return list(rows.exclude(department=found)[:MOST_CHOICES])
    managing = Q(management__department=found)
    return list(rows.exclude(managing).filter(user__is_service=False)[:MOST_CHOICES])


def _sight(request: HttpRequest, slug: str) -> Sight:
    organization = pages.organization(request, slug)
    if organization.kind == Organization.Kind.PERSONAL:
        raise Http404  # nobody to divide
    resets.refresh(organization)
    user = pages.visitor(request)
    may = {
        capability: capabilities.allows(user=user, organization=organization, capability=capability)
        for capability in (Capability.SEE_FIGURES, Capability.BUY, Capability.ADMINISTER)
    }
    shown = Department.objects.live().filter(organization=organization)
    if not may[Capability.SEE_FIGURES]:
        managed = capabilities.managed_departments(
            user=user, organization=organization, capability=Capability.SEE_FIGURES
        )
        if not managed:
            raise PermissionDenied
        shown = shown.filter(pk__in=[one.pk for one in managed])
    return Sight(
        organization=organization,
        departments=shown.select_related("organization").order_by("name", "pk"),
        is_whole=may[Capability.SEE_FIGURES],
        may_fund=may[Capability.BUY],
        may_administer=may[Capability.ADMINISTER],
    )


def _may(sight: Sight, capability: Capability) -> bool:
    return sight.may_fund if capability is Capability.BUY else sight.may_administer


def _one(sight: Sight, department_id: str) -> Department:
    """Return a department in sight; 403 for another one of the organization, whose names are no secret, 404 for none."""
    found = sight.departments.filter(public_id=department_id).first()
    if found is not None:
        return found
    known = Department.objects.live().filter(organization=sight.organization, public_id=department_id)
    if known.exists():
        raise PermissionDenied
    raise Http404


def _key_for(request: HttpRequest, form: forms.Form | None) -> str:
    """Return the key of the forms to show: the one that came, so that what was refused does not count as done."""
    came = request.POST.get(pages.FORM_KEY, "")
    if form is None or not came or form.has_error("__all__", code="spent"):
        return pages.new_key()
    return came


def _search(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\x00", "").strip()[:100]


def _page(
    request: HttpRequest, sight: Sight, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    with timezone.override(sight.organization.time_zone):
        return render(request, template, {"organization": sight.organization, **context}, status=status)
