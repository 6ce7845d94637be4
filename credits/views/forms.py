"""The forms that share out credits. Amounts stay what people typed until `credits.amounts` reads them."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from credits.amounts import ZERO
from credits.models import Allocation
from credits.sharing import sheets
from credits.sharing.allocations import Mode
from credits.sharing.reach import Reach
from credits.sharing.terms import KEEP
from credits.views.fields import CreditsInput
from credits.views.pools import pool_of
from orgs.models import Membership

MOST_CHOICES: Final = 500
"""Members that one list offers; beyond that the page asks for a part of the name first."""

AS_IT_IS: Final = "As it is (a new one: never)"
PERIODS: Final = [
    ("never", "Never"),
    ("daily", "Every day"),
    ("weekly", "Every week"),
    ("monthly", "Every month"),
]

_PUBLIC_ID: Final = re.compile(r"usr_[A-Za-z0-9]{1,60}", re.ASCII)


class ShareForm(forms.Form):
    """How much one member shall have."""

    credits = CreditsInput(label="Credits")
    mode = forms.ChoiceField(
        label="How",
        choices=[(Mode.SET, "Set to this amount"), (Mode.ADD, "Add to what they have")],
        initial=Mode.SET,
        widget=forms.RadioSelect,
    )
    reset_period = forms.ChoiceField(
        label="Resets",
        required=False,
        choices=[("", AS_IT_IS), *PERIODS],
        help_text="The amount is restored each period, counted from today.",
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Optional. What is left the day after goes back to the pool.",
    )
    notes = forms.CharField(
        label="Note", required=False, max_length=500, help_text="Optional. Kept with the allocation."
    )

    def __init__(self, *args: Any, zone: ZoneInfo, row: Allocation | None = None, **kwargs: Any) -> None:
        self._zone, self._row = zone, row if row is not None and row.closed_at is None else None
        if self._row is not None:
            kwargs["initial"] = {**_terms_of(self._row, zone), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        if self._row is not None:
            period = self.fields["reset_period"]
            assert isinstance(period, forms.ChoiceField)  # noqa: S101 - declared above
            period.choices = PERIODS
            self.fields["credits"].required = False
            self.fields["credits"].help_text = "Empty: the amount stays."

    def terms(self) -> dict[str, Any]:
        """Return the terms of a share: on the page of one allocation an emptied date takes its end off."""
        day, period = self.cleaned_data["expires_on"], self.cleaned_data["reset_period"] or None
        if "expires_on" not in self.changed_data:
            return {"reset_period": period, "expires_at": KEEP}
        return {
            "reset_period": period,
            "expires_at": None if day is None else sheets.last_day(day, zone=self._zone),
        }

    def clean_expires_on(self) -> date | None:
        """Refuse a date beyond all calendars, and the past."""
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and "expires_on" in self.changed_data:
            if day > date(2200, 1, 1):
                raise forms.ValidationError("That is too far ahead.")
            if day < timezone.now().astimezone(self._zone).date():
                raise forms.ValidationError("The last day must not have passed.")
        return day

    def clean_notes(self) -> str:
        """Return the note on one line."""
        return " ".join(str(self.cleaned_data["notes"]).split())

    def clean(self) -> dict[str, Any]:
        """Refuse what changes nothing. Without an amount, 0 is added: the amount stays."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        keeps_period = cleaned["reset_period"] in ("", self["reset_period"].initial)
        keeps_terms = keeps_period and "expires_on" not in self.changed_data
        if cleaned["credits"] is None:
            cleaned["credits"], cleaned["mode"] = ZERO, Mode.ADD
            if keeps_terms and not cleaned["notes"]:
                self.add_error("credits", "Name an amount, or change something else.")
        elif cleaned["mode"] == Mode.ADD and not cleaned["credits"] and keeps_terms:
            self.add_error("credits", "Adding 0 changes nothing.")
        return cleaned


class AllocateForm(ShareForm):
    """Who shall have how much. The members within reach are offered by the pool that pays; others do not exist here."""

    member = forms.CharField(label="Member", widget=forms.Select)
    field_order = ("member", "credits", "mode", "reset_period", "expires_on", "notes")

    def __init__(self, *args: Any, reach: Reach, search: str = "", **kwargs: Any) -> None:
        super().__init__(*args, zone=ZoneInfo(reach.organization.time_zone), **kwargs)
        self._members = reach.members()
        found = self._members.filter(user__name__icontains=search) if search else self._members
        offered = list(found[: MOST_CHOICES + 1])
        self.is_cut = len(offered) > MOST_CHOICES
        select = self.fields["member"].widget
        if isinstance(select, forms.Select):
            select.choices = [("", "Choose a member"), *_grouped(offered[:MOST_CHOICES], reach)]

    def clean_member(self) -> Membership:
        """Return the membership of the chosen member."""
        public_id = str(self.cleaned_data["member"])
        found = (
            self._members.filter(user__public_id=public_id).first()
            if _PUBLIC_ID.fullmatch(public_id)
            else None
        )
        if found is None:
            raise forms.ValidationError("Choose a member from the list.")
        return found


