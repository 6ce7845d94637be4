"""The forms of limits: whose use a budget counts, its ceiling, and below what a pool alarms."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from django import forms

from credits.limits.budgets import Subject
from credits.models import Budget, DailyUsage
from credits.views.fields import CreditsInput
from orgs.models import Department, Membership, Organization

MOST_CHOICES: Final = 200
"""Members and models that the list offers; beyond that the page asks for a part of the name first."""
_LATELY: Final = timedelta(days=90)

_KINDS: Final = [
    ("soft", "Soft: tells when it is nearly used and refuses nothing"),
    ("hard", "Hard: refuses requests that would go beyond it"),
]


class CeilingForm(forms.Form):
    """How much, and whether it refuses."""

    credits = CreditsInput(label="Credits")
    kind = forms.ChoiceField(label="Kind", choices=_KINDS, initial="soft", widget=forms.RadioSelect)

    def clean_credits(self) -> Any:
        """Refuse a ceiling of nothing."""
        if not self.cleaned_data["credits"]:
            raise forms.ValidationError("A budget is above 0.")
        return self.cleaned_data["credits"]

    @property
    def is_hard(self) -> bool:
        """Whether the valid form asks for a hard one."""
        return bool(self.cleaned_data["kind"] == "hard")


class BudgetForm(CeilingForm):
    """A new budget. Whose use may count is offered; others do not exist here."""

    subject = forms.CharField(label="Whose use counts", widget=forms.Select, required=False)
    model = forms.CharField(
        label="Or a model by name", required=False, max_length=128, help_text="As requests name it."
    )
    period = forms.ChoiceField(
        label="Every",
        choices=[("day", "Day"), ("week", "Week, from Monday"), ("month", "Month")],
        initial="month",
    )
    field_order = ("subject", "model", "period", "credits", "kind")

    def __init__(self, *args: Any, offered: "Offered", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offered = offered
        select = self.fields["subject"].widget
        if isinstance(select, forms.Select):
            select.choices = offered.choices()

    @property
    def is_cut(self) -> bool:
        """Whether there are more members than the list offers."""
        return self._offered.is_cut

    def clean_model(self) -> str:
        """Return the name without space around it."""
        return str(self.cleaned_data["model"]).strip()

    def clean(self) -> dict[str, Any]:
        """Find the subject among those that are offered; a model by name stands alone."""
        cleaned: dict[str, Any] = super().clean() or {}
        chosen, model = str(cleaned.get("subject") or ""), cleaned.get("model") or ""
        if model and chosen:
            self.add_error("model", "Choose from the list or name a model, not both.")
        elif (found := Subject(model=model) if model else self._offered.find(chosen)) is None:
            self.add_error("subject", "Choose from the list.")
        else:
            cleaned["found"] = found
        return cleaned


class AlertForm(forms.Form):
    """Below what a pool alarms; nothing is never."""

    alert_below = CreditsInput(label="Tell below", required=False)


class Offered:
    """Whose use a budget of this organization may count: departments, members (by part of the name), models used lately."""

    def __init__(self, organization: Organization, *, search: str, today: date) -> None:
        self.departments = list(Department.objects.live().filter(organization=organization).order_by("name"))
        members = Membership.objects.live().filter(organization=organization).select_related("user")
        self._members = members.order_by("user__name", "user__email")
        named = self._members.filter(user__name__icontains=search) if search else self._members
        self.members = list(named[: MOST_CHOICES + 1])
        self.is_cut = len(self.members) > MOST_CHOICES
        used = DailyUsage.objects.filter(organization=organization, day__gte=today - _LATELY).exclude(
            model=""
        )
        self.models = sorted(used.order_by().values_list("model", flat=True).distinct()[:MOST_CHOICES])

    def choices(self) -> list[tuple[str, Any]]:
        """Return what the list offers, grouped."""
        groups = (
            ("Departments", [(f"department {one.public_id}", one.name) for one in self.departments]),
            ("Members", [_member(one) for one in self.members[:MOST_CHOICES]]),
            ("Models used lately", [(f"model {one}", one) for one in self.models]),
        )
        return [("", "The whole organization"), *((name, found) for name, found in groups if found)]

    def find(self, chosen: str) -> Subject | None:
        """Return the subject of a choice; None for what was never offered."""
        if not chosen:
            return Subject()
        kind, _, name = chosen.partition(" ")
        if kind == Budget.Scope.MODEL:
            return Subject(model=name) if name in self.models else None
        if kind == Budget.Scope.DEPARTMENT:
            department = next((one for one in self.departments if one.public_id == name), None)
            return Subject(department=department) if department is not None else None
        member = _first(one for one in self.members if one.user.public_id == name)
        return Subject(user=member.user) if member is not None and kind == Budget.Scope.MEMBER else None


def _member(one: Membership) -> tuple[str, str]:
    user = one.user
    return f"member {user.public_id}", f"{user.name} ({user.email})" if user.email else user.name


def _first(found: Iterable[Membership]) -> Membership | None:
    return next(iter(found), None)