class ManyForm(ShareForm):
    """How much many members shall have each; who they are stands in checkboxes beside it."""

    everyone = forms.BooleanField(required=False)
    members = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, zone: ZoneInfo, offered: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, zone=zone, **kwargs)
        self.offered = list(offered)
        members = self.fields["members"]
        assert isinstance(members, forms.MultipleChoiceField)  # noqa: S101 - declared above
        members.choices = [(one, one) for one in self.offered]

    def chosen(self) -> list[str]:
        """Return the public ids of who is chosen."""
        picked = set(self.cleaned_data.get("members", ()))
        return (
            self.offered
            if self.cleaned_data.get("everyone")
            else [one for one in self.offered if one in picked]
        )

    def clean(self) -> dict[str, Any]:
        """Refuse nobody."""
        cleaned = super().clean()
        if (
            "members" not in self.errors
            and not (cleaned.get("everyone") and self.offered)
            and not cleaned.get("members")
        ):
            self.add_error("members", "Choose at least one member.")
        return cleaned


class SheetForm(forms.Form):
    """A CSV to look at before it is applied."""

    file = forms.FileField(
        label="CSV file",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
        help_text="At most 5,000 lines and 1 MiB.",
    )

    def clean_file(self) -> bytes:
        """Return what was uploaded, if it is not too large to read."""
        upload = self.cleaned_data["file"]
        if upload.size > sheets.MOST_BYTES:
            raise forms.ValidationError("The file is larger than 1 MiB.")
        data: bytes = upload.read()
        return data


class StandardForm(forms.Form):
    """What new members of one role are given."""

    role = forms.ChoiceField(label="Role", choices=Membership.Role.choices)
    credits = CreditsInput(label="Credits")
    reset_period = forms.ChoiceField(label="Resets", choices=PERIODS, initial="never")

    def clean_credits(self) -> Decimal:
        """Refuse an amount of nothing."""
        credits: Decimal = self.cleaned_data["credits"]
        if not credits:
            raise forms.ValidationError("Give more than 0, or remove it.")
        return credits


def _terms_of(row: Allocation, zone: ZoneInfo) -> dict[str, Any]:
    last = None
    if row.expires_at is not None:
        last = (row.expires_at - timedelta(microseconds=1)).astimezone(zone).date()
    return {"reset_period": row.reset_period, "expires_on": last}


def _grouped(members: Iterable[Membership], reach: Reach) -> list[tuple[str, list[tuple[str, str]]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for member in members:
        funded = member.department is not None and hasattr(member.department, "credit_pool")
        owner = member.department.name if funded and member.department else reach.organization.name
        user = member.user
        label = f"{user.name} ({user.email})" if user.email else user.name
        groups.setdefault(f"From {pool_of(owner)}", []).append((user.public_id, label))
    return sorted(groups.items())


class AskForm(forms.Form):
    """How much a member asks for, and why."""

    credits = CreditsInput(label="Credits", help_text="On top of what you have.")
    reason = forms.CharField(
        label="What for",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Who decides reads it.",
    )

    def clean_credits(self) -> Decimal:
        """Refuse an amount of nothing."""
        credits: Decimal = self.cleaned_data["credits"]
        if not credits:
            raise forms.ValidationError("Ask for more than 0.")
        return credits

    def clean_reason(self) -> str:
        """Return the reason on one line."""
        return " ".join(str(self.cleaned_data["reason"]).split())


class DecideForm(forms.Form):
    """What becomes of a request: approved with this amount (none: as asked), or declined; both may carry an answer."""

    APPROVE: Final = "approve"
    DECLINE: Final = "decline"

    act = forms.ChoiceField(choices=[(APPROVE, "Approve"), (DECLINE, "Decline")])
    credits = CreditsInput(required=False)
    answer = forms.CharField(required=False, max_length=500)

    def clean_answer(self) -> str:
        """Return the answer on one line."""
        return " ".join(str(self.cleaned_data["answer"]).split())
